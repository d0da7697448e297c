/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_RULE_PARTS_H
#define CONTROLLER_RULE_PARTS_H
/*
 * How a security group's list of rules is cut into southbound items of kind `rules`. The cut is kept with the
 * object (list_cut.h), so that a changed rule costs one item to make and to send, whatever the length of
 * the list.
 */
#include "list_cut.h"
#include "model.h"

/* The text of a northbound rule (lib/southbound.h). */
typedef json_t *(*rule_text_fn)(const json_t *rule);

/* Of the group's list as it is now. Each part's data is its item: ["rules", group, number, [rule, ...]]. */
const struct list_cut *rule_parts_of(const struct object *group, rule_text_fn text);

#endif
