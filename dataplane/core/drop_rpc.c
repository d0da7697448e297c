/* SPDX-License-Identifier: Apache-2.0 */
/* drops.list: what was dropped, a row for each port (or VPC, or the node) and reason. */
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "core/node.h"
#include "core/rpc.h"
#include "lib/packet_text.h"
#include "port/port.h"
#include "vpc/vpc.h"

struct listing {
	json_t *items;
	const char *port, *reason; /* NULL: any */
	json_int_t vni;            /* 0: any */
};

/* What the last packet was, and when. */
static json_t *last_packet(const struct drop_cell *cell)
{
	char when[32], what[PACKET_TEXT], text[sizeof(when) + sizeof(what)];

	if (cell->length == 0)
		return json_null();
	rpc_time_text(cell->last_ms, when, sizeof(when));
	snprintf(text, sizeof(text), "%s %s", when, packet_text(cell->head, cell->length, what));
	return json_string(text);
}

/* The sums of one row's owner or owners, by reason. */
static void add_rows(struct listing *l, const char *port, const struct vpc *vpc,
	const struct drop_cell sums[DROP_MAX])
{
	if (l->port != NULL && (port == NULL || strcmp(l->port, port) != 0))
		return;
	if (l->vni != 0 && (vpc == NULL || vpc->vni != l->vni))
		return;
	for (unsigned int r = 1; r < DROP_MAX; r++) {
		const char *reason = drop_reason_name((enum drop_reason)r);

		if (sums[r].packets == 0 || (l->reason != NULL && strcmp(l->reason, reason) != 0))
			continue;
		json_array_append_new(l->items,
			json_pack("{s:s, s:s?, s:s?, s:s, s:I, s:o}", "node", node_config.node,
				"port", port, "vpc", vpc != NULL ? vpc->name : NULL, "reason",
				reason, "packets", (json_int_t)sums[r].packets, "last_packet",
				last_packet(&sums[r])));
	}
}

static void add_owner(uint32_t owner, struct drop_cell sums[DROP_MAX])
{
	for (unsigned int r = 1; r < DROP_MAX; r++)
		drop_sum(owner, (enum drop_reason)r, &sums[r]);
}

/* The underlay, outside networks, and what is nobody's: one row a reason for all of them. */
static void list_node(struct listing *l)
{
	struct drop_cell sums[DROP_MAX] = {0};

	add_owner(drop_owner_node(), sums);
	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p))
		if (p->role != PORT_TENANT)
			add_owner(drop_owner_port(p->index), sums);
	for (uint32_t i = 1; i < VPC_INDEX_MAX; i++)
		if (vpc_get(i) != NULL && vpc_get(i)->external != NULL)
			add_owner(drop_owner_vpc(i), sums);
	add_rows(l, NULL, NULL, sums);
}

static void list_ports(struct listing *l)
{
	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p)) {
		struct drop_cell sums[DROP_MAX] = {0};

		if (p->role != PORT_TENANT)
			continue;
		add_owner(drop_owner_port(p->index), sums);
		add_rows(l, p->name, vpc_get(p->vpc_index), sums);
	}
}

static void list_vpc(struct listing *l, const struct vpc *vpc)
{
	struct drop_cell sums[DROP_MAX] = {0};

	add_owner(drop_owner_vpc(vpc->index), sums);
	add_rows(l, NULL, vpc, sums);
}

static void list_vpcs(struct listing *l)
{
	for (uint32_t i = 1; i < VPC_INDEX_MAX; i++)
		if (vpc_get(i) != NULL && vpc_get(i)->external == NULL)
			list_vpc(l, vpc_get(i));
}

static void drops_list(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct listing l = {
		.items = json_array(),
		.port = json_string_value(json_object_get(params, "port")),
		.reason = json_string_value(json_object_get(params, "reason")),
		.vni = json_integer_value(json_object_get(params, "vni")),
	};

	(void)ctx;
	list_node(&l);
	list_ports(&l);
	list_vpcs(&l);
	jsonrpc_reply(call, json_pack("{s:o}", "items", l.items));
}
RPC_METHOD(drops_method, "drops.list", drops_list)
