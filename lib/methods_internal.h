// SPDX-License-Identifier: Apache-2.0
/* Between methods.c, which makes the methods of kinds, and the lists of the others: methods_general.c, methods_observe.c,
 * methods_capture.c. */
#ifndef LIB_METHODS_INTERNAL_H
#define LIB_METHODS_INTERNAL_H

#include "lib/methods.h"

/* methods.c adds the control parameters that their flags call for, and to those with METHOD_EXTRA the kind that their name begins with. */
extern const struct method methods_general[];
extern const size_t methods_general_count;
extern const struct method methods_capture[];
extern const size_t methods_capture_count;
extern const struct method methods_observe[];
extern const size_t methods_observe_count;

/* Shorthand for results, most of whose members are plain and always there. */
#define TEXT(field_name, what)                                                                     \
	{                                                                                          \
		.name = field_name, .type = FIELD_STRING, .flags = FIELD_REQUIRED, .help = what    \
	}
#define TEXT_OR_NULL(field_name, what)                                                             \
	{                                                                                          \
		.name = field_name, .type = FIELD_STRING,                                          \
		.flags = FIELD_REQUIRED | FIELD_NULLABLE, .help = what                             \
	}
#define COUNT(field_name, what)                                                                    \
	{                                                                                          \
		.name = field_name, .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .help = what   \
	}
#define SECONDS(field_name, what)                                                                  \
	{                                                                                          \
		.name = field_name, .type = FIELD_NUMBER, .flags = FIELD_REQUIRED,                 \
		.unit = "seconds", .help = what                                                    \
	}
#define ITEMS(item_fields, what)                                                                   \
	{                                                                                          \
		.name = "items", .type = FIELD_OBJECT, .flags = FIELD_REQUIRED | FIELD_LIST,       \
		.fields = item_fields, .help = what                                                \
	}
#define CURSOR TEXT_OR_NULL("cursor", "where the next call goes on; null after the last item")
#define RESULT(result_fields, what)                                                                \
	{                                                                                          \
		.name = "result", .type = FIELD_OBJECT, .fields = result_fields, .help = what      \
	}

#endif
