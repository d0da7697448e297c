/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_USAGE_H
#define CONTROLLER_USAGE_H
/*
 * What objects have carried, added up over restarts of everything, moves and deletions, and never falling.
 *
 * A node reports each life of an object's counters as an *instance* (dataplane/core/usage.h). An object's
 * total is a base and the figures of its instances; an instance that its node no longer reports goes into the
 * base. Every interval_s all nodes are asked, and what has changed is written in one transaction. A node
 * forgets an instance that has ended only once it is told that its figures are on our disk.
 *
 * What can be lost: nothing by the death of the controller; what was carried within a second by that of a
 * dataplane (its file of figures); what was carried since the last question by that of a machine.
 */
#include "lib/resource.h"
#include "txn.h"

struct controller;
struct usage;

/* With what the store has. NULL when it cannot be read (logged). */
struct usage *usage_new(struct controller *c);
void usage_free(struct usage *usage);
/* The model is whole: begins to ask. */
void usage_start(struct usage *usage);
/* Asks no more; whoever waits is called back. */
void usage_stop(struct usage *usage);

/* Writes what the changes mean to the store's open transaction; once it is stored, they are taken up. */
void usage_prepare(struct usage *usage, const struct txn *txn);
void usage_published(struct usage *usage, const struct txn *txn);

/* Asks the nodes unless that was just done, and calls back when it is stored. */
typedef void (*usage_fn)(void *arg);
void usage_refresh(struct usage *usage, usage_fn done, void *arg);
/* Appends {record: "usage", …} for each object, and takes in the figures of such a list: history that is not
 * known is added, and nothing that is known falls. */
void usage_backup(const struct usage *usage, json_t *records);
void usage_merge(struct usage *usage, const json_t *records);

/* {items, cursor} for usage.list's params. New reference. */
json_t *usage_list(const struct usage *usage, const json_t *params);

#endif
