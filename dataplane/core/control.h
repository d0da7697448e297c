/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H
/* Frames between the control thread and the packet graph: two bounded rings.
 *
 *   control_send()  control thread → worker 0 → port or underlay (ARP requests, probes)
 *   control_inject()  the same, but as if a port had sent it
 *   control_punt()  worker → control thread (ARP/ND answers on the underlay)
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_graph.h>
#include <rte_mbuf.h>

#include "core/location.h"

struct event_base;
struct worker;

/* Control thread, after pools and workers' state exist. */
int control_init(struct event_base *base);
void control_fini(void);

/* A frame to send: `out` a port, a tunnel (then with VNI 0), or LOC_NONE for the underlay as it is. Counted as generated. 0; -ENOBUFS: full or out of
 * buffers. Control thread. */
int control_send(loc_t out, const void *frame, uint16_t len);

/* A frame that worker 0 takes as from port `in` of that role (enum port_role), in VPC index `vpc`: it begins where port_rx hands on
 * what such ports send. Counted as generated. As control_send(). */
int control_inject(loc_t in, unsigned int role, uint32_t vpc, const void *frame, uint16_t len);
/* Where injected frames of each role begin, and what they pass before that as a port's own do: false when the frame has left by another
 * edge. At start (NODE_LINKER); `enter` runs on worker 0. */
typedef bool (*control_enter_fn)(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m);
void control_link_roles(unsigned int roles, control_enter_fn enter);

enum control_kind {
	CONTROL_NEIGHBOUR, /* ARP and ND of the underlay */
	CONTROL_PROBE,     /* a struct probe_report (probe/probe.h) */
	CONTROL_EXTERNAL,  /* ARP and ND of outside networks; `in` is the network's port */
	CONTROL_EXTERNAL_HOP, /* a struct ip_addr of such a network's link that a packet is for; `in` as above */
	CONTROL_HEALTH, /* frames of health/health_wire.h, from a tunnel */
	CONTROL_KINDS
};
/* Hands a frame to the control thread, which calls the kind's receiver for it; consumes and counts the mbuf, also when the ring is
 * full. Workers. */
void control_punt(struct rte_mbuf *m, enum control_kind kind);
/* Who gets punted frames of a kind, with pkt->in: at most one receiver; the bytes are valid during the call. */
typedef void (*control_receive_fn)(const uint8_t *frame, uint16_t len, loc_t in);
void control_receiver_set(enum control_kind kind, control_receive_fn receive);

/* Something to send waits for this worker. */
bool control_pending(const struct worker *w);

#endif
