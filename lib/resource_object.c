// SPDX-License-Identifier: Apache-2.0
/*
 * Whole objects: an update laid over one, two compared, one exported, searched and walked for
 * references.
 */
#include <stdio.h>
#include <string.h>

#include "lib/json_memo.h"
#include "lib/resource_internal.h"
#include "lib/resource_list.h"

static bool values_equal(const json_t *a, const json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

/* ---- Update ---- */

static bool merge_value(const struct field *field, const json_t *old, const json_t *change,
	json_t **out, struct resource_error *error);

/* Lays `changes` over `object`, which is ours to change. */
static bool merge_members(const struct field *fields, json_t *object, const json_t *changes,
	struct resource_error *error)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		const json_t *change = json_object_get(changes, field->name);
		json_t *merged;

		if (!change || field->flags & (FIELD_READ_ONLY | FIELD_KEY))
			continue;
		if (json_is_null(change)) {
			json_object_del(object, field->name);
			continue;
		}
		if (!merge_value(
			    field, json_object_get(object, field->name), change, &merged, error)) {
			resource_error_prefix(error, "/%s", field->name);
			return false;
		}
		json_object_set_new_nocheck(object, field->name, merged);
	}
	return true;
}

static bool merge_value(const struct field *field, const json_t *old, const json_t *change,
	json_t **out, struct resource_error *error)
{
	if (field->type != FIELD_OBJECT || field->flags & FIELD_LIST) {
		*out = json_incref((json_t *)change);
		return true;
	}
	if (!old) /* what was an optional object's absence must now be a whole one */
		return resource_value(field, RESOURCE_CREATE, change, out, error);
	*out = json_copy((json_t *)old);
	if (merge_members(field->fields, *out, change, error) &&
		(!field->check || field->check(*out, error)))
		return true;
	json_decref(*out);
	return false;
}

static bool check_revision(const json_t *old, const json_t *changes, struct resource_error *error)
{
	const json_t *expected = json_object_get(changes, "revision");
	json_int_t revision = resource_integer(old, "revision", 0);

	if (!expected || json_integer_value(expected) == revision)
		return true;
	return resource_fail_code(error, ERROR_CONFLICT, "/revision",
		"the object has moved on: it is at revision %" JSON_INTEGER_FORMAT, revision);
}

static bool check_immutable(const struct kind *kind, const json_t *old, const json_t *new,
	bool given_only, struct resource_error *error)
{
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		char path[RESOURCE_PATH_MAX];

		if (!(field->flags & FIELD_IMMUTABLE) ||
			(given_only && !json_object_get(new, field->name)) ||
			values_equal(json_object_get(old, field->name),
				json_object_get(new, field->name)))
			continue;
		resource_pointer_append(path, sizeof(path), 0, field->name);
		return resource_fail(error, path,
			"cannot be changed after creation: delete the %s and create it anew",
			kind->name);
	}
	return true;
}

bool resource_merge(const struct kind *kind, const json_t *old, const json_t *changes, json_t **out,
	struct resource_error *error)
{
	*out = NULL;
	if (!check_revision(old, changes, error))
		return false;
	*out = json_copy((json_t *)old);
	/* What cannot be changed is to blame before what no longer fits it; but a field that null took
	 * away may get its old value again. */
	if (merge_members(kind->fields, *out, changes, error) &&
		check_immutable(kind, old, *out, true, error) &&
		resource_finish(kind, *out, error) &&
		resource_check_immutable(kind, old, *out, error))
		return true;
	json_decref(*out);
	*out = NULL;
	return false;
}

void resource_keep_automatic(const struct kind *kind, const json_t *old, json_t *object)
{
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		json_t *value = json_object_get(old, field->name);

		if (field->flags & (FIELD_AUTO | FIELD_AUTO_MAYBE) && value &&
			!json_object_get(object, field->name))
			json_object_set_nocheck(object, field->name, value);
	}
}

bool resource_check_immutable(
	const struct kind *kind, const json_t *old, const json_t *new, struct resource_error *error)
{
	return check_immutable(kind, old, new, false, error);
}

/* ---- Comparison and export ---- */

void resource_share(const struct kind *kind, const json_t *old, json_t *object)
{
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		json_t *before = json_object_get(old, field->name);
		json_t *list = json_object_get(object, field->name);

		if (field->flags & FIELD_LIST && json_array_size(list) >= JSON_MEMO_LONG &&
			resource_list_share(before, list))
			json_object_set_nocheck(object, field->name, before);
	}
}

bool resource_equal(const struct kind *kind, const json_t *a, const json_t *b)
{
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	if (!(field->flags & FIELD_READ_ONLY) &&
		!values_equal(json_object_get(a, field->name), json_object_get(b, field->name)))
		return false;
	return true;
}

static json_t *value_or_null(json_t *value)
{
	return value ? json_incref(value) : json_null();
}

