/* SPDX-License-Identifier: Apache-2.0 */
/* The readable road's node: packets without a fresh session.
 *
 *   frames that came by another node of ours (detour.h)         → on, or as if they came straight
 *   frames that a service answers (ARP, ND, DHCP, the gateway)  → that service
 *   ICMP errors                                                 → the session of the flow they quote
 *   later fragments                                             → their first fragment's session
 *   a session whose verdict is stale                            → asked again
 *   the first packet of a flow                                  → walked, becomes a session
 */
#include <errno.h>

#include "flow_log/flow_log.h"
#include "forward/apply.h"
#include "forward/denied.h"
#include "forward/detour.h"
#include "forward/recover.h"
#include "qos/limit.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

static struct rte_node_register road_node;

static unsigned int drop(struct pkt *p, enum drop_reason reason)
{
	p->reason = (uint8_t)reason;
	return EDGE_DROP;
}

/* Refused on the way to `out`: what the receiver's groups refuse is counted there. */
static unsigned int drop_towards(struct pkt *p, loc_t out, enum drop_reason reason)
{
	p->out = out;
	return drop(p, reason);
}

static bool is_dhcp(const struct pkt *p)
{
	if (p->proto != IPPROTO_UDP || !(p->flags & PKT_F_L4))
		return false;
	return p->flags & PKT_F_V6 ? p->dport == RTE_BE16(547) || p->dport == RTE_BE16(546)
				   : p->dport == RTE_BE16(67) || p->dport == RTE_BE16(68);
}

static bool is_nd(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	return (p->flags & PKT_F_V6) && p->proto == IPPROTO_ICMPV6 &&
	       !(p->flags & PKT_F_FRAGMENT) && icmp[0] >= 133 && icmp[0] <= 137;
}

/* The service a frame is for, or CLASSIFY_MAX. */
static enum classify_kind classify(const struct rte_mbuf *m, const struct pkt *p, struct flow *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct vpc *vpc;
	struct ip_addr src, dst;
	bool to_gateway;

	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return CLASSIFY_ARP;
	if (is_nd(m, p))
		return CLASSIFY_ND;
	vpc = vpc_get(p->vpc);
	if (is_dhcp(p) && (vpc == NULL || vpc->external == NULL))
		return p->flags & PKT_F_V6 ? CLASSIFY_DHCP6 : CLASSIFY_DHCP;
	if (p->flags & PKT_F_LATER)
		return CLASSIFY_FRAGMENT;
	/* An error to the gateway is about what it sent itself (health checks): related() finds that flow. */
	if (vpc == NULL || (p->flags & PKT_F_ICMP_ERROR) ||
		!rte_is_same_ether_addr(&eth->dst_addr, &vpc->gw_mac))
		return CLASSIFY_MAX;
	if (f != NULL) {
		to_gateway = gateway_is_destination(vpc, f);
	} else {
		parse_addrs(m, p, &src, &dst);
		to_gateway = gateway_is(vpc, &dst);
	}
	return to_gateway ? CLASSIFY_GATEWAY : CLASSIFY_MAX;
}

/* Applies a session after asking again if its verdict is stale. */
static unsigned int checked(struct worker *w, struct rte_mbuf *m, struct pkt *p, uint32_t ref)
{
	if (!verdict_still_fresh(ref, w->change)) {
		loc_t out = session_dir_of(ref & ~1u)->out;
		enum drop_reason reason = verdict_refresh(ref >> 1);

		if (reason == DROP_STALE) { /* the record can not say it any more: a new one may */
			p->session = SESSION_NONE;
			return EDGE_ROAD;
		}
		if (reason != DROP_NONE)
			return drop_towards(p, out, reason);
	}
	return forward_apply(w, m, p, ref, true);
}

/* From a tunnel: what lives behind it, its gateway, what a gateway to elsewhere brings; and an end of the flow itself, whose packets come
 * that way. */
static bool comes_from(const struct pkt *p, const struct ip_addr *src, const struct vpc *vpc,
	const struct parse_quote *q, uint32_t ref)
{
	const struct vtep *vtep = vtep_get(loc_index(p->in));
	struct origin o;

	if (vtep == NULL)
		return false;
	origin_find(vpc, src, &o);
	return o.where == p->in || vtep->gateway || gateway_is(vpc, src) ||
	       (ref != SESSION_NONE && session_dir_of(ref)->in == p->in &&
		       ip_addr_equal(src, &q->dst));
}

