/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "core/rpc_state.h"
#include "core/worker.h"
#include "lib/log.h"
#include "lib/resource.h"
#include "lib/tls.h"

static struct rpc_method *methods;
static struct rpc_closed *closed_list;
static struct jsonrpc_server *server;
static struct event_base *event_base;
static struct tls *tls;      /* NULL: a Unix socket */
static const char **clients; /* names of which a certificate must bear one; NULL: any */

/* The clock was set, or has drifted from the processor's. */
#define CLOCK_SET_MS 100

/* Connections, for events. */
#define CONNECTIONS 64
static struct jsonrpc_conn *connections[CONNECTIONS];

void rpc_method_register(struct rpc_method *method)
{
	method->next = methods;
	methods = method;
}

void rpc_closed_register(struct rpc_closed *c)
{
	c->next = closed_list;
	closed_list = c;
}

static bool dispatch(struct jsonrpc_call *call, const char *name, json_t *params, void *ctx)
{
	for (const struct rpc_method *m = methods; m != NULL; m = m->next) {
		if (strcmp(m->name, name) == 0) {
			m->handler(call, params, ctx);
			return true;
		}
	}
	return false;
}

static void opened(struct jsonrpc_conn *conn, void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		if (connections[i] == NULL) {
			connections[i] = conn;
			return;
		}
	}
}

static void closed(struct jsonrpc_conn *conn, void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		if (connections[i] == conn)
			connections[i] = NULL;
	rpc_state_closed(conn);
	for (const struct rpc_closed *c = closed_list; c != NULL; c = c->next)
		c->fn(conn);
}

/* The texts are the configuration's. */
static int take_clients(const json_t *names)
{
	size_t i, n = json_array_size(names);
	json_t *name;

	if (n == 0)
		return 0;
	clients = calloc(n + 1, sizeof(clients[0]));
	if (clients == NULL)
		return -ENOMEM;
	json_array_foreach ((json_t *)names, i, name)
		clients[i] = json_string_value(name);
	return 0;
}

static int listen_tls(const json_t *config)
{
	struct tls_files files = tls_files_of(config);
	struct tls_fault fault = {.field = "", .reason = "out of memory"};
	int err = take_clients(json_object_get(config, "clients"));

	if (err != 0)
		return err;
	tls = tls_new(TLS_SERVER, &files, &fault);
	if (tls == NULL) {
		log_error("certificates cannot be used", LOG_STR("field", fault.field),
			LOG_STR("reason", fault.reason));
		return -EINVAL;
	}
	return jsonrpc_server_listen_tls(server, node_config.rpc, tls, clients);
}

int rpc_start(struct event_base *base)
{
	struct jsonrpc_server_options options = {
		.dispatch = dispatch,
		.opened = opened,
		.closed = closed,
	};

	event_base = base;
	server = jsonrpc_server_new(base, &options);
	if (server == NULL)
		return -ENOMEM;
	return node_config.tls != NULL ? listen_tls(node_config.tls)
				       : jsonrpc_server_listen_unix(server, node_config.rpc);
}

void rpc_reload(void)
{
	if (tls != NULL)
		tls_refresh(tls, true);
}

void rpc_stop(void)
{
	if (server != NULL)
		jsonrpc_server_free(server);
	server = NULL;
	tls_free(tls);
	tls = NULL;
	free(clients);
	clients = NULL;
}

struct jsonrpc_server *rpc_server(void)
{
	return server;
}

struct event_base *rpc_base(void)
{
	return event_base;
}

void rpc_invalid(struct jsonrpc_call *call, const char *path, const char *fmt, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	jsonrpc_failf(call, ERROR_INVALID, json_pack("{s:s, s:s}", "path", path, "reason", reason),
		"%s: %s", path, reason);
}

void rpc_notify(const char *method, json_t *params)
{
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		if (connections[i] != NULL)
			jsonrpc_conn_notify(connections[i], method, json_incref(params));
	json_decref(params);
}

void rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...)
{
	char message[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_info(message, LOG_STR("severity", severity), LOG_STR("kind", kind),
		LOG_STR("name", name), LOG_STR("reason", reason));
	rpc_notify("event", json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", severity, "kind",
				    kind, "name", name, "reason", reason, "message", message));
}

/* When clock_ms() was 0. Kept until somebody has set the clock, so that a moment is told alike whenever it is asked for. */
static int64_t start_of(uint32_t clock)
{
	static int64_t start;
	struct timespec now;
	int64_t measured;

	clock_gettime(CLOCK_REALTIME, &now);
	measured = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - clock;
	if (llabs(measured - start) > CLOCK_SET_MS)
		start = measured;
	return start;
}

void rpc_time_text(uint32_t ms, char *text, size_t size)
{
	uint32_t clock = clock_ms();
	int64_t at = start_of(clock) + clock - (int32_t)(clock - ms);
	time_t s = (time_t)(at / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(at % 1000));
}
