/* SPDX-License-Identifier: Apache-2.0 */
/* Many behind few addresses: RFC 6888 and 7857: limits, exhaustion, rest of freed ports, blocks, spaces by protocol, the log. For both
 * mappings where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "core/config.h"
#include "nat_cloud.h"
#include "session/session.h"

/* All but `left` of e50's UDP ports above 1023 are forwarded: what is left is handed out. */
#define FEW_PORTS                                                                                  \
	DNAT_ITEM("0", "e50", "17", "1024", "60000", "10.0.1.11", "1024")                          \
	DNAT_ITEM("1", "e50", "17", "60011", "65535", "10.0.1.11", "60011")

/* The answer of the gateway: ICMP administratively prohibited (RFC 6888 section 3, RFC 1812 section 5.2.7.1). */
static void expect_prohibited(const struct frame *f)
{
	struct nat_seen s;

	graph_send("a", f->bytes, f->len);
	graph_run();
	s = nat_seen("a");
	if (!s.there)
		fail_msg("no answer: %s", graph_drop_names());
	assert_string_equal(s.src, "10.0.1.1");
	assert_string_equal(s.dst, A4);
	assert_int_equal(s.icmp_type, 3);
	assert_int_equal(s.icmp_code, 13);
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped(DROP_NAT_EXHAUSTED), 1);
	graph_dropped_any();
}

/* REQ-4 (limits by subscriber): sessions of a vNIC; others have theirs, and what runs goes on. */
static void test_limit_per_port(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent, .per_port = 5);
		for (uint16_t i = 0; i < 5; i++)
			nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
		expect_prohibited(FROM_A(.sport = 6000, .dport = 53));
		nat_through("b", FROM_B(.sport = 6000, .dport = 53), EXT);
		nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		nat_pass(1);
		assert_int_equal(nat_events(), 1);
		assert_non_null(strstr(nat_event_text, "limits.per_port"));
		/* Room again once one has ended. */
		nat_pass(400);
		nat_port_of(IPPROTO_UDP, 6000, SERVER, 53);
		nat_pass(1000);
		nat_events();
	}
}

/* Both families of a vNIC count together. */
static void test_limit_per_port_counts_both_families(void **state)
{
	(void)state;
	NAT(.per_port = 2);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	nat_through("a", FROM_A6(.sport = 5000, .dport = 53), EXT);
	expect_prohibited(FROM_A(.sport = 6000, .dport = 53));
}

static void test_limit_per_vpc(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent, .per_vpc = 3);
		nat_through("b", FROM_B(.sport = 6000, .dport = 53), EXT);
		nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		nat_port_of(IPPROTO_UDP, 5001, SERVER, 53);
		expect_prohibited(FROM_A(.sport = 6000, .dport = 53));
		nat_pass(1);
		assert_int_equal(nat_events(), 1);
		assert_non_null(strstr(nat_event_text, "limits.per_vpc"));
		nat_pass(1000);
		nat_events();
	}
}

/* RFC 6888 REQ-8 and section 3: no port is left: the new flow is refused with an answer, one event tells of many refusals, nobody's
 * mapping is taken away, and the freed ports rest before they are handed out. */
static void test_exhaustion(void **state)
{
	uint16_t ports[10];

	(void)state;
	NAT(.dnat = FEW_PORTS);
	for (uint16_t i = 0; i < 10; i++) {
		ports[i] = nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
		assert_in_range(ports[i], 60001, 60010);
	}
	for (uint16_t i = 0; i < 5; i++)
		expect_prohibited(FROM_A(.sport = (uint16_t)(6000 + i), .dport = 53));
	nat_pass(1);
	assert_int_equal(nat_events(), 1);
	assert_int_equal(nat_figure(NULL, NULL, "refused"), 5);
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(
			nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53), ports[i]);
	/* TCP has a space of its own. */
	nat_port_of(IPPROTO_TCP, 6000, SERVER, 80);
	/* All end; the ports rest for 120 s. */
	nat_pass(400);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
}

static void test_freed_ports_rest(void **state)
{
	(void)state;
	NAT(.dnat = FEW_PORTS);
	for (uint16_t i = 0; i < 10; i++)
		nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
	json_decref(graph_rpc("session.flush", json_object()));
	nat_pass(1);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
	assert_int_equal(nat_figure(E50, "udp", "quarantined"), 10);
	nat_pass(118);
	expect_prohibited(FROM_A(.sport = 6000, .dport = 53));
	nat_pass(17);
	assert_int_equal(nat_figure(E50, "udp", "quarantined"), 0);
	nat_port_of(IPPROTO_UDP, 6000, SERVER, 53);
}

/* quarantine_s: 0 */
static void test_no_rest(void **state)
{
	(void)state;
	NAT(.quarantine_s = NAT_NO_REST, .dnat = FEW_PORTS);
	for (uint16_t i = 0; i < 10; i++)
		nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
	json_decref(graph_rpc("session.flush", json_object()));
	nat_port_of(IPPROTO_UDP, 6000, SERVER, 53);
}

/* The answer finds the machine on another node, too: by the tunnel that its packet came from. */
static void test_exhaustion_is_told_over_the_tunnel(void **state)
{
	struct frame inner;
	const uint8_t *f;

	(void)state;
	NAT(.per_port = 1);
	inner = *FRAME(FROM(MAC_R, R4), TO(GW, SERVER), .sport = 5000, .dport = 53, .ttl = 63);
	nat_through(GRAPH_UNDERLAY, TUNNELLED(&inner, 100), EXT);
	inner = *FRAME(FROM(MAC_R, R4), TO(GW, SERVER), .sport = 5001, .dport = 53, .ttl = 63);
	graph_send(GRAPH_UNDERLAY, TUNNELLED(&inner, 100)->bytes, TUNNELLED(&inner, 100)->len);
	graph_run();
	f = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(f);
	f += 50; /* outer Ethernet, IPv4, UDP, VXLAN */
	assert_memory_equal(f + 14 + 12, "\x0a\x00\x01\x01\x0a\x00\x01\x14", 8);
	assert_int_equal(f[14 + 20], 3);
	assert_int_equal(f[14 + 21], 13);
	assert_int_equal(graph_dropped(DROP_NAT_EXHAUSTED), 1);
	graph_dropped_any();
}

