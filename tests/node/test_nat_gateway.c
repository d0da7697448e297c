/* SPDX-License-Identifier: Apache-2.0 */
/* NAT gateways as users see them: forwards, gateways on other nodes, both families, changes under running flows, flows between VPCs,
 * explanations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "core/usage.h"
#include "nat_cloud.h"
#include "session/session.h"

#define WEB DNAT_ITEM("0", "e50", "6", "80", "80", A4, "8080")
#define RANGE DNAT_ITEM("1", "e50", "17", "8000", "8010", A4, "9000")
#define TO_WEB FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 40000, .dport = 80, .seq = 1)

/* A forward: the real client, the inside address and port; the answer comes from the outside ones. */
static void test_forward(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.dnat = WEB RANGE);
	s = nat_through(EXT, TO_WEB, "a");
	assert_string_equal(s.src, SERVER);
	assert_string_equal(s.dst, A4);
	assert_int_equal(s.dport, 8080);
	s = nat_through("a",
		FROM_A(.proto = IPPROTO_TCP, .sport = 8080, .dport = 40000, .tcp_flags = 0x12,
			.ack = 2),
		EXT);
	assert_string_equal(s.src, E50);
	assert_int_equal(s.sport, 80);
	assert_int_equal(nat_figure(NULL, NULL, "forwarded"), 1);
	/* The same port of UDP, and other ports, are not forwarded. */
	nat_dropped(EXT, FROM_OUTSIDE(.sport = 1, .dport = 80), DROP_NAT_FILTERED);
	nat_dropped(EXT, FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 1, .dport = 81),
		DROP_NAT_FILTERED);
}

/* A range keeps the distance to its first port, ends included. */
static void test_forwarded_range(void **state)
{
	(void)state;
	NAT(.dnat = WEB RANGE);
	for (uint16_t i = 0; i <= 10; i++) {
		struct nat_seen s = nat_through(
			EXT, FROM_OUTSIDE(.sport = 7, .dport = (uint16_t)(8000 + i)), "a");

		assert_int_equal(s.dport, 9000 + i);
		s = nat_through("a", FROM_A(.sport = (uint16_t)(9000 + i), .dport = 7), EXT);
		assert_int_equal(s.sport, 8000 + i);
	}
	nat_dropped(EXT, FROM_OUTSIDE(.sport = 7, .dport = 7999), DROP_NAT_FILTERED);
	nat_dropped(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8011), DROP_NAT_FILTERED);
}

/* A removed forward ends its flows within a second, whether they are silent or not; those of others stay. */
static void test_forward_that_goes(void **state)
{
	(void)state;
	NAT(.dnat = WEB RANGE);
	nat_through(EXT, TO_WEB, "a");
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), "a");
	graph_delete("[[\"dnat\", \"nat\", 0]]");
	nat_pass(1);
	assert_int_equal(session_used(), 1);
	nat_dropped(EXT, TO_WEB, DROP_NAT_FILTERED);
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), "a");
}

/* A forward to somewhere else: running flows of the old one end. */
static void test_forward_that_changes(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.dnat = RANGE);
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), "a");
	NAT(.dnat = DNAT_ITEM("1", "e50", "17", "8000", "8010", B4, "9000"));
	s = nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), "b");
	assert_int_equal(s.dport, 9003);
}

/* A forward takes its port from who had it as a mapping. */
static void test_forward_over_a_mapping(void **state)
{
	char item[256];
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	snprintf(item, sizeof(item), "[[\"dnat\", \"nat\", 5, \"e50\", 17, %u, %u, \"%s\", 99]]",
		port, port, B4);
	graph_items(item);
	nat_pass(1);
	assert_int_not_equal(nat_port_of(IPPROTO_UDP, 5000, SERVER, 53), port);
	nat_through(EXT, FROM_OUTSIDE(.sport = 1, .dport = port), "b");
}

