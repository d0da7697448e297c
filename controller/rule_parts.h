/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RULE_PARTS_H
#define CONTROLLER_RULE_PARTS_H
/*
 * How a security group's list of rules is cut into southbound items of kind `rules`. The cut is kept with the
 * object: when the list changes, what lies before and behind the change keeps its items, so that a
 * changed rule costs one item to make and to send, whatever the length of the list.
 */
#include "model.h"

struct rule_part {
	json_int_t number;
	size_t count; /* rules */
	json_t *item; /* ["rules", group, number, [rule, ...]] */
};

/* The state of a security group's object. */
struct rule_parts {
	json_t *rules; /* the list that is cut: object->json's at that time */
	struct rule_part *parts;
	size_t count;
};

/* The text of a northbound rule (lib/southbound.h). */
typedef json_t *(*rule_text_fn)(const json_t *rule);

/* Of the group's list as it is now. */
const struct rule_parts *rule_parts_of(const struct object *group, rule_text_fn text);

#endif
