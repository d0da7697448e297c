/* SPDX-License-Identifier: Apache-2.0 */
#include "port/offload.h"

#include <errno.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "core/pkt.h"

static uint32_t l3_off(const struct rte_mbuf *m)
{
	return m->l2_len;
}

static uint32_t l4_off(const struct rte_mbuf *m)
{
	return (uint32_t)m->l2_len + m->l3_len;
}

static bool is_v6(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0;
}

static bool is_udp(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) ||
	       (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
}

/* Where the checksum of the L4 header at `l4` is. */
static rte_be16_t *checksum_field(struct rte_mbuf *m, uint32_t l4)
{
	uint32_t off = l4 + (is_udp(m) ? offsetof(struct rte_udp_hdr, dgram_cksum)
				       : offsetof(struct rte_tcp_hdr, cksum));

	return rte_pktmbuf_mtod_offset(m, rte_be16_t *, off);
}

bool offload_complete(struct rte_mbuf *m)
{
	uint32_t l4 = l4_off(m);
	rte_be16_t *field = checksum_field(m, l4);
	uint32_t sum;

	if (unlikely(l4 + sizeof(struct rte_udp_hdr) > m->data_len ||
		     (char *)(field + 1) > rte_pktmbuf_mtod(m, char *) + m->data_len))
		return false;
	/* The field holds the pseudo header's sum, so it is summed with the rest. */
	sum = checksum_add_mbuf(0, m, l4, m->pkt_len - l4);
	*field = is_udp(m) ? checksum_finish_udp(sum) : checksum_finish(sum);
	m->ol_flags &= ~(OFFLOAD_TX_FLAGS | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	m->tx_offload = 0;
	return true;
}

uint32_t offload_segments(const struct rte_mbuf *m)
{
	uint32_t header = l4_off(m) + m->l4_len;

	if (!(m->ol_flags & OFFLOAD_GSO) || m->tso_segsz == 0 || m->pkt_len <= header)
		return 1;
	return (m->pkt_len - header + m->tso_segsz - 1) / m->tso_segsz;
}

/* A buffer for a frame of `len` bytes in one piece, with headroom for encapsulation. */
static struct rte_mbuf *buffer_for(uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker_self->pool);

	if (unlikely(m != NULL && len > rte_pktmbuf_tailroom(m))) {
		rte_pktmbuf_free(m);
		m = rte_pktmbuf_alloc(worker_self->jumbo_pool);
		if (m != NULL && len > rte_pktmbuf_tailroom(m)) {
			rte_pktmbuf_free(m);
			m = NULL;
		}
	}
	return m;
}

/* What belongs to the packet rather than to its bytes. */
static void copy_identity(struct rte_mbuf *to, const struct rte_mbuf *from)
{
	to->port = from->port;
	to->hash = from->hash;
	to->ol_flags = from->ol_flags & ~(OFFLOAD_TX_FLAGS | RTE_MBUF_F_RX_L4_CKSUM_MASK |
						RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	memcpy(rte_mbuf_to_priv(to), (const char *)from + sizeof(*from), sizeof(struct pkt));
}

/* A chain as one segment. */
static struct rte_mbuf *linearize(const struct rte_mbuf *m)
{
	struct rte_mbuf *out = buffer_for(m->pkt_len);
	char *dst;

	if (out == NULL)
		return NULL;
	copy_identity(out, m);
	out->ol_flags |= m->ol_flags & OFFLOAD_TX_FLAGS;
	out->tx_offload = m->tx_offload;
	dst = rte_pktmbuf_append(out, (uint16_t)m->pkt_len);
	for (; m != NULL; m = m->next) {
		memcpy(dst, rte_pktmbuf_mtod(m, const char *), m->data_len);
		dst += m->data_len;
	}
	return out;
}

static int begin_whole(struct offload *o, uint32_t caps, struct rte_mbuf *m)
{
	struct rte_mbuf *one = NULL;

	if (m->nb_segs > 1 && !(caps & PORT_CAP_MULTI_SEG)) {
		one = linearize(m);
		if (one == NULL)
			return -ENOMEM;
	}
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) && !(caps & PORT_CAP_CSUM) &&
		!offload_complete(one != NULL ? one : m)) {
		rte_pktmbuf_free(one);
		return -EINVAL;
	}
	if (one != NULL) {
		rte_pktmbuf_free(m);
		m = one;
	}
	*o = (struct offload){.frame = m, .whole = true};
	return 0;
}

