/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_TXN_H
#define CONTROLLER_TXN_H
/*
 * A transaction: the changes of one call, checked together and put into the model together, or not at
 * all. The order in which they are added does not matter.
 *
 *	txn_init → txn_create/update/delete … → txn_run → (stored) → txn_finish
 *	                                           └─ or txn_undo: the model is what it was
 */
#include "model.h"

enum change_op { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

struct change {
	enum change_op op;
	struct object *object;
	json_t *old, *new; /* owned; NULL for create, delete */
	size_t index;      /* of the resource in the call */
	uint64_t revision;
	json_t *shown; /* for watchers: the object right after this change; owned, may be NULL */
};

struct txn_error {
	struct resource_error base;
	json_t *data; /* beside path and reason: referrers, what; owned, may be NULL */
};

struct txn {
	struct model *model;
	struct change *changes;
	size_t count, room;
	bool indexed;      /* errors begin with /resources/INDEX */
	uint64_t revision; /* of the last change; of the model when nothing changes */
};

void txn_init(struct txn *txn, struct model *model);
/* Gives up one that has not run. */
void txn_discard(struct txn *txn);

/* Each takes json, which must be whole and canonical. No object may be named twice. */
struct object *txn_create(struct txn *txn, const struct kind *kind, json_t *json, size_t index);
void txn_update(struct txn *txn, struct object *object, json_t *json, size_t index);
void txn_delete(struct txn *txn, struct object *object, size_t index);

/* False with *error: the model is unchanged, but objects that were to be created are gone. */
bool txn_run(struct txn *txn, struct txn_error *error);
void txn_undo(struct txn *txn);
/* After it has been stored and published: lets go of the old versions and deleted objects. */
void txn_finish(struct txn *txn);

const char *change_op_name(enum change_op op);
void txn_error_fini(struct txn_error *error);

/* Loads one object at the start, without checks; txn_restored() then makes references and claims. */
void txn_restore(struct model *model, const struct kind *kind, json_t *json);
/* 0, or -EINVAL with *error and the object's name in `which`: the store contradicts itself. */
int txn_restored(struct model *model, struct resource_error *error, const char **which);

#endif
