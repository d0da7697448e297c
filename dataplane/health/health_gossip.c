/* SPDX-License-Identifier: Apache-2.0 */
/* What this node knows about back ends, for nodes that choose among them; and what other nodes know, for this one.
 *
 *   who chooses                                   who checks
 *        │── WATCH, once a second ──────────────────▶│   remembers for some seconds whom to tell
 *        │◀───────────── DIGEST (instance, number) ──│
 *        │── ASK (back ends it has not heard of) ───▶│
 *        │◀─────────────────────────────────── TELL ─│
 *        │◀──── CHANGES (from, to), when they happen ─│
 *
 * Who chooses asks, so nobody is told what it has no use for, and who comes late or has lost something catches up by itself: an
 * instance that it does not know, or a number that it has missed, and it asks for all again. Every state has the number of its
 * change, so what overtakes something on its way does no harm.
 *
 * Believed is only who a balancer's item names as its gateway, by the outer source address. Machines can send nothing of that:
 * what they send is carried inside their VPC's VNI. Who checks and falls silent is not doubted: the last that was known holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/control.h"
#include "core/worker.h"
#include "health/health_internal.h"
#include "health/health_wire.h"
#include "lib/log.h"
#include "probe/probe.h"
#include "underlay/underlay.h"

#define TICK_MS 100
#define WATCH_MS 1000u   /* between two WATCHes */
#define WATCHED_MS 5000u /* that long changes are told after the last one */
#define ASK_AGAIN_MS 1000u
#define FRAMES_A_TICK 32u /* of questions: the ring to the workers is everybody's */

TAILQ_HEAD(checks, health_check);

/* A node that checks for us. */
struct health_gateway {
	char name[PORT_NAME_MAX]; /* as VTEP */
	uint64_t instance, number;
	uint32_t watched_ms;
	bool watching;              /* watched_ms is set */
	struct checks told, untold; /* untold: who was asked for longest ago first */
	LIST_ENTRY(health_gateway) link;
};

/* A node that we check for. */
struct watcher {
	uint32_t vtep;
	uint32_t heard_ms;
};

static LIST_HEAD(, health_gateway) gateways = LIST_HEAD_INITIALIZER(gateways);
static struct checks changed = TAILQ_HEAD_INITIALIZER(changed); /* by number */
static struct watcher *watchers;
static unsigned int n_watchers, room;
static uint64_t instance, number, told_number;
static struct event *tick_event, *flush_event;

static void post(const struct health_frame *f, uint32_t vtep)
{
	control_send(loc_tunnel(vtep), f->bytes, f->len); /* lost or not: numbers tell */
}

static void post_head(enum health_message type, uint64_t to_instance, uint64_t to, uint32_t vtep)
{
	struct health_head head = {.type = type, .instance = to_instance, .to = to};
	struct health_frame f;

	health_frame_begin(&f, &head);
	post(&f, vtep);
}

static struct health_entry entry_of(const struct health_check *c)
{
	const struct lb_backend *b = c->backend;
	struct health_entry e = {.addr = b->addr,
		.port = b->listener->port,
		.port_number = b->port_number,
		.protocol = b->listener->protocol,
		.state = (uint8_t)c->rule.state,
		.number = c->number};

	memcpy(e.balancer, lb_name(b->listener->lb), strlen(lb_name(b->listener->lb)) + 1);
	return e;
}

static struct health_check *check_of(const struct health_entry *e)
{
	const struct lb_backend *b =
		lb_backend_find(e->balancer, e->protocol, e->port, &e->addr, e->port_number);

	return b != NULL ? b->check : NULL;
}

/* --- Who checks --- */

static void post_to_watchers(const struct health_frame *f)
{
	uint32_t now_ms = clock_ms();

	for (unsigned int i = 0; i < n_watchers;) {
		if (now_ms - watchers[i].heard_ms > WATCHED_MS) {
			watchers[i] = watchers[--n_watchers];
			continue;
		}
		post(f, watchers[i++].vtep);
	}
}

/* Of the first that are queued, as many as a frame has room for. */
static void tell_some(void)
{
	struct health_head head = {
		.type = HEALTH_CHANGES, .instance = instance, .from = told_number};
	struct health_frame f;
	struct health_check *c;

	health_frame_begin(&f, &head);
	while ((c = TAILQ_FIRST(&changed)) != NULL) {
		struct health_entry e = entry_of(c);

		if (!health_frame_add(&f, &e))
			break;
		told_number = c->number;
		TAILQ_REMOVE(&changed, c, link);
		c->queued = false;
	}
	if (c == NULL)
		told_number = number; /* the last may have been forgotten meanwhile */
	health_frame_set_to(&f, told_number);
	post_to_watchers(&f);
}

