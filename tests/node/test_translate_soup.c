/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs for outside_soup.h, as the fuzzer's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph.h"
#include "outside.h"
#include "outside_soup.h"
#include "tests/unit/random.h"

#define PROGRAMS test_size(20000, 400000)

static void test_soup(void **state)
{
	uint8_t program[512];

	(void)state;
	random_start();
	for (uint32_t n = 0, programs = PROGRAMS; n < programs; n++) {
		for (size_t i = 0; i < sizeof(program); i++)
			program[i] = (uint8_t)random_below(256);
		outside_play(program, sizeof(program));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_soup)};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate_soup", tests, NULL, NULL);
}
