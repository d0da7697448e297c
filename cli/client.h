// SPDX-License-Identifier: Apache-2.0
/* Calls of the controller, over its socket or over HTTP. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/cli.h"

/*
 * One call; takes params. CLI_OK with *result (a new reference), else the message has been printed.
 * Parameters about waiting are added where the method takes them.
 */
int client_call(struct cli *cli, const char *method, json_t *params, json_t **result);

/* The same, but an error of the server, {code, message, data}, is left in *error for client_refused(). */
int client_try(
	struct cli *cli, const char *method, json_t *params, json_t **result, json_t **error);
/* Prints such an error and gives it back. Returns CLI_REFUSED. */
int client_refused(json_t *error);

/* All pages of a list, or the one that `limit` or `cursor` in params asks for. *items is an array. */
int client_list(struct cli *cli, const char *method, json_t *params, json_t **items);

/* A call that may fail unnoticed within timeout_ms: the result or NULL. */
json_t *client_quietly(struct cli *cli, const char *method, json_t *params, int timeout_ms);

/* Next notification {method, params}; waits for ever. CLI_OK or CLI_NO_SERVER, said. */
int client_next(struct cli *cli, json_t **notification);

/* The same within timeout_ms; *notification is NULL when none has come. */
int client_next_within(struct cli *cli, int timeout_ms, json_t **notification);
/* For poll(): something may have come. After a call by the socket. */
int client_fd(const struct cli *cli);

void client_free(struct client *client);

#endif
