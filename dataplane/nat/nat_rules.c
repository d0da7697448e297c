/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "lib/log.h"
#include "underlay/underlay.h"

static uint64_t hash_eip(uint64_t hash, const char *name)
{
	const struct eip *eip = eip_by_name(name);

	if (eip == NULL || eip->ext == NULL)
		return hash_mix(hash, 1);
	return hash_mix(hash_mix(hash_mix(hash, eip->address.q[0]), eip->address.q[1]),
		2 + eip->ext->index);
}

static uint64_t hash_eips(const struct nat_item_gateway *g)
{
	uint64_t hash = 0;

	for (const struct nat_item_snat *s = g->snat; s != NULL; s = s->next)
		for (uint32_t i = 0; i < s->n_eips; i++)
			hash = hash_eip(hash, s->eips[i]);
	for (const struct nat_item_dnat *d = g->dnat; d != NULL; d = d->next)
		hash = hash_eip(hash, d->eip);
	return hash;
}

bool nat_rules_stale(const struct nat_item_gateway *g)
{
	return g->vtep[0] == '\0' && hash_eips(g) != g->eips;
}

static bool is_here(const struct nat_item_gateway *g)
{
	return g->vtep[0] == '\0';
}

/* The address of an elastic IP, if it can serve now. */
static struct nat_address *address_of(const struct nat_item_gateway *g, const char *name)
{
	const struct eip *eip = eip_by_name(name);
	struct nat_address *a;

	if (eip == NULL || eip->ext == NULL)
		return NULL;
	a = nat_address_get(eip, g->form.block);
	if (a != NULL)
		a->gateway = g->gw->id;
	return a;
}

static uint32_t count_eips(const struct nat_item_gateway *g, uint32_t *n_sources)
{
	uint32_t n = 0;

	*n_sources = 0;
	for (const struct nat_item_snat *s = g->snat; s != NULL; s = s->next) {
		n += s->n_eips;
		++*n_sources;
	}
	return n;
}

/* Those of a family, one behind the other. */
static void add_addresses(const struct nat_item_gateway *g, const struct nat_item_snat *s, bool v6,
	struct nat_rules *r, struct nat_source *source)
{
	source->first[v6] = r->n_addresses;
	for (uint32_t i = 0; i < s->n_eips; i++) {
		const struct nat_address *a = address_of(g, s->eips[i]);

		if (a != NULL && ip_addr_is_v4(&a->ip) != v6)
			r->addresses[r->n_addresses++] = a->id;
	}
	source->n[v6] = r->n_addresses - source->first[v6];
}

static void fill_sources(
	const struct nat_item_gateway *g, struct nat_rules *r, struct prefix_map_entry *entries)
{
	for (const struct nat_item_snat *s = g->snat; s != NULL; s = s->next) {
		struct nat_source *source = &r->sources[r->n_sources];

		entries[r->n_sources] = (struct prefix_map_entry){s->source, r->n_sources};
		r->n_sources++;
		source->prefix = s->source;
		source->rule = s->index;
		source->nat64 = s->nat64;
		for (unsigned int v6 = 0; is_here(g) && v6 < 2; v6++)
			add_addresses(g, s, v6, r, source);
	}
}

static struct nat_rules *make(const struct nat_item_gateway *g)
{
	uint32_t n_sources, n_eips = count_eips(g, &n_sources);
	struct prefix_map_entry *entries = calloc(n_sources + 1, sizeof(*entries));
	struct nat_rules *r = malloc(sizeof(*r));
	const struct vtep *vtep = is_here(g) ? NULL : vtep_by_name(g->vtep);

	if (r != NULL) {
		*r = g->form;
		r->here = is_here(g);
		r->where = vtep != NULL ? loc_tunnel(vtep->index) : LOC_NONE;
		r->sources = calloc(n_sources + 1, sizeof(*r->sources));
		r->addresses = calloc(n_eips + 1, sizeof(*r->addresses));
	}
	if (entries != NULL && r != NULL && r->sources != NULL && r->addresses != NULL) {
		fill_sources(g, r, entries);
		r->map = prefix_map_new(entries, r->n_sources);
	}
	free(entries);
	if (r != NULL && r->map == NULL) {
		nat_rules_free(r);
		return NULL;
	}
	return r;
}

struct forwards_of {
	const struct nat_item_gateway *g;
	bool failed;
};

static bool is_for(const struct nat_item_dnat *d, const struct nat_address *a)
{
	return strcmp(d->eip, a->eip.name) == 0;
}

/* What the gateway forwards from an address of its own. */
static void forward(struct nat_address *a, void *arg)
{
	struct forwards_of *fw = arg;
	const struct nat_item_gateway *g = fw->g;
	struct nat_forwards *all;
	uint32_t n = 0;

	if (a->gateway != g->gw->id || !a->named)
		return;
	for (const struct nat_item_dnat *d = g->dnat; d != NULL; d = d->next)
		n += is_for(d, a);
	all = n > 0 ? calloc(1, sizeof(*all) + n * sizeof(all->list[0])) : NULL;
	if (n > 0 && all == NULL) {
		fw->failed = true;
		return;
	}
	for (const struct nat_item_dnat *d = g->dnat; d != NULL; d = d->next)
		if (is_for(d, a))
			all->list[all->n++] = (struct nat_forward){.space = d->space,
				.from = d->from,
				.to = d->to,
				.to_port = d->to_port,
				.gateway = g->gw->id,
				.rule = d->index,
				.to_address = d->to_address};
	fw->failed |= nat_address_set_forwards(a, all) != 0;
}

static bool names(const struct nat_item_gateway *g, const struct nat_address *a)
{
	for (const struct nat_item_snat *s = g->snat; s != NULL; s = s->next)
		for (uint32_t i = 0; i < s->n_eips; i++)
			if (strcmp(s->eips[i], a->eip.name) == 0)
				return true;
	for (const struct nat_item_dnat *d = g->dnat; d != NULL; d = d->next)
		if (is_for(d, a))
			return true;
	return false;
}

/* Its rules no longer name it, or nobody can be behind that elastic IP now. */
static void leave_unnamed(struct nat_address *a, void *arg)
{
	const struct nat_item_gateway *g = arg;

	if (a->named && a->gateway == g->gw->id &&
		(!is_here(g) || !names(g, a) || nat_address_eip(a) == NULL))
		nat_address_leave(a);
}

void nat_rules_make(struct nat_item_gateway *g)
{
	struct nat_rules *r = make(g);
	struct forwards_of fw = {g, r == NULL};

	if (r != NULL) {
		for (const struct nat_item_dnat *d = g->dnat; d != NULL && is_here(g); d = d->next)
			fw.failed |= address_of(g, d->eip) == NULL && eip_by_name(d->eip) != NULL &&
				     eip_by_name(d->eip)->ext != NULL;
		nat_address_each(leave_unnamed, g);
		nat_address_each(forward, &fw);
		nat_gateway_set(g->gw, r);
		g->eips = hash_eips(g);
	}
	g->dirty = fw.failed;
	if (fw.failed)
		log_error("no memory for the rules of a NAT gateway", LOG_STR("name", g->name));
}

static void leave_all(struct nat_address *a, void *arg)
{
	if (a->named && a->gateway == ((struct nat_gateway *)arg)->id)
		nat_address_leave(a);
}

void nat_rules_retire(struct nat_gateway *gw)
{
	nat_address_each(leave_all, gw);
	nat_gateway_set(gw, NULL);
}
