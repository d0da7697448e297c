/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway answers, byte for byte: ARP, ND, ping, DHCP. On fixture_world(). */
#include "vpc_fixture.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_udp.h>

#include "base/checksum.h"
#include "vpc/claim.h"
#include "vpc/dhcp.h"
#include "vpc/icmp6.h"
#include "vpc/service.h"

#define W1 "02:00:00:00:01:11"
#define W2 "02:00:00:00:01:12"
#define OTHER "02:00:00:00:ee:ee"

static uint8_t frame[1600] __attribute__((aligned(16)));
static uint16_t frame_len;

struct result {
	enum service_result result;
	enum drop_reason reason;
};

static struct result serve(service_fn fn, const char *in, uint32_t vni)
{
	struct service s = {.frame = frame, .len = frame_len, .room = sizeof(frame)};
	struct result r = {SERVICE_DROP, DROP_NONE};

	if (service_begin(&s, in[0] == '@' ? vtep(in + 1) : port(in), vpc_by_vni(vni)->index))
		r.result = fn(&s);
	r.reason = r.result == SERVICE_DROP ? s.reason : DROP_NONE;
	frame_len = s.len;
	return r;
}

#define assert_result(expr, want, why)                                                             \
	do {                                                                                       \
		struct result got_ = (expr);                                                       \
		assert_int_equal(got_.result, (want));                                             \
		assert_int_equal(got_.reason, (why));                                              \
	} while (0)

static void assert_mac_is(const void *mac, const char *want)
{
	struct rte_ether_addr w = ether(want);

	assert_memory_equal(mac, &w, sizeof(w));
}

static rte_be32_t v4(const char *text)
{
	struct ip_addr a = ip(text);

	return ip_addr_v4(&a);
}

/*
 * ARP
 */

static struct rte_arp_hdr *arp(uint16_t op, const char *smac, const char *sip, const char *tip)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_arp_hdr *a = (struct rte_arp_hdr *)(eth + 1);

	memset(frame, 0, sizeof(frame));
	memset(&eth->dst_addr, 0xff, 6);
	eth->src_addr = ether(smac);
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	a->arp_hardware = RTE_BE16(1);
	a->arp_protocol = RTE_BE16(0x800);
	a->arp_hlen = 6;
	a->arp_plen = 4;
	a->arp_opcode = rte_cpu_to_be_16(op);
	a->arp_data.arp_sha = ether(smac);
	a->arp_data.arp_sip = v4(sip);
	a->arp_data.arp_tip = v4(tip);
	frame_len = sizeof(*eth) + sizeof(*a);
	return a;
}

static void arp_is_answered_with_the_owners_mac(void **context)
{
	static const struct {
		const char *in;
		uint32_t vni;
		const char *smac, *sip, *tip;
		enum service_result result;
		enum drop_reason reason;
		const char *owner;
	} table[] = {
		{"w1", 100, W1, "10.0.1.5", "10.0.1.1", SERVICE_REPLY, 0, RED_GW},
		{"w1", 100, W1, "10.0.1.5", "10.0.1.6", SERVICE_REPLY, 0, W2},
		{"x1", 200, "02:00:00:00:02:11", "10.0.1.5", "10.0.1.6", SERVICE_REPLY, 0,
			"02:00:00:00:02:12"},
		/* in another subnet: by the gateway */
		{"w1", 100, W1, "10.0.1.5", "10.0.2.6", SERVICE_REPLY, 0, RED_GW},
		{"w1", 100, W1, "10.0.1.5", "10.0.1.99", SERVICE_DROP, DROP_NO_ROUTE, NULL},
		{"w1", 100, W1, "10.0.1.5", "10.9.0.5", SERVICE_DROP, DROP_NO_ROUTE, NULL},
		/* probes, RFC 5227: taken, the gateway's, its own, free */
		{"w1", 100, W1, "0.0.0.0", "10.0.1.6", SERVICE_REPLY, 0, W2},
		{"w1", 100, W1, "0.0.0.0", "10.0.1.1", SERVICE_REPLY, 0, RED_GW},
		{"w1", 100, W1, "0.0.0.0", "10.0.1.5", SERVICE_CONSUMED, 0, NULL},
		{"w1", 100, W1, "0.0.0.0", "10.0.1.99", SERVICE_DROP, DROP_NO_ROUTE, NULL},
		/* announcement, spoofed sender */
		{"w1", 100, W1, "10.0.1.5", "10.0.1.5", SERVICE_CONSUMED, 0, NULL},
		{"w1", 100, W1, "10.0.1.6", "10.0.1.6", SERVICE_DROP, DROP_SPOOFED, NULL},
		{"w1", 100, W1, "10.0.1.6", "10.0.1.1", SERVICE_DROP, DROP_SPOOFED, NULL},
		{"w1", 100, W2, "10.0.1.5", "10.0.1.1", SERVICE_DROP, DROP_SPOOFED, NULL},
		/* from another node's ports: what is here, not what is there */
		{"@b", 100, W2, "10.0.1.6", "10.0.1.5", SERVICE_REPLY, 0, W1},
		{"@b", 100, W2, "10.0.1.6", "10.0.1.1", SERVICE_REPLY, 0, RED_GW},
		{"@b", 100, W2, "10.0.1.6", "10.0.2.6", SERVICE_REPLY, 0, RED_GW},
		{"@b", 100, W2, "0.0.0.0", "10.0.1.6", SERVICE_CONSUMED, 0, NULL},
		{"@c", 100, W2, "10.0.1.6", "10.0.1.5", SERVICE_DROP, DROP_WRONG_VTEP, NULL},
	};

	(void)context;
	fixture_world();
	for (size_t n = 0; n < RTE_DIM(table); n++) {
		struct rte_arp_hdr *a = arp(1, table[n].smac, table[n].sip, table[n].tip);
		struct result r = serve(arp_serve, table[n].in, table[n].vni);

		if (r.result != table[n].result || r.reason != table[n].reason)
			fail_msg("row %zu: %d, reason %d", n, r.result, r.reason);
		if (r.result != SERVICE_REPLY)
			continue;
		assert_int_equal(a->arp_opcode, RTE_BE16(2));
		assert_mac_is(&a->arp_data.arp_sha, table[n].owner);
		assert_mac_is(&a->arp_data.arp_tha, table[n].smac);
		assert_int_equal(a->arp_data.arp_sip, v4(table[n].tip));
		assert_int_equal(a->arp_data.arp_tip, v4(table[n].sip));
		assert_mac_is(frame, table[n].smac);
		assert_mac_is(frame + 6, table[n].owner);
	}
}

