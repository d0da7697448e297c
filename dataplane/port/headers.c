/* SPDX-License-Identifier: Apache-2.0 */
#include "port/headers.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 8

static const void *at(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	return off + len <= m->data_len ? rte_pktmbuf_mtod_offset(m, const void *, off) : NULL;
}

static bool parse_ipv4(const struct rte_mbuf *m, uint32_t off, struct headers *h)
{
	const struct rte_ipv4_hdr *ip = at(m, off, sizeof(*ip));

	if (ip == NULL || ip->version != 4 || ip->ihl < 5)
		return false;
	h->v6 = false;
	h->l3_len = ip->ihl * 4;
	h->proto = ip->next_proto_id;
	h->fragment = (ip->fragment_offset &
			      RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0;
	return off + h->l3_len <= m->data_len;
}

/* Walks the extension headers of RFC 8200 section 4 up to the transport's. */
static bool parse_ipv6(const struct rte_mbuf *m, uint32_t off, struct headers *h)
{
	const struct rte_ipv6_hdr *ip = at(m, off, sizeof(*ip));
	uint32_t pos = off + sizeof(*ip);

	if (ip == NULL || (ip->vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000))
		return false;
	h->v6 = true;
	h->fragment = false;
	h->proto = ip->proto;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		const uint8_t *ext;

		switch (h->proto) {
		case IPPROTO_FRAGMENT:
			h->fragment = true;
			/* fallthrough */
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			ext = at(m, pos, 8);
			if (ext == NULL)
				return false;
			pos += h->proto == IPPROTO_FRAGMENT ? 8 : (ext[1] + 1u) * 8;
			h->proto = ext[0];
			break;
		default:
			h->l3_len = (uint16_t)(pos - off);
			/* The mbuf's field has 9 bits. */
			return pos <= m->data_len && h->l3_len < 512;
		}
	}
	return false;
}

bool headers_parse(const struct rte_mbuf *m, uint32_t off, struct headers *h)
{
	const struct rte_ether_hdr *eth = at(m, off, sizeof(*eth));
	uint32_t pos = off + sizeof(*eth);
	rte_be16_t type;

	if (eth == NULL)
		return false;
	type = eth->ether_type;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		const struct rte_vlan_hdr *tag;

		if (type != RTE_BE16(RTE_ETHER_TYPE_VLAN) && type != RTE_BE16(RTE_ETHER_TYPE_QINQ))
			break;
		tag = at(m, pos, sizeof(*tag));
		if (tag == NULL)
			return false;
		type = tag->eth_proto;
		pos += sizeof(*tag);
	}
	h->l2_len = (uint16_t)(pos - off);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return parse_ipv4(m, pos, h);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return parse_ipv6(m, pos, h);
	return false;
}

uint8_t headers_tcp_len(const struct rte_mbuf *m, uint32_t off)
{
	const struct rte_tcp_hdr *tcp = at(m, off, sizeof(*tcp));
	uint8_t len = tcp == NULL ? 0 : (tcp->data_off >> 4) * 4;

	return len >= sizeof(*tcp) && off + len <= m->data_len ? len : 0;
}

void headers_gather(struct rte_mbuf *m)
{
	struct rte_mbuf *from;
	uint32_t n;

	while (m->data_len < HEADERS_MAX && (from = m->next) != NULL) {
		n = RTE_MIN(HEADERS_MAX - m->data_len, (uint32_t)from->data_len);
		n = RTE_MIN(n, (uint32_t)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_mtod_offset(m, char *, m->data_len),
			rte_pktmbuf_mtod(from, const char *), n);
		m->data_len = (uint16_t)(m->data_len + n);
		from->data_off = (uint16_t)(from->data_off + n);
		from->data_len = (uint16_t)(from->data_len - n);
		if (from->data_len != 0)
			return;
		m->next = from->next;
		m->nb_segs--;
		from->next = NULL;
		from->nb_segs = 1;
		rte_pktmbuf_free_seg(from);
	}
}
