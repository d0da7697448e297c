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

static bool is_kind(const struct item *item, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(item->key, kind, len) == 0 && item->key[len] == '\x1f';
}

/* Does the item make the node send to another one? A service's does, unless the node is its gateway. */
static bool is_a_way(const struct item *item)
{
	static const char *const services[] = {"eip", "nat_gateway", "load_balancer", "route"};
	const struct sb_kind *kind;

	if (is_kind(item, "endpoint") || is_kind(item, "vtep"))
		return true;
	/* What belongs to a service goes where that goes. */
	if (is_kind(item, "snat") || is_kind(item, "dnat") || is_kind(item, "listener") ||
		is_kind(item, "backend"))
		return true;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (!is_kind(item, services[i]))
			continue;
		kind = sb_kind_find(services[i]);
		for (unsigned int c = 0; c < kind->n_columns; c++)
			if (strcmp(kind->columns[c].name, "vtep") == 0)
				return json_is_string(json_array_get(item->wanted, c + 1));
	}
	return false;
}

static enum part part_of(const struct node *node)
{
	bool new_endpoint = false, endpoint_gone = false;
	const struct item *item;

	if (node->state != NODE_SYNCED || TAILQ_EMPTY(&node->queue))
		return PART_NONE;
	TAILQ_FOREACH (item, &node->queue, link) {
		bool endpoint = is_kind(item, "endpoint");

		if (item->wanted != NULL && !is_a_way(item))
			return PART_LEADS;
		new_endpoint |= endpoint && item->wanted != NULL;
		endpoint_gone |= endpoint && item->wanted == NULL;
	}
	return endpoint_gone && !new_endpoint ? PART_LEADS : PART_FOLLOWS;
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
