// SPDX-License-Identifier: Apache-2.0
/*
 * The commands: those of every kind and method, made from the descriptions in lib/, and a few of
 * vpcctl's own. Parsing, help, completion and the man page all read this registry.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "lib/methods.h"

struct command;

/* Carries a command out; params hold the arguments and flags by name. Returns an enum cli_exit. */
typedef int (*command_run)(struct cli *cli, const struct command *command, json_t *params);

struct command {
	const char *noun;            /* with dashes: "security-group", "session", "apply" */
	const char *verb;            /* with dashes: "add-rules"; NULL: the noun says it all */
	const char *help;            /* a sentence */
	const struct method *method; /* what it calls; NULL: several or none */
	const struct field
		*args; /* what stands behind the words, in order; the last may be a list */
	const struct field *flags; /* both end with FIELD_END and give members of params */
	const char *const
		*examples; /* command lines without "vpcctl", ended by NULL; may be NULL */
	command_run run;
	bool alias; /* the same as another: not in lists of commands */
};

size_t command_count(void);
const struct command *command_at(size_t index);
#define COMMAND_FOREACH(command)                                                                   \
	for (size_t command##_i = 0;                                                               \
		command##_i < command_count() && ((command) = command_at(command##_i));            \
		command##_i++)

/* By its words; NULL when there is none. */
const struct command *command_find(const char *noun, const char *verb);
/* Is there a command that begins so? */
bool command_is_noun(const char *noun);

/* The noun that a word stands for: dashes for underscores, singular for plural. Returns dst. */
char *command_noun(const char *word, char *dst, size_t size);
/* The kind whose noun it is; NULL when it is none's. */
const struct kind *command_kind(const char *noun);

/* "vpc create", "status". Returns dst. */
char *command_words(const struct command *command, char *dst, size_t size);

/* Must the flag be given? */
bool command_requires(const struct command *command, const struct field *flag);

/* ---- For those that add commands ---- */

/* vpcctl's own; ends with an empty one. */
extern const struct command commands_own[];

int verbs_run(struct cli *cli, const struct command *command, json_t *params);
int export_run(struct cli *cli, const struct command *command, json_t *params);
int status_run(struct cli *cli, const struct command *command, json_t *params);
int explain_run(struct cli *cli, const struct command *command, json_t *params);
int watch_run(struct cli *cli, const struct command *command, json_t *params);

#endif
