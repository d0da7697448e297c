/* SPDX-License-Identifier: Apache-2.0 */
/* Flow logs of translated flows: RFC 8158's events, each session's begin and end once, from IPv4 and from IPv6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "flow_lines.h"
#include "nat_cloud.h"
#include "session/session.h"

#define SERVER64 "64:ff9b::c633:6409" /* 198.51.100.9 */
#define LOG "log"

/* The events of lines from `source`, by number. */
static size_t events(json_t *lines, const char *source, int number)
{
	size_t n = 0, i;
	json_t *line;

	json_array_foreach (lines, i, line) {
		const char *from = json_string_value(json_object_get(line, "source"));

		n += json_integer_value(json_object_get(line, "nat_event")) == number &&
		     strcmp(from, source) == 0;
	}
	return n;
}

static void test_events(void **state)
{
	json_t *lines;

	(void)state;
	NAT(.nat64 = true);
	graph_items(FLOW_LOG(LOG));
	nat_through("a", FROM_A(.sport = 5000, .dport = 53), EXT);
	nat_through("a", FROM_A6(.dst = SERVER64, .sport = 5001, .dport = 53), EXT);
	nat_through(
		"a", FROM_A6(.sport = 5002, .dport = 53), EXT); /* RFC 8158 has no event for it */
	flow_lines_pass(10);
	nat_pass(400); /* they have been silent for too long */
	assert_int_equal(session_used(), 0);
	lines = flow_lines_end();
	assert_int_equal(events(lines, A4, 4), 1);
	assert_int_equal(events(lines, A4, 5), 1);
	assert_int_equal(events(lines, A6, 6), 1);
	assert_int_equal(events(lines, A6, 7), 1);
	assert_int_equal(flow_lines_count(lines, "event", "nat"), 4);
	assert_string_equal(flow_lines_text(lines, "event", "nat", "post_nat_source"), E50);
	assert_int_equal(flow_lines_count(lines, "event", "flow"), 3);
	assert_int_equal(flow_lines_sum(lines, NULL, NULL, "packets"), 3);
	json_decref(lines);
}

/* r is behind the VTEP: its node tells the flow, this one, which translates, the events; the end also of a machine that is deleted. */
static void test_a_machine_elsewhere(void **state)
{
	static const struct frame *f;
	json_t *lines;

	(void)state;
	NAT(.nat64 = false);
	graph_items(FLOW_LOG(LOG));
	f = TUNNELLED(FRAME(FROM(MAC_R, R4), TO(GW, SERVER), .sport = 5000, .dport = 53), 100);
	nat_through(GRAPH_UNDERLAY, f, EXT);
	flow_lines_pass(10);
	graph_delete("[[\"endpoint\", 100, \"" R4 "\"], [\"endpoint\", 100, \"fd00:1:0:1::20\"]]");
	nat_pass(400);
	assert_int_equal(session_used(), 0);
	lines = flow_lines_end();
	assert_int_equal(events(lines, R4, 4), 1);
	assert_int_equal(events(lines, R4, 5), 1);
	assert_int_equal(flow_lines_count(lines, NULL, NULL), 2);
	json_decref(lines);
}

/* A log of others hears nothing of it, nor one that wants no accepted flows. */
static void test_no_events(void **state)
{
	json_t *lines;

	(void)state;
	NAT(.nat64 = true);
	graph_items(flow_log_item("others", "null", "\"b\"", 3600, 1, "all"));
	graph_items(flow_log_item("denied", "null", "null", 3600, 1, "denied"));
	nat_through("a", FROM_A(.sport = 5000, .dport = 53), EXT);
	flow_lines_pass(10);
	lines = flow_lines_end();
	assert_int_equal(json_array_size(lines), 0);
	json_decref(lines);
}

static int teardown(void **state)
{
	json_decref(flow_lines_end());
	return nat_teardown(state);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, nat_setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_events),
		T(test_a_machine_elsewhere),
		T(test_no_events),
	};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
