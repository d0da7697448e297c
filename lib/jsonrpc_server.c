// SPDX-License-Identifier: Apache-2.0
/* The JSON-RPC server as a whole. */
#include <stdlib.h>

#include "lib/jsonrpc_server_internal.h"

#define DEFAULT(field, value)                                                                      \
	do {                                                                                       \
		if ((field) == 0)                                                                  \
			(field) = (value);                                                         \
	} while (0)

static void default_limits(struct jsonrpc_limits *l)
{
	DEFAULT(l->message_bytes, JSONRPC_MAX_MESSAGE);
	DEFAULT(l->depth, JSONRPC_MAX_DEPTH);
	DEFAULT(l->clients, 256);
	DEFAULT(l->batch, 16384);
	DEFAULT(l->pending, 1024);
	DEFAULT(l->output_pause_bytes, (size_t)1 << 20);
	DEFAULT(l->output_close_bytes, (size_t)64 << 20);
	DEFAULT(l->message_timeout_ms, 30000);
	DEFAULT(l->write_timeout_ms, 60000);
	DEFAULT(l->handshakes, 64);
	DEFAULT(l->handshake_timeout_ms, 5000);
	DEFAULT(l->address_clients, 32);
	DEFAULT(l->address_rate, 20);
}

struct jsonrpc_server *jsonrpc_server_new(
	struct event_base *base, const struct jsonrpc_server_options *options)
{
	struct jsonrpc_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->base = base;
	server->options = *options;
	server->limit_log = (struct log_limit)LOG_LIMIT(5, 60);
	default_limits(&server->options.limits);
	LIST_INIT(&server->conns);
	LIST_INIT(&server->listeners);
	LIST_INIT(&server->orphans);
	return server;
}

void jsonrpc_server_free(struct jsonrpc_server *server)
{
	if (server == NULL)
		return;
	jsonrpc_listeners_free(server);
	while (!LIST_EMPTY(&server->conns))
		jsonrpc_conn_free(LIST_FIRST(&server->conns));
	jsonrpc_exchanges_abandon(server);
	address_limit_free(server->addresses);
	free(server);
}

unsigned jsonrpc_server_clients(const struct jsonrpc_server *server)
{
	return server->clients;
}
