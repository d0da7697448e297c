/* SPDX-License-Identifier: Apache-2.0 */
/* Takes VXLAN apart: underlay frame → inner frame, its VPC, and the tunnel it came by. */
#include <netinet/in.h>

#include "core/control.h"
#include "core/node.h"
#include "port/offload.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define EDGE_FAST_PATH 1
#define EDGE_PROBE 2
#define EDGE_COPY 3

/* What becomes of a frame that is neither dropped nor a VPC's. */
#define PUNTED DROP_MAX
#define TO_PROBE ((enum drop_reason)(DROP_MAX + 1))
#define TO_COPY ((enum drop_reason)(DROP_MAX + 2))

#define VNI_PROBE 0 /* no VPC has it */

bool (*underlay_is_copy)(uint32_t vni);

/* What the frame before had: neighbours in a burst mostly come from the same place. */
struct last {
	struct ip_addr own
		[2]; /* of the node, by family; none: one of the other family, which no packet of this one has */
	struct ip_addr src;
	const struct vtep *vtep; /* of src; NULL: nothing yet */
	const struct vpc *vpc;   /* NULL: nothing yet */
	uint32_t vni;            /* of vpc */
};

/* ARP, neighbour solicitations and advertisements are the control thread's. */
static bool is_neighbour_talk(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_len >= 42 && f[12] == 0x08 && f[13] == 0x06)
		return true;
	return m->data_len >= 78 && f[12] == 0x86 && f[13] == 0xdd && f[20] == IPPROTO_ICMPV6 &&
	       (f[54] == 135 || f[54] == 136);
}

static inline const struct vtep *find_vtep(struct last *last, const struct ip_addr *src)
{
	if (unlikely(last->vtep == NULL || !ip_addr_equal(&last->src, src))) {
		last->vtep = vtep_by_addr(src);
		last->src = *src;
	}
	return last->vtep;
}

static inline const struct vpc *find_vpc(struct last *last, uint32_t vni)
{
	if (unlikely(last->vpc == NULL || last->vni != vni)) {
		last->vpc = vpc_by_vni(vni);
		last->vni = vni;
	}
	return last->vpc;
}

/* Of a VNI that is no VPC's: what becomes of the frame. */
static enum drop_reason beside(uint32_t vni)
{
	if (vni == VNI_PROBE)
		return TO_PROBE;
	return underlay_is_copy != NULL && underlay_is_copy(vni) ? TO_COPY : DROP_UNKNOWN_VNI;
}

/* DROP_NONE: `m` is the inner frame now. */
static inline enum drop_reason decap(
	struct rte_mbuf *m, struct pkt *p, const struct vxlan_info *info, struct last *last)
{
	const struct vtep *vtep = find_vtep(last, &info->src);
	enum drop_reason other = DROP_NONE;
	const struct vpc *vpc;

	if (unlikely(vtep == NULL))
		return DROP_UNKNOWN_VTEP;
	vpc = find_vpc(last, info->vni);
	if (unlikely(vpc == NULL))
		other = beside(info->vni);
	if (unlikely(other == DROP_UNKNOWN_VNI))
		return other;
	/* Ethernet pads short frames; that is not the inner frame's. */
	if (unlikely(m->pkt_len > info->end) &&
		rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - info->end)) != 0)
		return DROP_MALFORMED;
	rte_pktmbuf_adj(m, info->len);
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
	offload_decap(m);
	p->in = loc_tunnel(vtep->index);
	if (unlikely(vpc == NULL)) {
		p->vpc = PKT_VPC_NONE;
		p->out_vni = info->vni;
		return other;
	}
	p->vpc = vpc->index;
	return vxlan_ecn_in(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, info->ecn);
}

/* ICMP echo replies of VTEPs: our probes of those that somebody else runs ask for them. */
static bool is_echo_reply(struct rte_mbuf *m, const struct vxlan_info *info, struct last *last)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct vtep *vtep;
	bool v6 = !ip_addr_is_v4(&info->dst);
	unsigned int at = v6 ? 54 : 14 + (f[14] & 15u) * 4;

	if (m->data_len < at + 8 || f[v6 ? 20 : 23] != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
		f[at] != (v6 ? 129 : 0) || !ip_addr_equal(&last->own[v6], &info->dst) ||
		(vtep = find_vtep(last, &info->src)) == NULL)
		return false;
	pkt_of(m)->in = loc_tunnel(vtep->index);
	return true;
}

static inline enum drop_reason receive(
	struct rte_mbuf *m, const struct port *port, struct last *last)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	struct vxlan_info info = {.is_vxlan = false};
	enum drop_reason reason = DROP_NONE;

	/* The port hears everything: another host's frames are none of our business, malformed or not. */
	if (likely(rte_is_same_ether_addr(&eth->dst_addr, &port->mac)))
		reason = vxlan_parse(m, &info);
	if (unlikely(reason != DROP_NONE))
		return reason;
	if (likely(info.is_vxlan)) {
		if (likely(ip_addr_equal(&last->own[!ip_addr_is_v4(&info.dst)], &info.dst)))
			return decap(m, pkt_of(m), &info, last);
		return DROP_NOT_FOR_US;
	}
	if (is_echo_reply(m, &info, last))
		return TO_PROBE;
	if (!is_neighbour_talk(m) || (rte_is_unicast_ether_addr(&eth->dst_addr) &&
					     !rte_is_same_ether_addr(&eth->dst_addr, &port->mac)))
		return DROP_NOT_FOR_US;
	control_punt(m, CONTROL_NEIGHBOUR);
	return PUNTED;
}

static uint16_t rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct port *port = underlay_port();
	struct last last = {.vtep = NULL};
	uint16_t inner = 0;

	last.own[1] = ip_addr_from_v4(0);
	for (int v6 = 0; v6 < 2; v6++)
		if (underlay_address(v6) != NULL)
			last.own[v6] = *underlay_address(v6);

	/* Inner frames move to the front of objs, in order. */
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		enum drop_reason reason = receive(m, port, &last);

		if (likely(reason == DROP_NONE))
			objs[inner++] = m;
		else if (reason == TO_PROBE)
			rte_node_enqueue_x1(graph, node, EDGE_PROBE, m);
		else if (reason == TO_COPY)
			rte_node_enqueue_x1(graph, node, EDGE_COPY, m);
		else if (reason != PUNTED)
			node_drop(graph, node, m, reason);
	}
	if (likely(inner == nb_objs))
		rte_node_next_stream_move(graph, node, EDGE_FAST_PATH);
	else
		rte_node_enqueue(graph, node, EDGE_FAST_PATH, objs, inner);
	return nb_objs;
}

static struct rte_node_register rx_node = {
	.name = "underlay_rx",
	.process = rx_process,
	.nb_edges = 2,
	.next_nodes = {"drop", "fast_path"},
};
RTE_NODE_REGISTER(rx_node);

static void link_others(void)
{
	const char *names[] = {node_of_classify(CLASSIFY_PROBE), node_of_classify(CLASSIFY_COPY)};

	rte_node_edge_update(rte_node_from_name("underlay_rx"), EDGE_PROBE, names, 2);
}
NODE_LINKER(others_linker, link_others)
NODE_ATTACH_RX(underlay_rx_attachment, PORT_UNDERLAY, "underlay_rx")
