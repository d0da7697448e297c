/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that go no further and whose sender is told: `ttl_expired`, `too_big`, `nat_exhausted`, `no_route`. */
#include "core/node.h"
#include "external/external.h"
#include "forward/parse.h"
#include "vpc/icmp6.h"
#include "vpc/icmp_error.h"
#include "vpc/vpc_internal.h"

/* Where an error to the sender of a packet comes from and goes to. */
struct sender {
	const struct vpc *vpc;
	const struct subnet *subnet;
	struct rte_ether_addr mac;
};

static bool sender_on_port(struct sender *s, const struct pkt *p, const struct rte_ether_hdr *eth)
{
	const struct port *port = port_get(loc_index(p->in));
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	if (vnic == NULL)
		return false;
	s->vpc = vnic->vpc;
	s->subnet = vnic->subnet;
	s->mac = eth->src_addr;
	return true;
}

static bool sender_behind_tunnel(struct sender *s, const struct pkt *p, const struct ip_addr *src)
{
	const struct endpoint *ep = NULL;
	const struct route *route;

	s->vpc = vpc_get(p->vpc);
	if (s->vpc == NULL)
		return false;
	ep = endpoint_get(s->vpc->index, src);
	route = ep == NULL ? route_get(s->vpc, src) : NULL;
	if (route != NULL && route->kind == ROUTE_PEERING) {
		s->vpc = route->peer;
		ep = endpoint_get(s->vpc->index, src);
	}
	if (ep == NULL)
		return false;
	s->subnet = ep->subnet;
	s->mac = ep->mac;
	return true;
}

/* Where it came from on the outside link; from our own address there. */
static bool sender_outside(
	struct sender *s, bool v4, const struct rte_ether_hdr *eth, struct ip_addr *own)
{
	s->mac = eth->src_addr;
	*own = external_family(s->vpc->external, !v4)->address;
	return external_has(s->vpc->external, !v4);
}

/* Who is told, and by which address: the gateway's of the sender's subnet and the packet's family. False: nobody, or too often. */
static bool find_sender(struct rte_mbuf *m, const struct pkt *p, const uint8_t *ip,
	struct sender *s, struct ip_addr *gateway)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool v4 = ip[0] >> 4 == 4;
	struct ip_addr src = v4 ? ip_addr_from_v4(((const struct rte_ipv4_hdr *)ip)->src_addr)
				: ip_addr_from_v6(((const struct rte_ipv6_hdr *)ip)->src_addr);

	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		return false;
	s->vpc = vpc_get(p->vpc);
	if (s->vpc != NULL && s->vpc->external != NULL)
		return sender_outside(s, v4, eth, gateway) &&
		       icmp_error_pass_outside(&src, worker_self->now_ms);
	if (loc_is_tunnel(p->in) ? !sender_behind_tunnel(s, p, &src) : !sender_on_port(s, p, eth))
		return false;
	if (s->subnet == NULL)
		return false;
	*gateway = v4 ? s->subnet->gateway4 : s->subnet->gateway6;
	return (gateway->q[0] | gateway->q[1]) != 0 && icmp_error_pass(p->in, worker_self->now_ms);
}

struct rte_mbuf *icmp_error_answer(struct rte_mbuf *m, enum icmp_error_kind kind, uint16_t mtu)
{
	uint8_t copy[ICMP_ERROR_QUOTE6];
	const struct pkt *p = pkt_of(m);
	uint16_t len = (uint16_t)RTE_MIN(m->pkt_len - p->l3_off, (uint32_t)sizeof(copy));
	const uint8_t *ip = rte_pktmbuf_read(m, p->l3_off, len, copy);
	struct icmp_error e = {.kind = kind, .mtu = mtu};
	struct rte_mbuf *answer;
	struct sender s;
	struct pkt *a;

	if (ip == NULL || !icmp_error_allowed(ip, len) || !find_sender(m, p, ip, &s, &e.src) ||
		(answer = node_generate()) == NULL)
		return NULL;
	e.smac = s.vpc->gw_mac;
	e.dmac = s.mac;
	answer->data_len = icmp_error_build(rte_pktmbuf_mtod(answer, uint8_t *), &e, ip, len);
	answer->pkt_len = answer->data_len;
	a = pkt_of(answer);
	a->in = p->in;
	a->out = p->in;
	a->vpc = s.vpc->index;
	a->out_vni = s.vpc->vni;
	a->hash = p->hash;
	return answer;
}

static void tell(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m,
	enum icmp_error_kind kind, enum drop_reason reason)
{
	struct rte_mbuf *answer = icmp_error_answer(m, kind, (uint16_t)m->hash.usr);

	if (answer != NULL)
		rte_node_enqueue_x1(graph, node,
			loc_is_tunnel(pkt_of(answer)->out) ? EDGE_UNDERLAY_TX : EDGE_PORT_TX,
			answer);
	node_drop(graph, node, m, reason);
}

static uint16_t ttl_expired_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		tell(graph, node, objs[i], ICMP_ERROR_TTL, DROP_TTL_EXPIRED);
	return nb_objs;
}

static uint16_t too_big_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		tell(graph, node, objs[i], ICMP_ERROR_TOO_BIG, DROP_TOO_BIG);
	return nb_objs;
}

/* RFC 1812 section 5.2.7.1, RFC 4443 section 3.1: a machine gave it to the gateway, and no route leads there. Of an address that nobody has
 * in a network that is known nobody is told: who has it may come this moment, and a client that hears nothing tries again. Link-local
 * addresses end at the gateway as they do at every router, silently. */
static bool is_unroutable(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct vpc *vpc = vpc_get(p->vpc);
	struct ip_addr src, dst;

	if (vpc == NULL || vpc->external != NULL ||
		!rte_is_same_ether_addr(&eth->dst_addr, &vpc->gw_mac))
		return false;
	parse_addrs(m, p, &src, &dst);
	return !ip_addr_is_link_local(&src) && !ip_addr_is_link_local(&dst) &&
	       route_get(vpc, &dst) == NULL;
}

static uint16_t prohibited_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++) {
		enum drop_reason reason = (enum drop_reason)pkt_of(objs[i])->reason;

		if (reason != DROP_NO_ROUTE)
			tell(graph, node, objs[i], ICMP_ERROR_PROHIBITED, reason);
		else if (is_unroutable(objs[i]))
			tell(graph, node, objs[i], ICMP_ERROR_NO_ROUTE, reason);
		else
			node_drop(graph, node, objs[i], reason);
	}
	return nb_objs;
}

static struct rte_node_register ttl_expired_node, too_big_node, prohibited_node;
NODE_REGISTER(ttl_expired_node, "ttl_expired", ttl_expired_process);
NODE_REGISTER(too_big_node, "too_big", too_big_process);
NODE_REGISTER(prohibited_node, "prohibited", prohibited_process);
NODE_ATTACH_CLASSIFY(ttl_expired_attachment, CLASSIFY_TTL, "ttl_expired")
NODE_ATTACH_CLASSIFY(too_big_attachment, CLASSIFY_TOO_BIG, "too_big")
NODE_ATTACH_CLASSIFY(prohibited_attachment, CLASSIFY_PROHIBITED, "prohibited")
