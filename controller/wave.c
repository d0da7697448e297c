/* SPDX-License-Identifier: Apache-2.0 */
#include "wave.h"

#include "controller.h"
#include "mem.h"
#include "node.h"
#include "push.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct waves {
	struct controller *c;
	struct event *timer;
	bool holding;
};

/* What a node's queue is to the others. */
enum part {
	PART_NONE,
	PART_LEADS,   /* it receives what is added, or sends to what is taken away */
	PART_FOLLOWS, /* it will send to what is added, or has what is taken away */
};

static bool is_kind(const char *key, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(key, kind, len) == 0 && key[len] == '\x1f';
}

static bool is_one_of(const char *key, const char *const *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_kind(key, kinds[i]))
			return true;
	return false;
}

static const char *const services[] = {"eip", "nat_gateway", "load_balancer", "route"};
#define SERVICES (sizeof(services) / sizeof(services[0]))

bool wave_is_way(const char *key, const json_t *item)
{
	/* What belongs to a service goes where that goes. */
	static const char *const always[] = {
		"endpoint", "vtep", "snat", "dnat", "listener", "backend"};
	const struct sb_kind *kind = sb_kind_find(json_string_value(json_array_get(item, 0)));

	if (is_one_of(key, always, sizeof(always) / sizeof(always[0])))
		return true;
	if (!is_one_of(key, services, SERVICES) && !is_kind(key, "mirror"))
		return false;
	for (unsigned int c = 0; c < kind->n_columns; c++)
		if (strcmp(kind->columns[c].name, "vtep") == 0)
			return json_is_string(json_array_get(item, c + 1));
	return false;
}

/* Packets are sent to the node because of it. */
static bool is_served(const struct item *item)
{
	return is_kind(item->key, "port") || is_kind(item->key, "mirror_in") ||
	       (!item->way && is_one_of(item->key, services, SERVICES));
}

static enum part part_of(const struct node *node)
{
	bool new_way = false, way_gone = false, served_gone = false, changed = false;
	const struct item *item;

	if (node->state != NODE_SYNCED || TAILQ_EMPTY(&node->queue))
		return PART_NONE;
	TAILQ_FOREACH (item, &node->queue, link) {
		bool wanted = item->wanted != NULL;

		if (wanted && !item->way && !item->known)
			return PART_LEADS;
		changed |= wanted && !item->way;
		/* A VTEP goes with what was behind it. */
		if (!is_kind(item->key, "vtep")) {
			new_way |= wanted;
			way_gone |= !wanted && item->way;
		}
		served_gone |= !wanted && is_served(item);
	}
	/* An EIP, say, that changes because its gateway goes. */
	if (served_gone)
		return PART_FOLLOWS;
	return changed || (way_gone && !new_way) ? PART_LEADS : PART_FOLLOWS;
}

static void release(struct waves *waves)
{
	waves->holding = false;
	evtimer_del(waves->timer);
	NODES_FOREACH(waves->c, node)
	{
		if (!node->held)
			continue;
		node->held = false;
		push_start(node);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	release(arg);
}

struct waves *waves_new(struct controller *c)
{
	struct waves *waves = mem_calloc(1, sizeof(*waves));

	waves->c = c;
	waves->timer = evtimer_new(c->base, on_timer, waves);
	return waves;
}

void waves_free(struct waves *waves)
{
	if (waves == NULL)
		return;
	event_free(waves->timer);
	free(waves);
}

void wave_begin(struct controller *c)
{
	const struct timeval hold = {.tv_usec = WAVE_HOLD_MS * 1000};
	bool leaders = false;

	NODES_FOREACH(c, node)
	{
		node->part = part_of(node);
		leaders |= node->part == PART_LEADS;
	}
	NODES_FOREACH(c, node)
	{
		if (node->part != PART_FOLLOWS || !leaders)
			continue;
		node->held = true;
		/* Who is held already does not wait longer for what is new. */
		if (!c->waves->holding)
			evtimer_add(c->waves->timer, &hold);
		c->waves->holding = true;
	}
}

void wave_look(struct controller *c)
{
	if (c->waves == NULL || !c->waves->holding)
		return;
	NODES_FOREACH(c, node)
	{
		bool at_work = node->push != NULL || !TAILQ_EMPTY(&node->queue);

		if (!node->held && node->state == NODE_SYNCED && at_work)
			return;
	}
	release(c->waves);
}
