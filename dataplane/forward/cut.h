/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_CUT_H
#define FORWARD_CUT_H
/* Flows over two nodes that a change made illegal. Each node has a session of such a flow, but the rule that ends it is often known to
 * one of them only (the receiver's ingress, the sender's egress): that one tells the controller, which tells the other, so neither
 * keeps a session of a flow that can not go on.
 *
 *	verdict_refresh() ──▶ cut_tell() ──ring──▶ cut_turn() ──session.cut──▶ controller ──session.end──▶ the other node
 *
 * A flow is told as one text, numbers decimal, as its first packet was on the way between the two nodes (a gateway translates it before
 * or after that): VNI PROTO SRC SPORT DST DPORT. VNI is that of the VPC
 * in which the *other* node keeps the flow: over a peering it is another than here. Ports of ICMP are (id, type << 8 | code).
 *
 * Told once: who is away is told nothing afterwards. Changes of policy come by the controller, so it is there when there is
 * something to tell.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "base/ip.h"

struct flow;

/* Flows in one message. */
#define CUT_PAGE 500u

struct cut_flow {
	struct ip_addr src, dst;
	uint32_t vtep; /* of the other node, by index; of the reporter only */
	uint32_t vni;
	rte_be16_t sport, dport;
	uint32_t proto;
};
_Static_assert(sizeof(struct cut_flow) == 48, "an element of a ring: a multiple of 4, no padding");

#define CUT_TEXT_MAX 128
/* Returns the length. */
size_t cut_format(const struct cut_flow *flow, char text[CUT_TEXT_MAX]);
/* The contrary, but `vtep`. */
bool cut_parse(const char *text, struct cut_flow *flow);

/* A ring for each worker and for the control thread, once worker_count is known. -ENOMEM, logged. */
int cut_init(void);

/* The session, `f` its flow, is about to be removed because its packets may not pass any more. False: there is no room to tell the
 * other node, so it is to stay until it is asked again (at its next packet, which is dropped all the same, or by the sweep). Without cut_init() nobody is told.
 * Workers and the control thread, inside an RCU read section. */
bool cut_tell(uint32_t index, const struct flow *f);

/* Sends what has been told. By a timer of the control thread. */
void cut_turn(void);

#endif
