/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "core/rpc_state.h"
#include "core/worker.h"
#include "lib/log.h"

static struct rpc_method *methods;
static struct jsonrpc_server *server;
static struct event_base *event_base;

/* Connections, for events. */
#define CONNECTIONS 64
static struct jsonrpc_conn *connections[CONNECTIONS];

void rpc_method_register(struct rpc_method *method)
{
	method->next = methods;
	methods = method;
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
	return jsonrpc_server_listen_unix(server, node_config.rpc);
}

void rpc_stop(void)
{
	if (server != NULL)
		jsonrpc_server_free(server);
	server = NULL;
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
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		if (connections[i] != NULL)
			jsonrpc_conn_notify(connections[i], "event",
				json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", severity, "kind",
					kind, "name", name, "reason", reason, "message", message));
}

void rpc_time_text(uint32_t ms, char *text, size_t size)
{
	struct timespec now;
	int64_t ago = (int32_t)(clock_ms() - ms);
	struct tm tm;
	int64_t at;
	time_t s;

	clock_gettime(CLOCK_REALTIME, &now);
	at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - ago;
	s = (time_t)(at / 1000);
	gmtime_r(&s, &tm);
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(at % 1000));
}
