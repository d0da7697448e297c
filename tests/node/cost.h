/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_COST_H
#define TESTS_NODE_COST_H
/* What a packet of an established flow costs, counted by callgrind: tests/node/cost.py runs programs made of this. */
#include <stddef.h>

/* What is there beside the flow from a to b of cloud.h, by the name of a mode. One name may come several times. */
struct cost_mode {
	const char *name, *items;
};

/* The program: `argv[1]` is the mode; one that is not in the list has nothing beside the flow. 64 bursts of 32 packets are counted. */
int cost_main(int argc, char **argv, const struct cost_mode *modes, size_t n);

#endif
