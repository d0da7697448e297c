// SPDX-License-Identifier: Apache-2.0
#include "cli/top_data.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/table.h"
#include "cli/text.h"
#include "lib/resource.h"

#define TIMEOUT_MS 5000
/* Ports a call: between the pages the controller serves others. */
#define PAGE 500
/* An older look says nothing about now. */
#define OLD_S 60.0

struct top_data {
	struct cli *cli;
	json_t *before; /* what is counted → {"at": seconds, counters} */
	json_t *vpcs;   /* subnet → VPC */
	json_t *nodes;  /* names of those that are connected */
	double now;
};

static double clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct top_data *top_data_new(struct cli *cli)
{
	struct top_data *data = must(calloc(1, sizeof(*data)));

	data->cli = cli;
	data->before = json_object();
	data->vpcs = json_object();
	data->nodes = json_array();
	return data;
}

void top_data_free(struct top_data *data)
{
	json_decref(data->before);
	json_decref(data->vpcs);
	json_decref(data->nodes);
	free(data);
}

/* ---- Asking ---- */

/* NULL when there is no answer; the next call connects anew. */
static json_t *ask(struct top_data *data, const char *method, json_t *params)
{
	json_t *result = client_quietly(data->cli, method, params, TIMEOUT_MS);

	if (!result) {
		client_free(data->cli->client);
		data->cli->client = NULL;
	}
	return result;
}

/* All pages; with `node` only of that node. */
static json_t *ask_list(struct top_data *data, const char *method, const char *node)
{
	json_t *items = json_array(), *cursor = NULL, *result;

	do {
		json_t *params = json_pack("{s:i}", "limit", PAGE);

		if (node)
			json_object_set_new(params, "node", json_string(node));
		if (cursor)
			json_object_set_new(params, "cursor", cursor);
		result = ask(data, method, params);
		if (!result) {
			json_decref(items);
			return NULL;
		}
		json_array_extend(items, json_object_get(result, "items"));
		cursor = json_object_get(result, "cursor");
		cursor = json_is_string(cursor) ? json_incref(cursor) : NULL;
		json_decref(result);
	} while (cursor);
	return items;
}

static json_t *ask_items(struct top_data *data, const char *method, json_t *params)
{
	json_t *result = ask(data, method, params);
	json_t *items = json_incref(json_object_get(result, "items"));

	json_decref(result);
	return items;
}

/* ---- Rates ---- */

/*
 * Sets row[rate] to what the counter has risen by a second since the last look; leaves it absent when
 * that is not known. `what` tells the counter from all others.
 */
static void set_rate(
	struct top_data *data, json_t *row, const char *rate, const char *what, double counter)
{
	char *key = text_printf("%s %s", what, rate);
	const json_t *last = json_object_get(data->before, key);
	const double then = json_number_value(json_object_get(last, "at"));
	const double was = json_number_value(json_object_get(last, "counter"));

	if (last && data->now > then && data->now - then < OLD_S && counter >= was)
		json_object_set_new(row, rate, json_real((counter - was) / (data->now - then)));
	json_object_set_new(
		data->before, key, json_pack("{s:f, s:f}", "at", data->now, "counter", counter));
	free(key);
}

/* What is not there any more need not be remembered. */
static void forget_old(struct top_data *data)
{
	const char *key;
	json_t *last;
	void *next;

	json_object_foreach_safe (data->before, next, key, last)
		if (data->now - json_number_value(json_object_get(last, "at")) > OLD_S)
			json_object_del(data->before, key);
}

static double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void copy(json_t *row, const char *key, const json_t *from)
{
	json_t *value = json_object_get(from, key);

	if (value && !json_is_null(value))
		json_object_set(row, key, value);
}

static void add(json_t *row, const char *key, const json_t *from)
{
	if (json_object_get(from, key))
		json_object_set_new(
			row, key, json_real(number_of(row, key) + number_of(from, key)));
}

/* ---- Ports ---- */

