/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway answers, through the real graph: who asks, who is answered, what never reaches anybody. The bytes of each service
 * have their unit test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "base/ip_text.h"
#include "cloud.h"
#include "graph.h"
#include "session/session.h"
#include "vpc/claim.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* Who has `target`? Asked by a. */
static const struct frame *who_has(struct frame *f, const uint8_t target[4])
{
	static const uint8_t request[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0xaa, 0, 0, 0, 1,
		8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0xaa, 0, 0, 0, 1, 10, 0, 1, 10};

	memcpy(f->bytes, request, sizeof(request));
	memcpy(f->bytes + 38, target, 4);
	f->len = 42;
	return f;
}

static void test_arp(void **state)
{
	static const struct {
		uint8_t target[4];
		const char *mac;
	} cases[] = {{{10, 0, 1, 1}, "\x02\0\0\0\0\x64"}, {{10, 0, 1, 11}, "\x02\xaa\0\0\0\x02"},
		{{10, 0, 1, 20}, "\x02\xbb\0\0\0\x01"}};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t len;
		const uint8_t *got;

		who_has(&f, cases[i].target);
		graph_send("a", f.bytes, f.len);
		graph_run();
		got = graph_sent("a", &len);
		assert_non_null(got);
		assert_int_equal(len, 42);
		assert_memory_equal(got, f.bytes + 6, 6);
		assert_memory_equal(got + 20, "\0\2", 2);
		assert_memory_equal(got + 22, cases[i].mac, 6);
		assert_memory_equal(got + 28, cases[i].target, 4);
		assert_int_equal(graph_unfetched(), 0);
	}
	graph_expect_drop("a", who_has(&f, (const uint8_t[]){10, 0, 1, 77}), DROP_NO_ROUTE);
	/* Another's MAC or address in it. */
	who_has(&f, cases[0].target);
	f.bytes[27] = 9;
	graph_expect_drop("a", &f, DROP_SPOOFED);
	who_has(&f, cases[0].target);
	f.bytes[31] = 11;
	graph_expect_drop("a", &f, DROP_SPOOFED);
	for (uint16_t len = 14; len < 42; len++) {
		who_has(&f, cases[0].target);
		f.len = len;
		graph_expect_drop("a", &f, DROP_MALFORMED);
	}
}

/* Announcements and replies of tenants teach nobody anything, and reach nobody. */
static void test_arp_poison(void **state)
{
	struct frame f;
	const struct frame *probe =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.11"), .sport = 1, .dport = 2);

	(void)state;
	who_has(&f, (const uint8_t[]){10, 0, 1, 11});
	f.bytes[21] = 2; /* a reply: 10.0.1.11 is at a's, to b */
	memcpy(f.bytes, "\x02\xaa\0\0\0\x02", 6);
	memcpy(f.bytes + 28, "\x0a\0\1\x0b", 4);
	graph_expect_drop("a", &f, DROP_SPOOFED);
	who_has(&f, (const uint8_t[]){10, 0, 1, 10}); /* gratuitous */
	graph_send("a", f.bytes, f.len);
	graph_run();
	assert_int_equal(graph_unfetched(), 0);
	graph_expect_pass("c", probe, "b",
		FRAME(FROM(GW, "10.0.2.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2,
			.ttl = 63));
}

static unsigned int claimed_by(const char *mac)
{
	struct rte_ether_addr want;
	unsigned int n = 0;

	rte_ether_unformat_addr(mac, &want);
	for (uint32_t i = 0; i < 40; i++) {
		struct ip_addr addr = ip_addr_from_v4(rte_cpu_to_be_32(0x0a000164 + i));
		const struct endpoint *e = endpoint_get(vpc_by_vni(100)->index, &addr);

		n += e != NULL && rte_is_same_ether_addr(&e->mac, &want);
	}
	return n;
}

/* Whoever may use addresses may claim them, but not more at a time than the control thread likes. */
static void test_claims_in_turns(void **state)
{
	struct frame f;
	unsigned int before;

	(void)state;
	graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"any\"", "true",
		"\"10.0.1.96/27\", \"10.0.1.128/27\"") "]");
	for (uint8_t i = 0; i < 40; i++) {
		who_has(&f, (const uint8_t[]){10, 0, 1, (uint8_t)(100 + i)});
		f.bytes[31] = (uint8_t)(100 + i);
		graph_send("a", f.bytes, f.len);
	}
	graph_run();
	assert_int_equal(claimed_by(MAC_A), 0);
	claim_take();
	before = claimed_by(MAC_A);
	assert_in_range(before, 1, 8);
	for (int n = 0; n < 10; n++)
		claim_take();
	assert_int_equal(claimed_by(MAC_A), 40);
	graph_forget_announcements();
}

