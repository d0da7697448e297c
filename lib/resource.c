// SPDX-License-Identifier: Apache-2.0
#include "lib/resource.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/resource_internal.h"

/* ---- Errors ---- */

static void fail_format(struct resource_error *error, enum error_code code, const char *path,
	const char *format, va_list args)
{
	error->code = code;
	snprintf(error->path, sizeof(error->path), "%s", path);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
}

bool resource_fail(struct resource_error *error, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_format(error, ERROR_INVALID, path, format, args);
	va_end(args);
	return false;
}

bool resource_fail_code(struct resource_error *error, enum error_code code, const char *path,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_format(error, code, path, format, args);
	va_end(args);
	return false;
}

void resource_error_prefix(struct resource_error *error, const char *format, ...)
{
	char path[RESOURCE_PATH_MAX];
	va_list args;
	size_t length;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	length = strlen(path);
	snprintf(path + length, sizeof(path) - length, "%s", error->path);
	memcpy(error->path, path, sizeof(path));
}

void resource_error_message(const struct resource_error *error, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s", error->path, *error->path ? ": " : "", error->reason);
}

json_t *resource_error_data(const struct resource_error *error)
{
	return json_pack("{s:s, s:s}", "path", error->path, "reason", error->reason);
}

size_t resource_pointer_append(char *path, size_t size, size_t length, const char *name)
{
	if (length + 2 >= size)
		return length;
	path[length++] = '/';
	for (; *name && length + 3 < size; name++) {
		if (*name == '~' || *name == '/') {
			path[length++] = '~';
			path[length++] = *name == '~' ? '0' : '1';
		} else {
			path[length++] = *name;
		}
	}
	path[length] = '\0';
	return length;
}

const char *resource_json_type(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

/* ---- "Did you mean" ---- */

#define CHOICE_MAX 64

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap neighbours) that make one word of the other, CHOICE_MAX if either is long. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][CHOICE_MAX + 1], a_length = strlen(a), b_length = strlen(b);

	if (a_length > CHOICE_MAX || b_length > CHOICE_MAX)
		return CHOICE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

const char *resource_nearest(const char *given, const char *const *choices, size_t count)
{
	const char *best = NULL;
	size_t best_distance = 3;

	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(given, choices[i]);

		/* Of a short word not much is left after two edits: `eip` is no misspelt `top`. */
		if (distance < best_distance &&
			2 * distance <= least(strlen(given), strlen(choices[i]))) {
			best = choices[i];
			best_distance = distance;
		}
	}
	return best;
}

bool resource_fail_choice(struct resource_error *error, const char *path, const char *what,
	const char *given, const char *const *choices, size_t count)
{
	const char *meant = resource_nearest(given, choices, count);
	char all[RESOURCE_REASON_MAX - 128] = "";
	size_t length = 0;

	if (meant)
		return resource_fail(
			error, path, "%s \"%.64s\": did you mean \"%s\"?", what, given, meant);
	for (size_t i = 0; i < count && length < sizeof(all) - 1; i++)
		length += (size_t)snprintf(
			all + length, sizeof(all) - length, "%s%s", i ? ", " : "", choices[i]);
	if (count == 0)
		return resource_fail(error, path, "%s \"%.64s\": there are none", what, given);
	return resource_fail(error, path, "%s \"%.64s\": it can be one of: %s", what, given, all);
}

/* ---- Tables ---- */

const struct field *field_find(const struct field *fields, const char *name)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	if (!strcmp(field->name, name))
		return field;
	return NULL;
}

const struct field_variant *field_variant_find(const struct field *field, const char *value)
{
	for (const struct field_variant *v = field->variants; v && v->value; v++)
		if (!strcmp(v->value, value))
			return v;
	return NULL;
}

json_t *field_default(const struct field *field)
{
	/* The frequent ones without the parser: an apply of 10,000 objects asks for many. */
	if (!field->def)
		return NULL;
	if (!strcmp(field->def, "true"))
		return json_true();
	if (!strcmp(field->def, "false"))
		return json_false();
	if (!strcmp(field->def, "0"))
		return json_integer(0);
	if (!strcmp(field->def, "[]"))
		return json_array();
	if (!strcmp(field->def, "\"\""))
		return json_string("");
	return json_loads(field->def, JSON_DECODE_ANY, NULL);
}

/* ---- Short forms ---- */

const char *resource_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field));
}

json_int_t resource_integer(const json_t *object, const char *field, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, field);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool resource_boolean(const json_t *object, const char *field, bool otherwise)
{
	const json_t *value = json_object_get(object, field);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}