static const struct top_column port_columns[] = {
	{"port", "PORT", TOP_TEXT, false},
	{"node", "NODE", TOP_TEXT, true},
	{"vpc", "VPC", TOP_TEXT, true},
	{"state", "STATE", TOP_TEXT, true},
	{"sent_pps", "SENT/s", TOP_RATE, false},
	{"sent_bps", "SENT b/s", TOP_BITS, false},
	{"given_pps", "GIVEN/s", TOP_RATE, false},
	{"given_bps", "GIVEN b/s", TOP_BITS, false},
	{"drops_pps", "DROPS/s", TOP_RATE, false},
	{"total_bps", "BOTH b/s", TOP_BITS, true},
	{},
};

static json_t *port_row(struct top_data *data, const json_t *port)
{
	const json_t *status = json_object_get(port, "status");
	const json_t *c = json_object_get(status, "counters");
	char *what = text_printf("port %s", resource_text(port, "name"));
	json_t *row = json_object();

	json_object_set(row, "port", json_object_get(port, "name"));
	copy(row, "node", port);
	copy(row, "state", status);
	json_object_set(row, "vpc", json_object_get(data->vpcs, resource_text(port, "subnet")));
	set_rate(data, row, "sent_pps", what, number_of(c, "rx_packets"));
	set_rate(data, row, "sent_bps", what, 8 * number_of(c, "rx_bytes"));
	set_rate(data, row, "given_pps", what, number_of(c, "tx_packets"));
	set_rate(data, row, "given_bps", what, 8 * number_of(c, "tx_bytes"));
	set_rate(data, row, "drops_pps", what, number_of(c, "drops"));
	set_rate(data, row, "total_bps", what,
		8 * (number_of(c, "rx_bytes") + number_of(c, "tx_bytes")));
	free(what);
	return row;
}

/* Which VPC a subnet is in never changes: asked for only when there is a new one. */
static void learn_subnets(struct top_data *data, const json_t *ports)
{
	json_t *port, *subnets = NULL, *subnet;
	size_t i;

	json_array_foreach ((json_t *)ports, i, port)
		if (!json_object_get(data->vpcs, resource_text(port, "subnet")))
			break;
	if (i == json_array_size(ports))
		return;
	subnets = ask_list(data, "subnet.list", NULL);
	json_array_foreach (subnets, i, subnet)
		json_object_set(
			data->vpcs, resource_text(subnet, "name"), json_object_get(subnet, "vpc"));
	json_decref(subnets);
}

/* Of the nodes that can tell: ports of VTEPs that others run may be many more. */
static json_t *ask_ports(struct top_data *data)
{
	json_t *ports = json_array(), *name, *some;
	size_t i;

	json_array_foreach (data->nodes, i, name) {
		some = ask_list(data, "port.list", json_string_value(name));
		if (!some) {
			json_decref(ports);
			return NULL;
		}
		json_array_extend(ports, some);
		json_decref(some);
	}
	return ports;
}

static json_t *look_ports(struct top_data *data)
{
	json_t *ports = ask_ports(data), *rows, *port;
	size_t i;

	if (!ports)
		return NULL;
	learn_subnets(data, ports);
	rows = json_array();
	json_array_foreach (ports, i, port)
		json_array_append_new(rows, port_row(data, port));
	json_decref(ports);
	return rows;
}

/* ---- VPCs: the sums of their ports ---- */

static const struct top_column vpc_columns[] = {
	{"vpc", "VPC", TOP_TEXT, false},
	{"ports", "PORTS", TOP_COUNT, false},
	{"active", "ACTIVE", TOP_COUNT, true},
	{"sent_pps", "SENT/s", TOP_RATE, false},
	{"sent_bps", "SENT b/s", TOP_BITS, false},
	{"given_pps", "GIVEN/s", TOP_RATE, false},
	{"given_bps", "GIVEN b/s", TOP_BITS, false},
	{"drops_pps", "DROPS/s", TOP_RATE, false},
	{"total_bps", "BOTH b/s", TOP_BITS, true},
	{},
};

