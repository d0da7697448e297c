/* SPDX-License-Identifier: Apache-2.0 */
/* VPCs by index and by VNI, and what is put right once at the end of a transaction. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/node.h"
#include "core/rcu.h"
#include "external/external.h"
#include "vpc/vpc.h"
#include "vpc/vpc_internal.h"

/* VNI → index in two steps, so that a look-up is two loads and memory follows the VNIs in use: a page is
 * made for the first of its 4096 VNIs and stays. */
#define VNI_PAGE_BITS 12
#define VNI_PAGES (1u << (24 - VNI_PAGE_BITS))
#define VNI_PAGE_SIZE (1u << VNI_PAGE_BITS)

static struct vpc *_Atomic vpcs[VPC_INDEX_MAX];
static _Atomic uint32_t *_Atomic vni_pages[VNI_PAGES];
static uint32_t next_index = 1;
static uint32_t n_vpcs;

static struct vpc *dirty_vpcs;
static struct vpc *retired_vpcs; /* linked by next_dirty */
static struct subnet *retired_subnets;

struct vpc *vpc_get(uint32_t index)
{
	return index < VPC_INDEX_MAX ? rcu_ptr_get(vpcs[index]) : NULL;
}

struct vpc *vpc_by_vni(uint32_t vni)
{
	_Atomic uint32_t *page;

	if (vni >> 24 != 0)
		return NULL;
	page = rcu_ptr_get(vni_pages[vni >> VNI_PAGE_BITS]);
	return page != NULL ? vpc_get(rcu_ptr_get(page[vni % VNI_PAGE_SIZE])) : NULL;
}

static uint32_t take_index(void)
{
	for (uint32_t n = 1; n < VPC_INDEX_MAX; n++) {
		uint32_t index = next_index;

		next_index = next_index + 1 < VPC_INDEX_MAX ? next_index + 1 : 1;
		if (vpcs[index] == NULL)
			return index;
	}
	return PKT_VPC_NONE;
}

struct ip_addr ip_link_local_of(const struct rte_ether_addr *mac)
{
	const uint8_t *b = mac->addr_bytes;

	return (struct ip_addr){
		.bytes = {0xfe, 0x80, [8] = b[0] ^ 2, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]}};
}

static _Atomic uint32_t *vni_page(uint32_t vni)
{
	_Atomic uint32_t *_Atomic *at = &vni_pages[vni >> VNI_PAGE_BITS];

	if (*at == NULL)
		rcu_ptr_set(*at, (_Atomic uint32_t *)calloc(VNI_PAGE_SIZE, sizeof(**at)));
	return *at;
}

struct vpc *vpc_new(uint32_t vni)
{
	struct vpc *vpc = calloc(1, sizeof(*vpc));

	if (vpc == NULL || vni_page(vni) == NULL) {
		free(vpc);
		errno = ENOMEM;
		return NULL;
	}
	vpc->vni = vni;
	vpc->index = take_index();
	vpc->epoch = vpc->index != PKT_VPC_NONE ? epoch_take() : EPOCH_NO_SLOT;
	if (vpc->epoch == EPOCH_NO_SLOT) {
		free(vpc);
		errno = ENOSPC;
		return NULL;
	}
	return vpc;
}

struct vpc *vpc_scope_new(const char *name)
{
	struct vpc *scope = calloc(1, sizeof(*scope));