/* What a port has claimed out of a network that it may use ends with the port, and with its right: the port that
 * comes to its index is another tenant's.
 */
static void test_claims_end(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.100"), .sport = 1, .dport = 2);
	char text[512], name[16];
	struct frame arp;

	(void)state;
	for (int right = 0; right < 2; right++) {
		graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"any\"",
			"true", "\"10.0.1.96/27\"") "]");
		who_has(&arp, (const uint8_t[]){10, 0, 1, 100});
		arp.bytes[31] = 100;
		graph_send("a", arp.bytes, arp.len);
		graph_run();
		claim_take();
		graph_forget_announcements();
		graph_expect_pass("c", f, "a",
			FRAME(FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.100"), .sport = 1,
				.dport = 2, .ttl = 63));
		if (right == 0)
			graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"",
				"\"any\"", "true", "\"10.0.1.0/30\"") "]");
		else
			graph_delete("[[\"port\", \"a\"]]");
		graph_forget_announcements();
		graph_expect_drop("c", f, DROP_NO_ROUTE);
	}
	graph_items("[[\"vpc\", 200, \"twin\", \"mallory\", 1450, \"" GW
		    "\", [\"10.0.0.0/16\"], [], 1], [\"subnet\", \"web2\", 200, "
		    "\"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], 1]]");
	for (int n = 0; n < 70; n++) {
		snprintf(text, sizeof(text),
			"[" PORT_ITEM("m%d", "200", "web2", "02:aa:00:00:00:0a", "\"10.0.1.200\"",
				"\"any\"", "true", "") "]",
			n);
		graph_items(text);
		graph_forget_announcements();
		graph_expect_drop("c", f, DROP_NO_ROUTE);
		snprintf(name, sizeof(name), "m%d", n);
		snprintf(text, sizeof(text), "[[\"port\", \"%s\"]]", name);
		graph_delete(text);
	}
}

static void test_ping(void **state)
{
	(void)state;
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.1"), .proto = IPPROTO_ICMP,
			.icmp_type = 8, .icmp_id = 3, .payload = 56),
		"a",
		FRAME(FROM(GW, "10.0.1.1"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_ICMP,
			.icmp_type = 0, .icmp_id = 3, .payload = 56));
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fd00:1:0:1::1"),
			.proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 3, .payload = 56),
		"a",
		FRAME(FROM(GW, "fd00:1:0:1::1"), TO(MAC_A, "fd00:1:0:1::10"),
			.proto = IPPROTO_ICMPV6, .icmp_type = 129, .icmp_id = 3, .payload = 56));
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.1"), .proto = IPPROTO_TCP,
			.sport = 1, .dport = 22),
		DROP_UNSUPPORTED);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.11"), TO(GW, "10.0.1.1"), .proto = IPPROTO_ICMP,
			.icmp_type = 8),
		DROP_SPOOFED);
	assert_int_equal(session_used(), 0);
}