static void tell_all(void)
{
	while (told_number != number)
		tell_some();
}

/* In the same turn of the event loop, when all that it brought is known. */
static void flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell_all();
}

void health_gossip_changed(struct health_check *c)
{
	health_gossip_forget(c);
	c->number = ++number;
	c->queued = true;
	TAILQ_INSERT_TAIL(&changed, c, link);
	event_active(flush_event, EV_TIMEOUT, 0);
}

void health_gossip_forget(struct health_check *c)
{
	if (c->queued)
		TAILQ_REMOVE(&changed, c, link);
	c->queued = false;
}

static void remember(uint32_t vtep)
{
	struct watcher *more;
	unsigned int i = 0;

	while (i < n_watchers && watchers[i].vtep != vtep)
		i++;
	if (i == room) {
		more = realloc(watchers, (room + 16) * sizeof(*watchers));
		if (more == NULL)
			return; /* it asks again */
		watchers = more;
		room += 16;
	}
	n_watchers += i == n_watchers;
	watchers[i] = (struct watcher){vtep, clock_ms()};
}

static void watched(uint32_t vtep)
{
	tell_all();
	remember(vtep);
	post_head(HEALTH_DIGEST, instance, number, vtep);
}

/* Not more than was asked for: an answer is as long as its question. */
static void asked(struct health_reader *r, uint32_t vtep)
{
	struct health_head head = {.type = HEALTH_TELL, .instance = instance};
	struct health_frame f;
	struct health_entry e;

	health_frame_begin(&f, &head);
	while (health_frame_next(r, &e)) {
		const struct health_check *c = check_of(&e);

		if (c == NULL || c->gateway != NULL)
			continue;
		e = entry_of(c);
		health_frame_add(&f, &e);
	}
	post(&f, vtep);
}

/* --- Who chooses --- */

/* In their old order, before those that were asked for already. */
static void ask_for_all(struct health_gateway *g)
{
	struct checks all = TAILQ_HEAD_INITIALIZER(all);
	struct health_check *c;

	TAILQ_CONCAT(&all, &g->told, link);
	TAILQ_CONCAT(&all, &g->untold, link);
	TAILQ_CONCAT(&g->untold, &all, link);
	TAILQ_FOREACH (c, &g->untold, link) {
		c->told = false;
		c->asked_ms = clock_ms() - ASK_AGAIN_MS;
	}
}

static void set_told(struct health_gateway *g, struct health_check *c)
{
	if (c->told)
		return;
	c->told = true;
	TAILQ_REMOVE(&g->untold, c, link);
	TAILQ_INSERT_TAIL(&g->told, c, link);
}

/* What is not known there, since it has just started, does not make worse what is known here. */
static void apply(struct health_gateway *g, const struct health_entry *e)
{
	struct health_check *c = check_of(e);

	if (c == NULL || c->gateway != g || (c->told && e->number < c->number))
		return;
	c->number = e->number;
	set_told(g, c);
	if (e->state != LB_HEALTH_UNKNOWN &&
		e->state != atomic_load_explicit(&c->backend->health, memory_order_relaxed))
		lb_health_set(c->backend, (enum lb_health)e->state, "as its gateway says");
}

/* Up to `head->to` it has said something; what between `from` and what we know was lost? */
static void follow_numbers(struct health_gateway *g, const struct health_head *head)
{
	bool lost = head->instance != g->instance || head->from > g->number;

	if (lost)
		ask_for_all(g);
	if (lost || head->to > g->number)
		g->number = head->to;
	g->instance = head->instance;
}

static void heard(struct health_gateway *g, struct health_head *head, struct health_reader *r)
{
	struct health_entry e;

	if (head->type == HEALTH_DIGEST)
		head->from = head->to;
	if (head->type != HEALTH_TELL)
		follow_numbers(g, head);
	else if (head->instance != g->instance)
		return; /* of before it started again */
	while (health_frame_next(r, &e))
		apply(g, &e);
}

