// SPDX-License-Identifier: Apache-2.0
/* POST /rpc of the controller's HTTP server. */
#ifndef CLI_CLIENT_HTTP_H
#define CLI_CLIENT_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct client_http;

/* Does it read http://host[:port]? */
bool client_http_is_url(const char *url);

/*
 * For such a URL; nothing is sent yet. The token comes from the first word of a line of
 * token_file (the second of two: "NAME TOKEN"), or from VPC_TOKEN; without one there are only reads.
 * NULL with the reason in `why`.
 */
struct client_http *client_http_open(
	const char *url, const char *token_file, char *why, size_t size);
void client_http_free(struct client_http *http);

/*
 * One call; takes params. An enum cli_exit: CLI_OK with *result; CLI_REFUSED with *error, {code,
 * message, data}; CLI_NO_SERVER with the reason in `why`.
 */
int client_http_call(struct client_http *http, const char *method, json_t *params, int timeout_ms,
	json_t **result, json_t **error, char *why, size_t size);

#endif
