/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_APPLY_H
#define FORWARD_APPLY_H
/* The end of both roads: a packet and its session → rewritten packet and next edge.
 *
 * Nodes that apply sessions have the edges below after the common ones; forward_edges_attach() makes them.
 */
#include <rte_mbuf.h>

#include "core/node.h"
#include "core/pkt.h"
#include "forward/parse.h"
#include "forward/translate.h"
#include "forward/verdict.h"
#include "fragment/fragment.h"
#include "inspect/inspect.h"
#include "port/port.h"
#include "session/session.h"
#include "session/tcp.h"

/* Edges of nodes that apply: EDGE_COMMON + enum classify_kind, then the road. */
#define EDGE_CLASSIFY(kind) (EDGE_COMMON + (kind))
#define EDGE_ROAD EDGE_CLASSIFY(CLASSIFY_MAX)

/* Gives `node` the edges of all attached classify nodes and, with `road`, to the road. */
void forward_edges_attach(const char *node, bool road);

/* Lowers the MSS option of a SYN to what fits `mtu`; never raises it (RFC 4459 3.2). */
void forward_clamp_mss(struct rte_mbuf *m, const struct pkt *p, uint16_t mtu);
/* The packet of a fresh session does not come from where, or not with the MACs, that the session expects. DROP_NONE: harmless; `*routed` says
 * how it wants to be treated. */
enum drop_reason forward_odd(
	const struct rte_mbuf *m, const struct pkt *p, const struct session_dir *d, bool *routed);

static inline unsigned int apply_drop(struct pkt *p, enum drop_reason reason)
{
	p->reason = (uint8_t)reason;
	return EDGE_DROP;
}

static __rte_always_inline void apply_ttl(uint8_t *l3, bool v6)
{
	if (v6) {
		l3[7]--;
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;
		/* RFC 1624: HC' = HC + 0x0100 with end-around carry. */
		uint32_t sum = (uint32_t)ip->hdr_checksum + RTE_BE16(0x0100);

		ip->hdr_checksum = (rte_be16_t)(sum + (sum >> 16));
		ip->time_to_live--;
	}
}

static __rte_always_inline bool apply_fits(
	const struct rte_mbuf *m, const struct pkt *p, uint16_t mtu)
{
	if (likely(p->l3_len <= mtu))
		return true;
	if (!(m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)))
		return false;
	return (uint32_t)(p->l4_off - p->l3_off) + m->l4_len + m->tso_segsz <= mtu;
}

/* Destination and source of a frame, which lie side by side in sessions and ports, too. */
#define APPLY_MACS (2 * RTE_ETHER_ADDR_LEN)
_Static_assert(offsetof(struct port, mac) == offsetof(struct port, gw_mac) + RTE_ETHER_ADDR_LEN,
	"as in a frame");
_Static_assert(offsetof(struct session_dir, smac) ==
		       offsetof(struct session_dir, dmac) + RTE_ETHER_ADDR_LEN,
	"as in a frame");

static __rte_always_inline bool apply_macs_equal(const void *a, const void *b)
{
	uint64_t x, y;
	uint32_t z, w;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	memcpy(&z, (const uint8_t *)a + sizeof(x), sizeof(z));
	memcpy(&w, (const uint8_t *)b + sizeof(y), sizeof(w));
	return ((x ^ y) | (z ^ w)) == 0;
}

/* The frame's MACs are what the session expects, bridged or routed, from a tunnel or from a port. */
static __rte_always_inline bool apply_macs_match(const struct rte_ether_hdr *eth,
	const struct session_dir *d, uint16_t flags, const struct pkt *p)
{
	bool routed = flags & SESSION_F_ROUTED;
	const struct port *port;

	if (loc_is_tunnel(p->in))
		return flags & SESSION_F_REMAC
			       ? !rte_is_multicast_ether_addr(&eth->dst_addr)
			       : rte_is_same_ether_addr(&eth->dst_addr, &d->dmac) && !routed;
	port = port_get(loc_index(p->in));
	if (unlikely(port == NULL))
		return false;
	if (likely(routed && port->port_security))
		return apply_macs_equal(eth, (const uint8_t *)port + offsetof(struct port, gw_mac));
	return (!port->port_security || rte_is_same_ether_addr(&eth->src_addr, &port->mac)) &&
	       rte_is_same_ether_addr(&eth->dst_addr, routed ? &port->gw_mac : &d->dmac);
}

/* TCP's part. DROP_NONE: go on. */
static inline enum drop_reason apply_tcp(
	struct rte_mbuf *m, const struct pkt *p, uint32_t ref, uint16_t mtu)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, p->l4_off);
	uint32_t l4_len = (uint32_t)p->l3_len - (p->l4_off - p->l3_off);
	enum drop_reason reason = tcp_track_inline(ref, tcp, l4_len);

	if (unlikely((tcp->tcp_flags & RTE_TCP_SYN_FLAG) && reason == DROP_NONE))
		forward_clamp_mss(m, p, mtu);
	return reason;
}

/* What there may be to do beside MACs, TTL, size and inspection, by session_flag and by pkt_flag. */
#define APPLY_FLAGS                                                                                \
	(SESSION_F_TCP | SESSION_F_SRC | SESSION_F_DST | SESSION_F_METER | SESSION_F_REMAC)
