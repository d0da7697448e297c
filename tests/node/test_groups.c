/* SPDX-License-Identifier: Apache-2.0 */
/* Security groups through items: kinds of rules, priorities, memberships, changes under running flows. */
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

#define RULES(rules) "[[\"group\", \"any\", 9], [\"rules\", \"any\", 0, [" rules "]]]"
#define A_TO_B FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11")
#define B_TO_A FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10")
#define R_TO_B FROM(MAC_R, "10.0.1.20"), TO(MAC_B, "10.0.1.11")

static void pass(const struct frame *f)
{
	graph_expect_pass("a", f, "b", f);
}

/* Each rule lets exactly its own through. */
static void test_kinds_of_rules(void **state)
{
	static const struct {
		const char *rules;
		struct frame_spec yes, no;
	} cases[] = {
		{RULES("\"i a 1 17 53 54 -1 -1 any\""), {A_TO_B, .sport = 1, .dport = 54},
			{A_TO_B, .sport = 1, .dport = 55}},
		{RULES("\"i a 1 6 80 80 -1 -1 any\""),
			{A_TO_B, .proto = IPPROTO_TCP, .sport = 1, .dport = 80},
			{A_TO_B, .proto = IPPROTO_UDP, .sport = 1, .dport = 80}},
		{RULES("\"i a 1 47 0 65535 -1 -1 any\""), {A_TO_B, .proto = 47, .payload = 8},
			{A_TO_B, .proto = 50, .payload = 8}},
		{RULES("\"i a 1 1 0 65535 8 0 any\""),
			{A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 8},
			{A_TO_B, .proto = IPPROTO_ICMP, .icmp_type = 13}},
		{RULES("\"i a 1 -1 0 65535 -1 -1 cidr 10.0.1.10/32\""),
			{A_TO_B, .sport = 1, .dport = 1},
			{FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "fd00:1:0:1::11")}},
		{RULES("\"i a 1 -1 0 65535 -1 -1 group any\", \"i d 1 17 9 9 -1 -1 any\""),
			{A_TO_B, .sport = 1, .dport = 1}, {A_TO_B, .sport = 1, .dport = 9}},
		{RULES("\"i d 2 -1 0 65535 -1 -1 any\", \"i a 1 17 7 7 -1 -1 any\""),
			{A_TO_B, .sport = 1, .dport = 7}, {A_TO_B, .sport = 1, .dport = 8}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f;

		graph_items(cases[i].rules);
		frame_build(&f, &cases[i].yes);
		pass(&f);
		frame_build(&f, &cases[i].no);
		graph_expect_drop("a", &f, DROP_POLICY_INGRESS);
		graph_pass_time(100000000);
	}
}

static void test_egress(void **state)
{
	(void)state;
	graph_items(RULES(RULE_ANY ", \"e d 1 17 53 53 -1 -1 any\""));
	graph_expect_drop("a", FRAME(A_TO_B, .sport = 1, .dport = 53), DROP_POLICY_EGRESS);
	pass(FRAME(A_TO_B, .sport = 1, .dport = 54));
	/* A refusal is counted where it is made: egress at the sender, ingress at the receiver. */
	assert_int_equal(graph_port_drops("a"), 1);
	graph_items(RULES(""));
	graph_expect_drop("a", FRAME(A_TO_B, .sport = 1, .dport = 54), DROP_POLICY_INGRESS);
	assert_int_equal(graph_port_drops("a"), 1);
	assert_int_equal(graph_port_drops("b"), 1);
}

/* Membership is the sender's by our own records; it comes and goes under a running flow, here and behind a tunnel. */
static void test_membership(void **state)
{
	const struct frame *f = FRAME(A_TO_B, .sport = 1, .dport = 2);
	const struct frame *r = FRAME(R_TO_B, .sport = 1, .dport = 2);

	(void)state;
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, [\"i a 1 -1 0 65535 -1 -1 "
		    "group friends\"]]]");
	graph_expect_drop("a", f, DROP_POLICY_INGRESS);
	graph_items("[[\"group\", \"friends\", 1], [\"rules\", \"friends\", 0, []]," PORT_ITEM(
		"a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"friends\"", "true", "") "]");
	pass(f);
	graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"", "", "true", "") "]");
	graph_expect_drop("a", f, DROP_POLICY_INGRESS);
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(r, 100), DROP_POLICY_INGRESS);
	graph_items("[[\"endpoint\", 100, \"10.0.1.20\", \"" MAC_R
		    "\", \"other\", \"web\", \"r\", [\"friends\"]]]");
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(r, 100), "b", r);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(r, 100), "b", r);
	graph_items("[" ENDPOINT("100", "10.0.1.20", MAC_R, "other", "web", "r") "]");
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(r, 100), DROP_POLICY_INGRESS);
	assert_int_equal(session_used(), 0);
}

/* Groups of a next hop are not those of the addresses behind it. */
static void test_next_hop_is_no_remote(void **state)
{
	const struct frame *to_hop =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 2);
	const struct frame *beyond =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "198.51.100.1"), .sport = 1, .dport = 2);

	(void)state;
	graph_items(
		"[[\"group\", \"friends\", 1], [\"rules\", \"friends\", 0, [" RULE_ANY
		"]], [\"group\", \"strict\", 1], [\"rules\", \"strict\", 0, [\"e a 1 -1 0 65535 -1 "
		"-1 group friends\", \"e d 2 -1 0 65535 -1 -1 any\"]], [\"route\", 100, "
		"\"198.51.100.0/24\", \"out\", \"endpoint\", \"10.0.2.10\", null, null, "
		"null, 1]," PORT_ITEM("c", "100", "db", MAC_C, "\"10.0.2.10\"", "\"friends\"",
			"true", "") "," PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"",
			"\"strict\"", "true", "") "]");
	graph_expect_pass("a", to_hop, "c",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 2,
			.ttl = 63));
	graph_expect_drop("a", beyond, DROP_POLICY_EGRESS);
}

/* No group: nothing comes in, everything goes out, answers return. */
static void test_no_group(void **state)
{
	const struct frame *f = FRAME(A_TO_B, .sport = 1, .dport = 2);
	const struct frame *answer = FRAME(B_TO_A, .sport = 2, .dport = 1);

	(void)state;
	graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\"", "", "true", "") "]");
	graph_expect_drop("b", answer, DROP_POLICY_INGRESS);
	pass(f);
	graph_expect_pass("b", answer, "a", answer);
}

/* The receiver's groups change: what it refuses now stops, in both directions, and what it allows goes on. */
static void test_receiver_changes_groups(void **state)
{
	const struct frame *dns = FRAME(A_TO_B, .sport = 1, .dport = 53);
	const struct frame *ntp = FRAME(A_TO_B, .sport = 1, .dport = 123);

	(void)state;
	pass(dns);
	pass(ntp);
	graph_items("[[\"group\", \"dns\", 1], [\"rules\", \"dns\", 0, [\"i a 1 17 53 53 -1 -1 "
		    "any\"]]," PORT_ITEM(
			    "b", "100", "web", MAC_B, "\"10.0.1.11\"", "\"dns\"", "true", "") "]");
	graph_expect_drop("b", FRAME(B_TO_A, .proto = IPPROTO_UDP, .sport = 123, .dport = 1),
		DROP_POLICY_INGRESS);
	graph_expect_drop("a", ntp, DROP_POLICY_INGRESS);
	pass(dns);
	assert_int_equal(session_used(), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_kinds_of_rules),
		T(test_egress),
		T(test_membership),
		T(test_next_hop_is_no_remote),
		T(test_no_group),
		T(test_receiver_changes_groups),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
