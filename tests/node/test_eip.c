/* SPDX-License-Identifier: Apache-2.0 */
/* Elastic IPs in the graph, packet by packet.
 *
 *	VPC prod (100), tests/node/cloud.h     a: 203.0.113.20, 2001:db8::20     r behind the VTEP `other`: .21, ::21
 *	VPC blue (200), the same addresses     a2 10.0.1.10: 203.0.113.22, 2001:db8::22
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
#include "core/usage.h"
#include "eip/eip.h"
#include "graph.h"
#include "outside.h"
#include "port/port.h"
#include "qos/qos.h"
#include "session/session.h"

#define EIP_ITEM(                                                                                  \
	name, network, address, vtep, use, vni, private, bandwidth, new_per_s, deny, hole)         \
	"[\"eip\", \"" name "\", \"" network "\", \"" address "\", " vtep ", \"" use "\", " vni    \
	", " private ", \"p\", " bandwidth ", " new_per_s ", [" deny "], " hole ", 7]"
#define BOUND(name, address, private)                                                              \
	EIP_ITEM(name, "", address, "null", "port", "100", "\"" private "\"", "0", "0", "", "false")
/* a's, with what is to be tried. */
#define A_WITH(bandwidth, new_per_s, deny, hole)                                                   \
	"[" EIP_ITEM("ea", "internet", "203.0.113.20", "null", "port", "100", "\"10.0.1.10\"",     \
		bandwidth, new_per_s, deny, hole) "," EIP_ITEM("ea6", "internet", "2001:db8::20",  \
		"null", "port", "100", "\"fd00:1:0:1::10\"", bandwidth, new_per_s, deny, hole) "]"
#define A_BOUND A_WITH("0", "0", "", "false")
#define UNBOUND                                                                                    \
	"[" EIP_ITEM("ea", "internet", "203.0.113.20", "null", "none", "null", "null", "0", "0",   \
		"", "false") "," EIP_ITEM("ea6", "internet", "2001:db8::20", "null", "none",       \
		"null", "null", "0", "0", "", "false") "]"

#define GW2 "02:00:00:00:00:c8"
#define MAC_A2 "02:cc:00:00:00:11"
#define BLUE                                                                                       \
	"[[\"vpc\", 200, \"blue\", \"blue\", 1450, \"" GW2                                         \
	"\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [], 1],"                                          \
	"[\"subnet\", \"far\", 200, \"10.0.1.0/24\", \"10.0.1.1\", \"fd00:1:0:1::/64\", "          \
	"\"fd00:1:0:1::1\", true, [], 1]," PORT_ITEM("a2", "200", "far", MAC_A2,                   \
		"\"10.0.1.10\", \"fd00:1:0:1::10\"", "\"any\"", "true", "") "," EIP_ITEM("eb", "", \
		"203.0.113.22", "null", "port", "200", "\"10.0.1.10\"", "0", "0", "",              \
		"false") "," EIP_ITEM("eb6", "", "2001:db8::22", "null", "port", "200",            \
		"\"fd00:1:0:1::10\"", "0", "0", "", "false") "]"

#define A4 "10.0.1.10"
#define A6 "fd00:1:0:1::10"
#define E4 "203.0.113.20"
#define E6 "2001:db8::20"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_stop_clock(false);
	graph_pass_time(100);
	graph_run();
	graph_discard_sent(EXT);
	graph_discard_sent("a");
	graph_run();
	graph_reset();
	return 0;
}

/* The frame of `spec` between a machine inside and the server outside, as it is at either side. */
#define INSIDE_OUT(v6, ...)                                                                        \
	FRAME(FROM(MAC_A, (v6) ? A6 : A4), TO(GW, (v6) ? SERVER6 : SERVER), __VA_ARGS__)
#define OUTSIDE_OUT(v6, ...)                                                                       \
	FRAME(FROM(EXT_MAC, (v6) ? E6 : E4), TO(HOP_MAC, (v6) ? SERVER6 : SERVER), .ttl = 63,      \
		__VA_ARGS__)
