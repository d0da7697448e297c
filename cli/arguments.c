// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "cli/text.h"
#include "cli/value.h"

#define CHOICES_MAX 512

void arguments_init(struct arguments *a)
{
	*a = (struct arguments){.params = json_object(), .options = json_object()};
}

__attribute__((format(printf, 2, 3))) static bool fail(struct arguments *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(a->error, sizeof(a->error), format, args);
	va_end(args);
	return false;
}

/* "unknown …: did you mean …?" */
static bool fail_unknown(struct arguments *a, const char *what, const char *given,
	const char *prefix, const char *const *choices, size_t count)
{
	const char *meant = resource_nearest(given, choices, count);

	if (meant)
		return fail(a, "unknown %s \"%s%.64s\": did you mean \"%s%s\"?", what, prefix,
			given, prefix, meant);
	return fail(a, "unknown %s \"%s%.64s\"", what, prefix, given);
}

/* ---- Flags ---- */

const struct field *arguments_flag(const struct arguments *a, const char *path, bool *is_option)
{
	const struct field *field = NULL;

	*is_option = false;
	if (a->command) {
		field = value_field(a->command->flags, path, a->params);
		if (!field)
			field = value_field(a->command->args, path, a->params);
	}
	/* `--name` says what `NAMES` says. */
	if (!field && a->command && !strcmp(path, "name"))
		field = field_find(a->command->args, "names");
	if (!field) {
		*is_option = true;
		field = value_field(options_fields, path, NULL);
	}
	return field;
}

static bool unknown_flag(struct arguments *a, const char *name)
{
	const struct field *const tables[] = {
		a->command ? a->command->flags : NULL, options_fields};
	static char words[CHOICES_MAX][ARGUMENTS_WORD_MAX];
	const char *choices[CHOICES_MAX];
	const struct field *field;
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		FIELD_FOREACH(field, tables[i])
	if (count < CHOICES_MAX) {
		choices[count] = text_dashes(field->name, words[count], sizeof(words[count]));
		count++;
	}
	if (!a->command && !*a->noun && !resource_nearest(name, choices, count))
		return fail(a, "unknown option \"--%.64s\": options of a command stand behind it",
			name);
	return fail_unknown(a, "option", name, "--", choices, count);
}

static bool put(struct arguments *a, const char *text)
{
	const struct field *field = a->pending;
	char why[256] = "";
	json_t *value = value_parse(field, text, why, sizeof(why));

	a->pending = NULL;
	if (!value)
		return fail(a, "--%s %s", a->pending_path, why);
	if (a->pending_is_option)
		value_put_path(a->options, options_fields, a->pending_path, value);
	else if (value_field(a->command->flags, a->pending_path, a->params))
		value_put_path(a->params, a->command->flags, a->pending_path, value);
	else
		value_put(a->params, field, value);
	return true;
}

static bool take_flag(struct arguments *a, const char *name, size_t length, const char *value)
{
	snprintf(a->pending_path, sizeof(a->pending_path), "%.*s", (int)length, name);
	a->pending = arguments_flag(a, a->pending_path, &a->pending_is_option);
	if (!a->pending)
		return unknown_flag(a, a->pending_path);
	if (value)
		return put(a, value);
	a->pending_optional = a->pending->type == FIELD_BOOLEAN;
	return true;
}

/* -o json, -ojson, -f - */
static bool take_letter(struct arguments *a, const char *word)
{
	const char *name = options_of_letter(word[1]);

	if (!name)
		return fail(a, "unknown option \"-%c\"", word[1]);
	return take_flag(a, name, strlen(name), word[2] ? word + 2 : NULL);
}

/* ---- Words ---- */

static bool unknown_noun(struct arguments *a, const char *word)
{
	const char *choices[CHOICES_MAX];
	const struct command *command;
	size_t count = 0;

	COMMAND_FOREACH(command)
	if (count < CHOICES_MAX)
		choices[count++] = command->noun;
	if (!resource_nearest(word, choices, count))
		return fail(a,
			"unknown command \"%.64s\": there is no such kind or command; \"vpcctl "
			"--help\" lists what there is",
			word);
	return fail_unknown(a, "command", word, "", choices, count);
}

