/* SPDX-License-Identifier: Apache-2.0 */
/* Two VPCs that may reach each other: rules hold, routes of both count, nothing is transitive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
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

#define GW2 "02:00:00:00:00:c8"
#define GW3 "02:00:00:00:01:2c"
#define MAC_P "02:cc:00:00:00:01"
#define MAC_Q "02:cc:00:00:00:02"
#define MAC_X "02:dd:00:00:00:01"

#define VPC1(peers)                                                                                \
	"[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW                                        \
	"\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [" peers "], 2]"
#define VPC2(peers)                                                                                \
	"[\"vpc\", 200, \"peer\", \"default\", 1400, \"" GW2                                       \
	"\", [\"10.2.0.0/16\", \"fd00:2::/48\"], [" peers "], 2]"
#define SUBNET2                                                                                    \
	"[\"subnet\", \"far\", 200, \"10.2.1.0/24\", \"10.2.1.1\", \"fd00:2:0:1::/64\", "          \
	"\"fd00:2:0:1::1\", true, [], 1]"
#define PORT_P                                                                                     \
	PORT_ITEM("p", "200", "far", MAC_P, "\"10.2.1.10\", \"fd00:2:0:1::10\"", "\"any\"",        \
		"true", "")

/* p here and q behind the VTEP in `peer` (200), which is peered with `prod` (100). */
static const char peered[] = "[" VPC1("200") "," VPC2("100") "," SUBNET2 "," PORT_P "," ENDPOINT(
	"200", "10.2.1.20", MAC_Q, "other", "far", "q") "]";

#define A_TO_P FROM(MAC_A, "10.0.1.10"), TO(GW, "10.2.1.10"), .sport = 7, .dport = 8
#define A_AT_P FROM(GW2, "10.0.1.10"), TO(MAC_P, "10.2.1.10"), .sport = 7, .dport = 8, .ttl = 63
#define P_TO_A FROM(MAC_P, "10.2.1.10"), TO(GW2, "10.0.1.10"), .sport = 8, .dport = 7
#define P_AT_A FROM(GW, "10.2.1.10"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7, .ttl = 63

static void test_both_ways(void **state)
{
	(void)state;
	graph_expect_drop("a", FRAME(A_TO_P), DROP_NO_ROUTE);
	graph_items(peered);
	for (int n = 0; n < 2; n++) {
		graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
		graph_expect_pass("p", FRAME(P_TO_A), "a", FRAME(P_AT_A));
	}
	assert_int_equal(session_used(), 1);
	/* The smaller MTU of the two counts. */
	graph_send("a", FRAME(A_TO_P, .payload = 1400)->bytes, 14 + 28 + 1400);
	graph_run();
	assert_non_null(graph_sent("a", NULL));
	assert_int_equal(graph_dropped(DROP_TOO_BIG), 1);
}

static void test_end_of_peering_cuts(void **state)
{
	(void)state;
	graph_items(peered);
	graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
	graph_items("[" VPC1("") "," VPC2("") "]");
	graph_expect_drop("p", FRAME(P_TO_A), DROP_NO_ROUTE);
	graph_expect_drop("a", FRAME(A_TO_P), DROP_NO_ROUTE);
	assert_int_equal(session_used(), 0);
}

/* What the peer's own routes say of its addresses holds for what comes over, and for what is running. */
static void test_black_hole_of_the_peer(void **state)
{
	(void)state;
	graph_items(peered);
	graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
	graph_items("[[\"route\", 200, \"10.2.1.10/32\", \"hole\", \"blackhole\", null, null, "
		    "null, null, 1]]");
	graph_expect_drop("a", FRAME(A_TO_P), DROP_BLACKHOLE);
	graph_delete("[[\"route\", 200, \"10.2.1.10/32\"]]");
	graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
}