/* May the sender of an error use that source? It need not be an end of the flow: routers send errors too, those of outside networks
 * above all, and the gateway on another node does. */
static enum drop_reason error_source(
	const struct pkt *p, const struct ip_addr *src, const struct parse_quote *q, uint32_t ref)
{
	const struct port *port = loc_is_port(p->in) ? port_get(loc_index(p->in)) : NULL;
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;
	const struct vpc *vpc = vpc_get(p->vpc);

	if (vpc == NULL)
		return DROP_STALE;
	if (loc_is_tunnel(p->in))
		return comes_from(p, src, vpc, q, ref) ? DROP_NONE : DROP_WRONG_VTEP;
	if (vpc->external != NULL)
		return ip_addr_is_multicast(src) ? DROP_SPOOFED : DROP_NONE;
	if (vnic == NULL)
		return DROP_STALE;
	return !port->port_security || vnic_may_use(vnic, src) ? DROP_NONE : DROP_SPOOFED;
}

/* An ICMP error follows the session of the packet it quotes, the other way: to who has sent that packet. */
static unsigned int related(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	struct ip_addr src, dst;
	enum drop_reason reason;
	struct parse_quote q = {.end = 0};
	struct session_key key;
	uint32_t ref = SESSION_NONE;

	parse_addrs(m, p, &src, &dst);
	if (parse_quote(m, p, &q) && ip_addr_equal(&q.src, &dst)) {
		key = parse_quote_key(p, &q);
		p->hash = session_hash(&key);
		ref = session_lookup(&key, p->hash, &q.dst, &q.src);
	}
	reason = error_source(p, &src, &q, ref);
	if (reason != DROP_NONE)
		return drop(p, reason);
	if (ref == SESSION_NONE)
		return drop(p, DROP_NO_SESSION);
	return checked(w, m, p, ref);
}

static enum drop_reason insert_error(int err)
{
	switch (err) {
	case -EDQUOT:
		return DROP_SESSION_SHARE;
	case -EBUSY:
		return DROP_SESSION_UNANSWERED;
	default:
		return DROP_SESSION_TABLE_FULL;
	}
}

/* A segment from the middle of a connection that began before we did. */
static unsigned int pick_up(struct worker *w, struct rte_mbuf *m, struct pkt *p,
	const struct flow *packet, const struct rte_tcp_hdr *tcp)
{
	uint32_t l4_len = (uint32_t)p->l3_len - (p->l4_off - p->l3_off);
	uint32_t change = epoch_change(), ref;
	struct session_key arrived = verdict_key(packet), key;
	struct flow f;
	int err;

	if (recover_was_refused(&arrived))
		return drop(p, DROP_NO_SESSION);
	if (!recover_walk(packet, &f)) {
		flow_release(&f);
		if (f.reason == DROP_POLICY_EGRESS || f.reason == DROP_POLICY_INGRESS)
			recover_note_refused(&arrived);
		return drop_towards(p, f.out, f.reason);
	}
	key = verdict_key(&f);
	err = verdict_insert(&f, &key, change, w->now_ms, &ref);
	if (err != 0)
		flow_release(&f);
	if (err != 0 && err != -EEXIST)
		return drop(p, insert_error(err));
	/* In the direction of this segment, be it the client's or the server's. */
	ref = session_lookup(&arrived, session_hash(&arrived), &packet->src, &packet->dst);
	if (ref == SESSION_NONE)
		return drop(p, DROP_STALE);
	if (err == 0)
		tcp_start(ref, tcp, l4_len, true);
	return forward_apply(w, m, p, ref, true);
}

/* Refused a moment ago, too often asked for, or by the road. False: with `reason` and `out`. */
static bool may_begin(const struct worker *w, struct flow *f, const struct session_key *key,
	uint32_t hash, uint32_t change)
{
	loc_t out;
	enum drop_reason reason = denied_find(f, key, hash, &out);

	if (reason != DROP_NONE) {
		f->reason = reason;
		f->out = out;
		return false;
	}
	if (!limit_pass(LIMIT_FLOWS, f->in, w->now_ms)) {
		f->out = LOC_NONE;
		return flow_drop(f, DROP_RATE_LIMITED, NULL, NULL, -1);
	}
	if (road_walk(f))
		return true;
	denied_note(f, key, hash, change);
	return false;
}