#define OUTSIDE_IN(v6, ...)                                                                        \
	FRAME(FROM(HOP_MAC, (v6) ? SERVER6 : SERVER), TO(EXT_MAC, (v6) ? E6 : E4), __VA_ARGS__)
#define INSIDE_IN(v6, ...)                                                                         \
	FRAME(FROM(GW, (v6) ? SERVER6 : SERVER), TO(MAC_A, (v6) ? A6 : A4), .ttl = 63, __VA_ARGS__)

/* Out and back, in and back; by the road and by the session. */
static void check_both_ways(bool v6, uint8_t proto)
{
	for (int n = 0; n < 2; n++) {
		graph_expect_pass("a", INSIDE_OUT(v6, .proto = proto, .sport = 7, .dport = 8), EXT,
			OUTSIDE_OUT(v6, .proto = proto, .sport = 7, .dport = 8));
		graph_expect_pass(EXT,
			OUTSIDE_IN(v6, .proto = proto, .sport = 8, .dport = 7, .tcp_flags = 0x12,
				.ack = 1),
			"a",
			INSIDE_IN(v6, .proto = proto, .sport = 8, .dport = 7, .tcp_flags = 0x12,
				.ack = 1));
		if (proto == IPPROTO_GRE)
			continue;
		graph_expect_pass(EXT, OUTSIDE_IN(v6, .proto = proto, .sport = 9, .dport = 80), "a",
			INSIDE_IN(v6, .proto = proto, .sport = 9, .dport = 80));
		graph_expect_pass("a",
			INSIDE_OUT(v6, .proto = proto, .sport = 80, .dport = 9, .tcp_flags = 0x12,
				.ack = 1),
			EXT,
			OUTSIDE_OUT(v6, .proto = proto, .sport = 80, .dport = 9, .tcp_flags = 0x12,
				.ack = 1));
	}
}

static void test_one_to_one(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_GRE};

	(void)state;
	graph_items(A_BOUND);
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned int i = 0; i < RTE_DIM(protos); i++)
			check_both_ways(v6, protos[i]);
	assert_int_equal(session_used(), 10);
}

/* The id of a ping stays; both sides may ask. */
static void test_ping(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ask = v6 ? 128 : 8,
			answer = v6 ? 129 : 0;

		graph_expect_pass("a",
			INSIDE_OUT(v6, .proto = proto, .icmp_type = ask, .icmp_id = 5), EXT,
			OUTSIDE_OUT(v6, .proto = proto, .icmp_type = ask, .icmp_id = 5));
		graph_expect_pass(EXT,
			OUTSIDE_IN(v6, .proto = proto, .icmp_type = answer, .icmp_id = 5), "a",
			INSIDE_IN(v6, .proto = proto, .icmp_type = answer, .icmp_id = 5));
		graph_expect_pass(EXT,
			OUTSIDE_IN(v6, .proto = proto, .icmp_type = ask, .icmp_id = 6), "a",
			INSIDE_IN(v6, .proto = proto, .icmp_type = ask, .icmp_id = 6));
		graph_expect_pass("a",
			INSIDE_OUT(v6, .proto = proto, .icmp_type = answer, .icmp_id = 6), EXT,
			OUTSIDE_OUT(v6, .proto = proto, .icmp_type = answer, .icmp_id = 6));
	}
}

/* Security groups see who it is outside, and the address inside. */
static void test_groups_hold(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	graph_items("[[\"rules\", \"any\", 0, [\"i a 1000 17 80 80 -1 -1 cidr " SERVER "/32\"]]]");
	graph_expect_pass(EXT, OUTSIDE_IN(0, .sport = 9, .dport = 80), "a",
		INSIDE_IN(0, .sport = 9, .dport = 80));
	graph_expect_drop(EXT, OUTSIDE_IN(0, .sport = 9, .dport = 81), DROP_POLICY_INGRESS);
	graph_expect_drop(EXT,
		FRAME(FROM(HOP_MAC, "198.51.100.10"), TO(EXT_MAC, E4), .sport = 9, .dport = 80),
		DROP_POLICY_INGRESS);
}

