// SPDX-License-Identifier: Apache-2.0
/*
 * Blocking JSON-RPC 2.0 client for command lines and tests. One thread.
 */
#ifndef LIB_JSONRPC_SYNC_H
#define LIB_JSONRPC_SYNC_H

#include <stddef.h>

#include "lib/jsonrpc.h"

struct jsonrpc_sync;

/* Addresses as jsonrpc_client_connect(). NULL with the reason in `why`. */
struct jsonrpc_sync *jsonrpc_sync_open(
	const char *address, int timeout_ms, char *why, size_t why_size);
void jsonrpc_sync_free(struct jsonrpc_sync *sync);

/*
 * One call; takes params (NULL: none). timeout_ms < 0: waits for ever. Returns
 * 0 with *result; -EREMOTEIO with *error, the object {code, message, data} of the server; or -errno
 * of the transport (-ETIMEDOUT, -ECONNRESET, -EPROTO), after which the connection is of no use.
 * `error` may be NULL. Notifications that arrive meanwhile are kept for jsonrpc_sync_next().
 */
int jsonrpc_sync_call(struct jsonrpc_sync *sync, const char *method, json_t *params, int timeout_ms,
	json_t **result, json_t **error);

/* Next notification {method, params} (new reference). 0, -ETIMEDOUT, -ECONNRESET, -EPROTO. */
int jsonrpc_sync_next(struct jsonrpc_sync *sync, int timeout_ms, json_t **notification);

/* For poll(). */
int jsonrpc_sync_fd(const struct jsonrpc_sync *sync);

#endif
