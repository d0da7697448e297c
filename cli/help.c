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
#define NAME_SIZE 160

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
	char words[NAME_SIZE], name[NAME_SIZE], *text = NULL;
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

/* How the fields of a table are shown. */
struct style {
	FILE *out;
	const struct command *command; /* whose flags they are; NULL: they are inside one */
	const char *lead;              /* "--", or nothing before the members of a list's items */
	size_t indent;                 /* of the text below a name */
};

static void put_help(
	const struct style *style, const struct field *field, bool required, bool show_default)
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
	fprintf(style->out, "%*s", (int)style->indent, "");
	text_wrap(style->out, must(text), style->indent, width());
	free(text);
	if (field->type != FIELD_ENUM)
		return;
	for (const struct field_value *v = field->values; v->name; v++)
		fprintf(style->out, "%*s%-12s %s\n", (int)style->indent + 2, "", v->name, v->help);
}

static void put_fields(const struct style *style, const struct field *fields, const char *prefix);

static void put_union(const struct style *style, const struct field *field, const char *prefix)
{
	char name[NAME_SIZE];

	for (const struct field_variant *v = field->variants; v->value; v++) {
		fprintf(style->out, "%*s%s%s%s %s\n%*s", (int)style->indent - 4, "", style->lead,
			prefix, text_dashes(field->tag, name, sizeof(name)), v->value,
			(int)style->indent, "");
		text_wrap(style->out, v->help, style->indent, width());
		put_fields(style, v->fields, prefix);
	}
}

static void put_members(const struct style *style, const struct field *field, const char *path)
{
	struct style inner = {style->out, NULL, style->lead, style->indent};
	char *prefix = text_printf("%s.", path);

	if (field->flags & FIELD_LIST && field->type == FIELD_OBJECT) {
		inner.lead = "";
		inner.indent += 4;
		fprintf(style->out, "%*sJSON, or member=value,... with these members:\n",
			(int)style->indent, "");
		put_fields(&inner, field->fields, "");
	} else if (field->type == FIELD_OBJECT) {
		put_fields(&inner, field->fields, prefix);
	} else if (field->type == FIELD_UNION) {
		put_union(&inner, field, prefix);
	}
	free(prefix);
}

static void put_field(const struct style *style, const struct field *field, const char *prefix)
{
	const struct command *command = style->command;
	const char letter = *prefix || !*style->lead ? 0 : options_letter(field->name);
	bool required = command ? command_requires(command, field) : field->flags & FIELD_REQUIRED;
	bool update = command && command->method && command->method->verb == METHOD_UPDATE;
	char type[256], name[NAME_SIZE], *path;

	text_dashes(field->name, name, sizeof(name));
	path = text_printf("%s%s", prefix, *style->lead ? name : field->name);
	fprintf(style->out, "%*s", (int)style->indent - 4, "");
	if (letter)
		fprintf(style->out, "-%c, ", letter);
	fprintf(style->out, "%s%s  <%s>\n", style->lead, path,
		reference_type(field, type, sizeof(type)));
	put_help(style, field, required, !update);
	put_members(style, field, path);
	free(path);
}

static void put_fields(const struct style *style, const struct field *fields, const char *prefix)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		put_field(style, field, prefix);
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
	const struct style style = {out, command, "", INDENT};
	const struct field *arg;
	char name[NAME_SIZE];

	if (!command->args || command->args->type == FIELD_END)
		return;
	fputs("\nArguments:\n", out);
	FIELD_FOREACH(arg, command->args)
	{
		fprintf(out, "  %s\n", upper(arg->name, name, sizeof(name)));
		put_help(&style, arg, arg->flags & FIELD_REQUIRED, true);
	}
}

void help_command(FILE *out, const struct command *command)
{
	const struct style style = {out, command, "--", INDENT};
	const struct kind *kind = command->method ? command->method->kind : NULL;
	char *usage = help_usage(command), *examples = help_examples(command);
	char *text = kind ? text_printf("%s The %s: %s", command->help, command->noun, kind->help)
			  : text_printf("%s", command->help);

	fprintf(out, "Usage: %s\n\n", usage);
	text_wrap(out, text, 0, width());
	free(text);
	put_arguments(out, command);
	if (command->flags && command->flags->type != FIELD_END) {
		fputs("\nOptions:\n", out);
		put_fields(&style, command->flags, "");
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
	char name[NAME_SIZE];

	KIND_FOREACH(kind)
	{
		fprintf(out, "  %-16s", text_dashes(kind->name, name, sizeof(name)));
		text_wrap(out, kind->help, 18, width());
	}
}

void help_top(FILE *out)
{
	const struct style style = {out, NULL, "--", INDENT};
	const struct command *command;
	char words[NAME_SIZE];

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
	put_fields(&style, options_fields, "");
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
