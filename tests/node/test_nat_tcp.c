/* SPDX-License-Identifier: Apache-2.0 */
/* NAT of TCP: RFC 5382, requirement by requirement, for both mappings where they differ; RFC 7857 of RST. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "nat_cloud.h"
#include "session/session.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10 };

#define OUT(flags, s, a)                                                                           \
	FROM_A(.proto = IPPROTO_TCP, .sport = 5000, .dport = 80, .tcp_flags = (flags), .seq = (s), \
		.ack = (a))
#define IN(port, flags, s, a)                                                                      \
	FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 80, .dport = (port), .tcp_flags = (flags),     \
		.seq = (s), .ack = (a))

/* The client's SYN; its outside port. */
static uint16_t opened(void)
{
	return nat_through("a", OUT(SYN, 100, 0), EXT).sport;
}

static uint16_t established(void)
{
	uint16_t port = opened();

	nat_through(EXT, IN(port, SYN | ACK, 900, 101), "a");
	nat_through("a", OUT(ACK, 101, 901), EXT);
	return port;
}

/* REQ-1: endpoint-independent mapping, for TCP too. */
static void test_req1_endpoint_independent_mapping(void **state)
{
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = nat_port_of(IPPROTO_TCP, 5000, SERVER, 80);
	assert_int_equal(nat_port_of(IPPROTO_TCP, 5000, SERVER, 81), port);
	assert_int_equal(nat_port_of(IPPROTO_TCP, 5000, OTHER_SERVER, 80), port);
	/* A space of its own: the same inside port of UDP has another mapping (RFC 6888). */
	nat_port_of(IPPROTO_UDP, 5000, SERVER, 80);
	assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 1);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1);
}

/* REQ-2: all valid sequences: the three-way handshake, data, both FINs. */
static void test_req2_handshake(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t port;

		NAT(.dependent = dependent);
		port = established();
		nat_through("a",
			FROM_A(.proto = IPPROTO_TCP, .sport = 5000, .dport = 80, .tcp_flags = ACK,
				.seq = 101, .ack = 901, .payload = 500),
			EXT);
		nat_through(EXT, IN(port, ACK, 901, 601), "a");
		nat_through(EXT, IN(port, FIN | ACK, 901, 601), "a");
		nat_through("a", OUT(FIN | ACK, 601, 902), EXT);
		nat_through(EXT, IN(port, ACK, 902, 602), "a");
		nat_pass(10000);
	}
}

/* REQ-2: simultaneous open: both sides send a SYN, then acknowledge each other's. */
static void test_req2_simultaneous_open(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t port;

		NAT(.dependent = dependent);
		port = opened();
		nat_through(EXT, IN(port, SYN, 900, 0), "a");
		nat_through("a", OUT(SYN | ACK, 100, 901), EXT);
		nat_through(EXT, IN(port, SYN | ACK, 900, 101), "a");
		nat_through("a", OUT(ACK, 101, 901), EXT);
		nat_pass(400);
		assert_int_equal(session_used(), 1); /* established */
		nat_pass(10000);
	}
}

/* REQ-3, filtering as of UDP: the same three. */
static void test_req3_filtering(void **state)
{
	static const struct {
		const char *filtering;
		bool same_address, other_address;
	} cases[] = {
		{"address_and_port", false, false},
		{"address", true, false},
		{"endpoint_independent", true, true},
	};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		uint16_t port;

		NAT(.filtering = cases[i].filtering);
		port = established();
		for (int other = 0; other < 2; other++) {
			const struct frame *f = FROM_OUTSIDE(.src = other ? OTHER_SERVER : SERVER,
				.proto = IPPROTO_TCP, .sport = 99, .dport = port, .seq = 5);

			if (other ? cases[i].other_address : cases[i].same_address)
				nat_through(EXT, f, "a");
			else
				nat_dropped(EXT, f, DROP_NAT_FILTERED);
		}
		nat_pass(10000);
	}
}

/* REQ-4: a SYN that nobody waits for is answered by nothing for 6 s at least (here: never), and if the inside end opens meanwhile the
 * connection comes about. */
static void test_req4_unsolicited_syn_is_silent(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t port;

		NAT(.dependent = dependent);
		port = opened();
		for (int i = 0; i < 7; i++) {
			nat_dropped(EXT,
				FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 99, .dport = port,
					.seq = 5),
				DROP_NAT_FILTERED);
			nat_dropped(EXT,
				FROM_OUTSIDE(.proto = IPPROTO_TCP, .sport = 80,
					.dport = (uint16_t)(port ^ 2), .seq = 5),
				DROP_NAT_FILTERED);
			nat_pass(1);
			assert_int_equal(graph_unfetched(), 0);
		}
		/* Its peer's own SYN is no stranger's. */
		nat_through(EXT, IN(port, SYN, 900, 0), "a");
		nat_pass(10000);
	}
}

