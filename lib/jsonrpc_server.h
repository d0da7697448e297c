// SPDX-License-Identifier: Apache-2.0
/*
 * JSON-RPC 2.0 server on libevent. One thread: the one that runs the event base; the program
 * ignores SIGPIPE (daemon_init() does). Transport is a bufferevent, so a Unix socket, TCP or TLS
 * connection is served alike, and HTTP enters by jsonrpc_server_dispatch().
 *
 * A handler answers with exactly one jsonrpc_reply() or jsonrpc_fail(), at once or later; until
 * then it may keep the call. When the client goes away meanwhile the call stays valid, the answer
 * goes nowhere. For a notification the answer is discarded too, so handlers need not know.
 */
#ifndef LIB_JSONRPC_SERVER_H
#define LIB_JSONRPC_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/jsonrpc.h"

struct bufferevent;
struct event_base;
struct jsonrpc_server;
struct jsonrpc_conn;
struct jsonrpc_call;
struct tls;

/* Who calls. Handlers find it in their call; a connection's is filled when it is accepted. */
struct jsonrpc_peer {
	pid_t pid;      /* SO_PEERCRED of a Unix socket, else 0 */
	uid_t uid;      /* … else (uid_t)-1 */
	gid_t gid;      /* … else (gid_t)-1 */
	bool read_only; /* not authenticated: methods that change something must be refused */
	char name[64];  /* for logs and audit: "unix", a certificate's or a token's name */
};

/*
 * `params` is an object (empty when the request has none), or an array if the server allows
 * positional ones. Borrowed, valid until the call is answered.
 */
typedef void (*jsonrpc_handler_fn)(struct jsonrpc_call *call, json_t *params, void *ctx);

struct jsonrpc_method {
	const char *name;
	jsonrpc_handler_fn handler;
};

struct jsonrpc_limits {              /* 0: the default */
	size_t message_bytes;        /* one request; 64 MiB */
	unsigned depth;              /* nesting of a request; 64 */
	unsigned clients;            /* connections at a time; 256 */
	unsigned batch;              /* requests in a batch; 16384 */
	unsigned pending;            /* unanswered calls of a client before it is not read; 1024 */
	size_t output_pause_bytes;   /* unread answers of a client before it is not read; 1 MiB */
	size_t output_close_bytes;   /* … before it is closed; 64 MiB */
	unsigned message_timeout_ms; /* silence in the middle of a message; 30 s */
	unsigned write_timeout_ms;   /* a client that does not read what it asked for; 60 s */
	/* of clients by TLS, before we know them: */
	unsigned handshakes;           /* at a time, then the oldest makes room; 64 */
	unsigned handshake_timeout_ms; /* all of it; 5 s */
	unsigned address_clients;      /* connections of one address, handshakes too; 32 */
	unsigned address_rate; /* new ones of an address in a second, twice as many at once; 20 */
};

struct jsonrpc_server_options {
	const struct jsonrpc_method *methods; /* ends with a NULL name; may be NULL */
	/* Asked for what is not in `methods`; false: there is no such method. May be NULL. */
	bool (*dispatch)(struct jsonrpc_call *call, const char *method, json_t *params, void *ctx);
	/* A connection begins, ends (free what jsonrpc_conn_set_data() hung on it). May be NULL. */
	void (*opened)(struct jsonrpc_conn *conn, void *ctx);
	void (*closed)(struct jsonrpc_conn *conn, void *ctx);
	void *ctx;
	bool positional_params; /* hand over arrays too; else they are invalid params */
	struct jsonrpc_limits limits;
};

/* NULL when out of memory. The options are copied, the method table is not. */
struct jsonrpc_server *jsonrpc_server_new(
	struct event_base *base, const struct jsonrpc_server_options *options);

/*
 * Stops listening, closes all connections, removes its sockets. Calls that are still pending must
 * still be answered; that frees them.
 */
void jsonrpc_server_free(struct jsonrpc_server *server);

/* Whose members may use our Unix sockets. */
#define JSONRPC_GROUP "vpc"

