/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about translated flows (RFC 5508 sections 4 and 5, RFC 3022 section 4.3; RFC 4443 for IPv6).
 *
 * Whoever sends an error quotes the packet as he has seen it: translated. Who gets it knows it by the tuple that it left with. So the
 * quoted packet is translated back, with what the error's own direction says about packets: its source is the quoted destination.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <rte_ip.h>

#include "base/checksum.h"
#include "forward/parse.h"
#include "forward/translate.h"

/* Rewrites fields, and gathers what that does to checksums that cover them. */
static void put16(uint32_t *delta, uint8_t *field, rte_be16_t to)
{
	rte_be16_t from;

	memcpy(&from, field, sizeof(from));
	*delta = checksum_delta16(*delta, from, to);
	memcpy(field, &to, sizeof(to));
}

static void put_address(uint32_t *delta, uint8_t *field, const struct ip_addr *to, bool v6)
{
	rte_be32_t from;

	if (v6) {
		*delta = checksum_delta128(*delta, field, to->bytes);
		memcpy(field, to->bytes, sizeof(to->bytes));
		return;
	}
	memcpy(&from, field, sizeof(from));
	*delta = checksum_delta32(*delta, from, ip_addr_v4(to));
	memcpy(field, &to->w[3], sizeof(to->w[3]));
}

static uint32_t joined(uint32_t a, uint32_t b)
{
	return (uint32_t)checksum_fold(a) + checksum_fold(b);
}

static struct translate_addrs addrs_of(uint32_t ref)
{
	const struct session_dir *d = session_dir_of(ref);

	if (d->flags & SESSION_F_V6)
		return translate_addrs_v6(ref);
	return (struct translate_addrs){ip_addr_from_v4(d->new_src), ip_addr_from_v4(d->new_dst)};
}

/* Ports or id of the quoted packet, `l4`; what that does to its checksum. */
static uint32_t put_ports(uint8_t *l4, uint8_t proto, bool v6, uint32_t ref)
{
	const struct session_dir *d = session_dir_of(ref);
	uint32_t delta = 0;

	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		put16(&delta, l4, d->new_dport);
		put16(&delta, l4 + 2, d->new_sport);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (parse_icmp_has_id(v6, l4[0]))
			put16(&delta, l4 + 4, translate_icmp_id(d, ref));
		break;
	default:
		break;
	}
	return delta;
}

/* The quoted L4 header. Returns what all that is changed in it does to the error's checksum. */
static uint32_t translate_quoted_l4(
	uint8_t *l4, uint32_t have, uint8_t proto, bool v6, uint32_t addresses, uint32_t ref)
{
	uint32_t at = translate_checksum_at(proto, v6), covered, delta;
	rte_be16_t check;

	if (at == TRANSLATE_NO_CHECKSUM)
		return 0;
	delta = put_ports(l4, proto, v6, ref);
	covered = proto == IPPROTO_ICMP ? delta : joined(delta, addresses);
	if (at + sizeof(check) > have)
		return delta;
	memcpy(&check, l4 + at, sizeof(check));
	put16(&delta, l4 + at,
		proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE
			? checksum_apply_udp(check, covered)
			: checksum_apply(check, covered));
	return delta;
}

/* The quoted packet. Returns what that does to the error's checksum. */
static uint32_t translate_quote(uint8_t *frame, const struct parse_quote *q,
	const struct translate_addrs *to, bool v6, uint32_t ref)
{
	uint8_t *ip = frame + q->l3_off;
	uint32_t addresses = 0, delta;
	rte_be16_t check;

	put_address(&addresses, ip + (v6 ? 8 : 12), &to->dst, v6);
	put_address(&addresses, ip + (v6 ? 24 : 16), &to->src, v6);
	delta = addresses;
	if (!v6) {
		memcpy(&check, ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), sizeof(check));
		put16(&delta, ip + offsetof(struct rte_ipv4_hdr, hdr_checksum),
			checksum_apply(check, addresses));
	}
	return joined(delta, translate_quoted_l4(frame + q->l4_off, q->end - q->l4_off, q->proto,
				     v6, addresses, ref));
}

