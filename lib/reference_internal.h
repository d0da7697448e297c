// SPDX-License-Identifier: Apache-2.0
/* Between the Markdown and the man page, which say the same. */
#ifndef LIB_REFERENCE_INTERNAL_H
#define LIB_REFERENCE_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/resource.h"

struct reference_error {
	int code;
	const char *name, *help;
};

const struct reference_error *reference_errors(size_t *count);

/* What follows a field's help: " (bytes); required; fixed at creation". */
void reference_notes(const struct field *field, bool required, FILE *out);

#endif
