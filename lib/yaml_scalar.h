// SPDX-License-Identifier: Apache-2.0
/* The type of a YAML scalar without quotes; the rules are in yaml_doc.h. */
#ifndef LIB_YAML_SCALAR_H
#define LIB_YAML_SCALAR_H

#include <jansson.h>

/* New reference, or NULL: a number that no JSON number can hold here (or out of memory). */
json_t *yaml_scalar_plain(const char *text);

#endif
