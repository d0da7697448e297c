/* SPDX-License-Identifier: Apache-2.0 */
/* Flow logs: whose flows are told, by whom, and that nothing is left out or told twice where ports and logs come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/worker.h"
#include "flow_lines.h"
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
	json_decref(flow_lines_end());
	graph_reset();
	return 0;
}

#define A_TO_B .smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10", .dst = "10.0.1.11"
#define B_TO_A .smac = MAC_B, .dmac = MAC_A, .src = "10.0.1.11", .dst = "10.0.1.10"
#define A_TO_R .smac = MAC_A, .dmac = MAC_R, .src = "10.0.1.10", .dst = "10.0.1.20"
#define R_TO_A .smac = MAC_R, .dmac = MAC_A, .src = "10.0.1.20", .dst = "10.0.1.10"
#define IP_BYTES(n) ((n)*28) /* of datagrams without payload */

static void send_frame(const char *port, const struct frame *f, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++)
		graph_send(port, f->bytes, f->len);
	graph_run();
	graph_discard_sent("a");
	graph_discard_sent("b");
	graph_discard_sent("c");
	graph_discard_sent(GRAPH_UNDERLAY);
	graph_forget_drops();
}

#define SEND(port, times, ...) send_frame(port, FRAME(__VA_ARGS__), times)

static void cut_all(void)
{
	flow_lines_pass(10);
	graph_run();
	graph_discard_sent(GRAPH_UNDERLAY);
	graph_forget_drops();
	assert_int_equal(session_used(), 0);
}

/* Another log of its name has another scope and other flows; 64 of them at any time. The first test: time has not been moved yet. */
static void test_a_log_is_replaced(void **state)
{
	json_t *lines;

	(void)state;
	for (int i = 0; i < 64; i++) {
		char name[16];

		snprintf(name, sizeof(name), "log-%d", i);
		graph_items(flow_log_item(name, "null", "\"c\"", 3600, 1, "all"));
	}
	assert_false(graph_try(FLOW_LOG("one-more"), "[]"));
	SEND("a", 3, A_TO_B, .sport = 1, .dport = 2);
	for (uint32_t ms = clock_ms(); ms == clock_ms();) /* it is older than what comes */
		;
	graph_items(flow_log_item("log-7", "null", "\"a\"", 3600, 1, "all"));
	SEND("a", 2, A_TO_B, .sport = 1, .dport = 2);
	flow_lines_pass(0);
	SEND("a", 5, A_TO_B, .sport = 1, .dport = 2);
	lines = flow_lines_end();
	assert_int_equal(
		flow_lines_sum(lines, NULL, NULL, "packets"), 5); /* what it has seen of it */
	assert_int_equal(flow_lines_count(lines, "log", "log-7"), 1);
	json_decref(lines);
}

/* All that a machine's flows have carried since they were last told of, though the machine is gone: as who began them and as who answered. */
static void test_a_port_is_deleted(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(FLOW_LOG("log"));
	SEND("a", 3, A_TO_R, .sport = 1, .dport = 2);
	send_frame(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 2, .dport = 1), 100), 2);
	SEND("b", 5, B_TO_A, .sport = 3, .dport = 4);
	flow_lines_pass(10); /* the hand has seen them */
	SEND("a", 1, A_TO_R, .sport = 1, .dport = 2);
	graph_delete("[[\"port\", \"a\"]]");
	cut_all();
	lines = flow_lines_end();
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.10", "packets"), 4);
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.20", "packets"), 2);
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.11", "packets"), 5);
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "bytes"), IP_BYTES(11));
	assert_string_equal(flow_lines_text(lines, "source", "10.0.1.10", "source_name"), "a");
	assert_string_equal(flow_lines_text(lines, "source", "10.0.1.11", "destination_name"), "a");
	assert_int_equal(flow_lines_count(lines, "end_reason", "forced"), 3);
	json_decref(lines);
}

