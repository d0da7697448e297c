/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_GRAPH_H
#define TESTS_NODE_GRAPH_H
/* The real graph of one worker between stub ports: bytes in; bytes, ports and drop reasons out.
 *
 * The worker runs on the test's own thread: graph_run() walks until nothing moves. Tables are filled by southbound items,
 * as the controller would. Ports have the attachment {"type": "stub"}; the underlay is a stub too.
 *
 *	graph_start(argv[0]);
 *	graph_items("[[\"vpc\", 100, ...], ...]");
 *	graph_send("a", frame, len);
 *	graph_run();
 *	f = graph_sent("b");           // the oldest frame given to port b, or NULL
 *	graph_dropped(DROP_SPOOFED);   // since the last call
 */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <rte_mbuf.h>

#include "core/drop.h"
#include "frame.h"

#define GRAPH_UNDERLAY "underlay"

/* EAL, tables, graph, underlay with address 192.0.2.1/24 and fd00:99::1/64. Once a process. */
void graph_start(void);

/* Another wire under all stub ports, and `workers` threads that the test runs itself by graph_work(). Before graph_start(). */
struct port;
struct graph_wire {
	unsigned int workers;
	uint16_t (*rx)(struct port *port, struct rte_mbuf **pkts, uint16_t n);
	void (*tx)(struct port *port, struct rte_mbuf *m);
};
void graph_set_wire(const struct graph_wire *wire);
/* Room for so many instead of 4096. Before graph_start(). */
void graph_set_sessions(uint32_t capacity);
/* The loop of a worker on a thread of its own, until `go_on` says no. */
void graph_work(unsigned int worker, bool (*go_on)(void));
/* received + generated = sent + consumed + dropped + held, over all workers. */
void graph_check_conservation(void);

/* Applies items in one transaction; fails the test with the reason when they are refused. */
void graph_items(const char *json);
void graph_delete(const char *json_keys);
/* Both in one transaction. */
void graph_both(const char *json_items, const char *json_keys);
/* The same, but may be refused. */
bool graph_try(const char *json_items, const char *json_keys);
/* The end of every session and of every fragment that waits; items stay. Checks conservation and leaks on the way. */
void graph_settle(void);
/* Removes every item and session: a clean start for the next test. Checks conservation and leaks on the way. */
void graph_reset(void);

/* Time of the worker and of expiry, moved by hand: ms to go forward. */
void graph_pass_time(uint32_t ms);
/* From now on the workers' time moves by that alone, or by itself again. */
void graph_stop_clock(bool stop);

/* What arrives at a port with the next run. `flags`: mbuf ol_flags (partial checksums, GSO) with the lengths in `like`, or 0. */
void graph_send(const char *port, const void *frame, uint16_t len);
void graph_send_mbuf(const char *port, struct rte_mbuf *m);
/* False: there is no such port, or it has too much already; the frame stays the caller's. */
bool graph_try_send_mbuf(const char *port, struct rte_mbuf *m);
struct rte_mbuf *graph_mbuf(const void *frame, uint16_t len);

/* Walks until all is quiet. */
void graph_run(void);

/* The oldest frame that a port was given and nobody has fetched, as one segment; valid until the next graph_run(). NULL: none. */
const uint8_t *graph_sent(const char *port, uint16_t *len);
struct rte_mbuf *graph_sent_mbuf(const char *port);
/* Throws away what the port was given, if there is such a port. */
void graph_discard_sent(const char *port);
/* Frames given to a port and not fetched; 0 if there is none. */
unsigned int graph_waiting(const char *port);
/* Frames given to any port and not fetched. */
unsigned int graph_unfetched(void);
/* Runs, and fetches what ports were told about addresses that moved (ARP, neighbour advertisements); anything else stays. */
void graph_forget_announcements(void);

/* Packets dropped for that reason since it was last asked. */
uint64_t graph_dropped(enum drop_reason reason);
/* The names of what graph_dropped() has not been asked for yet; and forgets them. */
const char *graph_drop_names(void);
void graph_forget_drops(void);
/* Packets dropped for any reason since that was last asked. */
uint64_t graph_dropped_any(void);

/* The port was given exactly `want` (checksums right), and no port anything else. */
void graph_expect_sent(const char *port, const struct frame *want);
/* The frame from `port` leaves to `to` as `want`. */
void graph_expect_pass(
	const char *port, const struct frame *f, const char *to, const struct frame *want);
/* The frame from `port` is dropped for `reason`, and nothing is sent (but that there is no route, to `port`). */
void graph_expect_drop(const char *port, const struct frame *f, enum drop_reason reason);
/* No frame was sent and every drop since the last question was one of `n` for `reason`. */
void graph_expect_dropped(enum drop_reason reason, unsigned int n);

/* The answer of the southbound socket, the caller's; a refusal fails the test. Takes `params`. */
json_t *graph_rpc(const char *method, json_t *params);
/* Why it is refused, until the next call; NULL when it is not. Takes `params`. */
const char *graph_rpc_refusal(const char *method, json_t *params);
/* CPU time of the longest turn of the control thread's loop in calls since it was last asked. */
uint64_t graph_longest_turn_us(void);

/* Drops that are counted to the port. */
uint64_t graph_port_drops(const char *port);

/* What the stub port can carry (enum port_cap); before the item that makes it. */
void graph_port_caps(uint32_t caps);

#endif
