/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_service.h"

#include "controller.h"
#include "fan_out.h"
#include "gateway.h"
#include "mem.h"
#include "node.h"
#include "usage_internal.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

/* The first objects of a kind. */
#define SHOWN_FOREACH(c, kind, var)                                                                \
	for (size_t var##_n = 0; var##_n < METRICS_SHOWN; var##_n = METRICS_SHOWN)                 \
		for (struct object *var = model_after(&(c)->model, kind, NULL);                    \
			var != NULL && var##_n < METRICS_SHOWN;                                    \
			var = model_after(&(c)->model, kind, (var)->name), var##_n++)

/* ---- What dataplanes say ---- */

static char *key_of(const char *method, const char *node)
{
	return mem_printf("%s %s", method, node);
}

void metrics_service_ask(struct fan_out *fan, struct node *node)
{
	static const char *const methods[][2] = {
		{"nat_gateway", "nat.status"}, {"load_balancer", "lb.status"}};

	for (size_t i = 0; i < 2; i++) {
		char *key = key_of(methods[i][1], node->name);

		if (model_count(&node->c->model, kind_find(methods[i][0])) > 0)
			fan_out_ask_as(fan, node, key, methods[i][1], mem_json(json_object()));
		free(key);
	}
}

static json_t *items_of(const struct fan_out *fan, const char *method, const struct node *node)
{
	char *key = key_of(method, node->name);
	const json_t *answer = fan_out_result(fan, key);

	free(key);
	return json_object_get(answer, "items");
}

/* ---- EIPs ---- */

static const char *use_of(const struct object *eip)
{
	const struct object *user = eip_user(eip);

	return user != NULL ? user->kind->name : "none";
}

static void write_eips(struct controller *c, struct evbuffer *out)
{
	static const char *const uses[] = {"none", "port", "nat_gateway", "load_balancer"};

	metrics_head(out, "vpc_eips", "gauge", "Elastic IPs of a gateway by what they serve.");
	MODEL_FOREACH(&c->model, kind_find("node"), node)
	{
		size_t counts[4] = {0};
		bool any = false;

		REFERRERS_FOREACH(node, kind_find("eip"), ref)
		{
			any = true;
			for (size_t u = 0; u < 4; u++)
				counts[u] += strcmp(uses[u], use_of(ref->from)) == 0;
		}
		for (size_t u = 0; any && u < 4; u++)
			evbuffer_add_printf(out, "vpc_eips{node=\"%s\",use=\"%s\"} %zu\n",
				node->name, uses[u], counts[u]);
	}
}

/* ---- What they have carried ---- */

static void write_carried_of(
	struct controller *c, const struct kind *kind, size_t figure, struct evbuffer *out)
{
	static const char *const directions[] = {"rx", "rx", "tx", "tx"};

	SHOWN_FOREACH(c, kind, service)
	{
		const struct usage_row *row =
			usage_row_newest(&c->usage->table, kind->name, service->name);

		if (row == NULL)
			continue;
		evbuffer_add_printf(out,
			"vpc_service_%s_total{kind=\"%s\",name=\"%s\",direction=\"%s\"} %llu\n",
			figure % 2 == 0 ? "packets" : "bytes", kind->name, service->name,
			directions[figure], (unsigned long long)usage_row_total(row).v[figure]);
	}
}

static void write_carried(struct controller *c, struct evbuffer *out)
{
	static const char *const kinds[] = {"eip", "nat_gateway", "load_balancer"};

	for (size_t unit = 0; unit < 2; unit++) {
		metrics_head(out,
			unit == 0 ? "vpc_service_packets_total" : "vpc_service_bytes_total",
			"counter",
			unit == 0 ? "Packets through a service: rx from its tenant, tx to it."
				  : "IP bytes through a service: rx from its tenant, tx to it.");
		for (size_t k = 0; k < 3; k++)
			for (size_t direction = 0; direction < 2; direction++)
				write_carried_of(c, kind_find(kinds[k]), 2 * direction + unit, out);
	}
}

/* ---- NAT gateways ---- */

/* {name: item} of what their nodes say. */
static json_t *nat_by_name(struct controller *c, const struct fan_out *fan)
{
	json_t *all = mem_json(json_object()), *item;

	NODES_FOREACH(c, node)
	{
		size_t i;

		json_array_foreach (items_of(fan, "nat.status", node), i, item) {
			const char *name = resource_text(item, "nat_gateway");

			if (name != NULL)
				json_object_set(all, name, item);
		}
	}
	return all;
}

static json_int_t ports_of(const json_t *nat, const char *protocol, const char *member)
{
	json_t *address;
	json_int_t sum = 0;
	size_t i;

	json_array_foreach (json_object_get(nat, "addresses"), i, address) {
		const char *its = resource_text(address, "protocol");

		if (its != NULL && strcmp(its, protocol) == 0)
			sum += resource_integer(address, member, 0);
	}
	return sum;
}

static void write_nat_ports(struct controller *c, const json_t *nats, const char *name,
	const char *member, const char *help, struct evbuffer *out)
{
	static const char *const protocols[] = {"tcp", "udp", "icmp"};

	metrics_head(out, name, "gauge", help);
	SHOWN_FOREACH(c, kind_find("nat_gateway"), nat)
	{
		const json_t *item = json_object_get(nats, nat->name);

		for (size_t p = 0; item != NULL && p < 3; p++)
			evbuffer_add_printf(out,
				"%s{nat_gateway=\"%s\",protocol=\"%s\"} %" JSON_INTEGER_FORMAT "\n",
				name, nat->name, protocols[p],
				ports_of(item, protocols[p], member));
	}
}

static void write_nat_figure(struct controller *c, const json_t *nats, const char *name,
	const char *type, const char *member, const char *help, struct evbuffer *out)
{
	metrics_head(out, name, type, help);
	SHOWN_FOREACH(c, kind_find("nat_gateway"), nat)
	{
		const json_t *item = json_object_get(nats, nat->name);

		if (item != NULL)
			evbuffer_add_printf(out,
				"%s{nat_gateway=\"%s\"} %" JSON_INTEGER_FORMAT "\n", name,
				nat->name, resource_integer(item, member, 0));
	}
}

static void write_nats(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	json_t *nats = nat_by_name(c, fan);

	write_nat_ports(c, nats, "vpc_nat_ports_used", "ports_used",
		"Outside ports of a NAT gateway in use.", out);
	write_nat_ports(c, nats, "vpc_nat_ports", "ports_total", "Outside ports that it has.", out);
	write_nat_figure(c, nats, "vpc_nat_sessions", "gauge", "sessions",
		"Sessions through a NAT gateway.", out);
	write_nat_figure(c, nats, "vpc_nat_refused_total", "counter", "refused",
		"New flows that a NAT gateway refused.", out);
	json_decref(nats);
}

/* ---- Load balancers ---- */

static void count(json_t *counts, const char *member, json_int_t more)
{
	json_object_set_new(
		counts, member, json_integer(resource_integer(counts, member, 0) + more));
}

static void count_backend(
	const struct controller *c, json_t *all, const struct node *node, const json_t *backend)
{
	const char *name = resource_text(backend, "load_balancer");
	const char *health = resource_text(backend, "health");
	const struct object *balancer = model_get(&c->model, "load_balancer", name);
	json_t *counts;

	if (balancer == NULL || health == NULL)
		return;
	counts = json_object_get(all, name);
	if (counts == NULL) {
		counts = json_object();
		json_object_set_new(all, name, counts);
	}
	/* Health is what its own node says; connections are counted where clients are. */
	if (gateway_of(balancer) == node->object)
		count(counts, health, 1);
	count(counts, "connections", resource_integer(backend, "connections", 0));
}

static json_t *balancers_by_name(struct controller *c, const struct fan_out *fan)
{
	json_t *all = mem_json(json_object()), *item;

	NODES_FOREACH(c, node)
	{
		size_t i;

		json_array_foreach (items_of(fan, "lb.status", node), i, item)
			count_backend(c, all, node, item);
	}
	return all;
}

static void write_balancers(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	static const char *const healths[] = {"up", "down", "unknown"};
	json_t *all = balancers_by_name(c, fan);

	metrics_head(out, "vpc_balancer_backends", "gauge", "Back ends by health.");
	SHOWN_FOREACH(c, kind_find("load_balancer"), balancer)
	{
		const json_t *counts = json_object_get(all, balancer->name);

		for (size_t h = 0; counts != NULL && h < 3; h++)
			evbuffer_add_printf(out,
				"vpc_balancer_backends{load_balancer=\"%s\",health=\"%s\"} "
				"%" JSON_INTEGER_FORMAT "\n",
				balancer->name, healths[h],
				resource_integer(counts, healths[h], 0));
	}
	metrics_head(out, "vpc_balancer_connections", "gauge", "Connections of its back ends.");
	SHOWN_FOREACH(c, kind_find("load_balancer"), balancer)
	{
		const json_t *counts = json_object_get(all, balancer->name);

		if (counts != NULL)
			evbuffer_add_printf(out,
				"vpc_balancer_connections{load_balancer=\"%s\"} "
				"%" JSON_INTEGER_FORMAT "\n",
				balancer->name, resource_integer(counts, "connections", 0));
	}
	json_decref(all);
}

void metrics_service_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out)
{
	write_eips(c, out);
	write_carried(c, out);
	write_nats(c, fan, out);
	write_balancers(c, fan, out);
}
