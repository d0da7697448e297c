/* SPDX-License-Identifier: Apache-2.0 */
/* explain: a described packet goes down the readable road of this node; each step says what was decided. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "core/flow_trace.h"
#include "core/rcu.h"
#include "core/road.h"
#include "core/rpc.h"
#include "forward/explain.h"
#include "forward/verdict.h"
#include "port/port.h"
#include "underlay/underlay.h"
#include "vpc/service.h"
#include "vpc/vpc.h"

static json_t *packet_json(const struct flow *f, json_int_t ttl)
{
	json_t *p = json_pack("{s:o, s:o, s:i, s:o, s:o, s:I}", "source", explain_address(&f->src),
		"destination", explain_address(&f->dst), "protocol", f->proto, "smac",
		explain_mac(&f->smac), "dmac", explain_mac(&f->dmac), "ttl", ttl);

	if (f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP) {
		json_object_set_new(p, "source_port", json_integer(rte_be_to_cpu_16(f->sport)));
		json_object_set_new(p, "port", json_integer(rte_be_to_cpu_16(f->dport)));
	}
	return p;
}

static json_int_t ttl_after(const struct flow *f, json_int_t ttl)
{
	return f->routed && !verdict_was_routed(f) ? ttl - 1 : ttl;
}

static json_t *after_json(const struct flow *f, json_int_t ttl)
{
	const struct flow after = explain_after(f);

	return packet_json(&after, ttl_after(f, ttl));
}

/* A peering is known here by the other VPC alone: with the sender's beside it, whoever asks finds the one that is meant. */
static json_t *object_json(const struct flow *f, const char *kind, const char *name, int32_t rule)
{
	json_t *object;

	if (kind == NULL || name == NULL || *name == '\0')
		return json_null();
	object = json_pack("{s:s, s:s, s:o}", "kind", kind, "name", name, "rule",
		rule >= 0 ? json_integer(rule) : json_null());
	if (strcmp(kind, "peering") == 0 && f->vpc != NULL)
		json_object_set_new(object, "vpc", json_string(f->vpc->name));
	return object;
}

/* The stage that dropped it has told why itself. */
static bool told(const struct flow *f)
{
	const struct flow_trace_entry *e =
		f->trace->n > 0 ? &f->trace->entries[f->trace->n - 1] : NULL;

	return e != NULL && e->kind != NULL && f->object.kind != NULL && f->object.name != NULL &&
	       strcmp(e->kind, f->object.kind) == 0 && strcmp(e->name, f->object.name) == 0 &&
	       e->rule == f->object.rule && e->stage == f->trace->stage;
}

static json_t *steps_json(const struct flow *f, bool forward)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < f->trace->n; i++) {
		const struct flow_trace_entry *e = &f->trace->entries[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:s}", "node", node_config.node, "stage",
				      e->stage, "object", object_json(f, e->kind, e->name, e->rule),
				      "decision", e->decision));
	}
	if (!forward && !told(f)) /* what dropped it is always among them */
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:s}", "node", node_config.node, "stage",
				f->trace->stage != NULL ? f->trace->stage : "road", "object",
				object_json(f, f->object.kind, f->object.name, f->object.rule),
				"decision", drop_reason_help(f->reason)));
	return list;
}

/* What the road does not decide but the apply stage does. */
static bool egress_ok(struct flow *f, json_int_t ttl)
{
	const struct vtep *v = loc_is_tunnel(f->out) ? vtep_get(loc_index(f->out)) : NULL;
	struct port *port = loc_is_port(f->out) ? port_get(loc_index(f->out)) : NULL;

	if (f->routed && !verdict_was_routed(f) && ttl <= 1) {
		f->trace->stage = "gateway";
		const char *kind = f->vpc->external != NULL ? "node" : "vpc",
			   *name = f->vpc->external != NULL ? node_config.node : f->vpc->name;

		flow_step(f, kind, name, -1, "its gateway forwards nothing with TTL %d", (int)ttl);
		return flow_drop(f, DROP_TTL_EXPIRED, kind, name, -1);
	}
	if (loc_is_port(f->out))
		return explain_port_carries(f, port) &&
		       explain_hooks_pass(f, port, true, (uint8_t)ttl_after(f, ttl));
	if (loc_is_tunnel(f->out) && (v == NULL || !vtep_is_ready(v)))
		return flow_drop(f, DROP_NO_NEIGHBOUR, "node", v != NULL ? v->name : NULL, -1);
	return true;
}

/* The subnet whose gateway the packet is for, which takes no road: services answer it (road_node.c). NULL: it is for somebody
 * else. */