/* Its machine is behind a tunnel: routed once, where the packet leaves a port. */
static void test_machine_elsewhere(void **state)
{
	(void)state;
	graph_items("[" BOUND("er", "203.0.113.21", "10.0.1.20") "]");
	for (int n = 0; n < 2; n++) {
		const struct frame *in = FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, "203.0.113.21"),
			.sport = 9, .dport = 80);
		const struct frame *there = FRAME(FROM(GW, SERVER), TO(MAC_R, "10.0.1.20"),
			.sport = 9, .dport = 80, .ttl = 63);
		const uint8_t *got;
		uint16_t len;

		graph_send(EXT, in->bytes, in->len);
		graph_run();
		got = graph_sent(GRAPH_UNDERLAY, &len);
		assert_non_null(got);
		assert_int_equal(len, there->len + 50);
		assert_memory_equal(got + 50, there->bytes, there->len);
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(GW, SERVER), .sport = 80,
					  .dport = 9, .ttl = 63),
				100),
			EXT,
			FRAME(FROM(EXT_MAC, "203.0.113.21"), TO(HOP_MAC, SERVER), .sport = 80,
				.dport = 9, .ttl = 63));
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(FRAME(FROM(GW, "10.0.1.20"), TO(GW, SERVER), .sport = 7,
					  .dport = 8, .ttl = 63),
				100),
			EXT,
			FRAME(FROM(EXT_MAC, "203.0.113.21"), TO(HOP_MAC, SERVER), .sport = 7,
				.dport = 8, .ttl = 63));
	}
	assert_int_equal(session_used(), 2);
}

/* Its gateway is another node: to there as it is, and from there only because that is a gateway. */
static void test_gateway_elsewhere(void **state)
{
	const struct frame *there =
		FRAME(FROM(GW, A4), TO(GW, SERVER), .sport = 7, .dport = 8, .ttl = 63);
	const uint8_t *got;
	uint16_t len;

	(void)state;
	graph_items("[[\"vtep\", \"other\", \"192.0.2.2\", true]," EIP_ITEM(
		"ea", "", E4, "\"other\"", "port", "100", "\"" A4 "\"", "0", "0", "", "false") "]");
	for (int n = 0; n < 2; n++) {
		graph_send("a", INSIDE_OUT(0, .sport = 7, .dport = 8)->bytes, there->len);
		graph_run();
		got = graph_sent(GRAPH_UNDERLAY, &len);
		assert_non_null(got);
		assert_int_equal(len, there->len + 50);
		assert_memory_equal(got + 50, there->bytes, there->len);
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(INSIDE_IN(0, .sport = 8, .dport = 7), 100), "a",
			INSIDE_IN(0, .sport = 8, .dport = 7));
	}
	assert_int_equal(session_used(), 1);
	/* The other family has none; and without it, the running flow has no way, either. */
	graph_expect_drop("a", INSIDE_OUT(1, .sport = 7, .dport = 8), DROP_NO_ROUTE);
	graph_delete("[[\"eip\", \"ea\"]]");
	graph_expect_drop("a", INSIDE_OUT(0, .sport = 7, .dport = 8), DROP_NO_ROUTE);
	assert_int_equal(session_used(), 0);
}

/* By the outside's addresses, without leaving the node. */
static void test_own_address(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	for (int v6 = 0; v6 < 2; v6++)
		for (int n = 0; n < 2; n++) {
			const char *self = v6 ? A6 : A4, *eip = v6 ? E6 : E4;

			graph_expect_pass("a",
				FRAME(FROM(MAC_A, self), TO(GW, eip), .sport = 7, .dport = 80), "a",
				FRAME(FROM(GW, eip), TO(MAC_A, self), .sport = 7, .dport = 80,
					.ttl = 63));
			graph_expect_pass("a",
				FRAME(FROM(MAC_A, self), TO(GW, eip), .sport = 80, .dport = 7), "a",
				FRAME(FROM(GW, eip), TO(MAC_A, self), .sport = 80, .dport = 7,
					.ttl = 63));
		}
	assert_int_equal(session_used(), 2);
}

