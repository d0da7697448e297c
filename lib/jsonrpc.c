// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/json_text.h"
#include "lib/jsonrpc.h"

json_t *jsonrpc_parse(const char *text, size_t len, char *why, size_t why_size)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (json != NULL)
		return json;
	if (json_error_code(&error) == json_error_null_character ||
		json_error_code(&error) == json_error_null_byte_in_key)
		snprintf(why, why_size,
			"parse error: a string contains \\u0000, which no value may (line %d, byte "
			"%d)",
			error.line, error.position);
	else
		snprintf(why, why_size, "parse error: %s (byte %d)", error.text, error.position);
	return NULL;
}

static int unix_address(const char *path, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_un *un = (struct sockaddr_un *)address;

	if (*path == '\0')
		return -EINVAL;
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	memset(address, 0, sizeof(*address));
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	*len = sizeof(*un);
	return 0;
}

int jsonrpc_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	int size = sizeof(*address);

	if (strncmp(text, "unix:", 5) == 0)
		return unix_address(text + 5, address, len);
	if (strncmp(text, "tcp://", 6) != 0 && strncmp(text, "tls://", 6) != 0)
		return text[0] == '/' || text[0] == '.' ? unix_address(text, address, len)
							: -EINVAL;
	memset(address, 0, sizeof(*address));
	if (evutil_parse_sockaddr_port(text + 6, (struct sockaddr *)address, &size) < 0)
		return -EINVAL;
	*len = (socklen_t)size;
	if (address->ss_family == AF_INET)
		return ((struct sockaddr_in *)address)->sin_port != 0 ? 0 : -EINVAL;
	return ((struct sockaddr_in6 *)address)->sin6_port != 0 ? 0 : -EINVAL;
}

void jsonrpc_tcp_options(int fd)
{
	int on = 1, idle_s = 5, interval_s = 3, count = 3;
	unsigned unacknowledged_ms = 14000; /* no probes are sent while data is on its way */

	/* Fails on Unix sockets, which need none of it. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(
		fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

json_t *jsonrpc_make_request(const char *method, json_t *params, json_t *id)
{
	json_t *message = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", method);

	if (params != NULL)
		json_object_set_new(message, "params", params);
	if (id != NULL)
		json_object_set_new(message, "id", id);
	return message;
}

json_t *jsonrpc_make_result(json_t *id, json_t *result)
{
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "result", result, "id", id);
}

json_t *jsonrpc_make_error(json_t *id, int code, const char *message, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s%}", "code", code, "message", message, strlen(message));

	/* The text may quote bytes that are no UTF-8; the code must arrive all the same. */
	if (error == NULL)
		error = json_pack("{s:i, s:s}", "code", code, "message", "error");
	if (data != NULL)
		json_object_set_new(error, "data", data);
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "error", error, "id", id);
}

char *jsonrpc_text(const json_t *message, size_t *len)
{
	char *text = json_text(message, 1, len);

	if (text == NULL)
		return NULL;
	text[(*len)++] = '\n';
	text[*len] = '\0';
	return text;
}
