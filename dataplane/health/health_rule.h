/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_RULE_H
#define HEALTH_HEALTH_RULE_H
/* When a back end counts as up or down, and when it is asked next. Pure, without clock.
 *
 *             good                          fall x bad in a row
 *   UNKNOWN ─────────────→ UP ──────────────────────────────────→ DOWN
 *      │                    ↑                                      │ ↑
 *      │                    └──────────── rise x good in a row ────┘ │
 *      └──────────────────────── fall x bad in a row ────────────────┘
 *
 * The first answer ever is believed at once: after a start nobody waits for `rise`.
 *
 * Times are starts: questions begin every interval_ms, whenever the answers come, and end after at most timeout_ms <=
 * interval_ms. So one that dies is DOWN within fall x interval + timeout, and one that is back is UP within rise x interval
 * and the time of its answer.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lb/lb.h"

struct health_rule {
	enum lb_health state;
	uint16_t good, bad; /* in a row, up to what the rule asks for */
};

/* A question was answered, well or not. True: the state is another one now. */
bool health_rule_result(struct health_rule *r, bool good, uint16_t rise, uint16_t fall);

/* Thousands of questions are spread over their interval: each has a phase of its own, as far from those of the others as can
 * be. `number`: how many had one before. Milliseconds, less than interval_ms. */
uint32_t health_phase(uint32_t number, uint32_t interval_ms);
/* When to ask after a question that began at `start_ms`: at the next point of (phase + n x interval), clock_ms() times, the
 * next one to come if that has passed. */
uint32_t health_next_ms(
	uint32_t start_ms, uint32_t phase_ms, uint32_t interval_ms, uint32_t now_ms);

#endif
