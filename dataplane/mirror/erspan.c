/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror/erspan.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "base/checksum.h"

#define ETHER 14
#define IPV4 20
#define IPV6 40
#define GRE 8

struct gre_header {
	rte_be16_t flags;
	rte_be16_t protocol;
	rte_be32_t sequence;
};
static_assert(sizeof(struct gre_header) == GRE, "RFC 2890");

#define GRE_SEQUENCE RTE_BE16(0x1000)
#define GRE_ERSPAN_II RTE_BE16(0x88be)
#define GRE_ERSPAN_III RTE_BE16(0x22eb)

/* First word of both types: Ver 4, VLAN 12, COS 3, En or BSO 2, T 1, session 10. */
#define TRUNCATED RTE_BE32(1u << 10)
/* Third word of type III: SGT 16, P 1, FT 5, hardware 6, D 1, Gra 2, O 1. P: there is a frame behind it, of type (FT 0)
 * Ethernet; Gra 0: the time is in units of 100 us. */
#define PAYLOAD RTE_BE32(1u << 15)
#define EGRESS RTE_BE32(1u << 3)

static void make_ipv4(struct erspan_outer *o)
{
	struct rte_ipv4_hdr ip;

	memcpy(&ip, o->bytes + ETHER, sizeof(ip));
	ip.next_proto_id = IPPROTO_GRE;
	memcpy(o->bytes + ETHER, &ip, sizeof(ip));
	o->ip_sum = checksum_fold(checksum_add(0, &ip, sizeof(ip)));
}

void erspan_outer_make(struct erspan_outer *o, const struct vxlan_outer *path, uint8_t version,
	uint16_t session_id)
{
	uint8_t ip_len = path->v6 ? IPV6 : IPV4;
	struct gre_header gre = {
		.flags = GRE_SEQUENCE, .protocol = version == 3 ? GRE_ERSPAN_III : GRE_ERSPAN_II};
	rte_be32_t first = rte_cpu_to_be_32((version - 1u) << 28 | session_id);
	rte_be32_t third = PAYLOAD;
	uint8_t *p;

	memset(o, 0, sizeof(*o));
	o->v6 = path->v6;
	o->version = version;
	memcpy(o->bytes, path->bytes, ETHER + ip_len);
	if (path->v6)
		((struct rte_ipv6_hdr *)(o->bytes + ETHER))->proto = IPPROTO_GRE;
	else
		make_ipv4(o);
	p = o->bytes + ETHER + ip_len;
	memcpy(p, &gre, sizeof(gre));
	memcpy(p + GRE, &first, sizeof(first));
	if (version == 3)
		memcpy(p + GRE + 8, &third, sizeof(third));
	o->len = (uint8_t)(ETHER + ip_len + GRE + (version == 3 ? 12 : 8));
}

static void finish_ip(uint8_t *l3, const struct erspan_outer *o, uint16_t payload)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;

	if (o->v6) {
		((struct rte_ipv6_hdr *)l3)->payload_len = rte_cpu_to_be_16(payload);
		return;
	}
	ip->total_length = rte_cpu_to_be_16((uint16_t)(payload + IPV4));
	ip->hdr_checksum = checksum_finish(checksum_add16(o->ip_sum, ip->total_length));
}

bool erspan_push(struct rte_mbuf *m, const struct erspan_outer *o, const struct erspan_frame *f)
{
	uint16_t ip_len = o->v6 ? IPV6 : IPV4;
	uint16_t payload = (uint16_t)(m->pkt_len + o->len - ETHER - ip_len);
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(m, o->len), *erspan;
	rte_be32_t word;

	if (p == NULL)
		return false;
	memcpy(p, o->bytes, o->len);
	finish_ip(p + ETHER, o, payload);
	word = rte_cpu_to_be_32(f->sequence);
	memcpy(p + ETHER + ip_len + 4, &word, sizeof(word));
	erspan = p + ETHER + ip_len + GRE;
	if (f->truncated) {
		memcpy(&word, erspan, sizeof(word));
		word |= TRUNCATED;
		memcpy(erspan, &word, sizeof(word));
	}
	if (o->version == 3) {
		word = rte_cpu_to_be_32(f->time_100us);
		memcpy(erspan + 4, &word, sizeof(word));
		word = PAYLOAD | (f->given ? EGRESS : 0);
		memcpy(erspan + 8, &word, sizeof(word));
	}
	return true;
}