/* Time runs out at the gateway only; who is told, and of what nobody is told. */
static void test_ttl(void **state)
{
	const struct frame *dying = FRAME(
		FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 5, .dport = 6, .ttl = 1);
	const struct frame *bridged = FRAME(
		FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 5, .dport = 6, .ttl = 1);
	const uint8_t *got;
	uint16_t len;

	(void)state;
	graph_expect_pass("a", bridged, "b", bridged);
	graph_send("a", dying->bytes, dying->len);
	graph_run();
	got = graph_sent("a", &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_memory_equal(got, "\x02\xaa\0\0\0\1\x02\0\0\0\0\x64", 12);
	assert_memory_equal(got + 26, "\x0a\0\1\1\x0a\0\1\x0a", 8);
	assert_int_equal(got[34], 11);
	assert_memory_equal(got + 42, dying->bytes + 14, 28);
	assert_int_equal(graph_dropped(DROP_TTL_EXPIRED), 1);
	graph_dropped_any();
	/* No error about an error (RFC 1122 3.2.2). */
	const struct frame *back =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 6, .dport = 5);
	const struct frame *arrived = FRAME(
		FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.10"), .sport = 6, .dport = 5, .ttl = 63);

	graph_expect_pass("c", back, "a", arrived);
	graph_expect_drop("a",
		ICMP_ERROR(arrived, FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .icmp_type = 3,
			.icmp_code = 3, .ttl = 1),
		DROP_TTL_EXPIRED);
}

/* A flood is answered at a limited rate, and every frame is counted. */
static void test_errors_are_limited(void **state)
{
	struct frame f;
	unsigned int told;

	(void)state;
	graph_pass_time(60000);
	for (uint16_t n = 0; n < 300; n++) {
		f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"),
			.sport = (uint16_t)(1000 + n), .dport = 6, .ttl = 1);
		graph_send("a", f.bytes, f.len);
	}
	graph_run();
	told = graph_waiting("a");
	assert_in_range(told, 10, 60);
	assert_int_equal(graph_dropped(DROP_TTL_EXPIRED), 300);
	graph_discard_sent("a");
}

/* DHCP: the port's own lease; other people's servers and clients are not heard. */
static void test_dhcp(void **state)
{
	struct frame f = *FRAME(FROM(MAC_A, "0.0.0.0"), TO("ff:ff:ff:ff:ff:ff", "255.255.255.255"),
		.sport = 68, .dport = 67, .payload = 248);
	uint8_t *dhcp = f.bytes + 42;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	memset(dhcp, 0, 248);
	memcpy(dhcp, "\1\1\6\0abcd", 8);
	memcpy(dhcp + 28, "\x02\xaa\0\0\0\1", 6);
	memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	memset(f.bytes + 40, 0, 2); /* no UDP checksum */
	graph_send("a", f.bytes, f.len);
	graph_run();
	got = graph_sent("a", &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_memory_equal(got + 42 + 4, "abcd", 4);
	assert_memory_equal(got + 42 + 16, "\x0a\0\1\x0a", 4); /* yiaddr */
	assert_int_equal(graph_unfetched(), 0);
	/* In another's name. */
	dhcp[33] = 2;
	graph_expect_drop("a", &f, DROP_SPOOFED);
	dhcp[33] = 1;
	/* Options that end nowhere. */
	memcpy(dhcp + 240, "\x35\xff\1\1", 4);
	graph_expect_drop("a", &f, DROP_MALFORMED);
	memcpy(dhcp + 240, "\x3d\0\x35\0", 4);
	graph_expect_drop("a", &f, DROP_MALFORMED);
	/* A server's words, broadcast and to one. */
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 67, .dport = 68,
			.payload = 250),
		DROP_ROGUE_DHCP);
	assert_int_equal(session_used(), 0);
}

/* Flows that sweep the subnet or the ports do not ask the gateway anything they should not hear. */
static void test_unreachable(void **state)
{
	(void)state;
	graph_expect_drop("a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.77")), DROP_NO_ROUTE);
	graph_expect_drop(
		"a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.77")), DROP_NO_ROUTE);
	graph_expect_drop(
		"a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.255")), DROP_NO_ROUTE);
}

