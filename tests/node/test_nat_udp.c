/* SPDX-License-Identifier: Apache-2.0 */
/* NAT of UDP: RFC 4787, requirement by requirement, for both mappings where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "nat_cloud.h"
#include "session/session.h"

/* REQ-1: one inside address and port is one outside address and port, whatever the destination. */
static void test_req1_endpoint_independent_mapping(void **state)
{
	uint16_t port;

	(void)state;
	NAT(.dependent = false);
	port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	assert_int_equal(nat_port_of(IPPROTO_UDP, 5000, SERVER, 54), port);
	assert_int_equal(nat_port_of(IPPROTO_UDP, 5000, OTHER_SERVER, 99), port);
	assert_true(nat_lets_in(SERVER, 54, port));
	assert_true(nat_lets_in(OTHER_SERVER, 99, port));
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1);
	assert_int_equal(nat_figure(NULL, NULL, "sessions"), 3);
}

/* The option that trades REQ-1 away: each destination has a binding of its own; answers find it. */
static void test_endpoint_dependent_mapping(void **state)
{
	uint16_t ports[20];
	unsigned int other = 0;

	(void)state;
	NAT(.dependent = true);
	for (uint16_t i = 0; i < 20; i++) {
		ports[i] = nat_port_of(IPPROTO_UDP, 5000, SERVER, (uint16_t)(1000 + i));
		other += ports[i] != ports[0];
	}
	assert_true(other > 0);
	for (uint16_t i = 0; i < 20; i++)
		assert_true(nat_lets_in(SERVER, (uint16_t)(1000 + i), ports[i]));
	assert_int_equal(nat_figure(NULL, NULL, "sessions"), 20);
}

/* REQ-2: "paired": all of an inside address leaves by one outside address; others may have another one. */
static void test_req2_paired_pooling(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		char first[64];

		NAT(.dependent = dependent, .addresses = "\"e50\", \"e51\", \"e52\"");
		for (uint16_t i = 0; i < 60; i++) {
			struct nat_seen s = nat_through("a",
				FROM_A(.proto = i % 2 ? IPPROTO_UDP : IPPROTO_TCP,
					.sport = (uint16_t)(3000 + i),
					.dport = (uint16_t)(200 + i)),
				EXT);

			if (i == 0)
				memcpy(first, s.src, sizeof(first));
			assert_string_equal(s.src, first);
		}
		nat_pass(10000);
	}
}

/* A pool serves all its addresses: machines are spread. */
static void test_pool_is_used(void **state)
{
	unsigned int used = 0;

	(void)state;
	NAT(.addresses = "\"e50\", \"e51\", \"e52\"");
	for (uint16_t i = 0; i < 30; i++) {
		char src[32];

		snprintf(src, sizeof(src), "10.0.1.%u", 100 + i);
		graph_items("[" PORT_ITEM(
			"a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"any\"", "false", "") "]");
		nat_through("a", FROM_A(.src = src, .sport = 3000, .dport = 200), EXT);
	}
	used += nat_figure(E50, "udp", "ports_used") > 0;
	used += nat_figure(E51, "udp", "ports_used") > 0;
	used += nat_figure(E52, "udp", "ports_used") > 0;
	assert_int_equal(used, 3);
}

/* REQ-3: no port overloading: two inside ends never share an outside port, whatever their destinations. */
static void test_req3_no_overloading(void **state)
{
	static bool taken[65536];

	(void)state;
	memset(taken, 0, sizeof(taken));
	NAT(.dependent = false);
	for (uint16_t i = 0; i < 500; i++) {
		uint16_t port = nat_port_of(IPPROTO_UDP, (uint16_t)(2000 + i), SERVER, 53);

		assert_false(taken[port]);
		taken[port] = true;
		port = nat_through("b", FROM_B(.sport = (uint16_t)(2000 + i), .dport = 53), EXT)
			       .sport;
		assert_false(taken[port]);
		taken[port] = true;
	}
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1000);
}

/* REQ-3a: source ports below 1024 stay below, others above. REQ-4: parity is kept. Both mappings. */
static void test_req3a_req4_range_and_parity(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent);
		for (uint16_t i = 0; i < 200; i++) {
			uint16_t sport = (uint16_t)(i % 2 ? 200 + i : 1024 + 301 * i),
				 port = nat_port_of(IPPROTO_UDP, sport, SERVER, 53);

			assert_int_equal(port < 1024, sport < 1024);
			assert_int_equal(port % 2, sport % 2);
			assert_int_not_equal(port, 0);
		}
		nat_pass(1000);
	}
}

