/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 8u

/* The digest bucket is the hash's low end; slots are taken from its high end, so a larger table
 * keeps the order of a smaller one. */
static uint32_t slot_of(const struct state_slots *s, uint64_t key_hash)
{
	return s->n_slots > 1 ? (uint32_t)(key_hash >> (64 - __builtin_ctz(s->n_slots))) : 0;
}

static struct state_slots *slots_of(const struct state_table *table, uint64_t key_hash)
{
	return (struct state_slots *)&table->buckets[key_hash % SB_BUCKETS];
}

/* Length of the text's part before the comma that ends the key. */
static uint16_t key_size_of(const char *text, size_t size, unsigned int n_key)
{
	unsigned int commas = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == ',' || text[i] == ']') && commas++ == n_key)
			return (uint16_t)i;
	}
	return (uint16_t)size;
}

int state_each_ref(const json_t *item, const struct sb_kind *kind,
	int (*fn)(void *arg, const char *target_kind, const json_t *value, uint64_t target_hash),
	void *arg)
{
	char key[SB_KEY_MAX];
	int rc = 0;

	for (unsigned int c = 0; c < kind->n_columns && rc == 0; c++) {
		const char *ref = kind->columns[c].ref;
		const json_t *value = json_array_get(item, c + 1), *entry;
		size_t n, len;

		if (ref == NULL || json_is_null(value))
			continue;
		if (!json_is_array(value)) {
			len = sb_ref_key_write(ref, value, key, sizeof(key));
			rc = fn(arg, ref, value, sb_key_hash(key, len));
			continue;
		}
		json_array_foreach (value, n, entry) {
			len = sb_ref_key_write(ref, entry, key, sizeof(key));
			rc = fn(arg, ref, entry, sb_key_hash(key, len));
			if (rc != 0)
				break;
		}
	}
	return rc;
}

struct refs {
	uint64_t few[8], *hashes;
	uint16_t n, room;
};

static int take_ref(void *arg, const char *kind, const json_t *value, uint64_t hash)
{
	struct refs *refs = arg;

	(void)kind;
	(void)value;
	if (refs->n == refs->room) {
		uint64_t *more = malloc(2u * refs->room * sizeof(*more));

		if (more == NULL || refs->room > UINT16_MAX / 2)
			return -ENOMEM;
		memcpy(more, refs->hashes, refs->n * sizeof(*more));
		if (refs->hashes != refs->few)
			free(refs->hashes);
		refs->hashes = more;
		refs->room *= 2;
	}
	refs->hashes[refs->n++] = hash;
	return 0;
}

static struct state_item *item_alloc(const json_t *item, const struct refs *refs)
{
	char stack[1024];
	size_t size = sb_item_text(item, stack, sizeof(stack));
	size_t refs_size = refs->n * sizeof(refs->hashes[0]);
	struct state_item *i = size != 0 ? malloc(sizeof(*i) + refs_size + size) : NULL;
	char *text;

	if (i == NULL)
		return NULL;
	text = (char *)&i->ref_hashes[refs->n];
	if (size <= sizeof(stack))
		memcpy(text, stack, size);
	else
		sb_item_text(item, text, size);
	*i = (struct state_item){.size = (uint32_t)size, .n_refs = refs->n, .text = text};
	memcpy(i->ref_hashes, refs->hashes, refs_size);
	return i;
}

struct state_item *state_item_new(const json_t *item, uint64_t key_hash, bool deletion)
{
	const struct sb_kind *kind = sb_kind_find(json_string_value(json_array_get(item, 0)));
	struct refs refs = {.hashes = refs.few, .room = sizeof(refs.few) / sizeof(refs.few[0])};
	struct state_item *i = NULL;

	if (deletion || state_each_ref(item, kind, take_ref, &refs) == 0)
		i = item_alloc(item, &refs);
	if (refs.hashes != refs.few)
		free(refs.hashes);
	if (i == NULL)
		return NULL;
	i->key_hash = key_hash;
	i->key_size = key_size_of(i->text, i->size, kind->n_key);
	i->deletion = deletion;
	i->hash = deletion ? 0 : sb_text_hash(i->text, i->size);
	return i;
}

static bool same_key(const struct state_item *i, uint64_t hash, const char *key, uint16_t size)
{
	return i->key_hash == hash && i->key_size == size && memcmp(i->text, key, size) == 0;
}

/* Where the pointer to the item of that key is, or where it would be. */
static struct state_item **place(
	const struct state_slots *s, uint64_t hash, const char *key, uint16_t size)
{
	struct state_item **at = &s->heads[slot_of(s, hash)];

	while (*at != NULL && (*at)->key_hash <= hash && !same_key(*at, hash, key, size))
		at = &(*at)->next;
	return at;
}

