/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry a soup of frames while the control thread changes everything under them: ports close, VPCs go, sessions are
 * asked again by both and swept. For sanitizers; without one it still counts every frame and buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/pool.h"
#include "graph.h"
#include "race.h"
#include "soup.h"
#include "tests/unit/random.h"

#define FRAMES 2000
#define SENT_MIN 1000
#define CHANGES test_size(300, 10000)

static void cook_frames(void)
{
	struct frame f;

	for (unsigned int i = 0; i < FRAMES; i++) {
		uint8_t program[64];
		const char *port;

		for (size_t k = 0; k < sizeof(program); k++)
			program[k] = (uint8_t)random_below(256);
		port = soup_frame(program, sizeof(program), &f);
		race_frame(port, f.bytes, f.len);
	}
}

static bool change(uint32_t n)
{
	(void)n;
	soup_change(random_below(1000));
	return true;
}

static void test_race(void **state)
{
	(void)state;
	random_start();
	cook_frames();
	soup_items();
	race_run(CHANGES, SENT_MIN, 1, change);
	assert_int_equal(pool_in_use(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	race_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
