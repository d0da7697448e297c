// SPDX-License-Identifier: Apache-2.0
/*
 * describe: an object, what is inside it, who refers to it, and what happened to it. What that is
 * follows from the descriptions: a kind's parent, references, and lists that can be filtered by it.
 */
#include "cli/describe.h"

#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/export.h"
#include "cli/output.h"
#include "cli/table.h"

#define QUIET_MS 5000
#define ROWS 10

const struct field describe_args[] = {
	{.name = "kind", .type = FIELD_KIND, .flags = FIELD_REQUIRED, .help = "the object's kind"},
	{.name = "name", .type = FIELD_NAME, .flags = FIELD_REQUIRED, .help = "the object's name"},
	{},
};

/* ---- Finding ---- */

/* What resource_refs() looks for, and what it has found. */
struct search {
	const struct kind *kind;
	const char *name;
	bool found;
};

static bool is_it(const struct resource_ref *ref, void *arg)
{
	struct search *search = arg;

	search->found =
		search->found || (ref->kind == search->kind && !strcmp(ref->name, search->name));
	return !search->found;
}

static bool refers(const json_t *object, const struct kind *kind, const char *name)
{
	struct search search = {kind, name, false};

	resource_refs(kind_find(resource_text(object, "kind")), object, is_it, &search);
	return search.found;
}

/* Is the object inside the named one: a port in a subnet, a subnet in a VPC? */
static bool is_child(const json_t *object, const struct kind *kind, const char *name)
{
	const struct kind *own = kind_find(resource_text(object, "kind"));
	const struct field *parent = own->parent ? field_find(own->fields, own->parent) : NULL;
	const json_t *value = parent ? json_object_get(object, parent->name) : NULL;

	return json_is_string(value) && !strcmp(parent->ref, kind->name) &&
	       !strcmp(json_string_value(value), name);
}

/* Is there a kind whose objects are inside those of this one? */
static bool is_parent(const struct kind *kind)
{
	const struct kind *child;

	KIND_FOREACH(child)
	{
		const struct field *parent =
			child->parent ? field_find(child->fields, child->parent) : NULL;

		if (parent && parent->type == FIELD_REF && !(parent->flags & FIELD_LIST) &&
			!strcmp(parent->ref, kind->name))
			return true;
	}
	return false;
}

/* Adds what is inside an object, and inside that, to {kind: [object]}. */
static void find_inside(
	const json_t *all, const struct kind *kind, const char *name, json_t *inside)
{
	json_t *object;
	size_t index;

	if (!is_parent(kind))
		return;
	json_array_foreach ((json_t *)all, index, object) {
		const char *own = resource_text(object, "kind");

		if (!is_child(object, kind, name))
			continue;
		if (!json_object_get(inside, own))
			json_object_set_new(inside, own, json_array());
		json_array_append(json_object_get(inside, own), object);
		find_inside(all, kind_find(own), resource_text(object, "name"), inside);
	}
}

static json_t *find_referrers(const json_t *all, const struct kind *kind, const char *name)
{
	json_t *referrers = json_array(), *object;
	size_t index;

	json_array_foreach ((json_t *)all, index, object) {
		if (refers(object, kind, name) && !is_child(object, kind, name))
			json_array_append_new(referrers,
				json_pack("{s:O, s:O}", "kind", json_object_get(object, "kind"),
					"name", json_object_get(object, "name")));
	}
	return referrers;
}

/* ---- What happened ---- */

static json_t *quiet_items(struct cli *cli, const char *method, json_t *params)
{
	json_t *result = client_quietly(cli, method, params, QUIET_MS);
	json_t *items = json_incref(json_object_get(result, "items"));

	json_decref(result);
	return items;
}

static json_t *find_events(struct cli *cli, const struct kind *kind, const char *name)
{
	json_t *items = quiet_items(cli, "event.list", json_pack("{s:s}", "kind", kind->name));
	json_t *events = json_array(), *event;
	size_t index;

	json_array_foreach (items, index, event) {
		const char *about = resource_text(event, "name");

		if (about && !strcmp(about, name))
			json_array_append(events, event);
	}
	json_decref(items);
	return events;
}

/* The parameter by which a general list is filtered for objects of a kind; NULL when there is none. */
static const struct field *filter_of(const struct method *method, const struct kind *kind)
{
	const struct field *param;

	if (method->kind || method->result->type != FIELD_OBJECT ||
		!field_find(method->result->fields, "items"))
		return NULL;
	FIELD_FOREACH(param, method->params)
	{
		if (param->type == FIELD_REF && !strcmp(param->ref, kind->name))
			return param;
	}
	return NULL;
}

