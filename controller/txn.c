/* SPDX-License-Identifier: Apache-2.0 */
#include "txn.h"

#include "mem.h"
#include "quota.h"
#include "response.h"
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REFERRERS_SHOWN 100

void txn_init(struct txn *txn, struct model *model)
{
	*txn = (struct txn){.model = model};
}

static void txn_fini(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		json_decref(txn->changes[i].old);
		json_decref(txn->changes[i].new);
		json_decref(txn->changes[i].shown);
	}
	free(txn->changes);
	txn->changes = NULL;
	txn->count = txn->room = 0;
}

static void free_created(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++)
		if (txn->changes[i].op == CHANGE_CREATE)
			object_free(txn->changes[i].object);
}

void txn_discard(struct txn *txn)
{
	free_created(txn);
	txn_fini(txn);
}

static struct change *add(struct txn *txn, enum change_op op, struct object *object, size_t index)
{
	struct change *c;

	MEM_GROW(txn->changes, txn->count, txn->room);
	c = &txn->changes[txn->count++];
	*c = (struct change){.op = op, .object = object, .index = index};
	return c;
}

struct object *txn_create(struct txn *txn, const struct kind *kind, json_t *json, size_t index)
{
	struct object *object = object_new(kind, json_incref(json));

	add(txn, CHANGE_CREATE, object, index)->new = json;
	return object;
}

void txn_update(struct txn *txn, struct object *object, json_t *json, size_t index)
{
	struct change *c = add(txn, CHANGE_UPDATE, object, index);

	c->old = json_incref(object->json);
	c->new = json;
}

void txn_delete(struct txn *txn, struct object *object, size_t index)
{
	add(txn, CHANGE_DELETE, object, index)->old = json_incref(object->json);
}

const char *change_op_name(enum change_op op)
{
	static const char *const names[] = {"create", "update", "delete"};

	return names[op];
}

/* Parents first; deletions behind, children first. */
static int compare_changes(const void *pa, const void *pb)
{
	const struct change *a = pa, *b = pb;
	bool da = a->op == CHANGE_DELETE, db = b->op == CHANGE_DELETE;
	size_t ka = a->object->kind_index, kb = b->object->kind_index;

	if (da != db)
		return da ? 1 : -1;
	if (ka != kb)
		return (ka < kb) == !da ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static void set_json(struct object *object, json_t *json)
{
	json_decref(object->json);
	object->json = json_incref(json);
}

static void release(struct txn *txn, struct object *object)
{
	const struct kind_rules *rules = rules_of(object->kind);

	if (rules->release != NULL)
		rules->release(txn->model, object);
}

/* The old versions give back what they hold: children before the parents they hold it from. */
static void withdraw(struct txn *txn)
{
	for (size_t k = kind_count(); k-- > 0;)
		for (size_t i = 0; i < txn->count; i++)
			if (txn->changes[i].old != NULL && txn->changes[i].object->kind_index == k)
				release(txn, txn->changes[i].object);
	for (size_t i = 0; i < txn->count; i++)
		if (txn->changes[i].old != NULL)
			object_unlink(txn->changes[i].object);
}

static void choose_tenant(const struct model *model, const struct kind *kind, json_t *json)
{
	const char *ref, *parent = resource_parent(kind, json, &ref);
	const struct object *object = NULL;

	if (json_object_get(json, "tenant") != NULL)
		return;
	if (parent != NULL)
		object = model_get(model, ref, parent);
	json_object_set_new(json, "tenant",
		json_string(object != NULL ? object_tenant(object) : RESOURCE_TENANT_DEFAULT));
}

/* Parents come first, so a child finds its parent's tenant. */
static void swap_in(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		struct change *c = &txn->changes[i];

		if (c->new != NULL)
			choose_tenant(txn->model, c->object->kind, c->new);
		quota_count(txn->model, c->object, c->old, c->new);
		if (c->op == CHANGE_CREATE)
			model_insert(txn->model, c->object);
		else if (c->op == CHANGE_UPDATE)
			set_json(c->object, c->new);
		else
			model_remove(txn->model, c->object);
	}
}

static bool enter(struct txn *txn, struct change *c, struct resource_error *error)
{
	const struct kind_rules *rules = rules_of(c->object->kind);

	if (rules->complete != NULL && !rules->complete(txn->model, c->new, error))
		return false;
	return object_link(txn->model, c->object, error);
}

static bool claim(struct txn *txn, struct change *c, struct resource_error *error)
{
	const struct kind_rules *rules = rules_of(c->object->kind);

	return rules->claim == NULL || rules->claim(txn->model, c->object, error);
}

static bool choose(struct txn *txn, struct change *c, struct resource_error *error)
{
	const struct kind_rules *rules = rules_of(c->object->kind);

	return rules->choose == NULL || rules->choose(txn->model, c->object, error);
}

/* Do those that refer to a changed object still fit? */
static bool recheck_referrers(
	struct txn *txn, const struct object *object, struct resource_error *error)
{
	const char *blamed = rules_of(object->kind)->blamed;

	for (size_t k = 0; object->referrers != NULL && k < kind_count(); k++) {
		const struct kind_rules *rules = rules_of(kind_at(k));

		for (const struct object_ref *r = object->referrers[k];
			rules->recheck != NULL && r != NULL; r = r->next) {
			if (rules->recheck(txn->model, r->from, error))
				continue;
			if (blamed != NULL)
				strcpy(error->path, blamed);
			return false;
		}
	}
	return true;
}

static bool check(struct txn *txn, struct change *c, struct resource_error *error)
{
	const struct kind_rules *rules = rules_of(c->object->kind);

	if (rules->check != NULL && !rules->check(txn->model, c->object, error))
		return false;
	if (!quota_check(txn->model, c->object, c->old, error))
		return false;
	return c->op != CHANGE_UPDATE || recheck_referrers(txn, c->object, error);
}

