/* SPDX-License-Identifier: Apache-2.0 */
/* Flows with an end on another node: what that node has cut ends here, and what is cut here waits until it can be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "forward/cut.h"
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
	cut_turn();
	graph_reset();
	return 0;
}

static void tunnelled(const struct frame *f)
{
	graph_send("a", f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_int_equal(graph_dropped_any(), 0);
}

#define A_TO_R FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20")
#define A_TO_R6 FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_R, "fd00:1:0:1::20")
#define R_TO_A FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10")
#define A_TO_B FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11")

static json_int_t end(const char *node, const char *text)
{
	json_t *answer =
		graph_rpc("session.end", json_pack("{s:s, s:[s]}", "node", node, "items", text));
	json_int_t ended = json_integer_value(json_object_get(answer, "ended"));

	json_decref(answer);
	return ended;
}

static void test_the_other_end_has_cut(void **state)
{
	(void)state;
	tunnelled(FRAME(A_TO_R, .sport = 1, .dport = 2));
	tunnelled(FRAME(A_TO_R6, .sport = 1, .dport = 2));
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 3, .dport = 4), 100),
		"a", FRAME(R_TO_A, .sport = 3, .dport = 4));
	assert_int_equal(session_used(), 3);
	/* Something else. */
	assert_int_equal(end("other", "100 17 10.0.1.10 1 10.0.1.20 3"), 0);
	assert_int_equal(end("other", "100 6 10.0.1.10 1 10.0.1.20 2"), 0);
	assert_int_equal(end("other", "101 17 10.0.1.10 1 10.0.1.20 2"), 0);
	assert_int_equal(end("nobody", "100 17 10.0.1.10 1 10.0.1.20 2"), 0);
	assert_int_equal(session_used(), 3);
	assert_int_equal(end("other", "100 17 10.0.1.10 1 10.0.1.20 2"), 1);
	assert_int_equal(end("other", "100 17 10.0.1.10 1 10.0.1.20 2"), 0);
	assert_int_equal(end("other", "100 17 fd00:1:0:1::10 1 fd00:1:0:1::20 2"), 1);
	assert_int_equal(end("other", "100 17 10.0.1.20 3 10.0.1.10 4"), 1);
	assert_int_equal(session_used(), 0);
}

/* Only a node where an end of the flow is has a say. */
static void test_not_its_flow(void **state)
{
	(void)state;
	graph_items("[[\"vtep\", \"third\", \"192.0.2.3\", false]]");
	tunnelled(FRAME(A_TO_R, .sport = 1, .dport = 2));
	graph_expect_pass("a", FRAME(A_TO_B, .sport = 1, .dport = 2), "b",
		FRAME(A_TO_B, .sport = 1, .dport = 2));
	assert_int_equal(end("third", "100 17 10.0.1.10 1 10.0.1.20 2"), 0);
	assert_int_equal(end("other", "100 17 10.0.1.10 1 10.0.1.11 2"), 0);
	assert_int_equal(session_used(), 2);
}

static void test_wrong_calls(void **state)
{
	static const char *const wrong[] = {"", "100", "100 17 10.0.1.10 1 10.0.1.20",
		"100 17 10.0.1.10 1 10.0.1.20 2 3", "100 17 10.0.1.10 1 10.0.1.20 2x",
		"16777216 17 10.0.1.10 1 10.0.1.20 2", "100 256 10.0.1.10 1 10.0.1.20 2",
		"100 17 10.0.1.10 65536 10.0.1.20 2", "100 17 10.0.1.10 1 10.0.1.20 99999",
		"-1 17 10.0.1.10 1 10.0.1.20 2", "100 udp 10.0.1.10 1 10.0.1.20 2",
		"100 17 10.0.1 1 10.0.1.20 2", "100 17 fd00:1:0:1::10 1 10.0.1.20 2"};
	static const char right[] = "100 17 10.0.1.10 1 10.0.1.20 2";
	json_t *many = json_array();

	(void)state;
	tunnelled(FRAME(A_TO_R, .sport = 1, .dport = 2));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(graph_rpc_refusal("session.end",
			json_pack("{s:s, s:[s, s]}", "node", "other", "items", right, wrong[i])));
	for (unsigned int i = 0; i <= CUT_PAGE; i++)
		json_array_append_new(many, json_string(right));
	assert_non_null(graph_rpc_refusal(
		"session.end", json_pack("{s:s, s:o}", "node", "other", "items", many)));
	assert_non_null(graph_rpc_refusal(
		"session.end", json_pack("{s:s, s:[i]}", "node", "other", "items", 1)));
	assert_non_null(graph_rpc_refusal(
		"session.end", json_pack("{s:s, s:s}", "node", "other", "items", right)));
	assert_non_null(graph_rpc_refusal("session.end", json_pack("{s:[s]}", "items", right)));
	assert_non_null(graph_rpc_refusal("session.end", json_object()));
	assert_int_equal(session_used(), 1);
}

static void test_text_and_back(void **state)
{
	static const char *const texts[] = {"100 17 10.0.1.10 1 10.0.1.20 65535",
		"16777215 255 fd00:1:0:1::10 0 fd00:1:0:1::20 2048"};
	char text[CUT_TEXT_MAX];
	struct cut_flow flow;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(cut_parse(texts[i], &flow));
		assert_int_equal(cut_format(&flow, text), strlen(texts[i]));
		assert_string_equal(text, texts[i]);
	}
}

/* What there is no room to tell stays and is asked again: nothing is lost however many are cut at once. */
#define FLOWS 1100

static void test_more_than_can_be_told(void **state)
{
	unsigned int left;

	(void)state;
	for (unsigned int i = 0; i < FLOWS; i++)
		tunnelled(FRAME(A_TO_R, .sport = (uint16_t)(1000 + i), .dport = 2));
	assert_int_equal(session_used(), FLOWS);
	graph_items("[[\"rules\", \"any\", 0, [" RULE_ANY ", \"e d 1 -1 0 65535 -1 -1 any\"]]]");
	graph_pass_time(10);
	left = session_used();
	assert_in_range(left, 1, FLOWS - 1);
	/* Its packets do not pass. */
	for (unsigned int i = 0; i < FLOWS; i += 100)
		graph_expect_drop("a", FRAME(A_TO_R, .sport = (uint16_t)(1000 + i), .dport = 2),
			DROP_POLICY_EGRESS);
	assert_int_equal(session_used(), left);
	cut_turn();
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_the_other_end_has_cut),
		T(test_not_its_flow),
		T(test_wrong_calls),
		T(test_text_and_back),
		T(test_more_than_can_be_told),
	};

	graph_start();
	assert_int_equal(cut_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
