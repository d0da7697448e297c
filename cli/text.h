// SPDX-License-Identifier: Apache-2.0
/* Small things about words and columns. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Every command line may be written with dashes, every description has underscores. They return dst. */
char *text_dashes(const char *name, char *dst, size_t size);
char *text_underscores(const char *name, char *dst, size_t size);

/* Columns that a UTF-8 text takes on a terminal; needs text_init(). */
size_t text_width(const char *text);
/* Takes the user's locale, or C.UTF-8 when that is none of UTF-8. */
void text_init(void);

/* Prints words broken into lines of at most `width` columns, all but the first indented. */
void text_wrap(FILE *out, const char *text, size_t indent, size_t width);

/* Memory that must be there: the process ends when it is not. Takes what malloc and its like returned. */
void *must(void *memory);
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