/* A translated flow whose answers' tuple turns out to be another flow's asks for another translation, so often. */
#define TRANSLATIONS_TRIED 8u

/* A client may use a port again at once for another destination, and behind both may be the same server: a machine and a balancer that it is
 * a back end of. Then the answers of the new connection have the tuple of one that is over, whose session goes as it does when a SYN
 * comes on its own tuple (session/tcp.h). What is drawn is drawn anew: its holder may be anybody's. */
static bool is_over(const struct flow *f, uint32_t holder, bool drawn)
{
	return f->proto == IPPROTO_TCP && !drawn && tcp_state_of(holder >> 1) >= TCP_TIME_WAIT;
}

/* The session of a flow that was walked, or the one that another worker has made of it: 0 with *ref, *made says which. Else f->reason. */
static bool settle(const struct worker *w, struct flow *f, const struct session_key *key,
	uint32_t hash, uint32_t change, uint32_t *ref, bool *made)
{
	for (unsigned int n = 1;; n++) {
		int err = verdict_insert(f, key, change, w->now_ms, ref);
		bool drawn = f->hold.id[HOLD_NAT] != 0;
		uint32_t holder;

		*made = err == 0;
		if (err == 0)
			return true;
		flow_release(f);
		if (err != -EEXIST)
			return flow_drop(f, insert_error(err), NULL, NULL, -1);
		holder = *ref;
		*ref = session_lookup(key, hash, &f->src, &f->dst);
		if (*ref != SESSION_NONE)
			return true;
		/* Removed again meanwhile, or the answers' key belongs to another flow. */
		if (n < TRANSLATIONS_TRIED && is_over(f, holder, drawn))
			session_remove(holder >> 1);
		else if (n < TRANSLATIONS_TRIED && translate_wanted(f))
			f->tries = (uint8_t)n;
		else
			return flow_drop(
				f, drawn ? DROP_NAT_EXHAUSTED : DROP_STALE, NULL, NULL, -1);
		if (!road_walk(f)) {
			flow_release(f);
			return false;
		}
	}
}

/* The first packet of a flow, on its way to a session. */
struct beginning {
	struct flow flow;
	struct session_key key;
	uint32_t hash, change;
	const struct rte_tcp_hdr *tcp; /* NULL: another protocol */
	uint32_t l4_len;
	bool walked; /* it may begin */
	struct road_foreseen seen;
};

static __rte_always_inline void describe(
	struct beginning *b, struct rte_mbuf *m, const struct pkt *p)
{
	b->tcp = p->proto == IPPROTO_TCP
			 ? rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, p->l4_off)
			 : NULL;
	b->l4_len = (uint32_t)p->l3_len - (p->l4_off - p->l3_off);
	b->change = epoch_change();
	verdict_flow_of_packet(&b->flow, m, p);
	b->key = verdict_key(&b->flow);
	b->hash = session_hash(&b->key);
	b->seen = (struct road_foreseen){NULL};
	endpoint_prefetch(b->flow.vpc_index, &b->flow.src);
	endpoint_prefetch(b->flow.vpc_index, &b->flow.dst);
}

static bool is_middle(const struct beginning *b)
{
	return b->tcp != NULL && recover_is_open() &&
	       tcp_first_ok(b->tcp, b->l4_len, true) == DROP_NONE &&
	       tcp_first_ok(b->tcp, b->l4_len, false) != DROP_NONE;
}

static __rte_always_inline void walk(const struct worker *w, struct beginning *b)
{
	b->walked = may_begin(w, &b->flow, &b->key, b->hash, b->change);
	if (b->walked && translate_wanted(&b->flow))
		verdict_prefetch(&b->flow);
}

/* What was walked becomes a session. */
static __rte_always_inline unsigned int finish(
	struct worker *w, struct rte_mbuf *m, struct pkt *p, struct beginning *b)
{
	struct flow *f = &b->flow;
	enum drop_reason reason;
	uint32_t ref;
	bool made;

	if (!b->walked) {
		flow_release(f);
		return f->reason == DROP_NO_NEIGHBOUR ? EDGE_CLASSIFY(CLASSIFY_WAIT)
						      : drop_towards(p, f->out, f->reason);
	}
	reason = b->tcp != NULL ? tcp_first_ok(b->tcp, b->l4_len, false) : DROP_NONE;
	if (reason != DROP_NONE) {
		flow_release(f);
		return drop(p, reason);
	}
	if (!settle(w, f, &b->key, b->hash, b->change, &ref, &made))
		return drop(p, f->reason);
	if (made && b->tcp != NULL)
		tcp_start(ref, b->tcp, b->l4_len, false);
	return forward_apply(w, m, p, ref, true);
}

