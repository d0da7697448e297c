/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include "controller.h"
#include "fan_out.h"
#include "flow_log.h"
#include "mem.h"
#include "metrics_service.h"
#include "node.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds of the latency histogram. */
static const double bounds_s[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5};
#define BOUNDS (sizeof(bounds_s) / sizeof(bounds_s[0]))

struct method_metrics {
	uint64_t calls, errors, sum_us;
	uint64_t below[BOUNDS];
};

struct metrics {
	struct method_metrics *methods; /* by position in the registry */
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = mem_calloc(1, sizeof(*metrics));

	metrics->methods = mem_calloc(method_count(), sizeof(*metrics->methods));
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	free(metrics->methods);
	free(metrics);
}

void metrics_call(
	struct metrics *metrics, const struct method *method, uint64_t took_us, bool failed)
{
	struct method_metrics *m = &metrics->methods[method - method_at(0)];

	m->calls++;
	m->errors += failed;
	m->sum_us += took_us;
	for (size_t i = 0; i < BOUNDS; i++)
		m->below[i] += (double)took_us <= bounds_s[i] * 1e6;
}

void metrics_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_calls(const struct metrics *metrics, struct evbuffer *out)
{
	const struct method *method;

	metrics_head(out, "vpc_rpc_errors_total", "counter", "Northbound calls that were refused.");
	METHOD_FOREACH(method)
	if (metrics->methods[method_i].calls != 0)
		evbuffer_add_printf(out, "vpc_rpc_errors_total{method=\"%s\"} %llu\n", method->name,
			(unsigned long long)metrics->methods[method_i].errors);
	metrics_head(out, "vpc_rpc_duration_seconds", "histogram",
		"Time from a northbound call to its answer.");
	METHOD_FOREACH(method)
	{
		const struct method_metrics *m = &metrics->methods[method_i];

		if (m->calls == 0)
			continue;
		for (size_t i = 0; i < BOUNDS; i++)
			evbuffer_add_printf(out,
				"vpc_rpc_duration_seconds_bucket{method=\"%s\",le=\"%g\"} %llu\n",
				method->name, bounds_s[i], (unsigned long long)m->below[i]);
		evbuffer_add_printf(out,
			"vpc_rpc_duration_seconds_bucket{method=\"%s\",le=\"+Inf\"} %llu\n"
			"vpc_rpc_duration_seconds_sum{method=\"%s\"} %.6f\n"
			"vpc_rpc_duration_seconds_count{method=\"%s\"} %llu\n",
			method->name, (unsigned long long)m->calls, method->name,
			(double)m->sum_us / 1e6, method->name, (unsigned long long)m->calls);
	}
}

static void write_model(struct controller *c, struct evbuffer *out)
{
	const struct kind *kind;

	metrics_head(out, "vpc_revision", "gauge", "Revision of the newest change.");
	evbuffer_add_printf(out, "vpc_revision %llu\n", (unsigned long long)c->published);
	metrics_head(out, "vpc_objects", "gauge", "Objects by kind.");
	KIND_FOREACH(kind)
	evbuffer_add_printf(
		out, "vpc_objects{kind=\"%s\"} %zu\n", kind->name, model_count(&c->model, kind));
}

static void write_nodes(struct controller *c, struct evbuffer *out)
{
	metrics_head(out, "vpc_node_up", "gauge", "1 when the node's dataplane is connected.");
	NODES_FOREACH(c, node)
	evbuffer_add_printf(
		out, "vpc_node_up{node=\"%s\"} %d\n", node->name, node_is_connected(node));
	metrics_head(
		out, "vpc_node_revision_desired", "gauge", "Last change that concerns the node.");
	NODES_FOREACH(c, node)
	evbuffer_add_printf(out, "vpc_node_revision_desired{node=\"%s\"} %llu\n", node->name,
		(unsigned long long)node->desired);
	metrics_head(
		out, "vpc_node_revision_applied", "gauge", "Last change the node forwards by.");
	NODES_FOREACH(c, node)
	evbuffer_add_printf(out, "vpc_node_revision_applied{node=\"%s\"} %llu\n", node->name,
		(unsigned long long)node->applied);
	metrics_head(out, "vpc_node_items", "gauge", "Items of state that the node should have.");
	NODES_FOREACH(c, node)
	evbuffer_add_printf(
		out, "vpc_node_items{node=\"%s\"} %zu\n", node->name, node->wanted_count);
	metrics_head(out, "vpc_node_items_rejected", "gauge", "Items that the node refuses.");
	NODES_FOREACH(c, node)
	evbuffer_add_printf(out, "vpc_node_items_rejected{node=\"%s\"} %zu\n", node->name,
		node->rejected_count);
}

