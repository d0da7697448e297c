/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints by (VPC, address): chains from an array of heads that never moves.
 *
 * One writer (the control thread), readers under RCU. A record is published by one store: into its head
 * when it is new, in its predecessor's link when it replaces or leaves. So a reader sees the old record
 * or the new one, and always the rest of the chain. 8 bytes a head, one or two heads an endpoint.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/rcu.h"
#include "policy/group_set.h"
#include "vpc/claim.h"
#include "vpc/vpc_internal.h"

static struct endpoint *_Atomic *heads;
static uint32_t mask;
static uint32_t n_endpoints, capacity;
static uint64_t seed =
	0x9e3779b97f4a7c15ull; /* tenants choose addresses: chains must not be theirs to build */

int vpc_init(uint32_t wanted)
{
	uint64_t size = 1;

	while (size < wanted)
		size <<= 1;
	heads = calloc(size, sizeof(*heads));
	if (heads == NULL)
		return -ENOMEM;
	mask = (uint32_t)(size - 1);
	capacity = wanted;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed ^= (uintptr_t)heads;
	return 0;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ (h >> 32);
}

static struct endpoint *_Atomic *head_of(uint32_t vpc_index, const struct ip_addr *addr)
{
	uint64_t h = mix(seed ^ addr->q[0]);

	h = mix(h ^ addr->q[1]) ^ vpc_index;
	return &heads[mix(h) & mask];
}

static bool matches(const struct endpoint *e, uint32_t vpc_index, const struct ip_addr *addr)
{
	return e->vpc_index == vpc_index && ip_addr_equal(&e->addr, addr);
}

struct endpoint *endpoint_get(uint32_t vpc_index, const struct ip_addr *addr)
{
	struct endpoint *e = rcu_ptr_get(*head_of(vpc_index, addr));

	while (e != NULL && !matches(e, vpc_index, addr))
		e = rcu_ptr_get(e->next);
	return e;
}

uint32_t endpoint_count(void)
{
	return n_endpoints;
}

uint32_t endpoint_capacity(void)
{
	return capacity;
}

struct endpoint *endpoint_new(uint32_t vpc_index, const struct ip_addr *addr, const char *port_name)
{
	size_t size = strlen(port_name) + 1;
	struct endpoint *e = calloc(1, sizeof(*e) + size);

	if (e == NULL)
		return NULL;
	e->vpc_index = vpc_index;
	e->addr = *addr;
	e->where = LOC_NONE;
	memcpy(e->port_name, port_name, size);
	return e;
}

void endpoint_free(struct endpoint *endpoint)
{
	if (endpoint != NULL && endpoint->groups != NULL)
		group_set_put(endpoint->groups, NULL);
	free(endpoint);
}

static void retire(struct endpoint *e)
{
	if (e->groups != NULL)
		group_set_put(e->groups, rcu_defer);
	rcu_defer(free, e);
}

/* What a session may have used of the record it replaces. */
static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->where == b->where && rte_is_same_ether_addr(&a->mac, &b->mac) &&
	       a->groups == b->groups && a->subnet == b->subnet;
}

static void take_epoch(struct endpoint *e)
{
	const struct vpc *vpc = vpc_get(e->vpc_index);

	e->epoch = epoch_take();
	e->own_epoch = e->epoch != EPOCH_NO_SLOT;
	if (!e->own_epoch && vpc != NULL)
		e->epoch =
			vpc->epoch; /* all slots are taken: shares, which costs re-validation only */
}

void endpoint_put(struct endpoint *endpoint)
{
	struct endpoint *_Atomic *at = head_of(endpoint->vpc_index, &endpoint->addr);
	struct endpoint *old;

	while ((old = *at) != NULL && !matches(old, endpoint->vpc_index, &endpoint->addr))
		at = &old->next;
	if (old == NULL) {
		take_epoch(endpoint);
		at = head_of(endpoint->vpc_index, &endpoint->addr);
		endpoint->next = *at;
		rcu_ptr_set(*at, endpoint);
		n_endpoints++;
		return;
	}
	endpoint->epoch = old->epoch;
	endpoint->own_epoch = old->own_epoch;
	endpoint->next = old->next;
	rcu_ptr_set(*at, endpoint);
	if (!same(old, endpoint))
		epoch_bump(endpoint->epoch);
	if (!rte_is_same_ether_addr(&old->mac, &endpoint->mac))
		claim_announce(endpoint);
	retire(old);
}

void endpoint_remove(uint32_t vpc_index, const struct ip_addr *addr, loc_t here)
{
	struct endpoint *_Atomic *at = head_of(vpc_index, addr);
	struct endpoint *old;

	while ((old = *at) != NULL && !matches(old, vpc_index, addr))
		at = &old->next;
	if (old == NULL ||
		(here == LOC_TUNNEL_BIT ? !loc_is_tunnel(old->where) : old->where != here))
		return;
	rcu_ptr_set(*at, old->next);
	n_endpoints--;
	if (old->own_epoch)
		epoch_free(old->epoch);
	else
		epoch_bump(old->epoch);
	retire(old);
}

void endpoint_each(void (*fn)(struct endpoint *endpoint, void *arg), void *arg)
{
	for (uint32_t n = 0; heads != NULL && n <= mask; n++) {
		for (struct endpoint *e = heads[n], *next; e != NULL; e = next) {
			next = e->next;
			fn(e, arg);
		}
	}
}
