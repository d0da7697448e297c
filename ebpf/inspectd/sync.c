/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sync_begin(struct sync *s, size_t key_size, size_t value_size)
{
	*s = (struct sync){.key_size = key_size, .value_size = value_size};
}

bool sync_add(struct sync *s, const void *key, const void *value)
{
	size_t stride = s->key_size + s->value_size;

	if (s->count == s->size) {
		size_t size = s->size > 0 ? s->size * 2 : 64;
		unsigned char *entries = reallocarray(s->entries, size, stride);

		if (entries == NULL)
			return false;
		s->entries = entries;
		s->size = size;
	}
	memcpy(s->entries + s->count * stride, key, s->key_size);
	memcpy(s->entries + s->count * stride + s->key_size, value, s->value_size);
	s->count++;
	return true;
}

static int compare(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(size_t *)size);
}

static bool wanted(const struct sync *s, const void *key)
{
	size_t stride = s->key_size + s->value_size, low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(key, s->entries + middle * stride, s->key_size);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* Deletes what is not wanted. A deleted key has no successor: step on before. */
static bool remove_others(const struct sync *s, int map)
{
	unsigned char key[SYNC_KEY_MAX], next[SYNC_KEY_MAX];
	bool changed = false, more = bpf_map_get_next_key(map, NULL, key) == 0;

	while (more) {
		more = bpf_map_get_next_key(map, key, next) == 0;
		if (!wanted(s, key) && bpf_map_delete_elem(map, key) == 0)
			changed = true;
		memcpy(key, next, s->key_size);
	}
	return changed;
}

void sync_free(struct sync *s)
{
	free(s->entries);
	*s = (struct sync){0};
}

/* Puts one entry in. A lookup alone would not do: a trie answers for shorter prefixes too. */
static int put(const struct sync *s, int map, const unsigned char *entry, bool *changed)
{
	unsigned char value[SYNC_VALUE_MAX];

	if (bpf_map_update_elem(map, entry, entry + s->key_size, BPF_NOEXIST) == 0) {
		*changed = true;
		return 0;
	}
	if (errno != EEXIST)
		return -errno;
	if (bpf_map_lookup_elem(map, entry, value) == 0 &&
		memcmp(value, entry + s->key_size, s->value_size) == 0)
		return 0;
	*changed = true;
	return bpf_map_update_elem(map, entry, entry + s->key_size, BPF_ANY) < 0 ? -errno : 0;
}

int sync_end(struct sync *s, int map, bool *changed)
{
	size_t stride = s->key_size + s->value_size;
	int rc = 0;

	if (s->count > 0)
		qsort_r(s->entries, s->count, stride, compare, &s->key_size);
	if (remove_others(s, map))
		*changed = true;
	for (size_t i = 0; i < s->count && rc == 0; i++) {
		const unsigned char *entry = s->entries + i * stride;

		if (i == 0 || memcmp(entry, entry - stride, s->key_size) != 0)
			rc = put(s, map, entry, changed);
	}
	sync_free(s);
	return rc;
}
