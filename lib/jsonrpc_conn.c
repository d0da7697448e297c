// SPDX-License-Identifier: Apache-2.0
/*
 * A connection of the JSON-RPC server: bytes in, messages to jsonrpc_call.c, answers out, limits.
 *
 * It is freed only at the top of an event callback, never below a handler, so code that is handed a
 * connection may use it until it returns to the event loop.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/jsonrpc_server_internal.h"
#include "lib/tls.h"

/* What is read at a time, and how long one client may keep the loop before others get their turn.
 */
#define READ_BYTES ((size_t)256 << 10)
#define TURN_NS 2000000
/* What is written at a time: about what a Unix socket takes. */
#define WRITE_BYTES ((size_t)256 << 10)
/* Answers above this size are queued without a copy. */
#define REFERENCE_BYTES 4096

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct timeval timeval_ms(unsigned ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static const struct jsonrpc_limits *limits(const struct jsonrpc_conn *conn)
{
	return &conn->server->options.limits;
}

size_t jsonrpc_conn_queued(const struct jsonrpc_conn *conn)
{
	return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

/*
 * Goes on with the connection from the event loop. A timer of zero and not event_active(): that
 * would run again before the loop looks at anybody else.
 */
static void wake(struct jsonrpc_conn *conn)
{
	static const struct timeval at_once;

	event_add(conn->resume, &at_once);
}

static void kill_conn(struct jsonrpc_conn *conn)
{
	conn->state = JSONRPC_CONN_DEAD;
	wake(conn);
}

void jsonrpc_conn_close(struct jsonrpc_conn *conn)
{
	if (conn->state != JSONRPC_CONN_OPEN)
		return;
	conn->state = JSONRPC_CONN_DRAINING;
	wake(conn);
}

static void release_text(const void *data, size_t len, void *text)
{
	(void)data;
	(void)len;
	free(text);
}

/* Is there room for more output? A client that reads nothing must not fill our memory. */
static int check_room(struct jsonrpc_conn *conn)
{
	size_t queued = jsonrpc_conn_queued(conn);

	if (conn->state == JSONRPC_CONN_DEAD)
		return -EPIPE;
	if (queued <= limits(conn)->output_close_bytes)
		return 0;
	log_warn("client closed: it does not read its answers", LOG_STR("client", conn->peer.name),
		LOG_INT("pid", conn->peer.pid), LOG_UINT("unread_bytes", queued));
	kill_conn(conn);
	return -EPIPE;
}

int jsonrpc_conn_send(struct jsonrpc_conn *conn, json_t *message)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);
	int error = check_room(conn);
	size_t len;
	char *text;

	if (error < 0)
		return error;
	text = jsonrpc_text(message, &len);
	if (text == NULL) {
		kill_conn(conn);
		return -ENOMEM;
	}
	if (len >= REFERENCE_BYTES) {
		error = evbuffer_add_reference(out, text, len, release_text, text);
		if (error < 0)
			free(text);
	} else {
		error = evbuffer_add(out, text, len);
		free(text);
	}
	if (error < 0)
		kill_conn(conn);
	return error < 0 ? -ENOMEM : 0;
}

int jsonrpc_conn_send_text(struct jsonrpc_conn *conn, const char *text, size_t len)
{
	int error = check_room(conn);

	if (error < 0)
		return error;
	return evbuffer_add(bufferevent_get_output(conn->bev), text, len) < 0 ? -ENOMEM : 0;
}

int jsonrpc_conn_notify(struct jsonrpc_conn *conn, const char *method, json_t *params)
{
	json_t *message = jsonrpc_make_request(method, params, NULL);
	int error = jsonrpc_conn_send(conn, message);

	json_decref(message);
	return error;
}

static void send_error(struct jsonrpc_conn *conn, int code, const char *why)
{
	json_t *error = jsonrpc_make_error(json_null(), code, why, NULL);

	jsonrpc_conn_send(conn, error);
	json_decref(error);
}

static void take_message(struct jsonrpc_conn *conn, const char *text, size_t len)
{
	char why[JSONRPC_WHY_SIZE];
	json_t *message = jsonrpc_parse(text, len, why, sizeof(why));

	if (message == NULL) {
		send_error(conn, ERROR_PARSE, why);
		return;
	}
	jsonrpc_exchange_start(conn, message);
	json_decref(message);
}

