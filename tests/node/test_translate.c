/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of translated flows, byte for byte: addresses, ports, ids and every checksum (RFC 1624, 3022, 4787, 5382, 5508). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "session/session.h"

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
	outside_reset();
	return 0;
}

/* Of both families; the test says the rest. */
#define OUT(v6, ...)                                                                               \
	FRAME(FROM(MAC_A, (v6) ? "fd00:1:0:1::10" : "10.0.1.10"), TO(GW, (v6) ? SERVER6 : SERVER), \
		__VA_ARGS__)
#define OUT_THERE(v6, ...)                                                                         \
	FRAME(FROM(EXT_MAC, (v6) ? SNAT6 : SNAT), TO(HOP_MAC, (v6) ? SERVER6 : SERVER), .ttl = 63, \
		__VA_ARGS__)
#define BACK(v6, ...)                                                                              \
	FRAME(FROM(HOP_MAC, (v6) ? SERVER6 : SERVER), TO(EXT_MAC, (v6) ? SNAT6 : SNAT), __VA_ARGS__)
#define BACK_HERE(v6, ...)                                                                         \
	FRAME(FROM(GW, (v6) ? SERVER6 : SERVER), TO(MAC_A, (v6) ? "fd00:1:0:1::10" : "10.0.1.10"), \
		.ttl = 63, __VA_ARGS__)

static void test_udp_out(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (int n = 0; n < 2; n++) { /* by the road, by the session */
			graph_expect_pass("a", OUT(v6, .sport = 1000, .dport = 53, .payload = 33),
				EXT, OUT_THERE(v6, .sport = 2000, .dport = 53, .payload = 33));
			graph_expect_pass(EXT, BACK(v6, .sport = 53, .dport = 2000, .payload = 7),
				"a", BACK_HERE(v6, .sport = 53, .dport = 1000, .payload = 7));
		}
	assert_int_equal(session_used(), 2);
}

static void test_tcp_out(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		graph_expect_pass("a",
			OUT(v6, .proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 99,
				.mss = 1200),
			EXT,
			OUT_THERE(v6, .proto = IPPROTO_TCP, .sport = 2000, .dport = 80, .seq = 99,
				.mss = 1200));
		graph_expect_pass(EXT,
			BACK(v6, .proto = IPPROTO_TCP, .sport = 80, .dport = 2000, .seq = 7,
				.ack = 100, .tcp_flags = 0x12),
			"a",
			BACK_HERE(v6, .proto = IPPROTO_TCP, .sport = 80, .dport = 1000, .seq = 7,
				.ack = 100, .tcp_flags = 0x12));
		graph_expect_pass("a",
			OUT(v6, .proto = IPPROTO_TCP, .sport = 1000, .dport = 80, .seq = 100,
				.ack = 8, .tcp_flags = 0x10, .payload = 999),
			EXT,
			OUT_THERE(v6, .proto = IPPROTO_TCP, .sport = 2000, .dport = 80, .seq = 100,
				.ack = 8, .tcp_flags = 0x10, .payload = 999));
	}
}

/* RFC 5508 section 3: the id is what a port is elsewhere. */
static void test_ping_out(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ask = v6 ? 128 : 8,
			answer = v6 ? 129 : 0;

		for (int n = 0; n < 2; n++) {
			graph_expect_pass("a",
				OUT(v6, .proto = proto, .icmp_type = ask, .icmp_id = 7,
					.payload = 56),
				EXT,
				OUT_THERE(v6, .proto = proto, .icmp_type = ask, .icmp_id = 1007,
					.payload = 56));
			graph_expect_pass(EXT,
				BACK(v6, .proto = proto, .icmp_type = answer, .icmp_id = 1007,
					.payload = 55),
				"a",
				BACK_HERE(v6, .proto = proto, .icmp_type = answer, .icmp_id = 7,
					.payload = 55));
		}
	}
	assert_int_equal(session_used(), 2);
}

/* No ports that we know, and no checksum, of GRE: the addresses only. */
static void test_other_out(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		graph_expect_pass("a", OUT(v6, .proto = IPPROTO_GRE, .payload = 64), EXT,
			OUT_THERE(v6, .proto = IPPROTO_GRE, .payload = 64));
		graph_expect_pass(EXT, BACK(v6, .proto = IPPROTO_GRE, .payload = 64), "a",
			BACK_HERE(v6, .proto = IPPROTO_GRE, .payload = 64));
	}
}