static json_t *look_vpcs(struct top_data *data)
{
	static const char *const sums[] = {
		"sent_pps", "sent_bps", "given_pps", "given_bps", "drops_pps", "total_bps"};
	json_t *ports = look_ports(data), *by_name, *rows, *port;
	size_t i;

	if (!ports)
		return NULL;
	by_name = json_object();
	rows = json_array();
	json_array_foreach (ports, i, port) {
		const char *vpc = resource_text(port, "vpc"), *state = resource_text(port, "state");
		json_t *row = vpc ? json_object_get(by_name, vpc) : NULL;

		if (!vpc)
			continue;
		if (!row) {
			row = json_pack("{s:s, s:i, s:i}", "vpc", vpc, "ports", 0, "active", 0);
			json_object_set_new(by_name, vpc, row);
			json_array_append(rows, row);
		}
		json_object_set_new(
			row, "ports", json_integer(resource_integer(row, "ports", 0) + 1));
		if (state && !strcmp(state, "active"))
			json_object_set_new(row, "active",
				json_integer(resource_integer(row, "active", 0) + 1));
		for (size_t s = 0; s < sizeof(sums) / sizeof(sums[0]); s++)
			add(row, sums[s], port);
	}
	json_decref(by_name);
	json_decref(ports);
	return rows;
}

/* ---- Flows ---- */

static const struct top_column flow_columns[] = {
	{"node", "NODE", TOP_TEXT, true},
	{"vpc", "VPC", TOP_TEXT, true},
	{"protocol", "PROTO", TOP_TEXT, false},
	{"client", "CLIENT", TOP_TEXT, false},
	{"server", "SERVER", TOP_TEXT, false},
	{"state", "STATE", TOP_TEXT, true},
	{"packets_per_s", "PACKETS/s", TOP_RATE, false},
	{"bits_per_s", "bit/s", TOP_BITS, false},
	{"age_s", "AGE", TOP_SECONDS, true},
	{},
};

static json_t *look_flows(struct top_data *data)
{
	json_t *rows = ask_items(data, "session.top", json_pack("{s:i}", "limit", 1000)), *row;
	size_t i;

	json_array_foreach (rows, i, row)
		json_object_set_new(
			row, "bits_per_s", json_real(8 * number_of(row, "bytes_per_s")));
	return rows;
}

/* ---- Drops ---- */

static const struct top_column drop_columns[] = {
	{"node", "NODE", TOP_TEXT, true},
	{"port", "PORT", TOP_TEXT, false},
	{"vpc", "VPC", TOP_TEXT, true},
	{"reason", "REASON", TOP_TEXT, false},
	{"drops_pps", "DROPS/s", TOP_RATE, false},
	{"packets", "TOTAL", TOP_COUNT, false},
	{"last_packet", "LAST PACKET", TOP_TEXT, true},
	{},
};

static json_t *look_drops(struct top_data *data)
{
	json_t *rows = ask_items(data, "drops.list", NULL), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *port = resource_text(row, "port"), *vpc = resource_text(row, "vpc");
		char *what = text_printf("drop %s/%s/%s/%s", resource_text(row, "node"),
			port ? port : "", vpc ? vpc : "", resource_text(row, "reason"));

		set_rate(data, row, "drops_pps", what, number_of(row, "packets"));
		free(what);
	}
	return rows;
}

/* ---- Nodes ---- */

static const struct top_column node_columns[] = {
	{"node", "NODE", TOP_TEXT, false},
	{"state", "STATE", TOP_TEXT, false},
	{"load", "LOAD", TOP_SHARE, false},
	{"workers", "WORKERS", TOP_TEXT, true},
	{"received_pps", "IN/s", TOP_RATE, false},
	{"sent_pps", "OUT/s", TOP_RATE, false},
	{"drops_pps", "DROPS/s", TOP_RATE, false},
	{"sessions", "SESSIONS", TOP_COUNT, false},
	{"full", "FULL", TOP_SHARE, false},
	{"tunnels", "TUNNELS", TOP_TEXT, true},
	{"uptime_s", "UP", TOP_SECONDS, true},
	{},
};

static double dropped(const json_t *packets)
{
	const char *reason;
	double sum = 0;
	json_t *count;

	json_object_foreach (json_object_get(packets, "dropped"), reason, count)
		sum += json_number_value(count);
	return sum;
}

