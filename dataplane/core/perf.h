/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PERF_H
#define CORE_PERF_H
/* Cycles of each graph node, counted while somebody asks (`perf` of the southbound socket). Nothing is counted else: the
 * loop's one test a turn is all that it costs. */
#include <stdatomic.h>

struct rte_graph;

/* How many questions are open. Written by the control thread. */
extern _Atomic unsigned int perf_open;

/* A turn through the graph with two time stamps for each node that has work. Worker. */
void perf_walk(struct rte_graph *graph);

#endif
