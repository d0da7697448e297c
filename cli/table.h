// SPDX-License-Identifier: Apache-2.0
/* Aligned columns on stdout. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/resource.h"

struct table;

struct table *table_new(bool color);
/* A column; numbers stand on the right. `head` is copied: "security_groups" becomes SECURITY-GROUPS. */
void table_column(struct table *table, const char *head, bool number);
/* The next cell of a row; a row is full after as many as there are columns. Copied. */
void table_cell(struct table *table, const char *text);
/* The rows, without columns that are empty in all of them if so asked for. */
void table_print(const struct table *table, bool leave_out_empty);
void table_free(struct table *table);

/*
 * A table of items by the columns of their fields (field.column); all scalars where no field says so.
 */
void table_items(const struct field *fields, const json_t *items, bool wide, bool color);

/* One value in few words, malloc()ed: "-" for nothing, lists with commas, no control characters. */
char *cell_text(const struct field *field, const json_t *value);

/* The escape sequence of a word such as "active" or "drop"; "" when it has no colour. */
const char *color_of(const char *word);
#define COLOR_BOLD "\033[1m"
#define COLOR_OFF "\033[0m"

#endif
