/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and ports move, swap, come and go: running flows follow or end, none is misled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

#define C_ITEM PORT("c", "db", MAC_C, "10.0.2.10", "fd00:1:0:2::10")
#define R_TO_C FROM(GW, "10.0.1.20"), TO(MAC_C, "10.0.2.10"), .sport = 3, .dport = 4, .ttl = 63
#define C_TO_R FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.20"), .sport = 4, .dport = 3

static void expect_tunnelled_to(const char *last_octet)
{
	const uint8_t *got = graph_sent(GRAPH_UNDERLAY, NULL);

	assert_non_null(got);
	assert_memory_equal(got + 33, last_octet, 1);
	assert_int_equal(graph_unfetched(), 0);
}

/* Its VTEP gets another address, then the endpoint another VTEP. */
static void test_vtep_changes(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 1, .dport = 2);
	const struct frame *answer =
		FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1);
	struct frame from3;

	(void)state;
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect_tunnelled_to("\x02");
	graph_items("[[\"vtep\", \"other\", \"192.0.2.3\", false]]");
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect_tunnelled_to("\x03");
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(answer, 100), DROP_UNKNOWN_VTEP);
	graph_items("[[\"vtep\", \"two\", \"192.0.2.2\", false]]");
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(answer, 100), DROP_WRONG_VTEP);
	graph_items("[" ENDPOINT("100", "10.0.1.20", MAC_R, "two", "web", "r") "]");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(answer, 100), "a", answer);
	frame_vxlan(&from3, answer, "192.0.2.3", "192.0.2.1", 100);
	graph_expect_drop(GRAPH_UNDERLAY, &from3, DROP_WRONG_VTEP);
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect_tunnelled_to("\x02");
	assert_int_equal(session_used(), 1);
}

/* r begins a TCP connection to c in another subnet, moves to this node, and back. */
static void test_initiator_moves_here_and_back(void **state)
{
	const struct frame *syn = FRAME(R_TO_C, .proto = IPPROTO_TCP, .seq = 100);
	const struct frame *syn_ack =
		FRAME(C_TO_R, .proto = IPPROTO_TCP, .seq = 500, .ack = 101, .tcp_flags = 0x12);
	const struct frame *ack = FRAME(FROM(MAC_R, "10.0.1.20"), TO(GW, "10.0.2.10"), .sport = 3,
		.dport = 4, .proto = IPPROTO_TCP, .seq = 101, .ack = 501, .tcp_flags = 0x10);
	const struct frame *ack_at_c =
		FRAME(R_TO_C, .proto = IPPROTO_TCP, .seq = 101, .ack = 501, .tcp_flags = 0x10);
	const struct frame *data = FRAME(C_TO_R, .proto = IPPROTO_TCP, .seq = 501, .ack = 101,
		.tcp_flags = 0x10, .payload = 10);
	const struct frame *data_at_r = FRAME(FROM(GW, "10.0.2.10"), TO(MAC_R, "10.0.1.20"),
		.sport = 4, .dport = 3, .proto = IPPROTO_TCP, .seq = 501, .ack = 101,
		.tcp_flags = 0x10, .payload = 10, .ttl = 63);

	(void)state;
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(syn, 100), "c", syn);
	graph_send("c", syn_ack->bytes, syn_ack->len);
	graph_run();
	expect_tunnelled_to("\x02");
	/* Here: the port's put takes the address over, the endpoint's item goes. */
	graph_items("[" PORT("r", "web", MAC_R, "10.0.1.20", "fd00:1:0:1::20") "]");
	graph_delete("[[\"endpoint\", 100, \"10.0.1.20\"], [\"endpoint\", 100, "
		     "\"fd00:1:0:1::20\"]]");
	graph_expect_pass("r", ack, "c", ack_at_c);
	graph_expect_pass("c", data, "r", data_at_r);
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(ack_at_c, 100), DROP_WRONG_VTEP);
	/* Back again. */
	graph_items("[" ENDPOINT("100", "10.0.1.20", MAC_R, "other", "web", "r") "]");
	graph_delete("[[\"port\", \"r\"]]");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(ack_at_c, 100), "c", ack_at_c);
	graph_send("c", data->bytes, data->len);
	graph_run();
	expect_tunnelled_to("\x02");
	assert_int_equal(session_used(), 1);
}

/* The receiver moves away and comes back; replies are expected from where it is. */
static void test_receiver_moves(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 2);
	const struct frame *at_c = FRAME(
		FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 2, .ttl = 63);
	const struct frame *answer = FRAME(
		FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1, .ttl = 63);

	(void)state;
	graph_expect_pass("a", f, "c", at_c);
	graph_items("[" ENDPOINT("100", "10.0.2.10", MAC_C, "other", "db", "c") "]");
	graph_delete("[[\"port\", \"c\"]]");
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect_tunnelled_to("\x02");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(answer, 100), "a", answer);
	graph_items("[" C_ITEM "]");
	graph_delete("[[\"endpoint\", 100, \"10.0.2.10\"]]");
	graph_expect_pass("a", f, "c", at_c);
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(answer, 100), DROP_WRONG_VTEP);
	assert_int_equal(session_used(), 1);
}

