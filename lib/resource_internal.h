// SPDX-License-Identifier: Apache-2.0
/* What the files of the resource descriptions share, and nobody else needs. */
#ifndef LIB_RESOURCE_INTERNAL_H
#define LIB_RESOURCE_INTERNAL_H

#include "lib/resource.h"

/* Validates one value that is no object, list or union; *out is a new reference to its canonical
 * form. */
bool resource_scalar(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error);

/* Validates a field's value: list or single, of any type. */
bool resource_value(const struct field *field, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error);

/* What follows when all members of a whole object are valid: derived defaults and the kind's own
 * rules. */
bool resource_finish(const struct kind *kind, json_t *object, struct resource_error *error);

/* "a string", "an object" …: what the JSON value is. */
const char *resource_json_type(const json_t *value);

/* Fails with the list of what would have been right, and with the one that was probably meant. */
bool resource_fail_choice(struct resource_error *error, const char *path, const char *what,
	const char *given, const char *const *choices, size_t count);

/* Appends "/name" to a JSON pointer of the given length, with ~ and / escaped; the new length. */
size_t resource_pointer_append(char *path, size_t size, size_t length, const char *name);

#endif
