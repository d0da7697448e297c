/* SPDX-License-Identifier: Apache-2.0 */
/* The other tunnel end points, by index, by outer address (asked by every packet from the underlay) and by name. */
#include "underlay/vtep_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "underlay/next_hop.h"

#define NAME_BUCKETS 1024u

/* Open addressing, at most half full. Slots hold index + 1. An entry whose VTEP has another address by now, or is gone, stays
 * until the table is made again: it only costs a look. Written by the control thread, read by workers. */
struct address_table {
	uint32_t mask;
	uint32_t used;
	_Atomic uint32_t slots[];
};

struct vtep *_Atomic vtep_by_index[VTEPS_MAX];
static struct address_table *_Atomic by_address;
static struct vtep *by_name[NAME_BUCKETS];
static LIST_HEAD(, vtep) all = LIST_HEAD_INITIALIZER(all);
static uint32_t n_vteps;
static uint32_t next_index;

/* --- workers --- */

static uint32_t hash_address(const struct ip_addr *a)
{
	uint64_t h = (a->q[0] ^ (a->q[1] * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;

	return (uint32_t)(h >> 32);
}

struct vtep *vtep_by_addr(const struct ip_addr *addr)
{
	const struct address_table *t = rcu_ptr_get(by_address);
	uint32_t slot;

	if (t == NULL)
		return NULL;
	for (uint32_t i = hash_address(addr); (slot = rcu_ptr_get(t->slots[i & t->mask])) != 0;
		i++) {
		struct vtep *v = vtep_get(slot - 1);

		if (v != NULL && ip_addr_equal(&v->addr, addr))
			return v;
	}
	return NULL;
}

/* --- control thread --- */

static uint32_t hash_name(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

struct vtep *vtep_by_name(const char *name)
{
	struct vtep *v = by_name[hash_name(name) % NAME_BUCKETS];

	while (v != NULL && strcmp(v->name, name) != 0)
		v = v->next_of_name;
	return v;
}

struct vtep *vtep_next(struct vtep *previous)
{
	return previous == NULL ? LIST_FIRST(&all) : LIST_NEXT(previous, link);
}

static void put_slot(struct address_table *t, const struct vtep *v)
{
	uint32_t i = hash_address(&v->addr);

	while (atomic_load_explicit(&t->slots[i & t->mask], memory_order_relaxed) != 0)
		i++;
	rcu_ptr_set(t->slots[i & t->mask], v->index + 1);
	t->used++;
}

int vtep_reserve(uint32_t more)
{
	struct address_table *t, *old = rcu_ptr_get(by_address);
	uint32_t size = 16;

	if (n_vteps + more > VTEPS_MAX)
		return -ENOSPC;
	if (old != NULL && (old->used + more) * 2 <= old->mask + 1)
		return 0;
	/* Twice of what is needed, so that it is made again only after as many changes. */
	while (size < (n_vteps + more) * 4)
		size *= 2;
	t = calloc(1, sizeof(*t) + size * sizeof(t->slots[0]));
	if (t == NULL)
		return -ENOMEM;
	t->mask = size - 1;
	for (const struct vtep *v = vtep_next(NULL); v != NULL; v = LIST_NEXT(v, link))
		put_slot(t, v);
	rcu_ptr_set(by_address, t);
	if (old != NULL)
		rcu_defer(free, old);
	return 0;
}

/* Indexes are used again as late as possible. */
static uint32_t free_index(void)
{
	while (rcu_ptr_get(vtep_by_index[next_index % VTEPS_MAX]) != NULL)
		next_index++;
	return next_index++ % VTEPS_MAX;
}

static void link_vtep(struct vtep *v)
{
	struct vtep **head = &by_name[hash_name(v->name) % NAME_BUCKETS];

	v->next_of_name = *head;
	*head = v;
	LIST_INSERT_HEAD(&all, v, link);
}

/* It is not in vtep_by_index any more. */
static void release(struct vtep *v)
{
	struct vtep **at = &by_name[hash_name(v->name) % NAME_BUCKETS];

	while (*at != v)
		at = &(*at)->next_of_name;
	*at = v->next_of_name;
	LIST_REMOVE(v, link);
	next_hop_vtep_removed(v);
	vtep_set_next_hop(v, NULL);
	rcu_defer(free, v);
}

void vtep_add(struct vtep *v, uint32_t now_ms)
{
	v->index = free_index();
	v->epoch = epoch_take();
	next_hop_vtep_added(v, now_ms);
	rcu_ptr_set(vtep_by_index[v->index], v);
	put_slot(rcu_ptr_get(by_address), v);
	link_vtep(v);
	n_vteps++;
}

void vtep_replace(struct vtep *old, struct vtep *v, uint32_t now_ms)
{
	v->index = old->index;
	v->epoch = old->epoch;
	v->reported = old->reported;
	/* Before the old one goes: their next hop may be the same, and no packet shall miss it meanwhile. */
	next_hop_vtep_added(v, now_ms);
	rcu_ptr_set(vtep_by_index[v->index], v);
	if (!ip_addr_equal(&old->addr, &v->addr))
		put_slot(rcu_ptr_get(by_address), v);
	if (old->gateway != v->gateway)
		epoch_bump(v->epoch);
	release(old);
	link_vtep(v);
}

void vtep_remove(struct vtep *v)
{
	rcu_ptr_set(vtep_by_index[v->index], NULL);
	epoch_free(v->epoch);
	release(v);
	n_vteps--;
}

void vtep_set_next_hop(struct vtep *v, const struct rte_ether_addr *mac)
{
	struct vxlan_outer *old = rcu_ptr_get(v->outer), *new = NULL;
	const struct ip_addr *own = underlay_address(!ip_addr_is_v4(&v->addr));

	if (mac != NULL && own != NULL) {
		new = aligned_alloc(64, sizeof(*new));
		if (new == NULL)
			return; /* the old one stays until the resolver hears of the next hop again */
		vxlan_outer_make(new, own, &v->addr, &underlay_port()->mac, mac);
	}
	rcu_ptr_set(v->outer, new);
	if (old != NULL)
		rcu_defer(free, old);
}
