/* SPDX-License-Identifier: Apache-2.0 */
/* What vpc-inspectd asks and tells: inspect.get, inspect.changed, inspect.alert (lib/southbound.h). */
#include <string.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/rpc.h"
#include "core/state.h"
#include "core/usage.h"
#include "inspect/inspect_internal.h"
#include "lib/net.h"
#include "lib/resource.h"

static struct jsonrpc_conn *inspectd; /* NULL: none is connected */

/* Which run of the process: a random number. */
static uint32_t instance(void)
{
	static uint32_t number;

	while (number == 0)
		number = (uint32_t)usage_instance();
	return number;
}

static json_t *detectors_of(uint32_t vni)
{
	json_t *list = json_array(), *d;
	const char *type;

	for (const struct inspection *i = inspections; i != NULL; i = i->next) {
		if (i->vni != vni)
			continue;
		json_object_foreach (i->detectors, type, d)
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:O, s:O, s:O*}", "inspection", i->name,
					"type", type, "threshold", json_object_get(d, "threshold"),
					"window_s", json_object_get(d, "window_s"), "learn_s",
					json_object_get(d, "learn_s")));
	}
	return list;
}

static void add_prefixes(json_t *list, const struct vpc *vpc)
{
	char text[NET_PREFIX_TEXT];

	for (uint32_t i = 0; i < vpc->n_cidrs; i++)
		json_array_append_new(list, json_string(ip_prefix_format(&vpc->cidrs[i], text)));
}

/* What is inside: machines of the VPC's peers are no strangers. */
static json_t *prefixes_of(const struct vpc *vpc)
{
	json_t *list = json_array();

	add_prefixes(list, vpc);
	for (uint32_t i = 0; i < vpc->n_peers; i++) {
		const struct vpc *peer = vpc_by_vni(vpc->peers[i]);

		if (peer != NULL)
			add_prefixes(list, peer);
	}
	return list;
}

/* Names of the indicator lists that the VPC's own inspections look for, and no one else's; of two that share one, twice. */
static json_t *lists_of(uint32_t vni)
{
	json_t *list = json_array();

	for (const struct inspection *i = inspections; i != NULL; i = i->next)
		if (i->vni == vni && json_object_get(i->detectors, "indicator") != NULL)
			json_array_extend(list, i->lists);
	return list;
}

static bool is_first_of_vpc(const struct inspection *one)
{
	for (const struct inspection *i = inspections; i != one; i = i->next)
		if (i->vni == one->vni)
			return false;
	return true;
}

static json_t *vpcs(void)
{
	json_t *list = json_array();

	for (const struct inspection *i = inspections; i != NULL; i = i->next) {
		const struct vpc *vpc = vpc_by_vni(i->vni);

		if (vpc == NULL || !is_first_of_vpc(i))
			continue;
		json_array_append_new(
			list, json_pack("{s:I, s:s, s:o, s:o, s:o}", "vni", (json_int_t)i->vni,
				      "vpc", vpc->name, "prefixes", prefixes_of(vpc), "detectors",
				      detectors_of(i->vni), "lists", lists_of(i->vni)));
	}
	return list;
}

static json_t *indicators(void)
{
	json_t *list = json_array(), *entries;
	const char *name;

	json_object_foreach (inspect_indicators, name, entries)
		json_array_append_new(
			list, json_pack("{s:s, s:O}", "list", name, "entries", entries));
	return list;
}

static uint64_t fed(void)
{
	uint64_t packets = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		packets += __atomic_load_n(&inspect_workers[i].packets, __ATOMIC_RELAXED);
	return packets;
}

static void get(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	uint32_t sample = inspect_sample;
	struct jsonrpc_conn *conn = jsonrpc_call_conn(call);

	(void)params;
	(void)ctx;
	/* The interface may not have been to be had before. */
	if (inspections != NULL && inspect_tap_open() == 0)
		inspect_feed_start();
	/* Others may ask as well; who asked first is told of changes, until it goes. */
	if (inspectd == NULL && conn != NULL) {
		inspectd = conn;
		rpc_event("info", "node", node_config.node, "inspectd_connected",
			"vpc-inspectd is there");
	}
	jsonrpc_reply(
		call, json_pack("{s:I, s:I, s:s?, s:I, s:I, s:I, s:o, s:o}", "instance",
			      (json_int_t)instance(), "revision", (json_int_t)state_revision(),
			      "interface", inspect_tap_name(), "sample",
			      (json_int_t)(sample != UINT32_MAX ? sample : 1), "packets",
			      (json_int_t)fed(), "lost", (json_int_t)inspect_feed_lost(), "vpcs",
			      vpcs(), "indicators", indicators()));
}

RPC_METHOD(get_method, "inspect.get", get)

void inspect_rpc_changed(void)
{
	if (inspectd != NULL)
		jsonrpc_conn_notify(inspectd, "inspect.changed", json_object());
	else if (inspections != NULL)
		rpc_event("warning", "node", node_config.node, "inspectd_away",
			"no vpc-inspectd is connected: what is to be inspected is not");
}

static void closed(struct jsonrpc_conn *conn)
{
	if (conn != inspectd)
		return;
	inspectd = NULL;
	if (inspections != NULL)
		rpc_event("warning", "node", node_config.node, "inspectd_away",
			"vpc-inspectd is gone: nobody tells of what it would find");
}

RPC_CLOSED(closed_hook, closed)

static const struct port *port_of_number(const json_t *number)
{
	json_int_t value = json_is_integer(number) ? json_integer_value(number) : INSPECT_OUTSIDE;
	const struct port *port = port_get((uint32_t)value & 0xffff);

	return port != NULL && (json_int_t)inspect_port_number(port) == value ? port : NULL;
}

/* The port of the source: by its name or, if it is of this run, its number. "": none that is here. */
static const char *source_port(const json_t *params)
{
	const char *name = resource_text(params, "port");
	const struct port *port = NULL;

	if (name != NULL)
		port = port_by_name(name);
	else if (resource_integer(params, "instance", 0) == (int64_t)instance())
		port = port_of_number(json_object_get(params, "port_index"));
	return port != NULL && vnic_of(port) != NULL ? port->name : "";
}

static json_t *list_or_empty(json_t *list)
{
	return json_is_array(list) ? json_incref(list) : json_array();
}

static void alert(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const char *inspection = resource_text(params, "inspection");
	const char *detector = resource_text(params, "detector");
	const char *source = resource_text(params, "source");
	json_t *evidence = json_object_get(params, "evidence"), *told;

	(void)ctx;
	if (inspection == NULL || detector == NULL || source == NULL ||
		!json_is_integer(json_object_get(params, "vni"))) {
		rpc_invalid(call, "", "vni, inspection, detector and source must be there");
		return;
	}
	told = json_pack("{s:O, s:s, s:s, s:s, s:s, s:o, s:I}", "vni",
		json_object_get(params, "vni"), "inspection", inspection, "detector", detector,
		"port", source_port(params), "source", source, "targets",
		list_or_empty(json_object_get(params, "targets")), "count",
		resource_integer(params, "count", 0));
	if (json_is_object(evidence))
		json_object_set(told, "evidence", evidence);
	rpc_notify("inspect.alert", told);
	jsonrpc_reply(call, json_object());
}

RPC_METHOD(alert_method, "inspect.alert", alert)
