// SPDX-License-Identifier: Apache-2.0
/*
 * The registry: general methods from their tables, those of kinds made from the kinds' tables.
 * Built once, at first use, and kept for ever.
 */
#include "lib/methods.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/methods_internal.h"
#include "lib/resource_internal.h"

#define PAGE_MAX 10000

static const struct field wait_params[] = {
	{.name = "wait",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "answer once every dataplane concerned forwards by the change"},
	{.name = "wait_timeout_ms",
		.type = FIELD_INTEGER,
		.max = 3600000,
		.def = "5000",
		.unit = "milliseconds",
		.help = "with wait: how long; then the answer is unavailable, and the change "
			"stands"},
	{},
};

static const struct field page_params[] = {
	{.name = "limit",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = PAGE_MAX,
		.help = "at most so many items; when omitted: all",
		.example = "100"},
	{.name = "cursor",
		.type = FIELD_STRING,
		.max = 1024,
		.help = "go on where the answer with this cursor ended"},
	{},
};

static const struct field names_param = {.name = "names",
	.type = FIELD_NAME,
	.flags = FIELD_LIST | FIELD_SET,
	.min_items = 1,
	.help = "several names: all of them are deleted, or none",
	.example = "[\"a\", \"b\"]"};

static const struct field empty_result = {
	.name = "result", .type = FIELD_OBJECT, .help = "an empty object"};

static struct method *methods;
static size_t count;
static const struct method **by_name; /* sorted */

/* ---- Making tables ---- */

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static size_t fields_count(const struct field *fields)
{
	const struct field *field;
	size_t n = 0;

	FIELD_FOREACH(field, fields)
	n++;
	return n;
}

/* Appends copies of fields to a table of our own. */
static struct field *fields_append(struct field *table, const struct field *fields)
{
	size_t old = fields_count(table), more = fields_count(fields);

	table = must(realloc(table, (old + more + 1) * sizeof(*table)));
	if (more)
		memcpy(table + old, fields, more * sizeof(*table));
	table[old + more] = (struct field){0};
	return table;
}

static struct field *field_append(struct field *table, const struct field *field)
{
	const struct field one[] = {*field, {0}};

	return fields_append(table, one);
}

/* Members that a list can be filtered by: those that are one value, or a list of such. */
static bool is_filter(const struct field *field)
{
	switch (field->type) {
	case FIELD_NAME:
	case FIELD_REF:
	case FIELD_ENUM:
	case FIELD_BOOLEAN:
	case FIELD_INTEGER:
	case FIELD_ADDRESS:
	case FIELD_CIDR:
	case FIELD_ADDRESS_OR_CIDR:
	case FIELD_MAC:
		return !(field->flags & FIELD_READ_ONLY);
	default:
		return false;
	}
}

static struct field *filters_make(const struct kind *kind)
{
	struct field *table = fields_append(NULL, NULL);
	const struct field *field;

	FIELD_FOREACH(field, kind->fields)
	{
		struct field filter = *field;
		char *help;

		if (!is_filter(field))
			continue;
		if (asprintf(&help, "only %s %s this %s", kind->plural,
			    field->flags & FIELD_LIST ? "with, among others," : "with",
			    field->name) < 0)
			abort();
		filter.flags = 0;
		filter.def = filter.example = NULL;
		filter.help = help;
		table = field_append(table, &filter);
	}
	return fields_append(table, kind->filters);
}

static const struct field *object_result(const struct kind *kind)
{
	const struct field result = {
		.name = "result", .type = FIELD_RESOURCE, .ref = kind->name, .help = "the object"};

	return field_append(NULL, &result);
}

static const struct field *list_result(const struct kind *kind)
{
	const struct field members[] = {
		{.name = "items",
			.type = FIELD_RESOURCE,
			.ref = kind->name,
			.flags = FIELD_REQUIRED | FIELD_LIST,
			.help = "the objects, in the order of their names"},
		{.name = "cursor",
			.type = FIELD_STRING,
			.flags = FIELD_REQUIRED | FIELD_NULLABLE,
			.help = "where the next call goes on; null after the last object"},
		{0},
	};
	const struct field result = {.name = "result",
		.type = FIELD_OBJECT,
		.fields = fields_append(NULL, members),
		.help = "the objects"};

	return field_append(NULL, &result);
}

/* ---- Methods of kinds ---- */

static bool delete_check(const json_t *params, struct resource_error *error)
{
	bool name = json_object_get(params, "name"), names = json_object_get(params, "names");

	if (!name && !names)
		return resource_fail(error, "/name", "is required: give name or names");
	return !(name && names) || resource_fail(error, "/names", "give name or names, not both");
}

static struct method *method_add(const struct kind *kind, enum method_verb verb,
	const char *verb_name, unsigned flags, const char *help)
{
	struct method *method;
	char *name;

	if (asprintf(&name, "%s.%s", kind->name, verb_name) < 0)
		abort();
	methods = must(realloc(methods, (count + 1) * sizeof(*methods)));
	method = &methods[count++];
	*method = (struct method){.name = name,
		.verb_name = verb_name,
		.kind = kind,
		.verb = verb,
		.flags = flags,
		.help = help};
	return method;
}

static void add_reads(const struct kind *kind)
{
	struct method *method = method_add(kind, METHOD_GET, "get", 0, "Shows one object.");

	method->params = field_append(NULL, field_find(kind->fields, "name"));
	method->result = object_result(kind);
	method = method_add(kind, METHOD_LIST, "list", METHOD_PAGED,
		"Shows all objects that pass the filters.");
	method->params = fields_append(filters_make(kind), page_params);
	method->result = list_result(kind);
}

