// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/connector.h"
#include "lib/json_stream.h"
#include "lib/jsonrpc_client.h"
#include "lib/log.h"
#include "lib/tls.h"

#define READ_BYTES ((size_t)256 << 10)
#define ANSWER_BYTES ((size_t)1 << 30)
#define CONNECT_TIMEOUT_S 5

struct pending_call {
	TAILQ_ENTRY(pending_call) link;
	struct jsonrpc_client *client;
	uint64_t id;
	struct event *timer; /* NULL: waits for ever */
	jsonrpc_outcome_fn done;
	void *arg;
};

enum client_state { CLOSED, CONNECTING, CONNECTED };

struct jsonrpc_client {
	struct event_base *base;
	struct jsonrpc_client_options options;
	struct bufferevent *bev;
	struct json_stream *stream;
	struct connector *connector; /* while CONNECTING */
	struct tls *tls;
	const char *tls_name;
	enum client_state state;
	TAILQ_HEAD(pending_calls, pending_call)
	calls; /* oldest first: answers mostly come in order */
	unsigned pending;
	uint64_t last_id;
	/* Callbacks may free the client: the code below them goes on only while these hold. */
	unsigned depth;      /* callbacks in progress */
	bool freed;          /* freed in one of them */
	uint64_t generation; /* one more with every connection that ended */
};

static void client_destroy(struct jsonrpc_client *c)
{
	json_stream_free(c->stream);
	free(c);
}

static void enter(struct jsonrpc_client *c)
{
	c->depth++;
}

static void leave(struct jsonrpc_client *c)
{
	if (--c->depth == 0 && c->freed)
		client_destroy(c);
}

static void call_remove(struct pending_call *call)
{
	TAILQ_REMOVE(&call->client->calls, call, link);
	call->client->pending--;
	if (call->timer != NULL)
		event_free(call->timer);
}

static void call_fail(struct pending_call *call, int status)
{
	struct jsonrpc_outcome outcome = {.status = status, .message = log_strerror(status)};

	call_remove(call);
	call->done(&outcome, call->arg);
	free(call);
}

/*
 * Ends the calls of this connection, those that are there now: a callback may connect again and
 * make new ones.
 */
static void fail_calls(struct jsonrpc_client *c, int status)
{
	uint64_t last = c->last_id;
	struct pending_call *call;

	while ((call = TAILQ_FIRST(&c->calls)) != NULL && call->id <= last)
		call_fail(call, status);
}

static void drop_transport(struct jsonrpc_client *c)
{
	c->state = CLOSED;
	c->generation++;
	connector_free(c->connector);
	c->connector = NULL;
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	c->bev = NULL;
}

static void disconnect(struct jsonrpc_client *c, int status, const char *reason)
{
	uint64_t generation;

	enter(c);
	drop_transport(c);
	generation = c->generation;
	fail_calls(c, status);
	if (!c->freed && c->generation == generation && c->state == CLOSED &&
		c->options.disconnected != NULL)
		c->options.disconnected(c, reason, c->options.ctx);
	leave(c);
}

void jsonrpc_client_close(struct jsonrpc_client *c)
{
	enter(c);
	drop_transport(c);
	fail_calls(c, -ECANCELED);
	leave(c);
}

struct jsonrpc_client *jsonrpc_client_new(
	struct event_base *base, const struct jsonrpc_client_options *options)
{
	struct jsonrpc_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->base = base;
	c->options = *options;
	if (c->options.message_bytes == 0)
		c->options.message_bytes = ANSWER_BYTES;
	if (c->options.connect_timeout_s == 0)
		c->options.connect_timeout_s = CONNECT_TIMEOUT_S;
	TAILQ_INIT(&c->calls);
	return c;
}

void jsonrpc_client_free(struct jsonrpc_client *c)
{
	if (c == NULL)
		return;
	enter(c);
	jsonrpc_client_close(c);
	c->freed = true;
	leave(c);
}

static void take_answer(struct jsonrpc_client *c, struct pending_call *call, json_t *message)
{
	json_t *error = json_object_get(message, "error");
	json_t *result = json_object_get(message, "result");
	struct jsonrpc_outcome outcome = {.message = ""};

	(void)c;
	if (json_is_object(error)) {
		outcome.status = -EREMOTEIO;
		outcome.code = (int)json_integer_value(json_object_get(error, "code"));
		outcome.message = json_string_value(json_object_get(error, "message"));
		if (outcome.message == NULL)
			outcome.message = "error without a message";
		outcome.data = json_object_get(error, "data");
	} else if (result != NULL) {
		outcome.result = result;
	} else {
		outcome.status = -EPROTO;
		outcome.message = "answer without result and error";
	}
	call_remove(call);
	call->done(&outcome, call->arg);
	free(call);
}

