/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints by (VPC, address), and those with an IPv6 address by (VPC, MAC) too: chains from an array of heads that never moves.
 *
 * One writer (the control thread), readers under RCU. A record is published by one store: into its head
 * when it is new, in its predecessor's link when it replaces or leaves. So a reader sees the old record
 * or the new one, and always the rest of the chain. 8 bytes a head, one or two heads an endpoint.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_prefetch.h>

#include "base/cache_line.h"
#include "core/rcu.h"
#include "policy/group_set.h"
#include "session/session.h"
#include "vpc/claim.h"
#include "vpc/vpc_internal.h"

static struct endpoint *_Atomic *heads READ_MOSTLY, *_Atomic *mac_heads READ_MOSTLY;
static uint32_t mask READ_MOSTLY;
static uint32_t n_endpoints, capacity;
/* Tenants choose addresses: chains must not be theirs to build. */
static uint64_t seed[2] READ_MOSTLY = {0x9e3779b97f4a7c15ull, 0xd6e8feb86659fd93ull};

int vpc_init(uint32_t wanted)
{
	uint64_t size = 1;

	while (size < wanted)
		size <<= 1;
	heads = calloc(size, sizeof(*heads));
	mac_heads = calloc(size, sizeof(*mac_heads));
	if (heads == NULL || mac_heads == NULL || custom_routes_init() != 0)
		return -ENOMEM;
	mask = (uint32_t)(size - 1);
	capacity = wanted;
	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed[0] ^= (uintptr_t)heads;
	return 0;
}

static void (*service_appeared)(const struct endpoint *endpoint);

void endpoint_on_service(void (*fn)(const struct endpoint *endpoint))
{
	service_appeared = fn;
}

static struct endpoint *_Atomic *head_of(uint32_t vpc_index, const struct ip_addr *addr)
{
	uint64_t h = session_mix(addr->q[0] ^ seed[0], addr->q[1] ^ seed[1]);

	return &heads[(uint32_t)(session_mix(h ^ vpc_index, seed[0]) >> 32) & mask];
}

static bool matches(const struct endpoint *e, uint32_t vpc_index, const struct ip_addr *addr)
{
	return e->vpc_index == vpc_index && ip_addr_equal(&e->addr, addr);
}

static uint64_t mac_bits(const struct rte_ether_addr *mac)
{
	uint64_t bits = 0;

	memcpy(&bits, mac, sizeof(*mac));
	return bits;
}

static struct endpoint *_Atomic *mac_head_of(uint32_t vpc_index, const struct rte_ether_addr *mac)
{
	uint64_t h = session_mix(mac_bits(mac) ^ seed[0], vpc_index ^ seed[1]);

	return &mac_heads[(uint32_t)(h >> 32) & mask];
}

/* fe80::/64 and a modified EUI-64 (RFC 4291 appendix A): an address that a MAC is in. */
static bool is_eui64(const struct ip_addr *addr)
{
	static const uint8_t prefix[8] = {0xfe, 0x80};

	return memcmp(addr->bytes, prefix, sizeof(prefix)) == 0 && addr->bytes[11] == 0xff &&
	       addr->bytes[12] == 0xfe;
}

/* The port whose link-local address it is: by its MAC, which no other port of the VPC has. */
static struct endpoint *by_link_local(uint32_t vpc_index, const struct ip_addr *addr)
{
	const uint8_t *b = addr->bytes;
	struct rte_ether_addr mac = {{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}};
	struct endpoint *e = rcu_ptr_get(*mac_head_of(vpc_index, &mac));

	while (e != NULL && (e->vpc_index != vpc_index || !rte_is_same_ether_addr(&e->mac, &mac)))
		e = rcu_ptr_get(e->mac_next);
	return e;
}

void endpoint_prefetch(uint32_t vpc_index, const struct ip_addr *addr)
{
	rte_prefetch0((const void *)head_of(vpc_index, addr));
}

struct endpoint *endpoint_get(uint32_t vpc_index, const struct ip_addr *addr)
{
	struct endpoint *e = rcu_ptr_get(*head_of(vpc_index, addr));

	while (e != NULL && !matches(e, vpc_index, addr))
		e = rcu_ptr_get(e->next);
	return e != NULL || !is_eui64(addr) ? e : by_link_local(vpc_index, addr);
}

/* Only a machine has the link-local address of its MAC: those of services are all their gateway's. */
static bool has_link_local(const struct endpoint *e)
{
	return !ip_addr_is_v4(&e->addr) && e->service == NULL;
}

static void link_mac(struct endpoint *e)
{
	struct endpoint *_Atomic *at = mac_head_of(e->vpc_index, &e->mac);

	if (!has_link_local(e))
		return;
	e->mac_next = *at;
	rcu_ptr_set(*at, e);
}

static void unlink_mac(struct endpoint *e)
{
	struct endpoint *_Atomic *at = mac_head_of(e->vpc_index, &e->mac), *other;

	if (!has_link_local(e))
		return;
	while ((other = *at) != e)
		at = &other->mac_next;
	rcu_ptr_set(*at, e->mac_next);
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
	       a->groups == b->groups && a->subnet == b->subnet && a->service == b->service;
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
		link_mac(endpoint);
		n_endpoints++;
		if (endpoint->service != NULL && service_appeared != NULL)
			service_appeared(endpoint);
		return;
	}
	endpoint->epoch = old->epoch;
	endpoint->own_epoch = old->own_epoch;
	endpoint->next = old->next;
	rcu_ptr_set(*at, endpoint);
	link_mac(endpoint);
	unlink_mac(old);
	if (!same(old, endpoint))
		epoch_bump(endpoint->epoch);
	if (!rte_is_same_ether_addr(&old->mac, &endpoint->mac))
		claim_announce(endpoint);
	if (endpoint->service != NULL && old->service == NULL && service_appeared != NULL)
		service_appeared(endpoint);
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
	unlink_mac(old);
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