/* Takes what the stream found; false: nothing more in it. */
static bool take_event(struct jsonrpc_conn *conn)
{
	char why[128];
	const char *text;
	size_t len;

	switch (json_stream_next(conn->stream, &text, &len)) {
	case JSON_STREAM_MORE:
		return false;
	case JSON_STREAM_MESSAGE:
		take_message(conn, text, len);
		break;
	case JSON_STREAM_BROKEN:
		send_error(conn, ERROR_PARSE, "parse error: this is not JSON");
		break;
	case JSON_STREAM_TOO_DEEP:
		snprintf(why, sizeof(why), "parse error: nested deeper than %u levels",
			limits(conn)->depth);
		send_error(conn, ERROR_PARSE, why);
		break;
	case JSON_STREAM_TOO_BIG:
		snprintf(why, sizeof(why), "invalid request: larger than %zu bytes",
			limits(conn)->message_bytes);
		send_error(conn, ERROR_INVALID_REQUEST, why);
		break;
	}
	return true;
}

static bool must_pause(const struct jsonrpc_conn *conn)
{
	return conn->pending >= limits(conn)->pending ||
	       jsonrpc_conn_queued(conn) > limits(conn)->output_pause_bytes;
}

/* Waits for the rest of a message, but not for ever. */
static void watch_silence(struct jsonrpc_conn *conn)
{
	struct timeval timeout = timeval_ms(limits(conn)->message_timeout_ms);

	if (conn->state == JSONRPC_CONN_OPEN && !conn->paused && json_stream_partial(conn->stream))
		event_add(conn->silence, &timeout);
	else
		event_del(conn->silence);
}

/* The client has closed its side: what is left of a message will never be whole. */
static void finish_input(struct jsonrpc_conn *conn)
{
	json_stream_end(conn->stream);
	while (conn->state == JSONRPC_CONN_OPEN && take_event(conn))
		;
	if (conn->state == JSONRPC_CONN_OPEN && json_stream_partial(conn->stream))
		send_error(conn, ERROR_PARSE, "parse error: the message was cut off");
	jsonrpc_conn_close(conn);
}

/* Runs messages until none is left, the client must wait, or its turn is over. */
static void process(struct jsonrpc_conn *conn)
{
	uint64_t deadline = now_ns() + TURN_NS;

	while (conn->state == JSONRPC_CONN_OPEN) {
		conn->paused = must_pause(conn);
		if (conn->paused)
			break;
		if (now_ns() >= deadline) {
			wake(conn);
			break;
		}
		if (!take_event(conn)) {
			if (conn->eof)
				finish_input(conn);
			else
				bufferevent_enable(conn->bev, EV_READ);
			watch_silence(conn);
			return;
		}
	}
	bufferevent_disable(conn->bev, EV_READ);
	watch_silence(conn);
}

/* Frees a connection that has ended; false: it goes on. */
static bool reap(struct jsonrpc_conn *conn)
{
	if (conn->state == JSONRPC_CONN_OPEN)
		return false;
	if (conn->state == JSONRPC_CONN_DRAINING &&
		(conn->pending > 0 || jsonrpc_conn_queued(conn) > 0))
		return false;
	jsonrpc_conn_free(conn);
	return true;
}

static void turn(struct jsonrpc_conn *conn)
{
	if (reap(conn))
		return;
	if (conn->state == JSONRPC_CONN_OPEN) {
		process(conn);
		reap(conn);
	} else {
		bufferevent_disable(conn->bev, EV_READ);
		event_del(conn->silence);
		/* Now every write that empties the queue is of interest. */
		bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
	}
}

void jsonrpc_conn_settled(struct jsonrpc_conn *conn)
{
	if (conn->paused || conn->state != JSONRPC_CONN_OPEN)
		wake(conn);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	turn(arg);
}

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct jsonrpc_conn *conn = arg;

	(void)fd;
	(void)what;
	send_error(conn, ERROR_PARSE, "parse error: the message did not end in time");
	jsonrpc_conn_close(conn);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct jsonrpc_conn *conn = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;

	while (evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len > 0) {
		if (json_stream_feed(conn->stream, piece.iov_base, piece.iov_len) < 0) {
			log_error(
				"out of memory for a message", LOG_STR("client", conn->peer.name));
			conn->state = JSONRPC_CONN_DEAD;
			break;
		}
		evbuffer_drain(in, piece.iov_len);
	}
	turn(conn);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct jsonrpc_conn *conn = arg;

	(void)bev;
	if (conn->paused || conn->state != JSONRPC_CONN_OPEN)
		turn(conn);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct jsonrpc_conn *conn = arg;

	if (what & BEV_EVENT_EOF) {
		conn->eof = true;
		on_read(bev, conn);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT) {
		log_warn("client closed: it does not read its answers",
			LOG_STR("client", conn->peer.name), LOG_INT("pid", conn->peer.pid),
			LOG_UINT("unread_bytes", jsonrpc_conn_queued(conn)));
	}
	if (what & (BEV_EVENT_TIMEOUT | BEV_EVENT_ERROR)) {
		conn->state = JSONRPC_CONN_DEAD;
		turn(conn);
	}
}

