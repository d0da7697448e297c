/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_CAPTURE_H
#define CONTROLLER_CAPTURE_H
/*
 * Captures: packets of several nodes as one pcapng section for one client.
 *
 *	client ◀─ capture.data ─ capture ◀─┬─ leg: blocks of node a, its interfaces numbered from 0
 *	                                   └─ leg: blocks of node b, likewise
 *
 * A capture belongs to its client's connection. Nothing of it is stored: nodes end theirs when we go away. A client that does not read
 * loses packets, counted; nobody else waits for it.
 */
#include "lib/bytes.h"
#include "lib/pcapng.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>

struct api_call;
struct controller;
struct jsonrpc_conn;
struct node;

struct captures {
	LIST_HEAD(, capture) list;
	unsigned count;
	json_int_t last; /* number given */
};

/* An interface of a node. */
struct capture_source {
	uint32_t number; /* in our section */
	bool over;       /* its figures have come */
	uint64_t lost;   /* packets from it that the client had no room for */
};

struct capture_leg {
	char *node;
	bool over;
	struct capture_source *sources; /* by the node's number */
	size_t count, room;
};

struct capture {
	LIST_ENTRY(capture) link;
	struct controller *c;
	json_int_t id;
	struct jsonrpc_conn *conn; /* NULL: gone */
	json_t *params;
	char *by;
	int64_t since_ms;
	bool started;             /* all nodes have answered */
	bool finishing;           /* they are being stopped */
	struct api_call *starter; /* its call, until it is answered */
	struct api_call *stopper; /* NULL: nobody waits for its end */
	const char *reason;       /* why it ends */
	struct capture_leg *legs;
	size_t n_legs, legs_room;
	uint32_t interfaces;
	uint64_t packets, lost, limit; /* limit 0: none */
	struct bytes out;              /* blocks that are to be sent */
};

struct captures *captures_new(void);
void captures_free(struct captures *captures);

/* A notification of a node; others than capture.data and capture.end are ignored. */
void capture_heard(struct node *node, const char *method, const json_t *params);
/* The node's connection has ended, and its captures with it. */
void capture_node_gone(struct node *node);
/* For jsonrpc_server_options.closed. */
void capture_client_gone(struct controller *c, struct jsonrpc_conn *conn);
/* Ends it if it is over: client or all nodes gone, enough packets. It may be gone afterwards. */
void capture_look(struct capture *capture);
/* Ends it: says so to its nodes, then to its client. It may be gone afterwards. */
void capture_finish(struct capture *capture, const char *reason);

/* capture_merge.c: blocks of a node become ours. False: they are no pcapng, or more interfaces than a node has. */
bool capture_merge(struct capture *capture, struct capture_leg *leg, const struct bytes *blocks);
/* Sends what is there. */
void capture_send(struct capture *capture);

#endif
