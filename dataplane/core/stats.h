/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STATS_H
#define CORE_STATS_H
/* What `held` in the node's status is made of: packets that are neither sent nor dropped yet. */
#include <stdint.h>

struct stats_held {
	uint64_t (*count)(void); /* any thread */
	struct stats_held *next;
};
void stats_held_register(struct stats_held *source);
/* Of all sources. */
uint64_t stats_held_count(void);
#define STATS_HELD(var, fn)                                                                        \
	static struct stats_held var = {.count = (fn)};                                            \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		stats_held_register(&var);                                                         \
	}

/* A member of the node's status that a capability adds. */
struct json_t;
struct stats_section {
	const char *name;
	struct json_t *(*make)(void); /* a new reference. Control thread */
	struct stats_section *next;
};
void stats_section_register(struct stats_section *section);
#define STATS_SECTION(var, section_name, fn)                                                       \
	static struct stats_section var = {.name = (section_name), .make = (fn)};                  \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		stats_section_register(&var);                                                      \
	}

#endif
