/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the tunnels: underlay_rx takes VXLAN apart, underlay_tx puts it together. */
#include <netinet/in.h>

#include "core/control.h"
#include "core/node.h"
#include "port/offload.h"
#include "session/session.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define RX_FAST_PATH 1

/* ARP and ND are the control thread's. */
static bool is_neighbour_talk(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_len >= 42 && f[12] == 0x08 && f[13] == 0x06)
		return true;
	return m->data_len >= 78 && f[12] == 0x86 && f[13] == 0xdd && f[20] == IPPROTO_ICMPV6 &&
	       f[54] >= 133 && f[54] <= 137;
}

/* DROP_NONE: `m` is the inner frame now. */
static enum drop_reason decap(struct rte_mbuf *m, struct pkt *p, const struct vxlan_info *info)
{
	const struct vtep *vtep = vtep_by_addr(&info->src);
	const struct vpc *vpc;

	if (vtep == NULL)
		return DROP_UNKNOWN_VTEP;
	vpc = vpc_by_vni(info->vni);
	if (vpc == NULL)
		return DROP_UNKNOWN_VNI;
	p->in = loc_tunnel(vtep->index);
	p->vpc = vpc->index;
	p->outer_ecn = info->ecn;
	if (rte_pktmbuf_adj(m, info->len) == NULL)
		return DROP_MALFORMED;
	offload_decap(m);
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
	return vxlan_ecn_in(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, info->ecn);
}

static uint16_t rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		struct vxlan_info info;
		enum drop_reason reason = vxlan_parse(m, &info);
		const struct ip_addr *own;

		if (reason == DROP_NONE && !info.is_vxlan) {
			if (is_neighbour_talk(m)) {
				control_punt(m);
				continue;
			}
			reason = DROP_NOT_FOR_US;
		}
		if (reason == DROP_NONE) {
			own = underlay_address(!ip_addr_is_v4(&info.dst));
			reason = own != NULL && ip_addr_equal(own, &info.dst)
					 ? decap(m, pkt_of(m), &info)
					 : DROP_NOT_FOR_US;
		}
		if (likely(reason == DROP_NONE))
			rte_node_enqueue_x1(graph, node, RX_FAST_PATH, m);
		else
			node_drop(graph, node, m, reason);
	}
	return nb_objs;
}

static struct rte_node_register rx_node = {
	.name = "underlay_rx",
	.process = rx_process,
	.nb_edges = 2,
	.next_nodes = {"drop", "fast_path"},
};
RTE_NODE_REGISTER(rx_node);
NODE_ATTACH_RX(underlay_rx_attachment, PORT_UNDERLAY, "underlay_rx")

/* What leaves together. */
struct batch {
	struct rte_mbuf *pkts[BURST];
	uint16_t n;
};

static inline void flush(struct batch *b)
{
	if (b->n > 0)
		port_send(underlay_port(), b->pkts, b->n);
	b->n = 0;
}

static inline void add(struct batch *b, struct rte_mbuf *m)
{
	b->pkts[b->n++] = m;
	if (b->n == BURST)
		flush(b);
}

static void drop_here(struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count(m, reason);
	rte_pktmbuf_free(m);
}

/* One complete inner frame. */
static inline void push(struct batch *b, struct rte_mbuf *m, const struct vxlan_outer *outer,
	uint32_t vni, uint32_t hash)
{
	uint8_t ecn = vxlan_ecn_of(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);

	if (unlikely(m->pkt_len + outer->len - sizeof(struct rte_ether_hdr) > underlay_mtu()))
		drop_here(m, DROP_TOO_BIG);
	else if (likely(vxlan_push(m, outer, vni, hash, ecn)))
		add(b, m);
	else
		drop_here(m, DROP_NO_BUFFER);
}

/* A frame that asks for segments or a checksum. */
static void push_fixed(struct batch *b, struct rte_mbuf *m, const struct vxlan_outer *outer)
{
	struct rte_mbuf *out[BURST];
	struct pkt p = *pkt_of(m);
	struct offload o;
	unsigned int n;

	if (offload_begin(&o, PORT_CAP_MULTI_SEG, m) != 0) {
		drop_here(m, DROP_MALFORMED);
		return;
	}
	while ((n = offload_next(&o, out, BURST)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			*pkt_of(out[i]) = p;
			push(b, out[i], outer, p.out_vni, p.hash);
		}
	}
	/* One frame came in; the others are extra. Of one that is lost half way the rest counts as one drop. */
	if (o.count + o.failed > 1)
		worker_self->count.generated += o.count + o.failed - 1;
	if (unlikely(o.failed))
		drop_count(o.frame, DROP_NO_BUFFER);
	offload_end(&o);
}

static void encap(struct batch *b, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct vtep *vtep = vtep_get(loc_index(p->out));
	const struct vxlan_outer *outer;

	if (unlikely(vtep == NULL)) {
		drop_here(m, DROP_UNKNOWN_VTEP);
		return;
	}
	outer = atomic_load_explicit(&vtep->outer, memory_order_acquire);
	if (unlikely(outer == NULL)) {
		if (!atomic_load_explicit(&vtep->wanted, memory_order_relaxed))
			atomic_store_explicit(&vtep->wanted, true, memory_order_relaxed);
		drop_here(m, DROP_NO_NEIGHBOUR);
		return;
	}
	if (likely(offload_fits(PORT_CAP_MULTI_SEG, m)))
		push(b, m, outer, p->out_vni, p->hash);
	else
		push_fixed(b, m, outer);
}

static uint16_t tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct batch b = {.n = 0};
	bool ready = underlay_port() != NULL;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];

		if (unlikely(!ready))
			node_drop(graph, node, m, DROP_PORT_DOWN);
		else if (likely(loc_is_tunnel(pkt_of(m)->out)))
			encap(&b, m);
		else
			add(&b, m);
	}
	flush(&b);
	return nb_objs;
}

static struct rte_node_register tx_node = {
	.name = "underlay_tx",
	.process = tx_process,
	.nb_edges = 1,
	.next_nodes = {"drop"},
};
RTE_NODE_REGISTER(tx_node);
