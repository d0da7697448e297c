// SPDX-License-Identifier: Apache-2.0
/*
 * What top shows: views, each a table of rows that are JSON objects. Rates are made of the differences of counters
 * between two looks; what is seen for the first time has none.
 */
#ifndef CLI_TOP_DATA_H
#define CLI_TOP_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

enum top_form {
	TOP_TEXT,
	TOP_COUNT, /* 12345 */
	TOP_RATE,  /* a second: 12.3k */
	TOP_BITS,  /* bits a second: 1.2G */
	TOP_SHARE, /* per cent */
	TOP_SECONDS,
};

struct top_column {      /* ends with key NULL */
	const char *key; /* of the row */
	const char *head;
	enum top_form form;
	bool dropped_first; /* goes when the terminal is narrow */
};

struct top_data;

struct top_view {
	const char *name;
	char letter;
	const char *sorted_by; /* key of a column */
	const struct top_column *columns;
	/* A new list of rows; NULL when the controller does not answer. */
	json_t *(*look)(struct top_data *data);
};

#define TOP_VIEWS 5
extern const struct top_view top_views[TOP_VIEWS];

struct top_data *top_data_new(struct cli *cli);
void top_data_free(struct top_data *data);

/* Rows of the view as of now; NULL when the controller does not answer. Also the line about all nodes, malloc()ed. */
json_t *top_look(struct top_data *data, const struct top_view *view, char **summary);

/* Rows with a text in which `filter` occurs (case does not count), sorted. New reference. */
json_t *top_sort(const struct top_view *view, const json_t *rows, const char *filter,
	const char *key, bool ascending);

/* A cell as it is shown; "-" for nothing. malloc()ed. */
char *top_cell(const struct top_column *column, const json_t *row);

#endif
