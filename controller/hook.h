/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_HOOK_H
#define CONTROLLER_HOOK_H
/* Hooks: which nodes are told of one. What they say of it is in view_hook.c. */
#include "api.h"

struct node;

/* Is something of its scope there, and is it to run? */
bool hook_is_on(const struct node *node, const struct object *hook);
/* emission_items.c: its item for a node. */
void hook_items(const struct node *node, const struct object *hook, json_t *out);
/* Ports of a VPC came to the node, or went: so do hooks. */
void hook_touch_vpc(struct node *node, struct object *vpc);

#endif