/* From outside to a machine, address and port. */
static void test_in(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const char *inside = v6 ? "fd00:1:0:1::10" : "10.0.1.10",
			   *client = v6 ? SERVER6 : SERVER;
		const char *service = v6 ? DNAT6 : DNAT;

		for (int n = 0; n < 2; n++) {
			graph_expect_pass(EXT,
				FRAME(FROM(HOP_MAC, client), TO(EXT_MAC, service), .sport = 4000,
					.dport = 80, .payload = 12),
				"a",
				FRAME(FROM(GW, client), TO(MAC_A, inside), .sport = 4000,
					.dport = 8080, .payload = 12, .ttl = 63));
			graph_expect_pass("a",
				FRAME(FROM(MAC_A, inside), TO(GW, client), .sport = 8080,
					.dport = 4000, .payload = 13),
				EXT,
				FRAME(FROM(EXT_MAC, service), TO(HOP_MAC, client), .sport = 80,
					.dport = 4000, .payload = 13, .ttl = 63));
		}
	}
	assert_int_equal(session_used(), 2);
	graph_expect_drop(EXT, BACK(0, .sport = 1, .dport = 2), DROP_NAT_FILTERED);
}

/* RFC 4787 REQ-9: to another machine's outside address, by the same gateway, with the outside source. */
static void test_hairpin(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		graph_expect_pass("a",
			FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, EIP), .sport = 1, .dport = 2,
				.payload = 5),
			"b",
			FRAME(FROM(GW, SNAT), TO(MAC_B, "10.0.1.11"), .sport = 1001, .dport = 2,
				.payload = 5, .ttl = 63));
		graph_expect_pass("b",
			FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, SNAT), .sport = 2, .dport = 1001,
				.payload = 6),
			"a",
			FRAME(FROM(GW, EIP), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1,
				.payload = 6, .ttl = 63));
	}
	assert_int_equal(session_used(), 1);
}

/* By a tunnel to the machine: what comes from there was routed where it comes from. */
static void test_other_node(void **state)
{
	const struct frame *in =
		FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, FAR), .sport = 9, .dport = 10);
	struct frame to;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	for (int n = 0; n < 2; n++) {
		graph_send(EXT, in->bytes, in->len);
		graph_run();
		got = graph_sent(GRAPH_UNDERLAY, &len);
		assert_non_null(got);
		to = *FRAME(FROM(GW, SERVER), TO(MAC_R, "10.0.1.20"), .sport = 9, .dport = 10,
			.ttl = 63);
		assert_int_equal(len, to.len + 50);
		assert_memory_equal(got + 50, to.bytes, to.len);
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(GW, SERVER), .sport = 10,
					  .dport = 9, .ttl = 63),
				100),
			EXT,
			FRAME(FROM(EXT_MAC, FAR), TO(HOP_MAC, SERVER), .sport = 10, .dport = 9,
				.ttl = 63));
	}
	outside.holds = true;
	/* And out of there: its node has decremented. */
	for (int n = 0; n < 3; n++) {
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(FRAME(FROM(GW, "10.0.1.20"), TO(GW, SERVER), .sport = 7,
					  .dport = 8, .ttl = 63),
				100),
			EXT,
			FRAME(FROM(EXT_MAC, SNAT), TO(HOP_MAC, SERVER), .sport = 1007, .dport = 8,
				.ttl = 63));
		outside_bump(); /* asked again it stays */
	}
	assert_int_equal(outside_taken, 1);
	assert_int_equal(session_used(), 2);
}

/* Without a checksum it stays (RFC 768). */
static void test_udp_without_checksum(void **state)
{
	struct frame f = *OUT(0, .sport = 1, .dport = 2, .payload = 9),
		     want = *OUT_THERE(0, .sport = 1001, .dport = 2, .payload = 9);

	(void)state;
	memset(f.bytes + 40, 0, 2);
	memset(want.bytes + 40, 0, 2);
	graph_expect_pass("a", &f, EXT, &want);
}

#define BATCH 256

