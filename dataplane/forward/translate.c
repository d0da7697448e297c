/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/translate.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "forward/parse.h"
#include "nat64/nat64.h"

/* One end of a flow. */
struct end {
	const struct ip_addr *addr;
	rte_be16_t port;
	uint16_t sum; /* of the address */
};

static inline struct end end_of(const struct ip_addr *addr, rte_be16_t port)
{
	/* In a mapped address only the last word counts: 0xffff is nothing in a one's complement sum. */
	return (struct end){addr, port,
		likely(ip_addr_is_v4(addr))
			? checksum_fold((addr->w[3] & 0xffff) + (addr->w[3] >> 16))
			: checksum_sum128(addr->bytes)};
}

static inline bool changes(const struct end *from, const struct end *to)
{
	return from->port != to->port || !ip_addr_equal(from->addr, to->addr);
}

/* What a direction's packets have instead of what they come with. */
static void fill(
	struct session_dir *d, uint16_t flags, const struct end *new_src, const struct end *new_dst)
{
	d->flags |= flags;
	d->new_src = ip_addr_v4(new_src->addr);
	d->new_dst = ip_addr_v4(new_dst->addr);
	d->new_sport = new_src->port;
	d->new_dport = new_dst->port;
}

/* The delta of the other direction. */
static inline uint16_t opposite(uint16_t delta)
{
	return delta != 0 ? (uint16_t)~delta : 0;
}

static void fill_deltas(
	struct session_dir d[2], const struct end *from[2], const struct end *to[2], uint8_t proto)
{
	uint32_t addresses = 0, all = 0;

	for (unsigned int i = 0; i < 2; i++)
		addresses = checksum_delta16(addresses, from[i]->sum, to[i]->sum);
	if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6)
		for (unsigned int i = 0; i < 2; i++)
			all = checksum_delta16(all, from[i]->port, to[i]->port);
	if (proto != IPPROTO_ICMP) /* which has no pseudo header (RFC 792) */
		all = checksum_fold(all) + (uint32_t)checksum_fold(addresses);
	d[0].l3_delta = checksum_fold(addresses);
	d[0].l4_delta = checksum_fold(all);
	d[1].l3_delta = opposite(d[0].l3_delta);
	d[1].l4_delta = opposite(d[0].l4_delta);
}

/* Packets grow on their way from IPv4 to IPv6. The other way the same is left free, so that the MSS which is lowered to what fits
 * suits both directions. */
static void fill_families(struct session_dir d[2], bool v6)
{
	struct session_dir *grows = &d[v6 ? 1 : 0];

	d[0].flags |= SESSION_F_FAMILY;
	d[1].flags |= SESSION_F_FAMILY;
	if (grows->mtu != UINT16_MAX)
		grows->mtu = (uint16_t)(grows->mtu - (sizeof(struct rte_ipv6_hdr) -
							     sizeof(struct rte_ipv4_hdr)));
}

void translate_fill(struct session_dir d[2], const struct flow *f)
{
	struct end src = end_of(&f->src, f->sport), dst = end_of(&f->dst, f->dport);
	struct end new_src = end_of(&f->new_src, f->new_sport);
	struct end new_dst = end_of(&f->new_dst, f->new_dport);

	bool at_src = changes(&src, &new_src), at_dst = changes(&dst, &new_dst);

	fill(&d[0], (at_src ? SESSION_F_SRC : 0) | (at_dst ? SESSION_F_DST : 0), &new_src,
		&new_dst);
	fill(&d[1], (at_dst ? SESSION_F_SRC : 0) | (at_src ? SESSION_F_DST : 0), &dst, &src);
	fill_deltas(d, (const struct end *[]){&src, &dst},
		(const struct end *[]){&new_src, &new_dst}, f->proto);
	if (f->out_v6 != f->v6)
		fill_families(d, f->v6);
}

bool translate_wanted(const struct flow *f)
{
	return f->out_v6 != f->v6 || f->new_sport != f->sport || f->new_dport != f->dport ||
	       !ip_addr_equal(&f->new_src, &f->src) || !ip_addr_equal(&f->new_dst, &f->dst);
}

uint32_t translate_checksum_at(uint8_t proto, bool v6)
{
	switch (proto) {
	case IPPROTO_TCP:
		return offsetof(struct rte_tcp_hdr, cksum);
	case IPPROTO_UDP:
	case IPPROTO_DCCP:    /* RFC 4340 section 5.1 */
	case IPPROTO_UDPLITE: /* RFC 3828 section 3.1 */
		return offsetof(struct rte_udp_hdr, dgram_cksum);
	case IPPROTO_ICMP:
		return v6 ? TRANSLATE_NO_CHECKSUM : 2;
	case IPPROTO_ICMPV6:
		return v6 ? 2 : TRANSLATE_NO_CHECKSUM;
	default:
		return TRANSLATE_NO_CHECKSUM;
	}
}

/* Source and destination lie side by side, in sessions and in packets. */
_Static_assert(offsetof(struct session_dir, new_dst) ==
			       offsetof(struct session_dir, new_src) + sizeof(rte_be32_t) &&
		       offsetof(struct session_dir, new_dport) ==
			       offsetof(struct session_dir, new_sport) + sizeof(rte_be16_t),
	"as in packets");

