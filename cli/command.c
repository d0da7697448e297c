// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

#define WORD_MAX 64

static struct command *commands;
static size_t count;

/* Methods that take or show more than their descriptions say. */
static const struct {
	const char *method;
	command_run run;
} special[] = {
	{"export", export_run},
	{"status", status_run},
	{"explain", explain_run},
	{"watch", watch_run},
};

/* ---- Tables of arguments and flags ---- */

static void append(struct field **table, size_t *length, const struct field *field)
{
	*table = must(realloc(*table, (*length + 2) * sizeof(**table)));
	(*table)[(*length)++] = *field;
	(*table)[*length] = (struct field){0};
}

static bool is_control(const struct field *field)
{
	return field_find(options_fields, field->name) && !strncmp(field->name, "wait", 4);
}

/* Names of objects of a method's kind: for a new one any name, else those that are there. */
static struct field name_argument(const struct method *method)
{
	struct field arg = *field_find(method->kind->fields, "name");

	arg.flags = FIELD_REQUIRED;
	if (method->verb != METHOD_CREATE) {
		arg.type = FIELD_REF;
		arg.ref = method->kind->name;
		arg.help = "the object's name";
	}
	if (method->verb == METHOD_DELETE) {
		arg.name = "names";
		arg.flags |= FIELD_LIST;
		arg.help = "the objects' names; of several all are deleted, or none";
	}
	return arg;
}

static const struct field *make_args(const struct method *method)
{
	struct field *table = must(calloc(1, sizeof(*table))), arg;
	const struct field *field;
	size_t length = 0;

	if (method->kind && method->verb != METHOD_LIST) {
		arg = name_argument(method);
		append(&table, &length, &arg);
		return table;
	}
	/* A list of kinds may be said without its name: watch port vpc */
	FIELD_FOREACH(field, method->params)
	if (!method->kind && field->type == FIELD_KIND && field->flags & FIELD_LIST)
		append(&table, &length, field);
	return table;
}

static bool is_flag(const struct method *method, const struct field *field)
{
	if (is_control(field) || (field->type == FIELD_RESOURCE && !field->ref))
		return false;
	if (method->verb == METHOD_DELETE)
		return false;
	if (field->flags & FIELD_READ_ONLY)
		return field->flags & FIELD_GUARD && method->verb == METHOD_UPDATE;
	return true;
}

static const struct field *make_flags(const struct method *method, const struct field *args)
{
	struct field *table = must(calloc(1, sizeof(*table)));
	const struct field *field;
	size_t length = 0;

	FIELD_FOREACH(field, method->params)
	if (is_flag(method, field) && !field_find(args, field->name))
		append(&table, &length, field);
	return table;
}

/* ---- The registry ---- */

static void add(const struct command *command)
{
	commands = must(realloc(commands, (count + 1) * sizeof(*commands)));
	commands[count++] = *command;
}

static char *dashes(const char *name, size_t length)
{
	char *word = must(strndup(name, length));

	return text_dashes(word, word, length + 1);
}

static void add_method(const struct method *method)
{
	const char *dot = strchr(method->name, '.');
	struct command command = {.method = method, .help = method->help, .run = verbs_run};

	command.noun =
		dashes(method->name, dot ? (size_t)(dot - method->name) : strlen(method->name));
	command.verb = dot ? dashes(dot + 1, strlen(dot + 1)) : NULL;
	command.args = make_args(method);
	command.flags = make_flags(method, command.args);
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (!strcmp(special[i].method, method->name))
			command.run = special[i].run;
	add(&command);
	/* `vpcctl drops` is `vpcctl drops list` */
	if (!method->kind && command.verb && !strcmp(command.verb, "list") &&
		!command_find(command.noun, NULL)) {
		command.verb = NULL;
		command.alias = true;
		add(&command);
	}
}

/* Among vpcctl's own: capture.stop is `capture stop ID`. */
static bool is_own(const struct method *method)
{
	const char *dot = strchr(method->name, '.');

	for (const struct command *own = commands_own; dot && own->noun; own++)
		if (own->verb && !strcmp(own->verb, dot + 1) &&
			strlen(own->noun) == (size_t)(dot - method->name) &&
			!strncmp(own->noun, method->name, strlen(own->noun)))
			return true;
	return false;
}

static void build(void)
{
	const struct method *method;

	METHOD_FOREACH(method)
	if (!command_find(method->name, NULL) && !is_own(method))
		add_method(method);
}

static void build_once(void)
{
	static bool built;

	if (built)
		return;
	built = true;
	for (const struct command *own = commands_own; own->noun; own++)
		add(own);
	build();
}

size_t command_count(void)
{
	build_once();
	return count;
}

const struct command *command_at(size_t index)
{
	return index < command_count() ? &commands[index] : NULL;
}

/* ---- Finding ---- */

const struct command *command_find(const char *noun, const char *verb)
{
	const struct command *command;

	COMMAND_FOREACH(command)
	if (!strcmp(command->noun, noun) &&
		(verb ? command->verb && !strcmp(command->verb, verb) : !command->verb))
		return command;
	return NULL;
}

bool command_is_noun(const char *noun)
{
	const struct command *command;

	COMMAND_FOREACH(command)
	if (!strcmp(command->noun, noun))
		return true;
	return false;
}

const struct kind *command_kind(const char *noun)
{
	char name[WORD_MAX];

	return kind_find(text_underscores(noun, name, sizeof(name)));
}

static bool is_plural(const struct kind *kind, const char *word)
{
	char plural[WORD_MAX];

	snprintf(plural, sizeof(plural), "%s", kind->plural);
	for (char *c = plural; *c; c++)
		if (*c == ' ')
			*c = '-';
	return !strcmp(plural, word);
}

char *command_noun(const char *word, char *dst, size_t size)
{
	const struct kind *kind;
	size_t length;

	text_dashes(word, dst, size);
	length = strlen(dst);
	if (command_is_noun(dst) || !length)
		return dst;
	KIND_FOREACH(kind)
	if (is_plural(kind, dst))
		return text_dashes(kind->name, dst, size);
	if (dst[length - 1] == 's') {
		dst[length - 1] = '\0';
		if (!command_is_noun(dst))
			dst[length - 1] = 's';
	}
	return dst;
}

char *command_words(const struct command *command, char *dst, size_t size)
{
	snprintf(dst, size, "%s%s%s", command->noun, command->verb ? " " : "",
		command->verb ? command->verb : "");
	return dst;
}

bool command_requires(const struct command *command, const struct field *flag)
{
	if (command->method && field_find(command->method->params, flag->name))
		return method_requires(command->method, flag);
	return flag->flags & FIELD_REQUIRED;
}
