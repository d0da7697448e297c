// SPDX-License-Identifier: Apache-2.0
#include "cli/man.h"

#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/text.h"
#include "lib/reference.h"

#define NAME_SIZE 128

static const char head[] =
	".TH VPCCTL 1 \"\" \"vpc " VPC_VERSION "\" \"User Commands\"\n"
	".SH NAME\n"
	"vpcctl \\- show and change virtual networks\n"
	".SH SYNOPSIS\n"
	".B vpcctl\n"
	"\\fIKIND\\fR \\fICOMMAND\\fR [\\fINAME\\fR] [\\fB\\-\\-\\fIFIELD VALUE\\fR]...\n"
	".br\n"
	".B vpcctl\n"
	"\\fICOMMAND\\fR ...\n"
	".SH DESCRIPTION\n"
	"vpcctl calls a vpc\\-controller, which keeps the desired state of virtual networks and "
	"programs the dataplanes of the hosts by it.\n"
	".PP\n"
	"Every field of a kind is an option of its commands, with dashes or underscores. Lists: "
	"repeat the option, or put commas between the values; lists of objects take JSON, or "
	"\\fImember\\fB=\\fIvalue\\fR with commas in between. Nested fields: "
	"\\fB\\-\\-attachment.type tap\\fR, or the whole as JSON. \\fBnull\\fR returns a field to "
	"its default.\n"
	".PP\n"
	"Files are streams of YAML documents or JSON; each resource has its \\fBkind\\fR.\n";

static const char tail[] =
	".SH EXIT STATUS\n"
	".TP\n.B 0\nDone.\n"
	".TP\n.B 1\nThe server refused; its message is on standard error. With "
	"\\fBdiff \\-\\-exit\\-code\\fR: there are differences.\n"
	".TP\n.B 2\nBad usage.\n"
	".TP\n.B 3\nThe server cannot be reached.\n"
	".SH ENVIRONMENT\n"
	".TP\n.B VPC_SOCKET\nThe controller's socket, unless \\fB\\-\\-socket\\fR or "
	"\\fB\\-\\-server\\fR is given.\n"
	".TP\n.B VPC_SERVER\nThe controller's HTTP address, unless one of these or VPC_SOCKET is.\n"
	".TP\n.B VPC_TOKEN\nThe token for \\fB\\-\\-server\\fR, unless "
	"\\fB\\-\\-token\\-file\\fR is given.\n"
	".TP\n.B NO_COLOR\nNo colours on a terminal.\n"
	".SH FILES\n"
	".TP\n.I /run/vpc/controller.sock\nThe controller's socket. Root and members of the group "
	"vpc may use it.\n";

/* Text as it stands, where roff could see macros or escapes. */
static void put_line(FILE *out, const char *text)
{
	reference_roff(text, out);
	fputc('\n', out);
}

static void put_flag(FILE *out, const struct field *field)
{
	const char letter = options_letter(field->name);
	char name[NAME_SIZE], type[256];

	fputs(".TP\n\\fB", out);
	if (letter)
		fprintf(out, "\\-%c\\fR, \\fB", letter);
	fputs("\\-\\-", out);
	reference_roff(text_dashes(field->name, name, sizeof(name)), out);
	fputs("\\fR \\fI", out);
	reference_roff(reference_type(field, type, sizeof(type)), out);
	fputs("\\fR\n", out);
	reference_roff(field->help, out);
	if (field->unit)
		fprintf(out, " (%s)", field->unit);
	if (field->def) {
		fputs("; default ", out);
		reference_roff(field->def, out);
	}
	fputc('\n', out);
}

static void put_examples(FILE *out, const struct command *command)
{
	char *examples = help_examples(command), *rest = examples, *line;

	if (*examples)
		fputs(".PP\n.nf\n", out);
	while ((line = strsep(&rest, "\n")) && *line) {
		fputs("    ", out);
		put_line(out, line);
	}
	if (*examples)
		fputs(".fi\n", out);
	free(examples);
}

/* A general command: all about it. */
static void put_command(FILE *out, const struct command *command)
{
	char *usage = help_usage(command), words[NAME_SIZE];
	const struct field *field;

	fputs(".SS ", out);
	put_line(out, command_words(command, words, sizeof(words)));
	fputs(".B ", out);
	put_line(out, usage);
	fputs(".PP\n", out);
	put_line(out, command->help);
	FIELD_FOREACH(field, command->flags)
	{
		put_flag(out, field);
	}
	put_examples(out, command);
	free(usage);
}

/* A kind's commands: its fields are in RESOURCES. */
static void put_kind(FILE *out, const struct kind *kind)
{
	const struct command *command;
	char noun[NAME_SIZE];

	fputs(".SS ", out);
	put_line(out, text_dashes(kind->name, noun, sizeof(noun)));
	put_line(out, kind->help);
	COMMAND_FOREACH(command)
	{
		char *usage;

		if (strcmp(command->noun, noun))
			continue;
		usage = help_usage(command);
		fputs(".TP\n.B ", out);
		put_line(out, usage);
		put_line(out, command->help);
		put_examples(out, command);
		free(usage);
	}
}

void man_page(FILE *out)
{
	const struct command *command;
	const struct field *field;
	const struct kind *kind;

	fputs(head, out);
	fputs(".SH OPTIONS\nThey may stand anywhere.\n", out);
	FIELD_FOREACH(field, options_fields)
	{
		put_flag(out, field);
	}
	fputs(".SH COMMANDS\n", out);
	COMMAND_FOREACH(command)
	{
		if (!command->alias && !command_kind(command->noun))
			put_command(out, command);
	}
	fputs(".SH COMMANDS OF KINDS\nBeside these, \\fBvpcctl describe\\fR \\fIKIND NAME\\fR.\n",
		out);
	KIND_FOREACH(kind)
	{
		put_kind(out, kind);
	}
	reference_man(out);
	fputs(tail, out);
}
