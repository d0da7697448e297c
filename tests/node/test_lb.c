/* SPDX-License-Identifier: Apache-2.0 */
/* Load balancers with a private address, packet by packet: who is sent where, and what becomes of it when things change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_byteorder.h>

#include "balancer.h"
#include "base/ip_text.h"
#include "cloud.h"
#include "core/usage.h"
#include "graph.h"
#include "lb/lb.h"
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
	return 0;
}

static struct lb_backend *backend(const char *address)
{
	struct ip_addr addr;

	assert_true(ip_addr_parse(address, &addr));
	return lb_backend_find("lb", IPPROTO_UDP, RTE_BE16(80), &addr, RTE_BE16(8080));
}

/* With a turn of the control thread: what is better now is used from the next one on. */
static void set_health(const char *address, enum lb_health health)
{
	lb_health_set(backend(address), health, NULL);
	graph_pass_time(10);
}

static uint32_t connections(const char *address)
{
	return lb_connections(backend(address));
}

/* A client's packet to the VIP; with `more`. */
#define TO_VIP(...) FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, VIP), .dport = 80, __VA_ARGS__)
#define AT(dmac_, dst_, ...)                                                                       \
	FRAME(FROM(GW, "10.0.1.10"), TO(dmac_, dst_), .dport = 8080, .ttl = 63, __VA_ARGS__)
/* In the client's subnet: from its MAC, as what is bridged, so that both agree about the answers. */
#define AT_B(...)                                                                                  \
	FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .dport = 8080, .ttl = 63,          \
		__VA_ARGS__)
#define AT_C(...) AT(MAC_C, "10.0.2.10", __VA_ARGS__)

/* Sends a's UDP packet from that port to the VIP; which machine it came to: 'b', 'c', 'a', 't' (the tunnel), or 0. */
static char sent_to(uint16_t sport)
{
	static const char *const names[] = {"a", "b", "c", GRAPH_UNDERLAY};
	const struct frame *f = TO_VIP(.sport = sport);
	char to = 0;

	graph_send("a", f->bytes, f->len);
	graph_run();
	for (unsigned int n = 0; n < 4; n++)
		if (graph_waiting(names[n]) != 0) {
			assert_int_equal(to, 0);
			to = n == 3 ? 't' : names[n][0];
			graph_discard_sent(names[n]);
		}
	return to;
}

/* How many of so many new connections, from ports `first` on, come to b and c. */
struct shares {
	unsigned int b, c, none;
};

static struct shares many(uint16_t first, unsigned int n)
{
	struct shares s = {0};

	for (unsigned int i = 0; i < n; i++) {
		char to = sent_to((uint16_t)(first + i));

		s.b += to == 'b';
		s.c += to == 'c';
		s.none += to == 0;
	}
	assert_int_equal(s.b + s.c + s.none, n);
	return s;
}

static void test_there_and_back(void **state)
{
	(void)state;
	graph_expect_drop("a", TO_VIP(.sport = 7), DROP_NO_ROUTE);
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_C("1") "]");
	for (int n = 0; n < 2; n++) { /* by the road, by the session */
		graph_expect_pass("a", TO_VIP(.sport = 7, .payload = 33), "c",
			AT_C(.sport = 7, .payload = 33));
		graph_expect_pass("c",
			FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 8080,
				.dport = 7),
			"a",
			FRAME(FROM(GW, VIP), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7,
				.ttl = 63));
	}
	assert_int_equal(session_used(), 1);
	assert_int_equal(connections("10.0.2.10"), 1);
	/* Another port of the address, and another protocol. */
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, VIP), .sport = 7, .dport = 81),
		DROP_LB_NO_LISTENER);
	graph_expect_drop("a", TO_VIP(.proto = IPPROTO_TCP, .sport = 7), DROP_LB_NO_LISTENER);
}

#define A6 "fd00:1:0:1::10"
#define C6 "fd00:1:0:2::10"

static void test_ipv6(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP6) "," LISTENER("lb", "6", "80", "maglev", "0", "", "0",
		"0", "false", NO_CHECK) "," BACKEND("lb", "6", "80", C6, "8080", "1") "]");
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, A6), TO(GW, VIP6), .proto = IPPROTO_TCP, .sport = 7, .dport = 80),
		"c",
		FRAME(FROM(GW, A6), TO(MAC_C, C6), .proto = IPPROTO_TCP, .sport = 7, .dport = 8080,
			.ttl = 63));
	graph_expect_pass("c",
		FRAME(FROM(MAC_C, C6), TO(GW, A6), .proto = IPPROTO_TCP, .sport = 8080, .dport = 7,
			.tcp_flags = 0x12, .ack = 1),
		"a",
		FRAME(FROM(GW, VIP6), TO(MAC_A, A6), .proto = IPPROTO_TCP, .sport = 80, .dport = 7,
			.tcp_flags = 0x12, .ack = 1, .ttl = 63));
}