/* Every value that a checksum can have, before and after: UDP's is never 0x0000 (RFC 768), no sum is off by one. */
static void every_checksum(bool v6, uint8_t proto)
{
	struct frame f = *OUT(v6, .proto = proto, .sport = 5, .dport = 6, .icmp_type = v6 ? 128 : 8,
		.icmp_id = 5, .payload = 2, .tcp_flags = 2);
	uint32_t at = f.len - 2u;
	const uint8_t *got;
	uint16_t len;

	for (uint32_t value = 0; value < 65536;) {
		for (int i = 0; i < BATCH; i++, value++) {
			f.bytes[at] = (uint8_t)(value >> 8);
			f.bytes[at + 1] = (uint8_t)value;
			frame_finish(&f);
			graph_send("a", f.bytes, f.len);
		}
		graph_run();
		for (int i = 0; i < BATCH; i++) {
			got = graph_sent(EXT, &len);
			assert_non_null(got);
			if (frame_check(got, len) != NULL)
				fail_msg("%s, protocol %u", frame_check(got, len), proto);
			if (proto == IPPROTO_UDP)
				assert_false(got[(v6 ? 54 : 34) + 6] == 0 &&
					     got[(v6 ? 54 : 34) + 7] == 0);
		}
	}
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_every_checksum(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		every_checksum(v6, IPPROTO_UDP);
		every_checksum(v6, IPPROTO_TCP);
		every_checksum(v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	}
}

static const char *text_of(const json_t *session, const char *member)
{
	const char *text = json_string_value(json_object_get(session, member));

	return text != NULL ? text : "null";
}

/* The one session that `address` is part of. */
static json_t *listed(const char *address)
{
	json_t *answer = graph_rpc("session.list", json_pack("{s:s}", "address", address));
	json_t *items = json_object_get(answer, "items"), *session;

	assert_int_equal(json_array_size(items), 1);
	session = json_incref(json_array_get(items, 0));
	json_decref(answer);
	return session;
}

/* Each end as its own side knows it; the VPC's, whoever began; found by any of its addresses. */
static void test_listed(void **state)
{
	static const struct {
		const char *find, *client, *server, *new_client, *new_server;
	} cases[] = {
		{SNAT, "10.0.1.10:1000", SERVER ":53", SNAT ":2000", "null"},
		{SNAT6, "[fd00:1:0:1::10]:7", "[" SERVER6 "]:7", "[" SNAT6 "]:1007", "null"},
		{DNAT, "198.51.100.10:4000", DNAT ":80", "null", "10.0.1.10:8080"},
		{"198.51.100.10", "198.51.100.10:4000", DNAT ":80", "null", "10.0.1.10:8080"},
	};
	const struct frame *frames[] = {OUT(0, .sport = 1000, .dport = 53),
		OUT(1, .proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 7),
		FRAME(FROM(HOP_MAC, "198.51.100.10"), TO(EXT_MAC, DNAT), .sport = 4000,
			.dport = 80)};
	const char *from[] = {"a", "a", EXT};

	(void)state;
	for (int i = 0; i < 3; i++) {
		graph_send(from[i], frames[i]->bytes, frames[i]->len);
		graph_run();
		graph_discard_sent(i < 2 ? EXT : "a");
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *s = listed(cases[i].find);

		assert_string_equal(text_of(s, "vpc"), "prod");
		assert_string_equal(text_of(s, "client"), cases[i].client);
		assert_string_equal(text_of(s, "server"), cases[i].server);
		assert_string_equal(text_of(s, "translated_client"), cases[i].new_client);
		assert_string_equal(text_of(s, "translated_server"), cases[i].new_server);
		assert_string_equal(text_of(s, "backend"), "null");
		json_decref(s);
	}
}

static json_t *explained(
	const char *member, const char *name, const char *vni, const char *src, const char *dst)
{
	json_t *in = json_pack("{s:s}", member, name);

	if (vni != NULL)
		json_object_set_new(in, "vni", json_integer(atoi(vni)));
	return graph_rpc("explain", json_pack("{s:o, s:{s:s, s:s, s:i, s:i, s:i, s:i}}", "in", in,
					    "packet", "source", src, "destination", dst, "protocol",
					    IPPROTO_UDP, "source_port", 9, "port", 80, "ttl", 50));
}

/* The question goes the way of the packet, with what becomes of it. */
static void test_explained(void **state)
{
	static const struct {
		const char *member, *name, *vni, *src, *dst;
		const char *out, *out_name, *new_src, *new_dst;
		int new_sport, new_dport, ttl;
	} cases[] = {
		{"port", "a", NULL, "10.0.1.10", SERVER, "external", "internet", SNAT, SERVER, 1009,
			80, 49},
		{"vtep", "other", "100", "10.0.1.20", SERVER, "external", "internet", SNAT, SERVER,
			1009, 80, 50},
		{"external", "internet", NULL, SERVER, DNAT, "port", "a", SERVER, "10.0.1.10", 9,
			8080, 49},
		{"external", "internet", NULL, SERVER, FAR, "vtep", "other", SERVER, "10.0.1.20", 9,
			80, 49},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *answer = explained(
			cases[i].member, cases[i].name, cases[i].vni, cases[i].src, cases[i].dst);
		const json_t *after = json_object_get(json_object_get(answer, "packet"), "after");

		assert_string_equal(text_of(answer, "verdict"), "forward");
		assert_string_equal(
			text_of(json_object_get(answer, "out"), cases[i].out), cases[i].out_name);
		assert_string_equal(text_of(after, "source"), cases[i].new_src);
		assert_string_equal(text_of(after, "destination"), cases[i].new_dst);
		assert_int_equal(json_integer_value(json_object_get(after, "source_port")),
			cases[i].new_sport);
		assert_int_equal(
			json_integer_value(json_object_get(after, "port")), cases[i].new_dport);
		assert_int_equal(json_integer_value(json_object_get(after, "ttl")), cases[i].ttl);
		json_decref(answer);
	}
	assert_non_null(graph_rpc_refusal(
		"explain", json_pack("{s:{s:s}, s:{}}", "in", "external", "nowhere", "packet")));
	assert_int_equal(session_used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_udp_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ping_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hairpin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_without_checksum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_checksum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explained, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate", tests, NULL, NULL);
}
