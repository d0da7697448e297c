/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "nat/nat_gateway.h"
#include "nat/nat_hold.h"
#include "nat/nat_kernel.h"
#include "session/memory.h"

#define CHAINS 1024u
#define VXLAN_PORT 4789u
#define MAPPED_BYTES (NAT_PORTS * sizeof(_Atomic uint32_t))

static struct nat_address *_Atomic addresses[NAT_ADDRESSES_MAX];
static struct nat_address *_Atomic chains[CHAINS];
static uint32_t n_addresses; /* ids are below. Control thread */

struct nat_address *nat_address_at(uint32_t id)
{
	return id < NAT_ADDRESSES_MAX ? rcu_ptr_get(addresses[id]) : NULL;
}

static struct nat_address *_Atomic *chain_of(uint32_t network, const struct ip_addr *ip)
{
	return &chains[hash_fold(hash_mix(hash_mix(network, ip->q[0]), ip->q[1])) % CHAINS];
}

struct nat_address *nat_address_find(uint32_t network, const struct ip_addr *ip)
{
	struct nat_address *a = rcu_ptr_get(*chain_of(network, ip));

	while (a != NULL && (a->network != network || !ip_addr_equal(&a->ip, ip)))
		a = rcu_ptr_get(a->next);
	return a;
}

const struct eip *nat_address_eip(const struct nat_address *a)
{
	const struct eip *eip = eip_by_handle(&a->eip);

	return eip != NULL && eip->ext != NULL && eip->ext->index == a->network &&
			       ip_addr_equal(&eip->address, &a->ip)
		       ? eip
		       : NULL;
}

