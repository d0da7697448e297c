/* SPDX-License-Identifier: Apache-2.0 */
/* status and drops.list: sums over the workers' counters. */
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/node.h"
#include "core/pool.h"
#include "core/rpc.h"
#include "core/state.h"
#include "core/stats.h"
#include "port/port.h"
#include "session/session.h"
#include "vpc/vpc.h"

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

/* What the last packet looked like, and when. */
static json_t *last_packet(const struct drop_cell *cell)
{
	char when[32], src[NET_ADDR_TEXT], dst[NET_ADDR_TEXT], text[192];

	rpc_time_text(cell->last_ms, when, sizeof(when));
	if (cell->ether_type != RTE_BE16(0x0800) && cell->ether_type != RTE_BE16(0x86dd)) {
		snprintf(text, sizeof(text), "%s EtherType 0x%04x", when,
			rte_be_to_cpu_16(cell->ether_type));
		return json_string(text);
	}
	ip_addr_format(&cell->src, src);
	ip_addr_format(&cell->dst, dst);
	if (cell->proto == IPPROTO_TCP || cell->proto == IPPROTO_UDP)
		snprintf(text, sizeof(text), "%s %s %s:%u > %s:%u", when,
			cell->proto == IPPROTO_TCP ? "tcp" : "udp", src,
			rte_be_to_cpu_16(cell->sport), dst, rte_be_to_cpu_16(cell->dport));
	else if (cell->proto == IPPROTO_ICMP || cell->proto == IPPROTO_ICMPV6)
		snprintf(text, sizeof(text), "%s %s %s > %s", when,
			cell->proto == IPPROTO_ICMP ? "icmp" : "icmpv6", src, dst);
	else
		snprintf(text, sizeof(text), "%s protocol %u %s > %s", when, cell->proto, src, dst);
	return json_string(text);
}

struct drops_filter {
	const char *port, *reason;
	json_int_t vni; /* 0: any */
};

/* One owner's row of one reason, summed over the workers; false: nothing dropped. */
static bool sum_cell(uint32_t owner, enum drop_reason reason, struct drop_cell *sum)
{
	bool any = false;
	uint64_t packets_sum = 0;

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct drop_cell *c = &workers[i].drops[(size_t)owner * DROP_MAX + reason];

		if (c->packets == 0)
			continue;
		packets_sum += c->packets;
		if (!any || (int32_t)(c->last_ms - sum->last_ms) > 0)
			*sum = *c;
		any = true;
	}
	sum->packets = packets_sum;
	return any;
}

static void add_owner(json_t *items, uint32_t owner, const char *port, const struct vpc *vpc,
	const struct drops_filter *f)
{
	struct drop_cell cell;

	if (f->port != NULL && (port == NULL || strcmp(f->port, port) != 0))
		return;
	if (f->vni != 0 && (vpc == NULL || vpc->vni != f->vni))
		return;
	for (unsigned int r = 1; r < DROP_MAX; r++) {
		if (f->reason != NULL &&
			strcmp(f->reason, drop_reason_name((enum drop_reason)r)) != 0)
			continue;
		if (!sum_cell(owner, (enum drop_reason)r, &cell))
			continue;
		json_array_append_new(items,
			json_pack("{s:s, s:s?, s:s?, s:s, s:I, s:o}", "node", node_config.node,
				"port", port, "vpc", vpc != NULL ? vpc->name : NULL, "reason",
				drop_reason_name((enum drop_reason)r), "packets",
				(json_int_t)cell.packets, "last_packet", last_packet(&cell)));
	}
}

static void drops_list(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct drops_filter f = {
		.port = json_string_value(json_object_get(params, "port")),
		.reason = json_string_value(json_object_get(params, "reason")),
		.vni = json_integer_value(json_object_get(params, "vni")),
	};
	json_t *items = json_array();

	(void)ctx;
	add_owner(items, drop_owner_node(), NULL, NULL, &f);
	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p))
		add_owner(items, drop_owner_port(p->index), p->role == PORT_TENANT ? p->name : NULL,
			p->role == PORT_TENANT ? vpc_get(p->vpc_index) : NULL, &f);
	for (uint32_t i = 1; i <= node_config.vpcs; i++)
		if (vpc_get(i) != NULL && vpc_get(i)->external == NULL)
			add_owner(items, drop_owner_vpc(i), NULL, vpc_get(i), &f);
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}
RPC_METHOD(drops_method, "drops.list", drops_list)

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
	uint64_t sum = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		for (unsigned int r = 1; r < DROP_MAX; r++)
			sum += workers[i]
				       .drops[(size_t)drop_owner_port(p->index) * DROP_MAX + r]
				       .packets;
	return sum;
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
