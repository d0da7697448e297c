// SPDX-License-Identifier: Apache-2.0
/* plot: a counter over time, as a line of bars and as an SVG. */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include "cli/command.h"

extern const struct field plot_args[], plot_flags[];

int plot_run(struct cli *cli, const struct command *command, json_t *params);

#endif