static void arp_oddities(void **context)
{
	struct rte_arp_hdr *a;

	(void)context;
	fixture_world();
	arp(2, W1, "10.0.1.5", "10.0.1.6");
	assert_result(serve(arp_serve, "w1", 100), SERVICE_CONSUMED, 0);
	arp(1, W1, "10.0.1.5", "10.0.1.6");
	frame_len = 41;
	assert_result(serve(arp_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	a = arp(1, W1, "10.0.1.5", "10.0.1.6");
	a->arp_hlen = 8;
	assert_result(serve(arp_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	a = arp(1, W1, "10.0.1.5", "10.0.1.6");
	a->arp_data.arp_sha = ether(OTHER);
	assert_result(serve(arp_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	arp(1, W1, "10.0.1.5", "10.0.1.1");
	assert_result(serve(arp_serve, "w1", 200), SERVICE_DROP, DROP_STALE);
}

#define VIP_ITEM(name, mac, addr)                                                                  \
	"['port','" name "',100,'web','" mac "',['" addr                                           \
	"'],['g'],true,['10.0.1.100','fd00:0:0:1::100'],"                                          \
	"true,null,{'type':'tap','ifname':'t'},2]"

static loc_t place_of(const char *addr)
{
	struct ip_addr a = ip(addr);
	const struct endpoint *e = endpoint_get(vpc_by_vni(100)->index, &a);

	return e != NULL ? e->where : LOC_NONE;
}

static void shared_address_follows_the_last_announcement(void **context)
{
	(void)context;
	fixture_world();
	APPLY(VIP_ITEM("w1", W1, "10.0.1.5"), VIP_ITEM("w3", OTHER, "10.0.1.7"));
	assert_int_equal(place_of("10.0.1.100"), port("w1")); /* the first that may */

	arp(1, OTHER, "10.0.1.100", "10.0.1.100");
	assert_result(serve(arp_serve, "w3", 100), SERVICE_CONSUMED, 0);
	assert_int_equal(place_of("10.0.1.100"), port("w1")); /* not on the worker */
	claim_take();
	assert_int_equal(place_of("10.0.1.100"), port("w3"));
	assert_string_equal(fixture_said.event, "w3 address_claimed 10.0.1.100");
	/* The neighbours hear of the MAC: w1, whose it was; not w3 itself, nobody of another subnet. */
	assert_int_equal(fixture_said.frames, 1);
	assert_int_equal(fixture_said.out, port("w1"));
	assert_mac_is(fixture_said.frame + 22, OTHER);
	/* Once is enough, and a reply does as well. */
	arp(2, OTHER, "10.0.1.100", "10.0.1.100");
	serve(arp_serve, "w3", 100);
	claim_take();
	assert_int_equal(fixture_said.events, 1);
	arp(2, W1, "10.0.1.100", "10.0.1.100");
	serve(arp_serve, "w1", 100);
	claim_take();
	assert_int_equal(place_of("10.0.1.100"), port("w1"));

	/* It may be elsewhere meanwhile, and come back; what is somebody's own can not be claimed. */
	APPLY("['endpoint',100,'10.0.1.100','02:00:00:00:01:44','b','web','w4',['g']]");
	assert_int_equal(place_of("10.0.1.100"), vtep("b"));
	arp(1, OTHER, "10.0.1.100", "10.0.1.100");
	serve(arp_serve, "w3", 100);
	claim_take();
	assert_int_equal(place_of("10.0.1.100"), vtep("b")); /* the controller's to decide */
	assert_string_equal(fixture_said.event, "w3 address_claimed 10.0.1.100");
	APPLY("-['endpoint',100,'10.0.1.100']");
	assert_int_equal(place_of("10.0.1.100"), port("w3"));
	arp(1, W1, "10.0.1.5", "10.0.1.5");
	serve(arp_serve, "w1", 100);
	arp(1, W1, "10.0.1.7", "10.0.1.7");
	assert_result(serve(arp_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	claim_take();
	assert_int_equal(place_of("10.0.1.7"), port("w3"));
	/* When its port goes, another one that may use it is there. */
	APPLY("-['port','w3']");
	assert_int_equal(place_of("10.0.1.100"), port("w1"));
	APPLY("-['port','w1']");
	assert_int_equal(place_of("10.0.1.100"), LOC_NONE);
}

/*
 * ND
 */

static struct icmp6_frame *icmp6(const char *smac, const char *src, const char *dst, uint8_t type,
	const void *rest, uint16_t rest_len)
{
	struct icmp6_frame *f = (struct icmp6_frame *)frame;
	struct ip_addr s = ip(src), d = ip(dst);

	memset(frame, 0, sizeof(frame));
	f->eth.src_addr = ether(smac);
	f->eth.dst_addr = ether("33:33:ff:00:00:01");
	f->icmp.type = type;
	memcpy(f + 1, rest, rest_len);
	icmp6_finish(f, &s, &d, (uint16_t)(8 + rest_len));
	frame_len = (uint16_t)(sizeof(*f) + rest_len);
	return f;
}

static struct icmp6_frame *solicit(const char *smac, const char *src, const char *target)
{
	uint8_t rest[24] = {[16] = 1, [17] = 1};
	struct ip_addr t = ip(target);
	struct rte_ether_addr mac = ether(smac);
	bool dad = strcmp(src, "::") == 0;

	memcpy(rest, &t, 16);
	memcpy(rest + 18, &mac, 6);
	return icmp6(smac, src, "ff02::1:ff00:1", ICMP6_NS, rest, dad ? 16 : 24);
}

static void solicitations_are_answered(void **context)
{
	static const struct {
		const char *in, *smac, *src, *target;
		enum service_result result;
		enum drop_reason reason;
		const char *owner;
		uint32_t flags; /* R, S, O */
	} table[] = {
		{"w1", W1, "fd00:0:0:1::5", "fd00:0:0:1::6", SERVICE_REPLY, 0, W2, 0x60000000},
		{"w1", W1, "fd00:0:0:1::5", "fd00:0:0:1::1", SERVICE_REPLY, 0, RED_GW, 0xe0000000},
		{"w1", W1, "fe80::ff:fe00:111", "fe80::ff:fe00:100", SERVICE_REPLY, 0, RED_GW,
			0xe0000000},
		{"w1", W1, "fd00:0:0:1::5", "fd00:0:0:1::99", SERVICE_DROP, DROP_NO_ROUTE, NULL, 0},
		/* duplicate address detection, RFC 4862 5.4: taken, own, own link-local */
		{"w1", W1, "::", "fd00:0:0:1::6", SERVICE_REPLY, 0, W2, 0x20000000},
		{"w1", W1, "::", "fd00:0:0:1::5", SERVICE_CONSUMED, 0, NULL, 0},
		{"w1", W1, "::", "fe80::ff:fe00:111", SERVICE_CONSUMED, 0, NULL, 0},
		{"w1", W1, "fd00:0:0:1::6", "fd00:0:0:1::1", SERVICE_DROP, DROP_SPOOFED, NULL, 0},
		{"w1", W1, "fe80::1", "fd00:0:0:1::1", SERVICE_DROP, DROP_SPOOFED, NULL, 0},
		{"w1", OTHER, "fd00:0:0:1::5", "fd00:0:0:1::1", SERVICE_DROP, DROP_SPOOFED, NULL,
			0},
		{"@b", W2, "fd00:0:0:1::6", "fd00:0:0:1::5", SERVICE_REPLY, 0, W1, 0x60000000},
		{"@c", W2, "fd00:0:0:1::6", "fd00:0:0:1::5", SERVICE_DROP, DROP_WRONG_VTEP, NULL,
			0},
	};

	(void)context;
	fixture_world();
	for (size_t n = 0; n < RTE_DIM(table); n++) {
		struct icmp6_frame *f = solicit(table[n].smac, table[n].src, table[n].target);
		struct result r = serve(nd_serve, table[n].in, 100);
		bool dad = strcmp(table[n].src, "::") == 0;
		struct ip_addr target = ip(table[n].target),
			       to = ip(dad ? "ff02::1" : table[n].src);
		const uint8_t *body = (const uint8_t *)(f + 1);

		if (r.result != table[n].result || r.reason != table[n].reason)
			fail_msg("row %zu: %d, reason %d", n, r.result, r.reason);
		if (r.result != SERVICE_REPLY)
			continue;
		assert_int_equal(frame_len, 14 + 40 + 32);
		assert_int_equal(f->icmp.type, ICMP6_NA);
		assert_int_equal(rte_be_to_cpu_32(f->icmp.body), table[n].flags);
		assert_int_equal(f->ip.hop_limits, 255);
		assert_int_equal(icmp6_checksum(f, icmp6_len(f, frame_len)), 0);
		assert_memory_equal(f->ip.src_addr, &target, 16);
		assert_memory_equal(f->ip.dst_addr, &to, 16);
		assert_memory_equal(body, &target, 16);
		assert_memory_equal(body + 16, "\x02\x01", 2);
		assert_mac_is(body + 18, table[n].owner);
		assert_mac_is(&f->eth.dst_addr, dad ? "33:33:00:00:00:01" : table[n].smac);
	}
}

static void nd_is_checked(void **context)
{
	struct icmp6_frame *f;

	(void)context;
	fixture_world();
	f = solicit(W1, "fd00:0:0:1::5", "fd00:0:0:1::1");
	f->ip.hop_limits = 254; /* RFC 4861 7.1.1 */
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	f = solicit(W1, "fd00:0:0:1::5", "fd00:0:0:1::1");
	f->icmp.checksum ^= 1;
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_BAD_CHECKSUM);
	f = solicit(W1, "fd00:0:0:1::5", "fd00:0:0:1::1");
	((uint8_t *)(f + 1))[17] = 0; /* an option of no length */
	f->icmp.checksum = 0;
	f->icmp.checksum = icmp6_checksum(f, 32);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	solicit(W1, "fd00:0:0:1::5", "fd00:0:0:1::1");
	frame_len -= 1;
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	solicit(W1, "fd00:0:0:1::5", "ff02::1");
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);

	icmp6(W1, "fe80::ff:fe00:111", "ff02::1", ICMP6_RA, "\0\0\0\0\0\0\0\0", 8);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_ROGUE_RA);
	icmp6(W1, "fe80::ff:fe00:111", "ff02::1", ICMP6_REDIRECT, frame, 32);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_ROGUE_RA);
	icmp6(W1, "fd00:0:0:1::5", "ff02::1", ICMP6_NA, frame, 16);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_CONSUMED, 0);
}

static void advertisements_claim(void **context)
{
	uint8_t rest[24] = {[16] = 2, [17] = 1};
	struct ip_addr vip = ip("fd00:0:0:1::100");

	(void)context;
	fixture_world();
	APPLY(VIP_ITEM("w1", W1, "10.0.1.5"), VIP_ITEM("w3", OTHER, "10.0.1.7"));
	memcpy(rest, &vip, 16);
	icmp6(OTHER, "fd00:0:0:1::100", "ff02::1", ICMP6_NA, rest, 24);
	assert_result(serve(nd_serve, "w3", 100), SERVICE_CONSUMED, 0);
	claim_take();
	assert_int_equal(place_of("fd00:0:0:1::100"), port("w3"));
	assert_int_equal(fixture_said.len, 14 + 40 + 32);
	assert_int_equal(icmp6_checksum((struct icmp6_frame *)fixture_said.frame, 32), 0);
	icmp6(W1, "fd00:0:0:1::100", "ff02::1", ICMP6_NA, rest, 8);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
}

/* A router's or a DHCP server's words are found behind extension headers, too. */
static void wrapped_words_are_found(void **context)
{
	struct icmp6_frame *f;
	struct service s = {.frame = frame, .room = sizeof(frame)};

	(void)context;
	fixture_world();
	for (uint8_t type = ICMP6_RS; type <= ICMP6_REDIRECT; type++) {
		f = icmp6(W1, "fe80::ff:fe00:111", "ff02::1", type, frame, 40);
		memmove((uint8_t *)&f->icmp + 8, &f->icmp, 48);
		memcpy(&f->icmp, "\x3a\0\1\4\0\0\0\0", 8); /* destination options: padding */
		f->ip.proto = IPPROTO_DSTOPTS;
		s.len = (uint16_t)(frame_len + 8);
		s.l4_off = sizeof(f->eth) + sizeof(f->ip) + 8;
		assert_true(service_begin(&s, port("w1"), vpc_by_vni(100)->index));
		assert_int_equal(nd_serve(&s), SERVICE_DROP);
		assert_int_equal(s.reason, type == ICMP6_RA || type == ICMP6_REDIRECT
						   ? DROP_ROGUE_RA
						   : DROP_MALFORMED);
	}
}

/* RFC 5227, RFC 4862: a port that may take over a shared address is told of no conflict when it probes; anybody else is. */
static void probes_for_shared_addresses(void **context)
{
	(void)context;
	fixture_world();
	APPLY(VIP_ITEM("w1", W1, "10.0.1.5"), VIP_ITEM("w3", OTHER, "10.0.1.7"));
	assert_int_equal(place_of("10.0.1.100"), port("w1"));
	arp(RTE_ARP_OP_REQUEST, OTHER, "0.0.0.0", "10.0.1.100");
	assert_result(serve(arp_serve, "w3", 100), SERVICE_CONSUMED, 0);
	arp(RTE_ARP_OP_REQUEST, OTHER, "10.0.1.7", "10.0.1.100");
	assert_result(serve(arp_serve, "w3", 100), SERVICE_REPLY, 0);
	arp(RTE_ARP_OP_REQUEST, OTHER, "0.0.0.0", "10.0.1.5");
	assert_result(serve(arp_serve, "w3", 100), SERVICE_REPLY, 0);
	solicit(OTHER, "::", "fd00:0:0:1::100");
	assert_result(serve(nd_serve, "w3", 100), SERVICE_CONSUMED, 0);
	solicit(OTHER, "::", "fd00:0:0:1::6");
	assert_result(serve(nd_serve, "w3", 100), SERVICE_REPLY, 0);
}

static void routers_are_advertised(void **context)
{
	struct icmp6_frame *f;
	const uint8_t *b;
	struct ip_addr ll = ip("fe80::ff:fe00:100"), prefix = ip("fd00:0:0:1::"),
		       dns = ip("fd00::53");

	(void)context;
	fixture_world();
	APPLY("['subnet','web',100,'10.0.1.0/24','10.0.1.1','fd00:0:0:1::/64','fd00:0:0:1::1',true,"
	      "['10.0.0.53','fd00::53'],1]");
	f = icmp6(W1, "fe80::ff:fe00:111", "ff02::2", ICMP6_RS, "", 0);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(f->icmp.type, ICMP6_RA);
	assert_int_equal(icmp6_checksum(f, icmp6_len(f, frame_len)), 0);
	assert_memory_equal(f->ip.src_addr, &ll, 16);
	assert_int_equal(f->ip.hop_limits, 255);
	/* hop limit 64, M and O set, lifetime 1800 s */
	assert_int_equal(rte_be_to_cpu_32(f->icmp.body), 64u << 24 | 0xc0u << 16 | 1800);
	b = (const uint8_t *)(f + 1) + 8;
	assert_memory_equal(b, "\x01\x01", 2);
	assert_mac_is(b + 2, RED_GW);
	assert_memory_equal(b + 8, "\x05\x01\0\0\0\0\x05\xaa", 8); /* MTU 1450 */
	assert_memory_equal(b + 16, "\x03\x04\x40\x80", 4);        /* /64, L=1, A=0 */
	assert_memory_equal(b + 32, &prefix, 16);
	assert_memory_equal(b + 48, "\x19\x03", 2);
	assert_memory_equal(b + 56, &dns, 16);
	assert_int_equal(frame_len, 14 + 40 + 8 + 8 + 72);

	/* A=1 when the port's address is what it would make itself (standards: EUI-64). */
	APPLY("['port','w1',100,'web','" W1 "',['fd00:0:0:1::ff:fe00:111'],['g'],true,[],true,null,"
	      "{'type':'none'},2]");
	icmp6(W1, "fe80::ff:fe00:111", "ff02::2", ICMP6_RS, "", 0);
	assert_result(serve(nd_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_memory_equal(b + 16, "\x03\x04\x40\xc0", 4);
	icmp6("02:00:00:00:01:21", "fe80::ff:fe00:121", "ff02::2", ICMP6_RS, "", 0);
	assert_result(serve(nd_serve, "d1", 100), SERVICE_CONSUMED, 0); /* no IPv6 there */
}

/*
 * Ping
 */

static struct rte_ipv4_hdr *ping4(const char *src, const char *dst, uint8_t type)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *iph = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(iph + 1);

	memset(frame, 0, sizeof(frame));
	eth->dst_addr = ether(RED_GW);
	eth->src_addr = ether(W1);
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*iph = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = RTE_BE16(20 + 8 + 56),
		.time_to_live = 3,
		.next_proto_id = IPPROTO_ICMP,
		.src_addr = v4(src),
		.dst_addr = v4(dst)};
	iph->hdr_checksum = checksum_ipv4_header(iph);
	icmp->icmp_type = type;
	icmp->icmp_ident = RTE_BE16(0x1234);
	for (int n = 0; n < 56; n++)
		((uint8_t *)(icmp + 1))[n] = (uint8_t)n;
	icmp->icmp_cksum = checksum_finish(checksum_add(0, icmp, 64));
	frame_len = 14 + 20 + 8 + 56;
	return iph;
}

static void gateway_answers_ping(void **context)
{
	struct rte_ipv4_hdr *iph;
	struct icmp6_frame *f;
	struct ip_addr a;

	(void)context;
	fixture_world();
	iph = ping4("10.0.1.5", "10.0.1.1", 8);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(iph->src_addr, v4("10.0.1.1"));
	assert_int_equal(iph->dst_addr, v4("10.0.1.5"));
	assert_int_equal(iph->time_to_live, 64);
	assert_int_equal(checksum_finish(checksum_add(0, iph, 20)), 0);
	assert_int_equal(*(uint8_t *)(iph + 1), 0);
	assert_int_equal(checksum_finish(checksum_add(0, iph + 1, 64)), 0);
	assert_mac_is(frame, W1);
	assert_mac_is(frame + 6, RED_GW);
	assert_int_equal(frame_len, 98);

	f = icmp6(W1, "fd00:0:0:1::5", "fd00:0:0:1::1", ICMP6_ECHO, "payload!", 8);
	f->eth.dst_addr = ether(RED_GW);
	f->ip.hop_limits = 7;
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(f->icmp.type, ICMP6_ECHO_REPLY);
	assert_int_equal(icmp6_checksum(f, icmp6_len(f, frame_len)), 0);
	a = ip("fd00:0:0:1::1");
	assert_memory_equal(f->ip.src_addr, &a, 16);
	assert_int_equal(f->ip.hop_limits, 64);
}

static void gateway_refuses_the_rest(void **context)
{
	struct rte_ipv4_hdr *iph;

	(void)context;
	fixture_world();
	ping4("10.0.1.6", "10.0.1.1", 8);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	ping4("0.0.0.0", "10.0.1.1", 8);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	ping4("10.0.1.5", "10.0.1.1", 13);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_UNSUPPORTED);
	iph = ping4("10.0.1.5", "10.0.1.1", 8);
	iph->next_proto_id = IPPROTO_TCP;
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_UNSUPPORTED);
	iph = ping4("10.0.1.5", "10.0.1.1", 8);
	iph->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_FRAGMENT);
	iph = ping4("10.0.1.5", "10.0.1.1", 8);
	memset(frame, 0xff, 6);
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_BROADCAST);
	ping4("10.0.1.5", "10.0.1.1", 8);
	frame_len = 30;
	assert_result(serve(gateway_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
}

/*
 * DHCP
 */

struct dhcp_frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	struct dhcp_msg dhcp;
} __rte_packed __rte_aligned(2);