/* REQ-5: a mapping lives for 2 minutes at least without any packet, 5 by default; also one that nobody has answered. */
static void test_req5_timer(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++)
		for (int answered = 0; answered < 2; answered++) {
			uint16_t port;

			NAT(.dependent = dependent);
			port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
			if (answered)
				assert_true(nat_lets_in(SERVER, 53, port));
			nat_pass(295);
			assert_int_equal(session_used(), 1);
			assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1);
			nat_pass(10);
			assert_int_equal(session_used(), 0);
			assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
			assert_false(nat_lets_in(SERVER, 53, port));
		}
}

/* REQ-6: outbound packets refresh the timer. */
static void test_req6_outbound_refresh(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		uint16_t port;

		NAT(.dependent = dependent);
		port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		for (int i = 0; i < 4; i++) {
			nat_pass(250);
			assert_int_equal(nat_port_of(IPPROTO_UDP, 5000, SERVER, 53), port);
		}
		nat_pass(250);
		assert_true(nat_lets_in(SERVER, 53, port));
		nat_pass(1000);
	}
}

/* REQ-8: filtering address and port dependent by default, and the two others by name. */
static void test_req8_filtering(void **state)
{
	static const struct {
		const char *filtering;
		bool same_address, other_address;
	} cases[] = {
		{NULL, false, false},
		{"address_and_port", false, false},
		{"address", true, false},
		{"endpoint_independent", true, true},
	};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint16_t port;

		NAT(.filtering = cases[i].filtering);
		port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		assert_true(nat_lets_in(SERVER, 53, port));
		assert_int_equal(nat_lets_in(SERVER, 54, port), cases[i].same_address);
		assert_int_equal(nat_lets_in(OTHER_SERVER, 53, port), cases[i].other_address);
		nat_pass(1000);
		/* With the mapping its permissions are gone. */
		assert_false(nat_lets_in(SERVER, 54, port));
	}
}

/* What was let in is answered from the outside port, and has the mapping go on. */
static void test_what_is_let_in_is_answered(void **state)
{
	struct nat_seen s;
	uint16_t port;

	(void)state;
	NAT(.filtering = "endpoint_independent");
	port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	assert_true(nat_lets_in(OTHER_SERVER, 700, port));
	s = nat_through("a", FROM_A(.dst = OTHER_SERVER, .sport = 5000, .dport = 700), EXT);
	assert_int_equal(s.sport, port);
	nat_pass(250);
	assert_true(nat_lets_in(OTHER_SERVER, 700, port));
	nat_pass(100);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 1);
}

/* Endpoint-dependent mapping has no port that could be open to others: filtered always. */
static void test_endpoint_dependent_is_filtered(void **state)
{
	uint16_t port;

	(void)state;
	NAT(.dependent = true, .filtering = "endpoint_independent");
	port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	assert_true(nat_lets_in(SERVER, 53, port));
	assert_false(nat_lets_in(SERVER, 54, port));
	assert_false(nat_lets_in(OTHER_SERVER, 53, port));
}

/* REQ-9: hairpinning, with the external address and port as source. By a mapping that lets everybody in. */
static void test_req9_hairpin_to_a_mapping(void **state)
{
	struct nat_seen s;
	uint16_t of_a, of_b;

	(void)state;
	NAT(.filtering = "endpoint_independent");
	of_a = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
	of_b = nat_through("b", FROM_B(.sport = 6000, .dport = 53), EXT).sport;
	for (int n = 0; n < 2; n++) {
		s = nat_through("b", FROM_B(.dst = E50, .sport = 6000, .dport = of_a), "a");
		assert_string_equal(s.src, E50);
		assert_int_equal(s.sport, of_b);
		assert_string_equal(s.dst, A4);
		assert_int_equal(s.dport, 5000);
		s = nat_through("a", FROM_A(.dst = E50, .sport = 5000, .dport = of_b), "b");
		assert_string_equal(s.src, E50);
		assert_int_equal(s.sport, of_a);
		assert_string_equal(s.dst, B4);
		assert_int_equal(s.dport, 6000);
	}
}

