/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes `fragment` (later fragments, from classify) and `fragment_release` (those that were held until
 * their first came; a source). Both give a fragment its first one's ports and apply that session. */
#include "core/stats.h"
#include "forward/apply.h"
#include "fragment/fragment.h"
#include "vpc/vpc.h"

/* Between two looks for what has timed out. */
#define EXPIRE_MS 5u

/* What the next walk of this worker takes up again. */
static __thread struct {
	struct rte_mbuf *frames[FRAGMENT_HELD_MAX];
	struct fragment_flow flows[FRAGMENT_HELD_MAX];
	unsigned int n;
	uint32_t cursor;
	uint32_t expired_ms;
} ready;
static _Atomic uint32_t n_ready;

static uint64_t held(void)
{
	return fragment_held() + atomic_load_explicit(&n_ready, memory_order_relaxed);
}
STATS_HELD(fragment_stats, held)

static void drop_frame(struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count(m, reason);
	rte_pktmbuf_free(m);
}

/* Frames that the table gave back: to the next walk, or to nowhere. */
static void take_freed(const struct fragment_freed *freed, const struct fragment_flow *flow)
{
	for (unsigned int n = 0; n < freed->n; n++) {
		if (freed->reason != DROP_NONE || ready.n == FRAGMENT_HELD_MAX) {
			drop_frame(freed->frames[n],
				freed->reason != DROP_NONE ? freed->reason : DROP_FRAGMENT);
			continue;
		}
		ready.frames[ready.n] = freed->frames[n];
		ready.flows[ready.n++] = *flow;
		atomic_fetch_add_explicit(&n_ready, 1, memory_order_relaxed);
	}
}

static enum drop_reason identify(struct rte_mbuf *m, const struct pkt *p, struct fragment_id *id,
	struct fragment_piece *piece)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l3_off);

	memset(id, 0, sizeof(*id));
	id->vpc = p->vpc;
	id->in = p->in;
	return fragment_parse(
		ip, RTE_MIN((uint32_t)m->data_len - p->l3_off, p->l3_len), p->l3_len, id, piece);
}

enum drop_reason fragment_seen(struct rte_mbuf *m, const struct pkt *p, enum drop_reason denied)
{
	const struct fragment_flow flow = {.sport = p->sport, .dport = p->dport, .proto = p->proto};
	struct fragment_freed freed;
	struct fragment_piece piece;
	struct fragment_id id;
	enum drop_reason reason = identify(m, p, &id, &piece);

	if (reason != DROP_NONE)
		return reason;
	reason = fragment_first(&id, &piece, &flow, denied, worker_self->now_ms, &freed);
	take_freed(&freed, &flow);
	return reason;
}

static uint32_t find_session(const struct rte_mbuf *m, struct pkt *p)
{
	struct session_key key;
	struct ip_addr src, dst;

	parse_addrs(m, p, &src, &dst);
	if (p->flags & PKT_F_V6)
		key = session_key_v6(p->vpc, p->proto, &src, &dst, p->sport, p->dport);
	else
		key = session_key_v4(
			p->vpc, p->proto, ip_addr_v4(&src), ip_addr_v4(&dst), p->sport, p->dport);
	p->hash = session_hash(&key); /* into the same tunnel path as the first */
	return session_lookup(&key, p->hash, &src, &dst);
}

/* The way of the first fragment, for one whose flow is known. */
static unsigned int follow(struct worker *w, struct rte_mbuf *m, const struct fragment_flow *flow)
{
	struct pkt *p = pkt_of(m);
	uint32_t ref;

	p->sport = flow->sport;
	p->dport = flow->dport;
	p->proto = flow->proto;
	p->flags |= PKT_F_L4;
	ref = find_session(m, p);
	if (ref == SESSION_NONE)
		return apply_drop(p, DROP_NO_SESSION);
	return forward_apply(
		w, m, p, ref, false); /* stale: the road finds p->session and asks again */
}

static void serve(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m)
{
	struct worker *w = worker_self;
	struct pkt *p = pkt_of(m);
	struct fragment_freed freed = {.n = 0};
	struct fragment_piece piece;
	struct fragment_flow flow;
	struct fragment_id id;
	enum drop_reason reason = identify(m, p, &id, &piece);
	enum fragment_verdict verdict = FRAGMENT_DROP;

	if (reason == DROP_NONE)
		verdict = fragment_later(&id, &piece, m, w->now_ms, &flow, &reason, &freed);
	take_freed(&freed, &flow);
	if (verdict == FRAGMENT_GO) {
		rte_node_enqueue_x1(graph, node, (rte_edge_t)follow(w, m, &flow), m);
	} else if (verdict == FRAGMENT_DROP) {
		p->out = LOC_NONE; /* counted at the sender, whatever became of the first */
		node_drop(graph, node, m, reason);
	}
}

static uint16_t fragment_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t i = 0; i < nb_objs; i++)
		serve(graph, node, objs[i]);
	return nb_objs;
}

static void expire(struct worker *w)
{
	struct fragment_freed freed;
	bool more;

	if (w->now_ms - ready.expired_ms < EXPIRE_MS)
		return;
	ready.expired_ms = w->now_ms;
	do {
		more = fragment_expire(&ready.cursor, w->now_ms, &freed);
		take_freed(&freed, NULL);
	} while (more);
}

static uint16_t release_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct worker *w = worker_self;
	uint16_t n = (uint16_t)ready.n;

	(void)objs;
	(void)nb_objs;
	if (unlikely(fragment_held() != 0))
		expire(w);
	if (likely(n == 0))
		return 0;
	node->idx = 0;
	for (uint16_t i = 0; i < n; i++)
		rte_node_enqueue_x1(graph, node,
			(rte_edge_t)follow(w, ready.frames[i], &ready.flows[i]), ready.frames[i]);
	ready.n = 0;
	atomic_fetch_sub_explicit(&n_ready, n, memory_order_relaxed);
	return n;
}

static struct rte_node_register fragment_node;
NODE_REGISTER(fragment_node, "fragment", fragment_process);
NODE_ATTACH_CLASSIFY(fragment_attachment, CLASSIFY_FRAGMENT, "fragment")

static struct rte_node_register release_node = {
	.name = "fragment_release",
	.process = release_process,
	.flags = RTE_NODE_SOURCE_F,
	.nb_edges = EDGE_COMMON,
	.next_nodes = {"drop", "port_tx", "underlay_tx"},
};
RTE_NODE_REGISTER(release_node);

static void link_fragment(void)
{
	forward_edges_attach("fragment", true);
	forward_edges_attach("fragment_release", true);
}
NODE_LINKER(fragment_linker, link_fragment)
