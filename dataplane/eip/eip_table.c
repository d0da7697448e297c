/* SPDX-License-Identifier: Apache-2.0 */
/* Elastic IPs by name and by private address: RCU chains from heads that never move, one writer. In its outside network the address
 * itself is found as an endpoint (vpc/vpc.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "core/pkt.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "eip/eip_record.h"

#define HEADS 16384u

static struct eip_record *_Atomic named[HEADS], *_Atomic privates[HEADS];

static struct eip_record *_Atomic *named_head(const char *name)
{
	uint64_t h = 0;

	for (; *name != '\0'; name++)
		h = hash_mix(h, (uint8_t)*name);
	return &named[hash_fold(h) % HEADS];
}

static struct eip_record *_Atomic *private_head(uint32_t vpc_index, const struct ip_addr *addr)
{
	uint64_t h = hash_mix(hash_mix(vpc_index, addr->q[0]), addr->q[1]);

	return &privates[hash_fold(h) % HEADS];
}

static struct eip_record *in_chain(struct eip_record *_Atomic *head, const char *name)
{
	struct eip_record *r = rcu_ptr_get(*head);

	while (r != NULL && strcmp(r->eip.name, name) != 0)
		r = rcu_ptr_get(r->next_named);
	return r;
}

struct eip_record *eip_record_by_name(const char *name)
{
	return in_chain(named_head(name), name);
}

const struct eip *eip_by_name(const char *name)
{
	const struct eip_record *r = eip_record_by_name(name);

	return r != NULL ? &r->eip : NULL;
}

void eip_handle_set(struct eip_handle *handle, const char *name)
{
	handle->chain = named_head(name);
	snprintf(handle->name, sizeof(handle->name), "%s", name);
}

const struct eip *eip_by_handle(const struct eip_handle *handle)
{
	const struct eip_record *r = in_chain(handle->chain, handle->name);

	return r != NULL ? &r->eip : NULL;
}

const struct eip_record *eip_record_by_private(uint32_t vpc_index, const struct ip_addr *addr)
{
	const struct eip_record *r = rcu_ptr_get(*private_head(vpc_index, addr));

	while (r != NULL &&
		(r->vpc_index != vpc_index || !ip_addr_equal(&r->private_address, addr)))
		r = rcu_ptr_get(r->next_private);
	return r;
}

struct eip_record *eip_record_next(const struct eip_record *previous)
{
	struct eip_record *_Atomic *head = named;

	if (previous != NULL) {
		if (previous->next_named != NULL)
			return previous->next_named;
		head = named_head(previous->eip.name) + 1;
	}
	while (head < named + HEADS && *head == NULL)
		head++;
	return head < named + HEADS ? *head : NULL;
}

/* --- changes --- */

static void link_named(struct eip_record *r)
{
	struct eip_record *_Atomic *head = named_head(r->eip.name);

	r->next_named = *head;
	rcu_ptr_set(*head, r);
}

static void unlink_named(struct eip_record *r)
{
	struct eip_record *_Atomic *at = named_head(r->eip.name), *other;

	while ((other = *at) != r)
		at = &other->next_named;
	rcu_ptr_set(*at, r->next_named);
}

static void link_private(struct eip_record *r)
{
	struct eip_record *_Atomic *head = private_head(r->vpc_index, &r->private_address);

	if (!r->bound)
		return;
	r->next_private = *head;
	rcu_ptr_set(*head, r);
}

static void unlink_private(struct eip_record *r)
{
	struct eip_record *_Atomic *at = private_head(r->vpc_index, &r->private_address), *other;

	if (!r->bound)
		return;
	while ((other = *at) != r)
		at = &other->next_private;
	rcu_ptr_set(*at, r->next_private);
}

/* What the machine sends out may have gone another way, or have none: its flows are asked again. */
static void tell_source(const struct eip_record *r)
{
	const struct endpoint *ep =
		r->bound ? endpoint_get(r->vpc_index, &r->private_address) : NULL;
	const struct port *port =
		ep != NULL && loc_is_port(ep->where) ? port_get(loc_index(ep->where)) : NULL;
	const struct vnic *vnic = port != NULL ? vnic_of(port) : NULL;

	if (vnic != NULL)
		epoch_bump(vnic->epoch);
	else if (ep != NULL)
		epoch_bump(ep->epoch);
}

/* Tells the controller that its network is missing, and when it no longer is. */
static void tell_missing(const struct eip_record *r)
{
	bool missing = r->life->here && r->eip.ext == NULL;
	const char *network = *r->network != '\0' ? r->network : "of its family";

	if (missing == r->life->told_missing)
		return;
	r->life->told_missing = missing;
	if (missing)
		rpc_event("warning", EIP_KIND, r->eip.name, "eip_inactive",
			"eip %s: network %s is not on this node", r->eip.name, network);
	else
		rpc_event("info", EIP_KIND, r->eip.name, "eip_active",
			"eip %s: network %s is there", r->eip.name, network);
}

/* The address is one of the network's from now on: answered for, and led to the record. */
static void enter(struct eip_record *r, struct external *ext, struct endpoint *ep)
{
	ep->vpc_index = ext->scope->index;
	ep->mac = ext->scope->gw_mac;
	ep->service = &r->service;
	endpoint_put(ep);
	r->eip.epoch = ep->epoch;
	r->eip.ext = ext;
}

/* Unless another record has the address by now. */
static void withdraw(const struct eip_record *r)
{
	const struct endpoint *ep =
		r->eip.ext != NULL ? endpoint_get(r->eip.ext->scope->index, &r->eip.address) : NULL;

	if (ep != NULL && ep->service == &r->service)
		endpoint_remove(ep->vpc_index, &r->eip.address, LOC_NONE);
}

static void free_record(void *arg)
{
	eip_record_free(arg);
}

static void unlink_record(struct eip_record *r)
{
	unlink_named(r);
	unlink_private(r);
	withdraw(r);
}

/* The new one's epochs are bumped when all of it is published: who asked in between may have been told half. */
static void tell_flows(const struct eip_record *r)
{
	epoch_bump(r->eip.epoch);
	tell_source(r);
}

void eip_record_put(struct eip_record *r, struct endpoint *ep)
{
	struct eip_record *old = eip_record_by_name(r->eip.name);
	struct external *ext =
		ep != NULL ? external_find(r->network, !ip_addr_is_v4(&r->eip.address)) : NULL;

	r->eip.epoch = r->life->epoch;
	eip_life_set(r->life, r);
	if (ext != NULL)
		enter(r, ext, ep);
	else
		endpoint_free(ep);
	link_named(r);
	link_private(r);
	if (old != NULL) {
		unlink_record(old);
		tell_flows(old);
		if (old->life != r->life)
			eip_life_retire(old->life);
		rcu_defer(free_record, old);
	}
	tell_flows(r);
	tell_missing(r);
}

void eip_record_remove(struct eip_record *r)
{
	unlink_record(r);
	tell_flows(r);
	eip_life_retire(r->life);
	rcu_defer(free_record, r);
}

void eip_record_free(struct eip_record *r)
{
	if (r == NULL)
		return;
	prefix_map_free(r->denied);
	free(r);
}