/* What does not concern a flow leaves it its port; what does ends it, and it begins anew. */
static void test_changes_under_running_flows(void **state)
{
	struct nat_seen s;
	uint16_t port;

	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent);
		port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		NAT(.dependent = dependent, .quarantine_s = 60, .per_port = 1,
			.filtering = "address", .addresses = "\"e51\", \"e50\", \"e50-6\"");
		nat_pass(1);
		assert_int_equal(nat_port_of(IPPROTO_UDP, 5000, SERVER, 53), port);
		assert_true(nat_lets_in(SERVER, 53, port));
		/* Its address is another gateway's now. */
		NAT(.dependent = dependent, .addresses = "\"e51\"");
		nat_pass(1);
		assert_int_equal(session_used(), 0);
		s = nat_through("a", FROM_A(.sport = 5000, .dport = 53), EXT);
		assert_string_equal(s.src, E51);
		/* Who was asked again took no port there for nothing. */
		assert_int_equal(nat_figure(E51, "udp", "ports_used"), 1);
		assert_int_equal(nat_figure(E51, "udp", "quarantined"), 0);
		nat_pass(1000);
	}
	/* Another kind of mapping. */
	NAT(.dependent = false);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	NAT(.dependent = true);
	nat_pass(1);
	assert_int_equal(session_used(), 0);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	/* Blocks of another size. */
	NAT(.dependent = true, .block = 100);
	nat_pass(1);
	assert_int_equal(session_used(), 0);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	assert_int_equal(nat_figure(E50, "udp", "blocks_used"), 1);
}

/* The elastic IP goes, is denied, comes back. */
static void test_elastic_ip_that_goes(void **state)
{
	(void)state;
	NAT(.dnat = RANGE);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), "a");
	graph_items("[[\"eip\", \"e50\", \"\", \"" E50
		    "\", null, \"nat\", null, null, null, 0, 0, [], true, 2]]");
	nat_pass(1);
	assert_int_equal(session_used(), 0);
	nat_dropped("a", FROM_A(.sport = 5000, .dport = 53), DROP_BLACKHOLE);
	nat_dropped(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003), DROP_BLACKHOLE);
	NAT(.dnat = RANGE);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	/* Its address is another one: the old one is nobody's. */
	graph_items("[[\"eip\", \"e50\", \"\", \"203.0.113.77\""
		    ", null, \"nat\", null, null, null, 0, 0, [], false, 3]]");
	nat_pass(1);
	assert_int_equal(session_used(), 0);
	assert_string_equal(
		nat_through("a", FROM_A(.sport = 5000, .dport = 53), EXT).src, "203.0.113.77");
	graph_send(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003)->bytes,
		FROM_OUTSIDE(.sport = 7, .dport = 8003)->len);
	graph_run();
	assert_int_equal(graph_unfetched(), 0);
	graph_forget_drops();
}

/* A machine on another node: it comes and is answered by the tunnel, in its VPC. */
static void test_machine_on_another_node(void **state)
{
	struct frame inner;
	struct nat_seen s;
	const uint8_t *f;

	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent);
		inner = *FRAME(FROM(GW, R4), TO(GW, SERVER), .sport = 5000, .dport = 53, .ttl = 63);
		s = nat_through(GRAPH_UNDERLAY, TUNNELLED(&inner, 100), EXT);
		assert_string_equal(s.src, E50);
		assert_int_equal(s.ttl, 63); /* it was routed where it comes from */
		graph_send(EXT, FROM_OUTSIDE(.sport = 53, .dport = s.sport)->bytes,
			FROM_OUTSIDE(.sport = 53, .dport = s.sport)->len);
		graph_run();
		f = graph_sent(GRAPH_UNDERLAY, NULL);
		assert_non_null(f);
		assert_memory_equal(f + 42 + 4, "\x00\x00\x64", 3); /* VNI */
		assert_memory_equal(f + 50 + 14 + 16, "\x0a\x00\x01\x14", 4);
		/* Asked again, it keeps its port. */
		NAT(.dependent = dependent, .quarantine_s = 60);
		assert_int_equal(
			nat_through(GRAPH_UNDERLAY, TUNNELLED(&inner, 100), EXT).sport, s.sport);
		nat_pass(1000);
	}
}

