/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `mirror_in`, and the table that workers find them in. */
#include "mirror/mirror_in.h"

#include <stdlib.h>
#include <string.h>

#include "underlay/underlay.h"
#include "vpc/item.h"

enum column { NAME = 1, VNI, PORT, VTEPS };

#define BUCKETS 256u

static struct mirror_in *_Atomic buckets[BUCKETS];
static struct mirror_in *all;

/* VNIs come one after the other, from the end of their range. */
static uint32_t bucket_of(uint32_t vni)
{
	return vni % BUCKETS;
}

static uint32_t scatter(uint32_t vtep_index)
{
	return vtep_index * 0x9e3779b1u >> 16;
}

/* --- workers --- */

const struct mirror_in *mirror_in_by_vni(uint32_t vni)
{
	const struct mirror_in *in = rcu_ptr_get(buckets[bucket_of(vni)]);

	while (in != NULL && in->vni != vni)
		in = rcu_ptr_get(((struct mirror_in *)(uintptr_t)in)->same);
	return in;
}

static bool is_ours(uint32_t vni)
{
	return mirror_in_by_vni(vni) != NULL;
}

bool mirror_in_may_send(const struct mirror_in *in, uint32_t vtep_index)
{
	for (uint32_t at = scatter(vtep_index);; at++) {
		uint32_t index = atomic_load_explicit(
			&in->senders[at & in->senders_mask], memory_order_relaxed);

		if (index == vtep_index || index == UINT32_MAX)
			return index == vtep_index;
	}
}

/* --- control thread --- */

struct mirror_in *mirror_in_by_name(const char *name)
{
	for (struct mirror_in *in = all; in != NULL; in = in->next)
		if (strcmp(in->name, name) == 0)
			return in;
	return NULL;
}

struct mirror_in *mirror_in_next(struct mirror_in *previous)
{
	return previous == NULL ? all : previous->next;
}

uint64_t mirror_in_lost(const struct mirror_in *in)
{
	uint64_t sum = in->lost_before;

	for (unsigned int i = 0; i < worker_count; i++)
		sum += __atomic_load_n(&in->tallies[i].lost, __ATOMIC_RELAXED);
	return sum;
}

static void free_in(void *arg)
{
	struct mirror_in *in = arg;

	free((void *)in->senders);
	free(in->tallies);
	free(in->vteps);
	free(in->resolved);
	free(in);
}

static void clear_senders(struct mirror_in *in)
{
	for (uint32_t i = 0; i <= in->senders_mask; i++)
		atomic_store_explicit(&in->senders[i], UINT32_MAX, memory_order_relaxed);
}

static int make_tables(struct mirror_in *in, const json_t *vteps, struct state_error *err)
{
	size_t size = worker_count * sizeof(*in->tallies);
	uint32_t slots;

	in->n_vteps = (uint32_t)json_array_size(vteps);
	slots = rte_align32pow2(2 * in->n_vteps + 2);
	in->senders = malloc(slots * sizeof(*in->senders));
	in->senders_mask = slots - 1;
	in->vteps = calloc(in->n_vteps + 1, sizeof(*in->vteps));
	in->resolved = calloc(in->n_vteps + 1, sizeof(*in->resolved));
	in->tallies = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (in->senders == NULL || in->vteps == NULL || in->resolved == NULL || in->tallies == NULL)
		return item_no_memory(err);
	memset(in->tallies, 0, size);
	memset(in->resolved, 0xff, in->n_vteps * sizeof(*in->resolved));
	clear_senders(in);
	return 0;
}

