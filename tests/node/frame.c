/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

/* A reference of its own: plain, slow, not the product's. */
static uint32_t sum16(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo(const uint8_t *ip, uint8_t proto, uint32_t l4_len)
{
	uint32_t sum = ip[0] >> 4 == 4 ? sum16(0, ip + 12, 8) : sum16(0, ip + 8, 32);

	return sum + proto + l4_len;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t build_l4(uint8_t *l4, const struct frame_spec *s, uint8_t proto)
{
	uint16_t header = 0;

	switch (proto) {
	case IPPROTO_UDP:
		header = 8;
		put16(l4, s->sport);
		put16(l4 + 2, s->dport);
		put16(l4 + 4, (uint32_t)(header + s->payload));
		break;
	case IPPROTO_TCP:
		header = s->mss ? 24 : 20;
		put16(l4, s->sport);
		put16(l4 + 2, s->dport);
		put32(l4 + 4, s->seq);
		put32(l4 + 8, s->ack);
		l4[12] = (uint8_t)(header / 4 << 4);
		l4[13] = s->tcp_flags ? s->tcp_flags : 0x02;
		put16(l4 + 14, s->window ? s->window : 65535);
		if (s->mss) {
			l4[20] = 2;
			l4[21] = 4;
			put16(l4 + 22, s->mss);
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		header = 8;
		l4[0] = s->icmp_type;
		l4[1] = s->icmp_code;
		put16(l4 + 4, s->icmp_id);
		put16(l4 + 6, 1);
		break;
	}
	for (uint16_t i = 0; i < s->payload; i++)
		l4[header + i] = (uint8_t)(i * 7 + 1);
	return (uint16_t)(header + s->payload);
}

static int checksum_at(uint8_t proto)
{
	return proto == IPPROTO_UDP                               ? 6
	       : proto == IPPROTO_TCP                             ? 16
	       : proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? 2
								  : -1;
}

static void finish_l4(const uint8_t *ip, uint8_t *l4, uint8_t proto, uint16_t len)
{
	int at = checksum_at(proto);
	uint32_t sum;

	if (at < 0)
		return;
	put16(l4 + at, 0);
	sum = sum16(proto == IPPROTO_ICMP ? 0 : pseudo(ip, proto, len), l4, len);
	sum = (~sum) & 0xffff;
	put16(l4 + at, sum == 0 && proto == IPPROTO_UDP ? 0xffff : sum);
}

void frame_build(struct frame *f, const struct frame_spec *s)
{
	bool v6 = s->src != NULL && strchr(s->src, ':') != NULL;
	uint8_t proto = s->proto ? s->proto : IPPROTO_UDP, *ip = f->bytes + 14,
		*l4 = ip + (v6 ? 40 : 20);
	uint16_t l4_len;

	memset(f, 0, sizeof(*f));
	rte_ether_unformat_addr(s->dmac, (struct rte_ether_addr *)f->bytes);
	rte_ether_unformat_addr(s->smac, (struct rte_ether_addr *)(f->bytes + 6));
	put16(f->bytes + 12, v6 ? 0x86dd : 0x0800);
	l4_len = build_l4(l4, s, proto);
	if (v6) {
		put32(ip, 6u << 28 | (uint32_t)s->tos << 20);
		put16(ip + 4, l4_len);
		ip[6] = proto;
		ip[7] = s->ttl ? s->ttl : 64;
		inet_pton(AF_INET6, s->src, ip + 8);
		inet_pton(AF_INET6, s->dst, ip + 24);
	} else {
		ip[0] = 0x45;
		ip[1] = s->tos;
		put16(ip + 2, 20u + l4_len);
		put16(ip + 4, s->ip_id);
		put16(ip + 6, s->fragment);
		ip[8] = s->ttl ? s->ttl : 64;
		ip[9] = proto;
		inet_pton(AF_INET, s->src, ip + 12);
		inet_pton(AF_INET, s->dst, ip + 16);
		put16(ip + 10, ~sum16(0, ip, 20) & 0xffff);
	}
	if (!s->fragment)
		finish_l4(ip, l4, proto, l4_len);
	f->len = (uint16_t)(l4 - f->bytes + l4_len);
}

void frame_finish(struct frame *f)
{
	uint8_t *ip = f->bytes + 14, *l4 = ip + (ip[0] >> 4 == 6 ? 40 : 20);

	finish_l4(ip, l4, ip[0] >> 4 == 6 ? ip[6] : ip[9], (uint16_t)(f->bytes + f->len - l4));
}

const char *frame_check(const uint8_t *bytes, uint16_t len)
{
	static char why[96];
	const uint8_t *ip = bytes + 14, *l4;
	uint16_t total, l4_len;
	uint8_t proto;
	bool v6;

	if (len < 14 + 20)
		return "too short";
	v6 = get16(bytes + 12) == 0x86dd;
	if (!v6 && get16(bytes + 12) != 0x0800)
		return NULL;
	total = (uint16_t)(v6 ? 40 + get16(ip + 4) : get16(ip + 2));
	if (total + 14 > len)
		return "IP length beyond the frame";
	if (!v6 && sum16(0, ip, (ip[0] & 15u) * 4) != 0xffff)
		return "IPv4 header checksum";
	if (!v6 && (get16(ip + 6) & 0x3fff))
		return NULL;
	proto = v6 ? ip[6] : ip[9];
	l4 = ip + (v6 ? 40 : (ip[0] & 15) * 4);
	l4_len = (uint16_t)(total - (l4 - ip));
	if (checksum_at(proto) < 0 || (proto == IPPROTO_UDP && get16(l4 + 6) == 0))
		return NULL;
	if (sum16(proto == IPPROTO_ICMP ? 0 : pseudo(ip, proto, l4_len), l4, l4_len) != 0xffff) {
		snprintf(why, sizeof(why), "checksum of protocol %u", proto);
		return why;
	}
	return NULL;
}

void frame_vxlan(
	struct frame *f, const struct frame *inner, const char *src, const char *dst, uint32_t vni)
{
	struct frame_spec outer = {.smac = "02:00:00:00:99:02",
		.dmac = "02:00:00:00:99:01",
		.src = src,
		.dst = dst,
		.sport = 50000,
		.dport = 4789,
		.payload = (uint16_t)(8 + inner->len)};
	uint8_t *vxlan;

	frame_build(f, &outer);
	vxlan = f->bytes + 42;
	memset(vxlan, 0, 8);
	vxlan[0] = 0x08;
	put32(vxlan + 4, vni << 8);
	memcpy(vxlan + 8, inner->bytes, inner->len);
	put16(f->bytes + 40, 0);
}

const struct frame *frame_make(struct frame *f, const struct frame_spec *s)
{
	frame_build(f, s);
	return f;
}

const struct frame *frame_tunnelled(struct frame *f, const struct frame *inner, uint32_t vni)
{
	frame_vxlan(f, inner, "192.0.2.2", "192.0.2.1", vni);
	return f;
}

const struct frame *frame_icmp_error(
	struct frame *f, const struct frame_spec *s, const struct frame *quoted, uint16_t bytes)
{
	struct frame_spec error = *s;
	bool v6 = strchr(s->src, ':') != NULL;
	uint8_t *ip = f->bytes + 14, *l4 = ip + (v6 ? 40 : 20);

	error.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	error.payload = bytes < quoted->len - 14 ? bytes : (uint16_t)(quoted->len - 14);
	frame_build(f, &error);
	put32(l4 + 4, 0);
	memcpy(l4 + 8, quoted->bytes + 14, error.payload);
	finish_l4(ip, l4, error.proto, (uint16_t)(8 + error.payload));
	return f;
}

const struct frame *frame_extended(
	struct frame *f, const struct frame *plain, uint8_t header, const uint8_t rest[7])
{
	uint8_t *ip = f->bytes + 14;

	memcpy(f->bytes, plain->bytes, 14 + 40);
	memcpy(ip + 48, plain->bytes + 14 + 40, plain->len - 54u);
	ip[40] = ip[6];
	ip[6] = header;
	memcpy(ip + 41, rest, 7);
	put16(ip + 4, get16(ip + 4) + 8u);
	f->len = (uint16_t)(plain->len + 8);
	return f;
}

void frame_fix_ipv4(struct frame *f)
{
	put16(f->bytes + 24, 0);
	put16(f->bytes + 24, ~sum16(0, f->bytes + 14, 20) & 0xffff);
}

void frame_make_partial(struct frame *f)
{
	uint8_t *ip = f->bytes + 14;
	bool v6 = ip[0] >> 4 == 6;
	uint8_t proto = v6 ? ip[6] : ip[9], *l4 = ip + (v6 ? 40 : 20);
	uint16_t l4_len = (uint16_t)(f->bytes + f->len - l4);

	put16(l4 + checksum_at(proto), sum16(pseudo(ip, proto, l4_len), NULL, 0));
}