/* The busiest worker's load, and everybody's. */
static void set_loads(json_t *row, const json_t *workers)
{
	double most = 0, load;
	char *text = NULL;
	json_t *worker;
	size_t size, i;
	FILE *out = must(open_memstream(&text, &size));

	json_array_foreach ((json_t *)workers, i, worker) {
		load = number_of(worker, "load_percent");
		most = load > most ? load : most;
		fprintf(out, "%s%.0f", i ? "," : "", load);
	}
	fclose(out);
	if (json_array_size(workers)) {
		json_object_set_new(row, "load", json_real(most));
		json_object_set_new(row, "workers", json_string(text));
	}
	free(must(text));
}

/* "3/4": those that are up. */
static void set_tunnels(json_t *row, const json_t *tunnels)
{
	size_t up = 0, i;
	json_t *tunnel;

	if (!json_is_array(tunnels))
		return;
	json_array_foreach ((json_t *)tunnels, i, tunnel) {
		const char *state = resource_text(tunnel, "state");

		up += state && !strcmp(state, "up");
	}
	json_object_set_new(row, "tunnels", json_sprintf("%zu/%zu", up, json_array_size(tunnels)));
}

static json_t *node_row(struct top_data *data, const json_t *node)
{
	const json_t *packets = json_object_get(node, "packets");
	const json_t *sessions = json_object_get(node, "sessions");
	const bool connected = resource_boolean(node, "connected", false);
	char *what = text_printf("node %s", resource_text(node, "name"));
	json_t *row = json_object();

	json_object_set(row, "node", json_object_get(node, "name"));
	json_object_set_new(row, "state", json_string(connected ? "connected" : "away"));
	copy(row, "uptime_s", node);
	if (connected) {
		json_array_append(data->nodes, json_object_get(node, "name"));
		set_loads(row, json_object_get(node, "workers"));
		set_rate(data, row, "received_pps", what, number_of(packets, "received"));
		set_rate(data, row, "sent_pps", what, number_of(packets, "sent"));
		set_rate(data, row, "drops_pps", what, dropped(packets));
		json_object_set(row, "sessions", json_object_get(sessions, "used"));
		if (number_of(sessions, "capacity") > 0)
			json_object_set_new(row, "full",
				json_real(100 * number_of(sessions, "used") /
					  number_of(sessions, "capacity")));
		set_tunnels(row, json_object_get(node, "tunnels"));
	}
	free(what);
	return row;
}

static json_t *node_rows(struct top_data *data, const json_t *status)
{
	json_t *rows = json_array(), *node;
	size_t i;

	json_array_clear(data->nodes);
	json_array_foreach (json_object_get(status, "nodes"), i, node)
		json_array_append_new(rows, node_row(data, node));
	return rows;
}

static json_t *look_nodes(struct top_data *data)
{
	json_t *status = ask(data, "status", NULL), *rows;

	if (!status)
		return NULL;
	rows = node_rows(data, status);
	json_decref(status);
	return rows;
}

/* ---- All of them ---- */

const struct top_view top_views[TOP_VIEWS] = {
	{"ports", 'p', "total_bps", port_columns, look_ports},
	{"flows", 'f', "bits_per_s", flow_columns, look_flows},
	{"vpcs", 'v', "total_bps", vpc_columns, look_vpcs},
	{"drops", 'd', "drops_pps", drop_columns, look_drops},
	{"nodes", 'n', "load", node_columns, look_nodes},
};

/* "3 nodes, 1 away; 12.3k packets/s in, 11.9k out, 400 dropped; 1234 sessions" */
static char *summary_of(const json_t *rows)
{
	static const struct top_column rate = {"n", "", TOP_RATE, false};
	double sums[4] = {0};
	static const char *const keys[] = {"received_pps", "sent_pps", "drops_pps", "sessions"};
	size_t away = 0, i;
	char *texts[3], *line;
	json_t *row;

	json_array_foreach ((json_t *)rows, i, row) {
		away += !json_object_get(row, "load") &&
			!strcmp(resource_text(row, "state"), "away");
		for (size_t k = 0; k < 4; k++)
			sums[k] += number_of(row, keys[k]);
	}
	for (size_t k = 0; k < 3; k++) {
		json_t *one = json_pack("{s:f}", "n", sums[k]);

		texts[k] = top_cell(&rate, one);
		json_decref(one);
	}
	line = text_printf("%zu node%s%s, packets/s: %s in, %s out, %s dropped; %.0f sessions",
		json_array_size(rows), json_array_size(rows) == 1 ? "" : "s",
		away ? " (some away)" : "", texts[0], texts[1], texts[2], sums[3]);
	for (size_t k = 0; k < 3; k++)
		free(texts[k]);
	return line;
}