static unsigned int first(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	struct beginning b;

	if (parse_is_answer(m, p))
		return drop(p, DROP_NO_SESSION);
	describe(&b, m, p);
	if (is_middle(&b))
		return pick_up(w, m, p, &b.flow, b.tcp);
	walk(w, &b);
	return finish(w, m, p, &b);
}

/* Without its session now, as a connection that is opened again, or with another one in its place: as if it were the first of a flow,
 * if it can be. */
static unsigned int again(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	struct session_key key;
	struct flow f;
	uint32_t ref;

	verdict_flow_of_packet(&f, m, p);
	key = verdict_key(&f);
	ref = session_lookup(&key, session_hash(&key), &f.src, &f.dst);
	return ref != SESSION_NONE ? forward_apply(w, m, p, ref, true) : first(w, m, p);
}

/* Does the sender ask for that too often? */
static bool too_often(const struct worker *w, const struct pkt *p, enum classify_kind kind)
{
	switch (kind) {
	case CLASSIFY_ARP:
	case CLASSIFY_ND:
		return !limit_pass(LIMIT_NEIGHBOUR, p->in, w->now_ms);
	case CLASSIFY_DHCP:
	case CLASSIFY_DHCP6:
		return !limit_pass(LIMIT_DHCP, p->in, w->now_ms);
	case CLASSIFY_GATEWAY:
		return !limit_pass(LIMIT_PING, p->in, w->now_ms);
	default:
		return false;
	}
}

static unsigned int decide(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	enum classify_kind kind;

	if (p->session != SESSION_NONE)
		return checked(w, m, p, p->session);
	kind = classify(m, p, NULL);
	if (kind != CLASSIFY_MAX)
		return too_often(w, p, kind) ? drop(p, DROP_RATE_LIMITED) : EDGE_CLASSIFY(kind);
	return p->flags & PKT_F_ICMP_ERROR ? related(w, m, p) : first(w, m, p);
}

/* It ends here, or waits for a neighbour that may never answer: nobody else shows it to inspection. */
static bool is_refused(const struct pkt *p, unsigned int edge)
{
	return p->session == SESSION_NONE &&
	       (edge == EDGE_DROP ||
		       (edge == EDGE_CLASSIFY(CLASSIFY_WAIT) && !(p->flags & PKT_F_WAITED)));
}

/* The sender may have to be told: who gets no port (RFC 6888 section 3), and, of what comes from a machine, that no route leads there. The
 * other nodes' machines were told there. */
static bool is_told(const struct pkt *p)
{
	return p->reason == DROP_NAT_EXHAUSTED ||
	       (p->reason == DROP_NO_ROUTE && loc_is_port(p->in));
}

/* What becomes of a packet that `edge` was decided for. */
static unsigned int decided(struct worker *w, struct rte_mbuf *m, struct pkt *p, unsigned int edge)
{
	if (edge == EDGE_ROAD)
		edge = p->flags & (PKT_F_ICMP_ERROR | PKT_F_LATER) ? drop(p, DROP_NO_SESSION)
								   : again(w, m, p);
	if (edge == EDGE_DROP && unlikely(flow_log_denies()))
		flow_log_denied(m, p);
	if (edge == EDGE_DROP && (p->flags & (PKT_F_FRAGMENT | PKT_F_LATER)) == PKT_F_FRAGMENT)
		fragment_seen(m, p, (enum drop_reason)p->reason);
	if (unlikely(inspect_any) && is_refused(p, edge))
		inspect_refused(w, m);
	if (edge == EDGE_DROP && is_told(p))
		return EDGE_CLASSIFY(CLASSIFY_PROHIBITED);
	return edge == EDGE_ROAD ? EDGE_DROP : edge;
}

/* So many packets' flows are described, foreseen and walked before the first of them gets its session: meanwhile the lines that they
 * need arrive. */
#define AHEAD 16u
#define EDGE_BEGINS (EDGE_ROAD + 1)
#define EDGE_UNDECIDED (EDGE_ROAD + 2)
#define EDGE_FOLLOWS (EDGE_ROAD + 3) /* a packet of a flow that begins before it among them */

