/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists in the store: whatever is done to them, what is read back is what was committed last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/store_internal.h"
#include "lib/json_memo.h"
#include "random.h"

#define NAMES 3

struct files {
	char dir[32], path[64];
	struct store *store;
};

static int make_files(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/state.db", f->dir);
	assert_int_equal(store_open(&f->store, f->path), 0);
	*state = f;
	return 0;
}

static int drop_files(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	struct files *f = *state;
	char path[80];

	store_close(f->store);
	json_memo_clear();
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static json_t *rule(void)
{
	return json_pack("{s:s, s:i}", "direction", "ingress", "priority", random_below(1u << 20));
}

static json_t *group(const char *name, json_t *rules)
{
	return json_pack("{s:s, s:o, s:i}", "name", name, "rules", rules, "revision", 1);
}

/* As a transaction does it: another list that shares what stays. */
static json_t *changed(const json_t *rules)
{
	json_t *list = rules != NULL ? json_copy((json_t *)rules) : json_array();
	size_t size = json_array_size(list), at = random_below((unsigned)size + 1);
	unsigned count = random_one_in(4) ? random_below(600) : 1 + random_below(3);

	if (random_below(2) == 0) {
		for (unsigned i = 0; i < count; i++)
			json_array_insert_new(list, at, rule());
	} else {
		for (unsigned i = 0; i < count && at < json_array_size(list); i++)
			json_array_remove(list, at);
	}
	return list;
}

static void collect(const char *kind, json_t *object, void *arg)
{
	assert_string_equal(kind, "security_group");
	json_object_set_new(arg, json_string_value(json_object_get(object, "name")), object);
}

static void reopen_and_check(struct files *f, const json_t *expected)
{
	json_t *found = json_object();

	store_close(f->store);
	assert_int_equal(store_open(&f->store, f->path), 0);
	assert_int_equal(store_load(f->store, collect, found), 0);
	assert_true(json_equal(found, expected));
	json_decref(found);
}

static void put(struct store *store, const json_t *object)
{
	store_put(store, "security_group", json_string_value(json_object_get(object, "name")),
		"default", 1, object);
}

/* One change of one object; in *model, too. */
static void step(struct store *store, json_t *model)
{
	char name[] = "g0";
	json_t *object;

	name[1] = (char)('0' + random_below(NAMES));
	object = json_object_get(model, name);
	if (object != NULL && random_one_in(40)) {
		store_delete(store, "security_group", name);
		json_object_del(model, name);
		return;
	}
	object = group(name, changed(json_object_get(object, "rules")));
	put(store, object);
	json_object_set_new(model, name, object);
}

static void what_is_read_is_what_was_committed(void **state)
{
	struct files *f = *state;
	unsigned rounds = test_size(400, 10000);
	json_t *committed = json_object();

	for (unsigned round = 0; round < rounds; round++) {
		json_t *model = json_copy(committed);
		bool fails = random_one_in(10);

		for (unsigned i = random_below(4); i-- > 0;)
			step(f->store, model);
		if (store_is_dirty(f->store) && fails) {
			f->store->failed = true;
			assert_int_not_equal(store_commit(f->store), 0);
			json_decref(model);
		} else {
			assert_int_equal(store_commit(f->store), 0);
			json_decref(committed);
			committed = model;
		}
		if (random_one_in(10))
			reopen_and_check(f, committed);
	}
	reopen_and_check(f, committed);
	json_decref(committed);
}

static int rows(struct store *store, const char *condition)
{
	char sql[200];
	sqlite3_stmt *st;
	int count;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM list_parts WHERE %s", condition);
	assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	count = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return count;
}

static void one_item_costs_one_part(void **state)
{
	struct files *f = *state;
	json_t *rules = json_array(), *object;
	int before;

	for (unsigned i = 0; i < 10000; i++)
		json_array_append_new(rules, rule());
	object = group("g", rules);
	put(f->store, object);
	assert_int_equal(store_commit(f->store), 0);
	for (unsigned i = 0; i < 100; i++) {
		json_t *list = json_copy(json_object_get(object, "rules"));

		if (i % 2 == 0)
			json_array_insert_new(list, random_below(10000), rule());
		else
			json_array_remove(list, random_below(10000));
		json_decref(object);
		object = group("g", list);
		before = sqlite3_total_changes(f->store->db);
		put(f->store, object);
		assert_int_equal(store_commit(f->store), 0);
		/* The object's row, and one part; two when one becomes too large. */
		assert_in_range(sqlite3_total_changes(f->store->db) - before, 2, 3);
	}
	json_decref(object);
}

static void a_short_list_has_no_parts(void **state)
{
	struct files *f = *state;
	json_t *rules = json_array(), *object, *expected = json_object();

	for (unsigned i = 0; i < JSON_MEMO_LONG; i++)
		json_array_append_new(rules, rule());
	object = group("g", rules);
	put(f->store, object);
	assert_int_equal(store_commit(f->store), 0);
	assert_true(rows(f->store, "name = 'g' AND field = 'rules'") > 1);
	rules = json_copy(rules);
	json_array_remove(rules, 7);
	json_decref(object);
	object = group("g", rules);
	put(f->store, object);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(rows(f->store, "1"), 0);
	json_object_set_new(expected, "g", object);
	reopen_and_check(f, expected);
	json_decref(expected);
}

static void a_damaged_part_is_found(void **state)
{
	static const char *const damages[] = {
		"UPDATE list_parts SET json = '{}' WHERE part = 2048",
		"UPDATE list_parts SET name = 'another'",
		"UPDATE list_parts SET name = 'z' WHERE part = 2048",
		"UPDATE list_parts SET field = 'name'",
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct files *f = *state;
		json_t *rules = json_array(), *object, *found = json_object();

		for (unsigned n = 0; n < 500; n++)
			json_array_append_new(rules, rule());
		object = group("g", rules);
		put(f->store, object);
		assert_int_equal(store_commit(f->store), 0);
		assert_int_equal(
			sqlite3_exec(f->store->db, damages[i], NULL, NULL, NULL), SQLITE_OK);
		assert_int_not_equal(store_load(f->store, collect, found), 0);
		json_decref(found);
		json_decref(object);
		drop_files(state);
		make_files(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_read_is_what_was_committed, make_files, drop_files),
		cmocka_unit_test_setup_teardown(one_item_costs_one_part, make_files, drop_files),
		cmocka_unit_test_setup_teardown(a_short_list_has_no_parts, make_files, drop_files),
		cmocka_unit_test_setup_teardown(a_damaged_part_is_found, make_files, drop_files),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
