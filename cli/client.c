// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_http.h"
#include "cli/text.h"
#include "lib/jsonrpc_sync.h"
#include "lib/methods.h"

#define CONNECT_TIMEOUT_MS 5000
#define CALL_TIMEOUT_MS 120000
#define PAGE 5000

struct client {
	struct jsonrpc_sync *socket; /* one of the two */
	struct client_http *http;
};

/* ---- Connection ---- */

static int no_server(const struct cli *cli, const char *why)
{
	return cli_fail(CLI_NO_SERVER, "no controller at %s: %s",
		cli->options.server ? cli->options.server : cli->options.socket, why);
}

static struct client *connect_to(
	const struct options *options, int timeout_ms, char *why, size_t size)
{
	struct client *client = must(calloc(1, sizeof(*client)));

	if (options->server) {
		client->http = client_http_open(options->server, options->token_file, why, size);
	} else {
		const char *path = options->socket;
		char *address = strchr(path, ':') || *path == '/' ? text_printf("%s", path)
								  : text_printf("unix:%s", path);

		client->socket = jsonrpc_sync_open(address, timeout_ms, why, size);
		free(address);
	}
	if (client->socket || client->http)
		return client;
	free(client);
	return NULL;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	jsonrpc_sync_free(client->socket);
	client_http_free(client->http);
	free(client);
}

static int transport(struct client *client, const char *method, json_t *params, int timeout_ms,
	json_t **result, json_t **error, char *why, size_t size)
{
	int rc;

	*result = *error = NULL;
	if (client->http)
		return client_http_call(
			client->http, method, params, timeout_ms, result, error, why, size);
	rc = jsonrpc_sync_call(client->socket, method, params, timeout_ms, result, error);
	if (rc == -EREMOTEIO)
		return CLI_REFUSED;
	if (rc == 0)
		return CLI_OK;
	snprintf(why, size, "%s",
		rc == -EPROTO ? "it does not speak JSON-RPC" : strerrordesc_np(-rc));
	return CLI_NO_SERVER;
}

/* ---- Calls ---- */

static json_t *add_wait(const struct options *options, const char *name, json_t *params)
{
	const struct method *method = method_find(name);

	if (!params)
		params = json_object();
	if (!method || !(method->flags & METHOD_WAITS))
		return params;
	if (options->wait)
		json_object_set_new(params, "wait", json_true());
	if (options->wait_timeout_ms)
		json_object_set_new(
			params, "wait_timeout_ms", json_integer(options->wait_timeout_ms));
	return params;
}

int client_try(struct cli *cli, const char *method, json_t *params, json_t **result, json_t **error)
{
	char why[512] = "";
	int status;

	params = add_wait(&cli->options, method, params);
	if (!cli->client)
		cli->client = connect_to(&cli->options, CONNECT_TIMEOUT_MS, why, sizeof(why));
	if (!cli->client) {
		json_decref(params);
		return no_server(cli, why);
	}
	status = transport(cli->client, method, params,
		CALL_TIMEOUT_MS + (int)cli->options.wait_timeout_ms, result, error, why,
		sizeof(why));
	if (status == CLI_NO_SERVER)
		return no_server(cli, why);
	return status;
}

int client_call(struct cli *cli, const char *method, json_t *params, json_t **result)
{
	json_t *error = NULL;
	int status = client_try(cli, method, params, result, &error);

	return status == CLI_REFUSED ? client_refused(error) : status;
}

json_t *client_quietly(struct cli *cli, const char *method, json_t *params, int timeout_ms)
{
	json_t *result = NULL, *error = NULL;
	char why[512];

	if (!cli->client)
		cli->client = connect_to(&cli->options, timeout_ms, why, sizeof(why));
	if (!cli->client) {
		json_decref(params);
		return NULL;
	}
	transport(cli->client, method, params, timeout_ms, &result, &error, why, sizeof(why));
	json_decref(error);
	return result;
}

int client_list(struct cli *cli, const char *method, json_t *params, json_t **items)
{
	const struct method *described = method_find(method);
	bool paged = described && described->flags & METHOD_PAGED;
	bool all = !json_object_get(params, "limit") && !json_object_get(params, "cursor");
	json_t *result, *cursor = NULL;
	int status;

	*items = json_array();
	do {
		json_t *page = json_copy(params);

		if (all && paged)
			json_object_set_new(page, "limit", json_integer(PAGE));
		if (cursor)
			json_object_set_new(page, "cursor", cursor);
		status = client_call(cli, method, page, &result);
		if (status != CLI_OK)
			break;
		json_array_extend(*items, json_object_get(result, "items"));
		cursor = json_object_get(result, "cursor");
		cursor = json_is_string(cursor) && all ? json_incref(cursor) : NULL;
		json_decref(result);
	} while (cursor);
	json_decref(params);
	if (status != CLI_OK) {
		json_decref(*items);
		*items = NULL;
	}
	return status;
}

/* ---- Errors ---- */

static void print_names(const char *what, const json_t *list)
{
	const json_t *item;
	size_t index;

	if (json_array_size(list) == 0)
		return;
	fprintf(stderr, "  %s:", what);
	json_array_foreach ((json_t *)list, index, item) {
		const char *kind = resource_text(item, "kind"), *name = resource_text(item, "name");

		if (json_is_string(item))
			fprintf(stderr, " %s", json_string_value(item));
		else if (name)
			fprintf(stderr, " %s%s%s", kind ? kind : "", kind ? "/" : "", name);
	}
	fputc('\n', stderr);
}

int client_refused(json_t *error)
{
	const char *message = resource_text(error, "message");
	const json_t *data = json_object_get(error, "data");
	const char *path = resource_text(data, "path");

	if (!message)
		message = "the server refused without a reason";
	if (path && *path && !strstr(message, path))
		cli_fail(0, "%s: %s", path, message);
	else
		cli_fail(0, "%s", message);
	print_names("referred to by", json_object_get(data, "referrers"));
	print_names("not yet obeyed by", json_object_get(data, "nodes"));
	json_decref(error);
	return CLI_REFUSED;
}

int client_next_within(struct cli *cli, int timeout_ms, json_t **notification)
{
	int rc;

	*notification = NULL;
	if (!cli->client || !cli->client->socket)
		return cli_fail(CLI_USAGE, "this needs --socket: HTTP carries no notifications");
	rc = jsonrpc_sync_next(cli->client->socket, timeout_ms, notification);
	if (rc == 0 || (rc == -ETIMEDOUT && timeout_ms >= 0))
		return CLI_OK;
	return no_server(cli, rc == -ECONNRESET ? "it has ended" : strerrordesc_np(-rc));
}

int client_next(struct cli *cli, json_t **notification)
{
	return client_next_within(cli, -1, notification);
}

int client_fd(const struct cli *cli)
{
	return jsonrpc_sync_fd(cli->client->socket);
}