json_t *resource_diff(const struct kind *kind, const json_t *old, const json_t *new)
{
	json_t *diff = json_object();
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		json_t *before = json_object_get(old, field->name);
		json_t *after = json_object_get(new, field->name), *pair;

		if (field->flags & FIELD_READ_ONLY || values_equal(before, after))
			continue;
		pair = json_array();
		json_array_append_new(pair, value_or_null(before));
		json_array_append_new(pair, value_or_null(after));
		json_object_set_new_nocheck(diff, field->name, pair);
	}
	return diff;
}

json_t *resource_export(const struct kind *kind, const json_t *object)
{
	json_t *result = json_object();
	const struct field *field;

	json_object_set_new_nocheck(result, "kind", json_string(kind->name));
	FIELD_FOREACH(field, kind->fields)
	{
		json_t *value = json_object_get(object, field->name);

		if (value && !(field->flags & FIELD_READ_ONLY))
			json_object_set_nocheck(result, field->name, value);
	}
	return result;
}

static bool contains(const json_t *list, const json_t *wanted)
{
	size_t index;
	json_t *item;

	json_array_foreach ((json_t *)list, index, item)
		if (json_equal(item, wanted))
			return true;
	return false;
}

bool resource_matches(const struct kind *kind, const json_t *object, const json_t *filters)
{
	const char *name;
	json_t *wanted;

	json_object_foreach ((json_t *)filters, name, wanted) {
		const struct field *field = field_find(kind->fields, name);
		const json_t *value = json_object_get(object, name);

		if (!field)
			continue;
		if (field->flags & FIELD_LIST ? !contains(value, wanted)
					      : !values_equal(value, wanted))
			return false;
	}
	return true;
}

/* ---- References ---- */

struct ref_walk {
	char path[RESOURCE_PATH_MAX];
	resource_ref_fn fn;
	void *arg;
	size_t found;
};

static bool walk_members(
	struct ref_walk *walk, size_t length, const struct field *fields, const json_t *object);

static bool walk_value(
	struct ref_walk *walk, size_t length, const struct field *field, const json_t *value)
{
	const struct field_variant *variant;
	struct resource_ref ref;

	switch (field->type) {
	case FIELD_REF:
		ref = (struct resource_ref){walk->path, field, kind_find(field->ref),
			json_string_value(value), field->flags & FIELD_ANY_TENANT};
		walk->found++;
		return !ref.kind || !ref.name || walk->fn(&ref, walk->arg);
	case FIELD_OBJECT:
		return walk_members(walk, length, field->fields, value);
	case FIELD_UNION:
		variant = field_variant_find(field, resource_text(value, field->tag));
		return !variant || walk_members(walk, length, variant->fields, value);
	default:
		return true;
	}
}

static bool walk_list(
	struct ref_walk *walk, size_t length, const struct field *field, const json_t *list)
{
	size_t index;
	json_t *item;

	json_array_foreach ((json_t *)list, index, item) {
		struct json_memo *memo = json_memo_find(item);
		size_t end, found = walk->found;
		char number[24];

		if (memo && memo->names_nobody)
			continue;
		snprintf(number, sizeof(number), "%zu", index);
		end = resource_pointer_append(walk->path, sizeof(walk->path), length, number);
		if (!walk_value(walk, end, field, item))
			return false;
		if (memo)
			memo->names_nobody = walk->found == found;
	}
	return true;
}

/* Can there be a reference under this field? Saves walking long lists of CIDRs. */
static bool may_refer(const struct field *field)
{
	return field->type == FIELD_REF || field->type == FIELD_OBJECT ||
	       field->type == FIELD_UNION;
}

static bool walk_members(
	struct ref_walk *walk, size_t length, const struct field *fields, const json_t *object)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		const json_t *value;
		size_t end;

		if (!may_refer(field) || field->flags & FIELD_READ_ONLY)
			continue;
		value = json_object_get(object, field->name);
		if (!value)
			continue;
		end = resource_pointer_append(walk->path, sizeof(walk->path), length, field->name);
		if (field->flags & FIELD_LIST ? !walk_list(walk, end, field, value)
					      : !walk_value(walk, end, field, value))
			return false;
	}
	return true;
}

bool resource_refs(const struct kind *kind, const json_t *object, resource_ref_fn fn, void *arg)
{
	struct ref_walk walk = {.fn = fn, .arg = arg};

	return walk_members(&walk, 0, kind->fields, object);
}

/* The first reference that the object has among these. */
static const char *reference_in(const struct field *fields, const json_t *object, const char **ref)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		const json_t *value = json_object_get(object, field->name);
		const char *name =
			json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);

		if (field->type != FIELD_REF || name == NULL)
			continue;
		*ref = field->ref;
		return name;
	}
	return NULL;
}

const char *resource_parent(const struct kind *kind, const json_t *object, const char **ref)
{
	const struct field *field =
		kind->parent != NULL ? field_find(kind->fields, kind->parent) : NULL;
	const json_t *value = field != NULL ? json_object_get(object, field->name) : NULL;

	if (json_is_array(value))
		value = json_array_get(value, 0);
	if (value != NULL && field->type == FIELD_OBJECT)
		return reference_in(field->fields, value, ref);
	if (value != NULL)
		*ref = field->ref;
	return json_string_value(value);
}
