/* SPDX-License-Identifier: Apache-2.0 */
/* The other tunnel end points: few (hundreds), looked up by every packet from the underlay. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/rcu.h"
#include "core/state.h"
#include "core/worker.h"
#include "underlay/neighbour.h"
#include "underlay/underlay.h"

#define VTEPS_MAX 65536u

/* By index, and an open-addressing table by address whose slots are index + 1. Entries go only when the table is made again. */
struct address_table {
	uint32_t mask;
	uint32_t used;
	_Atomic uint32_t slots[];
};

static struct vtep *_Atomic by_index[VTEPS_MAX];
static struct address_table *_Atomic by_address;
static struct vtep *all;
static uint32_t next_index;

struct vtep *vtep_get(uint32_t index)
{
	return index < VTEPS_MAX ? rcu_ptr_get(by_index[index]) : NULL;
}

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
	for (uint32_t i = hash_address(addr);
		(slot = atomic_load_explicit(&t->slots[i & t->mask], memory_order_acquire)) != 0;
		i++) {
		struct vtep *v = vtep_get(slot - 1);

		if (v != NULL && ip_addr_equal(&v->addr, addr))
			return v;
	}
	return NULL;
}

struct vtep *vtep_by_name(const char *name)
{
	for (struct vtep *v = all; v != NULL; v = v->next)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

struct vtep *vtep_next(struct vtep *previous)
{
	return previous == NULL ? all : previous->next;
}

/* A table with all VTEPs, at most half full. -ENOMEM. */
static int rebuild(void)
{
	struct address_table *t, *old = rcu_ptr_get(by_address);
	uint32_t n = 0, size = 16;

	for (const struct vtep *v = all; v != NULL; v = v->next)
		n++;
	while (size < n * 2 + 2)
		size *= 2;
	t = calloc(1, sizeof(*t) + size * sizeof(t->slots[0]));
	if (t == NULL)
		return -ENOMEM;
	t->mask = size - 1;
	for (const struct vtep *v = all; v != NULL; v = v->next) {
		uint32_t i = hash_address(&v->addr);

		while (t->slots[i & t->mask] != 0)
			i++;
		t->slots[i & t->mask] = v->index + 1;
	}
	rcu_ptr_set(by_address, t);
	if (old != NULL)
		rcu_defer(free, old);
	return 0;
}

void vtep_set_next_hop(struct vtep *v, const struct rte_ether_addr *mac)
{
	struct vxlan_outer *old = rcu_ptr_get(v->outer), *new = NULL;
	const struct ip_addr *own = underlay_address(!ip_addr_is_v4(&v->addr));

	if (mac != NULL && own != NULL) {
		new = aligned_alloc(64, sizeof(*new));
		if (new == NULL)
			return; /* the old one stays; asked again by the resolver's timer */
		vxlan_outer_make(new, own, &v->addr, &underlay_port()->mac, mac);
	}
	rcu_ptr_set(v->outer, new);
	if (old != NULL)
		rcu_defer(free, old);
}

/* Southbound: [name, address, gateway]. */
struct change {
	struct vtep *new; /* NULL: deletion */
	char name[PORT_NAME_MAX];
};

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *named = item != NULL ? item : old;
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	snprintf(c->name, sizeof(c->name), "%s", json_string_value(json_array_get(named, 1)));
	*staged = c;
	if (item == NULL)
		return 0;
	c->new = calloc(1, sizeof(*c->new));
	if (c->new == NULL ||
		!ip_addr_parse(json_string_value(json_array_get(item, 2)), &c->new->addr)) {
		free(c->new);
		free(c);
		return state_fail(err, -EINVAL, "vtep: bad address");
	}
	snprintf(c->new->name, sizeof(c->new->name), "%s", c->name);
	c->new->gateway = json_is_true(json_array_get(item, 3));
	return 0;
}

static void abort_change(void *staged)
{
	struct change *c = staged;

	free(c->new);
	free(c);
}

static uint32_t free_index(void)
{
	while (rcu_ptr_get(by_index[next_index % VTEPS_MAX]) != NULL)
		next_index++;
	return next_index++ % VTEPS_MAX;
}

static void unlink_vtep(struct vtep *v)
{
	struct vtep **at = &all;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
}

/* It is not in by_index any more. */
static void release(struct vtep *v)
{
	unlink_vtep(v);
	neighbour_vtep_removed(v);
	vtep_set_next_hop(v, NULL);
	rcu_defer(free, v);
}

static void commit(void *staged)
{
	struct change *c = staged;
	struct vtep *old = vtep_by_name(c->name);

	/* The index stays with the name, so sessions and endpoints keep pointing to it. */
	if (c->new != NULL) {
		c->new->index = old != NULL ? old->index : free_index();
		/* Before the old one goes: their next hop may be the same, and no packet shall miss it meanwhile. */
		neighbour_vtep_added(c->new, clock_ms());
		rcu_ptr_set(by_index[c->new->index], c->new);
		if (old != NULL)
			release(old);
		c->new->next = all;
		all = c->new;
		rebuild();
	} else if (old != NULL) {
		rcu_ptr_set(by_index[old->index], NULL);
		release(old);
		rebuild();
	}
	free(c);
}

STATE_KIND(vtep_kind, .name = "vtep", .order = 10, .prepare = prepare, .commit = commit,
	.abort = abort_change)
