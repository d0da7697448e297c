/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int type_of(const char *name, enum health_type *type)
{
	static const char *const names[] = {[HEALTH_NONE] = "none",
		[HEALTH_TCP] = "tcp",
		[HEALTH_HTTP] = "http",
		[HEALTH_UDP] = "udp",
		[HEALTH_ICMP] = "icmp"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0) {
			*type = (enum health_type)i;
			return 0;
		}
	return -EINVAL;
}

static uint32_t number(
	const json_t *object, const char *name, uint32_t usual, uint32_t min, uint32_t max)
{
	const json_t *value = json_object_get(object, name);
	json_int_t n = json_is_integer(value) ? json_integer_value(value) : (json_int_t)usual;

	return n < (json_int_t)min ? min : n > (json_int_t)max ? max : (uint32_t)n;
}

static void text(const json_t *object, const char *name, char out[HEALTH_TEXT_MAX])
{
	const char *value = json_string_value(json_object_get(object, name));

	snprintf(out, HEALTH_TEXT_MAX, "%s", value != NULL ? value : "");
}

int health_settings_read(const json_t *object, struct health_settings *s)
{
	const char *type = json_string_value(json_object_get(object, "type"));

	memset(s, 0, sizeof(*s));
	if (type_of(type != NULL ? type : "none", &s->type) < 0)
		return -EINVAL;
	s->port = (uint16_t)number(object, "port", 0, 0, UINT16_MAX);
	s->interval_ms = number(object, "interval_ms", 5000, 50, 3600 * 1000);
	s->timeout_ms = number(object, "timeout_ms", 2000, 10, s->interval_ms);
	s->rise = (uint16_t)number(object, "rise", 2, 1, 100);
	s->fall = (uint16_t)number(object, "fall", 3, 1, 100);
	text(object, "path", s->path);
	text(object, "expect", s->expect);
	if (s->type == HEALTH_HTTP && s->path[0] == '\0')
		s->path[0] = '/';
	return 0;
}

bool health_settings_equal(const struct health_settings *a, const struct health_settings *b)
{
	return a->type == b->type && a->port == b->port && a->rise == b->rise &&
	       a->fall == b->fall && a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->expect, b->expect) == 0;
}
