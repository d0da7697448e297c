// SPDX-License-Identifier: Apache-2.0
/* The whole network at once. */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include "cli/command.h"

/* Every object with its kind and status; *all is a new array even when the call fails. */
int export_all(struct cli *cli, json_t **all);

int get_all_run(struct cli *cli, const struct command *command, json_t *params);

#endif
