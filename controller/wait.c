/* SPDX-License-Identifier: Apache-2.0 */
#include "wait.h"

#include "controller.h"
#include "mem.h"
#include "node.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct controller *c;
	uint64_t first, last;
	struct event *timer;
	wait_fn fn;
	void *arg;
};

struct waits {
	struct controller *c;
	TAILQ_HEAD(, waiter) list;
};

struct waits *waits_new(struct controller *c)
{
	struct waits *waits = mem_calloc(1, sizeof(*waits));

	waits->c = c;
	TAILQ_INIT(&waits->list);
	return waits;
}

/* Has the node nothing of these revisions left to do? */
static bool obeys(const struct node *node, uint64_t first, uint64_t last)
{
	return node->desired < first || node->applied >= last || node->applied >= node->desired;
}

static bool refused(const struct node *node, uint64_t first)
{
	return node->rejected_count > 0 && node->rejected_revision >= first;
}

/* NULL when all obey. *final: waiting longer does not help. */
static json_t *laggards(const struct waiter *w, bool *final, const char **reason)
{
	json_t *names = NULL;

	*final = false;
	*reason = "no answer in time";
	NODES_FOREACH(w->c, node)
	{
		bool no = refused(node, w->first);

		if (obeys(node, w->first, w->last) && !no)
			continue;
		if (no) {
			*final = true;
			*reason = node->rejection;
		} else if (!node_is_connected(node) && !*final) {
			*reason = node->reason;
		}
		if (names == NULL)
			names = mem_json(json_array());
		json_array_append_new(names, json_string(node->name));
	}
	return names;
}

static void end(struct waiter *w, json_t *names, const char *reason)
{
	struct wait_outcome outcome = {.revision = w->last, .nodes = names, .reason = reason};

	if (w->timer != NULL) {
		TAILQ_REMOVE(&w->c->waits->list, w, link);
		event_free(w->timer);
	}
	w->fn(&outcome, w->arg);
	json_decref(names);
	free(w);
}

/* True when it is over. */
static bool look(struct waiter *w, bool time_is_up)
{
	const char *reason;
	bool final;
	json_t *names = laggards(w, &final, &reason);

	if (names != NULL && !final && !time_is_up) {
		json_decref(names);
		return false;
	}
	end(w, names, reason);
	return true;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg, true);
}

void wait_for_nodes(struct controller *c, uint64_t first, uint64_t last, uint32_t timeout_ms,
	wait_fn fn, void *arg)
{
	struct waiter *w = mem_calloc(1, sizeof(*w));
	struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	*w = (struct waiter){.c = c, .first = first, .last = last, .fn = fn, .arg = arg};
	if (look(w, false))
		return;
	w->timer = evtimer_new(c->base, on_timeout, w);
	TAILQ_INSERT_TAIL(&c->waits->list, w, link);
	evtimer_add(w->timer, &timeout);
}

void wait_look(struct controller *c)
{
	struct waiter *w, *next;

	if (c->waits == NULL)
		return; /* the controller is ending */
	for (w = TAILQ_FIRST(&c->waits->list); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		look(w, false);
	}
}

void waits_free(struct waits *waits)
{
	struct waiter *w;

	if (waits == NULL)
		return;
	while ((w = TAILQ_FIRST(&waits->list)) != NULL)
		look(w, true);
	free(waits);
}