static struct dhcp_frame *dhcp(const char *mac, const char *src, const char *dst, uint8_t type,
	const char *server, const char *requested, const char *ciaddr)
{
	struct dhcp_frame *f = (struct dhcp_frame *)frame;
	struct rte_ether_addr m = ether(mac);
	rte_be32_t addr;
	uint8_t *o;

	memset(frame, 0, sizeof(frame));
	memset(&f->eth.dst_addr, 0xff, 6);
	f->eth.src_addr = m;
	f->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	f->dhcp.op = 1;
	f->dhcp.htype = 1;
	f->dhcp.hlen = 6;
	f->dhcp.xid = 0xabcdef01;
	f->dhcp.cookie = RTE_BE32(0x63825363);
	f->dhcp.ciaddr = ciaddr != NULL ? v4(ciaddr) : 0;
	memcpy(f->dhcp.chaddr, &m, 6);
	o = f->dhcp.options;
	*o++ = 53, *o++ = 1, *o++ = type;
	*o++ = 61, *o++ = 3, *o++ = 'a', *o++ = 'b', *o++ = 'c';
	if (server != NULL) {
		addr = v4(server);
		*o++ = 54, *o++ = 4;
		o = (uint8_t *)memcpy(o, &addr, 4) + 4;
	}
	if (requested != NULL) {
		addr = v4(requested);
		*o++ = 50, *o++ = 4;
		o = (uint8_t *)memcpy(o, &addr, 4) + 4;
	}
	*o++ = 255;
	frame_len = (uint16_t)(o - frame);
	f->udp.src_port = RTE_BE16(68);
	f->udp.dst_port = RTE_BE16(67);
	f->udp.dgram_len = rte_cpu_to_be_16((uint16_t)(frame_len - 34));
	f->ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(frame_len - 14)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = v4(src),
		.dst_addr = v4(dst)};
	f->ip.hdr_checksum = checksum_ipv4_header(&f->ip);
	f->udp.dgram_cksum = checksum_finish_udp(checksum_add(
		checksum_pseudo4(f->ip.src_addr, f->ip.dst_addr, IPPROTO_UDP, frame_len - 34),
		&f->udp, frame_len - 34u));
	return f;
}

