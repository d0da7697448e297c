// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/text.h"
#include "lib/reference.h"

#define INDENT 6
#define PATH_SIZE 160

static size_t width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 60)
		return size.ws_col < 100 ? size.ws_col : 100;
	return 80;
}

static char *upper(const char *name, char *dst, size_t size)
{
	text_dashes(name, dst, size);
	for (char *c = dst; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return dst;
}

char *help_usage(const struct command *command)
{
	char words[PATH_SIZE], name[PATH_SIZE], *text = NULL;
	const struct field *field;
	size_t size;
	FILE *out = must(open_memstream(&text, &size));

	fprintf(out, "vpcctl %s", command_words(command, words, sizeof(words)));
	FIELD_FOREACH(field, command->args)
	{
		const bool required = field->flags & FIELD_REQUIRED;

		upper(field->name, name, sizeof(name));
		if (field->flags & FIELD_LIST && name[strlen(name) - 1] == 'S')
			name[strlen(name) - 1] = '\0';
		fprintf(out, required ? " %s%s" : " [%s%s]", name,
			field->flags & FIELD_LIST ? "..." : "");
	}
	FIELD_FOREACH(field, command->flags)
	{
		if (command_requires(command, field))
			fprintf(out, " --%s %s", text_dashes(field->name, name, sizeof(name)),
				field->type == FIELD_INTEGER ? "NUMBER" : "VALUE");
	}
	if (command->flags && command->flags->type != FIELD_END)
		fputs(" [--OPTION VALUE]...", out);
	fclose(out);
	return must(text);
}

/* ---- Fields ---- */

static void put_help(FILE *out, const struct field *field, bool required, bool show_default)
{
	char *text = NULL;
	size_t size;
	FILE *words = must(open_memstream(&text, &size));

	fputs(field->help, words);
	if (field->unit)
		fprintf(words, " (%s)", field->unit);
	if (required)
		fputs("; required", words);
	if (field->flags & FIELD_IMMUTABLE && !(field->flags & FIELD_KEY))
		fputs("; fixed at creation", words);
	if (field->def && show_default)
		fprintf(words, "; default %s", field->def);
	if (field->example)
		fprintf(words, "; e.g. %s", field->example);
	fclose(words);
	fprintf(out, "%*s", INDENT, "");
	text_wrap(out, must(text), INDENT, width());
	free(text);
}

static void put_values(FILE *out, const struct field *field)
{
	if (field->type != FIELD_ENUM)
		return;
	for (const struct field_value *v = field->values; v->name; v++)
		fprintf(out, "%*s%-12s %s\n", INDENT + 2, "", v->name, v->help);
}

static void put_flags(FILE *out, const struct command *command, const struct field *fields,
	const char *prefix, const char *lead);

static void put_union(FILE *out, const struct command *command, const struct field *field,
	const char *path, const char *lead)
{
	char tag[PATH_SIZE], *inner = text_printf("%s.", path);

	for (const struct field_variant *v = field->variants; v->value; v++) {
		fprintf(out, "  %s%s%s %s\n%*s", lead, inner,
			text_dashes(field->tag, tag, sizeof(tag)), v->value, INDENT, "");
		text_wrap(out, v->help, INDENT, width());
		put_flags(out, command, v->fields, inner, lead);
	}
	free(inner);
}

static void put_flag(FILE *out, const struct command *command, const struct field *field,
	const char *prefix, const char *lead)
{
	const bool update = command && command->method && command->method->verb == METHOD_UPDATE;
	const char letter = *prefix ? 0 : options_letter(field->name);
	bool required = field->flags & FIELD_REQUIRED;
	char type[256], name[PATH_SIZE], *path, *inner;

	if (command && !*prefix)
		required = command_requires(command, field);
	path = text_printf("%s%s", prefix, text_dashes(field->name, name, sizeof(name)));
	fputs("  ", out);
	if (letter)
		fprintf(out, "-%c, ", letter);
	fprintf(out, "%s%s  <%s>\n", lead, path, reference_type(field, type, sizeof(type)));
	put_help(out, field, required, !update);
	put_values(out, field);
	inner = text_printf("%s.", path);
	if (field->flags & FIELD_LIST && field->type == FIELD_OBJECT) {
		fprintf(out, "%*sJSON, or member=value,... of these members:\n", INDENT, "");
		put_flags(out, NULL, field->fields, "", "    ");
	} else if (field->type == FIELD_OBJECT) {
		put_flags(out, NULL, field->fields, inner, lead);
	} else if (field->type == FIELD_UNION) {
		put_union(out, NULL, field, path, lead);
	}
	free(inner);
	free(path);
}

static void put_flags(FILE *out, const struct command *command, const struct field *fields,
	const char *prefix, const char *lead)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		put_flag(out, command, field, prefix, lead);
	}
}

/* ---- One command ---- */

static void put_lines(FILE *out, char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) && *line)
		fprintf(out, "  %s\n", line);
	free(text);
}

