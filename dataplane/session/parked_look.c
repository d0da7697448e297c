/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over the table for all ports that have left. */
#include <stdlib.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#include "session/parked.h"

#define AHEAD 8
#define ROOM_MIN 64u

uint32_t parked_walks;

static bool walking;
static uint32_t at;

/* Those that left while a walk was under way wait for the next. */
static bool begin(void)
{
	bool any = false;

	for (struct parked *p = parked_next(NULL); p != NULL; p = parked_next(p)) {
		if (p->state != PARKED_NEW || !parked_has_left(p))
			continue;
		p->state = PARKED_LOOKING;
		any = true;
	}
	at = 0;
	return any;
}

static void end(void)
{
	for (struct parked *p = parked_next(NULL); p != NULL; p = parked_next(p))
		if (p->state == PARKED_LOOKING)
			p->state = PARKED_FOUND;
	parked_walks++;
}

/* Without memory it is left behind. */
static void add(struct parked_list *l, uint32_t index)
{
	uint32_t *larger;

	if (l->n > 0 && l->indexes[l->n - 1] == index)
		return; /* both by its port and by its address */
	if (l->n == l->room) {
		larger = realloc(l->indexes, RTE_MAX(2 * l->room, ROOM_MIN) * sizeof(*larger));
		if (larger == NULL)
			return;
		l->indexes = larger;
		l->room = RTE_MAX(2 * l->room, ROOM_MIN);
	}
	l->indexes[l->n++] = index;
}

static void found(struct parked *p, uint32_t index, void *arg)
{
	uint32_t now_ms = *(uint32_t *)arg;

	if (p->state == PARKED_LOOKING)
		add(&p->found[session_idle_ms(index, now_ms) < PARKED_LATELY_MS ? PARKED_LATELY
										: PARKED_REST],
			index);
}

static void visit_range(uint32_t from, uint32_t to, uint32_t now_ms)
{
	for (uint32_t i = from; i < to; i++) {
		if (i + AHEAD < to)
			rte_prefetch0(session_dir_of((i + AHEAD) << 1));
		if (session_alive(i))
			parked_each_of(i, found, &now_ms);
	}
}

bool parked_look(uint32_t visits, uint32_t now_ms)
{
	uint32_t high = session_high_water(), to;

	if (!walking)
		walking = begin();
	if (!walking)
		return false;
	to = RTE_MIN(at + visits, high);
	visit_range(at, to, now_ms);
	at = to;
	if (at < high)
		return true;
	end();
	walking = begin();
	return walking;
}