int offload_begin(struct offload *o, uint32_t caps, struct rte_mbuf *m)
{
	uint32_t header = l4_off(m) + m->l4_len;
	uint32_t wants = offload_wants(m);

	if (unlikely(m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK))
		return -EINVAL;
	if (!(m->ol_flags & OFFLOAD_GSO))
		return begin_whole(o, caps, m);
	/* Only the chain is in the way of a port with TSO: one copy, segmented by the port. */
	if ((wants & ~caps) == PORT_CAP_MULTI_SEG)
		return begin_whole(o, caps, m);
	if (m->tso_segsz == 0 || header > m->data_len || m->pkt_len <= header ||
		m->l4_len < (is_udp(m) ? sizeof(struct rte_udp_hdr) : sizeof(struct rte_tcp_hdr)))
		return -EINVAL;
	*o = (struct offload){
		.frame = m,
		.payload = m->pkt_len - header,
		.header = (uint16_t)header,
		.segment = m->tso_segsz,
		.partial = (caps & PORT_CAP_CSUM) != 0,
	};
	return 0;
}

/* Lengths and the identification of segment `o->count`; returns the sum of the pseudo header. */
static uint32_t patch_ip(const struct offload *o, struct rte_mbuf *s, uint16_t l4_len)
{
	const struct rte_mbuf *m = o->frame;
	uint8_t proto = is_udp(m) ? IPPROTO_UDP : IPPROTO_TCP;

	if (is_v6(m)) {
		struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(s, struct rte_ipv6_hdr *, l3_off(m));

		ip->payload_len = rte_cpu_to_be_16((uint16_t)(m->l3_len - sizeof(*ip) + l4_len));
		return checksum_pseudo6(ip->src_addr, ip->dst_addr, proto, l4_len);
	}
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(s, struct rte_ipv4_hdr *, l3_off(m));

	ip->total_length = rte_cpu_to_be_16((uint16_t)(m->l3_len + l4_len));
	ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + o->count));
	ip->hdr_checksum = checksum_ipv4_header(ip);
	return checksum_pseudo4(ip->src_addr, ip->dst_addr, proto, l4_len);
}

/* RFC 9293 and, for CWR, RFC 3168 section 6.1.2: it is said once. */
static void patch_tcp(const struct offload *o, struct rte_tcp_hdr *tcp, bool last)
{
	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + o->pos);
	if (!last)
		tcp->tcp_flags &= ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (o->count > 0)
		tcp->tcp_flags &= ~RTE_TCP_CWR_FLAG;
}

static struct rte_mbuf *next_segment(struct offload *o)
{
	const struct rte_mbuf *m = o->frame;
	uint16_t len = (uint16_t)RTE_MIN(o->segment, o->payload - o->pos);
	bool last = o->pos + len == o->payload;
	uint32_t l4 = l4_off(m);
	struct rte_mbuf *s = buffer_for(o->header + len);
	uint32_t sum, payload_sum;
	char *data;

	if (unlikely(s == NULL))
		return NULL;
	copy_identity(s, m);
	data = rte_pktmbuf_append(s, (uint16_t)(o->header + len));
	memcpy(data, rte_pktmbuf_mtod(m, const char *), o->header);
	payload_sum = checksum_copy_mbuf(0, data + o->header, m, o->header + o->pos, len);
	sum = patch_ip(o, s, (uint16_t)(m->l4_len + len));
	if (is_udp(m))
		((struct rte_udp_hdr *)(data + l4))->dgram_len =
			rte_cpu_to_be_16((uint16_t)(m->l4_len + len));
	else
		patch_tcp(o, (struct rte_tcp_hdr *)(data + l4), last);

	rte_be16_t *field = rte_pktmbuf_mtod_offset(s, rte_be16_t *,
		(char *)checksum_field(o->frame, l4) - rte_pktmbuf_mtod(m, char *));

	if (o->partial) {
		*field = checksum_fold(sum);
		s->ol_flags |= m->ol_flags & (OFFLOAD_TX_FLAGS & ~OFFLOAD_GSO);
		s->l2_len = m->l2_len;
		s->l3_len = m->l3_len;
		s->l4_len = m->l4_len;
	} else {
		*field = 0;
		sum = checksum_add(sum, data + l4, m->l4_len);
		sum = checksum_join(sum, payload_sum, m->l4_len);
		*field = is_udp(m) ? checksum_finish_udp(sum) : checksum_finish(sum);
		s->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	o->pos += len;
	o->count++;
	return s;
}

unsigned int offload_next(struct offload *o, struct rte_mbuf **out, unsigned int n)
{
	unsigned int made = 0;

	if (o->frame == NULL || n == 0)
		return 0;
	if (o->whole) {
		out[0] = o->frame;
		o->frame = NULL;
		o->count = 1;
		return 1;
	}
	while (made < n && o->pos < o->payload) {
		out[made] = next_segment(o);
		if (unlikely(out[made] == NULL)) {
			o->failed = true;
			o->pos = o->payload;
			break;
		}
		made++;
	}
	return made;
}

void offload_end(struct offload *o)
{
	rte_pktmbuf_free(o->frame);
	o->frame = NULL;
}
