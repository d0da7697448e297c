/* SPDX-License-Identifier: Apache-2.0 */
/* The outside's part of verdicts: how flows leave by a network, and where answers of those that came in go. */
#include "base/ip_text.h"
#include "core/config.h"
#include "external/external_internal.h"

/* Answers come to the port and are routed back where the flow's packets come from. */
static bool to_hop(struct flow *f, struct external *ext, const struct external_hop *hop)
{
	f->gateway = f->routed = true;
	f->dst_vpc = ext->scope;
	f->out = loc_port(ext->port->index);
	f->out_vpc_index = ext->scope->index;
	f->mtu = RTE_MIN(f->vpc->mtu, ext->scope->mtu);
	f->out_smac = ext->scope->gw_mac;
	f->out_dmac = hop->mac;
	f->reply_routed = true;
	f->reply_vni = f->vpc->vni;
	f->reply_smac = f->vpc->gw_mac;
	f->reply_dmac = f->src_ep != NULL ? f->src_ep->mac : f->smac;
	flow_step(f, "node", node_config.node, -1, "out by network %s", ext->name);
	return true;
}

bool external_leave(struct flow *f, struct external *ext)
{
	const struct endpoint *ep = endpoint_get(ext->scope->index, &f->new_dst);
	struct external_hop hop;
	char text[NET_ADDR_TEXT];

	flow_depend(f, ext->scope->epoch);
	if (ep != NULL && ep->service != NULL) {
		flow_depend(f, ep->epoch);
		flow_step(f, ep->service->kind, ep->port_name, -1, "its address, on this node");
		return ep->service->arrive(f, ep);
	}
	if (external_is_own(ext, &f->new_dst)) {
		flow_step(f, "node", node_config.node, -1, "its own address in network %s",
			ext->name);
		return flow_drop(f, DROP_NOT_FOR_US, "node", node_config.node, -1);
	}
	/* What runs already goes on to a next hop that does not answer: it may be back before anybody gives up. */
	if (external_hop(ext, &f->new_dst, f->kept != NULL, &hop)) {
		flow_depend(f, hop.epoch);
		return to_hop(f, ext, &hop);
	}
	if (f->dry && external_hop_may_answer(ext, &f->new_dst)) {
		flow_step(f, "node", node_config.node, -1, "the next hop to %s is asked for first",
			ip_addr_format(&f->new_dst, text));
		return to_hop(f, ext, &(struct external_hop){.epoch = EPOCH_NO_SLOT});
	}
	flow_step(f, "node", node_config.node, -1, "network %s: the next hop to %s does not answer",
		ext->name, ip_addr_format(&f->new_dst, text));
	return flow_drop(f, DROP_NO_NEIGHBOUR, "node", node_config.node, -1);
}

void external_enter(struct flow *f)
{
	struct external *ext = f->vpc->external;
	struct external_hop hop;

	flow_depend(f, ext->way[f->v6]);
	if (!external_way_back(ext, &f->src, &f->smac, &hop))
		return;
	flow_depend(f, hop.epoch);
	f->smac = hop.mac;
}
