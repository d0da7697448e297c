/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LB_LB_H
#define LB_LB_H
/* Load balancers: an address, its listeners by (protocol, port), their back ends.
 *
 * The control thread changes them, by items (lb_state.c) and by what the health checks find (lb_health_set()); workers
 * read under RCU. A balancer, a listener and a back end are each one object as long as their item is there, and a back
 * end on after that until it is drained; what may change in them is either atomic or a record replaced under RCU.
 *
 * A connection is chosen a back end once, on the client's node (a private address) or on the balancer's gateway (an
 * elastic IP). Its session holds the back end's id, which counts it, and depends on the back end's epoch slot alone:
 * whatever changes about a balancer or a listener that its flows must notice bumps the slots of its back ends, so a
 * failure or a removal touches nobody else's flows.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <rte_byteorder.h>

#include "base/hash_table.h"
#include "base/ip.h"
#include "core/epoch.h"
#include "port/port.h"

#define LB_BACKENDS_MAX (1u << 16) /* ids of a node, those that still have connections included */
#define LB_REASON_MAX 96

enum lb_scheduler {
	LB_ROUND_ROBIN,
	LB_WEIGHTED_ROUND_ROBIN,
	LB_LEAST_CONNECTIONS,
	LB_SOURCE_HASH, /* by the client's address */
	LB_MAGLEV,      /* by the whole tuple */
};

/* UNKNOWN: not checked yet; takes connections as long as none of the listener's is UP. */
enum lb_health { LB_HEALTH_UNKNOWN, LB_HEALTH_UP, LB_HEALTH_DOWN };

struct lb;
struct lb_listener;
struct lb_choice;

/* Who answers for a listener: one of its `backends`. */
struct lb_backend {
	/* Workers read these. */
	uint32_t id; /* 1 ..; what a session holds */
	struct lb_listener *listener;
	struct ip_addr addr;
	rte_be16_t port_number;
	epoch_slot_t epoch;            /* its flows depend on it */
	_Atomic uint8_t weight;        /* 0: no new connections */
	_Atomic uint8_t health;        /* enum lb_health; written by lb_health_set() */
	_Atomic bool leaving;          /* its item is gone: no new connections, until `drained` */
	_Atomic bool drained;          /* nor running ones */
	char port_name[PORT_NAME_MAX]; /* northbound, "" for a bare address */
	/* Control thread only. */
	uint32_t since_ms;          /* clock_ms() when its health became what it is */
	char reason[LB_REASON_MAX]; /* why it is down, or "" */
	uint32_t drain_until_ms;
	void *check; /* the health checks' own */
	struct hash_node node;
	struct lb_backend *next, **at;   /* of its listener */
	struct lb_backend *next_leaving; /* of all */
	struct lb_backend *next_told;    /* of those that the watcher is to hear of */
	bool to_tell;
};

/* What a listener's item says; replaced whole. */
struct lb_config {
	enum lb_scheduler scheduler;
	uint32_t persistence_s, idle_timeout_s, drain_s; /* 0: off, the node's own, at once */
	bool fail_open;
	struct prefix_map *allow; /* NULL: everyone */
	json_t *health_check; /* control thread: {type, port, interval_ms, ...} as northbound, defaults filled */
};

struct lb_listener {
	/* Workers read these. */
	struct lb *lb;
	uint32_t id; /* 1 ..; small, for arrays by listener */
	uint8_t protocol;
	rte_be16_t port;
	struct lb_config *_Atomic config; /* NULL: its item is gone, or not there yet */
	struct lb_choice
		*_Atomic choice;  /* among whom a new connection is chosen; NULL: nobody yet */
	_Atomic bool failed_open; /* all are down, so all are used */
	struct lb_listener *_Atomic next; /* of its balancer */
	/* Control thread only. */
	struct lb_backend *backends; /* leaving ones included */
	uint16_t *
		base; /* a Maglev table of all that are not leaving and have a weight, down or not */
	unsigned int base_bits;
	struct lb_listener *next_dirty; /* its choice is to be made again */
	bool dirty;
};

/* -ENOMEM. Once, after rcu_init(). */
int lb_init(void);
/* Every 10 ms or so: ends drains, frees, makes choices. Control thread. */
void lb_turn(uint32_t now_ms);

/*
 * For the health checks. Control thread.
 */

/* Its gateway's name as VTEP, "" when this node is the gateway and so the one that checks. */
const char *lb_gateway(const struct lb *lb);
const char *lb_name(const struct lb *lb);
uint32_t lb_vni(const struct lb *lb);

/* NULL: there is none, or it is leaving. `port` and `port_number` in network order. */
struct lb_backend *lb_backend_find(const char *lb, uint8_t protocol, rte_be16_t port,
	const struct ip_addr *addr, rte_be16_t port_number);
/* Every back end that is not leaving. `fn` may call lb_health_set(). */
void lb_each_backend(void (*fn)(struct lb_backend *backend, void *arg), void *arg);
/* `reason` says why, or what was answered; NULL: "". Obeyed by the next packet: new connections go elsewhere, of one that is
 * down also datagrams and connections that it has not answered. Raises no event. */
void lb_health_set(struct lb_backend *backend, enum lb_health health, const char *reason);

/* Who wants to hear of back ends, at most one. Called at the end of a transaction, when all of it is in place. */
struct lb_watcher {
	/* New, or its listener's health_check or its balancer's gateway has changed. Its health is UNKNOWN when it is new; with the
	 * type `none` it is UP, and stays so. */
	void (*changed)(struct lb_backend *backend);
	/* Not to be checked any more: it leaves. The pointer is good until the call returns. */
	void (*removed)(struct lb_backend *backend);
};
void lb_watch(const struct lb_watcher *watcher);

/* Connections that a back end has on this node. */
uint32_t lb_connections(const struct lb_backend *backend);

#endif