/* A frame's worth of questions. False: there are none that are due. */
static bool ask_some(struct health_gateway *g, uint32_t vtep, uint32_t now_ms)
{
	struct health_head head = {.type = HEALTH_ASK, .instance = g->instance};
	struct health_frame f;
	struct health_check *c;

	health_frame_begin(&f, &head);
	while ((c = TAILQ_FIRST(&g->untold)) != NULL && now_ms - c->asked_ms >= ASK_AGAIN_MS) {
		struct health_entry e = entry_of(c);

		if (!health_frame_add(&f, &e))
			break;
		c->asked_ms = now_ms;
		TAILQ_REMOVE(&g->untold, c, link);
		TAILQ_INSERT_TAIL(&g->untold, c, link);
	}
	if (f.entries == 0)
		return false;
	post(&f, vtep);
	return true;
}

static void look(struct health_gateway *g, uint32_t now_ms)
{
	const struct vtep *v = vtep_by_name(g->name);

	if (v == NULL)
		return;
	if (!g->watching || now_ms - g->watched_ms >= WATCH_MS) {
		g->watching = true;
		g->watched_ms = now_ms;
		post_head(HEALTH_WATCH, g->instance, g->number, v->index);
	}
	/* Answers are believed of an instance that is known. */
	for (unsigned int i = 0; g->instance != 0 && i < FRAMES_A_TICK; i++)
		if (!ask_some(g, v->index, now_ms))
			break;
}

static struct health_gateway *gateway_of(const char *name)
{
	struct health_gateway *g;

	LIST_FOREACH (g, &gateways, link) {
		if (strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

int health_gossip_follow(struct health_check *c, const char *name)
{
	struct health_gateway *g = gateway_of(name);

	if (g == NULL) {
		g = calloc(1, sizeof(*g));
		if (g == NULL)
			return -ENOMEM;
		snprintf(g->name, sizeof(g->name), "%s", name);
		TAILQ_INIT(&g->told);
		TAILQ_INIT(&g->untold);
		LIST_INSERT_HEAD(&gateways, g, link);
	}
	c->gateway = g;
	c->asked_ms = clock_ms() - ASK_AGAIN_MS;
	TAILQ_INSERT_HEAD(&g->untold, c, link);
	return 0;
}

void health_gossip_leave(struct health_check *c)
{
	struct health_gateway *g = c->gateway;

	if (c->told)
		TAILQ_REMOVE(&g->told, c, link);
	else
		TAILQ_REMOVE(&g->untold, c, link);
	c->gateway = NULL;
	if (!TAILQ_EMPTY(&g->told) || !TAILQ_EMPTY(&g->untold))
		return;
	LIST_REMOVE(g, link);
	free(g);
}

/* --- Both --- */

static void receive(const uint8_t *frame, uint16_t len, loc_t in)
{
	const struct vtep *v = loc_is_tunnel(in) ? vtep_get(loc_index(in)) : NULL;
	struct health_gateway *g;
	struct health_reader r;
	struct health_head head;

	if (v == NULL || vtep_is_foreign(v) || !health_frame_open(frame, len, &head, &r))
		return;
	switch (head.type) {
	case HEALTH_WATCH:
		watched(v->index);
		break;
	case HEALTH_ASK:
		asked(&r, v->index);
		break;
	default:
		g = gateway_of(v->name);
		if (g != NULL)
			heard(g, &head, &r);
	}
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	uint32_t now_ms = clock_ms();
	struct health_gateway *g;

	(void)fd;
	(void)what;
	(void)arg;
	LIST_FOREACH (g, &gateways, link) {
		look(g, now_ms);
	}
}

int health_gossip_init(struct event_base *base)
{
	struct timeval period = {0, TICK_MS * 1000};

	if (getrandom(&instance, sizeof(instance), 0) != (ssize_t)sizeof(instance) || instance == 0)
		return -EAGAIN;
	tick_event = event_new(base, -1, EV_PERSIST, tick, NULL);
	flush_event = event_new(base, -1, 0, flush, NULL);
	if (tick_event == NULL || flush_event == NULL || event_add(tick_event, &period) < 0)
		return -ENOMEM;
	control_receiver_set(CONTROL_HEALTH, receive);
	return 0;
}

void health_gossip_fini(void)
{
	if (tick_event != NULL)
		event_free(tick_event);
	if (flush_event != NULL)
		event_free(flush_event);
	free(watchers);
	watchers = NULL;
	n_watchers = room = 0;
}

static bool is_ours(const uint8_t *frame, uint32_t len)
{
	return health_frame_is(frame, len);
}
PROBE_TALK(health_talk, is_ours, CONTROL_HEALTH)
