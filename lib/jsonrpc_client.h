// SPDX-License-Identifier: Apache-2.0
/*
 * Asynchronous JSON-RPC 2.0 client on libevent, used from the thread of its event base. It connects
 * once per jsonrpc_client_connect(); when to try again is the caller's business. The program
 * ignores SIGPIPE.
 */
#ifndef LIB_JSONRPC_CLIENT_H
#define LIB_JSONRPC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/jsonrpc.h"

struct bufferevent;
struct event_base;
struct jsonrpc_client;
struct tls;

/* How a call ended; everything in it is borrowed for the callback. */
struct jsonrpc_outcome {
	int status; /* 0: result; -EREMOTEIO: error of the server; -ETIMEDOUT, -ECONNRESET … */
	json_t *result;      /* with status 0 */
	int code;            /* with -EREMOTEIO */
	const char *message; /* never NULL: for every failure a text to log */
	json_t *data;        /* with -EREMOTEIO, may be NULL */
};

typedef void (*jsonrpc_outcome_fn)(const struct jsonrpc_outcome *outcome, void *arg);

struct jsonrpc_client_options {
	/* May be NULL each. In all of them the client may be used, also freed. */
	void (*connected)(struct jsonrpc_client *client, void *ctx);
	/*
	 * The connection failed or ended; pending calls have got their outcome before. Not called
	 * after jsonrpc_client_close().
	 */
	void (*disconnected)(struct jsonrpc_client *client, const char *reason, void *ctx);
	void (*notification)(
		struct jsonrpc_client *client, const char *method, json_t *params, void *ctx);
	void *ctx;
	size_t message_bytes;       /* largest answer; 0: no smaller than 1 GiB */
	unsigned connect_timeout_s; /* 0: 5 */
};

/* The options are copied. NULL when out of memory. */
struct jsonrpc_client *jsonrpc_client_new(
	struct event_base *base, const struct jsonrpc_client_options *options);
/* Pending calls get -ECANCELED. */
void jsonrpc_client_free(struct jsonrpc_client *client);

/*
 * Who we are in the next connections to tls:// addresses, and a name (may be NULL) that the server's certificate may
 * bear instead of the address's. Both are borrowed.
 */
void jsonrpc_client_set_tls(struct jsonrpc_client *client, struct tls *tls, const char *name);
/*
 * Starts to connect to "/path", "unix:/path", "tcp://host:port" or, with an identity, "tls://host:port" (connector.h).
 * 0: `connected` or `disconnected` follows, never from inside; -EINVAL, -EISCONN, -errno. With TLS 1.3 a server may
 * refuse our certificate after `connected`.
 */
int jsonrpc_client_connect(struct jsonrpc_client *client, const char *address);
/* Uses an established transport; takes bev. `connected` is not called. 0, -EISCONN. */
int jsonrpc_client_adopt(struct jsonrpc_client *client, struct bufferevent *bev);
/* Pending calls get -ECANCELED. It may connect again. */
void jsonrpc_client_close(struct jsonrpc_client *client);
bool jsonrpc_client_is_connected(const struct jsonrpc_client *client);

/*
 * Sends a request; takes params (NULL: none). `done` is called exactly once and not before this
 * returns. Returns the call's id, or 0 with errno (ENOTCONN, ENOMEM; `done` is then not called).
 * timeout_ms 0: no timeout.
 */
uint64_t jsonrpc_client_call(struct jsonrpc_client *client, const char *method, json_t *params,
	unsigned timeout_ms, jsonrpc_outcome_fn done, void *arg);
/* Forgets a call; its `done` is not called any more. Unknown ids are ignored. */
void jsonrpc_client_forget(struct jsonrpc_client *client, uint64_t id);
/* Sends a notification; takes params. 0, -ENOTCONN, -ENOMEM. */
int jsonrpc_client_notify(struct jsonrpc_client *client, const char *method, json_t *params);

/* Calls not answered yet, bytes not taken by the kernel yet: for senders that pace themselves. */
unsigned jsonrpc_client_pending(const struct jsonrpc_client *client);
size_t jsonrpc_client_queued(const struct jsonrpc_client *client);

#endif