static void put_arguments(FILE *out, const struct command *command)
{
	const struct field *arg;
	char name[PATH_SIZE];

	if (!command->args || command->args->type == FIELD_END)
		return;
	fputs("\nArguments:\n", out);
	FIELD_FOREACH(arg, command->args)
	{
		fprintf(out, "  %s\n", upper(arg->name, name, sizeof(name)));
		put_help(out, arg, arg->flags & FIELD_REQUIRED, true);
		put_values(out, arg);
	}
}

void help_command(FILE *out, const struct command *command)
{
	char *usage = help_usage(command), *examples = help_examples(command);

	fprintf(out, "Usage: %s\n\n", usage);
	text_wrap(out, command->help, 0, width());
	if (command->method && command->method->kind) {
		fprintf(out, "\n%s: ", command->noun);
		text_wrap(out, command->method->kind->help, 0, width());
	}
	put_arguments(out, command);
	if (command->flags && command->flags->type != FIELD_END) {
		fputs("\nOptions:\n", out);
		put_flags(out, command, command->flags, "", "--");
	}
	if (*examples)
		fputs("\nExamples:\n", out);
	put_lines(out, examples);
	fputs("\nOptions of all commands (such as --output, --socket, --wait): vpcctl --help\n",
		out);
	free(usage);
}

/* ---- Several ---- */

static void put_command(FILE *out, const struct command *command)
{
	char *usage = help_usage(command);

	fprintf(out, "  %s\n%*s", usage + strlen("vpcctl "), INDENT, "");
	text_wrap(out, command->help, INDENT, width());
	free(usage);
}

void help_noun(FILE *out, const char *noun)
{
	const struct kind *kind = command_kind(noun);
	const struct command *command;

	fprintf(out, "Usage: vpcctl %s COMMAND ...\n\n", noun);
	if (kind) {
		text_wrap(out, kind->help, 0, width());
		fputc('\n', out);
	}
	fputs("Commands:\n", out);
	COMMAND_FOREACH(command)
	{
		if (!command->alias && !strcmp(command->noun, noun))
			put_command(out, command);
	}
	if (kind) {
		fprintf(out, "  describe %s NAME\n%*s", noun, INDENT, "");
		text_wrap(out, "Shows one object and all that has to do with it.", INDENT, width());
	}
	fprintf(out, "\nMore about one of them: vpcctl %s COMMAND --help\n", noun);
}

static void put_kinds(FILE *out)
{
	const struct kind *kind;
	char name[PATH_SIZE];

	KIND_FOREACH(kind)
	{
		fprintf(out, "  %-16s", text_dashes(kind->name, name, sizeof(name)));
		text_wrap(out, kind->help, 18, width());
	}
}

void help_top(FILE *out)
{
	const struct command *command;
	char words[PATH_SIZE];

	fputs("Usage: vpcctl KIND COMMAND [NAME] [--FIELD VALUE]...\n"
	      "       vpcctl COMMAND ...\n\n"
	      "Shows and changes the virtual networks of a vpc-controller.\n\nKinds:\n",
		out);
	put_kinds(out);
	fputs("\nCommands of a kind: create, get, list, update, delete, describe; some have more:\n"
	      "vpcctl KIND --help. Dashes and underscores are the same.\n\nCommands:\n",
		out);
	COMMAND_FOREACH(command)
	{
		if (command->alias || command_kind(command->noun))
			continue;
		fprintf(out, "  %-16s", command_words(command, words, sizeof(words)));
		text_wrap(out, command->help, 18, width());
	}
	fputs("\nOptions:\n", out);
	put_flags(out, NULL, options_fields, "", "--");
	fputs("\nLists: repeat an option, or put commas between the values. Nested fields: "
	      "--attachment.type tap,\nor JSON: --attachment '{\"type\": \"tap\"}'. null returns "
	      "a field to its default.\n\nExit status: 0 done, 1 the server refused, 2 bad usage, "
	      "3 no server.\n",
		out);
}

/* ---- vpcctl help ---- */

const struct field help_args[] = {
	{.name = "words",
		.type = FIELD_STRING,
		.flags = FIELD_LIST,
		.help = "a kind, a command, or a kind and a command"},
	{},
};

int help_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct arguments a;
	json_t *word;
	size_t index;
	int status = CLI_OK;

	(void)cli;
	(void)command;
	arguments_init(&a);
	json_array_foreach (json_object_get(params, "words"), index, word) {
		if (!arguments_word(&a, json_string_value(word))) {
			status = cli_fail(CLI_USAGE, "%s", a.error);
			break;
		}
	}
	if (status == CLI_OK && a.command)
		help_command(stdout, a.command);
	else if (status == CLI_OK && *a.noun && command_is_noun(a.noun))
		help_noun(stdout, a.noun);
	else if (status == CLI_OK)
		help_top(stdout);
	json_decref(a.params);
	json_decref(a.options);
	return status;
}
