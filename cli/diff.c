// SPDX-License-Identifier: Apache-2.0
#include "cli/diff.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/text.h"
#include "cli/yaml_out.h"
#include "lib/resource.h"

#define CONTEXT 3
/* Longer texts are shown as all old lines, then all new ones: the comparison is quadratic. */
#define LINES_MAX 2000

struct lines {
	char *text;
	char **line;
	size_t count;
};

static void split(struct lines *lines, const json_t *value)
{
	char *rest = lines->text = yaml_out_text(value), *line;

	while ((line = strsep(&rest, "\n")) && (*line || rest)) {
		lines->line = must(realloc(lines->line, (lines->count + 1) * sizeof(*lines->line)));
		lines->line[lines->count++] = line;
	}
}

static void lines_free(struct lines *lines)
{
	free(lines->text);
	free(lines->line);
}

static void print_line(char mark, const char *line, bool color)
{
	const char *start = !color ? "" : mark == '-' ? "\033[31m" : mark == '+' ? "\033[32m" : "";

	printf("%s%c%s%s\n", start, mark, line, *start ? COLOR_OFF : "");
}

/* Lengths of the longest common subsequences of what follows line i of a and line j of b. */
static unsigned short *common(const struct lines *a, const struct lines *b)
{
	const size_t width = b->count + 1;
	unsigned short *length = must(calloc((a->count + 1) * width, sizeof(*length)));

	for (size_t i = a->count; i-- > 0;)
		for (size_t j = b->count; j-- > 0;) {
			unsigned short down = length[(i + 1) * width + j];
			unsigned short right = length[i * width + j + 1];

			length[i * width + j] =
				!strcmp(a->line[i], b->line[j])
					? (unsigned short)(length[(i + 1) * width + j + 1] + 1)
				: down >= right ? down
						: right;
		}
	return length;
}

/* One line of the result. */
struct edit {
	char mark;
	const char *line;
};

static size_t compare(const struct lines *a, const struct lines *b, struct edit *edits)
{
	const bool whole = a->count > LINES_MAX || b->count > LINES_MAX;
	unsigned short *length = whole ? NULL : common(a, b);
	const size_t width = b->count + 1;
	size_t i = 0, j = 0, n = 0;

	while (i < a->count || j < b->count) {
		if (!whole && i < a->count && j < b->count && !strcmp(a->line[i], b->line[j])) {
			edits[n++] = (struct edit){' ', a->line[i++]};
			j++;
		} else if (i < a->count &&
			   (whole || j == b->count ||
				   length[(i + 1) * width + j] >= length[i * width + j + 1])) {
			edits[n++] = (struct edit){'-', a->line[i++]};
		} else {
			edits[n++] = (struct edit){'+', b->line[j++]};
		}
	}
	free(length);
	return n;
}

/* Is there a change within CONTEXT lines of this one? */
static bool is_near(const struct edit *edits, size_t count, size_t at)
{
	size_t from = at > CONTEXT ? at - CONTEXT : 0;

	for (size_t i = from; i < count && i <= at + CONTEXT; i++)
		if (edits[i].mark != ' ')
			return true;
	return false;
}

/* The last line before that begins a field: whose lines these are. */
static const char *section(const struct edit *edits, size_t at)
{
	while (at-- > 0)
		if (isalpha((unsigned char)*edits[at].line))
			return edits[at].line;
	return "";
}

static void print_change(const json_t *old, const json_t *new, bool color)
{
	struct lines a = {0}, b = {0};
	struct edit *edits;
	bool gap = false;
	size_t count;

	if (json_object_size(old))
		split(&a, old);
	if (json_object_size(new))
		split(&b, new);
	edits = must(calloc(a.count + b.count + 1, sizeof(*edits)));
	count = compare(&a, &b, edits);
	for (size_t i = 0; i < count; i++) {
		bool shown = is_near(edits, count, i);

		if (shown && gap)
			printf("@@ %s\n", section(edits, i));
		gap = !shown;
		if (shown)
			print_line(edits[i].mark, edits[i].line, color);
	}
	free(edits);
	lines_free(&a);
	lines_free(&b);
}

static void print_head(const json_t *change, bool color)
{
	const char *op = resource_text(change, "op");
	const char *kind = resource_text(change, "kind"), *name = resource_text(change, "name");
	const char *bold = color ? COLOR_BOLD : "", *off = color ? COLOR_OFF : "";

	if (!strcmp(op, "create"))
		printf("%s--- /dev/null%s\n", bold, off);
	else
		printf("%s--- %s/%s%s\n", bold, kind, name, off);
	if (!strcmp(op, "delete"))
		printf("%s+++ /dev/null%s\n", bold, off);
	else
		printf("%s+++ %s/%s%s\n", bold, kind, name, off);
}

void diff_print(const json_t *changes, bool color)
{
	json_t *change, *pair;
	const char *field;
	size_t index;

	json_array_foreach ((json_t *)changes, index, change) {
		json_t *old = json_object(), *new = json_object();

		json_object_foreach (json_object_get(change, "diff"), field, pair) {
			if (!json_is_null(json_array_get(pair, 0)))
				json_object_set(old, field, json_array_get(pair, 0));
			if (!json_is_null(json_array_get(pair, 1)))
				json_object_set(new, field, json_array_get(pair, 1));
		}
		print_head(change, color);
		print_change(old, new, color);
		json_decref(old);
		json_decref(new);
	}
}
