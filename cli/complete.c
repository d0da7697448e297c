// SPDX-License-Identifier: Apache-2.0
#include "cli/complete.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/text.h"
#include "cli/value.h"

#define SERVER_MS 500
#define PAGE 500
#define WORD_SIZE 160

/* What is being completed. */
struct completion {
	struct arguments a;
	struct cli cli;
	const char *typed;  /* so far, of the last word */
	const char *prefix; /* stands before every candidate: "--protocol=", "10.0.0.0/16," */
	json_t *offered;    /* a set: variants of a union may share a member */
};

static void offer(const struct completion *c, const char *word, const char *help)
{
	if (strncmp(word, c->typed, strlen(c->typed)) || json_object_get(c->offered, word))
		return;
	json_object_set_new(c->offered, word, json_true());
	printf("%s%s\t%.*s\n", c->prefix, word, (int)strcspn(help, "\n"), help);
}

/* ---- Values ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Page by page, as far as the time suffices: of very many objects some are better than none. */
static void offer_names(struct completion *c, const struct kind *kind)
{
	const char *method = method_of(kind, "list")->name;
	const int64_t end = now_ms() + SERVER_MS;
	json_t *params = json_pack("{s:i}", "limit", PAGE), *result, *cursor = NULL, *item;
	size_t index;

	do {
		const int left = (int)(end - now_ms());

		result = left > 0 ? client_quietly(&c->cli, method, json_incref(params), left)
				  : NULL;
		json_array_foreach (json_object_get(result, "items"), index, item) {
			const char *description = resource_text(item, "description");

			offer(c, resource_text(item, "name"), description ? description : "");
		}
		cursor = json_object_get(result, "cursor");
		if (json_is_string(cursor))
			json_object_set(params, "cursor", cursor);
		else
			cursor = NULL;
		json_decref(result);
	} while (cursor);
	json_decref(params);
}

static void offer_kinds(const struct completion *c)
{
	const struct kind *kind;
	char name[WORD_SIZE];

	KIND_FOREACH(kind)
	{
		offer(c, text_dashes(kind->name, name, sizeof(name)), kind->help);
	}
}

static bool is_file(const struct field *field)
{
	const size_t length = strlen(field->name);

	return field->type == FIELD_PATH || field_find(options_fields, "socket") == field ||
	       (field->type == FIELD_STRING && length >= 4 &&
		       !strcmp(field->name + length - 4, "file"));
}