	if (scope == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	scope->index = take_index();
	scope->epoch = scope->index != PKT_VPC_NONE ? epoch_take() : EPOCH_NO_SLOT;
	if (scope->epoch == EPOCH_NO_SLOT) {
		free(scope);
		errno = ENOSPC;
		return NULL;
	}
	snprintf(scope->name, sizeof(scope->name), "%s", name);
	return scope;
}

void vpc_scope_put(struct vpc *scope)
{
	rcu_ptr_set(vpcs[scope->index], scope);
	vpc_dirty(scope);
}

void vpc_scope_retire(struct vpc *scope)
{
	rcu_ptr_set(vpcs[scope->index], NULL);
	vpc_dirty(scope);
	scope->retired = true;
}

uint32_t vpc_count(void)
{
	return n_vpcs;
}

void vpc_put(struct vpc *vpc)
{
	n_vpcs++;
	rcu_ptr_set(vpcs[vpc->index], vpc);
	rcu_ptr_set(vni_page(vpc->vni)[vpc->vni % VNI_PAGE_SIZE], vpc->index);
	vpc_dirty(vpc);
}

bool vpc_has_peer(const struct vpc *vpc, uint32_t vni)
{
	for (uint32_t p = 0; p < vpc->n_peers; p++)
		if (vpc->peers[p] == vni)
			return true;
	return false;
}

/* Nobody's routes may lead to it any more, whether or not it names them as its peers. */
static void peers_forget(const struct vpc *vpc)
{
	for (uint32_t n = 1; n < VPC_INDEX_MAX; n++) {
		struct vpc *other = vpcs[n];

		if (other != NULL && vpc_has_peer(other, vpc->vni))
			vpc_dirty(other);
	}
}

void vpc_retire(struct vpc *vpc)
{
	_Atomic uint32_t *page = vni_pages[vpc->vni >> VNI_PAGE_BITS];

	n_vpcs--;
	peers_forget(vpc);

	rcu_ptr_set(page[vpc->vni % VNI_PAGE_SIZE], 0);
	rcu_ptr_set(vpcs[vpc->index], NULL);
	vpc_dirty(vpc);
	vpc->retired = true;
}

/* What comes in from networks that it has routes to is for its ranges. */
static void scopes_dirty(const struct vpc *vpc)
{
	const struct custom_route *r;

	LIST_FOREACH (r, &vpc->outward_routes, outward) {
		route_work.looks++;
		vpc_dirty(r->route.external->scope);
	}
}

void vpc_dirty(struct vpc *vpc)
{
	scopes_dirty(vpc);
	if (vpc->dirty || vpc->retired)
		return;
	vpc->dirty = true;
	vpc->next_dirty = dirty_vpcs;
	dirty_vpcs = vpc;
}

void subnet_retire(struct subnet *subnet, struct subnet *replaced_by)
{
	subnet->retired = true;
	subnet->replaced_by = replaced_by;
	subnet->next = retired_subnets;
	retired_subnets = subnet;
}

static struct subnet *successor(struct subnet *subnet)
{
	while (subnet != NULL && subnet->retired)
		subnet = subnet->replaced_by;
	return subnet;
}

static void endpoint_follow_subnet(struct endpoint *endpoint, void *arg)
{
	(void)arg;
	if (endpoint->subnet != NULL && endpoint->subnet->retired)
		rcu_ptr_set(endpoint->subnet, successor(endpoint->subnet));
}

static void vnics_follow_subnet(void)
{
	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port)) {
		struct vnic *vnic = port->role == PORT_TENANT ? vnic_of(port) : NULL;

		if (vnic != NULL && vnic->subnet != NULL && vnic->subnet->retired)
			rcu_ptr_set(vnic->subnet, successor(vnic->subnet));
	}
}

static void settle_subnets(void)
{
	if (retired_subnets == NULL)
		return;
	endpoint_each(endpoint_follow_subnet, NULL);
	vnics_follow_subnet();
	while (retired_subnets != NULL) {
		struct subnet *subnet = retired_subnets;

		retired_subnets = subnet->next;
		rcu_defer(free, subnet);
	}
}

static void vpc_free(void *arg)
{
	struct vpc *vpc = arg;

	route_table_free(vpc->routes);
	custom_routes_free(vpc);
	free(vpc->cidrs);
	free(vpc->peers);
	free(vpc);
}

void vpc_drop(struct vpc *vpc)
{
	epoch_free(vpc->epoch);
	vpc_free(vpc);
}

/* What leaves for a VPC over a peering was decided by its routes too. */
static void peers_bump(const struct vpc *vpc)
{
	for (uint32_t p = 0; p < vpc->n_peers; p++) {
		const struct vpc *peer = vpc_by_vni(vpc->peers[p]);

		if (peer != NULL)
			epoch_bump(peer->epoch);
	}
}

void vpc_settle(void)
{
	struct vpc *todo = dirty_vpcs;

	dirty_vpcs = NULL;
	while (todo != NULL) {
		struct vpc *vpc = todo;

		todo = vpc->next_dirty;
		vpc->dirty = false;
		if (vpc->retired) {
			vpc->next_dirty = retired_vpcs;
			retired_vpcs = vpc;
		} else if (route_table_rebuild(vpc) == 0) {
			epoch_bump(vpc->epoch);
			peers_bump(vpc);
		} else {
			vpc_dirty(
				vpc); /* no memory: forwards by the old routes until the next try */
		}
	}
	settle_subnets();
	/* Now nothing leads to them any more. */
	while (retired_vpcs != NULL) {
		struct vpc *vpc = retired_vpcs;

		retired_vpcs = vpc->next_dirty;
		epoch_free(vpc->epoch);
		drop_pass_on(drop_owner_vpc(vpc->index), drop_owner_node());
		rcu_defer(vpc_free, vpc);
	}
}
