/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_MEMIF_CONN_H
#define PORT_MEMIF_CONN_H
/* The connection to a memif peer: messages of 128 bytes over a SOCK_SEQPACKET socket, file descriptors beside them. It ends in a link
 * for the workers. Control thread; nothing here blocks. */
#include "port/memif.h"

enum memif_conn_state {
	MEMIF_CONN_GREETED, /* server: its INIT is awaited; client: the server's HELLO */
	MEMIF_CONN_SETTING_UP,
	MEMIF_CONN_READY, /* `link` is complete */
	MEMIF_CONN_GONE,  /* `said` has the reason */
};

struct memif_conn {
	int fd;
	enum memif_conn_state state;
	bool client;
	uint32_t id;  /* client: to ask for. Server: asked for, from SETTING_UP on */
	uint8_t step; /* client: messages acknowledged */
	bool asked;   /* server: INIT has come; memif_conn_accept() or memif_conn_end() it */
	struct memif_link *link;
	struct memif_conn *next; /* a server's that have not asked yet */
	char said[PORT_REASON_MAX / 2];
};

/* Takes the connected socket. The server speaks first. NULL: out of memory; the socket is closed. */
struct memif_conn *memif_conn_new(int fd, bool client, uint32_t id);
/* Reads what is there, answers it. */
void memif_conn_step(struct memif_conn *conn);
/* Server: the interface it asked for is its. */
void memif_conn_accept(struct memif_conn *conn);
/* Tells the peer why, then frees; no worker uses the link any more. `why` NULL: it knows. */
void memif_conn_end(struct memif_conn *conn, const char *why);

#endif
