/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_WANTED_H
#define CONTROLLER_WANTED_H
/*
 * The items a node should have, beside what it is known to have. Every change that makes the two differ puts
 * the item on the node's queue.
 */
#include "node.h"

/* Items that are wanted only because others name them: vteps, groups, prefix lists. Mirrors also for themselves. */
bool wanted_is_pulled(const char *kind);

struct item *wanted_find(const struct node *node, const char *key);
/* The item of an object that has one. */
struct item *wanted_of(const struct node *node, const char *kind, const char *name);
/* Has the node it as it should be? */
bool wanted_is_told(const struct node *node, const char *kind, const char *name);
/* Found or made. */
struct item *wanted_get(struct node *node, const char *key);

/*
 * The node should have this (takes json) because of `source`. `pull` is called for items of pulled
 * kinds that begin to be named, or cease to be.
 */
typedef void (*wanted_pull_fn)(struct node *node, const char *kind, const char *name);
struct item *wanted_put(
	struct node *node, struct object *source, json_t *json, wanted_pull_fn pull);
/* The node should not have it (any more) because of `source`; another source may want it meanwhile. */
void wanted_drop(struct node *node, struct object *source, struct item *item, wanted_pull_fn pull);

/* Does what the node has differ from what it should have, as far as it will take it? */
bool item_differs(const struct item *item);
/* Queues or unqueues it accordingly; frees it when nobody needs it. */
void item_settle(struct node *node, struct item *item);
void item_set_known(struct item *item, bool known, uint64_t hash);
void item_reject(struct node *node, struct item *item, const char *reason);
void item_forgive(struct node *node, struct item *item);
/* Forgives and settles all of them. */
void wanted_settle_all(struct node *node);
/* Is this refusal news? Remembers it; NULL: the item is in order. */
bool item_tell(struct item *item, const char *reason);

/* The items that this one names and that must be there before it. */
typedef bool (*item_ref_fn)(const char *kind, const char *name, void *arg);
bool item_refs(const json_t *json, item_ref_fn fn, void *arg);

void wanted_fini(struct node *node);

#endif
