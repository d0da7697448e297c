// SPDX-License-Identifier: Apache-2.0
/* What the files of the JSON-RPC server share. */
#ifndef LIB_JSONRPC_SERVER_INTERNAL_H
#define LIB_JSONRPC_SERVER_INTERNAL_H

#include <event2/event.h>
#include <sys/queue.h>

#include "lib/address_limit.h"
#include "lib/json_stream.h"
#include "lib/jsonrpc_server.h"
#include "lib/log.h"

struct jsonrpc_door;
struct jsonrpc_exchange;
struct jsonrpc_listener;

struct jsonrpc_server {
	struct event_base *base;
	struct jsonrpc_server_options options;
	LIST_HEAD(, jsonrpc_conn) conns;
	LIST_HEAD(, jsonrpc_listener) listeners;
	LIST_HEAD(, jsonrpc_exchange) orphans; /* exchanges without a connection */
	unsigned clients;
	struct log_limit limit_log;
	struct address_limit *addresses; /* of clients by TLS; NULL: there are none */
};

enum jsonrpc_conn_state {
	JSONRPC_CONN_OPEN,
	JSONRPC_CONN_DRAINING, /* no more requests; closes when all answers are written */
	JSONRPC_CONN_DEAD,     /* freed at the next turn of the event loop */
};

struct jsonrpc_conn {
	LIST_ENTRY(jsonrpc_conn) link;
	struct jsonrpc_server *server;
	struct bufferevent *bev;
	struct json_stream *stream;
	struct event *resume;  /* set off to go on, or to end, in the next turn of the loop */
	struct event *silence; /* runs while a message is incomplete */
	LIST_HEAD(, jsonrpc_exchange) exchanges;
	unsigned pending; /* calls without an answer */
	enum jsonrpc_conn_state state;
	bool paused; /* not read because of `pending` or of its unread answers */
	bool eof;    /* the client sends no more */
	struct jsonrpc_peer peer;
	struct address_limit_entry *seat; /* by TLS: counts its address */
	void *data;
};

/* One request, or one of a batch. */
struct jsonrpc_call {
	struct jsonrpc_exchange *exchange;
	json_t *request; /* own reference; id and params below belong to it */
	json_t *id;      /* NULL: a notification */
	json_t *params;  /* own reference */
	json_t *answer;  /* own reference; NULL: none (yet) */
	bool open;       /* not answered yet */
};

/* A message from a client: a request or a batch, until all of it has been answered. */
struct jsonrpc_exchange {
	LIST_ENTRY(jsonrpc_exchange) link;
	struct jsonrpc_server *server; /* NULL after jsonrpc_server_free() */
	struct jsonrpc_conn *conn;     /* NULL: gone, or dispatched by other means */
	jsonrpc_done_fn done;          /* of the latter */
	void *done_arg;
	struct jsonrpc_peer peer;
	bool batch;
	unsigned open; /* calls not answered, plus one while they are being started */
	unsigned count;
	struct jsonrpc_call calls[];
};

/* jsonrpc_call.c: runs a parsed message of a connection. */
void jsonrpc_exchange_start(struct jsonrpc_conn *conn, json_t *message);
/* jsonrpc_call.c: the connection or the server goes away; pending calls stay valid. */
void jsonrpc_exchanges_orphan(struct jsonrpc_conn *conn);
void jsonrpc_exchanges_abandon(struct jsonrpc_server *server);

/* jsonrpc_conn.c: sends one message (borrowed). */
int jsonrpc_conn_send(struct jsonrpc_conn *conn, json_t *message);
/* jsonrpc_conn.c: an exchange of this connection has ended. */
void jsonrpc_conn_settled(struct jsonrpc_conn *conn);
/* jsonrpc_conn.c: frees it at once; not from inside its own callbacks into the program. */
void jsonrpc_conn_free(struct jsonrpc_conn *conn);

/*
 * jsonrpc_door.c: TLS handshakes with strangers, who become connections when they have shown a certificate. NULL when
 * out of memory.
 */
struct jsonrpc_door *jsonrpc_door_new(
	struct jsonrpc_server *server, struct tls *tls, const char *const *clients);
void jsonrpc_door_free(struct jsonrpc_door *door);
/* Somebody knocks; takes fd. */
void jsonrpc_door_accept(struct jsonrpc_door *door, int fd, const struct sockaddr *address);

/* jsonrpc_listen.c */
void jsonrpc_listeners_free(struct jsonrpc_server *server);

#endif
