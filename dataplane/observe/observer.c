/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe_internal.h"
#include "observe/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct observer *_Atomic observers[OBSERVERS_MAX];
static uint64_t made; /* observers, ever */
static bool taken[OBSERVERS_MAX];
static bool ending[OBSERVERS_MAX]; /* the sight thread is to close it */

static int free_id(void)
{
	for (unsigned int id = 0; id < OBSERVERS_MAX; id++) {
		if (ending[id] && sight_has_closed(id))
			taken[id] = ending[id] = false;
		if (!taken[id])
			return (int)id;
	}
	return -1;
}

bool observer_has_room(void)
{
	return free_id() >= 0;
}

int observer_set_scopes(
	struct observer *o, const struct observe_scope *scopes, unsigned int n_scopes)
{
	struct observe_scope *copy = calloc(n_scopes + 1, sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	if (n_scopes > 0)
		memcpy(copy, scopes, n_scopes * sizeof(*copy));
	free(o->scopes);
	o->scopes = copy;
	o->n_scopes = n_scopes;
	scope_resolve();
	return 0;
}

void observer_destroy(struct observer *o)
{
	for (unsigned int i = 0; o->rings != NULL && i < worker_count; i++)
		ring_free(o->rings[i]);
	packet_filter_free(o->filter);
	free(o->rings);
	free(o->tallies);
	free(o->scopes);
	free(o);
}

static bool make_rings(struct observer *o)
{
	bool all = true;

	o->rings = calloc(worker_count, sizeof(struct ring *));
	for (unsigned int i = 0; o->rings != NULL && i < worker_count; i++) {
		o->rings[i] = ring_new();
		all &= o->rings[i] != NULL;
	}
	return all && o->rings != NULL;
}

static struct observer *make(const struct observer_spec *spec)
{
	size_t size = worker_count * sizeof(struct observe_tally);
	struct observer *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->tallies = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	o->scopes = calloc(spec->n_scopes + 1, sizeof(*o->scopes));
	if (o->tallies == NULL || o->scopes == NULL ||
		(spec->sink->record != NULL && !make_rings(o))) {
		observer_destroy(o);
		return NULL;
	}
	memset(o->tallies, 0, size);
	if (spec->n_scopes > 0)
		memcpy(o->scopes, spec->scopes, spec->n_scopes * sizeof(*o->scopes));
	o->n_scopes = spec->n_scopes;
	if (spec->except != NULL)
		strncpy(o->except, spec->except, sizeof(o->except) - 1);
	o->directions = spec->directions;
	o->sample = spec->sample > 1 ? spec->sample : 1;
	o->snaplen = spec->snaplen > 0 ? spec->snaplen : UINT32_MAX;
	o->sink = spec->sink;
	o->context = spec->context;
	return o;
}

struct observer *observer_prepare(const struct observer_spec *spec)
{
	int id = free_id(), rc = id < 0 ? -ENOSPC : 0;
	struct observer *o = rc == 0 ? make(spec) : NULL;

	if (rc == 0 && o == NULL)
		rc = -ENOMEM;
	if (rc == 0 && spec->sink->record != NULL)
		rc = sight_start();
	if (rc != 0) {
		if (o != NULL)
			observer_destroy(o);
		packet_filter_free(spec->filter);
		errno = -rc;
		return NULL;
	}
	o->filter = spec->filter;
	o->id = (uint8_t)id;
	o->reference = ++made * OBSERVERS_MAX + o->id;
	taken[id] = true;
	return o;
}

void observer_start(struct observer *o)
{
	if (o->sink->record != NULL)
		sight_open(o);
	rcu_ptr_set(observers[o->id], o);
	scope_resolve();
}

struct observer *observer_new(const struct observer_spec *spec)
{
	struct observer *o = observer_prepare(spec);

	if (o != NULL)
		observer_start(o);
	return o;
}

/* No worker has it in hand. */
static void retire(void *arg)
{
	struct observer *o = arg;

	if (o->sink->record != NULL) {
		ending[o->id] = true;
		sight_close(o);
		return;
	}
	if (o->sink->close != NULL)
		o->sink->close(o);
	taken[o->id] = false;
	observer_destroy(o);
}

void observer_free(struct observer *o)
{
	rcu_ptr_set(observers[o->id], NULL);
	scope_resolve();
	rcu_defer(retire, o);
}

void *observer_context(const struct observer *o)
{
	return o->context;
}

unsigned int observer_id(const struct observer *o)
{
	return o->id;
}

uint64_t observer_reference(const struct observer *o)
{
	return o->reference;
}

uint32_t observer_snaplen(const struct observer *o)
{
	return o->snaplen;
}

unsigned int observer_ports(const struct observer *o)
{
	return o->n_ports;
}

struct observe_counters observer_counters(const struct observer *o)
{
	struct observe_counters sum = {
		.lost = atomic_load_explicit(&o->lost_later, memory_order_relaxed)};

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct observe_counters *c = &o->tallies[i].count;

		sum.packets += __atomic_load_n(&c->packets, __ATOMIC_RELAXED);
		sum.bytes += __atomic_load_n(&c->bytes, __ATOMIC_RELAXED);
		sum.lost += __atomic_load_n(&c->lost, __ATOMIC_RELAXED);
	}
	return sum;
}