static const uint8_t *option(const struct dhcp_frame *f, uint8_t code)
{
	for (const uint8_t *o = f->dhcp.options; *o != 255; o += *o == 0 ? 1 : 2 + o[1])
		if (*o == code)
			return o;
	return NULL;
}

static void assert_option(const struct dhcp_frame *f, uint8_t code, const char *value, uint8_t len)
{
	const uint8_t *o = option(f, code);

	if (o == NULL || o[1] != len || memcmp(o + 2, value, len) != 0)
		fail_msg("option %u", code);
}

#define OFFER 2
#define ACK 5
#define NAK 6

static void dhcp_says_all_of_the_port(void **context)
{
	struct dhcp_frame *f;

	(void)context;
	fixture_world();
	APPLY("['subnet','web',100,'10.0.1.0/24','10.0.1.1',null,null,true,"
	      "['10.0.0.53','fd00::53','10.0.0.54'],1]");
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->dhcp.secs = 7;
	f->udp.dgram_cksum = 0;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(f->dhcp.op, 2);
	assert_int_equal(f->dhcp.xid, 0xabcdef01);
	assert_int_equal(f->dhcp.yiaddr, v4("10.0.1.5"));
	assert_option(f, 53, "\x02", 1);
	assert_option(f, 1, "\xff\xff\xff\x00", 4);
	assert_option(f, 3, "\x0a\x00\x01\x01", 4);
	assert_option(f, 6, "\x0a\x00\x00\x35\x0a\x00\x00\x36", 8);
	assert_option(f, 26, "\x05\xaa", 2);
	assert_option(f, 51, "\x00\x00\x0e\x10", 4);
	assert_option(f, 54, "\x0a\x00\x01\x01", 4);
	assert_option(f, 58, "\x00\x00\x07\x08", 4);
	assert_option(f, 59, "\x00\x00\x0c\x4e", 4);
	assert_option(f, 61, "abc", 3);                   /* RFC 6842 */
	assert_option(f, 121, "\x00\x0a\x00\x01\x01", 5); /* RFC 3442: the default route */
	assert_int_equal(f->ip.src_addr, v4("10.0.1.1"));
	assert_int_equal(f->ip.dst_addr, v4("10.0.1.5"));
	assert_int_equal(f->udp.src_port, RTE_BE16(67));
	assert_int_equal(f->udp.dst_port, RTE_BE16(68));
	assert_mac_is(&f->eth.dst_addr, W1);
	assert_mac_is(&f->eth.src_addr, RED_GW);
	assert_true(rte_be_to_cpu_16(f->udp.dgram_len) >= 308);
	assert_int_equal(frame_len, 34 + rte_be_to_cpu_16(f->udp.dgram_len));
	assert_int_equal(checksum_finish(checksum_add(0, &f->ip, 20)), 0);
	assert_int_equal(
		checksum_finish(checksum_add(checksum_pseudo4(f->ip.src_addr, f->ip.dst_addr,
						     IPPROTO_UDP, frame_len - 34),
			&f->udp, frame_len - 34u)),
		0);
	/* Broadcast flag, RFC 2131 4.1. */
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->dhcp.flags = DHCP_BROADCAST;
	f->udp.dgram_cksum = 0;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(f->ip.dst_addr, UINT32_MAX);
	assert_mac_is(&f->eth.dst_addr, "ff:ff:ff:ff:ff:ff");
	/* Relay fields: to the relay, at the server's port. */
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->dhcp.giaddr = v4("10.0.1.77");
	f->udp.dgram_cksum = 0;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_REPLY, 0);
	assert_int_equal(f->ip.dst_addr, v4("10.0.1.77"));
	assert_int_equal(f->udp.dst_port, RTE_BE16(67));
	assert_int_equal(f->dhcp.giaddr, v4("10.0.1.77"));
}

