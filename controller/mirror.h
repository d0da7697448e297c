/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_MIRROR_H
#define CONTROLLER_MIRROR_H
/* Mirrors: which nodes have one, and what they say of it. */
#include "api.h"

struct node;

/* Has the node a source of it? */
bool mirror_is_on(const struct node *node, const struct object *mirror);
/* Has the node its target port, and do copies come from other nodes? */
bool mirror_comes_to(const struct node *node, const struct object *mirror);
/* emission_items.c: its items for a node. */
void mirror_items(const struct node *node, const struct object *mirror, json_t *out);
/* The source in the words of items; NULL: nothing of it is on the node. To be freed. */
char *mirror_source_text(const struct node *node, const json_t *source);
/* A hook on the node began to name it, or none does any more. */
void mirror_touch_named(struct node *node, struct object *mirror);
/* Ports of a VPC came to the node, or went: so do mirrors. */
void mirror_touch_vpc(struct node *node, struct object *vpc);

#endif