static void test_not_transitive(void **state)
{
	(void)state;
	graph_items(peered);
	graph_items("[" VPC2(
		"100, 300") ",[\"vpc\", 300, \"third\", \"default\", 1450, \"" GW3
			    "\", [\"10.3.0.0/16\"], [200], 1], [\"subnet\", \"s3\", 300, "
			    "\"10.3.1.0/24\", \"10.3.1.1\", null, null, true, [], 1]," PORT_ITEM(
				    "x", "300", "s3", MAC_X, "\"10.3.1.10\"", "\"any\"", "true",
				    "") "]");
	graph_expect_drop("a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.3.1.10")), DROP_NO_ROUTE);
	graph_expect_pass("x", FRAME(FROM(MAC_X, "10.3.1.10"), TO(GW3, "10.2.1.10")), "p",
		FRAME(FROM(GW2, "10.3.1.10"), TO(MAC_P, "10.2.1.10"), .ttl = 63));
}

/* Peered traffic carries the receiver's VNI; answers the sender's. */
static void test_over_the_tunnel(void **state)
{
	const uint8_t *got;

	(void)state;
	graph_items(peered);
	graph_send("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.2.1.20"), .sport = 1, .dport = 2)->bytes,
		42);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 42, "\x08\0\0\0\0\0\xc8\0", 8);
	assert_memory_equal(got + 50, "\x02\xcc\0\0\0\x02\x02\0\0\0\0\xc8", 12);
	graph_expect_pass(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "10.2.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 2,
				  .dport = 1, .ttl = 63),
			100),
		"a",
		FRAME(FROM(GW, "10.2.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1,
			.ttl = 63));
	/* Not of a VPC that is none of ours, nor from where it does not live. */
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "10.2.1.10"), TO(MAC_A, "10.0.1.10"), .sport = 2,
				  .dport = 1),
			100),
		DROP_WRONG_VTEP);
}

/* A peering that only one side knows of is none, neither for new flows nor for running ones; and a peer that goes away so
 * leaves nobody with pointers to it. */
static void test_one_sided(void **state)
{
	(void)state;
	graph_items("[" VPC1("200") "," VPC2("") "," SUBNET2 "," PORT_P "]");
	graph_expect_drop("a", FRAME(A_TO_P), DROP_NO_ROUTE);
	graph_items("[" VPC2("100") "]");
	graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
	graph_items("[" VPC2("") "]");
	graph_expect_drop("a", FRAME(A_TO_P), DROP_NO_ROUTE);
	graph_delete("[[\"port\", \"p\"], [\"subnet\", \"far\"], [\"vpc\", 200]]");
	graph_expect_drop("a", FRAME(A_TO_P), DROP_NO_ROUTE);
	graph_expect_drop("a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.2.1.77")), DROP_NO_ROUTE);
}

/* The receiver moves between the node and a tunnel: its answers arrive in another VPC then. */
static void test_receiver_moves(void **state)
{
	(void)state;
	graph_items(peered);
	graph_expect_pass("a", FRAME(A_TO_P), "p", FRAME(A_AT_P));
	graph_items("[" ENDPOINT("200", "10.2.1.10", MAC_P, "other", "far", "p") "]");
	graph_delete("[[\"port\", \"p\"]]");
	graph_send("a", FRAME(A_TO_P)->bytes, 42);
	graph_send("a", FRAME(A_TO_P)->bytes, 42);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	while (graph_sent(GRAPH_UNDERLAY, NULL) != NULL)
		;
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(P_AT_A), 100), "a", FRAME(P_AT_A));
}

/* Over a peering a tunnel's packets come in the receiver's VPC, a port's in its own: the keys of the session change with the place, the
 * connection lives on. */
#define A_ITEM PORT("a", "web", MAC_A, "10.0.1.10", "fd00:1:0:1::10")
#define P_ELSEWHERE                                                                                \
	ENDPOINT("200", "10.2.1.10", MAC_P, "other", "far", "p")                                   \
	"," ENDPOINT("200", "fd00:2:0:1::10", MAC_P, "other", "far", "p")