static bool unknown_verb(struct arguments *a, const char *word)
{
	const char *choices[CHOICES_MAX];
	const struct command *command;
	char what[ARGUMENTS_WORD_MAX + 16];
	size_t count = 0;

	COMMAND_FOREACH(command)
	if (!strcmp(command->noun, a->noun) && command->verb && count < CHOICES_MAX)
		choices[count++] = command->verb;
	snprintf(what, sizeof(what), "%s command", a->noun);
	return fail_unknown(a, what, word, "", choices, count);
}

/* `create vpc` for `vpc create`, where the verb is a noun, too, or only a verb */
static bool is_verb(const char *word)
{
	const struct command *command;

	COMMAND_FOREACH(command)
	if (command->verb && !strcmp(command->verb, word))
		return true;
	return false;
}

static bool take_noun(struct arguments *a, const char *word)
{
	command_noun(word, a->noun, sizeof(a->noun));
	if (!command_is_noun(a->noun) && !is_verb(a->noun)) {
		*a->noun = '\0';
		return unknown_noun(a, word);
	}
	a->command = command_find(a->noun, NULL);
	return true;
}

static bool put_argument(struct arguments *a, const struct field *arg, const char *word)
{
	char why[256] = "";
	json_t *value = value_parse(arg, word, why, sizeof(why));

	if (!value)
		return fail(a, "%s %s", arg->name, why);
	value_put(a->params, arg, value);
	a->position++;
	return true;
}

const struct field *arguments_next(const struct arguments *a)
{
	const struct field *arg;
	size_t i = 0;

	if (!a->command)
		return NULL;
	FIELD_FOREACH(arg, a->command->args)
	{
		if (i == a->position || (arg->flags & FIELD_LIST && i < a->position))
			return arg;
		i++;
	}
	return NULL;
}

/* The second word says which command of the noun, or of which kind: `vpc create`, `create vpc`. */
static const struct command *second_word(struct arguments *a, const char *word)
{
	char text[ARGUMENTS_WORD_MAX];
	const struct command *command =
		command_find(a->noun, text_dashes(word, text, sizeof(text)));

	if (command || (a->command && a->command->args->type != FIELD_END))
		return command;
	command = command_find(command_noun(word, text, sizeof(text)), a->noun);
	if (command)
		snprintf(a->noun, sizeof(a->noun), "%s", text);
	return command;
}

static bool take_word(struct arguments *a, const char *word)
{
	const struct field *arg;

	if (!*a->noun)
		return take_noun(a, word);
	if (a->position == 0 && (!a->command || !a->command->verb)) {
		const struct command *command = second_word(a, word);

		if (command) {
			a->command = command;
			return true;
		}
		if (command_kind(a->noun) && !strcmp(word, "describe")) {
			a->command = command_find(word, NULL);
			return put_argument(a, a->command->args, a->noun);
		}
		if (!a->command)
			return unknown_verb(a, word);
	}
	arg = arguments_next(a);
	if (!arg)
		return fail(a, "what is \"%.64s\" for?", word);
	return put_argument(a, arg, word);
}

bool arguments_word(struct arguments *a, const char *word)
{
	if (a->pending && (!a->pending_optional || value_is_boolean(word)))
		return put(a, word);
	if (a->pending && !put(a, "true"))
		return false;
	if (a->only_words || word[0] != '-' || !word[1])
		return take_word(a, word);
	if (!strcmp(word, "--")) {
		a->only_words = true;
		return true;
	}
	if (word[1] != '-')
		return take_letter(a, word);
	return take_flag(a, word + 2, strcspn(word + 2, "="),
		strchr(word, '=') ? strchr(word, '=') + 1 : NULL);
}

bool arguments_end(struct arguments *a)
{
	const struct field *field;
	char name[ARGUMENTS_WORD_MAX];

	if (a->pending && !a->pending_optional)
		return fail(a, "--%s needs a value", a->pending_path);
	if (a->pending && !put(a, "true"))
		return false;
	if (!a->command)
		return *a->noun ? fail(a, "%s needs a command", a->noun) : true;
	FIELD_FOREACH(field, a->command->args)
	{
		if (!(field->flags & FIELD_REQUIRED) || json_object_get(a->params, field->name))
			continue;
		text_dashes(field->name, name, sizeof(name));
		for (char *c = name; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		return fail(a, "%s is missing: %s", name, field->help);
	}
	FIELD_FOREACH(field, a->command->flags)
	if (command_requires(a->command, field) && !json_object_get(a->params, field->name))
		return fail(a, "--%s is missing: %s", text_dashes(field->name, name, sizeof(name)),
			field->help);
	return true;
}
