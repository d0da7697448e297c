// SPDX-License-Identifier: Apache-2.0
/* top: views and keys. Without a terminal: a table or JSON after each interval. */
#include "cli/top.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/top_data.h"
#include "cli/top_screen.h"

#define COLUMNS 16
/* Lines from which on there is room for the summary, heads and keys. */
#define LOW 5
#define FILTER_MAX 64
#define INTERVAL_MAX_S 3600
/* A second look soon after the first: only then there are rates. */
#define FIRST_MS 500
#define REVERSE "\033[7m"
#define RED "\033[31m"

static const struct field_value view_names[] = {
	{"ports", "packets and bits a second of each port"},
	{"flows", "the busiest flows"},
	{"vpcs", "the sums of each VPC's ports"},
	{"drops", "what is dropped, and why"},
	{"nodes", "load, sessions, tunnels of each node"},
	{},
};

const struct field top_args[] = {
	{.name = "view",
		.type = FIELD_ENUM,
		.values = view_names,
		.help = "what to begin with; when omitted: ports"},
	{},
};

const struct field top_flags[] = {
	{.name = "interval",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = INTERVAL_MAX_S,
		.def = "2",
		.unit = "seconds",
		.help = "between two looks"},
	{.name = "sort",
		.type = FIELD_STRING,
		.max = 32,
		.help = "the column to sort by, as its head says or as JSON names it",
		.example = "\"drops_pps\""},
	{.name = "reverse", .type = FIELD_BOOLEAN, .def = "false", .help = "the least first"},
	{.name = "filter",
		.type = FIELD_STRING,
		.max = FILTER_MAX - 1,
		.help = "only rows in which this text occurs",
		.example = "\"web\""},
	{.name = "iterations",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 1000000,
		.help = "end after so many looks; without a terminal: 1"},
	{},
};

struct top {
	struct cli *cli;
	struct top_data *data;
	const struct top_view *view;
	const struct top_column *sort;
	bool ascending;
	char filter[FILTER_MAX];
	bool typing; /* the filter */
	bool help, paused, unanswered;
	size_t first; /* row shown at the top */
	int interval_s;
	json_t *rows; /* of the last look; NULL: none yet */
	char *summary;
};

/* ---- Choosing ---- */

static const struct top_view *view_find(const char *name)
{
	for (size_t i = 0; name && i < TOP_VIEWS; i++)
		if (!strcmp(top_views[i].name, name))
			return &top_views[i];
	return NULL;
}

/* By key or head. */
static const struct top_column *column_find(const struct top_view *view, const char *name)
{
	for (const struct top_column *c = view->columns; name && c->key; c++)
		if (!strcasecmp(c->key, name) || !strcasecmp(c->head, name))
			return c;
	return NULL;
}

static void choose_view(struct top *top, const struct top_view *view)
{
	top->view = view;
	top->sort = column_find(view, view->sorted_by);
	top->ascending = false;
	top->first = 0;
	json_decref(top->rows);
	top->rows = NULL;
}

static void choose_next(struct top *top, int step)
{
	const struct top_column *columns = top->view->columns;
	long count = 0, at = top->sort - columns;

	while (columns[count].key)
		count++;
	top->sort = &columns[(at + step + count) % count];
}

static void look(struct top *top)
{
	char *summary;
	json_t *rows = top_look(top->data, top->view, &summary);

	top->unanswered = !rows;
	if (!rows)
		return;
	json_decref(top->rows);
	free(top->summary);
	top->rows = rows;
	top->summary = summary;
}

/* ---- One page ---- */

struct grid {
	const struct top_column *columns[COLUMNS];
	size_t widths[COLUMNS];
	size_t count;
	char **cells; /* by row and column */
	size_t rows;
};

static size_t grid_width(const struct grid *g)
{
	size_t width = 0;

	for (size_t c = 0; c < g->count; c++)
		width += g->widths[c] + (c ? 2 : 0);
	return width;
}

static void grid_take_out(struct grid *g, size_t at)
{
	for (size_t r = 0; r < g->rows; r++)
		free(g->cells[r * COLUMNS + at]);
	for (size_t c = at; c + 1 < g->count; c++) {
		g->columns[c] = g->columns[c + 1];
		g->widths[c] = g->widths[c + 1];
		for (size_t r = 0; r < g->rows; r++)
			g->cells[r * COLUMNS + c] = g->cells[r * COLUMNS + c + 1];
	}
	g->count--;
}

/* Cuts the widest column again and again, but none below `least`. */
static void grid_cut(struct grid *g, size_t least, size_t width)
{
	while (grid_width(g) > width) {
		size_t widest = 0;

		for (size_t c = 1; c < g->count; c++)
			if (g->widths[c] > g->widths[widest])
				widest = c;
		if (g->widths[widest] <= least)
			break;
		g->widths[widest]--;
	}
}