/* The same of a log of that port alone, and of one that is deleted with it: the last that a node has of the VPC. */
static void test_all_goes_at_once(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(flow_log_item("log", "null", "\"a\"", 3600, 1, "all"));
	SEND("a", 3, A_TO_B, .sport = 1, .dport = 2);
	SEND("b", 2, B_TO_A, .sport = 2, .dport = 1);
	SEND("b", 7, B_TO_A, .sport = 9, .dport = 9);
	flow_lines_pass(10);
	SEND("a", 1, A_TO_B, .sport = 1, .dport = 2);
	graph_delete("[[\"port\", \"a\"], [\"port\", \"b\"], [\"port\", \"c\"], "
		     "[\"flow_log\", \"log\"], [\"subnet\", \"web\"], [\"subnet\", \"db\"], "
		     "[\"endpoint\", 100, \"10.0.1.20\"], [\"endpoint\", 100, "
		     "\"fd00:1:0:1::20\"], [\"vpc\", 100]]");
	cut_all();
	lines = flow_lines_end();
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), 13);
	assert_int_equal(flow_lines_count(lines, NULL, NULL), 3);
	assert_int_equal(flow_lines_count(lines, "vpc", "prod"), 3);
	assert_string_equal(flow_lines_text(lines, "source", "10.0.1.10", "source_name"), "a");
	json_decref(lines);
}

/* A log that is deleted tells what it had not told yet, once, and nothing of what comes then. */
static void test_a_log_is_deleted(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(FLOW_LOG("log"));
	SEND("a", 3, A_TO_B, .sport = 1, .dport = 2);
	flow_lines_pass(10);
	graph_delete(FLOW_LOG_KEY("log"));
	flow_lines_pass(10);
	SEND("a", 100, A_TO_B, .sport = 1, .dport = 2);
	SEND("a", 100, A_TO_B, .sport = 7, .dport = 2);
	for (int i = 0; i < 300; i++)
		flow_lines_pass(1);
	lines = flow_lines_end();
	assert_int_equal(flow_lines_count(lines, NULL, NULL), 1);
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), 3);
	assert_string_equal(flow_lines_text(lines, NULL, NULL, "end_reason"), "forced");
	json_decref(lines);
}

/* Whose flow it is to tell does not change because the other end has gone: its own node tells. Also of a flow that is so young that the
 * hand has not seen it. */
static void test_the_other_end_is_deleted(void **state)
{
	(void)state;
	for (int young = 0; young < 2; young++) {
		json_t *lines;

		graph_items(FLOW_LOG("log"));
		send_frame(
			GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 2, .dport = 1), 100), 2);
		SEND("a", 3, A_TO_R, .sport = 1, .dport = 2);
		if (!young)
			flow_lines_pass(10);
		graph_delete("[[\"endpoint\", 100, \"10.0.1.20\"], "
			     "[\"endpoint\", 100, \"fd00:1:0:1::20\"]]");
		flow_lines_pass(10);
		graph_delete("[[\"port\", \"a\"]]");
		cut_all();
		lines = flow_lines_end();
		assert_int_equal(flow_lines_count(lines, NULL, NULL), 0);
		json_decref(lines);
		graph_reset();
		graph_items(CLOUD);
	}
}

/* Who is behind a VTEP of others has no node that tells: then the responder's does. A network behind a machine is told by its node. */
static void test_who_tells(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(FLOW_LOG("log"));
	graph_items("[[\"route\", 100, \"10.9.0.0/16\", \"behind\", \"endpoint\", "
		    "\"10.0.1.20\", null, null, null, 1]]");
	send_frame(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(.smac = GW, .dmac = MAC_A, .src = "10.9.0.1", .dst = "10.0.1.10",
				  .sport = 5),
			100),
		2);
	assert_int_equal(session_used(), 1);
	graph_items("[[\"foreign\", \"other\"]]");
	send_frame(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 6), 100), 7);
	lines = flow_lines_end();
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.20", "packets"), 7);
	json_decref(lines);
}