/* On another node, which is not told anything about the balancer. */
static void test_back_end_behind_a_tunnel(void **state)
{
	struct frame *at_r = &(struct frame){.len = 0};

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_R("1") "]");
	frame_vxlan(at_r,
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 7, .dport = 8080,
			.ttl = 63),
		"192.0.2.1", "192.0.2.2", 100);
	for (uint16_t n = 0; n < 2; n++) {
		uint16_t len;
		const uint8_t *bytes;

		graph_send("a", TO_VIP(.sport = 7)->bytes, TO_VIP(.sport = 7)->len);
		graph_run();
		bytes = graph_sent(GRAPH_UNDERLAY, &len);
		assert_non_null(bytes);
		assert_int_equal(len, at_r->len);
		assert_memory_equal(bytes + 50, at_r->bytes + 50, len - 50);
		graph_expect_pass(GRAPH_UNDERLAY,
			TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"),
					  .sport = 8080, .dport = 7),
				100),
			"a", FRAME(FROM(GW, VIP), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7));
	}
}

/* Its own address would make no sense to it. */
static void test_back_end_calls_itself(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_B("1") "]");
	for (int n = 0; n < 2; n++) {
		graph_expect_pass("b",
			FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, VIP), .sport = 7, .dport = 80), "b",
			FRAME(FROM(GW, VIP), TO(MAC_B, "10.0.1.11"), .sport = 7, .dport = 8080,
				.ttl = 63));
		graph_expect_pass("b",
			FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, VIP), .sport = 8080, .dport = 7),
			"b",
			FRAME(FROM(GW, VIP), TO(MAC_B, "10.0.1.11"), .sport = 80, .dport = 7,
				.ttl = 63));
	}
	assert_int_equal(session_used(), 1);
}

static void test_turns(void **state)
{
	struct shares s;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_B("5") "," ON_C(
		"1") "]");
	s = many(1, 100);
	assert_int_equal(s.b, 50);
	assert_int_equal(s.c, 50);
	graph_items("[" LB_UDP("weighted_round_robin", "0") "]");
	s = many(1001, 120);
	assert_int_equal(s.b, 100);
	assert_int_equal(s.c, 20);
	assert_int_equal(connections("10.0.1.11"), 150);
	/* Those that are there already stay. */
	assert_int_equal(many(1, 100).b, 50);
	assert_int_equal(session_used(), 220);
}

/* Weight 0: nothing new, the rest goes on. */
static void test_weight_0(void **state)
{
	struct shares s;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_B("1") "," ON_C(
		"1") "]");
	s = many(1, 10);
	assert_int_equal(s.b, 5);
	graph_items("[" ON_B("0") "]");
	assert_int_equal(many(1, 10).b, 5);
	assert_int_equal(many(101, 10).c, 10);
	graph_items("[" ON_C("0") "]");
	graph_expect_drop("a", TO_VIP(.sport = 201), DROP_LB_NO_BACKEND);
	assert_int_equal(many(1, 10).b, 5);
}

/* Taken out: nothing new; the rest goes on for drain_s. */
static void test_drain(void **state)
{
	uint32_t of_c;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "30") "," ON_B("1") "," ON_C(
		"1") "]");
	assert_int_equal(many(1, 10).b, 5);
	graph_delete("[" KEY_B "]");
	assert_null(backend("10.0.1.11"));
	assert_int_equal(many(101, 10).c, 10);
	graph_pass_time(29000);
	assert_int_equal(many(1, 10).b, 5);
	of_c = connections("10.0.2.10");
	graph_pass_time(2000);
	graph_pass_time(10);
	/* The sweep has cut b's, and only those. */
	assert_int_equal(session_used(), of_c);
	assert_int_equal(many(1, 10).c, 10);
	/* Back before the end: as if nothing had been. */
	graph_items("[" ON_B("1") "]");
	assert_int_equal(many(201, 10).b, 5);
	graph_delete("[" KEY_B "]");
	graph_items("[" ON_B("1") "]");
	graph_pass_time(31000);
	assert_int_equal(many(301, 10).b, 5);
	/* Without drain_s at once. */
	graph_items("[" LB_UDP("round_robin", "0") "]");
	graph_delete("[" KEY_B "]");
	assert_int_equal(many(201, 10).c, 10);
}

