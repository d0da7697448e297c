/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_WAIT_H
#define CONTROLLER_WAIT_H
/* Calls that answer only once the nodes concerned obey a change (`wait`). */
#include "txn.h"

struct controller;
struct waits;

struct waits *waits_new(struct controller *c);
/* Those who still wait get their outcome. */
void waits_free(struct waits *waits);

struct wait_outcome {
	uint64_t revision;
	json_t *nodes; /* names of those that do not obey; NULL: all do. Borrowed */
	const char *reason;
};

typedef void (*wait_fn)(struct wait_outcome *outcome, void *arg);

/*
 * For a change of revisions first..last. `fn` is called once, perhaps at once: when all nodes obey, when one
 * has refused an item of it, or when the time is up.
 */
void wait_for_nodes(struct controller *c, uint64_t first, uint64_t last, uint32_t timeout_ms,
	wait_fn fn, void *arg);
/* A node has come further, or is gone. */
void wait_look(struct controller *c);

#endif
