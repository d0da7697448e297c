/* SPDX-License-Identifier: Apache-2.0 */
#include "move.h"

#include "controller.h"
#include "events.h"
#include "mem.h"
#include "node.h"
#include "wanted.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 5000
/* For both nodes to obey, and again for each page. */
#define PATIENCE_S 8
/* Pages on their way at a time, over all nodes; the old node keeps the others' sessions meanwhile. */
#define COPIES_MAX 8u

enum move_state {
	MOVE_WAITS,  /* for the nodes to obey */
	MOVE_COPIES, /* a call is under way */
	MOVE_FAILED, /* the new node is to pick connections up, once it has the port */
	MOVE_OVER,   /* is freed when its call has been answered */
};

struct move {
	TAILQ_ENTRY(move) link;
	struct controller *c;
	char *port, *from, *to;
	enum move_state state;
	bool calling, copying;
	struct event *timer; /* ends the patience */
	struct event
		*kick; /* looks again, out of the callback of a connection that may be ending */
	json_t *cursor;
	json_int_t copied, left;
};

struct moves {
	TAILQ_HEAD(, move) list;
	unsigned copying;
};

struct moves *moves_new(struct controller *c)
{
	struct moves *moves = mem_calloc(1, sizeof(*moves));

	(void)c;
	TAILQ_INIT(&moves->list);
	return moves;
}

static void move_free(struct move *m)
{
	TAILQ_REMOVE(&m->c->moves->list, m, link);
	event_free(m->timer);
	event_free(m->kick);
	json_decref(m->cursor);
	free(m->port);
	free(m->from);
	free(m->to);
	free(m);
}

static bool is_ready(const struct move *m);

/* The next one's turn. */
static void stop_copying(struct move *m)
{
	const struct timeval now = {0, 0};
	struct move *other;

	if (!m->copying)
		return;
	m->copying = false;
	m->c->moves->copying--;
	TAILQ_FOREACH (other, &m->c->moves->list, link) {
		if (!is_ready(other))
			continue;
		evtimer_add(other->kick, &now);
		return;
	}
}

static void end(struct move *m)
{
	m->state = MOVE_OVER;
	stop_copying(m);
	evtimer_del(m->timer);
	evtimer_del(m->kick);
	if (!m->calling)
		move_free(m);
}

void moves_free(struct moves *moves)
{
	struct move *m, *next;

	if (moves == NULL)
		return;
	/* Connections have ended: no call is under way. */
	for (m = TAILQ_FIRST(&moves->list); m != NULL; m = next) {
		next = TAILQ_NEXT(m, link);
		move_free(m);
	}
	free(moves);
}

static void patience(struct move *m)
{
	const struct timeval delay = {.tv_sec = PATIENCE_S};

	evtimer_add(m->timer, &delay);
}

static bool has_it(const struct node *node, const char *port)
{
	const struct item *item = wanted_of(node, "port", port);

	return item != NULL && item->known && item->wanted != NULL;
}

static bool has_let_go(const struct node *node, const char *port)
{
	const struct item *item = wanted_of(node, "port", port);

	return node->state == NODE_SYNCED &&
	       (item == NULL || (!item->known && item->wanted == NULL));
}

/* The answer comes to `done`, or the move can not go on. */
static void ask(struct move *m, const char *node_name, const char *method, json_t *params,
	jsonrpc_outcome_fn done)
{
	struct node *node = node_find(m->c, node_name);

	if (node != NULL && node->client != NULL &&
		jsonrpc_client_call(node->client, method, params, CALL_TIMEOUT_MS, done, m) != 0) {
		m->calling = true;
		patience(m);
		return;
	}
	if (node == NULL || node->client == NULL)
		json_decref(params);
	m->state = m->state == MOVE_FAILED ? MOVE_OVER : MOVE_FAILED;
}

static void look(struct move *m);

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

static void fail(struct move *m)
{
	const struct timeval now = {0, 0};

	m->state = MOVE_FAILED;
	stop_copying(m);
	evtimer_add(m->kick, &now);
}

static void tell(struct move *m)
{
	char text[256];

	if (m->copied + m->left == 0)
		return;
	snprintf(text, sizeof(text),
		"%" JSON_INTEGER_FORMAT
		" sessions came with it from node `%s`, %" JSON_INTEGER_FORMAT " can not be here",
		m->copied, m->from, m->left);
	events_add(m->c->events, EVENT_INFO, m->to, "port", m->port, "sessions_moved", text);
}

static void on_recover(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct move *m = arg;
	char text[256];

	m->calling = false;
	if (m->state != MOVE_OVER && outcome->status == 0) {
		snprintf(text, sizeof(text),
			"its sessions could not be had from node `%s`: connections are "
			"picked up in their middle",
			m->from);
		events_add(m->c->events, EVENT_WARNING, m->to, "port", m->port,
			"sessions_left_behind", text);
	}
	end(m);
}

