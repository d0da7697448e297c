// SPDX-License-Identifier: Apache-2.0
/* Open addressing by the value's address, at most half full; a hand goes round and frees what nobody else holds. */
#include "lib/json_memo.h"

#include <stdlib.h>
#include <string.h>

/* Places the hand looks at, for a list and for each value that is new: it is round before the table doubles. */
#define SWEEP_LIST 64
#define SWEEP_NEW 4
#define SIZE_MIN 1024

static struct json_memo *table;
static size_t table_size, table_count, hand;

/* ---- Hash ---- */

static uint64_t mix(uint64_t hash)
{
	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static uint64_t text_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return mix(hash);
}

static uint64_t value_hash(const json_t *value)
{
	uint64_t hash = (uint64_t)json_typeof(value);
	const char *key;
	json_t *item;
	size_t index;

	switch (json_typeof(value)) {
	case JSON_OBJECT: /* a sum: the order of members is of no account */
		json_object_foreach ((json_t *)value, key, item)
			hash += mix(text_hash(key) + value_hash(item));
		break;
	case JSON_ARRAY:
		json_array_foreach ((json_t *)value, index, item)
			hash = mix(hash + value_hash(item));
		break;
	case JSON_STRING:
		hash += text_hash(json_string_value(value));
		break;
	case JSON_INTEGER:
		hash += (uint64_t)json_integer_value(value) << 3;
		break;
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return mix(hash);
}

uint64_t json_memo_hash(const json_t *value)
{
	const struct json_memo *memo = json_memo_find(value);

	return memo ? memo->hash : value_hash(value);
}

/* ---- The table ---- */

static size_t place_of(const json_t *value)
{
	return (size_t)mix((uint64_t)(uintptr_t)value) & (table_size - 1);
}

/* Where the value is, or the free place where it would be. */
static struct json_memo *look_up(const json_t *value)
{
	size_t i = place_of(value);

	while (table[i].value && table[i].value != value)
		i = (i + 1) & (table_size - 1);
	return &table[i];
}

struct json_memo *json_memo_find(const json_t *value)
{
	struct json_memo *memo;

	if (table_count == 0)
		return NULL;
	memo = look_up(value);
	return memo->value ? memo : NULL;
}

static void grow(void)
{
	struct json_memo *old = table;
	size_t old_size = table_size;

	table_size = old_size ? 2 * old_size : SIZE_MIN;
	table = calloc(table_size, sizeof(*table));
	if (!table)
		abort();
	for (size_t i = 0; i < old_size; i++)
		if (old[i].value)
			*look_up(old[i].value) = old[i];
	hand = 0;
	free(old);
}

/* Takes out the value at place i, and moves up what had to go further because of it. */
static void forget(size_t i)
{
	const size_t mask = table_size - 1;

	json_decref(table[i].value);
	free(table[i].text);
	table_count--;
	for (size_t j = (i + 1) & mask; table[j].value; j = (j + 1) & mask) {
		size_t home = place_of(table[j].value);

		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		table[i] = table[j];
		i = j;
	}
	table[i] = (struct json_memo){0};
}

static void sweep(size_t places)
{
	for (; places > 0 && table_count > 0; places--) {
		hand = (hand + 1) & (table_size - 1);
		while (table[hand].value && table[hand].value->refcount == 1)
			forget(hand);
	}
}

static void remember(json_t *value)
{
	struct json_memo *memo = look_up(value);

	if (memo->value)
		return;
	*memo = (struct json_memo){.value = json_incref(value), .hash = value_hash(value)};
	table_count++;
	sweep(SWEEP_NEW);
	if (2 * table_count > table_size)
		grow();
}

void json_memo_list(const json_t *list)
{
	size_t count = json_array_size(list);

	if (count < JSON_MEMO_LONG || !json_is_object(json_array_get(list, 0)))
		return;
	if (table_size == 0)
		grow();
	sweep(SWEEP_LIST);
	for (size_t i = 0; i < count; i++)
		remember(json_array_get(list, i));
}

void json_memo_lists(const json_t *object)
{
	const char *name;
	json_t *member;

	json_object_foreach ((json_t *)object, name, member)
		json_memo_list(member);
}

const char *json_memo_text(struct json_memo *memo)
{
	if (!memo->text) {
		memo->text = json_dumps(memo->value, JSON_COMPACT);
		memo->text_len = memo->text ? (uint32_t)strlen(memo->text) : 0;
	}
	return memo->text;
}

size_t json_memo_count(void)
{
	return table_count;
}

void json_memo_clear(void)
{
	for (size_t i = 0; i < table_size; i++) {
		json_decref(table[i].value);
		free(table[i].text);
	}
	free(table);
	table = NULL;
	table_size = table_count = hand = 0;
}