#define APPLY_KINDS (PKT_F_FRAGMENT | PKT_F_LATER | PKT_F_ICMP_ERROR)

/* forward_apply() for what is known of the session's flags and the packet's. */
static __rte_always_inline unsigned int apply_known(struct worker *w, struct rte_mbuf *m,
	struct pkt *p, uint32_t ref, bool fresh, uint16_t flags, uint8_t kind)
{
	struct session_dir *d = session_dir_of(ref);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	uint8_t *l3 = (uint8_t *)eth + p->l3_off;
	struct session_hot *hot;
	bool routed = flags & SESSION_F_ROUTED;
	enum drop_reason reason = DROP_NONE;

	p->session = ref;
	if (!fresh &&
		unlikely(atomic_load_explicit(&d->change, memory_order_acquire) != w->change) &&
		!verdict_still_fresh(ref, w->change))
		return EDGE_ROAD;
	if (unlikely(d->in != p->in || !apply_macs_match(eth, d, flags, p))) {
		if (!fresh)
			return EDGE_ROAD;
		reason = forward_odd(m, p, d, &routed);
	}
	if (unlikely(reason != DROP_NONE))
		return apply_drop(p, reason);
	if (unlikely(!apply_fits(m, p, d->mtu))) {
		m->hash.usr = d->mtu;
		return EDGE_CLASSIFY(CLASSIFY_TOO_BIG);
	}
	if (routed && unlikely(l3[flags & SESSION_F_V6 ? 7 : 8] <= 1))
		return EDGE_CLASSIFY(CLASSIFY_TTL);
	if (likely(!(kind & PKT_F_ICMP_ERROR))) {
		if ((flags & SESSION_F_TCP) && likely(!(kind & PKT_F_LATER)))
			reason = apply_tcp(m, p, ref, d->mtu);
		if (unlikely(reason == DROP_STALE)) {
			/* A new connection on the tuple of a finished one. */
			session_remove(ref >> 1);
			p->session = SESSION_NONE;
			return EDGE_ROAD;
		}
		if (unlikely(reason != DROP_NONE))
			return apply_drop(p, reason);
		hot = session_hot_of(ref);
		if (unlikely(session_count(hot, p->l3_len, w->now_ms)) && (ref & 1) &&
			atomic_load_explicit(&hot->packets, memory_order_relaxed) == 1)
			session_answered(ref >> 1);
		if (unlikely(flags & SESSION_F_INSPECT))
			inspect_seen(w, m, ref);
	}
	if (unlikely((kind & (PKT_F_FRAGMENT | PKT_F_LATER)) == PKT_F_FRAGMENT)) {
		reason = fragment_seen(m, p, DROP_NONE); /* later ones follow this session */
		if (unlikely(reason != DROP_NONE))
			return apply_drop(p, reason);
		if ((flags & SESSION_F_TCP) && !(kind & PKT_F_ICMP_ERROR))
			tcp_fragmented(ref);
	}
	if (routed || unlikely(flags & SESSION_F_REMAC)) {
		memcpy(eth, (const uint8_t *)d + offsetof(struct session_dir, dmac), APPLY_MACS);
		if (routed)
			apply_ttl(l3, flags & SESSION_F_V6);
	}
	if (unlikely(flags & (SESSION_F_SRC | SESSION_F_DST))) {
		reason = translate_packet(m, p, ref);
		if (unlikely(reason != DROP_NONE))
			return apply_drop(p, reason);
		if (unlikely(flags & SESSION_F_INSPECT_AFTER) && !(kind & PKT_F_ICMP_ERROR))
			inspect_seen(w, m, ref);
	}
	if (loc_is_tunnel(d->out))
		rte_prefetch0_write(eth - 1); /* the outer header's line */
	p->out = d->out;
	p->out_vni = d->out_vni;
	if (unlikely(flags & SESSION_F_METER))
		return EDGE_CLASSIFY(CLASSIFY_SHAPE);
	return loc_is_tunnel(d->out) ? EDGE_UNDERLAY_TX : EDGE_PORT_TX;
}

/* Rewrites and says where to: an edge. `fresh`: the verdict was made or checked just now; else EDGE_ROAD asks for that. What there is
 * most of has code of its own, made of the same source without what it does not need: plain flows, TCP, translated ones. */
static __rte_always_inline unsigned int forward_apply(
	struct worker *w, struct rte_mbuf *m, struct pkt *p, uint32_t ref, bool fresh)
{
	const uint16_t plain = (uint16_t)~APPLY_FLAGS, translated = SESSION_F_SRC | SESSION_F_DST;
	uint16_t flags = session_dir_of(ref)->flags;
	uint8_t kind = p->flags & APPLY_KINDS;

	if (!fresh && likely(kind == 0)) {
		if ((flags & APPLY_FLAGS) == 0)
			return apply_known(w, m, p, ref, false, flags & plain, 0);
		if ((flags & APPLY_FLAGS) == SESSION_F_TCP)
			return apply_known(w, m, p, ref, false, (flags & plain) | SESSION_F_TCP, 0);
		if ((flags & (APPLY_FLAGS & ~translated)) == 0)
			return apply_known(w, m, p, ref, false, flags & (plain | translated), 0);
	}
	return apply_known(w, m, p, ref, fresh, flags, kind);
}

#endif