/* What is down gets nothing, and its flows go elsewhere; nobody else's are touched. */
static void test_down_and_up(void **state)
{
	uint64_t used;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LISTENER("lb", "17", "80", "round_robin", "0", "",
		"0", "0", "false", CHECK) "," ON_B("1") "," ON_C("1") "]");
	/* Of none is anything known: all are used. */
	assert_int_equal(many(1, 10).b, 5);
	set_health("10.0.2.10", LB_HEALTH_UP);
	assert_int_equal(many(101, 10).c, 10);
	assert_int_equal(many(1, 10).b, 5);
	set_health("10.0.1.11", LB_HEALTH_UP);
	assert_int_equal(many(201, 10).b, 5);
	used = session_used();
	lb_health_set(backend("10.0.1.11"), LB_HEALTH_DOWN, "connection refused");
	assert_int_equal(many(301, 10).c, 10);
	assert_int_equal(many(1, 10).c, 10);
	graph_pass_time(10); /* those that were silent */
	assert_int_equal(session_used(), used + 5);
	assert_int_equal(connections("10.0.1.11"), 0);
	set_health("10.0.2.10", LB_HEALTH_DOWN);
	graph_expect_drop("a", TO_VIP(.sport = 401), DROP_LB_NO_BACKEND);
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
	set_health("10.0.1.11", LB_HEALTH_UP);
	assert_int_equal(many(401, 10).b, 10);
	/* Health is of who was checked: without a check all are up. */
	graph_items("[" LB_UDP("round_robin", "0") "]");
	assert_int_equal(many(501, 10).b, 5);
}

#define TCP_TO_VIP(...) TO_VIP(.proto = IPPROTO_TCP, __VA_ARGS__)
#define TCP_AT_B(...) AT_B(.proto = IPPROTO_TCP, __VA_ARGS__)

/* A connection that its server has answered is the server's to end; a SYN without an answer goes to another one. */
static void test_open_connections_outlive_a_failed_check(void **state)
{
	struct ip_addr addr;
	struct lb_backend *b;

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LISTENER("lb", "6", "80", "round_robin", "0", "",
		"0", "0", "false",
		CHECK) "," BACKEND("lb", "6", "80", "10.0.1.11", "8080", "1") "]");
	assert_true(ip_addr_parse("10.0.1.11", &addr));
	b = lb_backend_find("lb", IPPROTO_TCP, RTE_BE16(80), &addr, RTE_BE16(8080));
	graph_expect_pass("a", TCP_TO_VIP(.sport = 1), "b", TCP_AT_B(.sport = 1));
	graph_expect_pass("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP,
			.sport = 8080, .dport = 1, .seq = 9, .ack = 1, .tcp_flags = 0x12),
		"a",
		FRAME(FROM(MAC_B, VIP), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,
			.dport = 1, .seq = 9, .ack = 1, .tcp_flags = 0x12));
	graph_expect_pass("a", TCP_TO_VIP(.sport = 2), "b", TCP_AT_B(.sport = 2));
	lb_health_set(b, LB_HEALTH_DOWN, "HTTP 503");
	graph_expect_pass("a", TCP_TO_VIP(.sport = 1, .seq = 1, .ack = 10, .tcp_flags = 0x10), "b",
		TCP_AT_B(.sport = 1, .seq = 1, .ack = 10, .tcp_flags = 0x10));
	graph_expect_drop("a", TCP_TO_VIP(.sport = 2), DROP_LB_NO_BACKEND);
	graph_expect_drop("a", TCP_TO_VIP(.sport = 3), DROP_LB_NO_BACKEND);
	assert_int_equal(lb_connections(b), 1);
	/* Its client has given it up, and uses the port anew: that is a new connection, for who takes any. */
	graph_items("[" BACKEND("lb", "6", "80", "10.0.2.10", "8080", "1") "]");
	graph_expect_pass("a", TCP_TO_VIP(.sport = 1, .seq = 70000), "c",
		AT_C(.proto = IPPROTO_TCP, .sport = 1, .seq = 70000));
	assert_int_equal(lb_connections(b), 0);
}