/* The gateway tells the sender, and only it, that no route leads to what `f` of it is for (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). */
static void expect_told(const char *port, const struct frame *f, const char *gateway)
{
	const uint8_t *got;
	uint16_t len;
	bool v4 = f->bytes[12] == 8;
	struct ip_addr from;

	assert_true(ip_addr_parse(gateway, &from));
	graph_send(port, f->bytes, f->len);
	graph_run();
	got = graph_sent(port, &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_memory_equal(got, f->bytes + 6, 6);
	assert_memory_equal(got + 6, f->bytes, 6);
	assert_memory_equal(got + (v4 ? 26 : 22), from.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	assert_memory_equal(got + (v4 ? 30 : 38), f->bytes + (v4 ? 26 : 22), v4 ? 4 : 16);
	assert_memory_equal(got + (v4 ? 34 : 54), v4 ? "\3\0" : "\1\0", 2);
	assert_int_equal(len, (v4 ? 42 : 62) + f->len - 14);
	assert_memory_equal(got + (v4 ? 42 : 62), f->bytes + 14, f->len - 14);
	graph_expect_dropped(DROP_NO_ROUTE, 1);
}

static void expect_silence(const char *port, const struct frame *f, enum drop_reason reason)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
	graph_expect_dropped(reason, 1);
}

#define A4 FROM(MAC_A, "10.0.1.10")
#define A6 FROM(MAC_A, "fd00:1:0:1::10")
#define NOWHERE4 TO(GW, "198.51.100.9")
#define NOWHERE6 TO(GW, "2001:db8::9")

static void test_no_route(void **state)
{
	(void)state;
	graph_pass_time(60000);
	expect_told("a", FRAME(A4, NOWHERE4, .sport = 5, .dport = 6), "10.0.1.1");
	expect_told(
		"a", FRAME(A4, NOWHERE4, .proto = IPPROTO_TCP, .sport = 5, .dport = 6), "10.0.1.1");
	expect_told("a", FRAME(A4, NOWHERE4, .proto = IPPROTO_ICMP, .icmp_type = 8), "10.0.1.1");
	expect_told("a", FRAME(A4, NOWHERE4, .proto = 47, .payload = 40), "10.0.1.1");
	expect_told("a", FRAME(A4, TO(GW, "10.0.7.1"), .sport = 5, .dport = 6), "10.0.1.1");
	expect_told(
		"c", FRAME(FROM(MAC_C, "10.0.2.10"), NOWHERE4, .sport = 5, .dport = 6), "10.0.2.1");
	expect_told("a", FRAME(A6, NOWHERE6, .sport = 5, .dport = 6), "fd00:1:0:1::1");
	expect_told("a", FRAME(A6, NOWHERE6, .proto = IPPROTO_TCP, .sport = 5, .dport = 6),
		"fd00:1:0:1::1");
	expect_told("a", FRAME(A6, NOWHERE6, .proto = IPPROTO_ICMPV6, .icmp_type = 128),
		"fd00:1:0:1::1");
	/* Of fragments the first. */
	expect_told("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), NOWHERE4, .sport = 5, .dport = 6, .payload = 40,
			.ip_id = 5, .fragment = 0x2000),
		"10.0.1.1");
	expect_silence("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), NOWHERE4, .sport = 5, .dport = 6, .payload = 40,
			.ip_id = 5, .fragment = 0x0006),
		DROP_NO_ROUTE);
}

/* Of what nobody is told: an error, another fragment, another's source, several receivers, what the gateway was not given, what came from
 * elsewhere; what a route says to drop; an address that nobody has yet. */