static void add_writes(const struct kind *kind)
{
	const unsigned flags = METHOD_WRITES | METHOD_WAITS;
	struct method *method =
		method_add(kind, METHOD_CREATE, "create", flags, "Makes an object.");
	struct field name = *field_find(kind->fields, "name");

	method->params = fields_append(fields_append(NULL, kind->fields), wait_params);
	method->result = object_result(kind);
	method->example = kind->example;
	method = method_add(kind, METHOD_UPDATE, "update", flags,
		"Changes the given fields of an object; lists are replaced whole, null returns a "
		"field to its default.");
	method->params = fields_append(fields_append(NULL, kind->fields), wait_params);
	method->result = object_result(kind);
	method = method_add(kind, METHOD_DELETE, "delete", flags,
		"Deletes one object or several, to which nothing may refer any more.");
	name.flags = 0;
	method->params =
		fields_append(field_append(field_append(NULL, &name), &names_param), wait_params);
	method->result = &empty_result;
	method->check = delete_check;
}

static void add_verbs(const struct kind *kind)
{
	for (const struct kind_verb *verb = kind->verbs; verb && verb->name; verb++) {
		struct method *method = method_add(
			kind, METHOD_EXTRA, verb->name, METHOD_WRITES | METHOD_WAITS, verb->help);
		struct field *params = field_append(NULL, field_find(kind->fields, "name"));

		method->params = fields_append(fields_append(params, verb->params), wait_params);
		method->result = verb->result ? verb->result : object_result(kind);
		method->example = verb->example;
	}
}

/* ---- The registry ---- */

static void add_list(const struct method *list, size_t n)
{
	methods = must(realloc(methods, (count + n) * sizeof(*methods)));
	for (size_t i = 0; i < n; i++) {
		struct method *method = &methods[count++];
		struct field *params;

		*method = list[i];
		params = fields_append(NULL, method->params);
		if (method->flags & METHOD_PAGED)
			params = fields_append(params, page_params);
		if (method->flags & METHOD_WAITS)
			params = fields_append(params, wait_params);
		method->params = params;
		if (method->verb == METHOD_EXTRA) {
			const char *dot = strchr(method->name, '.');
			char *kind = must(strndup(method->name, (size_t)(dot - method->name)));

			method->kind = kind_find(kind);
			method->verb_name = dot + 1;
			free(kind);
		}
		if (!method->verb_name)
			method->verb_name = method->name;
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct method *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void build(void)
{
	const struct kind *kind;

	add_list(methods_general, methods_general_count);
	add_list(methods_observe, methods_observe_count);
	add_list(methods_capture, methods_capture_count);
	KIND_FOREACH(kind)
	{
		if (!(kind->flags & KIND_SERVER_MADE))
			add_writes(kind);
		add_reads(kind);
		add_verbs(kind);
	}
	by_name = must(malloc(count * sizeof(*by_name)));
	for (size_t i = 0; i < count; i++)
		by_name[i] = &methods[i];
	qsort(by_name, count, sizeof(*by_name), compare_names);
}

static void build_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build);
}

size_t method_count(void)
{
	build_once();
	return count;
}

const struct method *method_at(size_t index)
{
	return index < method_count() ? &methods[index] : NULL;
}

const struct method *method_find(const char *name)
{
	const struct method key = {.name = name}, *key_pointer = &key, **found;

	build_once();
	found = bsearch(&key_pointer, by_name, count, sizeof(*by_name), compare_names);
	return found ? *found : NULL;
}

const struct method *method_of(const struct kind *kind, const char *verb_name)
{
	const struct method *method;

	METHOD_FOREACH(method)
	if (method->kind == kind && !strcmp(method->verb_name, verb_name))
		return method;
	return NULL;
}

bool method_requires(const struct method *method, const struct field *param)
{
	return param->flags & FIELD_KEY ||
	       (param->flags & FIELD_REQUIRED && method->verb != METHOD_UPDATE);
}

/* ---- Calls ---- */

static void take_control(json_t *params, struct method_control *control)
{
	if (control) {
		control->wait = resource_boolean(params, "wait", false);
		control->wait_timeout_ms = (uint32_t)resource_integer(
			params, "wait_timeout_ms", METHOD_WAIT_TIMEOUT_MS);
	}
	json_object_del(params, "wait");
	json_object_del(params, "wait_timeout_ms");
}

bool method_validate(const struct method *method, const json_t *params, json_t **out,
	struct method_control *control, struct resource_error *error)
{
	enum resource_mode mode = method->verb == METHOD_UPDATE ? RESOURCE_UPDATE : RESOURCE_CREATE;
	json_t *none = NULL;
	bool ok;

	*out = NULL;
	if (!params || json_is_null(params))
		params = none = json_object();
	if (!json_is_object(params))
		return resource_fail_code(error, ERROR_INVALID_PARAMS, "",
			"params must be an object with the parameters by name, not %s",
			resource_json_type(params));
	ok = fields_validate(method->params, mode, params, out, error);
	json_decref(none);
	if (!ok)
		return false;
	take_control(*out, control);
	if (method->verb == METHOD_CREATE)
		ok = resource_finish(method->kind, *out, error);
	if (ok && method->check)
		ok = method->check(*out, error);
	if (!ok) {
		json_decref(*out);
		*out = NULL;
	}
	return ok;
}
