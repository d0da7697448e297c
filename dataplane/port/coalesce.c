/* SPDX-License-Identifier: Apache-2.0 */
#include "port/coalesce.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "base/checksum.h"

/* Flows of a burst that are followed at a time; more simply merge less. */
#define FLOWS 4
/* One iovec each in a driver's array. */
#define SEGMENTS_MAX 60

/* A TCP segment, alone or with others already behind it. */
struct segment {
	struct rte_mbuf *m;
	const uint8_t *l3;
	struct rte_tcp_hdr *tcp;
	uint16_t l3_len, l4_len, header; /* lengths; `header`: all of them */
	uint16_t payload;                /* of the first segment: what the others must have */
	uint32_t next_seq;
	uint16_t next_id;
	uint16_t merged; /* frames behind the first */
	bool v6, verified, open, padded;
	struct rte_mbuf *tail; /* last mbuf of the chain */
};

static bool parse_ipv4(struct segment *s, uint32_t room, uint32_t *total)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)s->l3;

	if (room < sizeof(*ip) || ip->version_ihl != RTE_IPV4_VHL_DEF ||
		ip->next_proto_id != IPPROTO_TCP ||
		(ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return false;
	s->v6 = false;
	s->l3_len = sizeof(*ip);
	s->next_id = (uint16_t)(rte_be_to_cpu_16(ip->packet_id) + 1);
	*total = rte_be_to_cpu_16(ip->total_length);
	return true;
}

static bool parse_ipv6(struct segment *s, uint32_t room, uint32_t *total)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)s->l3;

	if (room < sizeof(*ip) || ip->proto != IPPROTO_TCP ||
		(ip->vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000))
		return false;
	s->v6 = true;
	s->l3_len = sizeof(*ip);
	*total = rte_be_to_cpu_16(ip->payload_len) + (uint32_t)sizeof(*ip);
	return true;
}

static bool parse_l3(struct segment *s, uint32_t *total)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(s->m, const struct rte_ether_hdr *);
	uint32_t room = s->m->data_len - (uint32_t)sizeof(*eth);

	if (s->m->data_len < sizeof(*eth))
		return false;
	s->l3 = (const uint8_t *)(eth + 1);
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return parse_ipv4(s, room, total);
	return eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && parse_ipv6(s, room, total);
}

/* False: not a TCP segment that is understood here. */
static bool parse(struct rte_mbuf *m, struct segment *s)
{
	uint32_t total, l4;

	s->m = m;
	if (!parse_l3(s, &total))
		return false;
	l4 = (uint32_t)sizeof(struct rte_ether_hdr) + s->l3_len;
	total += (uint32_t)sizeof(struct rte_ether_hdr);
	if (m->data_len < l4 + sizeof(*s->tcp))
		return false;
	s->tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, l4);
	s->l4_len = (s->tcp->data_off >> 4) * 4;
	s->header = (uint16_t)(l4 + s->l4_len);
	if (s->l4_len < sizeof(*s->tcp) || s->header > m->data_len || m->pkt_len < total ||
		total < s->header)
		return false;
	s->padded = m->pkt_len > total;
	s->payload = (uint16_t)(total - s->header);
	s->next_seq = rte_be_to_cpu_32(s->tcp->sent_seq) + s->payload;
	s->merged = 0;
	s->verified = false;
	s->tail = rte_pktmbuf_lastseg(m);
	return true;
}

/* May begin or go on a series: complete, data, nothing special, and no one else holds it. */
static bool plain(const struct segment *s)
{
	uint8_t flags = s->tcp->tcp_flags & (uint8_t)~RTE_TCP_ECE_FLAG;

	return s->payload > 0 && !s->padded &&
	       !(s->m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK)) &&
	       (flags | RTE_TCP_PSH_FLAG) == (RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG) &&
	       RTE_MBUF_DIRECT(s->m) && rte_mbuf_refcnt_read(s->m) == 1;
}

static bool same_flow(const struct segment *a, const struct segment *b)
{
	uint32_t off = a->v6 ? offsetof(struct rte_ipv6_hdr, src_addr)
			     : offsetof(struct rte_ipv4_hdr, src_addr);

	return a->v6 == b->v6 && memcmp(a->tcp, b->tcp, 4) == 0 &&
	       memcmp(a->l3 + off, b->l3 + off, a->l3_len - off) == 0;
}

static bool same_l3(const struct segment *a, const struct segment *b)
{
	const struct rte_ipv4_hdr *x = (const struct rte_ipv4_hdr *)a->l3;
	const struct rte_ipv4_hdr *y = (const struct rte_ipv4_hdr *)b->l3;

	if (a->v6) /* class and flow label; next header and hop limit */
		return memcmp(a->l3, b->l3, 4) == 0 && memcmp(a->l3 + 6, b->l3 + 6, 2) == 0;
	return x->type_of_service == y->type_of_service && x->time_to_live == y->time_to_live &&
	       x->fragment_offset == y->fragment_offset &&
	       ((x->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) ||
		       rte_be_to_cpu_16(y->packet_id) == a->next_id);
}