static int parse(struct mirror_in *in, const json_t *item, struct state_error *err)
{
	const json_t *vteps = json_array_get(item, VTEPS), *vtep;
	int rc = item_name(item, NAME, in->name, err);
	size_t i;

	if (rc == 0)
		rc = item_name(item, PORT, in->where, err);
	if (rc == 0)
		rc = make_tables(in, vteps, err);
	if (rc != 0)
		return rc;
	in->vni = (uint32_t)item_uint(item, VNI);
	if (in->vni == 0 || in->vni > 0xffffff)
		return state_fail(err, -EINVAL, "%u is no VNI of a mirror", in->vni);
	json_array_foreach (vteps, i, vtep) {
		const char *name = json_string_value(vtep);

		if (strlen(name) >= sizeof(in->vteps[i]))
			return state_fail(err, -EINVAL, "`%.80s` is too long", name);
		strcpy(in->vteps[i], name);
	}
	atomic_store(&in->port, UINT32_MAX);
	return 0;
}

/* Another index behind a name, or none: all are put down anew, in the meantime copies may be lost. */
static void find_senders(struct mirror_in *in)
{
	bool changed = false;

	for (uint32_t i = 0; i < in->n_vteps; i++) {
		const struct vtep *vtep = vtep_by_name(in->vteps[i]);
		uint32_t index = vtep != NULL ? vtep->index : UINT32_MAX;

		changed |= index != in->resolved[i];
		in->resolved[i] = index;
	}
	if (!changed)
		return;
	clear_senders(in);
	for (uint32_t i = 0; i < in->n_vteps; i++) {
		uint32_t at = scatter(in->resolved[i]);

		while (atomic_load_explicit(&in->senders[at & in->senders_mask],
			       memory_order_relaxed) != UINT32_MAX)
			at++;
		atomic_store_explicit(
			&in->senders[at & in->senders_mask], in->resolved[i], memory_order_relaxed);
	}
}

static void find(struct mirror_in *in)
{
	const struct port *port = port_by_name(in->where);

	/* Never into the fabric. */
	atomic_store_explicit(&in->port,
		port != NULL && port->role == PORT_TENANT ? port->index : UINT32_MAX,
		memory_order_relaxed);
	find_senders(in);
}

static void remove_in(struct mirror_in *in)
{
	struct mirror_in *_Atomic *same = &buckets[bucket_of(in->vni)];
	struct mirror_in **at = &all;

	while (rcu_ptr_get(*same) != in)
		same = &rcu_ptr_get(*same)->same;
	rcu_ptr_set(*same, rcu_ptr_get(in->same));
	while (*at != in)
		at = &(*at)->next;
	*at = in->next;
	rcu_defer(free_in, in);
}

static void put_in(struct mirror_in *in)
{
	struct mirror_in *old = mirror_in_by_name(in->name);
	struct mirror_in *_Atomic *bucket = &buckets[bucket_of(in->vni)];

	if (old != NULL)
		in->lost_before = mirror_in_lost(old);
	find(in);
	in->next = all;
	all = in;
	rcu_ptr_set(in->same, rcu_ptr_get(*bucket));
	rcu_ptr_set(*bucket, in);
	if (old != NULL)
		remove_in(old);
}

struct change {
	struct mirror_in *in; /* NULL: deletion */
	char name[PORT_NAME_MAX];
};

static void undo(void *staged)
{
	struct change *c = staged;

	if (c->in != NULL)
		free_in(c->in);
	free(c);
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, NAME, c->name, err);
	if (rc == 0 && item != NULL) {
		c->in = calloc(1, sizeof(*c->in));
		rc = c->in != NULL ? parse(c->in, item, err) : item_no_memory(err);
	}
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;
	struct mirror_in *old = mirror_in_by_name(c->name);

	if (c->in != NULL)
		put_in(c->in);
	else if (old != NULL)
		remove_in(old);
	free(c);
}

/* Ports and VTEPs come and go. */
static void after_commit(void)
{
	for (struct mirror_in *in = all; in != NULL; in = in->next)
		find(in);
}

/* Behind ports and VTEPs. */
STATE_KIND(mirror_in_kind, .name = "mirror_in", .order = 90, .prepare = prepare, .commit = commit,
	.abort = undo)
STATE_HOOK(mirror_in_hook, .order = 96, .after_commit = after_commit)
UNDERLAY_COPIES(is_ours)
