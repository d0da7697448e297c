// SPDX-License-Identifier: Apache-2.0
/*
 * vpcctl: what its parts share. One thread, one command a process; what is allocated for the command
 * may live until the process ends.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/options.h"

/* The exit status, which is also what functions return that end a command. */
enum cli_exit {
	CLI_OK = 0,
	CLI_REFUSED = 1,   /* the server's message is on stderr */
	CLI_USAGE = 2,     /* what is wrong with the command line is on stderr */
	CLI_NO_SERVER = 3, /* why it cannot be reached is on stderr */
};

struct cli {
	struct options options;
	struct client *client; /* opened by the first call */
};

/* "vpcctl: message" on stderr; returns `status`. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
