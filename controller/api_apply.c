/* SPDX-License-Identifier: Apache-2.0 */
/* apply and export: the whole desired network, or a part of it, at once. */
#include "api.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct apply {
	struct txn txn;
	struct txn_error error;
	size_t unchanged;
	uint64_t newest; /* revision, of those unchanged */
};

/* The parts of the object that only the server writes stay as they are. */
static void keep_read_only(const struct kind *kind, const json_t *old, json_t *new)
{
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		json_t *value = json_object_get(old, field->name);

		if (field->flags & FIELD_READ_ONLY && value != NULL)
			json_object_set(new, field->name, value);
	}
}

static bool take_known(struct apply *a, struct object *object, json_t *resource, size_t index)
{
	const struct kind *kind = object->kind;
	uint64_t revision;

	json_object_del(resource, "kind");
	resource_keep_automatic(kind, object->json, resource);
	if (!resource_check_immutable(kind, object->json, resource, &a->error.base)) {
		resource_error_prefix(&a->error.base, "/resources/%zu", index);
		return false;
	}
	resource_share(kind, object->json, resource);
	if (resource_equal(kind, object->json, resource)) {
		a->unchanged++;
		revision = (uint64_t)resource_integer(object->json, "revision", 0);
		if (revision > a->newest)
			a->newest = revision;
		return true;
	}
	keep_read_only(kind, object->json, resource);
	txn_update(&a->txn, object, json_incref(resource), index);
	return true;
}

static bool take(struct apply *a, json_t *resource, size_t index)
{
	const struct kind *kind = kind_find(resource_text(resource, "kind"));
	struct object *object = model_find(a->txn.model, kind, resource_text(resource, "name"));

	if (kind->flags & KIND_SERVER_MADE) {
		resource_fail(&a->error.base, "/kind", "only the server makes a %s", kind->name);
		resource_error_prefix(&a->error.base, "/resources/%zu", index);
		return false;
	}
	if (object != NULL)
		return take_known(a, object, resource, index);
	json_object_del(resource, "kind");
	txn_create(&a->txn, kind, json_incref(resource), index);
	return true;
}

/* Which "kind tenant" pairs and which "kind name" are in the call. */
static void note(json_t *set, const char *kind, const char *text)
{
	char *key = mem_printf("%s %s", kind, text);

	json_object_set_new(set, key, json_true());
	free(key);
}

static bool noted(const json_t *set, const char *kind, const char *text)
{
	char *key = mem_printf("%s %s", kind, text);
	bool found = json_object_get(set, key) != NULL;

	free(key);
	return found;
}

/* A resource's tenant, when it is new and says none: that of its parent, in the call or the model. */
static const char *tenant_of(const struct model *model, const json_t *named,
	const struct kind *kind, const json_t *resource)
{
	const struct object *known = model_find(model, kind, resource_text(resource, "name"));
	const char *ref, *parent = resource_parent(kind, resource, &ref);
	const json_t *sibling;
	char *key;

	if (resource_text(resource, "tenant") != NULL)
		return resource_text(resource, "tenant");
	if (known != NULL)
		return object_tenant(known);
	if (parent == NULL)
		return RESOURCE_TENANT_DEFAULT;
	key = mem_printf("%s %s", ref, parent);
	sibling = json_object_get(named, key);
	free(key);
	if (sibling != NULL)
		return tenant_of(model, named, kind_find(ref), sibling);
	known = model_get(model, ref, parent);
	return known != NULL ? object_tenant(known) : RESOURCE_TENANT_DEFAULT;
}

static void prune(struct apply *a, const json_t *named, const json_t *scopes)
{
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		MODEL_FOREACH(a->txn.model, kind, object)
		{
			if (noted(scopes, kind->name, object_tenant(object)) &&
				!noted(named, kind->name, object->name))
				txn_delete(&a->txn, object, 0);
		}
	}
}

static void find_scopes(
	const struct model *model, const json_t *resources, json_t *named, json_t *scopes)
{
	json_t *resource;
	size_t i;

	json_array_foreach ((json_t *)resources, i, resource) {
		char *key = mem_printf(
			"%s %s", resource_text(resource, "kind"), resource_text(resource, "name"));

		json_object_set(named, key, resource);
		free(key);
	}
	json_array_foreach ((json_t *)resources, i, resource) {
		const struct kind *kind = kind_find(resource_text(resource, "kind"));

		note(scopes, kind->name, tenant_of(model, named, kind, resource));
	}
}

static bool gather(struct apply *a, const json_t *params)
{
	json_t *resources = json_object_get(params, "resources"), *resource;
	json_t *named = mem_json(json_object()), *scopes = mem_json(json_object());
	bool ok = true;
	size_t i;

	if (resource_boolean(params, "prune", false)) {
		find_scopes(a->txn.model, resources, named, scopes);
		prune(a, named, scopes);
	}
	json_decref(named);
	json_decref(scopes);
	json_array_foreach (resources, i, resource) {
		/* The call's own text stays whole for the audit log. */
		json_t *copy = mem_json(json_copy(resource));

		ok = take(a, copy, i);
		json_decref(copy);
		if (!ok)
			break;
	}
	return ok;
}

static json_t *diff_of(const struct txn *txn, size_t unchanged)
{
	json_t *changes = mem_json(json_array());
	json_int_t counts[3] = {0};

	for (size_t i = 0; i < txn->count; i++) {
		const struct change *ch = &txn->changes[i];

		if (ch->object->kind->flags & KIND_SERVER_MADE)
			continue; /* what follows from the call's own changes */
		counts[ch->op]++;
		json_array_append_new(changes,
			json_pack("{s:s, s:s, s:s, s:o}", "op", change_op_name(ch->op), "kind",
				ch->object->kind->name, "name", ch->object->name, "diff",
				resource_diff(ch->object->kind, ch->old, ch->new)));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "created", counts[CHANGE_CREATE], "updated",
		counts[CHANGE_UPDATE], "deleted", counts[CHANGE_DELETE], "unchanged",
		(json_int_t)unchanged, "changes", changes);
}

/* Runs it, says what would change, and takes it back. */
static void try_only(struct api_call *call, struct apply *a)
{
	uint64_t revision = a->txn.model->revision;
	json_t *result;

	if (!txn_run(&a->txn, &a->error)) {
		api_fail_error(call, &a->error);
		return;
	}
	result = diff_of(&a->txn, a->unchanged);
	txn_undo(&a->txn);
	call->c->model.revision = revision;
	api_reply(call, result);
}

void api_apply(struct api_call *call)
{
	struct apply a = {.unchanged = 0};

	txn_init(&a.txn, &call->c->model);
	a.txn.indexed = true;
	if (!gather(&a, call->params)) {
		txn_discard(&a.txn);
		api_fail_error(call, &a.error);
		return;
	}
	if (resource_boolean(call->params, "dry_run", false)) {
		try_only(call, &a);
		return;
	}
	call->unchanged = a.newest;
	api_commit_with(call, &a.txn, diff_of, a.unchanged);
}

void api_export(struct api_call *call)
{
	json_t *resources = mem_json(json_array());
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		if (kind->flags & KIND_SERVER_MADE)
			continue;
		MODEL_FOREACH(&call->c->model, kind, object)
		json_array_append_new(resources, resource_export(kind, object->json));
	}
	api_reply(call, json_pack("{s:o}", "resources", resources));
}
