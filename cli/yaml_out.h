// SPDX-License-Identifier: Apache-2.0
/* JSON values as YAML text, such that YAML 1.1 and 1.2 readers get the same values back. */
#ifndef CLI_YAML_OUT_H
#define CLI_YAML_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Documents with "---" before each when there are several, or when `marked`. */
void yaml_out(FILE *out, const json_t *const *documents, size_t count, bool marked);

/* Of one value, malloc()ed, with a newline at its end. */
char *yaml_out_text(const json_t *value);

#endif
