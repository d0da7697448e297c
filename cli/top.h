// SPDX-License-Identifier: Apache-2.0
/* top: what happens right now, in the terminal. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/command.h"

extern const struct field top_args[], top_flags[];

int top_run(struct cli *cli, const struct command *command, json_t *params);

#endif
