/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBSERVE_OBSERVE_H
#define OBSERVE_OBSERVE_H
/* Looking at packets without being in their way: port taps, fates, and the thread that hands on what was seen.
 *
 *	worker                                           sight thread                control thread
 *	port_rx ─ tap ─┐                                                             observer_new()
 *	port_tx ─ tap ─┼→ observers of the port:         drains the rings:           observer_free()
 *	a node ─ offer ┘  filter → sample → take ─ ring →  record() … flush()
 *	drop, port_tx, underlay_tx, consume → fates (fate.h)
 *
 * An *observer* says which ports it looks at, in which direction, which packets it wants, and what becomes of them. A port that
 * nobody observes pays one test a burst. Nothing of a session is changed, nothing is decided again.
 *
 * - Tapped is what the port *sent* before anything was done to it (ARP, and what is dropped later, too), and what it *is given*, after
 *   all was done. Copies that mirrors make (PKT_F_OBSERVED with OBSERVE_COPY) are not tapped again.
 * - An observer whose packets go to the sight thread has a ring with each worker. What that has no room for is lost, and counted to it; the
 *   packet goes on as if nobody had looked. Observers take turns on the thread, by time: one that has more than the thread can hand on
 *   takes nothing from others.
 * - What goes to the ring are frames as on the wire: segments of a GSO frame, each with its checksum.
 * - No reference to a buffer leaves its worker's thread.
 *
 * Threads: everything is the control thread's unless it says otherwise.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "core/drop.h"
#include "core/location.h"
#include "core/pkt.h"
#include "core/rcu.h"
#include "lib/packet_filter.h"
#include "port/port.h"

#define OBSERVERS_MAX 64u

/* Also bits of port->tapped. */
enum observe_direction {
	OBSERVE_SENT = 1 << 0,  /* by the port: into the graph ("egress" of the tenant) */
	OBSERVE_GIVEN = 1 << 1, /* to the port: out of the graph ("ingress") */
};

/* Where a packet was when it was seen. */
enum observe_point {
	OBSERVE_AT_RX,  /* as the port `in` sent it */
	OBSERVE_AT_TX,  /* as the port `out` is given it */
	OBSERVE_AT_END, /* at its end: dropped for `reason`, sent or consumed */
	OBSERVE_AT_NODE /* offered by a node: what that node knows */
};

/* What is told with a packet. */
struct observe_meta {
	uint64_t tsc;     /* observe_time_ns() */
	uint64_t id;      /* of the packet, for whoever numbers them; else 0 */
	uint32_t len;     /* of the frame on the wire */
	uint32_t caplen;  /* bytes of it that are here. Set by what puts it into the ring */
	loc_t in, out;    /* LOC_NONE: not known, or not yet */
	uint32_t vpc;     /* index, or PKT_VPC_NONE */
	uint32_t session; /* reference as in struct pkt, or UINT32_MAX */
	uint8_t point;    /* enum observe_point */
	uint8_t reason;   /* enum drop_reason */
	uint8_t fate;     /* enum observe_fate, of OBSERVE_AT_END */
	uint8_t flags;    /* the observer's own */
	uint8_t worker;   /* who saw it */
};

struct observer;

/* What becomes of packets. Immutable, usually one constant for all observers of a kind; observer_context() tells them apart. */
struct observe_sink {
	/* Workers, at the start of a burst and after a loss: does the target take something now? If not, the rest of what is wanted of the
	 * burst is lost, which costs its packets next to nothing. NULL: it does. */
	bool (*takes)(struct observer *o);
	/* Workers. A packet that was asked for; it is to be neither kept nor changed. NULL: observe_to_ring(). */
	void (*take)(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m);
	/* Workers. The end of a burst of which something was taken. May be NULL. */
	void (*burst_end)(struct observer *o);
	/* Sight thread, from the ring: `data` has meta->caplen bytes and is valid during the call. NULL: no ring is used. It may block a
	 * little (a file): the others wait for one record of it at most. */
	void (*record)(struct observer *o, const struct observe_meta *meta, const uint8_t *data);
	/* Sight thread: what was handed over is to go out; its rings are empty for now. May be NULL. */
	void (*flush)(struct observer *o);
	/* The last call, after observer_free(): its context may go. Sight thread with `record`, else control thread. */
	void (*close)(struct observer *o);
};

/* Which ports. Resolved again after each transaction, so that ports which come, go or change their VPC follow. */
struct observe_scope {
	enum {
		OBSERVE_PORT, /* by name, of any role: also the underlay's and outside networks' */
		OBSERVE_SUBNET, /* tenant ports of the subnet */
		OBSERVE_VPC,    /* tenant ports of the VPC */
		OBSERVE_NODE,   /* all tenant ports */
	} kind;
	uint32_t vni;             /* VPC */
	char name[PORT_NAME_MAX]; /* PORT, SUBNET */
};

/* "port web1", "subnet web", "vpc 100", as southbound items have it. False: it is none. */
bool observe_scope_parse(struct observe_scope *scope, const char *text);
/* enum observe_direction of "egress", "ingress", "both". */
uint8_t observe_directions(const char *direction);
bool observe_scope_has(const struct observe_scope *scope, const struct port *port);

