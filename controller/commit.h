/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_COMMIT_H
#define CONTROLLER_COMMIT_H
/*
 * Makes transactions durable, then public. All that were submitted during one turn of the event loop share
 * one commit of the store (group commit): one fsync for many callers.
 */
#include "txn.h"

struct commits;
struct controller;

struct commits *commits_new(struct controller *c);
/* Stores what is still waiting. */
void commits_free(struct commits *commits);

/*
 * Takes a transaction that has run. `done` is called later, once: with 0 when it is stored and
 * published (`txn` is still whole), or -EIO when the store failed and the model is what it was (`txn`
 * is NULL).
 */
typedef void (*commit_done_fn)(int rc, const struct txn *txn, void *arg);
void commit_submit(struct controller *c, struct txn *txn, commit_done_fn done, void *arg);
/* Without waiting for the end of the turn: at the start. */
void commit_now(struct controller *c);
/* Something else was written to the store: commit it in this turn too. */
void commit_soon(struct controller *c);

#endif
