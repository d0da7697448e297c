/* SPDX-License-Identifier: Apache-2.0 */
/* create, get, list, update, delete of any kind. */
#include "api.h"
#include "commit.h"
#include "listing.h"
#include "mem.h"
#include "view.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

/* ---- Changes ---- */

static void answer(struct api_call *call, bool obeyed)
{
	if (obeyed && call->method->kind != NULL && call->method->verb != METHOD_DELETE)
		view_reply(call, json_incref(call->result), true);
	else
		api_reply(call, json_incref(call->result));
}

static void on_obeyed(struct wait_outcome *outcome, void *arg)
{
	struct api_call *call = arg;

	if (outcome->nodes == NULL)
		answer(call, true);
	else
		api_fail(call, ERROR_UNAVAILABLE,
			json_pack("{s:I, s:O}", "revision", (json_int_t)outcome->revision, "nodes",
				outcome->nodes),
			"stored as revision %llu, but not every node obeys it yet: %s",
			(unsigned long long)outcome->revision, outcome->reason);
}

void api_stored(int rc, const struct txn *txn, void *arg)
{
	struct api_call *call = arg;
	uint64_t first = call->unchanged, last = call->unchanged;

	if (rc < 0) {
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"the change could not be stored, and was not made; the log says why");
		return;
	}
	if (txn->count > 0) {
		first = txn->changes[0].revision;
		last = txn->revision;
	}
	/* What was so already may have been told a moment ago: not every node need obey it yet. */
	if (call->control.wait && first > 0)
		wait_for_nodes(
			call->c, first, last, call->control.wait_timeout_ms, on_obeyed, call);
	else
		answer(call, false);
}

static json_t *touched_by(const struct txn *txn)
{
	json_t *list = mem_json(json_array());

	for (size_t i = 0; i < txn->count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s}", "op", change_op_name(txn->changes[i].op),
				      "kind", txn->changes[i].object->kind->name, "name",
				      txn->changes[i].object->name));
	return list;
}

static bool run(struct api_call *call, struct txn *txn)
{
	struct txn_error error = {0};

	call->touched = touched_by(txn);
	if (txn_run(txn, &error))
		return true;
	api_fail_error(call, &error);
	return false;
}

void api_commit_with(struct api_call *call, struct txn *txn, api_result_fn result, size_t arg)
{
	if (!run(call, txn))
		return;
	call->result = result(txn, arg);
	commit_submit(call->c, txn, api_stored, call);
}

void api_commit(struct api_call *call, struct txn *txn, const char *shown)
{
	const struct object *object;

	if (!run(call, txn))
		return;
	/* Now: before it is stored, another call may change the object again, or delete it. */
	object = txn->count > 0 ? txn->changes[0].object
				: model_find(&call->c->model, call->method->kind, shown);
	if (txn->count == 0)
		call->unchanged = (uint64_t)resource_integer(object->json, "revision", 0);
	if (call->result == NULL)
		call->result = view_object(call->c, object);
	commit_submit(call->c, txn, api_stored, call);
}

void api_create(struct api_call *call)
{
	const struct kind *kind = call->method->kind;
	const char *name = resource_text(call->params, "name");
	struct txn_error error = {0};
	struct txn txn;

	if (model_find(&call->c->model, kind, name) != NULL) {
		resource_fail_code(&error.base, ERROR_ALREADY_EXISTS, "/name",
			"there is a %s `%s` already", kind->name, name);
		api_fail_error(call, &error);
		return;
	}
	txn_init(&txn, &call->c->model);
	txn_create(&txn, kind, json_copy(call->params), 0);
	api_commit(call, &txn, NULL);
}

void api_update(struct api_call *call)
{
	const struct kind *kind = call->method->kind;
	struct object *object = api_object(call);
	struct txn_error error = {0};
	struct txn txn;
	json_t *new;

	if (object == NULL)
		return;
	resource_share(kind, object->json, call->params);
	if (!resource_merge(kind, object->json, call->params, &new, &error.base)) {
		api_fail_error(call, &error);
		return;
	}
	txn_init(&txn, &call->c->model);
	if (resource_equal(kind, object->json, new))
		json_decref(new);
	else
		txn_update(&txn, object, new, 0);
	api_commit(call, &txn, object->name);
}

static bool add_deletion(
	struct api_call *call, struct txn *txn, const char *name, struct txn_error *error)
{
	struct object *object = model_find(&call->c->model, call->method->kind, name);

	if (object == NULL)
		return resource_fail_code(&error->base, ERROR_NOT_FOUND, "", "there is no %s `%s`",
			call->method->kind->name, name);
	txn_delete(txn, object, txn->count);
	return true;
}

void api_delete(struct api_call *call)
{
	const json_t *names = json_object_get(call->params, "names"), *name;
	const char *one = resource_text(call->params, "name");
	struct txn_error error = {0};
	bool ok = true;
	struct txn txn;
	size_t i;

	txn_init(&txn, &call->c->model);
	if (one != NULL && !(ok = add_deletion(call, &txn, one, &error)))
		resource_error_prefix(&error.base, "/name");
	json_array_foreach ((json_t *)names, i, name) {
		ok = add_deletion(call, &txn, json_string_value(name), &error);
		if (!ok) {
			resource_error_prefix(&error.base, "/names/%zu", i);
			break;
		}
	}
	if (!ok) {
		txn_discard(&txn);
		api_fail_error(call, &error);
		return;
	}
	call->result = mem_json(json_object());
	api_commit(call, &txn, NULL);
}

/* ---- Reads ---- */

void api_get(struct api_call *call)
{
	struct object *object = api_object(call);

	if (object != NULL)
		view_reply(call, view_object(call->c, object), false);
}

void api_list(struct api_call *call)
{
	const struct kind *kind = call->method->kind;
	json_int_t limit = resource_integer(call->params, "limit", 0);
	struct listing *listing = listing_new(&call->c->model, kind, call->params);
	json_t *items = mem_json(json_array()), *cursor = NULL;
	const struct object *object;
	const char *last = NULL;

	while ((object = listing_next(listing)) != NULL) {
		if (limit > 0 && json_array_size(items) == (size_t)limit) {
			cursor = json_string(last);
			break;
		}
		json_array_append_new(items, view_object(call->c, object));
		last = object->name;
	}
	listing_free(listing);
	view_reply(call,
		json_pack("{s:o, s:o}", "items", items, "cursor",
			cursor != NULL ? cursor : json_null()),
		false);
}
