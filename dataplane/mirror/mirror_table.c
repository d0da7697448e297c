/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_in.h"
#include "underlay/underlay.h"

static struct mirror *all;

struct mirror *mirror_by_name(const char *name)
{
	for (struct mirror *m = all; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

struct mirror *mirror_next(struct mirror *previous)
{
	return previous == NULL ? all : previous->next;
}

struct mirror *mirror_new(void)
{
	size_t size = worker_count * sizeof(struct mirror_batch);
	struct mirror *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->batches = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (m->batches == NULL) {
		free(m);
		return NULL;
	}
	memset(m->batches, 0, size);
	atomic_store(&m->index, UINT32_MAX);
	return m;
}

void mirror_destroy(struct mirror *m)
{
	mirror_file_free(m->file);
	free(m->batches);
	free(m);
}

void mirror_free(struct mirror *m)
{
	if (m->observer != NULL)
		observer_free(m->observer);
	else
		mirror_destroy(m);
}

struct observe_counters mirror_counters(const struct mirror *m)
{
	struct observe_counters sum = observer_counters(m->observer);

	sum.packets += m->before.packets;
	sum.bytes += m->before.bytes;
	sum.lost += m->before.lost;
	return sum;
}

static void unlink_mirror(struct mirror *m)
{
	struct mirror **at = &all;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
}

static void find_target(struct mirror *m)
{
	const struct port *port = m->target == MIRROR_PORT ? port_by_name(m->where) : NULL;
	const struct vtep *vtep = m->target == MIRROR_PORT ? NULL : vtep_by_name(m->where);

	atomic_store_explicit(&m->index,
		port != NULL   ? port->index
		: vtep != NULL ? vtep->index
			       : UINT32_MAX,
		memory_order_relaxed);
}

void mirror_put(struct mirror *m)
{
	struct mirror *old = mirror_by_name(m->name);

	if (old != NULL) {
		m->before = mirror_counters(old);
		atomic_store(&m->sequence, atomic_load(&old->sequence));
		unlink_mirror(old);
	}
	m->next = all;
	all = m;
	find_target(m);
	observer_start(m->observer);
	if (old != NULL)
		mirror_free(old);
}

void mirror_remove(const char *name)
{
	struct mirror *m = mirror_by_name(name);

	if (m == NULL)
		return;
	unlink_mirror(m);
	mirror_free(m);
}

void mirror_port_trouble(const char *name, char reason[MIRROR_REASON_MAX])
{
	const struct port *port = port_by_name(name);

	reason[0] = '\0';
	if (port == NULL)
		snprintf(reason, MIRROR_REASON_MAX, "port `%s` is not on this node", name);
	else if (port->state != PORT_ACTIVE)
		snprintf(reason, MIRROR_REASON_MAX, "port `%s` does not carry traffic: %.60s", name,
			port->reason);
	else if (!port->enabled)
		snprintf(reason, MIRROR_REASON_MAX, "port `%s` is disabled", name);
}

static void trouble_of_tunnel(const struct mirror *m, char *reason)
{
	const struct vtep *vtep = vtep_by_name(m->where);

	if (underlay_port() == NULL)
		snprintf(reason, MIRROR_REASON_MAX, "this node has no underlay");
	else if (vtep == NULL || !vtep_is_ready(vtep))
		snprintf(reason, MIRROR_REASON_MAX,
			"the next hop to the target is not known or does not answer");
}

void mirror_trouble(const struct mirror *m, char reason[MIRROR_REASON_MAX])
{
	reason[0] = '\0';
	if (m->target == MIRROR_PORT)
		mirror_port_trouble(m->where, reason);
	else if (m->target == MIRROR_FILE)
		mirror_file_trouble(m->file, reason);
	else
		trouble_of_tunnel(m, reason);
}

/* Ports and VTEPs come and go. */
static void after_commit(void)
{
	for (struct mirror *m = all; m != NULL; m = m->next)
		find_target(m);
}

STATE_HOOK(mirror_hook, .order = 96, .after_commit = after_commit)
