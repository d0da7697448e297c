/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_text.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/jsonrpc_server.h"

/* The server is given up on after so long without a word, and must be done with us before that. */
#define QUIET_MS 20
#define PATIENCE_MS 5000

struct heard {
	char *text;
	size_t len, room;
};

_Noreturn void rpc_text_die(const char *why, const json_t *about)
{
	char *text = about != NULL ? json_dumps(about, JSON_ENCODE_ANY) : NULL;

	fprintf(stderr, "%s: %s\n", why, text != NULL ? text : "");
	abort();
}

static unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

/* Bytes that arrived; 0: the end; -1: none now. */
static ssize_t listen_to(int fd, struct heard *h)
{
	ssize_t n;

	if (h->room - h->len < 65536) {
		h->room = 2 * h->room + 65536;
		h->text = realloc(h->text, h->room);
		if (h->text == NULL)
			abort();
	}
	n = recv(fd, h->text + h->len, h->room - h->len, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		return 0;
	if (n > 0)
		h->len += (size_t)n;
	return n;
}

/* Sends what is left; true: something was sent. */
static bool talk(int fd, const char **text, size_t *len)
{
	ssize_t n = *len > 0 ? send(fd, *text, *len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (n <= 0)
		return false;
	*text += n;
	*len -= (size_t)n;
	if (*len == 0)
		shutdown(fd, SHUT_WR);
	return true;
}

static void converse(
	int fd, struct event_base *base, const char *text, size_t len, struct heard *heard)
{
	unsigned long last = now_ms();
	ssize_t n = -1;

	if (len == 0)
		shutdown(fd, SHUT_WR);
	while (n != 0 && now_ms() - last < QUIET_MS) {
		bool said = talk(fd, &text, &len);

		event_base_loop(base, EVLOOP_NONBLOCK);
		n = listen_to(fd, heard);
		if (said || n > 0)
			last = now_ms();
	}
}

static bool is_answer(const json_t *m)
{
	const json_t *error = json_object_get(m, "error");

	if (json_object_get(m, "id") == NULL ||
		(error != NULL) == (json_object_get(m, "result") != NULL))
		return false;
	return error == NULL || (json_is_integer(json_object_get(error, "code")) &&
					json_is_string(json_object_get(error, "message")));
}

static void check(const json_t *m)
{
	const char *version = json_string_value(json_object_get(m, "jsonrpc"));
	size_t i;
	json_t *one;

	if (json_is_array(m) && json_array_size(m) > 0) {
		json_array_foreach ((json_t *)m, i, one)
			if (json_is_array(one))
				rpc_text_die("a batch in a batch", m);
			else
				check(one);
		return;
	}
	if (version == NULL || strcmp(version, "2.0") != 0 ||
		!(json_is_string(json_object_get(m, "method")) || is_answer(m)))
		rpc_text_die("no JSON-RPC", m);
}

/* A message a line; one that was cut off by our going away does not count. */
static json_t *messages_of(struct heard *h)
{
	json_t *messages = json_array();
	char *line = h->text, *end;

	while (h->len > 0 && (end = memchr(line, '\n', h->len)) != NULL) {
		size_t len = (size_t)(end - line);
		json_t *m = json_loadb(line, len, JSON_DECODE_ANY, NULL);

		if (m == NULL)
			rpc_text_die("an answer is no JSON", NULL);
		check(m);
		json_array_append_new(messages, m);
		h->len -= len + 1;
		line = end + 1;
	}
	free(h->text);
	return messages;
}

static void wait_until_gone(struct jsonrpc_server *server, struct event_base *base, unsigned before)
{
	unsigned long began = now_ms();

	while (jsonrpc_server_clients(server) > before) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (now_ms() - began > PATIENCE_MS)
			rpc_text_die("the connection is still there", NULL);
	}
}

json_t *rpc_text_play(
	struct jsonrpc_server *server, struct event_base *base, const char *text, size_t len)
{
	unsigned before = jsonrpc_server_clients(server);
	struct heard heard = {.text = NULL};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	jsonrpc_server_adopt(
		server, bufferevent_socket_new(base, fds[0], BEV_OPT_CLOSE_ON_FREE), "fuzz");
	converse(fds[1], base, text, len, &heard);
	close(fds[1]);
	wait_until_gone(server, base, before);
	return messages_of(&heard);
}

bool rpc_text_is_requests(const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end != NULL ? (size_t)(end - text) : len;
		json_t *m = json_loadb(text, line, 0, NULL);
		bool ok = json_is_object(m) && json_object_get(m, "id") != NULL;

		json_decref(m);
		if (!ok)
			return false;
		line += end != NULL;
		text += line;
		len -= line;
	}
	return true;
}

unsigned rpc_text_results(const json_t *messages)
{
	unsigned n = 0;
	size_t i;
	json_t *m;

	json_array_foreach ((json_t *)messages, i, m) {
		if (json_is_array(m))
			n += rpc_text_results(m);
		n += json_object_get(m, "result") != NULL;
	}
	return n;
}

bool rpc_text_has_error(const json_t *messages, int code)
{
	size_t i;
	json_t *m;

	json_array_foreach ((json_t *)messages, i, m) {
		const json_t *error = json_object_get(m, "error");

		if (json_is_array(m) && rpc_text_has_error(m, code))
			return true;
		if (error != NULL && json_integer_value(json_object_get(error, "code")) == code)
			return true;
	}
	return false;
}
