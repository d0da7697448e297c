/* SPDX-License-Identifier: Apache-2.0 */
/* The busiest flows: the right ones, in order, with their rates; bounded; nothing while nobody asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rcu.h"
#include "session/busiest.h"
#include "session_flows.h"

#define FLOWS 1000u

static uint32_t refs[FLOWS], now_ms;

static void insert(uint32_t flow)
{
	struct session_new new;

	flow_new(&new, flow, IPPROTO_UDP);
	new.now_ms = now_ms;
	assert_int_equal(session_insert(&new, &refs[flow]), 0);
}

static void count(uint32_t flow, unsigned int direction, uint32_t bytes, unsigned int times)
{
	while (times-- > 0)
		session_count(session_hot_of(refs[flow] | direction), bytes, now_ms);
}

/* One whole turn of the hand, a second later. */
static void turn(void)
{
	now_ms += 1000;
	session_sweep(session_high_water(), now_ms, NULL);
}

static void test_order_and_rates(void **state)
{
	struct busy_session list[BUSIEST_MAX];

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		insert(i);
		count(i, 0, 1000000, 1);
	}
	turn();
	assert_false(busiest_on);
	busiest_ask(now_ms);
	turn();
	assert_int_equal(busiest_list(list), 0); /* what was before says nothing of now */
	for (uint32_t i = 0; i < FLOWS; i++) {
		count(i, 0, i * 10, 2);
		count(i, 1, i * 10, 1);
	}
	turn();
	assert_int_equal(busiest_list(list), BUSIEST_MAX);
	for (uint32_t i = 0; i < BUSIEST_MAX; i++) {
		assert_int_equal(list[i].index, refs[FLOWS - 1 - i] >> 1);
		assert_float_equal(list[i].bytes_per_s, 30.0 * (FLOWS - 1 - i), 0.01);
		assert_float_equal(list[i].packets_per_s, 3.0, 0.01);
	}
	turn();
	assert_int_equal(busiest_list(list), 0);
}

/* An index that another session has taken over does not inherit its figures. */
static void test_an_index_again(void **state)
{
	struct busy_session list[BUSIEST_MAX];
	uint32_t taken;

	(void)state;
	insert(0);
	count(0, 0, 5000, 10);
	busiest_ask(now_ms);
	turn();
	turn();
	now_ms += 10;
	taken = refs[0] >> 1;
	session_remove(taken);
	for (uint32_t i = 1; i < FLOWS && (i == 1 || refs[i - 1] >> 1 != taken); i++) {
		insert(i);
		count(i, 0, 100 + i, 1);
	}
	now_ms += 990;
	turn();
	for (unsigned int n = busiest_list(list); n-- > 0;)
		assert_true(list[n].bytes_per_s <= 100.0 + FLOWS);
}

static void test_ends_when_nobody_asks(void **state)
{
	(void)state;
	insert(0);
	busiest_ask(now_ms);
	for (unsigned int s = 0; s < 20; s++)
		turn();
	assert_true(busiest_on);
	busiest_ask(now_ms);
	for (unsigned int s = 0; s < 20; s++)
		turn();
	assert_true(busiest_on);
	for (unsigned int s = 0; s < 20; s++)
		turn();
	assert_false(busiest_on);
}

static int table(void **state)
{
	(void)state;
	now_ms = 5000;
	return session_init(4000);
}

static int no_table(void **state)
{
	(void)state;
	/* So that the next test begins anew. */
	for (unsigned int s = 0; busiest_on && s < 100; s++)
		turn();
	session_fini();
	return busiest_on;
}

static int set_up(void **state)
{
	(void)state;
	return rcu_init(1) != 0 || epoch_init(16) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	epoch_fini();
	rcu_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_rates, table, no_table),
		cmocka_unit_test_setup_teardown(test_an_index_again, table, no_table),
		cmocka_unit_test_setup_teardown(test_ends_when_nobody_asks, table, no_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
