// SPDX-License-Identifier: Apache-2.0
/* Between methods.c, which makes the methods of kinds, and methods_general.c, which lists the
 * others. */
#ifndef LIB_METHODS_INTERNAL_H
#define LIB_METHODS_INTERNAL_H

#include "lib/methods.h"

/* The general methods; methods.c adds the control parameters that their flags call for. */
extern const struct method methods_general[];
extern const size_t methods_general_count;

#endif
