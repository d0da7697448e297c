/* SPDX-License-Identifier: Apache-2.0 */
#include "outside_soup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "port/vnet_hdr.h"

#define STEPS_MAX 48

struct program {
	const uint8_t *at, *end;
};

static uint8_t next(struct program *p)
{
	return p->at < p->end ? *p->at++ : 0;
}

/* Where frames come from, with what addresses. Both directions of a flow, and between the families. */
static const struct leg {
	const char *port, *smac, *dmac, *src, *dst;
	uint16_t sport, dport; /* of the flow number 0 */
} legs[] = {
	{"a", MAC_A, GW, "10.0.1.10", SERVER, 100, 80},
	{EXT, HOP_MAC, EXT_MAC, SERVER, SNAT, 80, 1100},
	{"a", MAC_A, GW, "fd00:1:0:1::10", SERVER6, 100, 80},
	{EXT, HOP_MAC, EXT_MAC, SERVER6, SNAT6, 80, 1100},
	{"a", MAC_A, GW, "fd00:1:0:1::10", SERVER_IN_SIX, 100, 80},
	{EXT, HOP_MAC, EXT_MAC, SERVER, DNAT, 4000, 80},
	{"a", MAC_A, GW, "10.0.1.10", SERVER, 8080, 4000},
	{EXT, HOP_MAC, EXT_MAC, SERVER6, DNAT6, 4000, 80},
	{EXT, HOP_MAC, EXT_MAC, SERVER, SIX, 4000, 80},
	{"a", MAC_A, GW, "fd00:1:0:1::10", SERVER_IN_SIX, 80, 4000},
	{"a", MAC_A, GW, "10.0.1.10", EIP, 100, 80},
	{"b", MAC_B, GW, "10.0.1.11", SNAT, 80, 1100},
	{"a", MAC_A, GW, "fd00:1:0:1::10", EIP6, 100, 80},
	{"b", MAC_B, GW, "fd00:1:0:1::11", SNAT6, 80, 1100},
	{EXT, HOP_MAC, EXT_MAC, SERVER, FAR, 4000, 80},
	{GRAPH_UNDERLAY, MAC_R, GW, "10.0.1.20", SERVER, 80, 4000},
};
#define LEGS (sizeof(legs) / sizeof(legs[0]))

static bool is_v6(const struct leg *l)
{
	return strchr(l->src, ':') != NULL;
}

static void packet(struct frame *f, struct program *p, const struct leg *l)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_GRE,
		IPPROTO_UDPLITE, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_IPIP};
	static const uint8_t tcp_flags[] = {0x02, 0x12, 0x10, 0x18, 0x11, 0x04};
	uint8_t what = next(p), flow = next(p) & 3, kind = what & 15;
	uint8_t proto = kind < 12 ? protos[kind % 3] : protos[kind - 8];
	struct frame_spec s = {FROM(l->smac, l->src), TO(l->dmac, l->dst),
		.sport = (uint16_t)(l->sport + flow), .dport = l->dport, .ip_id = flow,
		.tcp_flags = tcp_flags[(what >> 4) % 6], .seq = what & 0x80, .ack = what & 0x40,
		.mss = what & 0x10 ? 1460 : 0, .payload = (uint16_t)(next(p) * 7)};

	s.proto = proto == IPPROTO_ICMP && is_v6(l) ? IPPROTO_ICMPV6 : proto;
	s.icmp_type = is_v6(l) ? 128 + (what >> 7) : what & 0x80 ? 0 : 8;
	s.icmp_id = l->sport > l->dport ? s.dport : s.sport;
	frame_build(f, &s);
}

/* About a packet that may have gone the other way. */
static void error(struct frame *f, struct program *p, const struct leg *l)
{
	const struct leg *other = &legs[next(p) % LEGS];
	uint8_t type = next(p);
	struct frame_spec s = {
		FROM(l->smac, l->src), TO(l->dmac, l->dst), .icmp_code = next(p) & 15};
	struct leg quoted = {
		FROM(MAC_A, l->dst), TO(GW, l->src), .sport = l->dport, .dport = l->sport};
	struct frame q;

	s.icmp_type = is_v6(l) ? (uint8_t)(1 + type % 5) : (uint8_t[]){3, 11, 12, 4, 5}[type % 5];
	if ((type & 0x80) && is_v6(other) == is_v6(l))
		quoted = *other;
	packet(&q, p, &quoted);
	frame_icmp_error(f, &s, &q, next(p));
}

/* Any bytes may be others. */
static void mangle(struct frame *f, struct program *p, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		uint32_t at = next(p) * 2u + 14;

		if (at < f->len)
			f->bytes[at] = next(p);
	}
}

