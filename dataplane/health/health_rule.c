/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_rule.h"

static bool enter(struct health_rule *r, enum lb_health state)
{
	if (r->state == state)
		return false;
	r->state = state;
	return true;
}

bool health_rule_result(struct health_rule *r, bool good, uint16_t rise, uint16_t fall)
{
	if (good) {
		r->bad = 0;
		r->good = (uint16_t)(r->good + (r->good < rise));
		return (r->good >= rise || r->state == LB_HEALTH_UNKNOWN) && enter(r, LB_HEALTH_UP);
	}
	r->good = 0;
	r->bad = (uint16_t)(r->bad + (r->bad < fall));
	return r->bad >= fall && enter(r, LB_HEALTH_DOWN);
}

/* Multiples of the golden ratio, modulo 1: each falls into a largest gap that is left. */
uint32_t health_phase(uint32_t number, uint32_t interval_ms)
{
	return (uint32_t)(((uint64_t)(number * 2654435769u) * interval_ms) >> 32);
}

/* A clock that wraps: only differences count. The grid slips by at most one interval every 49 days. */
uint32_t health_next_ms(uint32_t start_ms, uint32_t phase_ms, uint32_t interval_ms, uint32_t now_ms)
{
	uint32_t from = start_ms + 1, since = (from - phase_ms) % interval_ms;
	uint32_t next = since == 0 ? from : from + (interval_ms - since);

	if ((int32_t)(next - now_ms) < 0)
		next = now_ms;
	return next;
}