/* Columns that matter less go first, the last of them first; then long texts are cut; then others go but the first. */
static void grid_fit(struct grid *g, const struct top_column *sort, size_t width)
{
	for (size_t c = g->count; c-- > 0 && grid_width(g) > width;)
		if (g->columns[c]->dropped_first && g->columns[c] != sort)
			grid_take_out(g, c);
	grid_cut(g, 14, width);
	for (size_t c = g->count; c-- > 1 && grid_width(g) > width;)
		if (g->columns[c] != sort)
			grid_take_out(g, c);
	grid_cut(g, 4, width);
}

static struct grid grid_make(const struct top *top, const json_t *rows, size_t count, size_t width)
{
	const struct top_view *view = top->view;
	struct grid g = {.rows = 0};
	json_t *row;

	while (view->columns[g.count].key && g.count < COLUMNS) {
		g.columns[g.count] = &view->columns[g.count];
		g.widths[g.count] = strlen(view->columns[g.count].head) +
				    (&view->columns[g.count] == top->sort); /* its mark */
		g.count++;
	}
	g.cells = must(calloc((count + 1) * COLUMNS, sizeof(char *)));
	for (size_t r = 0; r < count && (row = json_array_get(rows, top->first + r)); r++, g.rows++)
		for (size_t c = 0; c < g.count; c++) {
			char *text = top_cell(g.columns[c], row);

			g.cells[r * COLUMNS + c] = text;
			if (text_width(text) > g.widths[c])
				g.widths[c] = text_width(text);
		}
	grid_fit(&g, top->sort, width);
	return g;
}

static void grid_free(struct grid *g)
{
	for (size_t r = 0; r < g->rows; r++)
		for (size_t c = 0; c < g->count; c++)
			free(g->cells[r * COLUMNS + c]);
	free(g->cells);
}

/* A text in so many columns; too long ones end in ~. */
static void put_cell(FILE *out, const char *text, size_t width, bool right)
{
	size_t own = text_width(text), length = strlen(text);

	if (own > width) {
		while (length > 0 && own >= width) {
			do
				length--;
			while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80);
			own--;
		}
		fprintf(out, "%.*s~", (int)length, text);
		return;
	}
	fprintf(out, "%*s%s%*s", right ? (int)(width - own) : 0, "", text,
		right ? 0 : (int)(width - own), "");
}

static bool is_number(const struct top_column *column)
{
	return column->form != TOP_TEXT;
}

static void put_head(FILE *out, const struct top *top, const struct grid *g, size_t width)
{
	const bool color = top->cli->options.color;
	size_t used = grid_width(g);

	fputs(color ? REVERSE : "", out);
	for (size_t c = 0; c < g->count; c++) {
		char *head = text_printf("%s%s", g->columns[c]->head,
			g->columns[c] != top->sort ? ""
			: top->ascending           ? "^"
						   : "v");

		fputs(c ? "  " : "", out);
		put_cell(out, head, g->widths[c], is_number(g->columns[c]));
		free(head);
	}
	fprintf(out, "%*s%s\n", color && used < width ? (int)(width - used) : 0, "",
		color ? COLOR_OFF : "");
}

static void put_rows(FILE *out, const struct top *top, const struct grid *g)
{
	for (size_t r = 0; r < g->rows; r++) {
		for (size_t c = 0; c < g->count; c++) {
			const char *text = g->cells[r * COLUMNS + c];
			const char *color = top->cli->options.color && !is_number(g->columns[c])
						    ? color_of(text)
						    : "";

			fprintf(out, "%s%s", c ? "  " : "", color);
			put_cell(out, text, g->widths[c], is_number(g->columns[c]));
			fputs(*color ? COLOR_OFF : "", out);
		}
		fputc('\n', out);
	}
}

/* One line, cut to the width. */
static void put_line(FILE *out, const char *text, size_t width)
{
	const size_t own = text_width(text);

	put_cell(out, text, own < width ? own : width, false);
	fputc('\n', out);
}

static void put_title(FILE *out, const struct top *top, size_t shown, size_t width)
{
	const time_t now = time(NULL);
	char when[16], *line;
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	line = text_printf("vpcctl top: %s  %s%s  every %d s  %zu of %zu%s%s%s", top->view->name,
		when, top->paused ? " PAUSED" : "", top->interval_s, shown,
		json_array_size(top->rows), *top->filter || top->typing ? "  filter: " : "",
		top->filter, top->typing ? "_" : "");
	put_line(out, line, width);
	free(line);
}