static const struct subnet *gateway_of(const struct flow *f)
{
	const struct vpc *vpc = vpc_get(f->vpc_index);
	const struct port *in = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;
	const struct vnic *vnic = in != NULL ? vnic_of(in) : NULL;
	const struct route *route;

	if (vpc == NULL || !rte_is_same_ether_addr(&f->dmac, &vpc->gw_mac) ||
		!gateway_is(vpc, &f->dst))
		return NULL;
	route = route_get(vpc, &f->dst);
	return route != NULL && route->kind == ROUTE_SUBNET ? route->subnet
	       : vnic != NULL                               ? vnic->subnet
							    : NULL;
}

static bool is_served(const struct flow *f)
{
	uint16_t port = rte_be_to_cpu_16(f->dport);

	if (f->proto == IPPROTO_UDP)
		return f->v6 ? port == 547 : port == 67;
	return f->proto == (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* This node's own address in an outside network. */
static bool is_own(const struct flow *f)
{
	const struct vpc *scope = vpc_get(f->vpc_index);

	return scope != NULL && scope->external != NULL &&
	       rte_is_same_ether_addr(&f->dmac, &scope->gw_mac) && gateway_is(scope, &f->dst);
}

/* The outside says of itself what it likes: services ask nothing about its source. */
static bool at_own(struct flow *f)
{
	(void)road_walk_before(f, 0);
	f->trace->stage = "gateway";
	if (f->proto != (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		flow_step(f, "node", node_config.node, -1,
			"its own address answers ping, nothing else");
		return flow_drop(f, DROP_NOT_FOR_US, "node", node_config.node, -1);
	}
	flow_step(f, "node", node_config.node, -1, "its own address answers");
	return true;
}

/* From a tunnel fewer sources may talk to our gateway than through it. */
static bool may_ask_gateway(struct flow *f)
{
	const struct vtep *vtep = loc_is_tunnel(f->in) ? vtep_get(loc_index(f->in)) : NULL;
	struct service s;

	if (vtep == NULL || (service_begin(&s, f->in, f->vpc_index) &&
				    service_source_ok(&s, &f->smac, &f->src)))
		return true;
	flow_step(f, "node", vtep->name, -1, "the gateway has no business with that source");
	return flow_drop(f, s.reason, "node", vtep->name, -1);
}

static bool at_gateway(struct flow *f, const struct subnet *subnet)
{
	if (!road_walk_before(f, ROAD_ROUTE))
		return false;
	f->trace->stage = "gateway";
	if (!may_ask_gateway(f))
		return false;
	if (!is_served(f)) {
		flow_step(f, "subnet", subnet->name, -1,
			"its gateway answers ping and DHCP, nothing else");
		return flow_drop(f, DROP_UNSUPPORTED, "subnet", subnet->name, -1);
	}
	flow_step(f, "subnet", subnet->name, -1, "its gateway answers");
	return true;
}

static json_t *delivery_json(const struct flow *f, const struct subnet *gateway)
{
	if (is_own(f))
		return json_pack("{s:s}", "node", node_config.node);
	return gateway != NULL ? json_pack("{s:s}", "gateway", gateway->name) : explain_out(f);
}

static void explain(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *packet = json_object_get(params, "packet"),
		     *ttl_given = json_object_get(packet, "ttl");
	json_int_t ttl = json_is_integer(ttl_given) ? json_integer_value(ttl_given) : 64;
	struct flow_trace trace = {.n = 0};
	struct flow f = {.trace = &trace, .dry = true};
	const struct subnet *gateway;
	struct port *in;
	bool forward;

	(void)ctx;
	rcu_read_enter();
	if (!explain_ingress(call, json_object_get(params, "in"), &f) ||
		!explain_packet(call, packet, &f)) {
		rcu_read_leave();
		return;
	}
	in = loc_is_port(f.in) ? port_get(loc_index(f.in)) : NULL;
	gateway = gateway_of(&f);
	if (loc_is_port(f.in) &&
		!(explain_port_carries(&f, in) && explain_hooks_pass(&f, in, false, (uint8_t)ttl)))
		forward = false;
	else if (gateway != NULL)
		forward = at_gateway(&f, gateway);
	else if (is_own(&f))
		forward = at_own(&f);
	else
		forward = road_walk(&f) && egress_ok(&f, ttl);
	jsonrpc_reply(call,
		json_pack("{s:s, s:s?, s:o, s:{s:o, s:o}, s:o}", "verdict",
			forward ? "forward" : "drop", "reason",
			forward ? NULL : drop_reason_name(f.reason), "out",
			forward ? delivery_json(&f, gateway) : json_null(), "packet", "before",
			packet_json(&f, ttl), "after", forward ? after_json(&f, ttl) : json_null(),
			"steps", steps_json(&f, forward)));
	rcu_read_leave();
}
RPC_METHOD(explain_method, "explain", explain)
