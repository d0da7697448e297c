/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/explain.h"

#include <netinet/in.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/flow_trace.h"
#include "core/rpc.h"
#include "external/external.h"
#include "forward/verdict.h"
#include "hook/hook.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

static bool read_address(const json_t *packet, const char *member, struct ip_addr *a)
{
	return ip_addr_parse(json_string_value(json_object_get(packet, member)), a);
}

static bool read_mac(const json_t *packet, const char *member, struct rte_ether_addr *mac)
{
	const char *text = json_string_value(json_object_get(packet, member));

	return text != NULL && rte_ether_unformat_addr(text, mac) == 0;
}

static uint16_t read_port(const json_t *packet, const char *member)
{
	return rte_cpu_to_be_16((uint16_t)json_integer_value(json_object_get(packet, member)));
}

static bool enter_from_outside(struct jsonrpc_call *call, const char *name, struct flow *f)
{
	const struct external *ext;

	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++) {
		if (strcmp(ext->name, name) != 0)
			continue;
		f->in = loc_port(ext->port->index);
		f->vpc_index = ext->scope->index;
		return true;
	}
	jsonrpc_failf(call, ERROR_NOT_FOUND, NULL, "no network %s is on this node", name);
	return false;
}

bool explain_ingress(struct jsonrpc_call *call, const json_t *in, struct flow *f)
{
	const char *name = json_string_value(json_object_get(in, "port"));
	const char *vtep_name = json_string_value(json_object_get(in, "vtep"));
	const char *external = json_string_value(json_object_get(in, "external"));

	if (external != NULL)
		return enter_from_outside(call, external, f);
	if (name != NULL) {
		const struct port *p = port_by_name(name);

		if (p == NULL) {
			jsonrpc_failf(
				call, ERROR_NOT_FOUND, NULL, "port %s is not on this node", name);
			return false;
		}
		f->in = loc_port(p->index);
		f->vpc_index = p->vpc_index;
		return true;
	}
	const struct vtep *vtep = vtep_name != NULL ? vtep_by_name(vtep_name) : NULL;
	const struct vpc *vpc =
		vpc_by_vni((uint32_t)json_integer_value(json_object_get(in, "vni")));

	if (vtep == NULL || vpc == NULL) {
		jsonrpc_fail(call, ERROR_NOT_FOUND,
			vtep == NULL ? "unknown VTEP" : "the VNI is not on this node", NULL);
		return false;
	}
	f->in = loc_tunnel(vtep->index);
	f->vpc_index = vpc->index;
	return true;
}

/* What the sender's kernel would put there: the next hop's MAC. */
static struct rte_ether_addr default_dmac(const struct flow *f)
{
	const struct vpc *vpc = vpc_get(f->vpc_index);
	const struct endpoint *src = endpoint_get(f->vpc_index, &f->src),
			      *dst = endpoint_get(f->vpc_index, &f->dst);

	if (src != NULL && dst != NULL && src->subnet == dst->subnet && src->subnet != NULL)
		return dst->mac;
	return vpc != NULL ? vpc->gw_mac : (struct rte_ether_addr){{0}};
}

bool explain_packet(struct jsonrpc_call *call, const json_t *packet, struct flow *f)
{
	const struct port *in = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;

	if (!read_address(packet, "source", &f->src)) {
		rpc_invalid(call, "/packet/source", "is not an IP address");
		return false;
	}
	if (!read_address(packet, "destination", &f->dst) ||
		ip_addr_is_v4(&f->dst) != ip_addr_is_v4(&f->src)) {
		rpc_invalid(
			call, "/packet/destination", "is not an IP address of the source's family");
		return false;
	}
	f->v6 = !ip_addr_is_v4(&f->src);
	f->proto = (uint8_t)json_integer_value(json_object_get(packet, "protocol"));
	f->sport = read_port(packet, "source_port");
	f->dport = read_port(packet, "port");
	if (f->proto == (f->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		f->icmp_type = f->v6 ? 128 : 8;
		f->dport = rte_cpu_to_be_16((uint16_t)(f->icmp_type << 8));
	} else if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP) {
		f->sport = f->dport = 0;
	}
	if (!read_mac(packet, "smac", &f->smac) && in != NULL)
		f->smac = in->mac;
	if (!read_mac(packet, "dmac", &f->dmac))
		f->dmac = default_dmac(f);
	return true;
}

json_t *explain_mac(const struct rte_ether_addr *mac)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(text, sizeof(text), mac);
	for (char *c = text; *c != '\0'; c++)
		*c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
	return json_string(text);
}

json_t *explain_address(const struct ip_addr *a)
{
	char text[NET_ADDR_TEXT];

	return json_string(ip_addr_format(a, text));
}

json_t *explain_out(const struct flow *f)
{
	if (loc_is_tunnel(f->out)) {
		const struct vtep *v = vtep_get(loc_index(f->out));

		return json_pack("{s:s, s:I}", "vtep", v != NULL ? v->name : "", "vni",
			(json_int_t)f->out_vni);
	}
	const struct port *p = port_get(loc_index(f->out));

	if (f->dst_vpc != NULL && f->dst_vpc->external != NULL)
		return json_pack("{s:s}", "external", f->dst_vpc->name);
	return json_pack("{s:s}", "port", p != NULL ? p->name : "");
}

bool explain_port_carries(struct flow *f, const struct port *p)
{
	const char *why = NULL;

	if (p == NULL)
		return flow_drop(f, DROP_PORT_DOWN, "port", NULL, -1);
	if (p->state == PORT_DETACHED)
		why = "the port is detached";
	else if (p->state != PORT_ACTIVE)
		why = p->reason[0] != '\0' ? p->reason : "the port is down";
	else if (!p->enabled)
		why = "the port is disabled";
	if (why == NULL)
		return true;
	f->trace->stage = "port";
	flow_step(f, "port", p->name, -1, "%s", why);
	return flow_drop(f, DROP_PORT_DOWN, "port", p->name, -1);
}

struct flow explain_after(const struct flow *f)
{
	struct flow a = *f;

	a.src = f->new_src;
	a.dst = f->new_dst;
	a.sport = f->new_sport;
	a.dport = f->new_dport;
	a.v6 = f->out_v6;
	a.proto = verdict_out_proto(f);
	if (f->icmp_type != 0)
		a.icmp_type = a.v6 ? 128 : 8;
	if (f->routed) {
		a.smac = f->out_smac;
		a.dmac = f->out_dmac;
	}
	return a;
}

bool explain_hooks_pass(struct flow *f, struct port *port, bool after, uint8_t ttl)
{
	enum observe_direction d = after ? OBSERVE_GIVEN : OBSERVE_SENT;
	const struct flow a = after ? explain_after(f) : *f;
	static const uint8_t no_token[LIVE_TOKEN];
	uint8_t frame[LIVE_FRAME_MAX];

	return (port->hooked & d) == 0 ||
	       hook_explain(f, port, d, frame, live_frame_make(&a, ttl, no_token, frame));
}
