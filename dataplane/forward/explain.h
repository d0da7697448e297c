/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_EXPLAIN_H
#define FORWARD_EXPLAIN_H
/* What questions about a described packet have in common: `explain` walks the road with it, live.send sends it. Control thread, inside an
 * RCU read section.
 */
#include <jansson.h>

#include "core/road.h"
#include "lib/jsonrpc_server.h"
#include "observe/live.h"

/* Where the packet enters: {port}, {vtep, vni} or {external}. False: answered. */
bool explain_ingress(struct jsonrpc_call *call, const json_t *in, struct flow *f);
/* The packet, behind its ingress. False: answered. */
bool explain_packet(struct jsonrpc_call *call, const json_t *packet, struct flow *f);
/* Where a walked flow goes: {port}, {vtep, vni} or {external}. */
json_t *explain_out(const struct flow *f);
json_t *explain_address(const struct ip_addr *a);
json_t *explain_mac(const struct rte_ether_addr *mac);
/* What a walked flow's packet is behind its translation and routing. */
struct flow explain_after(const struct flow *f);
/* Do the hooks of the port pass it? Before the walk what the port sends, after it what it is given, with that TTL. False: dropped.
 * The flow has a trace. */
bool explain_hooks_pass(struct flow *f, struct port *port, bool after, uint8_t ttl);
/* Can the port take or give a frame? False: dropped, with a step that says why not. The flow has a trace. */
bool explain_port_carries(struct flow *f, const struct port *p);

/* The packet as a frame that ends with the token. Its length. */
uint16_t live_frame_make(
	const struct flow *f, uint8_t ttl, const uint8_t token[LIVE_TOKEN], uint8_t *frame);
/* A frame of that kind as a packet is described. */
json_t *live_frame_json(const uint8_t *frame, uint16_t len);
/* Its tuple, as the arrived one of a flow. */
bool live_frame_flow(const uint8_t *frame, uint16_t len, struct flow *f);

#endif
