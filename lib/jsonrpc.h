// SPDX-License-Identifier: Apache-2.0
/*
 * JSON-RPC 2.0: what its server and its clients share. The error codes are in errors.h.
 */
#ifndef LIB_JSONRPC_H
#define LIB_JSONRPC_H

#include <jansson.h>
#include <stddef.h>
#include <sys/socket.h>

#include "lib/errors.h"

/* Defaults of the limits that both sides put on what they read. */
#define JSONRPC_MAX_MESSAGE ((size_t)64 << 20)
#define JSONRPC_MAX_DEPTH 64

/*
 * Parses one message as this product wants it: any JSON value, no duplicate keys, no NUL, valid
 * UTF-8. Returns a new reference, or NULL with "parse error: " and the reason in `why`.
 */
#define JSONRPC_WHY_SIZE 256
json_t *jsonrpc_parse(const char *text, size_t len, char *why, size_t why_size);

/*
 * Address of a stream socket: "/path", "unix:/path", "tcp://192.0.2.1:9471",
 * "tcp://[2001:db8::1]:9471", the same with "tls://". 0 or -EINVAL, -ENAMETOOLONG.
 */
int jsonrpc_address(const char *text, struct sockaddr_storage *address, socklen_t *len);

/* No delay, and a dead peer is noticed within 15 s. Sockets that are not TCP stay as they are. */
void jsonrpc_tcp_options(int fd);

/* Message objects; each takes (steals) its arguments, `params` and `data` may be NULL. */
json_t *jsonrpc_make_request(const char *method, json_t *params, json_t *id);
json_t *jsonrpc_make_result(json_t *id, json_t *result);
json_t *jsonrpc_make_error(json_t *id, int code, const char *message, json_t *data);

/* The message as one line with its newline, malloc()ed; NULL when out of memory. */
char *jsonrpc_text(const json_t *message, size_t *len);

#endif
