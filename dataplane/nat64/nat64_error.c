/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors: the message, and the packet that it quotes, in the other family. Small and rare, so it is made anew. */
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "base/checksum.h"
#include "nat64/nat64.h"

#define ERROR6_MAX 1280u /* RFC 4443 section 2.4 (c) */
#define ERROR_MAX 2048u

struct message {
	uint8_t bytes[ERROR_MAX]; /* ICMP header, quoted IP header, what follows it */
	uint16_t len;
};

/* RFC 4884: what an error says of itself behind the packet it quotes is left out. */
static uint32_t quote_end(const uint8_t *icmp, const struct parse_quote *q, bool from6)
{
	uint32_t len = from6 ? icmp[4] * 8u : icmp[5] * 4u;
	bool may = from6 ? icmp[0] == 1 || icmp[0] == 3
			 : icmp[0] == 3 || icmp[0] == 11 || icmp[0] == 12;

	return may && len != 0 && q->l3_off + len >= q->l4_off + 8
		       ? RTE_MIN(q->end, q->l3_off + len)
		       : q->end;
}

/* Ports and checksum, or the echo message, of the quoted packet. */
static bool put_quoted_l4(uint8_t *l4, uint32_t have, const struct parse_quote *q,
	const struct translate_addrs *to, uint16_t l4_len, bool from6, uint32_t ref)
{
	const struct session_dir *d = session_dir_of(ref);
	rte_be16_t ports[2] = {d->new_dport, d->new_sport}, check, id;
	uint32_t at = q->proto == IPPROTO_TCP ? 16 : q->proto == IPPROTO_UDP ? 6 : 2, delta;
	int type;

	if (q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP) {
		delta = checksum_delta128(0, q->src.bytes, to->src.bytes);
		delta = checksum_delta128(delta, q->dst.bytes, to->dst.bytes);
		delta = checksum_delta16(delta, q->sport, ports[0]);
		delta = checksum_delta16(delta, q->dport, ports[1]);
		memcpy(l4, ports, sizeof(ports));
	} else {
		uint16_t pseudo =
			checksum_fold(checksum_pseudo6(from6 ? q->src.bytes : to->src.bytes,
				from6 ? q->dst.bytes : to->dst.bytes, IPPROTO_ICMPV6, l4_len));

		type = nat64_echo_type(l4[0], from6);
		if (type < 0)
			return false;
		id = translate_icmp_id(d, ref);
		delta = nat64_echo_delta(l4, (uint8_t)type, id, pseudo, from6);
		l4[0] = (uint8_t)type;
		memcpy(l4 + 4, &id, sizeof(id));
	}
	if (at + sizeof(check) > have)
		return true;
	memcpy(&check, l4 + at, sizeof(check));
	check = q->proto == IPPROTO_UDP ? checksum_apply_udp(check, delta)
					: checksum_apply(check, delta);
	memcpy(l4 + at, &check, sizeof(check));
	return true;
}

/* The quoted packet goes the other way: its source is the error's destination. */
static enum drop_reason put_quoted(struct message *out, const uint8_t *frame,
	const struct parse_quote *q, uint32_t end, const struct translate_addrs *error,
	uint32_t room, uint32_t ref)
{
	struct translate_addrs to = {error->dst, error->src};
	struct nat64_question ask = {.ip = frame + q->l3_off,
		.header_len = (uint16_t)(q->l4_off - q->l3_off),
		.to = &to};
	bool from6 = ask.ip[0] >> 4 == 6;
	struct nat64_header h;
	enum drop_reason reason;
	uint32_t n;

	ask.l4_len = nat64_l4_len(ask.ip, ask.header_len);
	ask.proto = nat64_proto(q->proto, from6);
	reason = nat64_header_make(&h, &ask);
	if (reason != DROP_NONE)
		return reason;
	n = RTE_MIN(end - q->l4_off, room - 8 - h.len);
	memcpy(out->bytes + 8, h.bytes, h.len);
	memcpy(out->bytes + 8 + h.len, frame + q->l4_off, n);
	out->len = (uint16_t)(8 + h.len + n);
	return put_quoted_l4(out->bytes + 8 + h.len, n, q, &to, ask.l4_len, from6, ref)
		       ? DROP_NONE
		       : DROP_UNSUPPORTED;
}

