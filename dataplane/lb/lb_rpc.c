/* SPDX-License-Identifier: Apache-2.0 */
/* lb.status {names: [..] | omitted}: the back ends of balancers, and how they are. */
#include <stdio.h>

#include "base/ip_text.h"
#include "core/rpc.h"
#include "lb/lb_internal.h"

static json_t *backend_json(
	const struct lb *lb, const struct lb_listener *l, const struct lb_backend *b)
{
	char addr[NET_ADDR_TEXT], since[64];

	rpc_time_text(b->since_ms, since, sizeof(since));
	return json_pack("{s:s, s:i, s:i, s:s, s:i, s:s, s:s, s:s, s:I}", "load_balancer", lb->name,
		"protocol", l->protocol, "port", rte_be_to_cpu_16(l->port), "address",
		ip_addr_format(&b->addr, addr), "port_number", rte_be_to_cpu_16(b->port_number),
		"health", lb_health_name(b->health), "since", since, "reason", b->reason,
		"connections", (json_int_t)lb_connections(b));
}

static void list_backends(struct lb *lb, void *items)
{
	for (const struct lb_listener *l = lb->listeners; l != NULL; l = l->next)
		for (const struct lb_backend *b = l->backends; b != NULL; b = b->next)
			if (l->config != NULL && !b->leaving)
				json_array_append_new(items, backend_json(lb, l, b));
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *names = json_object_get(params, "names"), *name;
	json_t *items = json_array();
	struct lb *lb;
	size_t i;

	(void)ctx;
	if (names != NULL && !json_is_null(names) && !json_is_array(names)) {
		json_decref(items);
		rpc_invalid(call, "/names", "is a list of names");
		return;
	}
	if (!json_is_array(names))
		lb_each(list_backends, items);
	json_array_foreach (names, i, name) {
		lb = json_is_string(name) ? lb_by_name(json_string_value(name)) : NULL;
		if (lb != NULL)
			list_backends(lb, items);
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(status_method, "lb.status", status)