static void test_other_tenants_address(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	graph_items(BLUE);
	for (int v6 = 0; v6 < 2; v6++)
		for (int n = 0; n < 2; n++) {
			const char *inside = v6 ? A6 : A4; /* both have it */
			const char *ours = v6 ? E6 : E4,
				   *theirs = v6 ? "2001:db8::22" : "203.0.113.22";

			graph_expect_pass("a",
				FRAME(FROM(MAC_A, inside), TO(GW, theirs), .sport = 7, .dport = 80),
				"a2",
				FRAME(FROM(GW2, ours), TO(MAC_A2, inside), .sport = 7, .dport = 80,
					.ttl = 63));
			graph_expect_pass("a2",
				FRAME(FROM(MAC_A2, inside), TO(GW2, ours), .sport = 80, .dport = 7),
				"a",
				FRAME(FROM(GW, theirs), TO(MAC_A, inside), .sport = 80, .dport = 7,
					.ttl = 63));
		}
	assert_int_equal(session_used(), 2);
	graph_items(A_WITH("0", "0", "\"203.0.113.22/32\", \"2001:db8::22/128\"", "false"));
	for (int v6 = 0; v6 < 2; v6++)
		graph_expect_drop("a",
			FRAME(FROM(MAC_A, v6 ? A6 : A4),
				TO(GW, v6 ? "2001:db8::22" : "203.0.113.22"), .sport = 7,
				.dport = 80),
			DROP_EIP_DENIED);
}

static void begin_flows(bool v6)
{
	graph_expect_pass("a", INSIDE_OUT(v6, .sport = 7, .dport = 8), EXT,
		OUTSIDE_OUT(v6, .sport = 7, .dport = 8));
	graph_expect_pass(EXT, OUTSIDE_IN(v6, .sport = 9, .dport = 80), "a",
		INSIDE_IN(v6, .sport = 9, .dport = 80));
}

/* Both flows and their answers. */
static void expect_cut(bool v6, enum drop_reason out, enum drop_reason in)
{
	graph_expect_drop("a", INSIDE_OUT(v6, .sport = 7, .dport = 8), out);
	graph_expect_drop(EXT, OUTSIDE_IN(v6, .sport = 8, .dport = 7), in);
	graph_expect_drop(EXT, OUTSIDE_IN(v6, .sport = 9, .dport = 80), in);
	graph_expect_drop("a", INSIDE_OUT(v6, .sport = 80, .dport = 9), out);
}

static void test_changes_cut_running_flows(void **state)
{
	static const struct {
		const char *items;
		enum drop_reason out, in;
	} cases[] = {
		{UNBOUND, DROP_NO_ROUTE, DROP_NO_ROUTE},
		{A_WITH("0", "0", "", "true"), DROP_BLACKHOLE, DROP_BLACKHOLE},
		{A_WITH("0", "0", "\"198.51.100.0/24\", \"2001:db8:9::/48\"", "false"),
			DROP_EIP_DENIED, DROP_EIP_DENIED},
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			graph_items(A_BOUND);
			begin_flows(v6);
			assert_int_equal(session_used(), 2);
			graph_items(cases[i].items);
			expect_cut(v6, cases[i].out, cases[i].in);
			assert_int_equal(session_used(), 0);
			/* Silent ones, too: by the sweep. */
			graph_items(A_BOUND);
			begin_flows(v6);
			graph_items(cases[i].items);
			graph_pass_time(1000);
			assert_int_equal(session_used(), 0);
		}
}

/* Deleted, and the address is another's, who has another machine, in one go. */
static void test_address_changes_hands(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	begin_flows(0);
	graph_both("[" BOUND("new", E4, "10.0.1.11") "]", "[[\"eip\", \"ea\"]]");
	graph_expect_pass(EXT, OUTSIDE_IN(0, .sport = 10, .dport = 80), "b",
		FRAME(FROM(GW, SERVER), TO(MAC_B, "10.0.1.11"), .sport = 10, .dport = 80,
			.ttl = 63));
	graph_expect_drop("a", INSIDE_OUT(0, .sport = 7, .dport = 8), DROP_NO_ROUTE);
	/* And a machine changes its address: what runs by the old one ends. */
	graph_items("[" BOUND("new", "203.0.113.30", "10.0.1.11") "]");
	graph_expect_drop(EXT, OUTSIDE_IN(0, .sport = 10, .dport = 80), DROP_NOT_FOR_US);
	graph_expect_pass("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, SERVER), .sport = 80, .dport = 10), EXT,
		FRAME(FROM(EXT_MAC, "203.0.113.30"), TO(HOP_MAC, SERVER), .sport = 80, .dport = 10,
			.ttl = 63));
}