static void test_no_route_in_silence(void **state)
{
	const struct frame *to_c = FRAME(A4, TO(GW, "10.0.2.10"), .sport = 5, .dport = 6);
	const struct frame *about =
		FRAME(FROM(GW, "198.51.100.9"), TO(MAC_A, "10.0.1.10"), .sport = 6, .dport = 5);
	const struct frame *remote =
		FRAME(FROM(MAC_R, "10.0.1.20"), NOWHERE4, .sport = 5, .dport = 6);

	(void)state;
	graph_pass_time(60000);
	graph_expect_pass("a", to_c, "c",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 5, .dport = 6,
			.ttl = 63));
	expect_silence("a", ICMP_ERROR(about, A4, NOWHERE4, .icmp_type = 3, .icmp_code = 3),
		DROP_NO_SESSION);
	expect_silence("a", FRAME(FROM(MAC_A, "10.0.1.11"), NOWHERE4, .sport = 5, .dport = 6),
		DROP_SPOOFED);
	expect_silence("a", FRAME(FROM(MAC_A, "fd00:1:0:1::11"), NOWHERE6, .sport = 5, .dport = 6),
		DROP_SPOOFED);
	expect_silence("a", FRAME(A4, TO(GW, "224.0.0.5"), .sport = 5, .dport = 6), DROP_BROADCAST);
	expect_silence(
		"a", FRAME(A4, TO(GW, "255.255.255.255"), .sport = 5, .dport = 6), DROP_BROADCAST);
	expect_silence("a", FRAME(A6, TO(GW, "ff0e::1"), .sport = 5, .dport = 6), DROP_BROADCAST);
	expect_silence("a",
		FRAME(A4, TO("ff:ff:ff:ff:ff:ff", "198.51.100.9"), .sport = 5, .dport = 6),
		DROP_BROADCAST);
	expect_silence("a", FRAME(A4, TO(GW, "240.0.0.1"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	expect_silence(
		"a", FRAME(A4, TO(MAC_B, "198.51.100.9"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	expect_silence(
		"a", FRAME(A6, TO(MAC_B, "2001:db8::9"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	expect_silence("a",
		FRAME(FROM(MAC_A, "fe80::aa:ff:fe00:1"), NOWHERE6, .sport = 5, .dport = 6),
		DROP_NO_ROUTE);
	expect_silence("a", FRAME(A6, TO(GW, "fe80::9"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	expect_silence(GRAPH_UNDERLAY, TUNNELLED(remote, 100), DROP_NO_ROUTE);
	expect_silence("a", FRAME(A4, TO(GW, "10.0.2.77"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	expect_silence(
		"a", FRAME(A6, TO(GW, "fd00:1:0:2::77"), .sport = 5, .dport = 6), DROP_NO_ROUTE);
	graph_items("[[\"route\", 100, \"198.51.100.0/24\", \"hole\", \"blackhole\", null, null, "
		    "null, null, 1]]");
	expect_silence("a", FRAME(A4, NOWHERE4, .sport = 5, .dport = 6), DROP_BLACKHOLE);
}

/* A scan of what is not there is answered at the rate of all errors; and every frame is counted. */
static void test_no_route_is_limited(void **state)
{
	struct frame f;

	(void)state;
	graph_pass_time(60000);
	for (uint16_t n = 0; n < 300; n++) {
		f = *FRAME(A4, NOWHERE4, .sport = (uint16_t)(1000 + n), .dport = 6);
		graph_send("a", f.bytes, f.len);
	}
	graph_run();
	assert_in_range(graph_waiting("a"), 10, 60);
	graph_discard_sent("a");
	graph_expect_dropped(DROP_NO_ROUTE, 300);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_arp),
		T(test_arp_poison),
		T(test_claims_in_turns),
		T(test_claims_end),
		T(test_ping),
		T(test_ttl),
		T(test_errors_are_limited),
		T(test_dhcp),
		T(test_unreachable),
		T(test_no_route),
		T(test_no_route_in_silence),
		T(test_no_route_is_limited),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