static struct pending_call *find_call(const struct jsonrpc_client *c, uint64_t id)
{
	struct pending_call *call;

	TAILQ_FOREACH (call, &c->calls, link) {
		if (call->id == id)
			return call;
	}
	return NULL;
}

/* False: this is no message of the protocol. */
static bool take_object(struct jsonrpc_client *c, json_t *message)
{
	json_t *id = json_object_get(message, "id");
	const char *method = json_string_value(json_object_get(message, "method"));
	struct pending_call *call;

	if (!json_is_object(message))
		return false;
	if (method != NULL) {
		/* We serve no calls; a notification has no id. */
		if (id == NULL && c->options.notification != NULL)
			c->options.notification(
				c, method, json_object_get(message, "params"), c->options.ctx);
		return true;
	}
	if (json_is_null(id)) {
		log_warn("the server did not understand a message",
			LOG_STR("message", json_string_value(json_object_get(
						   json_object_get(message, "error"), "message"))));
		return true;
	}
	if (!json_is_integer(id))
		return false;
	/* An unknown one: given up before its answer came. */
	call = find_call(c, (uint64_t)json_integer_value(id));
	if (call != NULL)
		take_answer(c, call, message);
	return true;
}

static bool take_message(struct jsonrpc_client *c, const char *text, size_t len)
{
	char why[JSONRPC_WHY_SIZE];
	json_t *message = jsonrpc_parse(text, len, why, sizeof(why));
	bool ok = message != NULL && take_object(c, message);

	json_decref(message);
	return ok;
}

