// SPDX-License-Identifier: Apache-2.0
/* All that has to do with one object. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include "cli/command.h"

extern const struct field describe_args[];
int describe_run(struct cli *cli, const struct command *command, json_t *params);

#endif
