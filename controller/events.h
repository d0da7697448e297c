/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_EVENTS_H
#define CONTROLLER_EVENTS_H
/* What has happened: the newest events, in memory and in the store. */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct controller;
struct events;

enum event_severity { EVENT_INFO, EVENT_WARNING, EVENT_ERROR };

/* With those of the store. NULL when it cannot be read (logged). */
struct events *events_new(struct controller *c);
void events_free(struct events *events);

/* node, kind and name may be NULL. Durable soon, not at once. */
void events_add(struct events *events, enum event_severity severity, const char *node,
	const char *kind, const char *name, const char *reason, const char *message);

/* Appends {record: "event", event} for each, and takes in those of a list of events that are not known. */
void events_backup(const struct events *events, json_t *records);
void events_merge(struct events *events, const json_t *list);

/* {items, cursor} for event.list's params. New reference. */
json_t *events_list(const struct events *events, const json_t *params);

#endif
