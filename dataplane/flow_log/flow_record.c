/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_log/flow_record.h"

#include <netinet/in.h>

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* A query's type and code as the family of `side` has them, and the answer's. A session is known by its query's only. */
static uint16_t icmp_of(uint16_t query, const struct ip_addr *side, bool answer)
{
	static const struct {
		uint8_t query, answer;
	} pairs[] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {128, 129}};
	uint8_t type = (uint8_t)(query >> 8);

	if (type == 8 || type == 128)
		type = ip_addr_is_v4(side) ? 8 : 128;
	for (unsigned int i = 0; answer && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (type == pairs[i].query)
			return (uint16_t)(pairs[i].answer << 8);
	return (uint16_t)(type << 8 | (query & 0xff));
}

void flow_record_tuple(const struct flow_record *r, unsigned int direction, struct flow_tuple *t)
{
	uint16_t dport = rte_be_to_cpu_16(r->dport);

	if (direction == 0)
		*t = (struct flow_tuple){r->src, r->dst, r->post_src, r->post_dst,
			rte_be_to_cpu_16(r->sport), dport, rte_be_to_cpu_16(r->post_sport),
			rte_be_to_cpu_16(r->post_dport)};
	else
		*t = (struct flow_tuple){r->post_dst, r->post_src, r->dst, r->src,
			rte_be_to_cpu_16(r->post_dport), rte_be_to_cpu_16(r->post_sport), dport,
			rte_be_to_cpu_16(r->sport)};
	if (!is_icmp(r->proto))
		return;
	t->sport = t->post_sport = 0;
	t->dport = icmp_of(dport, &t->src, direction == 1);
	t->post_dport = icmp_of(dport, &t->post_src, direction == 1);
}

unsigned int flow_record_parts(const struct flow_record *r, bool biflow)
{
	if (biflow || r->nat_event != FLOW_NAT_NONE)
		return 1;
	return (r->packets[0] != 0) + (r->packets[1] != 0);
}