/*
 * Listens on a Unix socket: makes the parent directory, replaces a socket nobody listens on, sets
 * mode 0660 and the group `vpc` where it exists. 0 or -errno (-EADDRINUSE: somebody answers),
 * logged.
 */
int jsonrpc_server_listen_unix(struct jsonrpc_server *server, const char *path);

/*
 * Listens on "tls://ADDRESS:PORT" for clients with a certificate of our CA that bears one of `clients` (ends with NULL;
 * NULL: any). Both stay with the caller, until the server is freed. A peer's name is that of its certificate, "@" and
 * its address. Who is refused is logged with address and reason. 0 or -errno, logged.
 */
int jsonrpc_server_listen_tls(struct jsonrpc_server *server, const char *address, struct tls *tls,
	const char *const *clients);

/* Serves what a bound and listening non-blocking socket accepts; takes fd. 0 or -errno. */
int jsonrpc_server_listen_fd(struct jsonrpc_server *server, int fd);

/*
 * Serves an established connection; takes bev, also on failure. `name` (may be NULL) goes to its
 * peer. NULL when out of memory or above the limit of clients.
 */
struct jsonrpc_conn *jsonrpc_server_adopt(
	struct jsonrpc_server *server, struct bufferevent *bev, const char *name);

/*
 * Runs one request or batch that came by other means. `done` is called exactly once, perhaps before
 * this returns, with the answer (borrowed; NULL when there is none to give: only notifications); no
 * more after jsonrpc_server_free().
 */
typedef void (*jsonrpc_done_fn)(json_t *answer, void *arg);
void jsonrpc_server_dispatch(struct jsonrpc_server *server, json_t *request,
	const struct jsonrpc_peer *peer, jsonrpc_done_fn done, void *arg);
/* The same from its text, the body of an HTTP request, under the limits of the server. */
void jsonrpc_server_dispatch_text(struct jsonrpc_server *server, const char *text, size_t len,
	const struct jsonrpc_peer *peer, jsonrpc_done_fn done, void *arg);

unsigned jsonrpc_server_clients(const struct jsonrpc_server *server);

/* Answers; the call is gone afterwards. `result` and `data` are taken; `data` may be NULL. */
void jsonrpc_reply(struct jsonrpc_call *call, json_t *result);
void jsonrpc_fail(struct jsonrpc_call *call, int code, const char *message, json_t *data);
void jsonrpc_failf(struct jsonrpc_call *call, int code, json_t *data, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

const char *jsonrpc_call_method(const struct jsonrpc_call *call);
json_t *jsonrpc_call_params(const struct jsonrpc_call *call);
const struct jsonrpc_peer *jsonrpc_call_peer(const struct jsonrpc_call *call);
bool jsonrpc_call_is_notification(const struct jsonrpc_call *call);
/* NULL when the client is gone, or never had a connection (HTTP). */
struct jsonrpc_conn *jsonrpc_call_conn(const struct jsonrpc_call *call);

/*
 * Sends a notification; takes params. A client that does not read is closed at the output limit, so
 * a stream never has holes. 0, -EPIPE (closing), -ENOMEM.
 */
int jsonrpc_conn_notify(struct jsonrpc_conn *conn, const char *method, json_t *params);
/* The same with a text made once by jsonrpc_text(), for many receivers. */
int jsonrpc_conn_send_text(struct jsonrpc_conn *conn, const char *text, size_t len);
/* Bytes queued and not yet taken by the kernel. */
size_t jsonrpc_conn_queued(const struct jsonrpc_conn *conn);
void jsonrpc_conn_set_data(struct jsonrpc_conn *conn, void *data);
void *jsonrpc_conn_data(const struct jsonrpc_conn *conn);
const struct jsonrpc_peer *jsonrpc_conn_peer(const struct jsonrpc_conn *conn);
/* Closes soon (not inside this call), after what is queued has been sent where the client reads it.
 */
void jsonrpc_conn_close(struct jsonrpc_conn *conn);

#endif
