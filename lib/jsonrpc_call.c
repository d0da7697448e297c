// SPDX-License-Identifier: Apache-2.0
/*
 * From a parsed message to its answer: validity, batches, handlers, replies. JSON-RPC 2.0, sections
 * 4 to 6.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc_server_internal.h"

static bool is_id(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

static void exchange_free(struct jsonrpc_exchange *x)
{
	for (unsigned i = 0; i < x->count; i++) {
		json_decref(x->calls[i].request);
		json_decref(x->calls[i].params);
		json_decref(x->calls[i].answer);
	}
	LIST_REMOVE(x, link);
	free(x);
}

/* The answer of the whole message; NULL: none, it held only notifications. New reference. */
static json_t *exchange_answer(struct jsonrpc_exchange *x)
{
	json_t *answers;

	if (!x->batch)
		return json_incref(x->calls[0].answer);
	answers = json_array();
	for (unsigned i = 0; i < x->count; i++) {
		if (x->calls[i].answer != NULL)
			json_array_append(answers, x->calls[i].answer);
	}
	if (json_array_size(answers) == 0) {
		json_decref(answers);
		return NULL;
	}
	return answers;
}

static void exchange_end(struct jsonrpc_exchange *x)
{
	struct jsonrpc_conn *conn = x->conn;
	json_t *answer = NULL;

	if (x->server != NULL && (conn != NULL || x->done != NULL))
		answer = exchange_answer(x);
	if (conn != NULL) {
		if (answer != NULL)
			jsonrpc_conn_send(conn, answer);
		conn->pending -= x->count;
	} else if (x->done != NULL) {
		x->done(answer, x->done_arg);
	}
	json_decref(answer);
	exchange_free(x);
	if (conn != NULL)
		jsonrpc_conn_settled(conn);
}

static void exchange_release(struct jsonrpc_exchange *x)
{
	if (--x->open == 0)
		exchange_end(x);
}

/* Takes the answer. */
static void call_end(struct jsonrpc_call *call, json_t *answer)
{
	if (!call->open)
		abort(); /* answered twice: the second answer would go to freed memory */
	call->open = false;
	call->answer = answer;
	exchange_release(call->exchange);
}

void jsonrpc_reply(struct jsonrpc_call *call, json_t *result)
{
	if (call->id == NULL) {
		json_decref(result);
		call_end(call, NULL);
		return;
	}
	if (result == NULL) {
		jsonrpc_fail(call, ERROR_INTERNAL, "out of memory", NULL);
		return;
	}
	call_end(call, jsonrpc_make_result(json_incref(call->id), result));
}

void jsonrpc_fail(struct jsonrpc_call *call, int code, const char *message, json_t *data)
{
	if (call->id == NULL) {
		json_decref(data);
		call_end(call, NULL);
		return;
	}
	call_end(call, jsonrpc_make_error(json_incref(call->id), code, message, data));
}

void jsonrpc_failf(struct jsonrpc_call *call, int code, json_t *data, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	jsonrpc_fail(call, code, message, data);
}

const char *jsonrpc_call_method(const struct jsonrpc_call *call)
{
	return json_string_value(json_object_get(call->request, "method"));
}

json_t *jsonrpc_call_params(const struct jsonrpc_call *call)
{
	return call->params;
}

const struct jsonrpc_peer *jsonrpc_call_peer(const struct jsonrpc_call *call)
{
	return &call->exchange->peer;
}

bool jsonrpc_call_is_notification(const struct jsonrpc_call *call)
{
	return call->id == NULL;
}

struct jsonrpc_conn *jsonrpc_call_conn(const struct jsonrpc_call *call)
{
	struct jsonrpc_conn *conn = call->exchange->conn;

	return conn != NULL && conn->state != JSONRPC_CONN_DEAD ? conn : NULL;
}

/* What is wrong with a request, section 4; NULL: nothing. */
static const char *request_fault(const json_t *request)
{
	const json_t *version = json_object_get(request, "jsonrpc");
	const json_t *params = json_object_get(request, "params");
	const json_t *id = json_object_get(request, "id");

	if (!json_is_object(request))
		return "a request is an object";
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return "jsonrpc must be \"2.0\"";
	if (!json_is_string(json_object_get(request, "method")))
		return "method must be a string";
	if (params != NULL && !json_is_object(params) && !json_is_array(params))
		return "params must be an object or an array";
	if (id != NULL && !is_id(id))
		return "id must be a string, a number or null";
	return NULL;
}

static void call_invalid(struct jsonrpc_call *call, const char *fault)
{
	json_t *id = json_object_get(call->request, "id");
	char message[128];

	snprintf(message, sizeof(message), "invalid request: %s", fault);
	id = id != NULL && is_id(id) ? json_incref(id) : json_null();
	call_end(call, jsonrpc_make_error(id, ERROR_INVALID_REQUEST, message, NULL));
}

/* Fills call->params; false: the server takes named ones only and these are positional. */
static bool call_take_params(struct jsonrpc_call *call, const struct jsonrpc_server *server)
{
	json_t *params = json_object_get(call->request, "params");

	if (params == NULL || (!server->options.positional_params && json_is_array(params) &&
				      json_array_size(params) == 0)) {
		call->params = json_object();
		return true;
	}
	call->params = json_incref(params);
	return server->options.positional_params || json_is_object(params);
}

