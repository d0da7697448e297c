/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_NODE_H
#define CONTROLLER_NODE_H
/*
 * A node as the controller sees it while it runs: what its dataplane should forward by (wanted.h), what it
 * is known to have, and the connection that brings the two together (reconcile.h). There is one for
 * each node object with `rpc`.
 */
#include "lib/jsonrpc_client.h"
#include "lib/southbound.h"
#include "model.h"

#include <sys/queue.h>

struct controller;
struct event;

/* An item of the southbound language, for one node. It lasts while any of wanted, known, refs says so. */
struct item {
	char *key;             /* sb_item_key() */
	json_t *wanted;        /* NULL: the node should not have it */
	uint64_t hash;         /* of wanted */
	uint64_t known_hash;   /* of what the node has, if known */
	bool known;            /* the node has it */
	unsigned refs;         /* wanted items that name it */
	unsigned holders;      /* emissions that point to it */
	bool kept;             /* of replace_items(): among the new ones */
	struct object *source; /* what it was made from; NULL: of nothing but its own name */
	char *told;            /* the refusal that was reported last; NULL: none */
	char *rejected;        /* why the node refused it as it is now; NULL: it did not */
	unsigned rank;         /* of its kind: lower ranks are put earlier and deleted later */
	bool queued, in_flight;
	bool way;               /* it makes the node send to another one, wave.h */
	uint64_t revision;      /* of its last change */
	TAILQ_ENTRY(item) link; /* in node->queue while queued */
};

TAILQ_HEAD(item_list, item);

/* What of one VPC is on one node: ports, and services that the node is the gateway of. */
struct presence {
	char *vpc;
	unsigned count;
};

enum node_state {
	NODE_AWAY,      /* not connected; the retry timer runs */
	NODE_GREETING,  /* connected, hello sent */
	NODE_COMPARING, /* asking for the keys of buckets that differ */
	NODE_SYNCED,    /* differences are known, and are sent as they arise */
};

struct node {
	struct controller *c;
	struct object *object; /* NULL once it is deleted */
	char *name;
	char *rpc;
	TAILQ_ENTRY(node) link;

	/* wanted.c */
	struct strmap items;
	struct strmap presences;
	uint64_t digest[SB_BUCKETS];
	size_t wanted_count, rejected_count;
	struct item_list queue; /* what differs from what the node has */

	/* node_link.c */
	struct jsonrpc_client *client;
	struct event *retry;
	json_t *tls_files; /* of its object: instead of the controller's; NULL: none */
	struct tls *tls;   /* made of them, once they could be read */
	unsigned backoff_ms;
	enum node_state state;
	char reason[384];      /* why it is not connected */
	bool complained;       /* about this absence, */
	uint64_t complaint;    /* with this hash of the reason, */
	uint64_t complaint_ms; /* then */
	json_t *hello;         /* the dataplane's answer */

	/* reconcile.c */
	struct push *push;   /* the transaction under way */
	json_t *transaction; /* one that the node has begun and that is still empty */
	bool beginning;
	bool held;                  /* by wave.c: others come first */
	int part;                   /* of wave.c */
	size_t batch_limit;         /* items in the next transaction; 0: no limit */
	struct event *again;        /* tries rejected items again */
	unsigned again_s;           /* after so long; rises while nothing gets better */
	uint64_t desired, applied;  /* revisions */
	uint64_t rejected_revision; /* of the last transaction that an item was left out of */
	char rejection[512];
	unsigned keys_pending;
};

TAILQ_HEAD(node_list, node);

struct nodes {
	struct node_list list;
	struct strmap by_name;
};

struct nodes *nodes_new(void);
void nodes_free(struct nodes *nodes);
struct node *node_find(const struct controller *c, const char *name);
/* For who has kept one over a call that it was no part of. */
bool node_exists(const struct controller *c, const struct node *node);
bool node_is_connected(const struct node *node);

/* After a change of the node's object: makes, changes or ends the node. */
void node_update(struct controller *c, struct object *object);

#define NODES_FOREACH(c, node)                                                                     \
	for (struct node *node = TAILQ_FIRST(&(c)->nodes->list); node != NULL;                     \
		node = TAILQ_NEXT(node, link))

/* ---- node_link.c ---- */
void node_link_start(struct node *node);
void node_link_stop(struct node *node);
/* Reads its certificates again. */
void node_link_reload(struct node *node);
/* Ends the connection because of what the peer said, and tries again later. */
void node_link_fail(struct node *node, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