static inline void put_addresses(struct rte_ipv4_hdr *ip, const struct session_dir *d)
{
	memcpy((uint8_t *)ip + offsetof(struct rte_ipv4_hdr, src_addr),
		(const uint8_t *)d + offsetof(struct session_dir, new_src), 2 * sizeof(rte_be32_t));
}

static inline void put_ports(void *l4, const struct session_dir *d)
{
	memcpy(l4, (const uint8_t *)d + offsetof(struct session_dir, new_sport),
		2 * sizeof(rte_be16_t));
}

static void rewrite_l3(uint8_t *l3, const struct session_dir *d, uint32_t ref)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;
	struct translate_addrs to;

	if (likely(!(d->flags & SESSION_F_V6))) {
		put_addresses(ip, d);
		ip->hdr_checksum = checksum_apply(ip->hdr_checksum, d->l3_delta);
		return;
	}
	to = translate_addrs_v6(ref);
	memcpy(l3 + offsetof(struct rte_ipv6_hdr, src_addr), &to.src, sizeof(to.src));
	memcpy(l3 + offsetof(struct rte_ipv6_hdr, dst_addr), &to.dst, sizeof(to.dst));
}

/* A device is to complete it: the field holds the sum of the pseudo header. */
static bool is_partial(const struct rte_mbuf *m)
{
	return m->ol_flags &
	       (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG);
}

static void rewrite_tcp(
	const struct rte_mbuf *m, struct rte_tcp_hdr *tcp, const struct session_dir *d)
{
	put_ports(tcp, d);
	tcp->cksum = unlikely(is_partial(m)) ? checksum_apply_partial(tcp->cksum, d->l3_delta)
					     : checksum_apply(tcp->cksum, d->l4_delta);
}

static void rewrite_udp(
	const struct rte_mbuf *m, struct rte_udp_hdr *udp, const struct session_dir *d)
{
	put_ports(udp, d);
	udp->dgram_cksum = unlikely(is_partial(m))
				   ? checksum_apply_partial(udp->dgram_cksum, d->l3_delta)
				   : checksum_apply_udp(udp->dgram_cksum, d->l4_delta);
}

static void rewrite_icmp(uint8_t *icmp, const struct session_dir *d, uint32_t ref)
{
	rte_be16_t check, had, id = translate_icmp_id(d, ref);
	uint32_t delta = d->l4_delta;

	if (likely(parse_icmp_has_id(d->flags & SESSION_F_V6, icmp[0]))) {
		memcpy(&had, icmp + 4, sizeof(had));
		memcpy(icmp + 4, &id, sizeof(id));
		delta = checksum_delta16(delta, had, id);
	}
	memcpy(&check, icmp + 2, sizeof(check));
	check = checksum_apply(check, delta);
	memcpy(icmp + 2, &check, sizeof(check));
}

/* No ports that we know; DCCP and UDP-Lite have a checksum that covers the addresses. */
static void rewrite_other(
	const struct rte_mbuf *m, const struct pkt *p, const struct session_dir *d)
{
	uint32_t at = translate_checksum_at(p->proto, p->flags & PKT_F_V6);
	uint32_t end = RTE_MIN((uint32_t)p->l3_off + p->l3_len, (uint32_t)m->data_len);
	rte_be16_t *check;

	if (at == TRANSLATE_NO_CHECKSUM || p->l4_off + at + sizeof(*check) > end)
		return;
	check = rte_pktmbuf_mtod_offset(m, rte_be16_t *, p->l4_off + at);
	*check = p->proto == IPPROTO_UDPLITE ? checksum_apply_udp(*check, d->l4_delta)
					     : checksum_apply(*check, d->l4_delta);
}

static inline void rewrite_l4(
	struct rte_mbuf *m, const struct pkt *p, const struct session_dir *d, uint32_t ref)
{
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off);

	if (p->proto == IPPROTO_TCP)
		rewrite_tcp(m, (struct rte_tcp_hdr *)l4, d);
	else if (p->proto == IPPROTO_UDP)
		rewrite_udp(m, (struct rte_udp_hdr *)l4, d);
	else if (p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6)
		rewrite_other(m, p, d);
	else if ((p->proto == IPPROTO_ICMPV6) == !!(p->flags & PKT_F_V6))
		rewrite_icmp(l4, d, ref);
}

void translate_l4(struct rte_mbuf *m, const struct pkt *p, uint32_t ref)
{
	rewrite_l4(m, p, session_dir_of(ref), ref);
}

enum drop_reason translate_packet(struct rte_mbuf *m, struct pkt *p, uint32_t ref)
{
	const struct session_dir *d = session_dir_of(ref);

	if (unlikely(d->flags & SESSION_F_FAMILY))
		return nat64_packet(m, p, ref);
	if (unlikely(p->flags & PKT_F_ICMP_ERROR))
		return translate_error(m, p, ref);
	rewrite_l3(rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off), d, ref);
	if (likely(!(p->flags & PKT_F_LATER)))
		rewrite_l4(m, p, d, ref);
	return DROP_NONE;
}
