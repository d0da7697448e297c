/* SPDX-License-Identifier: Apache-2.0 */
/* A group of 10,000 rules: one of them that changes is obeyed within 10 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "cloud.h"
#include "core/state.h"
#include "graph.h"
#include "lib/southbound.h"

#define RULES 10000
#define PARTS ((RULES + SB_PART_RULES - 1) / SB_PART_RULES)
#define ROUNDS 20
#define LIMIT_NS 10000000

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

/* Rules for networks nobody is in, but rule `allowed`, which lets the sender in (-1: none does). */
static json_t *part_item(int part, int allowed)
{
	json_t *rules = json_array();
	char text[SB_RULE_TEXT];

	for (int i = part * SB_PART_RULES; i < (part + 1) * SB_PART_RULES && i < RULES; i++) {
		snprintf(text, sizeof(text), "i a %d 17 %d %d -1 -1 cidr 172.%d.%d.0/24",
			1 + i % 1000, 1 + i, 1 + i, 16 + i / 256 % 16, i % 256);
		if (i == allowed)
			snprintf(text, sizeof(text), "i a 7 17 9 9 -1 -1 cidr 10.0.1.10/32");
		json_array_append_new(rules, json_string(text));
	}
	return json_pack("[s, s, i, o]", "rules", "any", part * 1024, rules);
}

static void put_parts(int first, int last, int allowed)
{
	struct state_tx *tx = state_begin();
	struct state_error err;
	uint32_t changed;

	for (int part = first; part <= last; part++) {
		json_t *item = part_item(part, allowed);

		assert_int_equal(state_put(tx, item, &err), 0);
		json_decref(item);
	}
	if (state_commit(tx, 1, &changed, &err) != 0)
		fail_msg("%s", err.reason);
	assert_int_equal(changed, last - first + 1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* From the transaction's beginning until a packet has been dealt with by it. */
static int64_t change_one(int part, int allowed, const struct frame *f)
{
	int64_t start = now_ns();

	put_parts(part, part, allowed);
	if (allowed >= 0)
		graph_expect_pass("a", f, "b", f);
	else
		graph_expect_drop("a", f, DROP_POLICY_INGRESS);
	return now_ns() - start;
}

static void one_changed_rule_is_obeyed_at_once(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 9);
	int64_t best = INT64_MAX;

	(void)state;
	put_parts(0, PARTS - 1, -1);
	graph_expect_drop("a", f, DROP_POLICY_INGRESS);
	for (int round = 0; round < ROUNDS; round++) {
		int part = round * 7 % PARTS;
		int64_t in = change_one(part, part * SB_PART_RULES + round, f);
		int64_t out = change_one(part, -1, f);

		if (in < best)
			best = in;
		if (out < best)
			best = out;
	}
	print_message("one rule of %d changed: %ld us\n", RULES, (long)(best / 1000));
	assert_true(best < LIMIT_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_changed_rule_is_obeyed_at_once, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
