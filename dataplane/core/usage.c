/* SPDX-License-Identifier: Apache-2.0 */
#include "core/usage.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Ended objects that no controller has asked about. So many are let go only when none comes for long. */
#define ENDED_MAX 65536

struct ended {
	struct usage_entry entry;
	bool final;
	struct ended *next;
};

static struct usage_source *sources;
static struct ended *ended_list;
static unsigned int ended_count;
uint64_t usage_lost;

void usage_source_register(struct usage_source *source)
{
	source->next = sources;
	sources = source;
}

uint64_t usage_instance(void)
{
	uint64_t instance = 0;

	while (instance == 0) {
		if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
			instance = 0;
		instance >>= 1; /* fits what JSON calls an integer */
	}
	return instance;
}

struct usage_entry usage_entry_make(
	const char *kind, const char *name, uint64_t instance, uint64_t revision)
{
	struct usage_entry entry = {.instance = instance, .revision = revision};

	snprintf(entry.kind, sizeof(entry.kind), "%s", kind);
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	return entry;
}

/* The oldest is the last. */
static void forget_oldest(void)
{
	struct ended **at = &ended_list;

	while ((*at)->next != NULL)
		at = &(*at)->next;
	free(*at);
	*at = NULL;
	ended_count--;
	usage_lost++;
}

static void put(const struct usage_entry *entry, bool final)
{
	static const struct usage_figures none;
	struct ended *e = ended_list;

	while (e != NULL && e->entry.instance != entry->instance)
		e = e->next;
	if (e == NULL) {
		if (memcmp(&entry->figures, &none, sizeof(none)) == 0)
			return;
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			return;
		if (ended_count == ENDED_MAX)
			forget_oldest();
		ended_count++;
		e->next = ended_list;
		ended_list = e;
	}
	e->entry = *entry;
	e->final = final;
}

void usage_ending(const struct usage_entry *entry)
{
	put(entry, false);
}

void usage_ended(const struct usage_entry *entry)
{
	put(entry, true);
}

void usage_each_live(usage_fn fn, void *arg)
{
	for (const struct usage_source *s = sources; s != NULL; s = s->next)
		s->each(fn, arg);
	for (const struct ended *e = ended_list; e != NULL; e = e->next)
		if (!e->final)
			fn(&e->entry, arg);
}

void usage_each_ended(usage_fn fn, void *arg)
{
	for (const struct ended *e = ended_list; e != NULL; e = e->next)
		if (e->final)
			fn(&e->entry, arg);
}

static int compare(const void *pa, const void *pb)
{
	const uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return a < b ? -1 : a > b;
}

void usage_forget(uint64_t *instances, size_t count)
{
	struct ended **at = &ended_list, *e;

	qsort(instances, count, sizeof(*instances), compare);
	while ((e = *at) != NULL) {
		if (e->final && bsearch(&e->entry.instance, instances, count, sizeof(*instances),
					compare) != NULL) {
			*at = e->next;
			free(e);
			ended_count--;
		} else {
			at = &e->next;
		}
	}
}