const struct nat_forward *nat_forward_find(
	const struct nat_address *a, enum nat_space space, uint16_t port)
{
	const struct nat_forwards *all = rcu_ptr_get(a->forwards);
	uint32_t low = 0, high = all != NULL ? all->n : 0;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct nat_forward *f = &all->list[middle];

		if (f->space == space && port >= f->from && port <= f->to)
			return f;
		if (f->space < space || (f->space == space && f->to < port))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void free_address(void *arg)
{
	struct nat_address *a = arg;

	for (unsigned int s = 0; s < NAT_SPACES; s++) {
		nat_ports_free(a->ports[s]);
		memory_unmap((void *)a->mapped[s], MAPPED_BYTES);
	}
	free(a->forwards);
	free(a);
}

static uint32_t free_id(void)
{
	for (uint32_t id = 1; id < NAT_ADDRESSES_MAX; id++)
		if (nat_address_at(id) == NULL)
			return id;
	return 0;
}

static struct nat_address *address_new(const struct eip *eip, uint32_t block)
{
	struct nat_address *a = calloc(1, sizeof(*a));
	bool whole = a != NULL;

	for (unsigned int s = 0; whole && s < NAT_SPACES; s++) {
		a->ports[s] = nat_ports_new(block, s == NAT_ICMP);
		a->mapped[s] = memory_map(MAPPED_BYTES, MEMORY_SMALL);
		whole = a->ports[s] != NULL && a->mapped[s] != NULL;
	}
	if (!whole || (a->id = free_id()) == 0) {
		if (a != NULL)
			free_address(a);
		return NULL;
	}
	eip_handle_set(&a->eip, eip->name);
	a->ip = eip->address;
	a->network = eip->ext->index;
	a->block = block;
	for (unsigned int s = 0; s < NAT_SPACES; s++) {
		a->spaces[s] = (struct nat_address_space){a, s};
		nat_ports_on_return(a->ports[s], nat_hold_block_returned, &a->spaces[s]);
	}
	nat_ports_reserve(a->ports[NAT_UDP], VXLAN_PORT, VXLAN_PORT);
	nat_kernel_reserve(a);
	return a;
}

static void publish(struct nat_address *a)
{
	struct nat_address *_Atomic *chain = chain_of(a->network, &a->ip);

	a->named = true;
	n_addresses = RTE_MAX(n_addresses, a->id + 1);
	rcu_ptr_set(addresses[a->id], a);
	a->next = *chain;
	rcu_ptr_set(*chain, a);
}

static void take_out(struct nat_address *a)
{
	struct nat_address *_Atomic *at = chain_of(a->network, &a->ip);

	while (*at != NULL && *at != a)
		at = &(*at)->next;
	if (*at == a)
		rcu_ptr_set(*at, (struct nat_address *)a->next);
	a->named = false;
	a->left_token = rcu_token();
}

static bool is_like(const struct nat_address *a, const struct eip *eip, uint32_t block)
{
	return a->network == eip->ext->index && a->block == block &&
	       ip_addr_equal(&a->ip, &eip->address);
}

struct nat_address *nat_address_get(const struct eip *eip, uint32_t block)
{
	struct nat_address *a = nat_address_find(eip->ext->index, &eip->address);

	if (a != NULL && a->block == block && strcmp(a->eip.name, eip->name) == 0)
		return a;
	if (a != NULL)
		nat_address_leave(a);
	for (uint32_t id = 1; id < n_addresses; id++) {
		a = nat_address_at(id);
		if (a != NULL && !a->named && is_like(a, eip, block)) {
			eip_handle_set(&a->eip, eip->name);
			publish(a);
			return a;
		}
	}
	a = address_new(eip, block);
	if (a != NULL)
		publish(a);
	return a;
}

static int by_ports(const void *x, const void *y)
{
	const struct nat_forward *a = x, *b = y;

	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	return (a->from > b->from) - (a->from < b->from);
}

static bool same(const struct nat_forward *a, const struct nat_forward *b)
{
	return a->space == b->space && a->from == b->from && a->to == b->to &&
	       a->to_port == b->to_port && a->gateway == b->gateway &&
	       ip_addr_equal(&a->to_address, &b->to_address);
}

/* The record of an equal forward, which goes on being held by that one's sessions. */
static uint32_t kept_record(const struct nat_forwards *old, const struct nat_forward *f)
{
	for (uint32_t i = 0; old != NULL && i < old->n; i++)
		if (same(&old->list[i], f) && nat_record_get(old->list[i].record))
			return old->list[i].record;
	return 0;
}

static void let_go(const struct nat_address *a, const struct nat_forwards *forwards)
{
	for (uint32_t i = 0; forwards != NULL && i < forwards->n; i++) {
		const struct nat_forward *f = &forwards->list[i];

		nat_ports_release(a->ports[f->space], f->from, f->to);
		nat_hold_drop(f->record);
	}
}

int nat_address_set_forwards(struct nat_address *a, struct nat_forwards *forwards)
{
	struct nat_forwards *old = a->forwards;
	uint32_t n = forwards != NULL ? forwards->n : 0;
	int err = 0;

	if (n > 0)
		qsort(forwards->list, n, sizeof(forwards->list[0]), by_ports);
	for (uint32_t i = 0; i < n; i++) {
		struct nat_forward *f = &forwards->list[i];

		f->record = kept_record(old, f);
		if (f->record == 0)
			f->record = nat_hold_forward(f->gateway, a);
		if (f->record == 0) { /* no more records: those before it stand */
			forwards->n = n = i;
			err = -ENOMEM;
			break;
		}
		nat_ports_reserve(a->ports[f->space], f->from, f->to);
	}
	rcu_ptr_set(a->forwards, forwards);
	let_go(a, old);
	if (old != NULL)
		rcu_defer(free, old);
	return err;
}

void nat_address_leave(struct nat_address *a)
{
	take_out(a);
	nat_address_set_forwards(a, NULL);
}

void nat_address_each(void (*fn)(struct nat_address *a, void *arg), void *arg)
{
	for (uint32_t id = 1; id < n_addresses; id++) {
		struct nat_address *a = nat_address_at(id);

		if (a != NULL)
			fn(a, arg);
	}
}

static void turn(struct nat_address *a, void *arg)
{
	const struct nat_gateway *gw = nat_gateway_at(a->gateway);
	const struct nat_rules *rules = gw != NULL ? rcu_ptr_get(gw->rules) : NULL;
	uint32_t rest_ms = rules != NULL ? rules->quarantine_s * 1000 : 0;

	for (unsigned int s = 0; s < NAT_SPACES; s++)
		nat_ports_turn(a->ports[s], *(const uint32_t *)arg, a->named ? rest_ms : 0);
	if (a->named || !rcu_token_passed(a->left_token) ||
		atomic_load_explicit(&a->records, memory_order_acquire) != 0)
		return;
	rcu_ptr_set(addresses[a->id], NULL);
	rcu_defer(free_address, a);
}

void nat_address_turn(uint32_t now_ms)
{
	nat_address_each(turn, &now_ms);
}
