/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LB_LB_INTERNAL_H
#define LB_LB_INTERNAL_H
/* Between the files of lb/. */
#include "core/road.h"
#include "core/usage.h"
#include "lb/lb.h"

#define LB_LISTENERS_MAX                                                                           \
	(1u << 17) /* ids; each back end that comes has one until its listener is found */
#define LB_DRAIN_MAX_S (7u * 86400) /* clocks of milliseconds wrap */

struct vpc;
struct endpoint;

/* An elastic IP's name and whose it is. RCU. */
struct lb_eip {
	struct lb_eip *_Atomic next;
	struct lb *lb;
	char name[PORT_NAME_MAX];
};

struct lb {
	struct flow_service service; /* of its private address */
	/* Workers read these. */
	char name[PORT_NAME_MAX];
	_Atomic uint32_t vni; /* where its back ends are */
	uint16_t account;     /* what its sessions carry; session/account.h */
	struct lb_listener *_Atomic listeners;
	/* Control thread only. */
	struct lb_eip *eip;     /* NULL: it has a private address */
	struct ip_addr address; /* that one, or all zero */
	uint32_t address_vpc;   /* its VPC's index */
	char gateway[PORT_NAME_MAX];
	uint64_t revision, instance;
	bool removed; /* its item is gone; it goes when its listeners have gone */
	struct lb *next_removed;
	struct hash_node node;
};

/*
 * Among whom new connections are chosen: lb_choice.c. Immutable; RCU.
 */
struct lb_choice {
	unsigned int bits; /* log2 of a Maglev table's slots; 0: a list */
	uint32_t n;        /* entries */
	uint16_t ids[];
};

/* Its back ends, their weights or health, or its config have changed: its choice is made again, at the end of the transaction or soon.
 * Until then choosing passes over who takes no connections. */
void lb_choice_changed(struct lb_listener *l);
/* Does it fail open now? As soon as a health has changed. */
void lb_choice_judge(struct lb_listener *l);
/* It is going to be freed. */
void lb_choice_forget(struct lb_listener *l);
/* Up to about `budget` entries of choices that are to be made. True: all are made. */
bool lb_choice_work(uint32_t budget);
#define LB_WORK_TURN (1u << 18) /* about 2 ms */

/*
 * Choosing, lb_pick.c. Worker-safe.
 */
struct lb_client {
	struct ip_addr addr, vip;
	rte_be16_t port;
	uint32_t now_ms;
	uint8_t tries; /* so many choices before gave it the tuple of another connection */
	bool dry;      /* only a question: takes no turn, and is not remembered */
};

/* Whom a new connection goes to; NULL: nobody takes it. */
struct lb_backend *lb_pick(struct lb_listener *l, const struct lb_client *client);
/* Takes new connections. */
bool lb_backend_takes(const struct lb_backend *b);
/* Goes on with a connection that it has. When it is down: with those of TCP that it has answered. Its own end of them knows best whether
 * they are over, and a check may be wrong; datagrams, and who has no answer yet, find another one. */
bool lb_backend_keeps(const struct lb_backend *b, uint8_t protocol, bool answered);

/*
 * Ids and what counts by them: lb_backend.c.
 */
/* By id. Worker-safe; NULL: none. */
struct lb_backend *lb_backend_get(uint32_t id);
/* A connection more; any thread. It is one less when the session, or the flow that became none, releases its hold. */
void lb_connection_opened(uint32_t id);
void lb_connection_closed(uint32_t id);
uint32_t lb_connections_of(uint32_t id);
/* Where this thread is in the listener's round. */
_Atomic uint32_t *lb_turn_of(const struct lb_listener *l);
void lb_turns_start(const struct lb_listener *l);

extern const struct flow_service lb_service; /* what struct lb begins with */
/* The flow's destination is this balancer's address. As struct flow_service's arrive(). */
bool lb_serve(struct flow *f, const struct lb *lb);
const char *lb_scheduler_name(enum lb_scheduler scheduler);
const char *lb_health_name(enum lb_health health);

struct lb *lb_by_name(const char *name);
/* Whose the elastic IP is. Worker-safe; NULL: nobody's. */
struct lb *lb_by_eip(const char *eip);
/* Worker-safe; NULL: it does not listen there. */
struct lb_listener *lb_listener_at(const struct lb *lb, uint8_t protocol, rte_be16_t port);

/*
 * Changes; control thread. What _new() makes has all that _put() needs, which can not fail. NULL with errno ENOMEM or ENOSPC.
 */
struct lb *lb_new(const char *name);
void lb_free(struct lb *lb); /* one that was not put */
void lb_put(struct lb *lb);
/* Its listeners have no items any more. */
void lb_remove(struct lb *lb);
/* `eip` (taken) leads to it from now on; NULL: none does. */
void lb_eip_set(struct lb *lb, struct lb_eip *eip);
void lb_each(void (*fn)(struct lb *lb, void *arg), void *arg);

/* With or without a config. */
struct lb_listener *lb_listener_find(const struct lb *lb, uint8_t protocol, rte_be16_t port);
struct lb_listener *lb_listener_new(uint8_t protocol, rte_be16_t port);
void lb_listener_free(struct lb_listener *l);
void lb_listener_put(struct lb *lb, struct lb_listener *l);
/* Takes `config`; NULL: its item is gone. */
void lb_listener_configure(struct lb_listener *l, struct lb_config *config);
void lb_config_free(struct lb_config *config);
/* Every flow of its back ends is asked again. */
void lb_listener_bump(const struct lb_listener *l);

/* Leaving ones, too. */
struct lb_backend *lb_backend_of(
	const struct lb_listener *l, const struct ip_addr *addr, rte_be16_t port_number);
struct lb_backend *lb_backend_new(const struct ip_addr *addr, rte_be16_t port_number);
void lb_backend_free(struct lb_backend *b);
void lb_backend_put(struct lb_listener *l, struct lb_backend *b);
/* Its item has changed: what it says now. One that was leaving is back. */
void lb_backend_set(struct lb_backend *b, uint8_t weight, const char *port_name);
/* It takes no connections any more, and goes when those that it has are over, or the listener's drain_s. */
void lb_backend_leave(struct lb_backend *b);
/* The watcher is to hear of it at the end of the transaction. */
void lb_tell(struct lb_backend *b);

/* The end of a transaction. */
void lb_settle(void);
/* What it has carried here: lb_usage.c. Its item is gone; then that the last of its sessions is, and `lb` with it. */
void lb_usage_ending(const struct lb *lb);
void lb_usage_close(struct lb *lb);

/* Frees a listener that has neither an item nor back ends any more, and balancers that are gone. */
bool lb_listener_reap(struct lb_listener *l);
void lb_table_reap(void);

#endif
