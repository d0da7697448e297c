// SPDX-License-Identifier: Apache-2.0
/* Everything the controller has stored, in a file. */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "cli/command.h"

extern const struct field backup_args[], restore_flags[];

int backup_run(struct cli *cli, const struct command *command, json_t *params);
int restore_run(struct cli *cli, const struct command *command, json_t *params);

#endif
