// SPDX-License-Identifier: Apache-2.0
/* A JSON value as a cell of a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/text.h"

/* What is in brackets, behind what is not. */
struct cell {
	FILE *out;
	size_t depth;
};

/* Text of others: nothing in it moves the cursor or breaks the line. */
static void put_text(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
}

static void put(struct cell *cell, const struct field *field, const json_t *value);

static void put_list(struct cell *cell, const struct field *field, const json_t *list)
{
	json_t *item;
	size_t index;

	json_array_foreach ((json_t *)list, index, item) {
		if (index)
			fputc(',', cell->out);
		put(cell, field, item);
	}
}

/* A union's tag and the values of what belongs to it: "tap tap-web1 web1". */
static void put_union(struct cell *cell, const struct field *field, const json_t *object)
{
	const char *name;
	json_t *member;

	put_text(cell->out,
		resource_text(object, field->tag) ? resource_text(object, field->tag) : "?");
	json_object_foreach ((json_t *)object, name, member) {
		if (!strcmp(name, field->tag) || json_is_boolean(member))
			continue;
		fputc(' ', cell->out);
		put(cell, NULL, member);
	}
}

static void put_object(struct cell *cell, const json_t *object)
{
	bool first = true;
	const char *name;
	json_t *member;

	if (cell->depth)
		fputc('{', cell->out);
	cell->depth++;
	json_object_foreach ((json_t *)object, name, member) {
		fprintf(cell->out, "%s%s=", first ? "" : ",", name);
		first = false;
		put(cell, NULL, member);
	}
	cell->depth--;
	if (cell->depth)
		fputc('}', cell->out);
}

static void put(struct cell *cell, const struct field *field, const json_t *value)
{
	if (json_is_string(value))
		put_text(cell->out, json_string_value(value));
	else if (json_is_integer(value))
		fprintf(cell->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		fprintf(cell->out, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "true" : "false", cell->out);
	else if (json_is_array(value))
		put_list(cell, field, value);
	else if (json_is_object(value) && field && field->type == FIELD_UNION)
		put_union(cell, field, value);
	else if (json_is_object(value))
		put_object(cell, value);
}

char *cell_text(const struct field *field, const json_t *value)
{
	char *text = NULL;
	size_t size;
	struct cell cell = {.out = must(open_memstream(&text, &size))};

	put(&cell, field, value);
	fclose(cell.out);
	if (!*(const char *)must(text)) {
		free(text);
		text = must(strdup("-"));
	}
	return text;
}

const char *color_of(const char *word)
{
	static const struct {
		const char *word, *color;
	} words[] = {
		{"active", "\033[32m"},
		{"connected", "\033[32m"},
		{"forward", "\033[32m"},
		{"create", "\033[32m"},
		{"up", "\033[32m"},
		{"pending", "\033[33m"},
		{"detached", "\033[33m"},
		{"warning", "\033[33m"},
		{"update", "\033[33m"},
		{"foreign", "\033[33m"},
		{"away", "\033[31m"},
		{"down", "\033[31m"},
		{"error", "\033[31m"},
		{"drop", "\033[31m"},
		{"delete", "\033[31m"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].word, word))
			return words[i].color;
	return "";
}