/* One way of a connection between a's port 7 and b's port 8080, seen by both as theirs; `vip`: a has called the balancer. */
static void a_says(bool vip, uint8_t flags, uint32_t seq, uint32_t ack)
{
	const struct frame *direct =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
			.sport = 7, .dport = 8080, .seq = seq, .ack = ack, .tcp_flags = flags);

	if (vip)
		graph_expect_pass("a",
			TCP_TO_VIP(.sport = 7, .seq = seq, .ack = ack, .tcp_flags = flags), "b",
			TCP_AT_B(.sport = 7, .seq = seq, .ack = ack, .tcp_flags = flags));
	else
		graph_expect_pass("a", direct, "b", direct);
}

static void b_says(bool vip, uint8_t flags, uint32_t seq, uint32_t ack)
{
	graph_expect_pass("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP,
			.sport = 8080, .dport = 7, .seq = seq, .ack = ack, .tcp_flags = flags),
		"a",
		FRAME(FROM(MAC_B, vip ? VIP : "10.0.1.11"), TO(MAC_A, "10.0.1.10"),
			.proto = IPPROTO_TCP, .sport = vip ? 80 : 8080, .dport = 7, .seq = seq,
			.ack = ack, .tcp_flags = flags));
}

#define SYN 0x02
#define SYN_ACK 0x12
#define ACK 0x10
#define FIN_ACK 0x11

static void converse(bool vip, uint32_t seq)
{
	a_says(vip, SYN, seq, 0);
	b_says(vip, SYN_ACK, seq, seq + 1);
	a_says(vip, ACK, seq + 1, seq + 1);
}

static void part(bool vip, uint32_t seq)
{
	a_says(vip, FIN_ACK, seq + 1, seq + 1);
	b_says(vip, FIN_ACK, seq + 1, seq + 2);
	a_says(vip, ACK, seq + 2, seq + 2);
}

#define LB_TCP(persistence)                                                                        \
	LISTENER("lb", "6", "80", "maglev", persistence, "", "0", "0", "false", NO_CHECK)
#define TCP_ON(address) BACKEND("lb", "6", "80", address, "8080", "1")

/* A client's kernel gives a port to connections with two destinations, since to it they are two. To the server behind both they are
 * one after the other. */
static void test_same_port_to_a_machine_and_by_the_balancer(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_TCP("600") "," TCP_ON("10.0.1.11") "]");
	for (uint32_t n = 0; n < 4; n++) {
		converse(n % 2 != 0, 1000 * n);
		part(n % 2 != 0, 1000 * n);
		assert_int_equal(session_used(), 1);
	}
}

/* While the first one is open, the other one gets another back end if there is one, this once. */
static void test_same_port_while_the_machine_is_called(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_TCP("600") "," TCP_ON("10.0.1.11") "]");
	graph_expect_pass("a", TCP_TO_VIP(.sport = 8), "b", TCP_AT_B(.sport = 8));
	converse(false, 1000);
	graph_expect_drop("a", TCP_TO_VIP(.sport = 7), DROP_STALE);
	graph_items("[" TCP_ON("10.0.2.10") "]");
	graph_expect_pass("a", TCP_TO_VIP(.sport = 7), "c", AT_C(.proto = IPPROTO_TCP, .sport = 7));
	graph_expect_pass("a", TCP_TO_VIP(.sport = 9), "b", TCP_AT_B(.sport = 9));
	part(false, 1000);
}

static void test_fail_open(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LISTENER("lb", "17", "80", "round_robin", "0", "",
		"0", "0", "true", CHECK) "," ON_B("1") "," ON_C("1") "]");
	set_health("10.0.1.11", LB_HEALTH_DOWN);
	set_health("10.0.2.10", LB_HEALTH_DOWN);
	assert_int_equal(many(1, 10).b, 5);
	assert_int_equal(many(1, 10).b, 5);
	/* One is back: no reason any more to use the other. */
	set_health("10.0.2.10", LB_HEALTH_UP);
	assert_int_equal(many(1, 10).c, 10);
	assert_int_equal(many(101, 10).c, 10);
}

