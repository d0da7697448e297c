// SPDX-License-Identifier: Apache-2.0
#include "cli/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

#define NAME_MAX_LENGTH 128

static bool has_members(const struct field *field)
{
	return field->type == FIELD_OBJECT || field->type == FIELD_UNION ||
	       field->type == FIELD_RESOURCE;
}

/* ---- Finding fields ---- */

#define VARIANTS_MAX 32

/* The tag as a field of its own: one of the variants. Valid until the next call. */
static const struct field *union_tag(const struct field *field)
{
	static struct field_value values[VARIANTS_MAX + 1];
	static struct field tag;
	size_t count = 0;

	for (const struct field_variant *v = field->variants; v->value && count < VARIANTS_MAX; v++)
		values[count++] = (struct field_value){v->value, v->help};
	values[count] = (struct field_value){0};
	tag = (struct field){
		.name = field->tag, .type = FIELD_ENUM, .values = values, .help = field->help};
	return &tag;
}

/* A member of a union: its tag, else a member of the variant that was chosen, else of any. */
static const struct field *union_member(
	const struct field *field, const char *name, const json_t *value)
{
	const char *chosen = resource_text(value, field->tag);

	if (!strcmp(name, field->tag))
		return union_tag(field);
	for (const struct field_variant *v = field->variants; v->value; v++) {
		const struct field *member = field_find(v->fields, name);

		if (member && (!chosen || !strcmp(chosen, v->value)))
			return member;
	}
	return chosen ? union_member(field, name, NULL) : NULL;
}

static const struct field *member_of(
	const struct field *field, const char *name, const json_t *value)
{
	if (field->type == FIELD_UNION)
		return union_member(field, name, value);
	return field->type == FIELD_OBJECT ? field_find(field->fields, name) : NULL;
}

/* Cuts the first part off a dotted path; returns the rest, "" after the last. */
static const char *cut(const char *path, char *name, size_t size)
{
	size_t length = strcspn(path, ".");

	snprintf(name, size, "%.*s", (int)length, path);
	text_underscores(name, name, size);
	return path[length] ? path + length + 1 : "";
}

const struct field *value_field(const struct field *fields, const char *path, const json_t *given)
{
	char name[NAME_MAX_LENGTH];
	const struct field *field;

	path = cut(path, name, sizeof(name));
	field = field_find(fields, name);
	while (field && *path) {
		if (field->flags & FIELD_LIST)
			return NULL;
		given = json_object_get(given, field->name);
		path = cut(path, name, sizeof(name));
		field = member_of(field, name, given);
	}
	return field;
}

/* ---- Values ---- */

bool value_is_boolean(const char *text)
{
	return !strcmp(text, "true") || !strcmp(text, "false") || !strcmp(text, "yes") ||
	       !strcmp(text, "no") || !strcmp(text, "null");
}

static json_t *refuse(char *why, size_t size, const char *what, const char *text)
{
	snprintf(why, size, "must be %s, not \"%.100s\"", what, text);
	return NULL;
}

static json_t *integer(const char *text, char *why, size_t size)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	return *text && !*end && !errno ? json_integer(value)
					: refuse(why, size, "a whole number", text);
}

static json_t *scalar(const struct field *field, const char *text, char *why, size_t size)
{
	json_t *value;

	switch (field->type) {
	case FIELD_INTEGER:
		return integer(text, why, size);
	case FIELD_BOOLEAN:
		return value_is_boolean(text)
			       ? json_boolean(!strcmp(text, "true") || !strcmp(text, "yes"))
			       : refuse(why, size, "true or false", text);
	case FIELD_PROTOCOL:
		if (*text && text[strspn(text, "0123456789")] == '\0')
			return integer(text, why, size);
		break;
	case FIELD_KIND: {
		char name[NAME_MAX_LENGTH];

		return json_string(text_underscores(text, name, sizeof(name)));
	}
	default:
		break;
	}
	value = json_string(text);
	return value ? value : refuse(why, size, "UTF-8", "?");
}

static json_t *from_json(const char *text, char *why, size_t size)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!value)
		snprintf(why, size, "is no JSON: %s", error.text);
	return value;
}

/* member=value,member=value */
static json_t *from_pairs(const struct field *field, const char *text, char *why, size_t size)
{
	json_t *object = json_object();
	char *copy = must(strdup(text)), *save = NULL;

	for (char *pair = strtok_r(copy, ",", &save); pair; pair = strtok_r(NULL, ",", &save)) {
		char *equals = strchr(pair, '='), name[NAME_MAX_LENGTH];
		const struct field *member;
		json_t *value = NULL;

		if (!equals) {
			refuse(why, size, "JSON or member=value,…", text);
		} else {
			*equals = '\0';
			text_underscores(pair, name, sizeof(name));
			member = member_of(field, name, object);
			if (!member)
				snprintf(why, size, "has no member \"%.64s\"", pair);
			else
				value = value_parse(member, equals + 1, why, size);
		}
		if (!value) {
			json_decref(object);
			free(copy);
			return NULL;
		}
		json_object_set_new(object, name, value);
	}
	free(copy);
	return object;
}

static json_t *single(const struct field *field, const char *text, char *why, size_t size)
{
	if (!has_members(field))
		return scalar(field, text, why, size);
	if (*text == '{')
		return from_json(text, why, size);
	if (field->type == FIELD_UNION && field_variant_find(field, text))
		return json_pack("{s:s}", field->tag, text);
	return from_pairs(field, text, why, size);
}

static json_t *list(const struct field *field, const char *text, char *why, size_t size)
{
	json_t *items, *item;
	char *copy, *rest, *one;

	if (*text == '[')
		return from_json(text, why, size);
	items = json_array();
	if (has_members(field) || field->type == FIELD_STRING) {
		item = *text ? single(field, text, why, size) : NULL;
		if (!*text || !json_array_append_new(items, item))
			return items;
		json_decref(items);
		return NULL;
	}
	copy = rest = must(strdup(text));
	while (*text && (one = strsep(&rest, ","))) {
		item = scalar(field, one, why, size);
		if (json_array_append_new(items, item)) {
			json_decref(items);
			items = NULL;
			break;
		}
	}
	free(copy);
	return items;
}

json_t *value_parse(const struct field *field, const char *text, char *why, size_t size)
{
	/* What must be there is never null: it is a name then. */
	if (!strcmp(text, "null") && !(field->flags & FIELD_REQUIRED))
		return json_null();
	return field->flags & FIELD_LIST ? list(field, text, why, size)
					 : single(field, text, why, size);
}

/* ---- Putting them together ---- */

void value_put(json_t *object, const struct field *field, json_t *value)
{
	json_t *old = json_object_get(object, field->name);

	if (json_is_array(old) && json_is_array(value)) {
		json_array_extend(old, value);
		json_decref(value);
	} else if (json_is_object(old) && json_is_object(value)) {
		json_object_update(old, value);
		json_decref(value);
	} else {
		json_object_set_new(object, field->name, value);
	}
}

void value_put_path(json_t *object, const struct field *fields, const char *path, json_t *value)
{
	char name[NAME_MAX_LENGTH];
	const struct field *field;

	path = cut(path, name, sizeof(name));
	field = field_find(fields, name);
	while (field && *path) {
		json_t *inner = json_object_get(object, name);

		if (!json_is_object(inner)) {
			json_object_set_new(object, name, json_object());
			inner = json_object_get(object, name);
		}
		object = inner;
		path = cut(path, name, sizeof(name));
		field = member_of(field, name, object);
	}
	if (field)
		value_put(object, field, value);
	else
		json_decref(value);
}