static void put_summary(FILE *out, const struct top *top, size_t width)
{
	if (top->unanswered) {
		fputs(top->cli->options.color ? RED : "", out);
		put_line(out, "the controller does not answer", width);
		fputs(top->cli->options.color ? COLOR_OFF : "", out);
	} else {
		put_line(out, top->summary ? top->summary : "", width);
	}
}

static const char help_text[] =
	"p f v d n    ports, flows, VPCs, drops, nodes (or 1 to 5; Tab: the next)\n"
	"< >          sort by the column to the left, to the right (also with the arrows)\n"
	"r            the other way round\n"
	"/            filter: only rows with a text; Enter ends it, Esc drops it\n"
	"+ -          look less, more often\n"
	"Space        stop, go on\n"
	"up down PgUp PgDn Home End    the rows\n"
	"q            end\n";

static const char keys_text[] =
	"q end  p f v d n view  < > sort  r reverse  / filter  + - interval  ? help";

static void put_help(FILE *out, size_t lines)
{
	const char *line = help_text;

	for (; *line && lines > 0; lines--) {
		const size_t length = strcspn(line, "\n");

		fprintf(out, "%.*s\n", (int)length, line);
		line += length + 1;
	}
}

/* Lines for rows: a very low terminal has none for anything but them and the title. */
static size_t body_lines(size_t height)
{
	return height >= LOW ? height - 4 : height > 1 ? height - 1 : 1;
}

static void put_body(
	FILE *out, const struct top *top, const json_t *sorted, size_t width, size_t height)
{
	const size_t body = body_lines(height);
	struct grid g = grid_make(top, sorted, body, width);

	if (height >= LOW)
		put_head(out, top, &g, width);
	put_rows(out, top, &g);
	for (size_t r = g.rows; r < body; r++)
		fputc('\n', out);
	grid_free(&g);
	if (height >= LOW)
		put_line(out, keys_text, width);
}

static void draw(struct top *top)
{
	size_t width, height, size, body, count;
	char *page = NULL;
	FILE *out = must(open_memstream(&page, &size));
	json_t *sorted =
		top_sort(top->view, top->rows, top->filter, top->sort->key, top->ascending);

	screen_size(&width, &height);
	body = body_lines(height);
	count = json_array_size(sorted);
	if (top->first + body > count)
		top->first = count > body ? count - body : 0;
	put_title(out, top, count, width);
	if (height >= LOW || top->unanswered)
		put_summary(out, top, width);
	if (top->help)
		put_help(out, height > 3 ? height - 3 : 0);
	else
		put_body(out, top, sorted, width, height);
	fclose(out);
	screen_draw(must(page), height);
	free(page);
	json_decref(sorted);
}

/* ---- Keys ---- */

static void type(struct top *top, int key)
{
	size_t length = strlen(top->filter);

	if (key == '\n' || key == '\r')
		top->typing = false;
	else if (key == KEY_ESCAPE)
		top->typing = false, top->filter[0] = '\0';
	else if ((key == 127 || key == 8) && length > 0)
		top->filter[length - 1] = '\0';
	else if (key < 127 && isprint(key) && length + 1 < sizeof(top->filter))
		top->filter[length] = (char)key, top->filter[length + 1] = '\0';
}

