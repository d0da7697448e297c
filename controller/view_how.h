/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_VIEW_HOW_H
#define CONTROLLER_VIEW_HOW_H
/*
 * How the objects of a kind are shown whose status is not in the store. One in each view_*.c, view.c has the list.
 */
#include "api.h"
#include "fan_out.h"

struct view_how {
	/* Without asking anybody. New reference. */
	json_t *(*status)(struct controller *c, const struct object *object);
	/* Asks the nodes that know more of what `result` shows. */
	void (*ask)(struct fan_out *fan, struct api_call *call, json_t *result);
	/* What all answers together say, made once; may be NULL. New reference. */
	json_t *(*gather)(const struct fan_out *fan, const struct api_call *call);
	/* The same object's status with what nodes have said. `said`: what gather() made. New reference. */
	json_t *(*status_asked)(struct controller *c, const struct object *object,
		const struct fan_out *fan, const json_t *said);
};

extern const struct view_how view_node, view_service, view_mirror, view_flow_log, view_hook;

/* Adds a count that a node says: what is none counts nothing, and no sum gets beyond what fits. Returns what was said. */
json_int_t view_add(json_int_t *sum, const json_t *said, const char *member);
/* Answers when those that were asked have answered or had a second. Takes result: an object, or {items}. */
void view_ask(struct api_call *call, json_t *result, const struct view_how *how);
/* The i-th object of an answer; NULL behind the last. Borrowed. */
json_t *view_shown(json_t *result, size_t i);

#endif
