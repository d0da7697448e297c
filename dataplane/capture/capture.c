/* SPDX-License-Identifier: Apache-2.0 */
/* The life of captures: from the observer that begins one to the last block for its client. */
#include "capture/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "core/rpc.h"
#include "lib/log.h"

#define TICK_MS 10
/* What the client's connection may have unsent while more is added. */
#define UNREAD_MAX ((size_t)1 << 20)

static LIST_HEAD(, capture) captures = LIST_HEAD_INITIALIZER(captures);
static struct event *ticker;

struct capture *capture_find(const struct jsonrpc_conn *conn, json_int_t id)
{
	struct capture *c;

	LIST_FOREACH (c, &captures, link)
		if (c->conn == conn && c->id == id)
			return c;
	return NULL;
}

/* ---- To the client ---- */

static void send_blocks(struct capture *c)
{
	char *text;

	if (c->out.failed)
		log_warn("a capture lacks memory");
	if (c->conn != NULL && c->out.length > 0) {
		text = base64_text(c->out.data, c->out.length);
		if (text != NULL)
			jsonrpc_conn_notify(c->conn, "capture.data",
				json_pack("{s:I, s:s}", "capture", c->id, "data", text));
		free(text);
	}
	bytes_clear(&c->out);
}

/* While the connection is full nothing is taken: what comes meanwhile fills the room that there is, then is lost. */
static bool client_reads(const struct capture *c)
{
	return c->conn == NULL || jsonrpc_conn_queued(c->conn) < UNREAD_MAX;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct capture *c, *next;

	(void)fd;
	(void)what;
	(void)arg;
	for (c = LIST_FIRST(&captures); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->ending || !client_reads(c))
			continue;
		capture_match(c, false);
		send_blocks(c);
		if (c->limit != 0 && c->packets >= c->limit)
			capture_end(c);
	}
}

/* ---- Begin and end ---- */

static int start_ticker(void)
{
	const struct timeval period = {.tv_usec = TICK_MS * 1000};

	if (ticker != NULL)
		return 0;
	ticker = event_new(rpc_base(), -1, EV_PERSIST, on_tick, NULL);
	return ticker != NULL && event_add(ticker, &period) == 0 ? 0 : -ENOMEM;
}

static void stop_ticker(void)
{
	if (ticker != NULL)
		event_free(ticker);
	ticker = NULL;
}

static void free_records(struct capture *c, struct capture_records *records)
{
	struct capture_record *r;

	while ((r = TAILQ_FIRST(records)) != NULL) {
		TAILQ_REMOVE(records, r, link);
		capture_record_free(c, r);
	}
}

static void capture_free(struct capture *c)
{
	free_records(c, &c->incoming);
	free_records(c, &c->held);
	pthread_mutex_destroy(&c->lock);
	bytes_free(&c->out);
	free(c->interfaces);
	free(c->by_mark);
	free(c->filter);
	free(c);
}

/* What it looks at: the ports of its scope; of a node also its underlay and outside networks. */
static unsigned int scopes_of(
	const struct capture *c, struct observe_scope *scopes, unsigned int room)
{
	unsigned int n = 0;

	if (c->drops)
		return 0;
	if (c->scope == CAPTURE_PORT) {
		scopes[n].kind = OBSERVE_PORT;
		memcpy(scopes[n++].name, c->name, sizeof(c->name));
		return n;
	}
	if (c->scope == CAPTURE_VPC) {
		scopes[n++] = (struct observe_scope){.kind = OBSERVE_VPC, .vni = c->vni};
		return n;
	}
	scopes[n++] = (struct observe_scope){.kind = OBSERVE_NODE};
	for (struct port *p = port_next(NULL); p != NULL && n < room; p = port_next(p)) {
		if (p->role != PORT_UNDERLAY && p->role != PORT_EXTERNAL)
			continue;
		scopes[n].kind = OBSERVE_PORT;
		memcpy(scopes[n++].name, p->name, sizeof(p->name));
	}
	return n;
}

#define SCOPES_MAX 32

static int begin(struct capture *c, struct packet_filter *filter)
{
	struct observe_scope scopes[SCOPES_MAX];
	struct observer_spec spec = {
		.scopes = scopes,
		.directions = OBSERVE_SENT | (c->path ? 0 : OBSERVE_GIVEN),
		.filter = filter,
		.snaplen = c->snaplen,
		.sink = &capture_sink,
		.context = c,
	};
	int rc = capture_marks_prepare();

	memset(scopes, 0, sizeof(scopes));
	spec.n_scopes = scopes_of(c, scopes, SCOPES_MAX);
	if (rc == 0)
		rc = start_ticker();
	if (rc != 0) {
		packet_filter_free(filter);
		return rc;
	}
	/* Workers may take packets for it as soon as it is started. */
	c->observer = observer_prepare(&spec);
	if (c->observer == NULL)
		return -errno;
	capture_marks_open(c);
	if (c->path)
		capture_path_open(c);
	observer_start(c->observer);
	return 0;
}

struct capture *capture_new(const struct capture *like, struct packet_filter *filter)
{
	struct capture *c = malloc(sizeof(*c));
	struct timespec now;
	int rc = -ENOMEM;

	if (c == NULL) {
		packet_filter_free(filter);
		errno = ENOMEM;
		return NULL;
	}
	*c = *like;
	clock_gettime(CLOCK_REALTIME, &now);
	c->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	pthread_mutex_init(&c->lock, NULL);
	TAILQ_INIT(&c->incoming);
	TAILQ_INIT(&c->held);
	c->by_mark = calloc(CAPTURE_MARKS, sizeof(struct capture_record *));
	if (c->by_mark == NULL)
		packet_filter_free(filter);
	else
		rc = begin(c, filter);
	if (rc != 0) {
		if (LIST_EMPTY(&captures))
			stop_ticker();
		capture_free(c);
		errno = -rc;
		return NULL;
	}
	LIST_INSERT_HEAD(&captures, c, link);
	return c;
}

void capture_end(struct capture *c)
{
	if (c->ending)
		return;
	c->ending = true;
	if (c->path)
		capture_path_close(c);
	capture_marks_close(c);
	observer_free(c->observer);
}

void capture_closed(struct capture *c)
{
	capture_match(c, true);
	capture_write_end(c);
	send_blocks(c);
	if (c->stop != NULL)
		jsonrpc_reply(c->stop, json_object());
	else if (c->conn != NULL)
		jsonrpc_conn_notify(c->conn, "capture.end", json_pack("{s:I}", "capture", c->id));
	LIST_REMOVE(c, link);
	capture_free(c);
	if (LIST_EMPTY(&captures))
		stop_ticker();
}

static void client_gone(struct jsonrpc_conn *conn)
{
	struct capture *c, *next;

	for (c = LIST_FIRST(&captures); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->conn != conn)
			continue;
		c->conn = NULL;
		capture_end(c);
	}
}
RPC_CLOSED(client_closed, client_gone)