/* REQ-5: established 2 h 4 min, opening and closing 4 min at least. */
static void test_req5_timers(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t port;

		NAT(.dependent = dependent);
		opened();
		nat_pass(235);
		assert_int_equal(session_used(), 1);
		nat_pass(10);
		assert_int_equal(session_used(), 0);
		port = established();
		nat_pass(7435);
		nat_through(EXT, IN(port, ACK, 901, 101), "a");
		nat_pass(7435);
		assert_int_equal(session_used(), 1);
		nat_pass(10);
		assert_int_equal(session_used(), 0);
		port = established();
		nat_through("a", OUT(FIN | ACK, 101, 901), EXT);
		nat_through(EXT, IN(port, FIN | ACK, 901, 102), "a");
		nat_through("a", OUT(ACK, 102, 902), EXT);
		nat_pass(235);
		assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 1);
		nat_pass(10);
		assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 0);
	}
}

/* RFC 7857 section 2.2: a RST frees no port at once; the connection is closing. */
static void test_rst_frees_nothing_at_once(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++)
		for (int from_inside = 0; from_inside < 2; from_inside++) {
			uint16_t port;

			NAT(.dependent = dependent);
			port = established();
			if (from_inside)
				nat_through("a", OUT(RST, 101, 0), EXT);
			else
				nat_through(EXT, IN(port, RST, 901, 0), "a");
			nat_pass(235);
			assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 1);
			nat_pass(10);
			assert_int_equal(nat_figure(E50, "tcp", "ports_used"), 0);
		}
}

/* REQ-8 (hairpinning): through a forward, by TCP. */
static void test_req8_hairpin(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct nat_seen s;

		NAT(.dependent = dependent,
			.dnat = DNAT_ITEM("0", "e50", "6", "80", "80", A4, "8080"));
		s = nat_through("b",
			FROM_B(.dst = E50, .proto = IPPROTO_TCP, .sport = 6000, .dport = 80,
				.seq = 1),
			"a");
		assert_string_equal(s.src, E50);
		assert_int_equal(s.dport, 8080);
		nat_through("a",
			FROM_A(.dst = E50, .proto = IPPROTO_TCP, .sport = 8080, .dport = s.sport,
				.tcp_flags = SYN | ACK, .seq = 9, .ack = 2),
			"b");
		nat_pass(10000);
	}
}

/* REQ-10: no ICMP error ends a connection, hard ones neither (RFC 5927). */
static void test_req10_icmp_ends_nothing(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame sent;
		uint16_t port;

		NAT(.dependent = dependent);
		port = established();
		sent = *FRAME(FROM(EXT_MAC, E50), TO(HOP_MAC, SERVER), .proto = IPPROTO_TCP,
			.sport = port, .dport = 80, .seq = 101, .ack = 901, .tcp_flags = ACK,
			.ttl = 60);
		for (uint8_t code = 0; code < 4; code++)
			nat_through(EXT,
				ICMP_ERROR(&sent, FROM(HOP_MAC, SERVER), TO(EXT_MAC, E50),
					.icmp_type = 3, .icmp_code = code),
				"a");
		nat_through("a", OUT(ACK, 101, 901), EXT);
		nat_through(EXT, IN(port, ACK, 901, 101), "a");
		nat_pass(10000);
	}
}

/* A SYN re-opens a connection that is in TIME_WAIT (RFC 9293 section 3.6.1), with the same mapping. */
static void test_syn_on_time_wait(void **state)
{
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = established();
	nat_through(EXT, IN(port, FIN | ACK, 901, 101), "a");
	nat_through("a", OUT(FIN | ACK, 101, 902), EXT);
	nat_through(EXT, IN(port, ACK, 902, 102), "a");
	nat_through("a", OUT(SYN, 50000, 0), EXT);
	assert_int_equal(session_used(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_req1_endpoint_independent_mapping),
		TEST(test_req2_handshake),
		TEST(test_req2_simultaneous_open),
		TEST(test_req3_filtering),
		TEST(test_req4_unsolicited_syn_is_silent),
		TEST(test_req5_timers),
		TEST(test_rst_frees_nothing_at_once),
		TEST(test_req8_hairpin),
		TEST(test_req10_icmp_ends_nothing),
		TEST(test_syn_on_time_wait),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