#define A_ELSEWHERE                                                                                \
	ENDPOINT("100", "10.0.1.10", MAC_A, "other", "web", "a")                                   \
	"," ENDPOINT("100", "fd00:1:0:1::10", MAC_A, "other", "web", "a")

/* The initiator moves to another node while the other end stays: what it had sent from here is told here, what it sends then is not. */
static void test_the_initiator_moves(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(FLOW_LOG("log"));
	SEND("a", 3, A_TO_B, .sport = 1, .dport = 2);
	SEND("b", 2, B_TO_A, .sport = 2, .dport = 1);
	flow_lines_pass(10);
	graph_both("[" A_ELSEWHERE "]", "[[\"port\", \"a\"]]");
	graph_forget_announcements();
	flow_lines_pass(10);
	flow_lines_pass(10);
	send_frame(GRAPH_UNDERLAY, TUNNELLED(FRAME(A_TO_B, .sport = 1, .dport = 2), 100), 50);
	SEND("b", 50, B_TO_A, .sport = 2, .dport = 1);
	flow_lines_pass(10);
	lines = flow_lines_end();
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.10", "packets"), 3);
	assert_int_equal(flow_lines_sum(lines, "source", "10.0.1.11", "packets"), 2);
	json_decref(lines);
}

#define VPC1                                                                                       \
	"[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW                                        \
	"\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [200], 2]"
#define VPC2                                                                                       \
	"[\"vpc\", 200, \"peer\", \"default\", 1400, \"02:00:00:00:00:c8\", "                      \
	"[\"10.2.0.0/16\"], [100], 2]"
#define PEERED                                                                                     \
	"[" VPC1 "," VPC2 ",[\"subnet\", \"far\", 200, \"10.2.1.0/24\", \"10.2.1.1\", null, "      \
	"null, true, [], 1]," PORT_ITEM("p", "200", "far", "02:cc:00:00:00:01", "\"10.2.1.10\"",   \
		"\"any\"", "true", "") "]"
#define A_TO_P                                                                                     \
	.smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "10.2.1.10", .sport = 7, .dport = 8

/* What the only session has carried. */
static uint64_t carried(void)
{
	struct session_view view;
	uint32_t cursor = 0;

	assert_int_equal(session_used(), 1);
	assert_true(session_next(&cursor, clock_ms(), &view));
	return view.packets[0] + view.packets[1];
}

/* Over a peering another record takes a session's place when its end moves: what was told of the first is not told of the second, which
 * is as young as a new one. Found by a worker's packet, and by the hand. */
static void test_keys_change(void **state)
{
	(void)state;
	for (int by_hand = 0; by_hand < 2; by_hand++) {
		uint64_t packets;
		json_t *lines;

		graph_items(PEERED);
		graph_items(FLOW_LOG("log"));
		SEND("a", 4, A_TO_P);
		graph_both("[" ENDPOINT("200", "10.2.1.10", "02:cc:00:00:00:01", "other", "far",
				   "p") "]",
			"[[\"port\", \"p\"]]");
		if (by_hand)
			flow_lines_pass(10);
		SEND("a", 1, A_TO_P); /* its keys change, DROP_STALE */
		SEND("a", 3, A_TO_P);
		packets = carried();
		assert_in_range(packets, 7, 8);
		lines = flow_lines_end();
		assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), packets);
		json_decref(lines);
		graph_reset();
		graph_items(CLOUD);
	}
}

/* By subnet and by port: flows with an end there, whichever it is, and no others. */
static void test_scopes(void **state)
{
	static const struct {
		const char *subnet, *port;
		unsigned int flows;
	} scopes[] = {
		{"null", "null", 4},    /* all */
		{"\"db\"", "null", 2},  /* a to c, c to r */
		{"\"web\"", "null", 3}, /* of c to r tells the node of r */
		{"null", "\"c\"", 2},
		{"null", "\"b\"", 1},
		{"null", "\"r\"", 0}, /* told by its own node, where it began one; it began none */
		{"\"none\"", "null", 0},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		json_t *lines;

		graph_items(flow_log_item("log", scopes[i].subnet, scopes[i].port, 60, 1, "all"));
		SEND("a", 1, A_TO_B);
		SEND("a", 1, A_TO_R);
		SEND("a", 1, .smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "10.0.2.10");
		SEND("c", 1, .smac = MAC_C, .dmac = GW, .src = "10.0.2.10", .dst = "10.0.1.20");
		assert_int_equal(session_used(), 4);
		lines = flow_lines_end();
		assert_int_equal(flow_lines_count(lines, NULL, NULL), scopes[i].flows);
		json_decref(lines);
		graph_delete(FLOW_LOG_KEY("log"));
		graph_settle();
	}
}