static void dhcp_follows_the_clients_states(void **context)
{
	static const struct {
		const char *what;
		const char *src, *dst;
		uint8_t type;
		const char *server, *requested, *ciaddr;
		uint8_t answer; /* 0: none */
		const char *to;
	} table[] = {
		{"selecting", "0.0.0.0", "255.255.255.255", 3, "10.0.1.1", "10.0.1.5", NULL, ACK,
			"10.0.1.5"},
		{"selecting another", "0.0.0.0", "255.255.255.255", 3, "10.0.1.9", "10.0.1.5", NULL,
			0, NULL},
		{"selecting wrong", "0.0.0.0", "255.255.255.255", 3, "10.0.1.1", "10.0.1.6", NULL,
			NAK, "255.255.255.255"},
		{"init-reboot", "0.0.0.0", "255.255.255.255", 3, NULL, "10.0.1.5", NULL, ACK,
			"10.0.1.5"},
		{"init-reboot wrong", "0.0.0.0", "255.255.255.255", 3, NULL, "192.168.1.5", NULL,
			NAK, "255.255.255.255"},
		{"renewing", "10.0.1.5", "10.0.1.1", 3, NULL, NULL, "10.0.1.5", ACK, "10.0.1.5"},
		{"rebinding", "10.0.1.5", "255.255.255.255", 3, NULL, NULL, "10.0.1.5", ACK,
			"10.0.1.5"},
		{"rebinding wrong", "0.0.0.0", "255.255.255.255", 3, NULL, NULL, "10.0.1.9", NAK,
			"255.255.255.255"},
		{"decline", "0.0.0.0", "255.255.255.255", 4, "10.0.1.1", "10.0.1.5", NULL, 0, NULL},
		{"release", "10.0.1.5", "10.0.1.1", 7, "10.0.1.1", NULL, "10.0.1.5", 0, NULL},
		{"inform", "10.0.1.5", "255.255.255.255", 8, NULL, NULL, "10.0.1.5", ACK,
			"10.0.1.5"},
		{"to another server", "10.0.1.5", "10.0.1.6", 3, NULL, NULL, "10.0.1.5", 0, NULL},
	};

	(void)context;
	fixture_world();
	for (size_t n = 0; n < RTE_DIM(table); n++) {
		struct dhcp_frame *f = dhcp(W1, table[n].src, table[n].dst, table[n].type,
			table[n].server, table[n].requested, table[n].ciaddr);
		struct result r = serve(dhcp_serve, "w1", 100);

		if (r.result != (table[n].answer != 0 ? SERVICE_REPLY : SERVICE_CONSUMED))
			fail_msg("%s: %d, %d", table[n].what, r.result, r.reason);
		if (table[n].answer == 0)
			continue;
		if (option(f, 53)[2] != table[n].answer || f->ip.dst_addr != v4(table[n].to))
			fail_msg("%s: type %u", table[n].what, option(f, 53)[2]);
		assert_option(f, 54, "\x0a\x00\x01\x01", 4);
		assert_int_equal(f->dhcp.yiaddr,
			table[n].answer == NAK || table[n].type == 8 ? 0 : v4("10.0.1.5"));
		if (table[n].answer == NAK || table[n].type == 8)
			assert_null(option(f, 51)); /* RFC 2131 4.3.5 */
	}
}

