/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry translated flows, both ways and between two machines of the gateway, while the control thread has them asked again,
 * refused, replaced and removed under their hands. What sessions hold is released once each (outside.c aborts else), and all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "graph.h"
#include "outside.h"
#include "race.h"
#include "session/session.h"
#include "tests/unit/random.h"

#define FLOWS 48
#define KINDS 4
#define CHANGES test_size(2000, 500000)
#define SENT_MIN 1000
#define TAKEN_MIN (2 * FLOWS)

static void make_frames(void)
{
	for (unsigned int i = 0; i < FLOWS; i++) {
		uint16_t port = (uint16_t)(1 + i);
		const struct frame_spec specs[KINDS] = {
			{FROM(MAC_A, "10.0.1.10"), TO(GW, SERVER), .sport = port, .dport = 53},
			{FROM(HOP_MAC, SERVER), TO(EXT_MAC, SNAT), .sport = 53,
				.dport = (uint16_t)(1000 + port)},
			{FROM(MAC_A, "10.0.1.10"), TO(GW, EIP), .sport = port, .dport = 54},
			{FROM(MAC_B, "10.0.1.11"), TO(GW, SNAT), .sport = 54,
				.dport = (uint16_t)(1000 + port)},
		};
		static const char *const ports[KINDS] = {"a", EXT, "a", "b"};

		for (unsigned int k = 0; k < KINDS; k++) {
			struct frame f;

			frame_build(&f, &specs[k]);
			race_frame(ports[k], f.bytes, f.len);
		}
	}
}

static void remove_some(void)
{
	rcu_read_enter();
	for (unsigned int i = 0; i < 8; i++)
		session_remove((uint32_t)random_below(session_high_water() + 1));
	rcu_read_leave();
}

static bool change(uint32_t n)
{
	(void)n;
	switch (random_below(8)) {
	case 0:
		outside.forgets = !outside.forgets;
		break;
	case 1:
		outside.refuses = random_below(4) == 0;
		break;
	case 2:
	case 3:
		remove_some();
		break;
	default:
		outside_bump();
		break;
	}
	return outside_taken > TAKEN_MIN;
}

static void test_race(void **state)
{
	(void)state;
	random_start();
	make_frames();
	graph_items(CLOUD);
	outside.holds = true;
	race_run(CHANGES, SENT_MIN, 16, change);
	session_sweep(session_high_water(), clock_ms() + 100000000, NULL);
	assert_int_equal(session_used(), 0);
	assert_int_equal(outside_taken, outside_released);
	assert_int_equal(pool_in_use(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	race_start();
	outside_start(0);
	return cmocka_run_group_tests_name("holds_race", tests, NULL, NULL);
}
