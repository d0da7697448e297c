/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/detour.h"

#include "forward/parse.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

static bool is_foreign(loc_t where)
{
	const struct vtep *vtep = loc_is_tunnel(where) ? vtep_get(loc_index(where)) : NULL;

	return vtep != NULL && vtep_is_foreign(vtep);
}

static bool is_for_gateway(const struct rte_mbuf *m, const struct vpc *vpc)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		       eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6)) &&
	       rte_is_same_ether_addr(&eth->dst_addr, &vpc->gw_mac);
}

/* From a VTEP of somebody else to a node of ours: by the VPC that it came in, as it came. */
static unsigned int pass_on(
	struct pkt *p, const struct vpc *vpc, const struct ip_addr *src, loc_t to)
{
	struct origin o;

	origin_find(vpc, src, &o);
	if (o.where != p->in) {
		p->reason = DROP_WRONG_VTEP;
		return EDGE_DROP;
	}
	p->out = to;
	p->out_vni = vpc->vni;
	return EDGE_UNDERLAY_TX;
}

unsigned int detour_edge(struct rte_mbuf *m, struct pkt *p)
{
	const struct vpc *vpc = vpc_get(p->vpc);
	struct ip_addr src, dst;
	struct origin o;

	if (vpc == NULL || !is_for_gateway(m, vpc))
		return DETOUR_NONE;
	parse_addrs(m, p, &src, &dst);
	if (!is_foreign(p->in)) {
		origin_find(vpc, &src, &o);
		if (o.where != p->in && is_foreign(o.where))
			p->in = o.where;
		return DETOUR_NONE;
	}
	if (p->session != UINT32_MAX || gateway_is(vpc, &dst))
		return DETOUR_NONE;
	origin_find(vpc, &dst, &o);
	return loc_is_tunnel(o.where) && !is_foreign(o.where) ? pass_on(p, vpc, &src, o.where)
							      : DETOUR_NONE;
}