static void dhcp_refuses(void **context)
{
	struct dhcp_frame *f;

	(void)context;
	fixture_world();
	f = dhcp(W1, "10.0.1.5", "10.0.1.6", 2, NULL, NULL, NULL);
	f->udp.dst_port = RTE_BE16(68); /* a tenant as server */
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_ROGUE_DHCP);
	dhcp(W2, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->dhcp.chaddr[5] ^= 1;
	f->udp.dgram_cksum = 0;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_SPOOFED);
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->udp.dgram_cksum ^= 1;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_BAD_CHECKSUM);
	f = dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	f->dhcp.cookie = 0;
	f->udp.dgram_cksum = 0;
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	for (uint16_t len = 0; len < 34 + 8 + 240; len++) {
		dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
		frame_len = len;
		assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	}
	dhcp(W1, "0.0.0.0", "255.255.255.255", 5, NULL, NULL, NULL); /* ACK to a server's port */
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_MALFORMED);
	APPLY("['subnet','web',100,'10.0.1.0/24','10.0.1.1',null,null,false,[],1]");
	dhcp(W1, "0.0.0.0", "255.255.255.255", 1, NULL, NULL, NULL);
	assert_result(serve(dhcp_serve, "w1", 100), SERVICE_DROP, DROP_BROADCAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(arp_is_answered_with_the_owners_mac, fixture_empty),
		cmocka_unit_test_setup(arp_oddities, fixture_empty),
		cmocka_unit_test_setup(shared_address_follows_the_last_announcement, fixture_empty),
		cmocka_unit_test_setup(advertisements_claim, fixture_empty),
		cmocka_unit_test_setup(solicitations_are_answered, fixture_empty),
		cmocka_unit_test_setup(nd_is_checked, fixture_empty),
		cmocka_unit_test_setup(wrapped_words_are_found, fixture_empty),
		cmocka_unit_test_setup(probes_for_shared_addresses, fixture_empty),
		cmocka_unit_test_setup(routers_are_advertised, fixture_empty),
		cmocka_unit_test_setup(gateway_answers_ping, fixture_empty),
		cmocka_unit_test_setup(gateway_refuses_the_rest, fixture_empty),
		cmocka_unit_test_setup(dhcp_says_all_of_the_port, fixture_empty),
		cmocka_unit_test_setup(dhcp_follows_the_clients_states, fixture_empty),
		cmocka_unit_test_setup(dhcp_refuses, fixture_empty),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_empty);
}
