// SPDX-License-Identifier: Apache-2.0
/* plot: looks at a counter at intervals, and draws its rate. */
#include "cli/plot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/text.h"

#define SAMPLES_MAX 600
#define WIDTH 640
#define HEIGHT 160

static const struct field_value counters[] = {
	{"rx_packets", "packets that ports sent, a second"},
	{"rx_bytes", "bytes that ports sent, a second"},
	{"tx_packets", "packets that ports were given, a second"},
	{"tx_bytes", "bytes that ports were given, a second"},
	{"drops", "packets from or to ports that were dropped, a second"},
	{},
};

const struct field plot_args[] = {
	{.name = "counter",
		.type = FIELD_ENUM,
		.values = counters,
		.flags = FIELD_REQUIRED,
		.help = "what to draw"},
	{},
};

const struct field plot_flags[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.help = "of this port; when omitted: the sum of all"},
	{.name = "interval",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = 3600,
		.def = "1",
		.unit = "seconds",
		.help = "between two looks"},
	{.name = "samples",
		.type = FIELD_INTEGER,
		.min = 1,
		.max = SAMPLES_MAX,
		.def = "30",
		.help = "how many rates"},
	{.name = "svg", .type = FIELD_STRING, .max = 4096, .help = "also draw into this file"},
	{},
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double counter_of(const json_t *port, const char *counter)
{
	const json_t *counters_now = json_object_get(json_object_get(port, "status"), "counters");

	return json_number_value(json_object_get(counters_now, counter));
}

/* The counter now, of one port or of all. */
static int look(struct cli *cli, const char *counter, const char *port, double *value)
{
	json_t *result = NULL, *one;
	const char *cursor = NULL;
	size_t i;
	int status;

	*value = 0;
	if (port) {
		status = client_call(cli, "port.get", json_pack("{s:s}", "name", port), &result);
		if (status == CLI_OK)
			*value = counter_of(result, counter);
		json_decref(result);
		return status;
	}
	do {
		json_t *params = json_pack("{s:i, s:s*}", "limit", 1000, "cursor", cursor);
		json_t *page = NULL;

		status = client_call(cli, "port.list", params, &page);
		json_decref(result);
		result = page;
		if (status != CLI_OK)
			break;
		json_array_foreach (json_object_get(page, "items"), i, one)
			*value += counter_of(one, counter);
		cursor = resource_text(page, "cursor");
	} while (cursor);
	json_decref(result);
	return status;
}

static double most_of(const double *rates, size_t n)
{
	double most = 0;

	for (size_t i = 0; i < n; i++)
		most = rates[i] > most ? rates[i] : most;
	return most;
}

/* One of eight heights each. */
static void print_bars(const double *rates, size_t n)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const double most = most_of(rates, n);

	for (size_t i = 0; i < n; i++)
		fputs(bars[most > 0 ? (size_t)(rates[i] / most * 7 + 0.5) : 0], stdout);
	putchar('\n');
}

static int write_svg(const char *path, const char *counter, const char *port, const double *rates,
	size_t n, int interval_s)
{
	const double most = most_of(rates, n), scale = most > 0 ? (HEIGHT - 40) / most : 0;
	FILE *out = fopen(path, "w");

	if (!out)
		return cli_fail(CLI_USAGE, "%s: cannot be written", path);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<text x=\"10\" y=\"16\">%s of %s, a second; most %.0f; %zu times %d s</text>\n"
		"<polyline fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\" points=\"",
		WIDTH, HEIGHT, counter, port ? port : "all ports", most, n, interval_s);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%.1f,%.1f", i ? " " : "",
			10 + (WIDTH - 20) * (double)i / (double)(n > 1 ? n - 1 : 1),
			HEIGHT - 10 - rates[i] * scale);
	fputs("\"/>\n</svg>\n", out);
	return fclose(out) == 0 ? CLI_OK : cli_fail(CLI_USAGE, "%s: cannot be written", path);
}

static int measure(struct cli *cli, const json_t *params, double *rates, size_t n)
{
	const char *counter = resource_text(params, "counter"),
		   *port = resource_text(params, "port");
	const unsigned interval = (unsigned)resource_integer(params, "interval", 1);
	double before, value, then = now_s(), now;
	int status = look(cli, counter, port, &before);

	for (size_t i = 0; status == CLI_OK && i < n; i++) {
		sleep(interval);
		status = look(cli, counter, port, &value);
		now = now_s();
		/* A counter that begins anew has no rate. */
		rates[i] = value > before ? (value - before) / (now - then) : 0;
		before = value;
		then = now;
	}
	return status;
}

static void print_json(const struct cli *cli, const double *rates, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_real(rates[i]));
	if (cli->options.format == FORMAT_JSON) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		output_yaml(NULL, list);
	}
	json_decref(list);
}

static bool is_counter(const char *name)
{
	for (const struct field_value *c = counters; c->name; c++)
		if (!strcmp(c->name, name))
			return true;
	return false;
}

int plot_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *counter = resource_text(params, "counter"),
		   *port = resource_text(params, "port"), *svg = resource_text(params, "svg");
	const size_t n = (size_t)resource_integer(params, "samples", 30);
	double *rates;
	int status;

	(void)command;
	if (!is_counter(counter))
		return cli_fail(CLI_USAGE,
			"there is no counter %s; there are rx_packets, rx_bytes, tx_packets, "
			"tx_bytes "
			"and drops",
			counter);
	rates = must(calloc(n, sizeof(*rates)));
	status = measure(cli, params, rates, n);
	if (status == CLI_OK && cli->options.format <= FORMAT_WIDE) {
		print_bars(rates, n);
		printf("%s of %s: most %.1f a second, now %.1f\n", counter,
			port ? port : "all ports", most_of(rates, n), rates[n - 1]);
	} else if (status == CLI_OK) {
		print_json(cli, rates, n);
	}
	if (status == CLI_OK && svg)
		status = write_svg(
			svg, counter, port, rates, n, (int)resource_integer(params, "interval", 1));
	free(rates);
	return status;
}