/* The answer to IPv6 is ICMPv6's: communication administratively prohibited. */
static void test_exhaustion_of_ipv6(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.per_port = 1);
	nat_through("a", FROM_A6(.sport = 5000, .dport = 53), EXT);
	s = nat_through("a", FROM_A6(.sport = 5001, .dport = 53), "a");
	assert_string_equal(s.src, "fd00:1:0:1::1");
	assert_int_equal(s.icmp_type, 1);
	assert_int_equal(s.icmp_code, 1);
	assert_int_equal(graph_dropped(DROP_NAT_EXHAUSTED), 1);
	graph_dropped_any();
}

/* Spaces for TCP, UDP and ICMP are apart: all ids and ports of one do not take one of another's. */
static void test_separate_spaces(void **state)
{
	(void)state;
	NAT(.dependent = false);
	nat_port_of(IPPROTO_TCP, 5000, SERVER, 53);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	nat_through("a", FROM_A(.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 5000), EXT);
	assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 1);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1);
	assert_int_equal(nat_figure(E50, "icmp", "ports_used"), 1);
	assert_int_equal(nat_figure(E50, "udp", "ports_total"), 65534); /* without 0 and 4789 */
	assert_int_equal(nat_figure(E50, "tcp", "ports_total"), 65535);
	assert_int_equal(nat_figure(E50, "icmp", "ports_total"), 65536);
}

/* REQ-14 and RFC 7422: with blocks a machine's ports are of its own blocks, random inside (RFC 6056). */
static void test_blocks(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t least = 65535, most = 0, of_b;
		unsigned int ascending = 0, last = 0;

		NAT(.dependent = dependent, .block = 64, .quarantine_s = NAT_NO_REST);
		for (uint16_t i = 0; i < 60; i++) {
			uint16_t port = nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);

			least = RTE_MIN(least, port);
			most = RTE_MAX(most, port);
			ascending += port == last + 1;
			last = port;
		}
		assert_in_range(most - least, 1, 63);
		assert_int_equal(least / 64, most / 64); /* blocks begin at 1024 */
		assert_true(ascending < 30);
		of_b = nat_through("b", FROM_B(.sport = 5000, .dport = 53), EXT).sport;
		assert_int_not_equal(of_b / 64, least / 64);
		assert_int_equal(nat_figure(E50, "udp", "blocks_used"), 2);
		for (uint16_t i = 60; i < 70; i++)
			nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
		if (!dependent)
			assert_int_equal(nat_figure(E50, "udp", "blocks_used"), 3);
		nat_pass(1000);
		assert_int_equal(nat_figure(E50, "udp", "blocks_used"), 0);
	}
}

static unsigned int lines_with(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	unsigned int n = 0;
	char line[1024];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		json_t *o = json_loads(line, 0, NULL);

		assert_non_null(o); /* each line is an object */
		json_decref(o);
		n += strstr(line, text) != NULL;
	}
	if (file != NULL)
		fclose(file);
	return n;
}

/* REQ-12, RFC 8158: who had which ports when: by block, or by session. */
static void test_log(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/nat-log-%d.jsonl", getpid());
	node_config.nat_log = path;
	for (int dependent = 0; dependent < 2; dependent++)
		for (int sessions = 0; sessions < 2; sessions++) {
			unlink(path);
			NAT(.dependent = dependent, .block = 64, .quarantine_s = 1,
				.log = sessions ? "session" : "block");
			for (uint16_t i = 0; i < 10; i++)
				nat_port_of(IPPROTO_UDP, (uint16_t)(5000 + i), SERVER, 53);
			nat_pass(1);
			assert_int_equal(lines_with(path, "\"block_allocated\""), 1);
			assert_int_equal(lines_with(path, "\"nat_event\": 16"), 1);
			assert_int_equal(
				lines_with(path, "\"session_created\""), sessions ? 10 : 0);
			nat_pass(400);
			nat_pass(3); /* the ports rest */
			assert_int_equal(lines_with(path, "\"block_released\""), 1);
			assert_int_equal(
				lines_with(path, "\"session_deleted\""), sessions ? 10 : 0);
			assert_int_equal(
				lines_with(path, "\"inside\": \"10.0.1.10\""), sessions ? 22 : 2);
		}
	/* What comes in by a forward is a session, too. */
	unlink(path);
	NAT(.log = "session", .dnat = DNAT_ITEM("0", "e50", "17", "80", "90", A4, "8080"));
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 83), "a");
	nat_pass(400);
	assert_int_equal(lines_with(path, "\"inside_port\": 8083, \"outside_port\": 83"), 2);
	assert_int_equal(lines_with(path, "\"outside\": \"" E50 "\""), 2);
	unlink(path);
	node_config.nat_log = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limit_per_port),
		TEST(test_limit_per_port_counts_both_families),
		TEST(test_limit_per_vpc),
		TEST(test_exhaustion),
		TEST(test_freed_ports_rest),
		TEST(test_no_rest),
		TEST(test_exhaustion_is_told_over_the_tunnel),
		TEST(test_exhaustion_of_ipv6),
		TEST(test_separate_spaces),
		TEST(test_blocks),
		TEST(test_log),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
