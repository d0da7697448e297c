// SPDX-License-Identifier: Apache-2.0
/* Many resources at once. */
#ifndef CLI_APPLY_H
#define CLI_APPLY_H

#include "cli/command.h"

extern const struct field apply_flags[], diff_flags[], delete_flags[];

int apply_run(struct cli *cli, const struct command *command, json_t *params);
int diff_run(struct cli *cli, const struct command *command, json_t *params);
int delete_run(struct cli *cli, const struct command *command, json_t *params);

struct files;
/* Applies the resources of files; takes params, what else the call says. */
int apply_files(struct cli *cli, const struct files *files, json_t *params, json_t **result);
/* What apply answered. */
int apply_show(struct cli *cli, const json_t *result, bool dry_run);

#endif