/* The gateway on another node: there it goes, as it is. */
static void test_gateway_on_another_node(void **state)
{
	const struct frame *sent = FROM_A(.sport = 5000, .dport = 53);
	const uint8_t *f;

	(void)state;
	graph_items("[[\"nat_gateway\", \"far\", 100, \"other\", \"endpoint_independent\", "
		    "\"address_and_port\", 0, true, 0, 0, 120, \"none\", {}, 1],"
		    "[\"snat\", \"far\", 0, \"10.0.1.0/24\", [], false]]");
	graph_send("a", sent->bytes, sent->len);
	graph_run();
	f = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(f);
	f += 50 + 14;
	assert_memory_equal(f + 12, "\x0a\x00\x01\x0a\xc6\x33\x64\x09", 8);
	assert_int_equal(f[20] << 8 | f[21], 5000);
	/* c's subnet is not among the sources. */
	nat_dropped("c", FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, SERVER), .sport = 1, .dport = 2),
		DROP_NO_ROUTE);
}

/* IPv6 leaves translated only where the rule has an IPv6 address. */
static void test_ipv6(void **state)
{
	struct nat_seen s;

	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent);
		s = nat_through("a", FROM_A6(.sport = 5001, .dport = 53), EXT);
		assert_string_equal(s.src, E50_6);
		assert_int_equal(s.sport % 2, 1);
		s = nat_through(EXT, FROM_OUTSIDE6(.sport = 53, .dport = s.sport), "a");
		assert_string_equal(s.dst, A6);
		assert_int_equal(s.dport, 5001);
		s = nat_through("a",
			FROM_A6(.proto = IPPROTO_ICMPV6, .icmp_type = 128, .icmp_id = 77), EXT);
		s = nat_through(EXT,
			FROM_OUTSIDE6(.proto = IPPROTO_ICMPV6, .icmp_type = 129,
				.icmp_id = s.sport),
			"a");
		assert_int_equal(s.sport, 77);
		nat_pass(1000);
	}
	NAT(.addresses = "\"e50\"");
	nat_dropped("a", FROM_A6(.sport = 5001, .dport = 53), DROP_NO_ROUTE);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
}

/* The longest source wins; of one rule's addresses all serve. */
static void test_longest_source(void **state)
{
	(void)state;
	NAT(.addresses = "\"e50\"");
	graph_items("[[\"snat\", \"nat\", 7, \"10.0.1.11/32\", [\"e51\"], false]]");
	assert_string_equal(nat_through("b", FROM_B(.sport = 1, .dport = 2), EXT).src, E51);
	assert_string_equal(nat_through("a", FROM_A(.sport = 1, .dport = 2), EXT).src, E50);
	graph_delete("[[\"snat\", \"nat\", 7]]");
	assert_string_equal(nat_through("b", FROM_B(.sport = 1, .dport = 2), EXT).src, E50);
}

/* From one VPC's NAT gateway to another's forward on the same node: translated twice, turned round here; and its answers. */
static void test_from_vpc_to_vpc(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.no_hairpin = true);
	graph_items(
		"[[\"vpc\", 200, \"blue\", \"blue\", 1450, \"02:00:00:00:00:c8\", "
		"[\"10.0.0.0/16\"], [], 1],"
		"[\"subnet\", \"far\", 200, \"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], "
		"1]," PORT_ITEM("z", "200", "far", "02:cc:00:00:00:11", "\"10.0.1.10\"", "\"any\"",
			"true", "") "," NAT_EIP("e60",
			"203.0.113.60") ",[\"nat_gateway\", \"blue-nat\", 200, null, "
					"\"endpoint_independent\", \"address_and_port\", 0, true, "
					"0, 0, 120, \"none\", {}, 1],"
					"[\"dnat\", \"blue-nat\", 0, \"e60\", 17, 80, 80, "
					"\"10.0.1.10\", 8080]]");
	for (int n = 0; n < 2; n++) {
		s = nat_through(
			"a", FROM_A(.dst = "203.0.113.60", .sport = 5000, .dport = 80), "z");
		assert_string_equal(s.src, E50);
		assert_string_equal(s.dst, "10.0.1.10");
		assert_int_equal(s.dport, 8080);
		s = nat_through("z",
			FRAME(FROM("02:cc:00:00:00:11", "10.0.1.10"), TO("02:00:00:00:00:c8", E50),
				.sport = 8080, .dport = s.sport),
			"a");
		assert_string_equal(s.src, "203.0.113.60");
		assert_int_equal(s.sport, 80);
		assert_int_equal(s.dport, 5000);
		nat_pass(1); /* asked again: nothing changes */
	}
}

