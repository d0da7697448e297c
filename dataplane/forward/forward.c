/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checksum.h"
#include "forward/apply.h"
#include "vpc/vpc.h"

#define TCP_OPT_END 0
#define TCP_OPT_NOP 1
#define TCP_OPT_MSS 2

/* Is the receiver in the subnet of the sender, which is a port here? */
static bool is_neighbour(const struct rte_mbuf *m, const struct pkt *p, const struct port *port)
{
	const struct vnic *vnic = vnic_of(port);
	const struct endpoint *ep;
	struct ip_addr src, dst;

	parse_addrs(m, p, &src, &dst);
	ep = endpoint_get(p->vpc, &dst);
	return vnic != NULL && ep != NULL && ep->subnet == vnic->subnet;
}

enum drop_reason forward_odd(
	const struct rte_mbuf *m, const struct pkt *p, const struct session_dir *d, bool *routed)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct vpc *vpc = vpc_get(p->vpc);
	const struct port *port = loc_is_port(p->in) ? port_get(loc_index(p->in)) : NULL;

	if (vpc == NULL || (port == NULL && loc_is_port(p->in)))
		return DROP_STALE;
	if (p->in != d->in)
		return port != NULL ? DROP_SPOOFED : DROP_WRONG_VTEP;
	if (port != NULL && port->port_security &&
		!rte_is_same_ether_addr(&eth->src_addr, &port->mac))
		return DROP_SPOOFED;
	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		return DROP_BROADCAST;
	if (d->flags & SESSION_F_REMAC)
		return DROP_NONE;
	/* Through the gateway instead of directly, or, to a neighbour, the other way round. */
	*routed = rte_is_same_ether_addr(&eth->dst_addr, &vpc->gw_mac);
	if (*routed)
		return DROP_NONE;
	if (!rte_is_same_ether_addr(&eth->dst_addr, &d->dmac))
		return DROP_NO_ROUTE;
	return port == NULL || !(d->flags & SESSION_F_ROUTED) || is_neighbour(m, p, port)
		       ? DROP_NONE
		       : DROP_NO_ROUTE;
}

static void clamp_option(struct rte_mbuf *m, struct rte_tcp_hdr *tcp, uint8_t *opt, uint16_t max)
{
	uint16_t old = (uint16_t)(opt[0] << 8 | opt[1]);

	if (old <= max)
		return;
	opt[0] = (uint8_t)(max >> 8);
	opt[1] = (uint8_t)max;
	/* A partial checksum does not cover the options yet. */
	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG))
		return;
	/* An option at an odd offset counts with its bytes swapped. */
	if ((opt - (uint8_t *)tcp) & 1) {
		old = rte_bswap16(old);
		max = rte_bswap16(max);
	}
	tcp->cksum = checksum_apply(
		tcp->cksum, checksum_delta16(0, rte_cpu_to_be_16(old), rte_cpu_to_be_16(max)));
}

void forward_clamp_mss(struct rte_mbuf *m, const struct pkt *p, uint16_t mtu)
{
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, p->l4_off);
	uint16_t max = (uint16_t)(mtu - (p->flags & PKT_F_V6 ? 60 : 40));
	uint8_t *opt = (uint8_t *)(tcp + 1);
	uint8_t *end = (uint8_t *)tcp + (size_t)(tcp->data_off >> 4) * 4;

	if (mtu == UINT16_MAX || end > rte_pktmbuf_mtod(m, uint8_t *) + m->data_len)
		return;
	while (opt < end && *opt != TCP_OPT_END) {
		if (*opt == TCP_OPT_NOP) {
			opt++;
			continue;
		}
		if (opt + 2 > end || opt[1] < 2 || opt + opt[1] > end)
			return;
		if (opt[0] == TCP_OPT_MSS && opt[1] == 4)
			clamp_option(m, tcp, opt + 2, max);
		opt += opt[1];
	}
}

void forward_edges_attach(const char *node, bool road)
{
	const char *names[CLASSIFY_MAX + 1];
	rte_node_t id = rte_node_from_name(node);

	for (unsigned int i = 0; i < CLASSIFY_MAX; i++) {
		names[i] = node_of_classify((enum classify_kind)i);
		if (strcmp(names[i], node) == 0)
			names[i] = "unclaimed"; /* no node leads to itself */
	}
	names[CLASSIFY_MAX] = "road";
	rte_node_edge_update(id, EDGE_COMMON, names, (uint16_t)(CLASSIFY_MAX + (road ? 1 : 0)));
}
