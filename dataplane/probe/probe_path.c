/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_path.h"

void probe_path_start(struct probe_path *p, uint16_t min, bool quiet, uint32_t now_ms)
{
	*p = (struct probe_path){.quiet = quiet,
		.min = min,
		.since_ms = now_ms,
		.pause_ms = PROBE_INTERVAL_MS,
		.sent_ms = now_ms - PROBE_INTERVAL_MS,
		.alive_ms = now_ms - PROBE_INTERVAL_MS};
}

static bool passed(uint32_t since_ms, uint32_t ms, uint32_t now_ms)
{
	return now_ms - since_ms >= ms;
}

static unsigned int enter(struct probe_path *p, enum probe_state state, uint32_t now_ms)
{
	if (p->state == state)
		return PROBE_SAME;
	p->state = state;
	p->since_ms = now_ms;
	return state == PROBE_UP ? PROBE_CAME_UP : PROBE_WENT_DOWN;
}

static unsigned int set_mtu(struct probe_path *p, uint16_t mtu, uint32_t now_ms)
{
	bool other = p->path_mtu != mtu;

	p->searching = false;
	p->path_mtu = mtu;
	p->size_checked_ms = now_ms;
	return other ? PROBE_MTU_FOUND : PROBE_SAME;
}

/* The next size of a search, or its end. */
static unsigned int search_on(struct probe_path *p, uint32_t now_ms)
{
	if (p->high - p->low <= 1)
		return set_mtu(p, p->low, now_ms);
	p->searching = true;
	p->wanted = (uint16_t)(p->low + (p->high - p->low) / 2);
	return PROBE_SAME;
}

static unsigned int lost_life(struct probe_path *p, uint32_t now_ms)
{
	p->verify = false;
	p->size_lost = 0;
	p->lost += p->lost < PROBE_LOST_MAX;
	if (p->lost < PROBE_LOST_MAX || (p->quiet && p->state == PROBE_UNKNOWN))
		return PROBE_SAME;
	return enter(p, PROBE_DOWN, now_ms);
}

/* The size under question does not get through, though the way is open. */
static unsigned int size_failed(struct probe_path *p, uint32_t now_ms)
{
	p->verify = false;
	if (!p->searching)
		p->low = p->path_mtu < p->wanted && p->path_mtu != 0 ? p->path_mtu : p->min;
	p->high = p->wanted;
	return search_on(p, now_ms);
}

static unsigned int give_up(struct probe_path *p, uint32_t now_ms)
{
	p->waiting = false;
	if (p->size == 0)
		return lost_life(p, now_ms);
	if (++p->size_lost == PROBE_LOST_MAX) {
		p->size_lost = 0;
		p->verify = true;
	}
	return PROBE_SAME;
}

/* A size is in question: the search's, our own largest at first and now and then, or else what was found. */
static bool wants_size(struct probe_path *p, uint16_t max, uint32_t now_ms)
{
	if (p->searching || p->size_lost != 0)
		return true;
	if (p->path_mtu == 0 ||
		(p->path_mtu != max && passed(p->raised_ms, PROBE_RAISE_MS, now_ms))) {
		p->raised_ms = now_ms;
		p->wanted = max;
		return true;
	}
	p->wanted = p->path_mtu < max ? p->path_mtu : max;
	return passed(p->size_checked_ms, PROBE_CONFIRM_MS, now_ms);
}

static bool send(struct probe_path *p, uint16_t size, uint32_t wait_ms, uint32_t now_ms)
{
	p->waiting = true;
	p->size = size;
	p->sent_ms = now_ms;
	p->wait_ms = wait_ms;
	return true;
}

bool probe_path_due(struct probe_path *p, uint16_t max, uint32_t now_ms, unsigned int *change)
{
	*change = PROBE_SAME;
	if (p->waiting && !passed(p->sent_ms, p->wait_ms, now_ms))
		return false;
	if (p->waiting)
		*change = give_up(p, now_ms);
	if (p->state != PROBE_UP)
		return passed(p->sent_ms, p->pause_ms, now_ms) &&
		       send(p, 0, PROBE_INTERVAL_MS, now_ms);
	if (p->lost != 0 || p->verify || passed(p->alive_ms, p->pause_ms, now_ms))
		return send(p, 0, PROBE_INTERVAL_MS, now_ms);
	return wants_size(p, max, now_ms) && send(p, p->wanted, PROBE_SIZE_WAIT_MS, now_ms);
}

unsigned int probe_path_answered(struct probe_path *p, uint32_t rtt_us, uint32_t now_ms)
{
	unsigned int change;

	if (!p->waiting)
		return PROBE_SAME;
	p->waiting = false;
	p->lost = 0;
	p->alive_ms = now_ms;
	change = enter(p, PROBE_UP, now_ms);
	if (p->size == 0) {
		/* RFC 6298 section 2.3's weight. */
		p->rtt_us = p->rtt_us == 0 ? rtt_us : (7 * p->rtt_us + rtt_us) / 8;
		return change | (p->verify ? size_failed(p, now_ms) : PROBE_SAME);
	}
	p->size_lost = 0;
	if (!p->searching)
		return change | set_mtu(p, p->size, now_ms);
	p->low = p->size;
	return change | search_on(p, now_ms);
}
