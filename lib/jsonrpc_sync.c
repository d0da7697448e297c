// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/json_stream.h"
#include "lib/jsonrpc_sync.h"

#define ANSWER_BYTES ((size_t)1 << 30)

struct jsonrpc_sync {
	int fd;
	struct json_stream *stream;
	json_t *notifications; /* kept while an answer was awaited, oldest first */
	json_int_t last_id;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
}

static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int timeout_ms = -1;
	int n;

	do {
		if (deadline != INT64_MAX) {
			int64_t left = deadline - now_ms();

			timeout_ms = left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
		}
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int open_socket(const struct sockaddr_storage *address, socklen_t len, int64_t deadline)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(int);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, len) < 0) {
		error = -errno;
		if (error == -EINPROGRESS) {
			error = wait_for(fd, POLLOUT, deadline);
			if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
				error = -error;
		}
	}
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

struct jsonrpc_sync *jsonrpc_sync_open(
	const char *address, int timeout_ms, char *why, size_t why_size)
{
	struct sockaddr_storage to;
	struct jsonrpc_sync *s;
	socklen_t len;
	int fd = jsonrpc_address(address, &to, &len);

	if (fd == 0)
		fd = open_socket(&to, len, deadline_of(timeout_ms));
	if (fd < 0) {
		snprintf(why, why_size, "%s: %s", address, strerrordesc_np(-fd));
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		close(fd);
		return NULL;
	}
	s->fd = fd;
	s->stream = json_stream_new(ANSWER_BYTES, JSONRPC_MAX_DEPTH);
	s->notifications = json_array();
	if (s->stream == NULL || s->notifications == NULL) {
		jsonrpc_sync_free(s);
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	return s;
}

void jsonrpc_sync_free(struct jsonrpc_sync *s)
{
	if (s == NULL)
		return;
	close(s->fd);
	json_stream_free(s->stream);
	json_decref(s->notifications);
	free(s);
}

int jsonrpc_sync_fd(const struct jsonrpc_sync *s)
{
	return s->fd;
}

/* Reads some bytes. */
static int fill(struct jsonrpc_sync *s, int64_t deadline)
{
	char bytes[64 << 10];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return wait_for(s->fd, POLLIN, deadline);
	if (n < 0)
		return -errno;
	return n == 0 ? -ECONNRESET : json_stream_feed(s->stream, bytes, (size_t)n);
}

/* Next message, a new reference. */
static int read_message(struct jsonrpc_sync *s, int64_t deadline, json_t **message)
{
	char why[JSONRPC_WHY_SIZE];
	const char *text;
	size_t len;
	int error;

	for (;;) {
		enum json_stream_event event = json_stream_next(s->stream, &text, &len);

		if (event == JSON_STREAM_MESSAGE) {
			*message = jsonrpc_parse(text, len, why, sizeof(why));
			return *message != NULL ? 0 : -EPROTO;
		}
		if (event != JSON_STREAM_MORE)
			return -EPROTO;
		error = fill(s, deadline);
		if (error < 0)
			return error;
	}
}

/* Writes all of it; what arrives meanwhile is taken in, so that neither side waits for the other.
 */
static int write_all(struct jsonrpc_sync *s, const char *text, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = send(s->fd, text, len, MSG_NOSIGNAL);
		int error = 0;

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		error = wait_for(s->fd, POLLIN | POLLOUT, deadline);
		if (error == 0 && wait_for(s->fd, POLLIN, 0) == 0)
			error = fill(s, deadline);
		if (error < 0)
			return error;
	}
	return 0;
}

static int send_request(
	struct jsonrpc_sync *s, const char *method, json_t *params, int64_t deadline)
{
	json_t *message = jsonrpc_make_request(method, params, json_integer(++s->last_id));
	size_t len = 0;
	char *text = message != NULL ? jsonrpc_text(message, &len) : NULL;
	int error = text != NULL ? write_all(s, text, len, deadline) : -ENOMEM;

	json_decref(message);
	free(text);
	return error;
}

static int take_answer(const json_t *message, json_t **result, json_t **error)
{
	json_t *fault = json_object_get(message, "error");
	json_t *value = json_object_get(message, "result");

	if (fault != NULL) {
		if (error != NULL)
			*error = json_incref(fault);
		return -EREMOTEIO;
	}
	if (value == NULL)
		return -EPROTO;
	*result = json_incref(value);
	return 0;
}

/* Is it the answer to the last request? One with a null id says that it was not understood. */
static bool is_answer(const struct jsonrpc_sync *s, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	return json_is_null(id) || (json_is_integer(id) && json_integer_value(id) == s->last_id);
}

int jsonrpc_sync_call(struct jsonrpc_sync *s, const char *method, json_t *params, int timeout_ms,
	json_t **result, json_t **error)
{
	int64_t deadline = deadline_of(timeout_ms);
	int status = send_request(s, method, params, deadline);

	while (status == 0) {
		json_t *message;

		status = read_message(s, deadline, &message);
		if (status < 0)
			break;
		if (json_object_get(message, "method") != NULL) {
			json_array_append_new(s->notifications, message);
			continue;
		}
		if (is_answer(s, message)) {
			status = take_answer(message, result, error);
			json_decref(message);
			return status;
		}
		json_decref(message);
	}
	return status;
}

int jsonrpc_sync_next(struct jsonrpc_sync *s, int timeout_ms, json_t **notification)
{
	int64_t deadline = deadline_of(timeout_ms);
	json_t *message;
	int error;

	if (json_array_size(s->notifications) > 0) {
		*notification = json_incref(json_array_get(s->notifications, 0));
		json_array_remove(s->notifications, 0);
		return 0;
	}
	for (;;) {
		error = read_message(s, deadline, &message);
		if (error < 0)
			return error;
		if (json_object_get(message, "method") != NULL) {
			*notification = message;
			return 0;
		}
		json_decref(message);
	}
}
