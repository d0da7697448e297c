/* SPDX-License-Identifier: Apache-2.0 */
/* A table that is full refuses new flows under their own name and keeps the old ones; a VPC has its share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "session/session.h"
#include "vpc/vpc.h"

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

static const struct frame *flow(struct frame *f, unsigned int n)
{
	*f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = (uint16_t)(1000 + n),
		.dport = 9);
	return f;
}

static const struct frame *answer(struct frame *f, unsigned int n)
{
	*f = *FRAME(FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 9,
		.dport = (uint16_t)(1000 + n));
	return f;
}

/* The first flow is answered; then as many as there is room for. */
static unsigned int fill(void)
{
	unsigned int n = 0;
	struct frame f;

	graph_expect_pass("a", flow(&f, 0), "b", &f);
	graph_expect_pass("b", answer(&f, 0), "a", &f);
	for (n = 1; session_used() < session_capacity(); n++)
		graph_expect_pass("a", flow(&f, n), "b", &f);
	return n;
}

static void test_full(void **state)
{
	unsigned int n = fill();
	struct frame f;

	(void)state;
	graph_expect_drop("a", flow(&f, n), DROP_SESSION_TABLE_FULL);
	/* What runs, runs on. */
	graph_expect_pass("a", flow(&f, 0), "b", &f);
	graph_expect_pass("b", answer(&f, 0), "a", &f);
	graph_expect_pass("a", flow(&f, n - 1), "b", &f);
	/* Half-open ones go after 5 s when it is full, the answered one stays. */
	graph_pass_time(6000);
	assert_in_range(session_used(), 1, session_capacity() / 10 * 9);
	graph_expect_pass("a", flow(&f, 0), "b", &f);
	graph_expect_pass("a", flow(&f, n), "b", &f);
}

static void test_share(void **state)
{
	uint32_t index = vpc_by_vni(100)->index;
	struct frame f;

	(void)state;
	session_share_set(index, 2);
	graph_expect_pass("a", flow(&f, 0), "b", &f);
	graph_expect_pass("a", flow(&f, 1), "b", &f);
	graph_expect_drop("a", flow(&f, 2), DROP_SESSION_SHARE);
	graph_expect_pass("a", flow(&f, 1), "b", &f);
	session_share_set(index, 0);
	graph_expect_pass("a", flow(&f, 2), "b", &f);
}

/* Idle flows end in their time, and counters with them. */
static void test_timeouts(void **state)
{
	struct frame f;

	(void)state;
	graph_expect_pass("a", flow(&f, 0), "b", &f);
	graph_expect_pass("a", flow(&f, 1), "b", &f);
	graph_expect_pass("b", answer(&f, 1), "a", &f);
	graph_pass_time((session_timeouts.udp_unanswered_s - 1) * 1000);
	assert_int_equal(session_used(), 2);
	graph_pass_time(2000);
	assert_int_equal(session_used(), 1);
	graph_expect_pass("a", flow(&f, 1), "b", &f);
	graph_pass_time((session_timeouts.udp_s - 1) * 1000);
	assert_int_equal(session_used(), 1);
	graph_pass_time(2000);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_full), T(test_share), T(test_timeouts)};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
