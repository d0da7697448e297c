/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_FLOW_H
#define NAT_NAT_FLOW_H
/* Translation of flows: what nat_leave.c (out of a VPC) and nat_arrive.c (to an elastic IP) share. Inside an RCU section. */
#include <netinet/in.h>

#include "nat/nat_address.h"
#include "nat/nat_gateway.h"
#include "nat/nat_hold.h"

/* The space of ports of a flow; NAT_SPACES: its protocol has none that can be translated (RFC 4787, 5382, 5508). */
static inline enum nat_space nat_space_of_flow(const struct flow *f)
{
	switch (f->proto) {
	case IPPROTO_TCP:
		return NAT_TCP;
	case IPPROTO_UDP:
		return NAT_UDP;
	default:
		return f->proto == (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ? NAT_ICMP : NAT_SPACES;
	}
}

/* The session that is asked again has this of nat/; 0: a new flow, or it has none. */
static inline uint32_t nat_kept_of(const struct flow *f)
{
	return f->kept != NULL ? f->kept->hold.id[HOLD_NAT] : 0;
}

/* A flow that leaves by gateway `gw` of which `source` covers it: the port it gets, held by the flow from now on, or the kept one.
 * Returns its address; NULL: dropped. */
const struct nat_address *nat_translate(struct flow *f, struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source);

/* Refused for want of ports or by a limit: counted, told to the controller. False. */
bool nat_refuse(struct flow *f, struct nat_gateway *gw, enum nat_refusal why);

/* A session's, for the filter set and the log. */
struct nat_ends {
	struct ip_addr inside, remote;
	rte_be16_t inside_port, outside_port, remote_port;
};

/* What a session holds instead of `id`, whose reference it takes over: perhaps a note in the mapping's filter set, perhaps one for the
 * log. 0: no record left, and `id` is dropped. */
uint32_t nat_wrap(const struct flow *f, const struct nat_rules *rules, uint32_t id,
	const struct nat_ends *ends);

uint64_t nat_random(void);
/* Nobody else's to guess either, and each time the same for the flow. */
uint64_t nat_random_of(const struct flow *f);

#endif
