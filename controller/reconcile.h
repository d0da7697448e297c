/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RECONCILE_H
#define CONTROLLER_RECONCILE_H
/*
 * Makes what a node has what it should have: on connecting by comparing digests (keys of differing buckets
 * only), afterwards by sending what differs, in transactions, at once. An item that the node refuses is
 * left out, reported, and tried again later; the others still go.
 */
#include "node.h"

/* After hello: node->hello holds the digest. */
void reconcile_begin(struct node *node);
/* The connection is gone. */
void reconcile_end(struct node *node);
/* Sends what is queued, unless something is under way already. */
void reconcile_push(struct node *node);

/* Does the node obey all that it has been told, as far as it takes it? */
bool reconcile_is_settled(const struct node *node);
/* Why the node refuses an item; NULL when it does not. */
const char *reconcile_rejection(const struct node *node, const char *kind, const char *name);

#endif
