/* SPDX-License-Identifier: Apache-2.0 */
/* NAT64: IPv6 machines reach IPv4 servers by 64:ff9b::/96 through a gateway's IPv4 addresses (RFC 6146, 6052); what the gateway decides.
 * How packets are rewritten: tests of nat64/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "nat_cloud.h"
#include "session/session.h"

#define SERVER64 "64:ff9b::c633:6409" /* 198.51.100.9 */

/* RFC 6146 section 3.5.1: UDP out by a binding, and back; the same one for another destination by endpoint-independent mapping. */
static void test_udp(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s, t;

		NAT(.dependent = dependent, .nat64 = true);
		s = nat_through("a",
			FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53, .payload = 30), EXT);
		assert_string_equal(s.src, E50);
		assert_string_equal(s.dst, SERVER);
		assert_int_equal(s.dport, 53);
		assert_int_equal(s.sport % 2, 0);
		t = nat_through(
			EXT, FROM_OUTSIDE(.sport = 53, .dport = s.sport, .payload = 30), "a");
		assert_string_equal(t.src, SERVER64);
		assert_string_equal(t.dst, A6);
		assert_int_equal(t.dport, 5000);
		t = nat_through(
			"a", FROM_A6(.dst = "64:ff9b::c633:640a", .sport = 5000, .dport = 99), EXT);
		assert_string_equal(t.dst, OTHER_SERVER);
		if (!dependent)
			assert_int_equal(t.sport, s.sport);
		/* Asked again it keeps its port. */
		NAT(.dependent = dependent, .nat64 = true, .quarantine_s = 60);
		t = nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53), EXT);
		assert_int_equal(t.sport, s.sport);
		nat_pass(1000);
	}
}

/* Section 3.5.2: TCP with its handshake. */
static void test_tcp(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s;

		NAT(.dependent = dependent, .nat64 = true);
		s = nat_through("a",
			FROM_A6(.dst = SERVER64, .proto = IPPROTO_TCP, .sport = 5001, .dport = 80,
				.seq = 9),
			EXT);
		nat_through(EXT,
			FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 80, .dport = s.sport,
				.tcp_flags = 0x12, .seq = 70, .ack = 10),
			"a");
		nat_through("a",
			FROM_A6(.dst = SERVER64, .proto = IPPROTO_TCP, .sport = 5001, .dport = 80,
				.tcp_flags = 0x10, .seq = 10, .ack = 71),
			EXT);
		nat_pass(7430);
		assert_int_equal(session_used(), 1);
		nat_pass(10000);
	}
}

/* Section 3.5.3: queries by their id, in a space of ICMP. */
static void test_ping(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s;

		NAT(.dependent = dependent, .nat64 = true);
		s = nat_through("a",
			FROM_A6(.dst = SERVER64, .proto = IPPROTO_ICMPV6, .icmp_type = 128,
				.icmp_id = 7),
			EXT);
		assert_int_equal(s.proto, IPPROTO_ICMP);
		assert_int_equal(s.icmp_type, 8);
		assert_int_equal(nat_figure(E50, "icmp", "ports_used"), 1);
		s = nat_through(EXT,
			FROM_OUTSIDE(.proto = IPPROTO_ICMP, .icmp_type = 0, .icmp_id = s.sport),
			"a");
		assert_int_equal(s.proto, IPPROTO_ICMPV6);
		assert_int_equal(s.icmp_type, 129);
		assert_int_equal(s.sport, 7);
		nat_pass(1000);
	}
}

/* Section 3.5.1.1: filtering by address or by nothing: new flows from IPv4 find the machine, by its 64:ff9b:: source. */
static void test_let_in(void **state)
{
	struct nat_seen s, t;

	(void)state;
	NAT(.nat64 = true, .filtering = "endpoint_independent");
	s = nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53), EXT);
	t = nat_through(EXT,
		FROM_OUTSIDE(.src = OTHER_SERVER, .sport = 7, .dport = s.sport, .payload = 20),
		"a");
	assert_string_equal(t.src, "64:ff9b::c633:640a");
	assert_int_equal(t.dport, 5000);
	t = nat_through("a",
		FROM_A6(.dst = "64:ff9b::c633:640a", .sport = 5000, .dport = 7, .payload = 20),
		EXT);
	assert_int_equal(t.sport, s.sport);
	assert_string_equal(t.dst, OTHER_SERVER);
}

/* IPv4 and IPv6 of the same inside port have a binding each; the IPv6 address of the gateway is for IPv6. */
static void test_beside_the_others(void **state)
{
	(void)state;
	NAT(.nat64 = true);
	nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53), EXT);
	assert_string_equal(nat_through("a", FROM_A6(.sport = 5000, .dport = 53), EXT).src, E50_6);
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 2);
	assert_int_equal(nat_figure(E50_6, "udp", "ports_used"), 1);
}

/* A machine's own IPv6 address outside is for IPv6. */
static void test_beside_an_elastic_ip(void **state)
{
	(void)state;
	NAT(.nat64 = true);
	graph_items("[[\"eip\", \"own\", \"\", \"" EIP6 "\", null, \"port\", 100, \"" A6
		    "\", \"a\", 0, 0, [], false, 1]]");
	assert_string_equal(
		nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53), EXT).src,
		E50);
	assert_string_equal(nat_through("a", FROM_A6(.sport = 5000, .dport = 53), EXT).src, EIP6);
}

/* Only where a rule says so; never to what is no host's address (RFC 6052 section 3.1). */
static void test_refused(void **state)
{
	(void)state;
	NAT(.nat64 = true);
	nat_dropped("a", FROM_A6(.dst = "64:ff9b::7f00:1", .sport = 1, .dport = 2), DROP_NO_ROUTE);
	nat_dropped("a", FROM_A6(.dst = "64:ff9b::e000:1", .sport = 1, .dport = 2), DROP_NO_ROUTE);
	NAT(.nat64 = false);
	nat_dropped("a", FROM_A6(.dst = SERVER64, .sport = 1, .dport = 2), DROP_NO_ROUTE);
	NAT(.nat64 = true, .addresses = "\"e50-6\"");
	nat_dropped("a", FROM_A6(.dst = SERVER64, .sport = 1, .dport = 2), DROP_NO_ROUTE);
}

/* The answer to who gets no port is ICMPv6's. */
static void test_exhaustion(void **state)
{
	struct nat_seen s;

	(void)state;
	NAT(.nat64 = true, .per_port = 1);
	nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5000, .dport = 53), EXT);
	s = nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5001, .dport = 53), "a");
	assert_int_equal(s.icmp_type, 1);
	assert_int_equal(s.icmp_code, 1);
	assert_int_equal(graph_dropped(DROP_NAT_EXHAUSTED), 1);
	graph_dropped_any();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_udp),
		TEST(test_tcp),
		TEST(test_ping),
		TEST(test_let_in),
		TEST(test_beside_the_others),
		TEST(test_beside_an_elastic_ip),
		TEST(test_refused),
		TEST(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