#define A_ELSEWHERE                                                                                \
	ENDPOINT("100", "10.0.1.10", MAC_A, "other", "web", "a")                                   \
	"," ENDPOINT("100", "fd00:1:0:1::10", MAC_A, "other", "web", "a")
#define TCP_OF(flags_, seq_, ack_)                                                                 \
	.proto = IPPROTO_TCP, .tcp_flags = (flags_), .seq = (seq_), .ack = (ack_)

enum { SYN = 2, ACK = 16 };

static void open_a_to_p(void)
{
	graph_expect_pass("a", FRAME(A_TO_P, TCP_OF(SYN, 100, 0), .mss = 1200), "p",
		FRAME(A_AT_P, TCP_OF(SYN, 100, 0), .mss = 1200));
	graph_expect_pass("p", FRAME(P_TO_A, TCP_OF(SYN | ACK, 500, 101), .mss = 1200), "a",
		FRAME(P_AT_A, TCP_OF(SYN | ACK, 500, 101), .mss = 1200));
	graph_expect_pass("a", FRAME(A_TO_P, TCP_OF(ACK, 101, 501)), "p",
		FRAME(A_AT_P, TCP_OF(ACK, 101, 501)));
}

static void into_tunnel(const char *port, const struct frame *f)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_initiator_moves_away_and_back(void **state)
{
	(void)state;
	graph_items(peered);
	open_a_to_p();
	graph_both("[" A_ELSEWHERE "]", "[[\"port\", \"a\"]]");
	graph_forget_announcements();
	into_tunnel("p", FRAME(P_TO_A, TCP_OF(ACK, 501, 101), .payload = 9));
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(A_AT_P, TCP_OF(ACK, 101, 510)), 200), "p",
		FRAME(A_AT_P, TCP_OF(ACK, 101, 510)));
	assert_int_equal(session_used(), 1);
	graph_both("[" A_ITEM "]",
		"[[\"endpoint\", 100, \"10.0.1.10\"], [\"endpoint\", 100, \"fd00:1:0:1::10\"]]");
	graph_forget_announcements();
	graph_expect_pass("p", FRAME(P_TO_A, TCP_OF(ACK, 510, 101), .payload = 9), "a",
		FRAME(P_AT_A, TCP_OF(ACK, 510, 101), .payload = 9));
	graph_expect_pass("a", FRAME(A_TO_P, TCP_OF(ACK, 101, 519)), "p",
		FRAME(A_AT_P, TCP_OF(ACK, 101, 519)));
	assert_int_equal(session_used(), 1);
}

/* … and its own packet is the first to tell. */
static void test_responder_moves_away_and_back(void **state)
{
	(void)state;
	graph_items(peered);
	open_a_to_p();
	graph_both("[" P_ELSEWHERE "]", "[[\"port\", \"p\"]]");
	graph_forget_announcements();
	into_tunnel("a", FRAME(A_TO_P, TCP_OF(ACK, 101, 501), .payload = 9));
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(P_AT_A, TCP_OF(ACK, 501, 110)), 100), "a",
		FRAME(P_AT_A, TCP_OF(ACK, 501, 110)));
	graph_both("[" PORT_P "]",
		"[[\"endpoint\", 200, \"10.2.1.10\"], [\"endpoint\", 200, \"fd00:2:0:1::10\"]]");
	graph_forget_announcements();
	graph_pass_time(10); /* the sweep tells, too */
	graph_expect_pass("p", FRAME(P_TO_A, TCP_OF(ACK, 501, 110)), "a",
		FRAME(P_AT_A, TCP_OF(ACK, 501, 110)));
	assert_int_equal(session_used(), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_both_ways),
		T(test_end_of_peering_cuts),
		T(test_black_hole_of_the_peer),
		T(test_not_transitive),
		T(test_over_the_tunnel),
		T(test_one_sided),
		T(test_receiver_moves),
		T(test_initiator_moves_away_and_back),
		T(test_responder_moves_away_and_back),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
