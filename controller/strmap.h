/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_STRMAP_H
#define CONTROLLER_STRMAP_H
/*
 * A hash table from text to pointers. Keys are borrowed: they live in what the value points to. Zeroed
 * memory is an empty map. Out of memory ends the program (see mem.h).
 */
#include <stddef.h>
#include <stdint.h>

struct strmap_slot {
	const char *key; /* NULL: free */
	void *value;
	uint32_t hash;
};

struct strmap {
	struct strmap_slot *slots;
	size_t size; /* 0 or a power of two */
	size_t count;
};

void *strmap_get(const struct strmap *map, const char *key);
/* Adds, or replaces key and value. */
void strmap_put(struct strmap *map, const char *key, void *value);
/* Takes the entry out and returns its value; NULL when there is none. */
void *strmap_take(struct strmap *map, const char *key);
/* Frees the table, not the values. */
void strmap_fini(struct strmap *map);

/* In no order; the map must not change meanwhile. */
#define STRMAP_FOREACH(map, slot)                                                                  \
	for (struct strmap_slot *slot = (map)->slots; slot != (map)->slots + (map)->size; slot++)  \
		if (slot->key != NULL)

#endif
