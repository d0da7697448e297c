/* SPDX-License-Identifier: Apache-2.0 */
/* What elastic IPs decide about flows: 1:1 translation for a port, and what the address refuses whatever it serves. */
#include <string.h>

#include <rte_cycles.h>

#include "base/ip_text.h"
#include "eip/eip_record.h"
#include "vpc/exit.h"

static struct eip_use *uses;

void eip_use_register(struct eip_use *use)
{
	use->next = uses;
	uses = use;
}

const struct eip_use *eip_use_find(const char *use)
{
	const struct eip_use *u = uses;

	while (u != NULL && strcmp(u->use, use) != 0)
		u = u->next;
	return u;
}

void eip_meter(struct flow *f, const struct eip *eip, bool inward)
{
	flow_depend(f, eip->epoch);
	if (eip->rate.ingress == QOS_NONE) {
		flow_account(f, eip_record_of(eip)->life->account, inward);
		return;
	}
	flow_meter(f, inward ? 0 : 1, eip->rate.ingress);
	flow_meter(f, inward ? 1 : 0, eip->rate.egress);
}

static bool refuse(struct flow *f, const struct eip_record *r, enum drop_reason reason)
{
	return flow_drop(f, reason, EIP_KIND, r->eip.name, -1);
}

/* `peer`: who is at the other end, outside. */
static bool admits(struct flow *f, const struct eip_record *r, const struct ip_addr *peer)
{
	char text[NET_ADDR_TEXT];

	flow_depend(f, r->eip.epoch);
	if (r->blackhole) {
		flow_step(f, EIP_KIND, r->eip.name, -1, "is a black hole");
		return refuse(f, r, DROP_BLACKHOLE);
	}
	if (r->denied != NULL && prefix_map_find(r->denied, peer) != NULL) {
		flow_step(f, EIP_KIND, r->eip.name, -1, "%s is in deny_cidrs",
			ip_addr_format(peer, text));
		return refuse(f, r, DROP_EIP_DENIED);
	}
	return true;
}

/* Connections from the outside, a second's worth at once. Those that are asked again, and questions, take nothing. */
static bool may_begin(struct flow *f, const struct eip_record *r)
{
	uint64_t due;

	if (r->new_per_s == 0 || f->kept != NULL || f->dry ||
		bucket_take(&r->life->new_flows, rte_rdtsc(), 1, &due))
		return true;
	flow_step(f, EIP_KIND, r->eip.name, -1, "takes %u new connections a second", r->new_per_s);
	return refuse(f, r, DROP_RATE_LIMITED);
}

static bool to_port(struct flow *f, const struct eip_record *r)
{
	struct vpc *vpc = vpc_get(r->vpc_index);
	char text[NET_ADDR_TEXT];

	if (vpc == NULL)
		return refuse(f, r, DROP_STALE);
	eip_meter(f, &r->eip, true);
	flow_step(f, EIP_KIND, r->eip.name, -1, "1:1 to %s of port %s",
		ip_addr_format(&r->private_address, text), r->port);
	return flow_deliver(f, vpc, &r->private_address);
}

bool eip_arrive(struct flow *f, const struct endpoint *ep)
{
	const struct eip_record *r = eip_of_service(ep->service);

	if (!admits(f, r, &f->new_src) || !may_begin(f, r))
		return false;
	if (r->bound)
		return to_port(f, r);
	if (r->use != NULL)
		return r->use->arrive(f, &r->eip);
	flow_step(f, EIP_KIND, r->eip.name, -1, "serves nothing");
	return refuse(f, r, DROP_NO_ROUTE);
}

bool eip_leave(struct flow *f, const struct eip *eip)
{
	const struct eip_record *r = eip_record_of(eip);

	if (!admits(f, r, &f->new_dst))
		return false;
	if (eip->ext == NULL) {
		flow_step(f, EIP_KIND, eip->name, -1, "network %s is not on this node",
			*r->network != '\0' ? r->network : "of its family");
		return refuse(f, r, DROP_NO_ROUTE);
	}
	eip_meter(f, eip, false);
	return external_leave(f, eip->ext);
}

static bool leave(struct flow *f)
{
	const struct eip_record *r = f->leave_object;
	char text[NET_ADDR_TEXT];

	flow_step(f, EIP_KIND, r->eip.name, -1, "1:1 as %s", ip_addr_format(&r->eip.address, text));
	f->new_src = r->eip.address;
	return eip_leave(f, &r->eip);
}

/* The way out of machines that have one. */
static bool find(struct flow *f)
{
	const struct eip_record *r = eip_record_by_private(f->vpc_index, &f->src);

	if (r == NULL)
		return false;
	flow_depend(f, r->eip.epoch);
	flow_step(f, EIP_KIND, r->eip.name, -1, "belongs to the source");
	if (r->gateway != LOC_NONE) {
		flow_to_gateway(f, r->gateway);
		return true;
	}
	f->leave = leave;
	f->leave_object = r;
	return true;
}

VPC_EXIT(eip_exit, 100, find)
