/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include "commit.h"
#include "controller.h"
#include "lib/log.h"
#include "lib/resource.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP 10000
#define PAGE 1000

struct events {
	struct controller *c;
	json_t *ring[KEEP]; /* number n at n % KEEP */
	int64_t next;       /* number of the next one; the first is 1 */
};

static void put(struct events *events, int64_t number, json_t *event)
{
	json_decref(events->ring[number % KEEP]);
	events->ring[number % KEEP] = event;
	events->next = number + 1;
}

static void restore(int64_t number, json_t *event, void *arg)
{
	put(arg, number, event);
}

struct events *events_new(struct controller *c)
{
	struct events *events = mem_calloc(1, sizeof(*events));

	events->c = c;
	events->next = 1;
	if (store_event_load(c->store, restore, events) == 0)
		return events;
	events_free(events);
	return NULL;
}

void events_free(struct events *events)
{
	if (events == NULL)
		return;
	for (size_t i = 0; i < KEEP; i++)
		json_decref(events->ring[i]);
	free(events);
}

static json_t *text(const char *value)
{
	return value != NULL ? json_string(value) : json_null();
}

void events_add(struct events *events, enum event_severity severity, const char *node,
	const char *kind, const char *name, const char *reason, const char *message)
{
	static const char *const names[] = {"info", "warning", "error"};
	char time[NOW_TEXT], *dump;
	json_t *event = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "time", now_text(time),
		"severity", names[severity], "node", text(node), "kind", text(kind), "name",
		text(name), "reason", reason, "message", text(message));

	if (event == NULL)
		return; /* a dataplane's message that is no UTF-8 */
	log_info("event", LOG_STR("severity", names[severity]), LOG_STR("node", node),
		LOG_STR("kind", kind), LOG_STR("name", name), LOG_STR("reason", reason),
		LOG_STR("message", message));
	dump = json_dumps(event, JSON_COMPACT);
	store_event_add(events->c->store, events->next, dump, KEEP);
	free(dump);
	put(events, events->next, event);
	commit_soon(events->c);
}

static bool passes(const json_t *event, const json_t *params)
{
	const char *since = resource_text(params, "since");
	const char *severity = resource_text(params, "severity");
	const char *kind = resource_text(params, "kind"), *of = resource_text(event, "kind");

	/* Both are in UTC to the millisecond: such texts order as the times do. */
	return (since == NULL || strcmp(resource_text(event, "time"), since) > 0) &&
	       (severity == NULL || strcmp(resource_text(event, "severity"), severity) == 0) &&
	       (kind == NULL || (of != NULL && strcmp(of, kind) == 0));
}

json_t *events_list(const struct events *events, const json_t *params)
{
	const char *cursor = resource_text(params, "cursor");
	size_t limit = (size_t)resource_integer(params, "limit", PAGE);
	int64_t oldest = events->next > KEEP ? events->next - KEEP : 1;
	int64_t n = cursor != NULL ? strtoll(cursor, NULL, 10) : oldest;
	json_t *items = mem_json(json_array()), *more = NULL;
	char number[24];

	for (n = n < oldest ? oldest : n; n < events->next; n++) {
		json_t *event = events->ring[n % KEEP];

		if (event == NULL || !passes(event, params))
			continue;
		if (json_array_size(items) == limit) {
			snprintf(number, sizeof(number), "%lld", (long long)n);
			more = json_string(number);
			break;
		}
		json_array_append(items, event);
	}
	return json_pack("{s:o, s:o}", "items", items, "cursor", more != NULL ? more : json_null());
}

/* ---- Backup ---- */

static json_t *known_events(const struct events *events)
{
	int64_t oldest = events->next > KEEP ? events->next - KEEP : 1;
	json_t *list = mem_json(json_array());

	for (int64_t n = oldest; n < events->next; n++)
		if (events->ring[n % KEEP] != NULL)
			json_array_append(list, events->ring[n % KEEP]);
	return list;
}

void events_backup(const struct events *events, json_t *records)
{
	json_t *list = known_events(events), *event;
	size_t i;

	json_array_foreach (list, i, event)
		json_array_append_new(
			records, json_pack("{s:s, s:O}", "record", "event", "event", event));
	json_decref(list);
}

struct dated {
	json_t *event;
	char *text;
	size_t order;
};

/* By time; those of one time as they came, equal ones together. */
static int compare_dated(const void *pa, const void *pb)
{
	const struct dated *a = pa, *b = pb;
	const char *ta = resource_text(a->event, "time"), *tb = resource_text(b->event, "time");
	int order = strcmp(ta != NULL ? ta : "", tb != NULL ? tb : "");

	if (order != 0)
		return order;
	order = strcmp(a->text, b->text);
	return order != 0 ? order : a->order < b->order ? -1 : 1;
}

/* In place of all there are, with new numbers. */
static void replace_all(struct events *events, const struct dated *sorted, size_t count)
{
	int64_t first = events->next;

	for (size_t i = 0; i < KEEP; i++) {
		json_decref(events->ring[i]);
		events->ring[i] = NULL;
	}
	for (size_t i = count > KEEP ? count - KEEP : 0; i < count; i++) {
		store_event_add(
			events->c->store, events->next, sorted[i].text, events->next - first + 1);
		put(events, events->next, json_incref(sorted[i].event));
	}
	commit_soon(events->c);
}

void events_merge(struct events *events, const json_t *list)
{
	json_t *all = known_events(events), *event;
	size_t known = json_array_size(all), count = 0, i;
	struct dated *sorted;

	json_array_extend(all, (json_t *)list);
	sorted = mem_calloc(json_array_size(all) + 1, sizeof(*sorted));
	json_array_foreach (all, i, event)
		sorted[i] =
			(struct dated){event, json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS), i};
	qsort(sorted, json_array_size(all), sizeof(*sorted), compare_dated);
	/* Equal texts are one event. */
	for (i = 0; i < json_array_size(all); i++) {
		if (count > 0 && strcmp(sorted[count - 1].text, sorted[i].text) == 0)
			free(sorted[i].text);
		else
			sorted[count++] = sorted[i];
	}
	if (count > known)
		replace_all(events, sorted, count);
	for (i = 0; i < count; i++)
		free(sorted[i].text);
	free(sorted);
	json_decref(all);
}
