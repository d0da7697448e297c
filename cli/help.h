// SPDX-License-Identifier: Apache-2.0
/* Help at every level, from the descriptions. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/command.h"

/* All commands; those of one noun; one command. */
void help_top(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct command *command);

/* "vpcctl vpc create NAME [--option value …]", malloc()ed. */
char *help_usage(const struct command *command);

/*
 * The command's examples as command lines, newline after each, malloc()ed; "" when there is none. Those
 * of a method are made from its example, or from its kind's.
 */
char *help_examples(const struct command *command);

/* `vpcctl help [WORD…]` */
extern const struct field help_args[];
int help_run(struct cli *cli, const struct command *command, json_t *params);

#endif
