/* SPDX-License-Identifier: Apache-2.0 */
/* The short road: a burst of packets whose sessions are known, in stages with prefetch between them.
 *
 *   parse   headers → key, hash                (frames prefetched by who received them)
 *   look up buckets, tags, keys                (session_lookup_bulk: a stage at a time over the burst)
 *   apply   TCP state, rewrite, count, output  (read and write lines prefetched by the look-up)
 *
 * What has no session goes down the readable road.
 */
#include "base/simd.h"
#include "forward/apply.h"

static struct rte_node_register fast_path_node;

/* What one burst needs between its stages, by packet. */
struct burst {
	struct session_key keys[BURST];
	uint32_t hashes[BURST];
	struct ip_addr addrs[BURST][2];
	uint32_t refs[BURST];
	uint8_t edge[BURST];
	uint64_t v6;
};

static __rte_always_inline void stage_parse(struct burst *b, struct rte_mbuf **pkts, unsigned int n)
{
	uint64_t v6 = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		enum parse_verdict v = parse_packet(pkts[i], p, &b->keys[i], b->addrs[i]);

		b->edge[i] = EDGE_ROAD;
		if (unlikely(v != PARSE_SESSION)) {
			/* A key that nothing has: there is no VPC 0. */
			b->keys[i] = (struct session_key){.scope_proto = 0};
			if (v == PARSE_DROP)
				b->edge[i] = EDGE_DROP;
		} else if (unlikely(p->flags & PKT_F_V6)) {
			v6 |= UINT64_C(1) << i;
		}
		b->hashes[i] = p->hash = session_hash(&b->keys[i]);
	}
	b->v6 = v6;
}

static __rte_always_inline void stage_apply(
	struct worker *w, struct burst *b, struct rte_mbuf **pkts, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		if (likely(b->refs[i] != SESSION_NONE))
			b->edge[i] = (uint8_t)forward_apply(w, pkts[i], p, b->refs[i], false);
		else
			p->session = SESSION_NONE;
	}
}

/* Packets of a burst mostly go the same way: enqueue runs. */
static __rte_always_inline void stage_enqueue(struct rte_graph *graph, struct rte_node *node,
	const struct burst *b, struct rte_mbuf **pkts, unsigned int n)
{
	for (unsigned int i = 0, start; i < n;) {
		start = i;
		while (i < n && b->edge[i] == b->edge[start])
			i++;
		rte_node_enqueue(
			graph, node, b->edge[start], (void **)&pkts[start], (uint16_t)(i - start));
	}
}

SIMD_CLONES static uint16_t fast_path_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct worker *w = worker_self;
	struct burst b;

	for (uint16_t done = 0, n; done < nb_objs; done = (uint16_t)(done + n)) {
		struct rte_mbuf **pkts = (struct rte_mbuf **)objs + done;

		n = RTE_MIN((uint16_t)(nb_objs - done), (uint16_t)BURST);
		stage_parse(&b, pkts, n);
		session_lookup_bulk(
			b.keys, b.hashes, (const struct ip_addr(*)[2])b.addrs, b.v6, b.refs, n);
		stage_apply(w, &b, pkts, n);
		stage_enqueue(graph, node, &b, pkts, n);
	}
	inspect_burst_end(w);
	return nb_objs;
}

NODE_REGISTER(fast_path_node, "fast_path", fast_path_process);

static void link_fast_path(void)
{
	forward_edges_attach("fast_path", true);
}
NODE_LINKER(fast_path_linker, link_fast_path)
NODE_ATTACH_RX(fast_path_rx, PORT_TENANT, "fast_path")
NODE_ATTACH_RX(fast_path_external_rx, PORT_EXTERNAL, "fast_path")
