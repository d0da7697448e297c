/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_SETTINGS_H
#define HEALTH_HEALTH_SETTINGS_H
/* A listener's `health_check`. Pure. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum health_type { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP, HEALTH_UDP, HEALTH_ICMP };

#define HEALTH_TEXT_MAX 256

struct health_settings {
	enum health_type type;
	uint16_t port; /* 0: the back end's own */
	uint16_t rise, fall;
	uint32_t interval_ms,
		timeout_ms;         /* timeout_ms <= interval_ms: a question ends before the next */
	char path[HEALTH_TEXT_MAX]; /* http: what is asked for */
	char expect[HEALTH_TEXT_MAX]; /* see health_answer.h */
};

/* What the object lacks has the API's default; what is out of range is brought into it. -EINVAL: no such type. */
int health_settings_read(const json_t *object, struct health_settings *settings);
bool health_settings_equal(const struct health_settings *a, const struct health_settings *b);

#endif