/* The plain case only. Nothing has been done for the packet yet. */
static __rte_always_inline bool begins(struct rte_mbuf *m, const struct pkt *p, struct beginning *b)
{
	if (p->session != SESSION_NONE || (p->flags & (PKT_F_L4 | PKT_F_ICMP_ERROR)) != PKT_F_L4 ||
		parse_is_answer(m, p))
		return false;
	describe(b, m, p);
	return classify(m, p, &b->flow) == CLASSIFY_MAX && !is_middle(b);
}

static __rte_always_inline unsigned int look_ahead(
	struct rte_mbuf *m, struct pkt *p, struct beginning *b)
{
	unsigned int edge = loc_is_tunnel(p->in) ? detour_edge(m, p) : DETOUR_NONE;

	if (edge != DETOUR_NONE)
		return edge;
	return begins(m, p, b) ? EDGE_BEGINS : EDGE_UNDECIDED;
}

/* The answers' bucket is the one cold line that set-up waits for. */
static inline void prefetch_answers(const struct session_key *key)
{
	struct session_key answers =
		session_key_make(key->scope_proto, key->dst, key->src, key->dport, key->sport);

	session_prefetch(&answers);
}

/* Bit i of `flows`: b[i] is one. Where the answers' key turns out to be another one all the same (a peering) nothing is lost but
 * the prefetch. */
static inline void foresee(struct beginning *b, uint32_t flows)
{
	for (unsigned int step = 0; flows != 0; step++) {
		uint32_t more = 0;

		for (; flows != 0; flows &= flows - 1) {
			unsigned int i = (unsigned int)__builtin_ctz(flows);

			if (road_foresee(&b[i].flow, &b[i].seen, step))
				more |= 1u << i;
			else if (step == 0)
				prefetch_answers(&b[i].key);
		}
		flows = more;
	}
}

/* A flow of which one of b[], bit by bit of `flows`, is a packet already. */
static bool is_among(const struct beginning *b, uint32_t flows, const struct beginning *one)
{
	for (; flows != 0; flows &= flows - 1) {
		const struct beginning *other = &b[__builtin_ctz(flows)];

		if (other->hash == one->hash && session_key_equal(&other->key, &one->key))
			return true;
	}
	return false;
}

static void process_some(
	struct rte_graph *graph, struct rte_node *node, void **objs, unsigned int n)
{
	struct worker *w = worker_self;
	struct beginning b[AHEAD];
	unsigned int edges[AHEAD];
	uint32_t flows = 0;
	uint64_t seen = 0; /* a bit a hash: who has one of his own is of no other's flow */

	for (unsigned int i = 0; i < n; i++) {
		uint64_t bit;

		edges[i] = look_ahead(objs[i], pkt_of(objs[i]), &b[i]);
		if (edges[i] != EDGE_BEGINS)
			continue;
		bit = UINT64_C(1) << (b[i].hash & 63);
		if (unlikely(seen & bit) && is_among(b, flows, &b[i]))
			edges[i] = EDGE_FOLLOWS;
		else
			flows |= 1u << i;
		seen |= bit;
	}
	foresee(b, flows);
	for (; flows != 0; flows &= flows - 1)
		walk(w, &b[__builtin_ctz(flows)]);
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = objs[i];
		struct pkt *p = pkt_of(m);

		if (edges[i] == EDGE_BEGINS)
			edges[i] = decided(w, m, p, finish(w, m, p, &b[i]));
		else if (edges[i] == EDGE_UNDECIDED)
			edges[i] = decided(w, m, p, decide(w, m, p));
		else if (edges[i] == EDGE_FOLLOWS)
			edges[i] = decided(w, m, p, EDGE_ROAD);
		rte_node_enqueue_x1(graph, node, (rte_edge_t)edges[i], m);
	}
}

static uint16_t road_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	for (uint16_t done = 0; done < nb_objs; done = (uint16_t)(done + AHEAD))
		process_some(graph, node, objs + done, RTE_MIN(nb_objs - done, AHEAD));
	inspect_burst_end(worker_self);
	return nb_objs;
}

NODE_REGISTER(road_node, "road", road_process);

static void link_road(void)
{
	forward_edges_attach("road", false);
}
NODE_LINKER(road_linker, link_road)