/* {method: items} of what runs and what was dropped. */
static json_t *find_lists(struct cli *cli, const struct kind *kind, const char *name)
{
	json_t *lists = json_object();
	const struct method *method;

	METHOD_FOREACH(method)
	{
		const struct field *filter = filter_of(method, kind);
		json_t *items;

		if (!filter)
			continue;
		items = quiet_items(cli, method->name, json_pack("{s:s}", filter->name, name));
		if (items)
			json_object_set_new(lists, method->name, items);
	}
	return lists;
}

/* ---- Showing ---- */

static void print_title(const struct cli *cli, const char *title, size_t count)
{
	printf("\n%s%s%s (%zu)\n", cli->options.color ? COLOR_BOLD : "", title,
		cli->options.color ? COLOR_OFF : "", count);
}

/* The last rows of a long list. */
static void print_items(const struct cli *cli, const char *title, const struct field *fields,
	const json_t *items, size_t most)
{
	size_t count = json_array_size(items), from = count > most ? count - most : 0;
	json_t *shown;

	if (!count)
		return;
	print_title(cli, title, count);
	shown = json_array();
	for (size_t i = from; i < count; i++)
		json_array_append(shown, json_array_get(items, i));
	if (from)
		printf("the last %zu of them:\n", most);
	table_items(fields, shown, cli->options.format == FORMAT_WIDE, cli->options.color);
	json_decref(shown);
}

static void print_inside(const struct cli *cli, const json_t *inside)
{
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		print_items(
			cli, kind->plural, kind->fields, json_object_get(inside, kind->name), 1000);
	}
}

static void print_referrers(const struct cli *cli, const json_t *referrers)
{
	json_t *referrer;
	size_t index;

	if (!json_array_size(referrers))
		return;
	print_title(cli, "referred to by", json_array_size(referrers));
	json_array_foreach ((json_t *)referrers, index, referrer) {
		printf("%s/%s\n", resource_text(referrer, "kind"), resource_text(referrer, "name"));
	}
}

static void print_lists(const struct cli *cli, const json_t *lists)
{
	const char *name;
	json_t *items;

	json_object_foreach ((json_t *)lists, name, items) {
		const struct field *result = method_find(name)->result;
		char *title = strndup(name, strcspn(name, "."));

		print_items(cli, title, field_find(result->fields, "items")->fields, items, ROWS);
		free(title);
	}
}

static int show(struct cli *cli, const struct kind *kind, const json_t *all)
{
	const struct field *events = method_find("event.list")->result->fields;

	if (cli->options.format == FORMAT_NAME)
		return output_value(cli, NULL, json_object_get(all, "object"));
	if (cli->options.format > FORMAT_WIDE)
		return output_value(cli, NULL, all);
	output_members(stdout, kind->fields, json_object_get(all, "object"), 0);
	print_inside(cli, json_object_get(all, "inside"));
	print_referrers(cli, json_object_get(all, "referrers"));
	print_lists(cli, json_object_get(all, "lists"));
	print_items(cli, "events", field_find(events, "items")->fields,
		json_object_get(all, "events"), ROWS);
	return CLI_OK;
}

int describe_run(struct cli *cli, const struct command *command, json_t *params)
{
	const struct kind *kind = kind_find(resource_text(params, "kind"));
	const char *name = resource_text(params, "name");
	json_t *object = NULL, *all = NULL, *inside = json_object(), *found;
	const struct field shape = {
		.type = FIELD_RESOURCE, .ref = kind ? kind->name : NULL, .help = ""};
	int status;

	(void)command;
	if (!kind) {
		json_decref(inside);
		return cli_fail(CLI_USAGE, "unknown kind \"%.64s\"", resource_text(params, "kind"));
	}
	status = client_call(
		cli, method_of(kind, "get")->name, json_pack("{s:s}", "name", name), &object);
	if (status == CLI_OK)
		status = export_all(cli, &all);
	if (status == CLI_OK) {
		find_inside(all, kind, name, inside);
		found = json_pack("{s:s, s:o, s:O, s:o, s:o, s:o}", "kind", kind->name, "object",
			output_ordered(&shape, object), "inside", inside, "referrers",
			find_referrers(all, kind, name), "lists", find_lists(cli, kind, name),
			"events", find_events(cli, kind, name));
		status = show(cli, kind, found);
		json_decref(found);
	}
	json_decref(object);
	json_decref(all);
	json_decref(inside);
	return status;
}