json_t *top_look(struct top_data *data, const struct top_view *view, char **summary)
{
	json_t *rows, *nodes;

	*summary = NULL;
	data->now = clock_s();
	forget_old(data);
	nodes = look_nodes(data);
	if (!nodes)
		return NULL;
	*summary = summary_of(nodes);
	if (view->look == look_nodes)
		return nodes;
	json_decref(nodes);
	data->now = clock_s();
	rows = view->look(data);
	if (!rows) {
		free(*summary);
		*summary = NULL;
	}
	return rows;
}

/* ---- Sorting and showing ---- */

struct sorting {
	const struct top_column *columns;
	const char *key;
	bool ascending;
};

static int compare_values(const json_t *a, const json_t *b)
{
	double x = json_number_value(a), y = json_number_value(b);

	if (json_is_string(a) && json_is_string(b))
		return strcmp(json_string_value(b), json_string_value(a));
	/* What has no value is last. */
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return (x > y) - (x < y);
}

/* Greatest first, texts from A on; of equal ones by the columns in their order, so that rows stand still. */
static int compare_rows(const void *pa, const void *pb, void *arg)
{
	const json_t *a = *(json_t *const *)pa, *b = *(json_t *const *)pb;
	const struct sorting *s = arg;
	int order = compare_values(json_object_get(a, s->key), json_object_get(b, s->key));

	if (order)
		return s->ascending ? order : -order;
	for (const struct top_column *c = s->columns; !order && c->key; c++)
		if (c->form == TOP_TEXT)
			order = compare_values(
				json_object_get(a, c->key), json_object_get(b, c->key));
	return -order;
}

static bool passes(const struct top_view *view, const json_t *row, const char *filter)
{
	if (!*filter)
		return true;
	for (const struct top_column *c = view->columns; c->key; c++) {
		const char *text = resource_text(row, c->key);

		if (text && strcasestr(text, filter))
			return true;
	}
	return false;
}

json_t *top_sort(const struct top_view *view, const json_t *rows, const char *filter,
	const char *key, bool ascending)
{
	struct sorting sorting = {view->columns, key, ascending};
	json_t **all = must(calloc(json_array_size(rows) + 1, sizeof(json_t *)));
	json_t *sorted = json_array(), *row;
	size_t n = 0, i;

	json_array_foreach ((json_t *)rows, i, row)
		if (passes(view, row, filter))
			all[n++] = row;
	qsort_r(all, n, sizeof(*all), compare_rows, &sorting);
	for (i = 0; i < n; i++)
		json_array_append(sorted, all[i]);
	free(all);
	return sorted;
}

/* Three digits and a unit: 0, 7.5, 12.3k, 940M. */
static char *short_number(double value)
{
	static const char units[] = " kMGTP";
	const char *unit = units;

	while (value >= 999.5 && unit[1]) {
		value /= 1000;
		unit++;
	}
	if (unit == units)
		return text_printf(value < 9.95 && value > 0 ? "%.1f" : "%.0f", value);
	return text_printf(value < 99.95 ? "%.1f%c" : "%.0f%c", value, *unit);
}

static char *duration(double s)
{
	if (s < 60)
		return text_printf("%.0fs", s);
	if (s < 3600)
		return text_printf("%.0fm", s / 60);
	return s < 86400 ? text_printf("%.0fh", s / 3600) : text_printf("%.0fd", s / 86400);
}

char *top_cell(const struct top_column *column, const json_t *row)
{
	const json_t *value = json_object_get(row, column->key);
	const double number = json_number_value(value);

	if (!value || json_is_null(value))
		return text_printf("-");
	switch (column->form) {
	case TOP_TEXT:
		break;
	case TOP_COUNT:
		return text_printf("%.0f", number);
	case TOP_RATE:
	case TOP_BITS:
		return short_number(number);
	case TOP_SHARE:
		return text_printf("%.0f%%", number);
	case TOP_SECONDS:
		return duration(number);
	}
	return cell_text(NULL, value);
}
