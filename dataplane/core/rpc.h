/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RPC_H
#define CORE_RPC_H
/* The southbound JSON-RPC socket. Methods are added by the capability they belong to with RPC_METHOD(); lib/southbound.h
 * describes them. All on the control thread. */
#include <jansson.h>

#include "lib/errors.h"
#include "lib/jsonrpc_server.h"

struct event_base;

struct rpc_method {
	const char *name;
	jsonrpc_handler_fn handler;
	struct rpc_method *next;
};
void rpc_method_register(struct rpc_method *method);
#define RPC_METHOD(var, method_name, fn)                                                           \
	static struct rpc_method var = {.name = method_name, .handler = fn};                       \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		rpc_method_register(&var);                                                         \
	}

/* A connection ends: whoever keeps something for it lets go. */
struct rpc_closed {
	void (*fn)(struct jsonrpc_conn *conn);
	struct rpc_closed *next;
};
void rpc_closed_register(struct rpc_closed *closed);
#define RPC_CLOSED(var, closed_fn)                                                                 \
	static struct rpc_closed var = {.fn = closed_fn};                                          \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		rpc_closed_register(&var);                                                         \
	}

/* Listens on node_config.rpc. 0 or -errno, logged. */
int rpc_start(struct event_base *base);
void rpc_stop(void);
/* Reads certificates again. Connections go on. */
void rpc_reload(void);
struct event_base *rpc_base(void);
/* For connections that come by other ways. NULL: not started. */
struct jsonrpc_server *rpc_server(void);

/* Answers `invalid` with data {path, reason}. `path` is a JSON pointer into the params. */
void rpc_invalid(struct jsonrpc_call *call, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells every connected controller: {severity, kind, name, reason, message}. */
void rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* A notification to every connected controller. Takes `params`. */
void rpc_notify(const char *method, json_t *params);

/* "2026-01-31T12:00:00.123Z" of a clock_ms() time. */
void rpc_time_text(uint32_t ms, char *text, size_t size);

#endif