static void write_number(
	struct evbuffer *out, const char *name, const char *node, const json_t *value)
{
	if (json_is_integer(value))
		evbuffer_add_printf(out, "%s{node=\"%s\"} %" JSON_INTEGER_FORMAT "\n", name, node,
			json_integer_value(value));
}

/* One number of each node's status. */
static void write_status(struct controller *c, const struct fan_out *fan, struct evbuffer *out,
	const char *name, const char *type, const char *help, const char *section,
	const char *member)
{
	metrics_head(out, name, type, help);
	NODES_FOREACH(c, node)
	write_number(out, name, node->name,
		json_object_get(json_object_get(fan_out_result(fan, node->name), section), member));
}

static void write_drops(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	metrics_head(out, "vpc_dropped_packets_total", "counter", "Dropped packets by reason.");
	NODES_FOREACH(c, node)
	{
		const json_t *status = fan_out_result(fan, node->name);
		json_t *drops = json_object_get(json_object_get(status, "packets"), "dropped"),
		       *count;
		const char *reason;

		json_object_foreach (drops, reason, count)
			evbuffer_add_printf(out,
				"vpc_dropped_packets_total{node=\"%s\",reason=\"%s\"} "
				"%" JSON_INTEGER_FORMAT "\n",
				node->name, reason, json_integer_value(count));
	}
}

static void write_workers(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	metrics_head(
		out, "vpc_worker_load_percent", "gauge", "How much of its time a worker works.");
	NODES_FOREACH(c, node)
	{
		const json_t *status = fan_out_result(fan, node->name);
		json_t *workers = json_object_get(status, "workers"), *worker;
		size_t i;

		json_array_foreach (workers, i, worker)
			evbuffer_add_printf(out,
				"vpc_worker_load_percent{node=\"%s\",cpu=\"%d\"} %g\n", node->name,
				(int)resource_integer(worker, "cpu", -1),
				json_number_value(json_object_get(worker, "load_percent")));
	}
}

static void write_tunnel(struct evbuffer *out, const char *name, const char *node,
	const json_t *tunnel, const json_t *value, double unit)
{
	if (json_is_number(value))
		evbuffer_add_printf(out, "%s{node=\"%s\",peer=\"%s\"} %g\n", name, node,
			resource_text(tunnel, "peer"), json_number_value(value) * unit);
}

static void write_tunnels(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	static const struct {
		const char *name, *member, *help;
		double unit;
	} figures[] = {
		{"vpc_tunnel_up", NULL, "1 when the peer answers probes, 0 when it does not.", 1},
		{"vpc_tunnel_rtt_seconds", "rtt_us", "How long the peer takes to answer.", 1e-6},
		{"vpc_tunnel_path_mtu_bytes", "path_mtu",
			"Largest IP packet that gets to the peer.", 1},
	};

	for (size_t f = 0; f < sizeof(figures) / sizeof(figures[0]); f++) {
		metrics_head(out, figures[f].name, "gauge", figures[f].help);
		NODES_FOREACH(c, node)
		{
			json_t *list = json_object_get(fan_out_result(fan, node->name), "tunnels"),
			       *tunnel;
			size_t i;

			json_array_foreach (list, i, tunnel) {
				const char *state = resource_text(tunnel, "state");
				json_t *up = json_integer(strcmp(state, "up") == 0);

				if (figures[f].member != NULL || strcmp(state, "unknown") != 0)
					write_tunnel(out, figures[f].name, node->name, tunnel,
						figures[f].member != NULL
							? json_object_get(tunnel, figures[f].member)
							: up,
						figures[f].unit);
				json_decref(up);
			}
		}
	}
}

void metrics_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	static const char *const packets[][3] = {
		{"vpc_packets_received_total", "received",
			"Packets from ports, underlay and outside."},
		{"vpc_packets_generated_total", "generated", "Replies, errors, clones, segments."},
		{"vpc_packets_sent_total", "sent", "Packets to ports, underlay and outside."},
		{"vpc_packets_consumed_total", "consumed", "Packets answered or absorbed."},
	};

	write_model(c, out);
	write_nodes(c, out);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		write_status(c, fan, out, packets[i][0], "counter", packets[i][2], "packets",
			packets[i][1]);
	write_status(c, fan, out, "vpc_packets_held", "gauge", "Packets in queues right now.",
		"packets", "held");
	write_drops(c, fan, out);
	write_status(
		c, fan, out, "vpc_sessions", "gauge", "Sessions there are.", "sessions", "used");
	write_status(c, fan, out, "vpc_sessions_capacity", "gauge", "Sessions there can be.",
		"sessions", "capacity");
	write_tunnels(c, fan, out);
	write_workers(c, fan, out);
	metrics_service_write(c, fan, out);
	flow_log_metrics_write(c, fan, out);
	write_calls(c->metrics, out);
}
