/* SPDX-License-Identifier: Apache-2.0 */
#include "strmap.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_text(const char *key)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ull;
	h = (h ^ (h >> 32)) * 0xff51afd7ed558ccdull;
	return (uint32_t)(h >> 32);
}

/* The slot of the key, or the free one where it belongs. The table is never full. */
static struct strmap_slot *slot_of(const struct strmap *map, const char *key, uint32_t hash)
{
	size_t mask = map->size - 1, i = hash & mask;

	while (map->slots[i].key != NULL &&
		(map->slots[i].hash != hash || strcmp(map->slots[i].key, key) != 0))
		i = (i + 1) & mask;
	return &map->slots[i];
}

static void grow(struct strmap *map)
{
	struct strmap bigger = {.size = map->size != 0 ? map->size * 2 : 8};

	bigger.slots = mem_calloc(bigger.size, sizeof(*bigger.slots));
	STRMAP_FOREACH(map, slot)
	*slot_of(&bigger, slot->key, slot->hash) = *slot;
	free(map->slots);
	map->slots = bigger.slots;
	map->size = bigger.size;
}

void *strmap_get(const struct strmap *map, const char *key)
{
	return map->size != 0 ? slot_of(map, key, hash_text(key))->value : NULL;
}

void strmap_put(struct strmap *map, const char *key, void *value)
{
	uint32_t hash = hash_text(key);
	struct strmap_slot *slot;

	if ((map->count + 1) * 4 > map->size * 3)
		grow(map);
	slot = slot_of(map, key, hash);
	if (slot->key == NULL)
		map->count++;
	*slot = (struct strmap_slot){.key = key, .value = value, .hash = hash};
}

/* Moves back what had to step over the slot that is now free, so that no marks are needed. */
static void close_gap(struct strmap *map, size_t gap)
{
	size_t mask = map->size - 1;

	for (size_t i = (gap + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		map->slots[gap] = map->slots[i];
		gap = i;
	}
	map->slots[gap] = (struct strmap_slot){0};
}

void *strmap_take(struct strmap *map, const char *key)
{
	struct strmap_slot *slot;
	void *value;

	if (map->size == 0)
		return NULL;
	slot = slot_of(map, key, hash_text(key));
	if (slot->key == NULL)
		return NULL;
	value = slot->value;
	map->count--;
	close_gap(map, (size_t)(slot - map->slots));
	return value;
}

void strmap_fini(struct strmap *map)
{
	free(map->slots);
	*map = (struct strmap){0};
}
