// SPDX-License-Identifier: Apache-2.0
/* Completion in shells: what the next word may be, and the scripts that ask. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/command.h"

/*
 * `vpcctl __complete WORD...`: prints what may stand in place of the last word, one a line, with a tab
 * and a help text behind it; ":files" when it is a file's name. Asks the server for names, briefly.
 */
#define COMPLETE_WORD "__complete"
int complete_words(int count, char **words);

/* `vpcctl completion bash|zsh` prints the shell's script. */
extern const struct field completion_args[];
int completion_run(struct cli *cli, const struct command *command, json_t *params);

#endif