/* Acknowledgment, offset, flags but PSH, window, urgent pointer and options. */
static bool same_l4(const struct segment *a, const struct segment *b)
{
	return a->tcp->recv_ack == b->tcp->recv_ack && a->tcp->data_off == b->tcp->data_off &&
	       ((a->tcp->tcp_flags ^ b->tcp->tcp_flags) & (uint8_t)~RTE_TCP_PSH_FLAG) == 0 &&
	       a->tcp->rx_win == b->tcp->rx_win && a->tcp->tcp_urp == b->tcp->tcp_urp &&
	       memcmp(a->tcp + 1, b->tcp + 1, a->l4_len - sizeof(*a->tcp)) == 0;
}

static bool follows(const struct segment *a, const struct segment *b)
{
	uint32_t after = a->m->pkt_len + b->payload - (uint32_t)sizeof(struct rte_ether_hdr);

	return rte_be_to_cpu_32(b->tcp->sent_seq) == a->next_seq && b->payload <= a->payload &&
	       after <= UINT16_MAX && a->m->nb_segs + b->m->nb_segs <= SEGMENTS_MAX &&
	       memcmp(rte_pktmbuf_mtod(a->m, void *), rte_pktmbuf_mtod(b->m, void *),
		       2 * RTE_ETHER_ADDR_LEN) == 0 &&
	       same_l3(a, b) && same_l4(a, b);
}

static uint32_t pseudo(const struct segment *s, uint16_t l4_len)
{
	const struct rte_ipv4_hdr *ip4 = (const struct rte_ipv4_hdr *)s->l3;
	const struct rte_ipv6_hdr *ip6 = (const struct rte_ipv6_hdr *)s->l3;

	return s->v6 ? checksum_pseudo6(ip6->src_addr, ip6->dst_addr, IPPROTO_TCP, l4_len)
		     : checksum_pseudo4(ip4->src_addr, ip4->dst_addr, IPPROTO_TCP, l4_len);
}

static bool l4_good(const struct segment *s)
{
	uint32_t l4 = (uint32_t)s->header - s->l4_len;
	uint16_t len = (uint16_t)(s->l4_len + s->payload);

	return (s->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
	       checksum_fold(checksum_add_mbuf(pseudo(s, len), s->m, l4, len)) == 0xffff;
}

/* Asked of the first before anything is merged to it, then remembered. */
static bool checksums_good(struct segment *s)
{
	if (!s->verified)
		s->verified =
			(s->v6 || checksum_fold(checksum_add(0, s->l3, s->l3_len)) == 0xffff) &&
			l4_good(s);
	return s->verified;
}

static void merge(struct segment *a, struct segment *b)
{
	a->tcp->tcp_flags |= b->tcp->tcp_flags & RTE_TCP_PSH_FLAG;
	a->next_seq = b->next_seq;
	a->next_id = b->next_id;
	a->open = b->payload == a->payload && !(b->tcp->tcp_flags & RTE_TCP_PSH_FLAG);
	a->merged++;
	rte_pktmbuf_adj(b->m, b->header);
	a->tail->next = b->m;
	a->tail = b->tail;
	a->m->nb_segs += b->m->nb_segs;
	a->m->pkt_len += b->payload;
}

/* Headers of the whole. */
static void finish(struct segment *s)
{
	struct rte_mbuf *m = s->m;
	uint16_t l4_len = (uint16_t)(m->pkt_len - s->header + s->l4_len);

	if (s->merged == 0)
		return;
	if (s->v6) {
		struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(
			m, struct rte_ipv6_hdr *, sizeof(struct rte_ether_hdr));

		ip->payload_len = rte_cpu_to_be_16(l4_len);
	} else {
		struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(
			m, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));

		ip->total_length = rte_cpu_to_be_16((uint16_t)(l4_len + s->l3_len));
		ip->hdr_checksum = checksum_ipv4_header(ip);
	}
	s->tcp->cksum = checksum_fold(pseudo(s, l4_len));
	m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
		       (s->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->tx_offload = 0;
	m->l2_len = sizeof(struct rte_ether_hdr);
	m->l3_len = s->l3_len & 0x1ff;
	m->l4_len = s->l4_len & 0xff;
	m->tso_segsz = s->payload;
}

struct flows {
	struct segment at[FLOWS];
	unsigned int n, next; /* next: which is given up for a new one */
};

/* The followed flow of `s`, or a place for it; *is_new tells. */
static struct segment *find(struct flows *f, const struct segment *s, bool *is_new)
{
	struct segment *place;

	for (unsigned int i = 0; i < f->n; i++) {
		if (same_flow(&f->at[i], s)) {
			*is_new = false;
			return &f->at[i];
		}
	}
	*is_new = true;
	if (f->n < FLOWS)
		return &f->at[f->n++];
	place = &f->at[f->next++ % FLOWS];
	finish(place);
	return place;
}

/* True: `s` became a part of a frame that came before. */
static bool take(struct flows *f, struct segment *s)
{
	bool is_new, can = plain(s);
	struct segment *head = find(f, s, &is_new);

	if (!is_new) {
		if (can && head->open && follows(head, s) && checksums_good(head) &&
			checksums_good(s)) {
			merge(head, s);
			return true;
		}
		finish(head);
	}
	*head = *s;
	head->open = can && !(s->tcp->tcp_flags & RTE_TCP_PSH_FLAG);
	return false;
}

unsigned int coalesce(struct rte_mbuf **pkts, unsigned int n)
{
	struct flows f = {.n = 0};
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct segment s;

		if (!parse(pkts[i], &s) || !take(&f, &s))
			pkts[left++] = pkts[i];
	}
	for (unsigned int i = 0; i < f.n; i++)
		finish(&f.at[i]);
	return left;
}