struct state_item *state_table_find(
	const struct state_table *table, uint64_t key_hash, const char *key, uint16_t key_size)
{
	const struct state_slots *s = slots_of(table, key_hash);
	struct state_item *i = s->n_slots != 0 ? *place(s, key_hash, key, key_size) : NULL;

	return i != NULL && same_key(i, key_hash, key, key_size) ? i : NULL;
}

struct state_item *state_table_find_hash(const struct state_table *table, uint64_t key_hash)
{
	const struct state_slots *s = slots_of(table, key_hash);
	struct state_item *i = s->n_slots != 0 ? s->heads[slot_of(s, key_hash)] : NULL;

	while (i != NULL && i->key_hash < key_hash)
		i = i->next;
	return i != NULL && i->key_hash == key_hash ? i : NULL;
}

static int grow(struct state_slots *s, uint32_t n_slots)
{
	struct state_slots bigger = {.n_slots = n_slots};

	bigger.heads = calloc(n_slots, sizeof(*bigger.heads));
	if (bigger.heads == NULL)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < s->n_slots; slot++) {
		struct state_item *i = s->heads[slot], *next;
		struct state_item **tail = NULL;
		uint32_t last = UINT32_MAX;

		for (; i != NULL; i = next) { /* ascending, so each goes behind the one before */
			uint32_t to = slot_of(&bigger, i->key_hash);

			next = i->next;
			i->next = NULL;
			if (to != last)
				tail = &bigger.heads[to];
			*tail = i;
			tail = &i->next;
			last = to;
		}
	}
	free(s->heads);
	s->heads = bigger.heads;
	s->n_slots = n_slots;
	return 0;
}

int state_table_reserve(struct state_table *table, uint64_t key_hash)
{
	struct state_slots *s = slots_of(table, key_hash);

	if (s->n_slots == 0)
		return grow(s, SLOTS_MIN);
	if (s->n_items >= s->n_slots)
		grow(s, 2 * s->n_slots); /* without memory for it, chains just get longer */
	return 0;
}

struct state_item *state_table_insert(struct state_table *table, struct state_item *item)
{
	struct state_slots *s = slots_of(table, item->key_hash);
	struct state_item **at = place(s, item->key_hash, item->text, item->key_size);
	struct state_item *old = *at;

	s->digest ^= item->hash;
	if (old != NULL && same_key(old, item->key_hash, item->text, item->key_size)) {
		item->next = old->next;
		s->digest ^= old->hash;
	} else {
		item->next = old;
		old = NULL;
		s->n_items++;
		table->n_items++;
	}
	*at = item;
	return old;
}

struct state_item *state_table_remove(struct state_table *table, const struct state_item *like)
{
	struct state_slots *s = slots_of(table, like->key_hash);
	struct state_item **at, *i;

	if (s->n_slots == 0)
		return NULL;
	at = place(s, like->key_hash, like->text, like->key_size);
	i = *at;
	if (i == NULL || !same_key(i, like->key_hash, like->text, like->key_size))
		return NULL;
	*at = i->next;
	s->digest ^= i->hash;
	s->n_items--;
	table->n_items--;
	return i;
}

struct state_item *state_table_seek(
	const struct state_table *table, unsigned int bucket, uint64_t from)
{
	const struct state_slots *s = &table->buckets[bucket];

	if (s->n_slots == 0)
		return NULL;
	for (uint32_t slot = slot_of(s, from); slot < s->n_slots; slot++)
		for (struct state_item *i = s->heads[slot]; i != NULL; i = i->next)
			if (i->key_hash >= from)
				return i;
	return NULL;
}

struct state_item *state_table_next(const struct state_table *table, const struct state_item *item)
{
	const struct state_slots *s = slots_of(table, item->key_hash);

	if (item->next != NULL)
		return item->next;
	for (uint32_t slot = slot_of(s, item->key_hash) + 1; slot < s->n_slots; slot++)
		if (s->heads[slot] != NULL)
			return s->heads[slot];
	return NULL;
}

void state_table_clear(struct state_table *table, bool items)
{
	for (unsigned int b = 0; b < SB_BUCKETS; b++) {
		struct state_slots *s = &table->buckets[b];

		for (uint32_t slot = 0; items && slot < s->n_slots; slot++) {
			for (struct state_item *i = s->heads[slot], *next; i != NULL; i = next) {
				next = i->next;
				free(i);
			}
		}
		free(s->heads);
		*s = (struct state_slots){0};
	}
	table->n_items = 0;
}