/* Two ports exchange their addresses in one transaction. */
static void test_addresses_swapped(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.11"), .sport = 1, .dport = 2);

	(void)state;
	graph_expect_pass("c", f, "b",
		FRAME(FROM(GW, "10.0.2.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2,
			.ttl = 63));
	graph_items("[" PORT("a", "web", MAC_A, "10.0.1.11", "fd00:1:0:1::11") "," PORT(
		"b", "web", MAC_B, "10.0.1.10", "fd00:1:0:1::10") "]");
	graph_forget_announcements();
	graph_expect_pass("c", f, "a",
		FRAME(FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.11"), .sport = 1, .dport = 2,
			.ttl = 63));
	graph_expect_drop("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, "10.0.2.10"), .sport = 2, .dport = 1),
		DROP_SPOOFED);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 2, .dport = 9),
		DROP_SPOOFED);
}

/* A new port takes the address of one that goes, in one transaction and in two; the name stays and the VPC changes. */
static void test_address_taken_over(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.11"), .sport = 1, .dport = 2);
	const struct frame *at = FRAME(FROM(GW, "10.0.2.10"), TO("02:aa:00:00:00:09", "10.0.1.11"),
		.sport = 1, .dport = 2, .ttl = 63);

	(void)state;
	graph_expect_pass("c", f, "b",
		FRAME(FROM(GW, "10.0.2.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2,
			.ttl = 63));
	graph_both("[" PORT("n", "web", "02:aa:00:00:00:09", "10.0.1.11", "fd00:1:0:1::11") "]",
		"[[\"port\", \"b\"]]");
	graph_forget_announcements();
	graph_expect_pass("c", f, "n", at);
	graph_delete("[[\"port\", \"n\"]]");
	graph_expect_drop("c", f, DROP_NO_ROUTE);
	graph_items("[" PORT("n", "web", "02:aa:00:00:00:09", "10.0.1.11", "fd00:1:0:1::11") "]");
	graph_expect_pass("c", f, "n", at);
	/* The same name in another VPC: nothing of the old one reaches it. */
	graph_items(
		"[[\"vpc\", 200, \"twin\", \"mallory\", 1450, \"" GW
		"\", [\"10.0.0.0/16\"], [], 1], [\"subnet\", \"web2\", 200, "
		"\"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], 1]," PORT_ITEM("n", "200",
			"web2", "02:aa:00:00:00:09", "\"10.0.1.11\"", "\"any\"", "true", "") "]");
	graph_expect_drop("c", f, DROP_NO_ROUTE);
	assert_int_equal(session_used(), 0);
}

/* What was dropped at a port is not the next one's, on the same index. */
static void test_drops_leave_with_the_port(void **state)
{
	char items[512], keys[64];

	(void)state;
	for (int n = 0; n < 130; n++) { /* more often than there are ports: indexes come again */
		snprintf(items, sizeof(items),
			"[" PORT_ITEM("n%d", "100", "web", "02:aa:00:00:00:09", "\"10.0.1.99\"",
				"\"any\"", "true", "") "]",
			n);
		graph_items(items);
		snprintf(keys, sizeof(keys), "n%d", n);
		assert_int_equal(graph_port_drops(keys), 0);
		graph_expect_drop(
			keys, FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10")), DROP_SPOOFED);
		assert_int_equal(graph_port_drops(keys), 1);
		snprintf(keys, sizeof(keys), "[[\"port\", \"n%d\"]]", n);
		graph_delete(keys);
	}
}

/* An address that two ports may use: a flow of the one that does not own it survives changes elsewhere. */
static void test_shared_address(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_B, "10.0.1.50"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 2);
	const struct frame *at_c = FRAME(
		FROM(GW, "10.0.1.50"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 2, .ttl = 63);

	(void)state;
	graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"any\"", "true",
		"\"10.0.1.50\"") "," PORT_ITEM("b", "100", "web", MAC_B, "\"10.0.1.11\"", "\"any\"",
		"true", "\"10.0.1.50\"") "]");
	graph_expect_pass("b", f, "c", at_c);
	graph_items("[[\"route\", 100, \"203.0.113.0/24\", \"x\", \"blackhole\", null, null, "
		    "null, null, 1]]");
	graph_expect_pass("b", f, "c", at_c);
	/* It may not any more. */
	graph_items("[" PORT_ITEM(
		"b", "100", "web", MAC_B, "\"10.0.1.11\"", "\"any\"", "true", "") "]");
	graph_expect_drop("b", f, DROP_SPOOFED);
}

/* A subnet is replaced while its ports live, gets another name, another gateway. */
static void test_subnet_replaced(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);

	(void)state;
	graph_expect_pass("a", f, "b", f);
	graph_items("[[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.254\", "
		    "null, null, false, [], 2]]");
	graph_expect_pass("a", f, "b", f);
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.1"), .proto = IPPROTO_ICMP,
			.icmp_type = 8),
		DROP_NO_ROUTE);
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.254"), .proto = IPPROTO_ICMP,
			.icmp_type = 8),
		"a",
		FRAME(FROM(GW, "10.0.1.254"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_ICMP,
			.icmp_type = 0));
}

static void test_disabled(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2);

	(void)state;
	graph_expect_pass("a", f, "b", f);
	graph_items("[[\"port\", \"b\", 100, \"web\", \"" MAC_B
		    "\", [\"10.0.1.11\", \"fd00:1:0:1::11\"], [\"any\"], true, [], false, null, "
		    "{\"type\": \"stub\"}, 2]]");
	graph_expect_drop("a", f, DROP_PORT_DOWN);
	graph_expect_drop("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 2, .dport = 1),
		DROP_PORT_DOWN);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_vtep_changes),
		T(test_initiator_moves_here_and_back),
		T(test_receiver_moves),
		T(test_addresses_swapped),
		T(test_address_taken_over),
		T(test_drops_leave_with_the_port),
		T(test_shared_address),
		T(test_subnet_replaced),
		T(test_disabled),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
