// SPDX-License-Identifier: Apache-2.0
/* Changes, as apply answers them, like a unified diff. */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include <jansson.h>
#include <stdbool.h>

void diff_print(const json_t *changes, bool color);

#endif
