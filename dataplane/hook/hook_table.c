/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of this node, and at which ports they run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook/hook.h"
#include "mirror/mirror.h"

struct hook *_Atomic hooks[HOOK_IDS];
static bool taken[HOOK_IDS];
static struct hook *all;   /* by name */
static unsigned int names; /* of hooks that are put, or prepared and replace none */

struct hook *hook_by_name(const char *name)
{
	for (struct hook *h = all; h != NULL; h = h->next)
		if (strcmp(h->name, name) == 0)
			return h;
	return NULL;
}

struct hook *hook_next(struct hook *previous)
{
	return previous == NULL ? all : previous->next;
}

static int free_id(void)
{
	for (unsigned int id = 0; id < HOOK_IDS; id++)
		if (!taken[id])
			return (int)id;
	return -1;
}

struct hook *hook_new(bool replaces)
{
	size_t size = worker_count * sizeof(struct hook_tally);
	int id = free_id();
	struct hook *h;

	if (id < 0 || (!replaces && names >= HOOKS_MAX)) {
		errno = ENOSPC;
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (h != NULL)
		h->tallies = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (h == NULL || h->tallies == NULL) {
		free(h);
		errno = ENOMEM;
		return NULL;
	}
	memset(h->tallies, 0, size);
	h->id = (uint8_t)id;
	h->replaces = replaces;
	taken[id] = true;
	names += !replaces;
	return h;
}

static void destroy(void *arg)
{
	struct hook *h = arg;

	taken[h->id] = false;
	rte_bpf_destroy(h->bpf);
	free(h->tallies);
	free(h->scopes);
	free(h);
}

void hook_free(struct hook *h)
{
	names -= !h->replaces;
	destroy(h);
}

struct hook_tally hook_sum(const struct hook *h)
{
	struct hook_tally sum = {.runs = 0};

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct hook_tally *t = &h->tallies[i];

		sum.runs += __atomic_load_n(&t->runs, __ATOMIC_RELAXED);
		sum.dropped += __atomic_load_n(&t->dropped, __ATOMIC_RELAXED);
		sum.sampled += __atomic_load_n(&t->sampled, __ATOMIC_RELAXED);
		sum.cycles += __atomic_load_n(&t->cycles, __ATOMIC_RELAXED);
	}
	return sum;
}

void hook_detach(struct hook *h)
{
	atomic_store_explicit(&h->detached, true, memory_order_release);
}

static void unlink_hook(struct hook *h)
{
	struct hook **at = &all;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
}

/* Ports still have its bit, which finds nothing. */
static void retire(struct hook *h)
{
	unlink_hook(h);
	rcu_ptr_set(hooks[h->id], NULL);
	rcu_defer(destroy, h);
}

static void insert(struct hook *h)
{
	struct hook **at = &all;

	while (*at != NULL && strcmp((*at)->name, h->name) < 0)
		at = &(*at)->next;
	h->next = *at;
	*at = h;
}

void hook_put(struct hook *h)
{
	struct hook *old = hook_by_name(h->name);

	hook_forget(h->name, h->revision);
	if (hook_was_detached(h->name, h->revision)) {
		h->told = true;
		hook_detach(h);
	}
	if (old != NULL)
		retire(old);
	insert(h);
	rcu_ptr_set(hooks[h->id], h);
}

void hook_remove(const char *name)
{
	struct hook *h = hook_by_name(name);

	if (h == NULL)
		return;
	hook_forget(name, 0);
	names--;
	retire(h);
}

/* ---- Ports ---- */

static bool runs_at(const struct hook *h, const struct port *port)
{
	for (unsigned int i = 0; i < h->n_scopes; i++)
		if (observe_scope_has(&h->scopes[i], port))
			return true;
	return false;
}

/* Adds the hook to the mask of one direction; false: there are too many. */
static bool add(uint64_t *mask, const struct hook *h, enum observe_direction d)
{
	if ((h->directions & d) == 0)
		return true;
	if (__builtin_popcountll(*mask) >= (int)HOOKS_PER_PORT)
		return false;
	*mask |= 1ull << h->id;
	return true;
}

/* The masks first: a worker that sees the flag finds them. */
static void set_masks(struct port *port, uint64_t sent, uint64_t given)
{
	atomic_store_explicit(&port->hook_sent, sent, memory_order_relaxed);
	atomic_store_explicit(&port->hook_given, given, memory_order_release);
	__atomic_store_n(&port->hooked,
		(uint8_t)((sent != 0 ? OBSERVE_SENT : 0) | (given != 0 ? OBSERVE_GIVEN : 0)),
		__ATOMIC_RELEASE);
}

static void resolve_port(struct port *port)
{
	uint64_t sent = 0, given = 0;

	for (struct hook *h = all; h != NULL; h = h->next) {
		if (!runs_at(h, port))
			continue;
		h->n_ports++;
		if (!add(&sent, h, OBSERVE_SENT) || !add(&given, h, OBSERVE_GIVEN))
			snprintf(h->reason, sizeof(h->reason),
				"port `%s` has %u hooks already, by the order of their names",
				port->name, HOOKS_PER_PORT);
	}
	set_masks(port, sent, given);
}

static void resolve(void)
{
	static bool looked; /* the last time there were some */

	if (all == NULL && !looked)
		return;
	looked = all != NULL;
	for (struct hook *h = all; h != NULL; h = h->next) {
		const struct mirror *m = mirror_by_name(h->mirror_name);

		h->n_ports = 0;
		h->reason[0] = '\0';
		atomic_store_explicit(&h->mirror, m != NULL ? observer_reference(m->observer) : 0,
			memory_order_relaxed);
	}
	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port))
		resolve_port(port);
}

/* Behind ports, vNICs and mirrors. */
STATE_HOOK(hook_hook, .order = 97, .after_commit = resolve)