/* REQ-9 by a forward, for both mappings; `hairpin: false` refuses. */
static void test_req9_hairpin_to_a_forward(void **state)
{
	struct nat_seen s;

	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		NAT(.dependent = dependent,
			.dnat = DNAT_ITEM("0", "e50", "17", "80", "80", A4, "8080"));
		for (int n = 0; n < 2; n++) {
			s = nat_through("b", FROM_B(.dst = E50, .sport = 6000, .dport = 80), "a");
			assert_string_equal(s.src, E50);
			assert_string_equal(s.dst, A4);
			assert_int_equal(s.dport, 8080);
			s = nat_through(
				"a", FROM_A(.dst = E50, .sport = 8080, .dport = s.sport), "b");
			assert_string_equal(s.src, E50);
			assert_int_equal(s.sport, 80);
			assert_string_equal(s.dst, B4);
			assert_int_equal(s.dport, 6000);
		}
		nat_pass(1000);
		NAT(.dependent = dependent, .no_hairpin = true,
			.dnat = DNAT_ITEM("0", "e50", "17", "80", "80", A4, "8080"));
		nat_dropped("b", FROM_B(.dst = E50, .sport = 6000, .dport = 80), DROP_NAT_FILTERED);
		assert_true(nat_through("b", FROM_B(.sport = 6000, .dport = 80), EXT).there);
		nat_pass(1000);
	}
}

/* REQ-12: an ICMP error ends no mapping. */
static void test_req12_icmp_error_ends_nothing(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++) {
		struct frame sent;
		struct nat_seen s;
		uint16_t port;

		NAT(.dependent = dependent);
		port = nat_port_of(IPPROTO_UDP, 5000, SERVER, 53);
		sent = *FRAME(FROM(EXT_MAC, E50), TO(HOP_MAC, SERVER), .sport = port, .dport = 53,
			.ttl = 60);
		for (uint8_t code = 0; code < 4; code++) {
			s = nat_through(EXT,
				ICMP_ERROR(&sent, FROM(HOP_MAC, SERVER), TO(EXT_MAC, E50),
					.icmp_type = 3, .icmp_code = code),
				"a");
			assert_string_equal(s.dst, A4);
			assert_int_equal(s.icmp_type, 3);
		}
		assert_int_equal(nat_port_of(IPPROTO_UDP, 5000, SERVER, 53), port);
		assert_true(nat_lets_in(SERVER, 53, port));
		nat_pass(1000);
	}
}

/* REQ-14: fragments in any order, to the outside and back. */
static void test_req14_fragments_in_any_order(void **state)
{
	(void)state;
	for (int dependent = 0; dependent < 2; dependent++)
		for (int late = 0; late < 2; late++) {
			const struct frame *first, *second;
			struct nat_seen s;

			NAT(.dependent = dependent);
			/* 1 of 2: more fragments follow; 2 of 2: from byte 64 on. */
			first = FROM_A(.sport = 5000, .dport = 53, .payload = 56, .ip_id = 77,
				.fragment = 0x2000);
			second = FROM_A(.sport = 0x0101, .dport = 0x0202, .payload = 40,
				.ip_id = 77, .fragment = 8);
			graph_send("a", late ? second->bytes : first->bytes,
				late ? second->len : first->len);
			graph_run();
			graph_send("a", late ? first->bytes : second->bytes,
				late ? first->len : second->len);
			graph_run();
			assert_int_equal(graph_waiting(EXT), 2);
			graph_sent(EXT, NULL);
			graph_discard_sent(EXT);
			/* Back, the ends turned round. */
			nat_pass(1000);
			s = nat_through("a", FROM_A(.sport = 5000, .dport = 53), EXT);
			first = FROM_OUTSIDE(.sport = 53, .dport = s.sport, .payload = 56,
				.ip_id = 78, .fragment = 0x2000);
			second = FROM_OUTSIDE(.sport = 0x0101, .dport = 0x0202, .payload = 40,
				.ip_id = 78, .fragment = 8);
			graph_send(EXT, late ? second->bytes : first->bytes,
				late ? second->len : first->len);
			graph_run();
			graph_send(EXT, late ? first->bytes : second->bytes,
				late ? first->len : second->len);
			graph_run();
			assert_int_equal(graph_waiting("a"), 2);
			for (int i = 0; i < 2; i++) {
				const uint8_t *f = graph_sent("a", NULL);

				assert_memory_equal(f + 30, "\x0a\x00\x01\x0a", 4);
			}
			nat_pass(1000);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nat_setup, nat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_req1_endpoint_independent_mapping),
		TEST(test_endpoint_dependent_mapping),
		TEST(test_req2_paired_pooling),
		TEST(test_pool_is_used),
		TEST(test_req3_no_overloading),
		TEST(test_req3a_req4_range_and_parity),
		TEST(test_req5_timer),
		TEST(test_req6_outbound_refresh),
		TEST(test_req8_filtering),
		TEST(test_what_is_let_in_is_answered),
		TEST(test_endpoint_dependent_is_filtered),
		TEST(test_req9_hairpin_to_a_mapping),
		TEST(test_req9_hairpin_to_a_forward),
		TEST(test_req12_icmp_error_ends_nothing),
		TEST(test_req14_fragments_in_any_order),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
