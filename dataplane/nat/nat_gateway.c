/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "nat/nat_usage.h"

#define CHAINS 4096u

static struct nat_gateway *_Atomic gateways[NAT_GATEWAYS_MAX];
static struct nat_gateway *_Atomic chains[CHAINS]; /* by VNI */
static uint32_t n_gateways;                        /* ids are below. Control thread */

struct nat_gateway *nat_gateway_at(uint16_t id)
{
	return id < NAT_GATEWAYS_MAX ? rcu_ptr_get(gateways[id]) : NULL;
}

static struct nat_gateway *of_vni(struct nat_gateway *gw, uint32_t vni)
{
	while (gw != NULL && gw->vni != vni)
		gw = rcu_ptr_get(gw->next);
	return gw;
}

struct nat_gateway *nat_gateway_first(uint32_t vni)
{
	return of_vni(rcu_ptr_get(chains[vni % CHAINS]), vni);
}

struct nat_gateway *nat_gateway_next(const struct nat_gateway *gw)
{
	return of_vni(rcu_ptr_get(gw->next), gw->vni);
}

static bool serves(
	const struct nat_rules *rules, const struct nat_source *s, bool out_v6, bool nat64)
{
	if (nat64 && !s->nat64)
		return false;
	/* What addresses there are is known to the gateway alone. */
	return !rules->here || s->n[out_v6] != 0;
}

const struct nat_source *nat_rules_find(
	const struct nat_rules *rules, const struct ip_addr *src, bool out_v6, bool nat64)
{
	const struct prefix_match *m = rules->map != NULL ? prefix_map_find(rules->map, src) : NULL;

	for (; m != NULL; m = prefix_match_next(m))
		if (serves(rules, &rules->sources[m->value], out_v6, nat64))
			return &rules->sources[m->value];
	return NULL;
}

bool nat_source_has(
	const struct nat_rules *rules, const struct nat_source *source, uint32_t address)
{
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint32_t i = 0; i < source->n[v6]; i++)
			if (rules->addresses[source->first[v6] + i] == address)
				return true;
	return false;
}

void nat_rules_free(struct nat_rules *rules)
{
	if (rules == NULL)
		return;
	prefix_map_free(rules->map);
	free(rules->sources);
	free(rules->addresses);
	free(rules);
}

static void free_rules(void *rules)
{
	nat_rules_free(rules);
}

void nat_gateway_count(struct nat_gateway *gw, uint32_t by)
{
	_Atomic uint32_t *n = &gw->sessions[rcu_thread].n;

	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + by, memory_order_relaxed);
}

uint32_t nat_gateway_sessions(const struct nat_gateway *gw)
{
	uint32_t sum = 0;

	for (unsigned int t = 0; t < rcu_threads(); t++)
		sum += atomic_load_explicit(&gw->sessions[t].n, memory_order_relaxed);
	/* One may be counted off before it is counted, if not for long. */
	return (int32_t)sum < 0 ? 0 : sum;
}

static struct nat_gateway *gateway_alloc(void)
{
	size_t size = sizeof(struct nat_gateway) + rcu_threads() * sizeof(struct nat_sessions);
	struct nat_gateway *gw = aligned_alloc(_Alignof(struct nat_gateway), size);

	if (gw != NULL)
		memset((void *)gw, 0, size);
	return gw;
}

struct nat_gateway *nat_gateway_new(const char *name, uint32_t vni)
{
	struct nat_gateway *gw = gateway_alloc();

	errno = ENOMEM;
	if (gw == NULL)
		return NULL;
	for (uint32_t id = 1; id < NAT_GATEWAYS_MAX && gw->id == 0; id++)
		if (gateways[id] == NULL)
			gw->id = (uint16_t)id;
	gw->epoch = gw->id != 0 ? epoch_take() : EPOCH_NO_SLOT;
	if (gw->epoch == EPOCH_NO_SLOT) {
		free(gw);
		errno = ENOSPC;
		return NULL;
	}
	snprintf(gw->name, sizeof(gw->name), "%s", name);
	gw->vni = vni;
	/* Kept for it from now on. */
	n_gateways = gw->id >= n_gateways ? gw->id + 1u : n_gateways;
	rcu_ptr_set(gateways[gw->id], gw);
	return gw;
}

static void free_gateway(void *arg)
{
	free(arg);
}

void nat_gateway_drop(struct nat_gateway *gw)
{
	rcu_ptr_set(gateways[gw->id], NULL);
	epoch_free(gw->epoch);
	rcu_defer(free_gateway, gw);
}

static void link_in(struct nat_gateway *gw)
{
	struct nat_gateway *_Atomic *at = &chains[gw->vni % CHAINS];

	while (*at != NULL && strcmp((*at)->name, gw->name) < 0)
		at = &(*at)->next;
	gw->next = *at;
	rcu_ptr_set(*at, gw);
}

static void take_out(struct nat_gateway *gw)
{
	struct nat_gateway *_Atomic *at = &chains[gw->vni % CHAINS];

	while (*at != NULL && *at != gw)
		at = &(*at)->next;
	if (*at == gw)
		rcu_ptr_set(*at, (struct nat_gateway *)gw->next);
}

void nat_gateway_set(struct nat_gateway *gw, struct nat_rules *rules)
{
	struct nat_rules *old = gw->rules;

	rcu_ptr_set(gw->rules, rules);
	if (old == NULL && rules != NULL)
		link_in(gw);
	else if (old != NULL && rules == NULL)
		take_out(gw);
	gw->gone = rules == NULL;
	gw->gone_token = rcu_token();
	epoch_bump(gw->epoch);
	if (rules != NULL && rules->here)
		nat_usage_begin(gw);
	else
		nat_usage_end(gw);
	if (old != NULL)
		rcu_defer(free_rules, old);
}

void nat_gateway_each(void (*fn)(struct nat_gateway *gw, void *arg), void *arg)
{
	for (uint32_t id = 1; id < n_gateways; id++) {
		struct nat_gateway *gw = nat_gateway_at((uint16_t)id);

		if (gw != NULL)
			fn(gw, arg);
	}
}

static void turn(struct nat_gateway *gw, void *arg)
{
	(void)arg;
	/* A worker that still saw its rules may make one more record. */
	if (gw->gone && rcu_token_passed(gw->gone_token) &&
		atomic_load_explicit(&gw->records, memory_order_acquire) == 0)
		nat_gateway_drop(gw);
}

void nat_gateway_turn(void)
{
	nat_gateway_each(turn, NULL);
}
