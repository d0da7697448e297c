/* SPDX-License-Identifier: Apache-2.0 */
#include "external/external.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"

static struct external *_Atomic networks[EXTERNALS_MAX];
static uint32_t n_networks;

struct external *external_at(uint32_t index)
{
	return index < EXTERNALS_MAX ? rcu_ptr_get(networks[index]) : NULL;
}

struct external *external_find(const char *name, bool v6)
{
	struct external *ext;

	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		if (external_has(ext, v6) && (*name == '\0' || strcmp(ext->name, name) == 0))
			return ext;
	return NULL;
}

static bool exists(const char *name)
{
	for (uint32_t i = 0; i < n_networks; i++)
		if (strcmp(networks[i]->name, name) == 0)
			return true;
	return false;
}

struct external *external_new(const char *name, struct port *port, const struct external_family *v4,
	const struct external_family *v6)
{
	struct external *ext;

	errno = exists(name) ? EEXIST : n_networks == EXTERNALS_MAX ? ENOSPC : ENOMEM;
	if (errno != ENOMEM || (ext = calloc(1, sizeof(*ext))) == NULL)
		return NULL;
	ext->scope = vpc_scope_new(name);
	if (ext->scope == NULL) {
		free(ext);
		return NULL;
	}
	snprintf(ext->name, sizeof(ext->name), "%s", name);
	ext->index = n_networks;
	ext->port = port;
	if (v4 != NULL)
		ext->v4 = *v4;
	if (v6 != NULL)
		ext->v6 = *v6;
	ext->scope->external = ext;
	ext->scope->gw_mac = port->mac;
	ext->scope->mtu = port->mtu;
	vpc_scope_put(ext->scope);
	vpc_settle();
	port->vpc_index = ext->scope->index;
	port->gw_mac = port->mac;
	rcu_ptr_set(networks[n_networks], ext);
	n_networks++;
	return ext;
}

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
	if (!external_hop(ext, &f->new_dst, &hop)) {
		flow_step(f, NULL, NULL, -1, "network %s: the next hop to %s is not known",
			ext->name, ip_addr_format(&f->new_dst, text));
		return flow_drop(f, DROP_NO_NEIGHBOUR, NULL, NULL, -1);
	}
	flow_depend(f, hop.epoch);
	flow_step(f, NULL, NULL, -1, "out by network %s", ext->name);
	return to_hop(f, ext, &hop);
}
