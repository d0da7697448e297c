/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_FLOW_TRACE_H
#define CORE_FLOW_TRACE_H
/* The steps of one walk down the readable road, as `explain` prints them. */
#include <stdint.h>

#define FLOW_TRACE_MAX 32

struct flow_trace_entry {
	const char *stage;
	const char *kind; /* northbound kind of the object that decided, or NULL */
	char name[64];
	int32_t rule; /* index in a security group's rules, or -1 */
	char decision[192];
};

struct flow_trace {
	const char *stage; /* the one that runs now; set by road_walk() */
	unsigned int n;
	struct flow_trace_entry entries[FLOW_TRACE_MAX];
};

#endif
