/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet of an established flow costs, counted by callgrind (test_mirror_cost.py):
 *
 *	cost_mirror none|elsewhere|here|dead|slow
 *
 * with no mirror, with one of another port and of another subnet, or with one of the flow's own: to a collector, to one whose next hop
 * does not answer, to a port that takes nothing any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <valgrind/callgrind.h>

#include "cloud.h"
#include "graph.h"

#define BURSTS 64
#define PACKETS 32

#define MIRROR(source, target, vtep)                                                               \
	"[[\"mirror\", \"tap\", [" source "], \"both\", \"\", 1, 0, {" target "}, " vtep ", 1]]"
#define ERSPAN "\"type\": \"erspan\", \"address\": \"192.0.2.2\", \"session_id\": 7, \"version\": 2"

static void burst(void)
{
	const struct frame *f = FRAME(.smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10",
		.dst = "10.0.1.11", .sport = 7, .dport = 8);

	for (unsigned int i = 0; i < PACKETS; i++)
		graph_send("a", f->bytes, f->len);
	CALLGRIND_TOGGLE_COLLECT;
	graph_run();
	CALLGRIND_TOGGLE_COLLECT;
	if (graph_waiting("b") != PACKETS)
		fail_msg("%u packets arrived", graph_waiting("b"));
	graph_discard_sent("b");
	graph_discard_sent(GRAPH_UNDERLAY);
}

static const char *mode;

static const struct {
	const char *name, *items;
} modes[] = {
	{"elsewhere", MIRROR("\"port c\", \"subnet db\"", ERSPAN, "\"other\"")},
	{"here", MIRROR("\"port a\"", ERSPAN, "\"other\"")},
	{"dead", "[[\"vtep\", \"silent\", \"192.0.2.77\", false]]"},
	{"dead", MIRROR("\"port a\"", ERSPAN, "\"silent\"")},
	{"slow", MIRROR("\"port a\"", "\"type\": \"port\", \"port\": \"c\"", "null")},
};

static void count(void **state)
{
	(void)state;
	graph_items(CLOUD);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(mode, modes[i].name) == 0)
			graph_items(modes[i].items);
	for (unsigned int i = 0; i < BURSTS; i++)
		burst();
	graph_reset();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(count)};

	mode = argc > 1 ? argv[1] : "none";
	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
