// SPDX-License-Identifier: Apache-2.0
/*
 * Objects, lists and unions. Errors get their JSON pointer on the way out: each level puts its own
 * step in front, so that a valid object costs no text.
 */
#include <string.h>

#include "lib/resource_internal.h"
#include "lib/resource_list.h"

static bool in_member(struct resource_error *error, const char *name)
{
	char path[RESOURCE_PATH_MAX];

	resource_pointer_append(path, sizeof(path), 0, name);
	resource_error_prefix(error, "%s", path);
	return false;
}

static bool check_object(const json_t *in, struct resource_error *error)
{
	return json_is_object(in) ||
	       resource_fail(error, "", "must be an object, not %s", resource_json_type(in));
}

/* Finds the member that is in no table and says so. */
static bool fail_unknown(const struct field *fields, const char *const *extra, const json_t *in,
	struct resource_error *error)
{
	const char *choices[64], *name;
	const struct field *field;
	char path[RESOURCE_PATH_MAX];
	size_t count = 0;
	json_t *value;

	for (size_t i = 0; extra[i]; i++)
		choices[count++] = extra[i];
	FIELD_FOREACH(field, fields)
	if (count < 64)
		choices[count++] = field->name;
	json_object_foreach ((json_t *)in, name, value) {
		bool known = field_find(fields, name) != NULL;

		for (size_t i = 0; extra[i] && !known; i++)
			known = !strcmp(extra[i], name);
		if (known)
			continue;
		resource_pointer_append(path, sizeof(path), 0, name);
		return resource_fail_choice(error, path, "unknown field", name, choices, count);
	}
	return true;
}

/* A member that is absent or null: *out its default, NULL for none, or null in an update. */
static bool absent_member(const struct field *field, enum resource_mode mode, bool is_null,
	json_t **out, struct resource_error *error)
{
	json_t *def;
	bool ok;

	*out = NULL;
	if (field->flags & FIELD_KEY || (field->flags & FIELD_REQUIRED && mode != RESOURCE_UPDATE))
		return resource_fail(error, "", "is required");
	if (mode == RESOURCE_UPDATE && !is_null)
		return true;
	if (field->flags & FIELD_REQUIRED)
		return resource_fail(error, "", "is required: it cannot be null");
	def = field_default(field);
	if (!def) {
		*out = mode == RESOURCE_UPDATE ? json_null() : NULL;
		return true;
	}
	if (field->type != FIELD_OBJECT && field->type != FIELD_UNION) {
		*out = def;
		return true;
	}
	/* The members of a default object have defaults of their own. */
	ok = resource_value(field, RESOURCE_CREATE, def, out, error);
	json_decref(def);
	return ok;
}

static bool member_validate(const struct field *field, enum resource_mode mode, const json_t *in,
	json_t *result, struct resource_error *error)
{
	bool absent = !in || json_is_null(in);
	json_t *out = NULL;

	if (field->flags & FIELD_READ_ONLY) {
		bool guards = field->flags & FIELD_GUARD && mode == RESOURCE_UPDATE;

		if (!in || mode == RESOURCE_APPLY || (guards && absent))
			return true;
		if (!guards)
			return resource_fail(error, "", "is read-only");
	}
	if (absent ? !absent_member(field, mode, in != NULL, &out, error)
		   : !resource_value(field, mode, in, &out, error))
		return false;
	if (out)
		json_object_set_new_nocheck(result, field->name, out);
	return true;
}

/* `extra`: members that are dropped, a list that ends with NULL. */
static bool members_validate(const struct field *fields, const char *const *extra,
	enum resource_mode mode, const json_t *in, json_t *result, struct resource_error *error)
{
	const struct field *field;
	size_t seen = 0;

	if (!check_object(in, error))
		return false;
	for (size_t i = 0; extra[i]; i++)
		seen += json_object_get(in, extra[i]) != NULL;
	FIELD_FOREACH(field, fields)
	{
		const json_t *value = json_object_get(in, field->name);

		seen += value != NULL;
		if (member_validate(field, mode, value, result, error))
			continue;
		/* A misspelt field often explains why another one is missing: it goes first. */
		in_member(error, field->name);
		fail_unknown(fields, extra, in, error);
		return false;
	}
	return seen == json_object_size(in) || fail_unknown(fields, extra, in, error);
}

static const char *const no_extra[] = {NULL};

bool fields_validate(const struct field *fields, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error)
{
	*out = json_object();
	if (members_validate(fields, no_extra, mode, in, *out, error))
		return true;
	json_decref(*out);
	*out = NULL;
	return false;
}