/* What changes beside does not harm running flows. */
static void test_other_changes_leave_flows(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	begin_flows(0);
	graph_items(A_WITH("100", "50", "\"192.0.2.0/24\"", "false"));
	graph_items("[" BOUND("er", "203.0.113.21", "10.0.1.20") "]");
	graph_delete("[[\"eip\", \"er\"], [\"eip\", \"ea6\"]]");
	assert_int_equal(session_used(), 2);
	begin_flows(0);
	assert_int_equal(session_used(), 2);
}

static unsigned int begin_many(unsigned int n, uint16_t first)
{
	unsigned int passed = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct frame *f = OUTSIDE_IN(0, .sport = (uint16_t)(first + i), .dport = 80);

		graph_send(EXT, f->bytes, f->len);
		graph_run();
		passed += graph_waiting("a");
		graph_discard_sent("a");
	}
	return passed;
}

/* Packets that come together are one connection where they are of one flow. */
static void test_a_burst_is_one_connection(void **state)
{
	const struct frame *f = OUTSIDE_IN(0, .sport = 999, .dport = 80);

	(void)state;
	graph_items(A_WITH("0", "1", "", "false"));
	for (unsigned int i = 0; i < 12; i++)
		graph_send(EXT, f->bytes, f->len);
	graph_run();
	assert_int_equal(graph_waiting("a"), 12);
	assert_int_equal(session_used(), 1);
	graph_discard_sent("a");
	assert_int_equal(graph_dropped(DROP_RATE_LIMITED), 0);
	graph_items(A_WITH("0", "10", "", "false"));
}

/* Only new ones from outside, a second's worth at once. */
static void test_new_connections_a_second(void **state)
{
	unsigned int passed;

	(void)state;
	graph_items(A_WITH("0", "10", "", "false"));
	passed = begin_many(30, 1000);
	assert_in_range(
		passed, 10, 20); /* the clock is the real one: as if no more than a second */
	assert_int_equal(graph_dropped(DROP_RATE_LIMITED), 30 - passed);
	assert_int_equal(session_used(), passed);
	/* Running ones, asked again, and those from inside are free. */
	for (int n = 0; n < 20; n++) {
		graph_items(n & 1 ? A_WITH("0", "10", "", "false")
				  : A_WITH("0", "10", "\"192.0.2.0/24\"", "false"));
		graph_expect_pass(EXT, OUTSIDE_IN(0, .sport = 1000, .dport = 80), "a",
			INSIDE_IN(0, .sport = 1000, .dport = 80));
		graph_expect_pass("a", INSIDE_OUT(0, .sport = (uint16_t)(2000 + n), .dport = 8),
			EXT, OUTSIDE_OUT(0, .sport = (uint16_t)(2000 + n), .dport = 8));
	}
	graph_items(A_BOUND);
	assert_int_equal(begin_many(30, 3000), 30);
}

/* Of packets over the rate, counted to the VPC and to no port. */
static uint64_t vpc_drops(void)
{
	json_t *answer = graph_rpc("drops.list", json_pack("{s:s}", "vpc", "prod")), *item;
	uint64_t n = 0;
	size_t i;

	json_array_foreach (json_object_get(answer, "items"), i, item) {
		const char *reason = json_string_value(json_object_get(item, "reason"));

		if (!json_is_string(json_object_get(item, "port")) &&
			strcmp(reason, "rate_limited") == 0)
			n += (uint64_t)json_integer_value(json_object_get(item, "packets"));
	}
	json_decref(answer);
	return n;
}