static void fill_peer(struct jsonrpc_conn *conn, const char *name)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	evutil_socket_t fd = bufferevent_getfd(conn->bev);
	struct jsonrpc_peer *peer = &conn->peer;

	peer->uid = (uid_t)-1;
	peer->gid = (gid_t)-1;
	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid != 0) {
		peer->pid = cred.pid;
		peer->uid = cred.uid;
		peer->gid = cred.gid;
	}
	snprintf(peer->name, sizeof(peer->name), "%s",
		name != NULL     ? name
		: peer->pid != 0 ? "unix"
				 : "stream");
}

static bool conn_init(struct jsonrpc_conn *conn, const char *name)
{
	const struct jsonrpc_limits *l = limits(conn);
	struct timeval write_timeout = timeval_ms(l->write_timeout_ms);

	conn->stream = json_stream_new(l->message_bytes, l->depth);
	conn->resume = evtimer_new(conn->server->base, on_resume, conn);
	conn->silence = evtimer_new(conn->server->base, on_silence, conn);
	if (conn->stream == NULL || conn->resume == NULL || conn->silence == NULL)
		return false;
	fill_peer(conn, name);
	bufferevent_setcb(conn->bev, on_read, on_write, on_event, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, READ_BYTES);
	bufferevent_set_max_single_write(conn->bev, WRITE_BYTES);
	bufferevent_setwatermark(conn->bev, EV_WRITE, l->output_pause_bytes / 2, 0);
	bufferevent_set_timeouts(conn->bev, NULL, &write_timeout);
	return bufferevent_enable(conn->bev, EV_READ | EV_WRITE) == 0;
}

/* Says why before it hangs up; a client that waits for a greeting needs no timeout then. */
static void refuse(struct jsonrpc_server *server, struct bufferevent *bev)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":6,\"message\":"
				   "\"too many clients\",\"data\":{\"what\":\"clients\"}},"
				   "\"id\":null}\n";
	evutil_socket_t fd = bufferevent_getfd(bev);

	log_warn_limited(&server->limit_log, "client refused: too many",
		LOG_UINT("clients", server->clients));
	if (fd >= 0 && !tls_is_used(bev))
		send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	bufferevent_free(bev);
}

struct jsonrpc_conn *jsonrpc_server_adopt(
	struct jsonrpc_server *server, struct bufferevent *bev, const char *name)
{
	struct jsonrpc_conn *conn;

	if (server->clients >= server->options.limits.clients) {
		refuse(server, bev);
		return NULL;
	}
	conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		bufferevent_free(bev);
		return NULL;
	}
	conn->server = server;
	conn->bev = bev;
	LIST_INIT(&conn->exchanges);
	LIST_INSERT_HEAD(&server->conns, conn, link);
	server->clients++;
	if (!conn_init(conn, name)) {
		jsonrpc_conn_free(conn);
		return NULL;
	}
	if (server->options.opened != NULL)
		server->options.opened(conn, server->options.ctx);
	return conn;
}

void jsonrpc_conn_free(struct jsonrpc_conn *conn)
{
	struct jsonrpc_server *server = conn->server;

	conn->state = JSONRPC_CONN_DEAD;
	if (server->options.closed != NULL)
		server->options.closed(conn, server->options.ctx);
	jsonrpc_exchanges_orphan(conn);
	LIST_REMOVE(conn, link);
	server->clients--;
	bufferevent_free(conn->bev);
	if (conn->seat != NULL)
		address_limit_leave(conn->seat);
	if (conn->resume != NULL)
		event_free(conn->resume);
	if (conn->silence != NULL)
		event_free(conn->silence);
	json_stream_free(conn->stream);
	free(conn);
}

void jsonrpc_conn_set_data(struct jsonrpc_conn *conn, void *data)
{
	conn->data = data;
}

void *jsonrpc_conn_data(const struct jsonrpc_conn *conn)
{
	return conn->data;
}

const struct jsonrpc_peer *jsonrpc_conn_peer(const struct jsonrpc_conn *conn)
{
	return &conn->peer;
}
