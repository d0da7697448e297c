// SPDX-License-Identifier: Apache-2.0
/* hook attach, hook detach: a hook out of an object file, and its end. */
#ifndef CLI_HOOK_H
#define CLI_HOOK_H

#include "cli/command.h"

extern const struct field hook_attach_args[], hook_attach_flags[], hook_detach_args[];
int hook_attach_run(struct cli *cli, const struct command *command, json_t *params);
int hook_detach_run(struct cli *cli, const struct command *command, json_t *params);

#endif