/* What is refused is told of a port that goes, too, and of a log that does; in an interval once. */
static void test_denied(void **state)
{
	(void)state;
	for (int with_log = 0; with_log < 2; with_log++) {
		json_t *lines;

		graph_items(flow_log_item("log", "null", "null", 3600, 1, "denied"));
		SEND("a", 6, .smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.99",
			.dst = "10.0.1.11"); /* spoofed */
		SEND("b", 2, .smac = MAC_B, .dmac = GW, .src = "10.0.1.11",
			.dst = "10.0.77.1");  /* no route */
		SEND("b", 9, B_TO_A);         /* accepted */
		for (int i = 0; i < 120; i++) /* the hand of the denied has seen them */
			flow_lines_pass(0);
		SEND("b", 1, .smac = MAC_B, .dmac = GW, .src = "10.0.1.11", .dst = "10.0.77.1");
		graph_delete(
			with_log ? FLOW_LOG_KEY("log") : "[[\"port\", \"a\"], [\"port\", \"b\"]]");
		/* As many turns as it takes to look at each entry twice, before the ports are forgotten. */
		for (int i = 0; i < 250; i++)
			flow_lines_pass(1);
		graph_run();
		lines = flow_lines_end();
		assert_int_equal(flow_lines_sum(lines, "reason", "spoofed", "packets"), 6);
		assert_int_equal(flow_lines_sum(lines, "reason", "no_route", "packets"), 3);
		assert_int_equal(flow_lines_count(lines, NULL, NULL), 2);
		json_decref(lines);
		graph_reset();
		graph_items(CLOUD);
	}
}

/* A flow is reported when its interval is over, and what an interval carried is told once. */
static void test_interval(void **state)
{
	json_t *lines;

	(void)state;
	graph_items(flow_log_item("log", "null", "null", 10, 1, "all"));
	for (int i = 0; i < 6; i++) {
		SEND("a", 2, A_TO_B);
		flow_lines_pass(4000);
	}
	lines = flow_lines_end();
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), 12);
	assert_in_range(flow_lines_count(lines, "end_reason", "active"), 1, 5);
	json_decref(lines);
}

/* Of flows one in so many, whole: both directions, all intervals. */
static void test_sample(void **state)
{
	json_t *lines, *line;
	size_t i, flows;

	(void)state;
	graph_items(flow_log_item("log", "null", "null", 3600, 4, "accepted"));
	for (uint16_t port = 1; port <= 400; port++) {
		SEND("a", 2, A_TO_B, .sport = port, .dport = 9);
		SEND("b", 3, B_TO_A, .sport = 9, .dport = port);
	}
	lines = flow_lines_end();
	flows = json_array_size(lines) / 2;
	assert_in_range(flows, 50, 160); /* 100, six deviations */
	json_array_foreach (lines, i, line)
		assert_int_equal(flow_lines_count(lines, "flow",
					 json_string_value(json_object_get(line, "flow"))),
			2);
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), 5 * flows);
	json_decref(lines);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_log_is_replaced),
		T(test_interval),
		T(test_sample),
		T(test_denied),
		T(test_a_port_is_deleted),
		T(test_all_goes_at_once),
		T(test_a_log_is_deleted),
		T(test_the_other_end_is_deleted),
		T(test_who_tells),
		T(test_the_initiator_moves),
		T(test_keys_change),
		T(test_scopes),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