static json_t *explained(const char *dst)
{
	return graph_rpc(
		"explain", json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i, s:i}}", "in", "port", "a",
				   "packet", "source", A4, "destination", dst, "protocol",
				   IPPROTO_UDP, "source_port", 5000, "port", 53));
}

/* An explanation names the gateway and takes nothing. */
static void test_explain_takes_nothing(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		json_t *answer;
		char *text;

		NAT(.dependent = dependent, .per_port = 1);
		answer = explained(SERVER);
		text = json_dumps(answer, 0);
		assert_non_null(strstr(text, "\"forward\""));
		assert_non_null(strstr(text, "nat_gateway"));
		assert_non_null(strstr(text, E50));
		free(text);
		json_decref(answer);
		assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
		assert_int_equal(session_used(), 0);
		nat_port_of(IPPROTO_UDP, 6000, SERVER, 53);
		answer = explained(SERVER);
		assert_string_equal(
			json_string_value(json_object_get(answer, "reason")), "nat_exhausted");
		json_decref(answer);
		assert_int_equal(nat_figure(NULL, NULL, "refused"), 0);
		nat_pass(1000);
	}
}

static struct usage_figures billed;
static uint64_t instance; /* 0: the first of that name */
static unsigned int bills;

static void note_bill(const struct usage_entry *entry, void *arg)
{
	(void)arg;
	if (strcmp(entry->kind, "nat_gateway") != 0 || strcmp(entry->name, "nat") != 0 ||
		(instance != 0 && entry->instance != instance))
		return;
	instance = entry->instance;
	billed = entry->figures;
	bills++;
}

/* What it carries, by whom it was begun, is billed to the gateway, also once it is gone. */
static void test_usage(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.dnat = RANGE);
	s = nat_through("a", FROM_A(.sport = 5000, .dport = 53, .payload = 72), EXT);
	for (int i = 0; i < 3; i++)
		nat_through(EXT, FROM_OUTSIDE(.sport = 53, .dport = s.sport, .payload = 972), "a");
	nat_through(EXT, FROM_OUTSIDE(.sport = 7, .dport = 8003, .payload = 172), "a");
	nat_pass(2);
	bills = 0;
	usage_each_live(note_bill, NULL);
	assert_int_equal(bills, 1);
	assert_int_equal(billed.rx_packets, 1);
	assert_int_equal(billed.rx_bytes, 100);
	assert_int_equal(billed.tx_packets, 4);
	assert_int_equal(billed.tx_bytes, 3200);
	nat_through("a", FROM_A(.sport = 5000, .dport = 53, .payload = 72), EXT);
	graph_delete("[[\"dnat\", \"nat\", 1], [\"snat\", \"nat\", 0], [\"snat\", \"nat\", 1], "
		     "[\"nat_gateway\", \"nat\"]]");
	for (int i = 0; i < 4; i++)
		nat_pass(1);
	bills = 0;
	usage_each_ended(note_bill, NULL);
	assert_int_equal(bills, 1);
	assert_int_equal(billed.rx_bytes, 200);
	assert_int_equal(billed.tx_bytes, 3200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_forward),
		TEST(test_forwarded_range),
		TEST(test_forward_that_goes),
		TEST(test_forward_that_changes),
		TEST(test_forward_over_a_mapping),
		TEST(test_changes_under_running_flows),
		TEST(test_elastic_ip_that_goes),
		TEST(test_machine_on_another_node),
		TEST(test_gateway_on_another_node),
		TEST(test_ipv6),
		TEST(test_longest_source),
		TEST(test_from_vpc_to_vpc),
		TEST(test_explain_takes_nothing),
		TEST(test_usage),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
