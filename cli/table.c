// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

#define GAP 2

struct column {
	char *head;
	size_t width;
	bool number;
	bool used; /* some row has a value in it */
};

struct table {
	struct column *columns;
	size_t column_count;
	char **cells; /* row by row */
	size_t cell_count;
	bool color;
};

struct table *table_new(bool color)
{
	struct table *table = must(calloc(1, sizeof(*table)));

	table->color = color;
	return table;
}

void table_column(struct table *table, const char *head, bool number)
{
	struct column *column;

	table->columns =
		must(realloc(table->columns, (table->column_count + 1) * sizeof(*table->columns)));
	column = &table->columns[table->column_count++];
	*column = (struct column){.head = must(strdup(head)), .number = number};
	for (char *c = column->head; *c; c++)
		*c = *c == '_' ? '-' : (char)toupper((unsigned char)*c);
	column->width = text_width(column->head);
}

void table_cell(struct table *table, const char *text)
{
	struct column *column = &table->columns[table->cell_count % table->column_count];
	size_t width = text_width(text);

	if (!(table->cell_count & (table->cell_count - 1)))
		table->cells = must(realloc(table->cells,
			(table->cell_count ? 2 * table->cell_count : 1) * sizeof(*table->cells)));
	table->cells[table->cell_count++] = must(strdup(text));
	if (width > column->width)
		column->width = width;
	column->used = column->used || strcmp(text, "-");
}

static void print_cell(const struct table *table, const struct column *column, const char *text,
	const char *color, bool last)
{
	size_t pad = column->width - text_width(text);
	bool colored = table->color && *color;

	if (column->number)
		printf("%*s", (int)pad, "");
	printf("%s%s%s", colored ? color : "", text, colored ? COLOR_OFF : "");
	if (!last)
		printf("%*s", (int)(column->number ? GAP : pad + GAP), "");
}

static void print_row(const struct table *table, char *const *cells, bool leave_out_empty)
{
	size_t last = 0;

	for (size_t i = 0; i < table->column_count; i++)
		if (table->columns[i].used || !leave_out_empty)
			last = i;
	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];

		if (column->used || !leave_out_empty)
			print_cell(table, column, cells ? cells[i] : column->head,
				cells ? color_of(cells[i]) : COLOR_BOLD, i == last);
	}
	putchar('\n');
}

void table_print(const struct table *table, bool leave_out_empty)
{
	print_row(table, NULL, leave_out_empty);
	for (size_t i = 0; i < table->cell_count; i += table->column_count)
		print_row(table, &table->cells[i], leave_out_empty);
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i].head);
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->columns);
	free(table->cells);
	free(table);
}

/* ---- Tables of described items ---- */

/* Is there any field that wants a column? */
static bool says_columns(const struct field *fields)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		if (field->column || (field->type == FIELD_OBJECT && says_columns(field->fields)))
			return true;
	}
	return false;
}

/* Which fields are shown. */
struct choice {
	bool all; /* no field says */
	bool wide;
};

static bool is_shown(const struct choice *choice, const struct field *field)
{
	if (choice->all)
		return field->type != FIELD_OBJECT || field->flags & FIELD_LIST;
	return field->column == COLUMN_TABLE || (choice->wide && field->column == COLUMN_WIDE);
}

static void add_columns(
	struct table *table, const struct choice *choice, const struct field *fields)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		bool number = field->type == FIELD_INTEGER || field->type == FIELD_NUMBER;

		if (is_shown(choice, field))
			table_column(table, field->name, number && !(field->flags & FIELD_LIST));
		else if (field->type == FIELD_OBJECT && !(field->flags & FIELD_LIST))
			add_columns(table, choice, field->fields);
	}
}

static void add_cells(struct table *table, const struct choice *choice, const struct field *fields,
	const json_t *item)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		const json_t *value = json_object_get(item, field->name);

		if (is_shown(choice, field)) {
			char *text = cell_text(field, value);

			table_cell(table, text);
			free(text);
		} else if (field->type == FIELD_OBJECT && !(field->flags & FIELD_LIST)) {
			add_cells(table, choice, field->fields, value);
		}
	}
}

void table_items(const struct field *fields, const json_t *items, bool wide, bool color)
{
	const struct choice choice = {.all = !says_columns(fields), .wide = wide};
	struct table *table = table_new(color);
	json_t *item;
	size_t index;

	add_columns(table, &choice, fields);
	json_array_foreach ((json_t *)items, index, item) {
		add_cells(table, &choice, fields, item);
	}
	table_print(table, choice.all && !wide);
	table_free(table);
}