static void test_allow_list(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_B("1") "]");
	assert_int_equal(sent_to(1), 'b');
	graph_items("[" LISTENER("lb", "17", "80", "round_robin", "0",
		"\"10.0.2.0/24\", \"fd00::/16\"", "0", "0", "false", NO_CHECK) "]");
	graph_expect_drop("a", TO_VIP(.sport = 1), DROP_LB_NOT_ALLOWED);
	graph_expect_drop("a", TO_VIP(.sport = 2), DROP_LB_NOT_ALLOWED);
	assert_int_equal(session_used(), 0);
	graph_expect_pass("c",
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, VIP), .sport = 1, .dport = 80), "b",
		FRAME(FROM(GW, "10.0.2.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 8080,
			.ttl = 63));
}

/* A client that comes back, from another port. */
static void test_persistence(void **state)
{
	char first;

	(void)state;
	graph_stop_clock(true);
	graph_items("[" BALANCER("lb", VIP) "," LISTENER("lb", "17", "80", "round_robin", "60", "",
		"0", "0", "false", CHECK) "," ON_B("1") "," ON_C("1") "]");
	first = sent_to(1);
	for (uint16_t n = 2; n < 12; n++)
		assert_int_equal(sent_to(n), first);
	graph_pass_time(50000);
	assert_int_equal(sent_to(20), first);
	graph_pass_time(50000);
	assert_int_equal(sent_to(21), first);
	/* It was away too long, and it is the other's turn. */
	graph_pass_time(70000);
	assert_int_not_equal(sent_to(22), first);
	/* Whom it was given is down. */
	set_health("10.0.1.11", LB_HEALTH_DOWN);
	for (uint16_t n = 30; n < 34; n++)
		assert_int_equal(sent_to(n), 'c');
	set_health("10.0.1.11", LB_HEALTH_UP);
	set_health("10.0.2.10", LB_HEALTH_UP);
	for (uint16_t n = 40; n < 44; n++)
		assert_int_equal(sent_to(n), 'c');
	graph_stop_clock(false);
}

static void test_idle_timeout(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LISTENER("lb", "17", "80", "round_robin", "0", "",
		"1000", "0", "false", NO_CHECK) "," ON_B("1") "]");
	assert_int_equal(sent_to(1), 'b');
	graph_pass_time(999000);
	assert_int_equal(session_used(), 1);
	graph_pass_time(2000);
	assert_int_equal(session_used(), 0);
	assert_int_equal(connections("10.0.1.11"), 0);
}

/* A listener, a balancer, an address that go take their flows with them, and nobody else's. */
static void test_taken_away(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "100") "," ON_B("1") "]");
	graph_items("[" BALANCER("lc", "10.0.1.101") "," LISTENER("lc", "17", "80", "round_robin",
		"0", "", "0", "0", "false",
		NO_CHECK) "," BACKEND("lc", "17", "80", "10.0.2.10", "8080", "1") "]");
	assert_int_equal(sent_to(1), 'b');
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.101"), .sport = 1, .dport = 80), "c",
		AT_C(.sport = 1));
	graph_delete("[" KEY_B ", [\"listener\", \"lb\", 17, 80]]");
	graph_expect_drop("a", TO_VIP(.sport = 1), DROP_LB_NO_LISTENER);
	assert_int_equal(session_used(), 1);
	graph_items("[" LB_UDP("round_robin", "100") "," ON_B("1") "]");
	assert_int_equal(sent_to(1), 'b');
	/* Another address. */
	graph_items("[" BALANCER("lb", "10.0.1.102") "]");
	graph_expect_drop("a", TO_VIP(.sport = 1), DROP_NO_ROUTE);
	assert_int_equal(session_used(), 1);
	graph_items("[" BALANCER("lb", VIP) "]");
	assert_int_equal(sent_to(1), 'b');
	graph_delete("[" KEY_B ", [\"listener\", \"lb\", 17, 80], [\"load_balancer\", \"lb\"]]");
	graph_expect_drop("a", TO_VIP(.sport = 1), DROP_NO_ROUTE);
	assert_int_equal(session_used(), 1);
}

/* Rules of the receiver see the client and what it is sent. */
static void test_groups(void **state)
{
	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("round_robin", "0") "," ON_B("1") "]");
	graph_items(
		"[[\"group\", \"web\", 1], [\"rules\", \"web\", 0, "
		"[\"i a 1000 17 8080 8080 -1 -1 cidr 10.0.1.10/32\"]]," PORT_ITEM("b", "100", "web",
			MAC_B, "\"10.0.1.11\", \"fd00:1:0:1::11\"", "\"web\"", "true", "") "]");
	assert_int_equal(sent_to(1), 'b');
	graph_items("[[\"rules\", \"web\", 0, [\"i a 1000 17 80 80 -1 -1 any\"]]]");
	graph_expect_drop("a", TO_VIP(.sport = 1), DROP_POLICY_INGRESS);
	graph_expect_drop("a", TO_VIP(.sport = 2), DROP_POLICY_INGRESS);
	graph_pass_time(10);
	assert_int_equal(connections("10.0.1.11"), 0);
}