static void offer_protocols(const struct completion *c)
{
	static const char *const names[] = {"tcp", "udp", "icmp", "icmpv6", "any"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		offer(c, names[i], "");
}

static void offer_values(struct completion *c, const struct field *field)
{
	/* The kind that stands before a name says whose name it is: describe port … */
	const char *before = resource_text(c->a.params, "kind");
	const struct kind *kind = NULL;

	if (field->type == FIELD_REF)
		kind = kind_find(field->ref);
	else if (field->type == FIELD_NAME && before)
		kind = kind_find(before);
	if (kind)
		offer_names(c, kind);
	if (field->type == FIELD_KIND)
		offer_kinds(c);
	if (field->type == FIELD_PROTOCOL)
		offer_protocols(c);
	if (field->type == FIELD_BOOLEAN) {
		offer(c, "true", field->help);
		offer(c, "false", "");
	}
	if (field->type == FIELD_ENUM)
		for (const struct field_value *v = field->values; v->name; v++)
			offer(c, v->name, v->help);
	if (field->type == FIELD_UNION)
		for (const struct field_variant *v = field->variants; v->value; v++)
			offer(c, v->value, v->help);
	if (is_file(field))
		puts(":files");
}

/* The value that is typed at `at`: of a list only what follows the last comma. */
static void complete_value(struct completion *c, const struct field *field, const char *at)
{
	const char *comma = field->flags & FIELD_LIST ? strrchr(at, ',') : NULL;
	char *prefix;

	if (comma)
		at = comma + 1;
	prefix = text_printf("%.*s", (int)(at - c->typed), c->typed);
	c->prefix = prefix;
	c->typed = at;
	offer_values(c, field);
	free(prefix);
	c->prefix = "";
}

/* ---- Flags ---- */

static void offer_flags(const struct completion *c, const struct field *fields, const char *before);

/* The tag, and the members of the variant that was chosen, else of all. */
static void offer_variants(
	const struct completion *c, const struct field *field, const char *before)
{
	const char *chosen = resource_text(json_object_get(c->a.params, field->name), field->tag);
	char *tag = text_printf("%s%s", before, field->tag);

	if (!chosen)
		offer(c, tag, field->help);
	free(tag);
	for (const struct field_variant *v = field->variants; v->value; v++)
		if (!chosen || !strcmp(chosen, v->value))
			offer_flags(c, v->fields, before);
}

static void offer_flags(const struct completion *c, const struct field *fields, const char *before)
{
	const struct field *field;
	char name[WORD_SIZE], *word, *inner;

	FIELD_FOREACH(field, fields)
	{
		word = text_printf("%s%s", before, text_dashes(field->name, name, sizeof(name)));
		inner = text_printf("%s.", word);
		if (field->flags & FIELD_LIST || !json_object_get(c->a.params, field->name))
			offer(c, word, field->help);
		if (!(field->flags & FIELD_LIST) && field->type == FIELD_OBJECT)
			offer_flags(c, field->fields, inner);
		if (!(field->flags & FIELD_LIST) && field->type == FIELD_UNION) {
			offer_variants(c, field, inner);
		}
		free(inner);
		free(word);
	}
}

static void complete_flag(struct completion *c)
{
	const char *equals = strchr(c->typed, '=');
	const struct field *field;
	char path[WORD_SIZE];
	bool is_option;

	if (!equals) {
		if (c->a.command)
			offer_flags(c, c->a.command->flags, "--");
		offer_flags(c, options_fields, "--");
		return;
	}
	snprintf(path, sizeof(path), "%.*s", (int)(equals - c->typed) - 2, c->typed + 2);
	field = arguments_flag(&c->a, path, &is_option);
	if (field)
		complete_value(c, field, equals + 1);
}

/* ---- Words ---- */

static void offer_nouns(const struct completion *c)
{
	const char *last = "";
	const struct command *command;
	const struct kind *kind;

	offer_kinds(c);
	COMMAND_FOREACH(command)
	{
		kind = command_kind(command->noun);
		if (!kind && !command->alias && strcmp(last, command->noun))
			offer(c, command->noun, command->help);
		last = command->noun;
	}
}

static void offer_verbs(const struct completion *c)
{
	const struct command *command;
	const struct kind *kind;

	COMMAND_FOREACH(command)
	{
		if (command->verb && !strcmp(command->noun, c->a.noun))
			offer(c, command->verb, command->help);
		/* create vpc */
		kind = command_kind(command->noun);
		if (kind && command->verb && !strcmp(command->verb, c->a.noun))
			offer(c, command->noun, kind->help);
	}
	if (command_kind(c->a.noun))
		offer(c, "describe", "Shows one object and all that has to do with it.");
}

static void complete_word(struct completion *c)
{
	const struct command *command = c->a.command;
	const struct field *arg = arguments_next(&c->a);

	if (!*c->a.noun) {
		offer_nouns(c);
		return;
	}
	if (c->a.position == 0 && (!command || !command->verb))
		offer_verbs(c);
	if (arg)
		complete_value(c, arg, c->typed);
}

int complete_words(int count, char **words)
{
	struct completion c = {
		.typed = count > 0 ? words[count - 1] : "", .prefix = "", .offered = json_object()};
	char why[256];
	bool ok = true;

	arguments_init(&c.a);
	for (int i = 0; ok && i < count - 1; i++)
		ok = arguments_word(&c.a, words[i]);
	if (ok && options_take(&c.cli.options, c.a.options, why, sizeof(why))) {
		if (c.a.pending)
			complete_value(&c, c.a.pending, c.typed);
		if (!c.a.pending && !strncmp(c.typed, "-", 1) && !c.a.only_words)
			complete_flag(&c);
		else if (!c.a.pending || c.a.pending_optional)
			complete_word(&c);
	}
	client_free(c.cli.client);
	json_decref(c.a.params);
	json_decref(c.a.options);
	json_decref(c.offered);
	return CLI_OK;
}
