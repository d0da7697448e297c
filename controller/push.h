/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_PUSH_H
#define CONTROLLER_PUSH_H
/*
 * One transaction at a time with a node: begin (asked for ahead of need, so that a change costs one round
 * trip), put and del in chunks, commit, all without waiting in between. A refused transaction changes
 * nothing there; the item to blame is left out and the rest goes again.
 */
#include "node.h"

/* Sends what is queued, if nothing is under way. */
void push_start(struct node *node);
/* The connection is gone: forgets what was under way. */
void push_stop(struct node *node);

#endif