/* What is wrong is refused whole, and leaves nothing. */
static void test_refused(void **state)
{
	static const char *const wrong[] = {
		"[\"load_balancer\", \"lc\", 100, null, null, null, 1]",
		"[\"load_balancer\", \"lc\", 100, \"10.0.1.5\", \"no-such-eip\", null, 1]",
		"[\"load_balancer\", \"lc\", 999, \"10.0.1.5\", null, null, 1]",
		LISTENER("lb", "6", "80", "fair", "0", "", "0", "0", "false", CHECK),
		LISTENER("lb", "256", "80", "maglev", "0", "", "0", "0", "false", CHECK),
		LISTENER("lb", "6", "65536", "maglev", "0", "", "0", "0", "false", CHECK),
		LISTENER("lc", "6", "80", "maglev", "0", "", "0", "0", "false", CHECK),
		BACKEND("lb", "17", "80", "10.0.1.20", "0", "1"),
		BACKEND("lb", "17", "80", "10.0.1.20", "65536", "1"),
		BACKEND("lc", "17", "80", "10.0.1.20", "80", "1"),
	};
	char items[1024];

	(void)state;
	graph_items("[" BALANCER("lb", VIP) "," LB_UDP("maglev", "0") "," ON_B("1") "]");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(items, sizeof(items),
			"[" BALANCER("ld", "10.0.1.103") "," LISTENER("ld", "6", "80", "maglev",
				"0", "\"10.0.0.0/8\"", "0", "0", "false",
				CHECK) "," ON_B("0") "," ON_C("1") ", %s]",
			wrong[i]);
		assert_false(graph_try(items, "[]"));
		assert_null(backend("10.0.2.10"));
		assert_int_equal(many((uint16_t)(1 + 10 * i), 10).b, 10);
	}
}

struct usage_sum {
	struct usage_figures figures;
	unsigned int n;
};

static void add_usage(const struct usage_entry *entry, void *arg)
{
	struct usage_sum *sum = arg;

	if (strcmp(entry->kind, "load_balancer") != 0 || strcmp(entry->name, "billed") != 0)
		return;
	sum->figures = entry->figures;
	sum->n++;
}

/* What its sessions have carried, while they live and after; the figures outlive the balancer. */
static void test_usage(void **state)
{
	struct usage_sum sum = {.n = 0};

	(void)state;
	graph_items("[" BALANCER("billed", VIP) "," LISTENER("billed", "17", "80", "maglev", "0",
		"", "0", "0", "false",
		NO_CHECK) "," BACKEND("billed", "17", "80", "10.0.2.10", "8080", "1") "]");
	for (int n = 0; n < 3; n++)
		graph_expect_pass("a", TO_VIP(.sport = 7, .payload = 100), "c",
			AT_C(.sport = 7, .payload = 100));
	graph_expect_pass("c",
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 8080, .dport = 7,
			.payload = 1000),
		"a",
		FRAME(FROM(GW, VIP), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7, .ttl = 63,
			.payload = 1000));
	graph_pass_time(10);
	for (int n = 0; n < 2; n++) {
		memset(&sum, 0, sizeof(sum));
		if (n == 0)
			usage_each_live(add_usage, &sum);
		else
			usage_each_ended(add_usage, &sum);
		assert_int_equal(sum.n, 1);
		assert_int_equal(sum.figures.tx_packets, 3);
		assert_int_equal(sum.figures.tx_bytes, 3 * 128);
		assert_int_equal(sum.figures.rx_packets, 1);
		assert_int_equal(sum.figures.rx_bytes, 1028);
		graph_delete("[" BACKEND_KEY("billed", "17", "80", "10.0.2.10",
			"8080") ", [\"listener\", \"billed\", 17, 80], [\"load_balancer\", "
				"\"billed\"]]");
		for (int turn = 0; turn < 5; turn++)
			graph_pass_time(10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_end_behind_a_tunnel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_end_calls_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_weight_0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_and_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_open_connections_outlive_a_failed_check, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_same_port_to_a_machine_and_by_the_balancer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_same_port_while_the_machine_is_called, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allow_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_persistence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