/* A piece of the packet, of either family. */
static void cut(struct frame *f, struct program *p)
{
	bool v6 = f->bytes[14] >> 4 == 6;
	uint16_t header = v6 ? 54 : 34, payload = (uint16_t)(f->len - header),
		 at = (uint16_t)((next(p) & 15) * 64), len = 64;
	bool more;

	if (f->len <= header || at >= payload)
		return;
	more = at + len < payload;
	if (!more)
		len = (uint16_t)(payload - at);
	memmove(f->bytes + header + (v6 ? 8 : 0), f->bytes + header + at, len);
	if (v6) {
		memcpy(f->bytes + 54,
			(uint8_t[]){f->bytes[20], 0, (uint8_t)(at >> 8), (uint8_t)(at | more), 0, 0,
				0, 1},
			8);
		f->bytes[20] = IPPROTO_FRAGMENT;
		f->bytes[18] = (uint8_t)((len + 8) >> 8);
		f->bytes[19] = (uint8_t)(len + 8);
		f->len = (uint16_t)(header + 8 + len);
		return;
	}
	f->bytes[16] = (uint8_t)((len + 20) >> 8);
	f->bytes[17] = (uint8_t)(len + 20);
	f->bytes[20] = (uint8_t)((more ? 0x20 : 0) | at / 8 >> 8);
	f->bytes[21] = (uint8_t)(at / 8);
	frame_fix_ipv4(f);
	f->len = (uint16_t)(header + len);
}

/* A whole packet whose checksums frame_check() looked at, all of them. */
static bool is_right(const struct frame *f)
{
	const uint8_t *ip = f->bytes + 14;
	bool v6 = ip[0] >> 4 == 6;
	uint8_t proto = v6 ? ip[6] : ip[9];
	uint32_t header = v6 ? 40 : (ip[0] & 15u) * 4, len;

	if (f->len < 14 + 40 || (!v6 && (ip[0] >> 4 != 4 || header < 20)) ||
		(!v6 && ((ip[6] & 0x3f) | ip[7]) != 0))
		return false;
	len = v6 ? 40u + (ip[4] << 8 | ip[5]) : (uint32_t)(ip[2] << 8 | ip[3]);
	if (len < header + 20 || len + 14 > f->len || frame_check(f->bytes, f->len) != NULL)
		return false;
	if (proto == IPPROTO_UDP)
		return (uint32_t)(ip[header + 4] << 8 | ip[header + 5]) == len - header;
	return proto == IPPROTO_TCP || proto == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static void drain(bool right)
{
	static const char *const ports[] = {"a", "b", "c", EXT, GRAPH_UNDERLAY};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		uint16_t len;
		const uint8_t *got;

		while ((got = graph_sent(ports[i], &len)) != NULL)
			if (right && frame_check(got, len) != NULL)
				fail_msg("%s to %s", frame_check(got, len), ports[i]);
	}
}

static void give(const struct leg *l, const struct frame *f, uint8_t how)
{
	bool v6 = f->bytes[14] >> 4 == 6;
	uint8_t proto = f->bytes[v6 ? 20 : 23];
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM,
		.csum_start = v6 ? 54 : 34,
		.csum_offset = proto == IPPROTO_TCP ? 16 : 6};
	struct frame partial = *f;
	struct rte_mbuf *m;

	if ((how & 3) != 3 || l->port[0] == 'u' || !is_right(f) ||
		(proto != IPPROTO_TCP && proto != IPPROTO_UDP)) {
		graph_send(l->port, f->bytes, f->len);
		return;
	}
	if (how & 4) {
		hdr.gso_size = (uint16_t)(how * 4);
		hdr.gso_type = proto == IPPROTO_UDP ? VNET_GSO_UDP_L4
			       : v6                 ? VNET_GSO_TCPV6
						    : VNET_GSO_TCPV4;
	}
	frame_make_partial(&partial);
	m = graph_mbuf(partial.bytes, partial.len);
	if (vnet_hdr_to_mbuf(&hdr, m))
		graph_send_mbuf(l->port, m);
	else
		rte_pktmbuf_free(m);
}

static void carry(struct program *p, uint8_t what)
{
	const struct leg *l = &legs[next(p) % LEGS];
	uint8_t how = next(p);
	struct frame f, outer;
	bool right;

	if (what & 1)
		error(&f, p, l);
	else
		packet(&f, p, l);
	if (what & 2)
		mangle(&f, p, 1 + (how >> 6));
	if ((how & 8) && f.len >= 74)
		frame_finish(&f);
	if ((how & 16) && f.len >= 34 && f.bytes[14] >> 4 == 4)
		frame_fix_ipv4(&f);
	if ((how & 32) && f.len > 64)
		cut(&f, p);
	right = is_right(&f);
	if (l->port[0] == 'u') {
		frame_vxlan(&outer, &f, "192.0.2.2", "192.0.2.1", 100);
		f = outer;
	}
	give(l, &f, how);
	graph_run();
	drain(right);
}

static void change(uint8_t what)
{
	switch (what & 7) {
	case 0:
		outside.forgets = !outside.forgets;
		break;
	case 1:
		outside.refuses = !outside.refuses;
		break;
	case 2:
		graph_pass_time(what * 50u);
		break;
	case 3:
		outside.holds = !outside.holds;
		break;
	default:
		outside_bump();
		break;
	}
}

void outside_play(const uint8_t *program, size_t size)
{
	struct program p = {program, program + size};

	static bool begun;

	if (!begun) /* none of its steps changes it */
		graph_items(CLOUD);
	begun = true;
	outside.holds = true;
	for (unsigned int n = 0; n < STEPS_MAX && p.at < p.end; n++) {
		uint8_t what = next(&p);

		if (what >= 0xe0)
			change(what);
		else
			carry(&p, what);
	}
	drain(false);
	graph_settle();
	outside_reset();
}
