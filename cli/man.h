// SPDX-License-Identifier: Apache-2.0
/* The page vpcctl(1), in man(7) macros. */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include <stdio.h>

void man_page(FILE *out);

#endif
