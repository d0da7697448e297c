// SPDX-License-Identifier: Apache-2.0
/* Values as the command line has them, by a field's description. */
#ifndef CLI_VALUE_H
#define CLI_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/resource.h"

/*
 * JSON of one argument. Lists: values with commas between them, or a JSON list; of objects: one
 * object, or a JSON list. Objects: JSON, or member=value with commas between them. "null" is null.
 * Only what no JSON could be made of is refused here; whether it is right, the server says. A new
 * reference, or NULL with the reason in `why`.
 */
json_t *value_parse(const struct field *field, const char *text, char *why, size_t size);

/* Puts a value under a name, as one of several arguments: lists grow, objects get more members. Takes
 * `value`. */
void value_put(json_t *object, const struct field *field, json_t *value);

/* Is it what may stand behind a boolean flag? */
bool value_is_boolean(const char *text);

/*
 * The field that a flag such as "attachment.type" names, dashes or underscores; NULL when there is
 * none. In unions `given` (may be NULL), the object that has it, tells which variant's members count.
 */
const struct field *value_field(const struct field *fields, const char *path, const json_t *given);

/* Puts a value where a dotted path says, making the objects in between. Takes `value`. */
void value_put_path(json_t *object, const struct field *fields, const char *path, json_t *value);

#endif