#define IP_BYTES 1450u

static unsigned int send_many(
	const char *from, const struct frame *f, const char *to, unsigned int n)
{
	unsigned int passed = 0;

	for (unsigned int done = 0; done < n; done += 100) {
		for (unsigned int i = 0; i < 100; i++)
			graph_send(from, f->bytes, f->len);
		graph_run();
		passed += graph_waiting(to);
		graph_discard_sent(to);
	}
	return passed;
}

static unsigned int release(const char *to, unsigned int ms)
{
	unsigned int passed = 0;

	for (unsigned int i = 0; i < ms; i++) {
		graph_pass_time(1);
		graph_run();
		passed += graph_waiting(to);
		graph_discard_sent(to);
	}
	return passed;
}

/* Each way by itself: a burst of 64 kB, 40 ms of the rate wait, the rest is dropped and counted to the VPC; changed live. */
static void test_bandwidth(void **state)
{
	const struct frame *in = OUTSIDE_IN(0, .sport = 9, .dport = 80, .payload = IP_BYTES - 28),
			   *out = INSIDE_OUT(0, .sport = 80, .dport = 9, .payload = IP_BYTES - 28);
	unsigned int passed, held;

	(void)state;
	graph_stop_clock(true);
	graph_items(A_WITH("10", "0", "", "false"));
	for (int n = 0; n < 2; n++) {
		const char *from = n == 0 ? EXT : "a", *to = n == 0 ? "a" : EXT;
		uint64_t before = vpc_drops();

		passed = send_many(from, n == 0 ? in : out, to, 300);
		assert_in_range(passed, 45, 47);
		held = (unsigned int)qos_held();
		assert_in_range(held, 33, 36);
		assert_int_equal(graph_dropped(DROP_RATE_LIMITED), 300 - passed - held);
		assert_int_equal(vpc_drops() - before, 300 - passed - held);
		assert_int_equal(release(to, 60), held);
	}
	release(EXT, 1000);
	graph_items(A_WITH("100", "0", "", "false"));
	passed = send_many("a", out, EXT, 1000);
	assert_in_range(passed, 172, 180); /* 20 ms of it */
	release(EXT, 60);
	graph_forget_drops();
	graph_items(A_BOUND);
	assert_int_equal(send_many("a", out, EXT, 1000), 1000);
	assert_int_equal(session_used(), 1);
}

static struct usage_figures figures(const char *name)
{
	const struct eip *eip = eip_by_name(name);
	struct usage_figures f;

	assert_non_null(eip);
	assert_true(eip_usage(eip, &f));
	return f;
}

static unsigned int ended;
static struct usage_entry last_ended;

static void note_ended(const struct usage_entry *entry, void *arg)
{
	(void)arg;
	if (strcmp(entry->kind, "eip") != 0 || entry->figures.rx_packets == 0)
		return;
	if (ended++ == 0) /* those of earlier tests follow */
		last_ended = *entry;
}

static void carry(uint16_t sport)
{
	graph_expect_pass("a", INSIDE_OUT(0, .sport = sport, .dport = 8, .payload = 72), EXT,
		OUTSIDE_OUT(0, .sport = sport, .dport = 8, .payload = 72));
	for (int n = 0; n < 2; n++)
		graph_expect_pass(EXT, OUTSIDE_IN(0, .sport = 8, .dport = sport, .payload = 22),
			"a", INSIDE_IN(0, .sport = 8, .dport = sport, .payload = 22));
}

static void expect_figures(const char *name, uint64_t packets_out)
{
	struct usage_figures f = figures(name);

	assert_int_equal(f.rx_packets, packets_out);
	assert_int_equal(f.rx_bytes, 100 * packets_out);
	assert_int_equal(f.tx_packets, 2 * packets_out);
	assert_int_equal(f.tx_bytes, 100 * packets_out);
}

/* IP bytes each way, over changes of everything, by sessions (no rate) and shapers; final when it goes, with what its last sessions
 * have carried. */
