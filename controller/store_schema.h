/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STORE_SCHEMA_H
#define CONTROLLER_STORE_SCHEMA_H
/* The steps that bring a store of any earlier version to this one's. */
#include <stddef.h>

struct store_step {
	int version; /* the store's afterwards */
	const char *sql;
};

extern const struct store_step store_steps[];
extern const size_t store_step_count;

#endif
