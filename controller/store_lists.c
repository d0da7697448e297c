/* SPDX-License-Identifier: Apache-2.0 */
#include "store_lists.h"

#include "lib/json_memo.h"
#include "lib/json_text.h"
#include "lib/log.h"
#include "list_cut.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Shorter ones are part of their object's row. */
#define LONG_LIST JSON_MEMO_LONG
/* Items of a part: some 6 kB of rules, two or three pages of the file. */
#define PART_MAX 48

/* A list that is stored in parts. */
struct stored_list {
	struct stored_list *next;
	char *field;
	struct list_cut cut;
};

/* An object that has such lists. */
struct stored {
	char *key;
	struct stored_list *lists;
};

/* Which part of the store a list_cut_owner's functions write to. */
struct place {
	struct store *store;
	const char *kind, *name, *field;
};

/* ---- What is known to be on the disk ---- */

static char *key_of(const char *kind, const char *name)
{
	return mem_printf("%s\x1f%s", kind, name);
}

static struct stored *find(const struct store *store, const char *kind, const char *name)
{
	char *key;
	struct stored *stored;

	if (store->lists.count == 0)
		return NULL;
	key = key_of(kind, name);
	stored = strmap_get(&store->lists, key);
	free(key);
	return stored;
}

static struct stored *find_or_add(struct store *store, const char *kind, const char *name)
{
	struct stored *stored = find(store, kind, name);

	if (stored != NULL)
		return stored;
	stored = mem_calloc(1, sizeof(*stored));
	stored->key = key_of(kind, name);
	strmap_put(&store->lists, stored->key, stored);
	return stored;
}

static struct stored_list **find_list(struct stored *stored, const char *field)
{
	struct stored_list **link = &stored->lists;

	while (*link != NULL && strcmp((*link)->field, field) != 0)
		link = &(*link)->next;
	return link;
}

static struct list_cut *list_of(
	struct store *store, const char *kind, const char *name, const char *field)
{
	struct stored_list **link = find_list(find_or_add(store, kind, name), field);

	if (*link == NULL) {
		*link = mem_calloc(1, sizeof(**link));
		(*link)->field = mem_strdup(field);
	}
	return &(*link)->cut;
}

static void list_free(struct stored_list **link)
{
	struct stored_list *list = *link;

	*link = list->next;
	list_cut_fini(&list->cut);
	free(list->field);
	free(list);
}

static void stored_free(struct stored *stored)
{
	while (stored->lists != NULL)
		list_free(&stored->lists);
	free(stored->key);
	free(stored);
}

static void drop(struct store *store, struct stored *stored)
{
	strmap_take(&store->lists, stored->key);
	stored_free(stored);
}

void store_lists_forget(struct store *store)
{
	STRMAP_FOREACH(&store->lists, slot)
	stored_free(slot->value);
	strmap_fini(&store->lists);
	store->lists = (struct strmap){0};
	store->lists_unknown = true;
}

/* ---- Writing ---- */

static sqlite3_stmt *begin(const struct place *at, enum statement which)
{
	sqlite3_stmt *st = store_begin(at->store, which);

	sqlite3_bind_text(st, 1, at->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, at->name, -1, SQLITE_STATIC);
	if (at->field != NULL)
		sqlite3_bind_text(st, 3, at->field, -1, SQLITE_STATIC);
	return st;
}

static void delete_part(const struct list_part *part, bool replaced, void *arg)
{
	const struct place *at = arg;
	sqlite3_stmt *st;

	if (replaced)
		return;
	st = begin(at, PART_DELETE);
	sqlite3_bind_int64(st, 4, part->number);
	store_step(at->store, st);
}

static void put_part(struct list_part *part, const json_t *list, size_t first, void *arg)
{
	const struct place *at = arg;
	sqlite3_stmt *st = begin(at, PART_PUT);
	size_t len = 0;
	char *text = json_text_slice(list, first, part->count, &len);

	sqlite3_bind_int64(st, 4, part->number);
	sqlite3_bind_text(st, 5, text, (int)len, free);
	store_step(at->store, st);
}

static void put_list(const struct place *at, json_t *list)
{
	const struct list_cut_owner owner = {
		.part_max = PART_MAX, .gone = delete_part, .made = put_part, .arg = (void *)at};
	struct list_cut *cut = list_of(at->store, at->kind, at->name, at->field);

	if (cut->list == list)
		return;
	list_cut_update(cut, list, &owner);
}