struct observer_spec {
	const struct observe_scope *scopes; /* copied */
	unsigned int n_scopes; /* 0: looks at no port; nodes offer it packets (observe_offer) */
	const char *
		except; /* a port that is not looked at all the same, such as one that gets the copies; or NULL. Copied */
	uint8_t directions; /* enum observe_direction */
	struct packet_filter *
		filter; /* taken, also on failure; NULL: everything. Sees the frame as it was tapped */
	uint32_t sample;  /* 1 in so many of those that pass the filter; 0, 1: all */
	uint32_t snaplen; /* bytes of a frame that are kept; 0: all */
	const struct observe_sink *sink;
	void *context;
};

/* Per worker, summed by the reader. */
struct observe_counters {
	uint64_t packets; /* that passed filter and sampling */
	uint64_t bytes;   /* of those on the wire */
	uint64_t lost;    /* of those: no room in a ring, no buffer, the target did not take it */
} __rte_cache_aligned;

/* Begins to look at once. NULL with errno ENOSPC (OBSERVERS_MAX at a time) or ENOMEM. */
struct observer *observer_new(const struct observer_spec *spec);
/* The same in two steps: one that has its place and looks at nothing, and its start, which can not fail. */
struct observer *observer_prepare(const struct observer_spec *spec);
void observer_start(struct observer *o);
/* Ends it, also one that was not started; `close` follows when no thread has it in hand any more. */
void observer_free(struct observer *o);
/* Other ports from now on, without a gap on those that stay. 0 or -ENOMEM, then nothing has changed. */
int observer_set_scopes(
	struct observer *o, const struct observe_scope *scopes, unsigned int n_scopes);
/* Any thread that has the observer. */
void *observer_context(const struct observer *o);
unsigned int observer_id(
	const struct observer *o); /* 0 .. OBSERVERS_MAX - 1, among those there are */
uint32_t observer_snaplen(const struct observer *o); /* UINT32_MAX: all */
struct observe_counters observer_counters(const struct observer *o);
/* How many ports it looks at now. */
unsigned int observer_ports(const struct observer *o);
/* Names an observer for ever: by it workers find it, or that it is gone. 0 is nobody's. */
uint64_t observer_reference(const struct observer *o);
/* May another one come? */
bool observer_has_room(void);
/* Ports have changed outside a transaction. */
void observe_resolve(void);
/* Ends the sight thread after it has handed out everything. Workers have stopped. */
void observe_fini(void);

/*
 * Workers.
 */
/* Packets that a port sent or is given: asks its observers. One test if there are none. */
void observe_tap(struct port *port, enum observe_direction d, struct rte_mbuf **pkts, uint16_t n);
static inline void observe_port(
	struct port *port, enum observe_direction d, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(port->tapped & d))
		observe_tap(port, d, pkts, n);
}
/* The observer of that reference; NULL: it is gone. Until the worker's next quiescent state. */
struct observer *observer_find(uint64_t reference);
/* What is known of a packet that the port sends or is given. */
struct observe_meta observe_meta_of(
	const struct port *port, enum observe_direction d, const struct pkt *p);
/* A node shows an observer a packet: filter, sampling, take. `meta->len` and `tsc` are filled in here. False: it was not wanted.
 * The caller has `o` from a table under RCU. */
bool observe_offer(struct observer *o, struct observe_meta *meta, struct rte_mbuf *m);
/* After a burst of offers of which one was wanted. */
void observe_offered(struct observer *o);
/* Into this worker's ring, cut at snaplen. Without room: lost. For `take`. */
void observe_to_ring(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m);
/* The same for bytes that are no mbuf. */
void observe_bytes_to_ring(struct observer *o, const struct observe_meta *meta, const void *data);
/* Counts `n` copies as lost. */
void observe_lost(struct observer *o, unsigned int n);
/* Calls `fn` with each frame that goes on the wire for `m`: itself, or its segments with their checksums, which are gone after the call.
 * False: it can not be finished (no buffers, or what it asks contradicts its headers). */
bool observe_each_frame(
	struct rte_mbuf *m, void (*fn)(void *arg, struct rte_mbuf *frame), void *arg);

/*
 * Sight thread.
 */
/* Counts `n` records as lost after all. */
void observe_lost_later(struct observer *o, unsigned int n);
/* Nanoseconds since 1970. */
uint64_t observe_time_ns(uint64_t tsc);
/* The name of a port that is, or was a moment ago, looked at; "" when there was none. Any thread but workers. */
void observe_port_name(loc_t port, char name[PORT_NAME_MAX]);
/* The VNI of a VPC by index; 0: none. Any thread. */
uint32_t observe_vpc_vni(uint32_t vpc_index);
/* `fn(arg)` runs on the control thread, in the order of the calls. Any thread but workers. False: out of memory. */
bool observe_call_control(void (*fn)(void *arg), void *arg);

#endif