/* RFC 5508 section 4.2 REQ-4, 5: who sends an error need not be an end of the flow. A machine of a VPC is not known outside of it: its
 * errors come from the address that the flow has there. A router outside stays who it is. */
static const struct ip_addr *error_source(const struct ip_addr *src, const struct ip_addr *end,
	const struct ip_addr *end_to, uint32_t ref)
{
	const struct session_dir *d = session_dir_of(ref), *r = session_dir_of(ref ^ 1);
	bool leaves = session_key_vpc(&d->key) != session_key_vpc(&r->key);

	return ip_addr_equal(src, end) || (leaves && (d->flags & SESSION_F_SRC)) ? end_to : src;
}

/* The error's own addresses. Returns what that does to an ICMPv6 checksum. */
static uint32_t translate_outer(uint8_t *ip, const struct parse_quote *q,
	const struct translate_addrs *to, bool v6, uint32_t ref)
{
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip;
	struct ip_addr src = v6 ? ip_addr_from_v6(ip + 8) : ip_addr_from_v4(ip4->src_addr);
	uint32_t delta = 0;

	put_address(&delta, ip + (v6 ? 8 : 12), error_source(&src, &q->dst, &to->src, ref), v6);
	put_address(&delta, ip + (v6 ? 24 : 16), &to->dst, v6);
	if (!v6)
		ip4->hdr_checksum = checksum_apply(ip4->hdr_checksum, delta);
	return v6 ? delta : 0;
}

/* RFC 5508 section 4.2 REQ-3: a checksum that is wrong would be made right by nobody. What is quoted in IPv4 has its own, too. */
static enum drop_reason check(
	const struct rte_mbuf *m, const struct pkt *p, const struct parse_quote *q, bool v6)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t len = (uint16_t)(p->l3_off + p->l3_len - p->l4_off);
	uint32_t sum = 0;

	if (p->flags & PKT_F_FRAGMENT) /* its checksum can not be told */
		return DROP_FRAGMENT;
	if (v6)
		sum = checksum_pseudo6(
			frame + p->l3_off + 8, frame + p->l3_off + 24, IPPROTO_ICMPV6, len);
	if (checksum_fold(checksum_add_mbuf(sum, m, p->l4_off, len)) != 0xffff)
		return DROP_BAD_CHECKSUM;
	if (!v6 &&
		checksum_fold(checksum_add(0, frame + q->l3_off, q->l4_off - q->l3_off)) != 0xffff)
		return DROP_BAD_CHECKSUM;
	return DROP_NONE;
}

enum drop_reason translate_error_check(
	struct rte_mbuf *m, const struct pkt *p, struct parse_quote *q)
{
	if (!parse_quote(m, p, q))
		return DROP_MALFORMED;
	if (q->end > m->data_len && rte_pktmbuf_linearize(m) != 0)
		return DROP_MALFORMED;
	return check(m, p, q, p->flags & PKT_F_V6);
}

enum drop_reason translate_error(struct rte_mbuf *m, struct pkt *p, uint32_t ref)
{
	bool v6 = p->flags & PKT_F_V6;
	struct translate_addrs to = addrs_of(ref);
	struct parse_quote q;
	enum drop_reason reason;
	rte_be16_t sum;
	uint32_t delta;
	uint8_t *frame;

	reason = translate_error_check(m, p, &q);
	if (reason != DROP_NONE)
		return reason;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	delta = translate_quote(frame, &q, &to, v6, ref);
	delta = joined(delta, translate_outer(frame + p->l3_off, &q, &to, v6, ref));
	memcpy(&sum, frame + p->l4_off + 2, sizeof(sum));
	sum = checksum_apply(sum, delta);
	memcpy(frame + p->l4_off + 2, &sum, sizeof(sum));
	return DROP_NONE;
}
