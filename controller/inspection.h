/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_INSPECTION_H
#define CONTROLLER_INSPECTION_H
/* Which inspections a VPC is under, and what nodes are told of them. */
#include "txn.h"

struct controller;
struct node;

bool inspection_covers(const struct object *inspection, const struct object *vpc);
/* Has it a detector of that type? */
bool inspection_has(const struct object *inspection, const char *type);

/* The items of a VPC that is on the node. */
void inspection_items(const struct node *node, const struct object *vpc, json_t *out);
/* An inspection or indicator list has changed: so have the items of VPCs. */
void inspection_touch(struct controller *c, const struct change *ch);

#endif