/* A union is always whole: `tag` decides what its other members are. */
static bool union_validate(
	const struct field *field, const json_t *in, json_t *result, struct resource_error *error)
{
	const struct field_variant *variant;
	const char *extra[] = {field->tag, NULL};
	const char *choices[32];
	const json_t *tag;
	size_t count = 0;

	if (!check_object(in, error))
		return false;
	tag = json_object_get(in, field->tag);
	if (!tag || json_is_null(tag)) {
		resource_fail(error, "", "is required");
		return in_member(error, field->tag);
	}
	if (!json_is_string(tag)) {
		resource_fail(error, "", "must be a string, not %s", resource_json_type(tag));
		return in_member(error, field->tag);
	}
	variant = field_variant_find(field, json_string_value(tag));
	if (!variant) {
		for (const struct field_variant *v = field->variants; v->value && count < 32; v++)
			choices[count++] = v->value;
		resource_fail_choice(
			error, "", "unknown value", json_string_value(tag), choices, count);
		return in_member(error, field->tag);
	}
	json_object_set_nocheck(result, field->tag, (json_t *)tag);
	return members_validate(variant->fields, extra, RESOURCE_CREATE, in, result, error);
}

/* Any object of an apply: {kind, …}. */
static bool any_resource_validate(const json_t *in, json_t **out, struct resource_error *error)
{
	static const struct field kind_field = {"kind", FIELD_KIND, FIELD_KEY};
	const json_t *name;
	json_t *canonical;

	if (!check_object(in, error))
		return false;
	name = json_object_get(in, "kind");
	if (!name) {
		resource_fail(error, "", "is required");
		return in_member(error, "kind");
	}
	if (!resource_scalar(&kind_field, name, &canonical, error))
		return in_member(error, "kind");
	if (!resource_validate(
		    kind_find(json_string_value(canonical)), RESOURCE_APPLY, in, out, error)) {
		json_decref(canonical);
		return false;
	}
	json_object_set_new_nocheck(*out, "kind", canonical);
	return true;
}

static bool single_validate(const struct field *field, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error)
{
	bool ok;

	switch (field->type) {
	case FIELD_OBJECT:
		ok = fields_validate(field->fields, mode, in, out, error);
		break;
	case FIELD_UNION:
		*out = json_object();
		ok = union_validate(field, in, *out, error);
		break;
	case FIELD_RESOURCE:
		return any_resource_validate(in, out, error);
	default:
		ok = resource_scalar(field, in, out, error);
	}
	/* Half an object is checked when it has become whole, by resource_merge. */
	if (ok && field->check && (field->type != FIELD_OBJECT || mode != RESOURCE_UPDATE))
		ok = field->check(*out, error);
	if (!ok) {
		json_decref(*out);
		*out = NULL;
	}
	return ok;
}

static bool list_check_size(
	const struct field *field, const json_t *in, struct resource_error *error)
{
	size_t count = json_array_size(in);
	size_t max = field->max_items ? field->max_items : RESOURCE_LIST_MAX;

	if (count < field->min_items)
		return resource_fail(error, "", "must have at least %u item%s", field->min_items,
			field->min_items == 1 ? "" : "s");
	if (count > max)
		return resource_fail(
			error, "", "has %zu items: at most %zu are allowed", count, max);
	return true;
}

static bool list_validate(
	const struct field *field, const json_t *in, json_t *result, struct resource_error *error)
{
	size_t index;
	json_t *item;
	long duplicate;

	if (!json_is_array(in))
		return resource_fail(error, "", "must be a list, not %s", resource_json_type(in));
	if (!list_check_size(field, in, error))
		return false;
	json_array_foreach ((json_t *)in, index, item) {
		json_t *out = NULL;

		if (!single_validate(field, RESOURCE_CREATE, item, &out, error)) {
			resource_error_prefix(error, "/%zu", index);
			return false;
		}
		json_array_append_new(result, out);
	}
	duplicate = field->flags & FIELD_SET ? resource_list_duplicate(result) : -1;
	if (duplicate >= 0) {
		resource_fail(error, "", "is in the list twice");
		resource_error_prefix(error, "/%ld", duplicate);
	}
	return duplicate < 0;
}

bool resource_value(const struct field *field, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error)
{
	if (!(field->flags & FIELD_LIST))
		return single_validate(field, mode, in, out, error);
	*out = json_array();
	if (list_validate(field, in, *out, error))
		return true;
	json_decref(*out);
	*out = NULL;
	return false;
}

bool resource_finish(const struct kind *kind, json_t *object, struct resource_error *error)
{
	if (kind->complete)
		kind->complete(object);
	return !kind->check || kind->check(object, error);
}

bool resource_validate(const struct kind *kind, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error)
{
	static const char *const apply_extra[] = {"kind", NULL};
	const char *const *extra = mode == RESOURCE_APPLY ? apply_extra : no_extra;

	*out = json_object();
	if (members_validate(kind->fields, extra, mode, in, *out, error) &&
		(mode == RESOURCE_UPDATE || resource_finish(kind, *out, error)))
		return true;
	json_decref(*out);
	*out = NULL;
	return false;
}
