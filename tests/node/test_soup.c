/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs for soup.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/worker.h"
#include "graph.h"
#include "soup.h"
#include "tests/unit/random.h"

/* A soup in which nothing swims proves nothing. */
static void check_taste(void)
{
	static const enum drop_reason wanted[] = {DROP_MALFORMED, DROP_BAD_CHECKSUM, DROP_SPOOFED,
		DROP_BROADCAST, DROP_TTL_EXPIRED, DROP_TOO_BIG, DROP_NO_ROUTE, DROP_UNKNOWN_VTEP,
		DROP_UNKNOWN_VNI, DROP_WRONG_VTEP, DROP_POLICY_INGRESS, DROP_NO_SESSION,
		DROP_TCP_STATE, DROP_PORT_DOWN, DROP_FRAGMENT};
	const struct worker_counters *c = &workers[0].count;

	print_message("received %llu generated %llu sent %llu consumed %llu\n",
		(unsigned long long)c->received, (unsigned long long)c->generated,
		(unsigned long long)c->sent, (unsigned long long)c->consumed);
	for (unsigned int r = 1; r < DROP_MAX; r++)
		if (c->dropped[r] != 0)
			print_message("%s %llu\n", drop_reason_name((enum drop_reason)r),
				(unsigned long long)c->dropped[r]);
	assert_true(c->sent > c->received / 10);
	for (size_t i = 0; i < RTE_DIM(wanted); i++)
		if (c->dropped[wanted[i]] == 0)
			fail_msg("no frame was dropped for %s", drop_reason_name(wanted[i]));
}

static void test_soup(void **state)
{
	static uint8_t program[4096];
	uint32_t rounds = test_size(100, 5000);

	(void)state;
	random_start();
	for (uint32_t n = 0; n < rounds; n++) {
		print_message(
			"program %u begins with seed %#llx\n", n, (unsigned long long)random_state);
		for (size_t i = 0; i < sizeof(program); i++)
			program[i] = (uint8_t)random_below(256);
		soup_play(program, sizeof(program));
	}
	check_taste();
}

static void test_changes(void **state)
{
	(void)state;
	soup_check_changes();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_soup),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
