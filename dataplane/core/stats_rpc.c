/* SPDX-License-Identifier: Apache-2.0 */
/* status: sums over the workers' counters. */
#include <math.h>
#include <string.h>

#include "core/config.h"
#include "core/node.h"
#include "core/pool.h"
#include "core/rpc.h"
#include "core/state.h"
#include "core/stats.h"
#include "port/port.h"
#include "session/session.h"

static struct stats_held *held_sources;

void stats_held_register(struct stats_held *source)
{
	source->next = held_sources;
	held_sources = source;
}

uint64_t stats_held_count(void)
{
	uint64_t n = 0;

	for (const struct stats_held *s = held_sources; s != NULL; s = s->next)
		n += s->count();
	return n;
}

static json_t *dropped(const struct worker_counters *sum)
{
	json_t *o = json_object();

	for (unsigned int r = 1; r < DROP_MAX; r++)
		if (sum->dropped[r] != 0)
			json_object_set_new(o, drop_reason_name((enum drop_reason)r),
				json_integer((json_int_t)sum->dropped[r]));
	return o;
}

static json_t *packets(void)
{
	struct worker_counters sum = {0};

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct worker_counters *c = &workers[i].count;

		sum.received += c->received;
		sum.generated += c->generated;
		sum.sent += c->sent;
		sum.consumed += c->consumed;
		for (unsigned int r = 0; r < DROP_MAX; r++)
			sum.dropped[r] += c->dropped[r];
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:I}", "received", (json_int_t)sum.received,
		"generated", (json_int_t)sum.generated, "sent", (json_int_t)sum.sent, "consumed",
		(json_int_t)sum.consumed, "dropped", dropped(&sum), "held",
		(json_int_t)stats_held_count());
}

/* Share of its time that a worker spent on packets since the last time somebody asked. */
static json_t *worker_loads(void)
{
	static uint64_t last_busy[WORKER_MAX], last_idle[WORKER_MAX];
	json_t *list = json_array();

	for (unsigned int i = 0; i < worker_count; i++) {
		uint64_t busy = workers[i].busy_tsc, idle = workers[i].idle_tsc;
		double b = (double)(busy - last_busy[i]), all = b + (double)(idle - last_idle[i]);
		double load = all > 0 ? round(b / all * 1000) / 10 : 0;

		last_busy[i] = busy;
		last_idle[i] = idle;
		json_array_append_new(
			list, json_pack("{s:i, s:f}", "cpu", workers[i].cpu, "load_percent", load));
	}
	return list;
}

static struct stats_section *sections;

void stats_section_register(struct stats_section *section)
{
	section->next = sections;
	sections = section;
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *answer = json_pack("{s:s, s:f, s:o, s:o, s:{s:I, s:I}, s:{s:I, s:I}}", "version",
		VPC_VERSION, "uptime_s", (double)clock_ms() / 1000, "workers", worker_loads(),
		"packets", packets(), "sessions", "used", (json_int_t)session_used(), "capacity",
		(json_int_t)session_capacity(), "revision", "desired", (json_int_t)state_revision(),
		"applied", (json_int_t)state_revision());

	(void)params;
	(void)ctx;
	for (const struct stats_section *s = sections; s != NULL; s = s->next)
		json_object_set_new(answer, s->name, s->make());
	jsonrpc_reply(call, answer);
}
RPC_METHOD(status_method, "status", status)

static void buffers(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	jsonrpc_reply(call, json_pack("{s:I}", "used", (json_int_t)pool_in_use()));
}
RPC_METHOD(buffers_method, "buffers", buffers)

static const char *port_state_name(uint8_t state)
{
	static const char *const names[] = {[PORT_DETACHED] = "detached",
		[PORT_ACTIVE] = "active",
		[PORT_DOWN] = "down",
		[PORT_ERROR] = "error"};

	return state < RTE_DIM(names) ? names[state] : "error";
}

static uint64_t port_drops(const struct port *p)
{
	struct drop_cell sum = {0};

	for (unsigned int r = 1; r < DROP_MAX; r++)
		drop_sum(drop_owner_port(p->index), (enum drop_reason)r, &sum);
	return sum.packets;
}

static json_t *port_status(const struct port *p)
{
	struct port_counters c = port_counters_sum(p);

	return json_pack("{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I}}", "name", p->name, "state",
		p->state == PORT_ACTIVE && !p->enabled ? "down" : port_state_name(p->state),
		"reason", p->state == PORT_ACTIVE && !p->enabled ? "disabled" : p->reason,
		"counters", "rx_packets", (json_int_t)c.rx_packets, "rx_bytes",
		(json_int_t)c.rx_bytes, "tx_packets", (json_int_t)c.tx_packets, "tx_bytes",
		(json_int_t)c.tx_bytes, "drops", (json_int_t)port_drops(p));
}

static void ports_status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *names = json_object_get(params, "names"), *name;
	json_t *items = json_array();
	size_t i;

	(void)ctx;
	if (names != NULL) {
		json_array_foreach (names, i, name) {
			const struct port *p =
				json_is_string(name) ? port_by_name(json_string_value(name)) : NULL;

			if (p != NULL)
				json_array_append_new(items, port_status(p));
		}
	} else {
		for (struct port *p = port_next(NULL); p != NULL; p = port_next(p))
			if (p->role == PORT_TENANT)
				json_array_append_new(items, port_status(p));
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}
RPC_METHOD(port_status_method, "port.status", ports_status)