/* A list that has become short goes back into its object's row. */
static void unput_list(const struct place *at, struct stored *stored)
{
	struct stored_list **link = find_list(stored, at->field);

	if (*link == NULL)
		return;
	store_step(at->store, begin(at, LIST_DELETE));
	list_free(link);
	if (stored->lists == NULL)
		drop(at->store, stored);
}

json_t *store_lists_put(
	struct store *store, const char *kind, const char *name, const json_t *object)
{
	struct place at = {.store = store, .kind = kind, .name = name};
	json_t *row = json_incref((json_t *)object), *value;
	const char *field;

	if (store->lists_unknown && find(store, kind, name) == NULL)
		store_step(store, begin(&at, LISTS_DELETE));
	json_object_foreach ((json_t *)object, field, value) {
		struct stored *stored;

		at.field = field;
		if (json_array_size(value) >= LONG_LIST) {
			put_list(&at, value);
			if (row == object) {
				json_decref(row);
				row = mem_json(json_copy((json_t *)object));
			}
			json_object_set_new(row, field, mem_json(json_array()));
		} else if (json_is_array(value) && (stored = find(store, kind, name)) != NULL) {
			unput_list(&at, stored);
		}
	}
	return row;
}

void store_lists_delete(struct store *store, const char *kind, const char *name)
{
	const struct place at = {.store = store, .kind = kind, .name = name};
	struct stored *stored = find(store, kind, name);

	if (stored != NULL || store->lists_unknown)
		store_step(store, begin(&at, LISTS_DELETE));
	if (stored != NULL)
		drop(store, stored);
}

/* ---- Reading ---- */

struct store_lists_reader {
	struct store *store;
	sqlite3_stmt *st;
	int step;
};

struct store_lists_reader *store_lists_reader_new(struct store *store)
{
	static const char sql[] = "SELECT kind, name, field, part, json FROM list_parts"
				  " ORDER BY kind, name, field, part";
	struct store_lists_reader *reader = mem_calloc(1, sizeof(*reader));

	reader->store = store;
	if (sqlite3_prepare_v2(store->db, sql, -1, &reader->st, NULL) != SQLITE_OK) {
		store_complain(store, "list_parts");
		store_lists_reader_free(reader);
		return NULL;
	}
	reader->step = sqlite3_step(reader->st);
	return reader;
}

void store_lists_reader_free(struct store_lists_reader *reader)
{
	if (reader == NULL)
		return;
	sqlite3_finalize(reader->st);
	free(reader);
}

static const char *column(const struct store_lists_reader *reader, int which)
{
	return (const char *)sqlite3_column_text(reader->st, which);
}

/* Where the reader is, seen from an object: before it, at it, behind it. */
static int compare(const struct store_lists_reader *reader, const char *kind, const char *name)
{
	int order = strcmp(column(reader, 0), kind);

	return order != 0 ? order : strcmp(column(reader, 1), name);
}

/* Appends the part to its list in the object, and to what is known to be on the disk. */
static bool read_part(struct store_lists_reader *reader, json_t *object)
{
	const char *kind = column(reader, 0), *name = column(reader, 1), *field = column(reader, 2);
	struct list_cut *cut = list_of(reader->store, kind, name, field);
	json_t *items =
		json_loadb(column(reader, 4), (size_t)sqlite3_column_bytes(reader->st, 4), 0, NULL);

	if (!json_is_array(items) || !json_is_array(json_object_get(object, field))) {
		json_decref(items);
		return false;
	}
	if (cut->list == NULL) {
		cut->list = mem_json(json_array());
		json_object_set(object, field, cut->list);
	}
	json_array_extend(cut->list, items);
	list_cut_append(cut, sqlite3_column_int64(reader->st, 3), json_array_size(items));
	json_decref(items);
	return true;
}

static int damaged(const struct store_lists_reader *reader)
{
	log_error("a list in the store is damaged", LOG_STR("kind", column(reader, 0)),
		LOG_STR("name", column(reader, 1)), LOG_STR("field", column(reader, 2)));
	return -EINVAL;
}

int store_lists_read(
	struct store_lists_reader *reader, const char *kind, const char *name, json_t *object)
{
	while (reader->step == SQLITE_ROW) {
		int order = compare(reader, kind, name);

		if (order > 0)
			return 0;
		if (order < 0 || !read_part(reader, object))
			return damaged(reader);
		reader->step = sqlite3_step(reader->st);
	}
	return reader->step == SQLITE_DONE ? 0 : store_complain(reader->store, "list_parts");
}

int store_lists_read_end(const struct store_lists_reader *reader)
{
	return reader->step == SQLITE_ROW ? damaged(reader) : 0;
}