/* Runs what has arrived, while the connection it came on lives. */
static void process(struct jsonrpc_client *c)
{
	uint64_t generation = c->generation;
	const char *text;
	size_t len;

	while (!c->freed && c->generation == generation) {
		enum json_stream_event event = json_stream_next(c->stream, &text, &len);

		if (event == JSON_STREAM_MORE)
			return;
		if (event == JSON_STREAM_MESSAGE && take_message(c, text, len))
			continue;
		/* A callback may have closed it meanwhile. */
		if (!c->freed && c->generation == generation)
			disconnect(c, -EPROTO, "the server does not speak JSON-RPC");
		return;
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct jsonrpc_client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;

	while (evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len > 0) {
		if (json_stream_feed(c->stream, piece.iov_base, piece.iov_len) < 0) {
			disconnect(c, -ENOMEM, log_strerror(ENOMEM));
			return;
		}
		evbuffer_drain(in, piece.iov_len);
	}
	enter(c);
	process(c);
	leave(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct jsonrpc_client *c = arg;
	char why[384], reason[400];

	if (tls_is_used(bev)) {
		/* TLS 1.3: what the server thinks of our certificate comes after the handshake. */
		snprintf(reason, sizeof(reason), "TLS: %s", tls_why(bev, what, why, sizeof(why)));
		disconnect(c, -ECONNRESET, what & BEV_EVENT_EOF ? "closed by the server" : reason);
	} else if (what & BEV_EVENT_EOF) {
		disconnect(c, -ECONNRESET, "closed by the server");
	} else if (what & BEV_EVENT_ERROR) {
		disconnect(c, -ECONNRESET, log_strerror(EVUTIL_SOCKET_ERROR()));
	}
}

/* Takes bev, also on failure. */
static int use_transport(struct jsonrpc_client *c, struct bufferevent *bev)
{
	json_stream_free(c->stream);
	c->stream = json_stream_new(c->options.message_bytes, JSONRPC_MAX_DEPTH);
	if (c->stream == NULL) {
		bufferevent_free(bev);
		return -ENOMEM;
	}
	c->bev = bev;
	c->state = CONNECTED;
	bufferevent_setwatermark(bev, EV_READ, 0, READ_BYTES);
	bufferevent_setcb(bev, on_read, NULL, on_event, c);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return 0;
}

static void on_connector(struct bufferevent *bev, const char *reason, void *arg)
{
	struct jsonrpc_client *c = arg;
	int error;

	if (bev == NULL) {
		disconnect(c, -ECONNRESET, reason);
		return;
	}
	connector_free(c->connector);
	c->connector = NULL;
	error = use_transport(c, bev);
	if (error < 0) {
		disconnect(c, error, log_strerror(error));
		return;
	}
	enter(c);
	if (c->options.connected != NULL)
		c->options.connected(c, c->options.ctx);
	leave(c);
}

void jsonrpc_client_set_tls(struct jsonrpc_client *c, struct tls *tls, const char *name)
{
	c->tls = tls;
	c->tls_name = name;
}

int jsonrpc_client_connect(struct jsonrpc_client *c, const char *address)
{
	struct connector_options options = {
		.timeout_s = c->options.connect_timeout_s,
		.tls = c->tls,
		.name = c->tls_name,
		.done = on_connector,
		.arg = c,
	};
	int error;

	if (c->state != CLOSED)
		return -EISCONN;
	error = connector_start(&c->connector, c->base, address, &options);
	if (error == 0)
		c->state = CONNECTING;
	return error;
}

int jsonrpc_client_adopt(struct jsonrpc_client *c, struct bufferevent *bev)
{
	if (c->state != CLOSED) {
		bufferevent_free(bev);
		return -EISCONN;
	}
	return use_transport(c, bev);
}

bool jsonrpc_client_is_connected(const struct jsonrpc_client *c)
{
	return c->state == CONNECTED;
}

static void release_text(const void *data, size_t len, void *text)
{
	(void)data;
	(void)len;
	free(text);
}

/* Takes params. */
static int send_request(struct jsonrpc_client *c, const char *method, json_t *params, json_t *id)
{
	json_t *message = jsonrpc_make_request(method, params, id);
	size_t len;
	char *text;

	text = message != NULL ? jsonrpc_text(message, &len) : NULL;
	json_decref(message);
	if (text == NULL)
		return -ENOMEM;
	if (evbuffer_add_reference(bufferevent_get_output(c->bev), text, len, release_text, text) <
		0) {
		free(text);
		return -ENOMEM;
	}
	return 0;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct pending_call *call = arg;
	struct jsonrpc_client *c = call->client;

	(void)fd;
	(void)what;
	enter(c);
	call_fail(call, -ETIMEDOUT);
	leave(c);
}

static struct pending_call *call_new(
	struct jsonrpc_client *c, unsigned timeout_ms, jsonrpc_outcome_fn done, void *arg)
{
	struct timeval timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
	struct pending_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->client = c;
	call->id = ++c->last_id;
	call->done = done;
	call->arg = arg;
	if (timeout_ms > 0) {
		call->timer = evtimer_new(c->base, on_timeout, call);
		if (call->timer == NULL || event_add(call->timer, &timeout) < 0) {
			if (call->timer != NULL)
				event_free(call->timer);
			free(call);
			return NULL;
		}
	}
	TAILQ_INSERT_TAIL(&c->calls, call, link);
	c->pending++;
	return call;
}

uint64_t jsonrpc_client_call(struct jsonrpc_client *c, const char *method, json_t *params,
	unsigned timeout_ms, jsonrpc_outcome_fn done, void *arg)
{
	struct pending_call *call;

	if (c->state != CONNECTED) {
		json_decref(params);
		errno = ENOTCONN;
		return 0;
	}
	call = call_new(c, timeout_ms, done, arg);
	if (call == NULL) {
		json_decref(params);
		errno = ENOMEM;
		return 0;
	}
	if (send_request(c, method, params, json_integer((json_int_t)call->id)) < 0) {
		call_remove(call);
		free(call);
		errno = ENOMEM;
		return 0;
	}
	return call->id;
}

void jsonrpc_client_forget(struct jsonrpc_client *c, uint64_t id)
{
	struct pending_call *call = find_call(c, id);

	if (call == NULL)
		return;
	call_remove(call);
	free(call);
}

int jsonrpc_client_notify(struct jsonrpc_client *c, const char *method, json_t *params)
{
	if (c->state != CONNECTED) {
		json_decref(params);
		return -ENOTCONN;
	}
	return send_request(c, method, params, NULL);
}

unsigned jsonrpc_client_pending(const struct jsonrpc_client *c)
{
	return c->pending;
}

size_t jsonrpc_client_queued(const struct jsonrpc_client *c)
{
	return c->bev != NULL ? evbuffer_get_length(bufferevent_get_output(c->bev)) : 0;
}