/* False: the end. True in *again: there is something new to look at. */
static bool press(struct top *top, int key, bool *again)
{
	const size_t index = (size_t)(top->view - top_views);
	size_t width, height;

	screen_size(&width, &height);
	height = body_lines(height);
	if (top->typing) {
		type(top, key);
		return key != KEY_ENDED;
	}
	for (size_t i = 0; i < TOP_VIEWS; i++)
		if (key == top_views[i].letter || key == '1' + (int)i ||
			(key == '\t' && i == (index + 1) % TOP_VIEWS)) {
			choose_view(top, &top_views[i]);
			top->help = false;
			*again = true;
			return true;
		}
	if (key != KEY_NONE)
		top->help = key == '?' || key == 'h' ? !top->help : false;
	switch (key) {
	case 'q':
	case KEY_ENDED:
		return false;
	case '<':
	case KEY_LEFT:
		choose_next(top, -1);
		break;
	case '>':
	case KEY_RIGHT:
		choose_next(top, 1);
		break;
	case 'r':
		top->ascending = !top->ascending;
		break;
	case '/':
		top->typing = true;
		break;
	case KEY_ESCAPE:
		top->filter[0] = '\0';
		break;
	case '+':
		top->interval_s += top->interval_s < INTERVAL_MAX_S;
		break;
	case '-':
		top->interval_s -= top->interval_s > 1;
		break;
	case ' ':
		top->paused = !top->paused;
		break;
	case KEY_UP:
		top->first -= top->first > 0;
		break;
	case KEY_DOWN:
		top->first++;
		break;
	case KEY_PAGE_UP:
		top->first = top->first > height ? top->first - height : 0;
		break;
	case KEY_PAGE_DOWN:
		top->first += height;
		break;
	case KEY_HOME:
		top->first = 0;
		break;
	case KEY_END:
		top->first = json_array_size(top->rows);
		break;
	default:
		break;
	}
	return true;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int run_screen(struct top *top, json_int_t iterations)
{
	int64_t next = now_ms() + FIRST_MS;
	json_int_t looks = 1;

	for (;;) {
		int64_t left = next - now_ms();
		bool again = false;

		draw(top);
		if (iterations > 0 && looks >= iterations)
			break;
		if (!press(top, screen_key(left > 0 ? (int)left : 0), &again))
			break;
		if (again)
			next = now_ms() + FIRST_MS;
		else if (now_ms() < next)
			continue;
		else
			next = now_ms() + 1000 * (int64_t)top->interval_s;
		if (top->paused && !again)
			continue;
		look(top);
		looks++;
	}
	screen_close();
	return CLI_OK;
}

/* ---- Without a terminal ---- */

static void print_json(const struct top *top, const json_t *rows)
{
	json_t *page = json_pack("{s:s, s:s?, s:O}", "view", top->view->name, "summary",
		top->summary, "items", rows);

	output_json(NULL, page, top->cli->options.format == FORMAT_JSON);
	json_decref(page);
}

static void print_table(const struct top *top, const json_t *rows)
{
	struct table *table = table_new(top->cli->options.color);
	json_t *row;
	size_t i;

	for (const struct top_column *c = top->view->columns; c->key; c++)
		table_column(table, c->head, is_number(c));
	json_array_foreach ((json_t *)rows, i, row)
		for (const struct top_column *c = top->view->columns; c->key; c++) {
			char *text = top_cell(c, row);

			table_cell(table, text);
			free(text);
		}
	printf("%s\n", top->summary);
	table_print(table, false);
	table_free(table);
}

static void print_page(const struct top *top)
{
	json_t *sorted =
		top_sort(top->view, top->rows, top->filter, top->sort->key, top->ascending);

	switch (top->cli->options.format) {
	case FORMAT_JSON:
		print_json(top, sorted);
		break;
	case FORMAT_YAML:
		puts("---");
		output_yaml(NULL, sorted);
		break;
	default:
		print_table(top, sorted);
	}
	fflush(stdout);
	json_decref(sorted);
}

static int run_plain(struct top *top, json_int_t iterations)
{
	for (json_int_t i = 0; i < iterations; i++) {
		sleep((unsigned)top->interval_s);
		look(top);
		if (top->unanswered)
			return cli_fail(CLI_NO_SERVER, "the controller does not answer any more");
		if (i > 0 && top->cli->options.format <= FORMAT_WIDE)
			putchar('\n');
		print_page(top);
		if (ferror(stdout))
			break;
	}
	return CLI_OK;
}

/* ---- The command ---- */

static int begin(struct top *top, const json_t *params)
{
	const char *sort = resource_text(params, "sort"), *view = resource_text(params, "view");
	const char *filter = resource_text(params, "filter");

	if (view && !view_find(view))
		return cli_fail(CLI_USAGE,
			"top has no view %s; there are ports, flows, vpcs, drops and nodes", view);
	choose_view(top, view ? view_find(view) : &top_views[0]);
	top->interval_s = (int)resource_integer(params, "interval", 2);
	if (sort && !column_find(top->view, sort))
		return cli_fail(CLI_USAGE, "top %s has no column %s", top->view->name, sort);
	if (sort)
		top->sort = column_find(top->view, sort);
	top->ascending = resource_boolean(params, "reverse", false);
	snprintf(top->filter, sizeof(top->filter), "%s", filter ? filter : "");
	return CLI_OK;
}

int top_run(struct cli *cli, const struct command *command, json_t *params)
{
	struct top top = {.cli = cli};
	json_int_t iterations = resource_integer(params, "iterations", 0);
	json_t *status_now = NULL;
	int status;

	(void)command;
	status = begin(&top, params);
	if (status == CLI_OK) /* who cannot be reached at all is told so as ever */
		status = client_call(cli, "status", NULL, &status_now);
	json_decref(status_now);
	if (status != CLI_OK)
		return status;
	top.data = top_data_new(cli);
	look(&top);
	if (!cli->options.format_given && screen_open())
		status = run_screen(&top, iterations);
	else
		status = run_plain(&top, iterations > 0 ? iterations : 1);
	json_decref(top.rows);
	free(top.summary);
	top_data_free(top.data);
	return status;
}