typedef bool (*step_fn)(struct txn *txn, struct change *c, struct resource_error *error);

/* One step for those of `first` .. `end` that will be there. */
static bool step_of(struct txn *txn, size_t first, size_t end, step_fn step,
	struct resource_error *error, struct change **at)
{
	for (size_t i = first; i < end; i++) {
		*at = &txn->changes[i];
		if ((*at)->new != NULL && !step(txn, *at, error))
			return false;
	}
	return true;
}

/* One step for all that will be there. False: *at failed. */
static bool each(struct txn *txn, step_fn step, struct resource_error *error, struct change **at)
{
	return step_of(txn, 0, txn->count, step, error, at);
}

/* Named things of a kind are taken before free ones are chosen, or a choice could take a named one. */
static bool claim_and_choose(struct txn *txn, struct resource_error *error, struct change **at)
{
	for (int last = 0; last < 2; last++) {
		for (size_t first = 0, end; first < txn->count; first = end) {
			const struct kind *kind = txn->changes[first].object->kind;
			bool late = rules_of(kind)->chooses_last;

			for (end = first;
				end < txn->count && txn->changes[end].object->kind == kind;)
				end++;
			if (last == 0 && !step_of(txn, first, end, claim, error, at))
				return false;
			if (late == (last != 0) && !step_of(txn, first, end, choose, error, at))
				return false;
		}
	}
	return true;
}

static bool deletions_are_free(struct txn *txn, struct txn_error *error, struct change **at)
{
	for (size_t i = 0; i < txn->count; i++) {
		*at = &txn->changes[i];
		if ((*at)->op != CHANGE_DELETE || !object_is_referred((*at)->object))
			continue;
		resource_fail_code(&error->base, ERROR_IN_USE, "", "%s `%s` is in use",
			(*at)->object->kind->name, (*at)->object->name);
		error->data = json_pack(
			"{s:o}", "referrers", object_referrers((*at)->object, REFERRERS_SHOWN));
		return false;
	}
	return true;
}

static void number(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		struct change *c = &txn->changes[i];

		c->revision = ++txn->model->revision;
		if (c->new != NULL)
			json_object_set_new(
				c->new, "revision", json_integer((json_int_t)c->revision));
	}
	txn->revision = txn->model->revision;
}

bool txn_run(struct txn *txn, struct txn_error *error)
{
	struct change *at = NULL;

	response_join(txn);
	if (txn->count > 0)
		qsort(txn->changes, txn->count, sizeof(*txn->changes), compare_changes);
	withdraw(txn);
	swap_in(txn);
	if (each(txn, enter, &error->base, &at) && deletions_are_free(txn, error, &at) &&
		claim_and_choose(txn, &error->base, &at) && each(txn, check, &error->base, &at)) {
		number(txn);
		return true;
	}
	if (error->base.code == ERROR_EXHAUSTED)
		error->data = json_pack("{s:s}", "what", rules_exhausted_what());
	if (error->base.code == ERROR_IN_USE && error->data == NULL)
		error->data = rules_in_use_data();
	if (txn->indexed)
		resource_error_prefix(&error->base, "/resources/%zu", at->index);
	txn_undo(txn);
	return false;
}

static void take_out_new(struct txn *txn)
{
	for (size_t k = kind_count(); k-- > 0;)
		for (size_t i = 0; i < txn->count; i++)
			if (txn->changes[i].new != NULL && txn->changes[i].object->kind_index == k)
				release(txn, txn->changes[i].object);
	for (size_t i = 0; i < txn->count; i++) {
		struct change *c = &txn->changes[i];

		quota_count(txn->model, c->object, c->new, c->old);
		if (c->new != NULL)
			object_unlink(c->object);
		if (c->op == CHANGE_CREATE)
			model_remove(txn->model, c->object);
		else if (c->op == CHANGE_UPDATE)
			set_json(c->object, c->old);
		else
			model_insert(txn->model, c->object);
	}
}

void txn_undo(struct txn *txn)
{
	struct resource_error none;

	take_out_new(txn);
	for (size_t i = 0; i < txn->count; i++)
		if (txn->changes[i].old != NULL)
			object_link(txn->model, txn->changes[i].object, &none);
	for (size_t k = 0; k < kind_count(); k++)
		for (size_t i = 0; i < txn->count; i++)
			if (txn->changes[i].old != NULL && txn->changes[i].object->kind_index == k)
				claim(txn, &txn->changes[i], &none);
	txn_discard(txn);
}

void txn_finish(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++)
		if (txn->changes[i].op == CHANGE_DELETE)
			object_free(txn->changes[i].object);
	txn_fini(txn);
}

void txn_error_fini(struct txn_error *error)
{
	json_decref(error->data);
	error->data = NULL;
}

void txn_restore(struct model *model, const struct kind *kind, json_t *json)
{
	struct object *object = object_new(kind, json);

	quota_count(model, object, NULL, json);
	model_insert(model, object);
}

int txn_restored(struct model *model, struct resource_error *error, const char **which)
{
	struct txn txn = {.model = model};

	for (size_t k = 0; k < kind_count(); k++)
		MODEL_FOREACH(model, kind_at(k), object)
	if (*which = object->name, !object_link(model, object, error))
		return -EINVAL;
	for (size_t k = 0; k < kind_count(); k++) {
		MODEL_FOREACH(model, kind_at(k), object)
		{
			struct change c = {.object = object};

			*which = object->name;
			if (!claim(&txn, &c, error))
				return -EINVAL;
		}
	}
	return 0;
}