/* Who sends it: the end of the flow, or somebody on the way. An IPv4 router is known inside by its address in the end's prefix (RFC 6052), an
 * IPv6 one has no address outside but the flow's. */
static struct ip_addr source(const struct ip_addr *src, const struct parse_quote *q,
	const struct ip_addr *end_to, bool from6)
{
	struct ip_addr router = *end_to;

	if (from6 || ip_addr_equal(src, &q->dst))
		return *end_to;
	router.w[3] = ip_addr_v4(src);
	return router;
}

static void finish(struct message *msg, const struct translate_addrs *to, bool from6)
{
	uint32_t sum =
		from6 ? 0
		      : checksum_pseudo6(to->src.bytes, to->dst.bytes, IPPROTO_ICMPV6, msg->len);
	rte_be16_t check = checksum_finish(checksum_add(sum, msg->bytes, msg->len));

	memcpy(msg->bytes + 2, &check, sizeof(check));
}

/* In place of what is in the frame behind its Ethernet header. */
static enum drop_reason put_frame(
	struct rte_mbuf *m, struct pkt *p, const struct nat64_header *h, const struct message *msg)
{
	bool from6 = p->flags & PKT_F_V6;
	uint32_t len = (uint32_t)p->l3_off + h->len + msg->len;
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	if (rte_pktmbuf_linearize(m) != 0 || len > (uint32_t)m->data_len + rte_pktmbuf_tailroom(m))
		return DROP_NO_BUFFER;
	eth->ether_type = from6 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	memcpy((uint8_t *)eth + p->l3_off, h->bytes, h->len);
	memcpy((uint8_t *)eth + p->l3_off + h->len, msg->bytes, msg->len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	p->l4_off = (uint16_t)(p->l3_off + h->len);
	p->l3_len = (uint16_t)(h->len + msg->len);
	p->flags ^= PKT_F_V6;
	p->proto = nat64_proto(p->proto, from6);
	return DROP_NONE;
}

enum drop_reason nat64_error(struct rte_mbuf *m, struct pkt *p, uint32_t ref)
{
	bool from6 = p->flags & PKT_F_V6;
	struct translate_addrs to = translate_addrs_v6(ref);
	struct ip_addr src, dst;
	struct nat64_question ask = {.header_len = (uint16_t)(p->l4_off - p->l3_off),
		.proto = from6 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.to = &to};
	uint32_t room = from6 ? ERROR_MAX : ERROR6_MAX - sizeof(struct rte_ipv6_hdr);
	enum drop_reason reason;
	struct nat64_header h;
	struct parse_quote q;
	struct message msg;
	const uint8_t *frame;

	reason = translate_error_check(m, p, &q);
	if (reason != DROP_NONE)
		return reason;
	frame = rte_pktmbuf_mtod(m, const uint8_t *);
	ask.ip = frame + p->l3_off;
	if (!nat64_error_head(frame + p->l4_off, msg.bytes,
		    from6 ? 0
			  : rte_be_to_cpu_16(((const struct rte_ipv4_hdr *)(frame + q.l3_off))
						     ->total_length),
		    from6))
		return DROP_UNSUPPORTED;
	reason = put_quoted(
		&msg, frame, &q, quote_end(frame + p->l4_off, &q, from6), &to, room, ref);
	if (reason != DROP_NONE)
		return reason;
	parse_addrs(m, p, &src, &dst);
	to.src = source(&src, &q, &to.src, from6);
	finish(&msg, &to, from6);
	ask.l4_len = msg.len;
	reason = nat64_header_make(&h, &ask);
	return reason == DROP_NONE ? put_frame(m, p, &h, &msg) : reason;
}
