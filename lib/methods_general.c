// SPDX-License-Identifier: Apache-2.0
/* The methods that belong to no kind and change or copy the whole: apply, export, backup, watch. */
#include <string.h>

#include "lib/kinds.h"
#include "lib/methods_internal.h"

#define APPLY_MAX 1000000
static const struct field_value operations[] = {
	{"create", "it is new"},
	{"update", "it has changed"},
	{"delete", "it is gone"},
	{},
};

/* ---- apply, export, watch ---- */

static const struct field apply_params[] = {
	{.name = "resources",
		.type = FIELD_RESOURCE,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.max_items = APPLY_MAX,
		.help = "whole objects, each with its kind; an omitted field returns to its "
			"default"},
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "only say what would change"},
	{.name = "prune",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "also delete what is not in resources, among the kinds and tenants that "
			"are"},
	{},
};

static const struct field change_fields[] = {
	{.name = "op",
		.type = FIELD_ENUM,
		.values = operations,
		.flags = FIELD_REQUIRED,
		.help = "what is done"},
	{.name = "kind", .type = FIELD_KIND, .flags = FIELD_REQUIRED, .help = "to which kind"},
	TEXT("name", "to which object"),
	{.name = "diff",
		.type = FIELD_MAP,
		.flags = FIELD_REQUIRED,
		.fields = (const struct field[]){{.type = FIELD_ANY,
							 .flags = FIELD_LIST,
							 .min_items = 2,
							 .max_items = 2,
							 .help = "old and new value"},
			{}},
		.help = "each changed field's old and new value"},
	{},
};

static const struct field apply_result_fields[] = {
	COUNT("created", "objects made"),
	COUNT("updated", "objects changed"),
	COUNT("deleted", "objects deleted"),
	COUNT("unchanged", "objects that were so already"),
	{.name = "changes",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.fields = change_fields,
		.help = "what has changed"},
	{},
};
static const struct field apply_result = RESULT(apply_result_fields, "what has changed");

/* Two objects of one name in a call: which would it be? */
static bool apply_check(const json_t *params, struct resource_error *error)
{
	json_t *seen = json_object(), *item;
	bool ok = true;
	size_t index;

	json_array_foreach (json_object_get(params, "resources"), index, item) {
		char key[2 * RESOURCE_NAME_MAX + 2], path[48];

		snprintf(key, sizeof(key), "%s/%s", resource_text(item, "kind"),
			resource_text(item, "name"));
		if (json_object_get(seen, key)) {
			snprintf(path, sizeof(path), "/resources/%zu/name", index);
			ok = resource_fail(error, path, "%s is in the call twice", key);
			break;
		}
		json_object_set_new_nocheck(seen, key, json_true());
	}
	json_decref(seen);
	return ok;
}

static const struct field export_result_fields[] = {
	{.name = "resources",
		.type = FIELD_RESOURCE,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "every object with its kind, in an order that apply accepts"},
	{},
};
static const struct field export_result = RESULT(export_result_fields, "the whole desired network");

/* ---- backup, restore ---- */

#define LINE_MAX_BYTES (16 << 20)
#define LINES_MAX 1000000

static const struct field backup_params[] = {
	{.name = "cursor",
		.type = FIELD_STRING,
		.max = 64,
		.help = "go on where the answer with this cursor ended; without it a new "
			"backup begins"},
	{},
};

static const struct field backup_result_fields[] = {
	{.name = "lines",
		.type = FIELD_STRING,
		.max = LINE_MAX_BYTES,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.max_items = LINES_MAX,
		.help = "the next lines of the backup"},
	TEXT_OR_NULL("cursor", "where the next call goes on; null after the last line"),
	{},
};
static const struct field backup_result = RESULT(backup_result_fields, "a part of a backup");

static const struct field restore_params[] = {
	{.name = "upload",
		.type = FIELD_STRING,
		.max = 64,
		.help = "goes on with the upload that an earlier answer named; without it a new "
			"one begins"},
	{.name = "lines",
		.type = FIELD_STRING,
		.max = LINE_MAX_BYTES,
		.flags = FIELD_LIST,
		.max_items = LINES_MAX,
		.def = "[]",
		.help = "the next lines of a backup"},
	{.name = "commit",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "that was all of it: make the network so"},
	{.name = "dry_run",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "with commit: only say what would change"},
	{.name = "prune",
		.type = FIELD_BOOLEAN,
		.def = "false",
		.help = "with commit: also delete what is not in the backup"},
	{},
};

static const struct field restore_result_fields[] = {
	{.name = "upload", .type = FIELD_STRING, .help = "without commit: where to go on"},
	{.name = "created", .type = FIELD_INTEGER, .help = "objects made"},
	{.name = "updated", .type = FIELD_INTEGER, .help = "objects changed"},
	{.name = "deleted", .type = FIELD_INTEGER, .help = "objects deleted"},
	{.name = "unchanged", .type = FIELD_INTEGER, .help = "objects that were so already"},
	{.name = "changes",
		.type = FIELD_OBJECT,
		.flags = FIELD_LIST,
		.fields = change_fields,
		.help = "what has changed, the first 10000 of it"},
	{},
};
static const struct field restore_result = RESULT(restore_result_fields, "what has changed");

static const struct field watch_params[] = {
	{.name = "kinds",
		.type = FIELD_KIND,
		.flags = FIELD_LIST | FIELD_SET,
		.def = "[]",
		.help = "only changes of these kinds; none: of all",
		.example = "[\"port\"]"},
	{},
};

static const struct field watch_result_fields[] = {
	COUNT("revision", "every change after this revision is sent"),
	{},
};
static const struct field watch_result = RESULT(watch_result_fields, "where the watch begins");

static const struct field discover_result = {
	.name = "result", .type = FIELD_ANY, .help = "an OpenRPC document"};
/* ---- All of them ---- */

const struct method methods_general[] = {
	{.name = "apply",
		.flags = METHOD_WRITES | METHOD_WAITS,
		.help = "Makes the given objects so, in one transaction: all or nothing.",
		.params = apply_params,
		.result = &apply_result,
		.check = apply_check,
		.example = "{\"resources\": [{\"kind\": \"vpc\", \"name\": \"prod\", \"cidrs\": "
			   "[\"10.0.0.0/16\"]}]}"},
	{.name = "export",
		.help = "Shows every object, in the form that apply takes.",
		.result = &export_result},
	{.name = "backup",
		.help = "Reads everything the controller has stored, as it is at the first "
			"call, by pages.",
		.params = backup_params,
		.result = &backup_result},
	{.name = "restore",
		.flags = METHOD_WRITES | METHOD_WAITS,
		.help = "Makes the network what a backup says, in one transaction: all or nothing. "
			"The lines may come in several calls.",
		.params = restore_params,
		.result = &restore_result},
	{.name = "watch",
		.flags = METHOD_STREAM,
		.help = "Sends a notification `event` {op, kind, object, revision} for each change "
			"from now on.",
		.params = watch_params,
		.result = &watch_result,
		.example = "{\"kinds\": [\"port\"]}"},
	{.name = "rpc.discover",
		.help = "Describes all methods in OpenRPC.",
		.result = &discover_result},
};

const size_t methods_general_count = sizeof(methods_general) / sizeof(methods_general[0]);