static void call_start(struct jsonrpc_call *call, struct jsonrpc_server *server)
{
	const struct jsonrpc_server_options *o = &server->options;
	const char *fault = request_fault(call->request);
	const char *method;

	if (fault != NULL) {
		call_invalid(call, fault);
		return;
	}
	call->id = json_object_get(call->request, "id");
	method = jsonrpc_call_method(call);
	if (!call_take_params(call, server)) {
		jsonrpc_fail(call, ERROR_INVALID_PARAMS, "params must be an object", NULL);
		return;
	}
	for (const struct jsonrpc_method *m = o->methods; m != NULL && m->name != NULL; m++) {
		if (strcmp(m->name, method) == 0) {
			m->handler(call, call->params, o->ctx);
			return;
		}
	}
	if (o->dispatch == NULL || !o->dispatch(call, method, call->params, o->ctx))
		jsonrpc_failf(call, ERROR_METHOD_NOT_FOUND, NULL, "no such method: %.128s", method);
}

static struct jsonrpc_exchange *exchange_new(
	struct jsonrpc_server *server, unsigned count, const struct jsonrpc_peer *peer)
{
	struct jsonrpc_exchange *x = calloc(1, sizeof(*x) + count * sizeof(x->calls[0]));

	if (x == NULL)
		return NULL;
	x->server = server;
	x->peer = *peer;
	x->count = count;
	x->open = count + 1;
	return x;
}

/* An array of the wrong size is one invalid request (section 6), not an array of answers. */
static const char *batch_fault(const struct jsonrpc_server *server, const json_t *message)
{
	if (!json_is_array(message))
		return NULL;
	if (json_array_size(message) == 0)
		return "a batch must not be empty";
	if (json_array_size(message) > server->options.limits.batch)
		return "too many requests in a batch";
	return NULL;
}

static void exchange_run(struct jsonrpc_server *server, struct jsonrpc_conn *conn, json_t *message,
	const struct jsonrpc_peer *peer, jsonrpc_done_fn done, void *arg)
{
	const char *fault = batch_fault(server, message);
	bool batch = json_is_array(message) && fault == NULL;
	unsigned count = batch ? json_array_size(message) : 1;
	struct jsonrpc_exchange *x = exchange_new(server, count, peer);

	if (x == NULL) {
		log_error("out of memory for a request");
		if (conn != NULL)
			jsonrpc_conn_close(conn);
		else
			done(NULL, arg);
		return;
	}
	x->batch = batch;
	x->conn = conn;
	x->done = done;
	x->done_arg = arg;
	if (conn != NULL) {
		LIST_INSERT_HEAD(&conn->exchanges, x, link);
		conn->pending += count;
	} else {
		LIST_INSERT_HEAD(&server->orphans, x, link);
	}
	for (unsigned i = 0; i < count; i++) {
		struct jsonrpc_call *call = &x->calls[i];

		call->exchange = x;
		call->open = true;
		call->request = json_incref(batch ? json_array_get(message, i) : message);
		if (fault != NULL)
			call_invalid(call, fault);
		else
			call_start(call, server);
	}
	exchange_release(x);
}

void jsonrpc_exchange_start(struct jsonrpc_conn *conn, json_t *message)
{
	exchange_run(conn->server, conn, message, &conn->peer, NULL, NULL);
}

void jsonrpc_server_dispatch(struct jsonrpc_server *server, json_t *request,
	const struct jsonrpc_peer *peer, jsonrpc_done_fn done, void *arg)
{
	exchange_run(server, NULL, request, peer, done, arg);
}

/* Parses a text that must hold one message; NULL with what is wrong. */
static json_t *parse_body(const struct jsonrpc_limits *limits, const char *text, size_t len,
	char *why, size_t why_size)
{
	struct json_stream *stream = json_stream_new(limits->message_bytes, limits->depth);
	const char *message, *rest;
	size_t message_len, rest_len;
	json_t *json = NULL;

	snprintf(why, why_size, "parse error: the body must be one JSON message");
	if (stream != NULL && json_stream_feed(stream, text, len) == 0) {
		json_stream_end(stream);
		if (json_stream_next(stream, &message, &message_len) == JSON_STREAM_MESSAGE)
			json = jsonrpc_parse(message, message_len, why, why_size);
		if (json != NULL &&
			(json_stream_next(stream, &rest, &rest_len) != JSON_STREAM_MORE ||
				json_stream_partial(stream))) {
			json_decref(json);
			json = NULL;
		}
	}
	json_stream_free(stream);
	return json;
}

void jsonrpc_server_dispatch_text(struct jsonrpc_server *server, const char *text, size_t len,
	const struct jsonrpc_peer *peer, jsonrpc_done_fn done, void *arg)
{
	char why[JSONRPC_WHY_SIZE];
	json_t *request = parse_body(&server->options.limits, text, len, why, sizeof(why));
	json_t *error;

	if (request != NULL) {
		jsonrpc_server_dispatch(server, request, peer, done, arg);
	} else {
		error = jsonrpc_make_error(json_null(), ERROR_PARSE, why, NULL);
		done(error, arg);
		json_decref(error);
	}
	json_decref(request);
}

void jsonrpc_exchanges_orphan(struct jsonrpc_conn *conn)
{
	struct jsonrpc_exchange *x;

	while ((x = LIST_FIRST(&conn->exchanges)) != NULL) {
		LIST_REMOVE(x, link);
		x->conn = NULL;
		LIST_INSERT_HEAD(&conn->server->orphans, x, link);
	}
}

void jsonrpc_exchanges_abandon(struct jsonrpc_server *server)
{
	struct jsonrpc_exchange *x, *next;

	/* They leave the server's list, each a list of its own from now on. */
	for (x = LIST_FIRST(&server->orphans); x != NULL; x = next) {
		next = LIST_NEXT(x, link);
		x->server = NULL;
		x->link.le_next = NULL;
		x->link.le_prev = &x->link.le_next;
	}
}