/* Does the copying go on with this answer? If not the move has been ended, or fails. */
static bool answered(struct move *m, const struct jsonrpc_outcome *outcome)
{
	m->calling = false;
	if (m->state == MOVE_OVER)
		end(m);
	else if (outcome->status != 0)
		fail(m);
	else
		return true;
	return false;
}

static void next_page(struct move *m);

static void on_import(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct move *m = arg;

	if (!answered(m, outcome))
		return;
	m->copied += resource_integer(outcome->result, "imported", 0);
	m->left += resource_integer(outcome->result, "refused", 0);
	next_page(m);
	look(m);
}

static void on_export(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct move *m = arg;

	if (!answered(m, outcome))
		return;
	json_decref(m->cursor);
	m->cursor = json_incref(json_object_get(outcome->result, "cursor"));
	ask(m, m->to, "session.import",
		json_pack("{s:s, s:O}", "port", m->port, "items",
			json_object_get(outcome->result, "items")),
		on_import);
	look(m);
}

static void next_page(struct move *m)
{
	json_t *params;

	if (m->state == MOVE_COPIES && !json_is_string(m->cursor)) {
		tell(m);
		m->state = MOVE_OVER;
		return;
	}
	m->state = MOVE_COPIES;
	params = json_pack("{s:s}", "port", m->port);
	if (json_is_string(m->cursor))
		json_object_set(params, "cursor", m->cursor);
	ask(m, m->from, "session.export", params, on_export);
}

static bool is_ready(const struct move *m)
{
	const struct node *from = node_find(m->c, m->from), *to = node_find(m->c, m->to);

	return m->state == MOVE_WAITS && from != NULL && to != NULL && has_let_go(from, m->port) &&
	       has_it(to, m->port);
}

/* What can be done now. Frees a move that is over. */
static void look(struct move *m)
{
	const struct node *from = node_find(m->c, m->from), *to = node_find(m->c, m->to);

	if (m->calling)
		return;
	if (to == NULL || to->object == NULL)
		m->state = MOVE_OVER;
	else if (m->state == MOVE_WAITS && from == NULL)
		m->state = MOVE_FAILED;
	if (m->c->moves->copying < COPIES_MAX && is_ready(m)) {
		m->copying = true;
		m->c->moves->copying++;
		next_page(m);
	}
	if (m->state == MOVE_FAILED && !m->calling && has_it(to, m->port))
		ask(m, m->to, "session.recover", json_pack("{s:s}", "port", m->port), on_recover);
	if (m->state == MOVE_OVER)
		end(m);
}

void move_look(struct controller *c)
{
	struct move *m, *next;

	if (c->moves == NULL)
		return;
	for (m = TAILQ_FIRST(&c->moves->list); m != NULL; m = next) {
		next = TAILQ_NEXT(m, link);
		look(m);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct move *m = arg;

	(void)fd;
	(void)what;
	if (m->calling)
		return; /* that has a timeout of its own */
	if (is_ready(m)) {
		patience(m); /* others come first */
		return;
	}
	if (m->state == MOVE_FAILED) {
		end(m); /* the new node does not have it either */
		return;
	}
	patience(m);
	fail(m);
}

/* An earlier move of the port does not matter any more. */
static void supersede(struct controller *c, const char *port)
{
	struct move *m, *next;

	for (m = TAILQ_FIRST(&c->moves->list); m != NULL; m = next) {
		next = TAILQ_NEXT(m, link);
		if (strcmp(m->port, port) == 0)
			end(m);
	}
}

static void on_keep(const struct jsonrpc_outcome *outcome, void *arg)
{
	(void)outcome; /* what was not kept can not be exported: that says it */
	(void)arg;
}

void move_begin(struct controller *c, const char *port, const char *from, const char *to)
{
	struct node *old = node_find(c, from);
	struct move *m;

	supersede(c, port);
	if (node_find(c, to) == NULL) /* somebody else's VTEP */
		return;
	m = mem_calloc(1, sizeof(*m));
	*m = (struct move){.c = c,
		.port = mem_strdup(port),
		.from = mem_strdup(from),
		.to = mem_strdup(to),
		.timer = evtimer_new(c->base, on_timer, m),
		.kick = evtimer_new(c->base, on_kick, m)};
	TAILQ_INSERT_TAIL(&c->moves->list, m, link);
	patience(m);
	if (old == NULL || !node_is_connected(old) || wanted_of(old, "port", port) == NULL ||
		jsonrpc_client_call(old->client, "session.keep", json_pack("{s:s}", "port", port),
			CALL_TIMEOUT_MS, on_keep, NULL) == 0)
		m->state = MOVE_FAILED;
}