static void test_usage(void **state)
{
	(void)state;
	graph_items(A_BOUND);
	carry(7);
	graph_pass_time(1);
	expect_figures("ea", 1);
	carry(7);
	graph_items(A_WITH("100", "50", "", "false"));
	carry(7);
	expect_figures("ea", 3);
	graph_items(A_BOUND);
	carry(7);
	carry(8);
	graph_pass_time(1);
	expect_figures("ea", 5);
	graph_pass_time(1);
	expect_figures("ea", 5);
	expect_figures("ea6", 0);
	/* To its own address: out once and in once, either way. */
	graph_expect_pass("a", FRAME(FROM(MAC_A, A6), TO(GW, E6), .sport = 7, .dport = 80), "a",
		FRAME(FROM(GW, E6), TO(MAC_A, A6), .sport = 7, .dport = 80, .ttl = 63));
	graph_pass_time(1);
	assert_int_equal(figures("ea6").rx_packets, 1);
	assert_int_equal(figures("ea6").tx_packets, 1);
	carry(7);
	graph_delete("[[\"eip\", \"ea\"]]");
	for (int n = 0; n < 3; n++)
		graph_pass_time(1);
	assert_int_equal(session_used(), 1);
	ended = 0;
	usage_each_ended(note_ended, NULL);
	assert_true(ended > 0);
	assert_string_equal(last_ended.name, "ea");
	assert_int_equal(last_ended.revision, 7);
	assert_int_equal(last_ended.figures.rx_bytes, 600);
	assert_int_equal(last_ended.figures.tx_packets, 12);
}

static void expect_state(const char *name, const char *want)
{
	json_t *answer = graph_rpc("eip.status", json_pack("{s:[s]}", "names", name));
	json_t *item = json_array_get(json_object_get(answer, "items"), 0);

	assert_string_equal(json_string_value(json_object_get(item, "state")), want);
	json_decref(answer);
}

/* Accepted, and of no use: it wins over what else leads out all the same. */
static void test_network_is_missing(void **state)
{
	(void)state;
	graph_items("[" EIP_ITEM("el", "line", "192.0.0.9", "null", "port", "100", "\"" A4 "\"",
		"0", "0", "", "false") "]");
	expect_state("el", "inactive");
	graph_expect_drop("a", INSIDE_OUT(0, .sport = 7, .dport = 8), DROP_NO_ROUTE);
	graph_items("[" EIP_ITEM("el", "internet", E4, "null", "port", "100", "\"" A4 "\"", "0",
		"0", "", "false") "]");
	expect_state("el", "active");
	graph_expect_pass("a", INSIDE_OUT(0, .sport = 7, .dport = 8), EXT,
		OUTSIDE_OUT(0, .sport = 7, .dport = 8));
}

static void test_refused_items(void **state)
{
	(void)state;
	assert_false(graph_try("[" EIP_ITEM("x", "", E4, "null", "port", "null", "null", "0", "0",
				       "", "false") "]",
		"[]"));
	assert_false(graph_try("[" BOUND("x", E4, "fd00:1:0:1::10") "]", "[]"));
	assert_false(graph_try("[" BOUND("x", E4, "nonsense") "]", "[]"));
	assert_null(eip_by_name("x"));
}

static void test_explain(void **state)
{
	json_t *said;
	char *text;

	(void)state;
	graph_items(A_BOUND);
	said = graph_rpc("explain",
		json_pack("{s:{s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:i, s:i}}", "in", "port", "a",
			"packet", "smac", MAC_A, "dmac", GW, "source", A4, "destination", SERVER,
			"protocol", "udp", "source_port", 1, "port", 2));
	text = json_dumps(said, 0);
	assert_non_null(strstr(text, "1:1 as " E4));
	assert_non_null(strstr(text, "out by network internet"));
	free(text);
	json_decref(said);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_to_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gateway_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_tenants_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_cut_running_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_changes_hands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_changes_leave_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_burst_is_one_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_connections_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bandwidth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_network_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_items, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, teardown),
	};

	graph_start();
	outside_network(PORT_CAP_MULTI_SEG);
	return cmocka_run_group_tests_name("eip", tests, NULL, NULL);
}
