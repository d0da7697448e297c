/* SPDX-License-Identifier: Apache-2.0 */
#include "cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <valgrind/callgrind.h>

#include "cloud.h"
#include "graph.h"

#define WARM_UP 32
#define BURSTS 64
#define PACKETS 32

static const char *mode;
static const struct cost_mode *modes;
static size_t n_modes;

/* Time goes on by a millisecond each 16, as with half a million packets a second. */
static void burst(unsigned int number)
{
	const struct frame *f = FRAME(.smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10",
		.dst = "10.0.1.11", .sport = 7, .dport = 8);

	for (unsigned int i = 0; i < PACKETS; i++)
		graph_send("a", f->bytes, f->len);
	if (number % 16 == 0)
		graph_pass_time(1);
	if (number >= WARM_UP)
		CALLGRIND_TOGGLE_COLLECT;
	graph_run();
	if (number >= WARM_UP)
		CALLGRIND_TOGGLE_COLLECT;
	if (graph_waiting("b") != PACKETS)
		fail_msg("%u packets arrived", graph_waiting("b"));
	graph_discard_sent("b");
	graph_discard_sent(GRAPH_UNDERLAY);
}

static void count(void **state)
{
	(void)state;
	graph_items(CLOUD);
	for (size_t i = 0; i < n_modes; i++)
		if (strcmp(mode, modes[i].name) == 0)
			graph_items(modes[i].items);
	graph_stop_clock(true);
	for (unsigned int i = 0; i < WARM_UP + BURSTS; i++)
		burst(i);
	graph_stop_clock(false);
	graph_reset();
}

int cost_main(int argc, char **argv, const struct cost_mode *all, size_t n)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(count)};

	mode = argc > 1 ? argv[1] : "none";
	modes = all;
	n_modes = n;
	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
