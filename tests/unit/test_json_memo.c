// SPDX-License-Identifier: Apache-2.0
/* Remembered values: the text is what jansson writes, equal values have equal hashes, nothing is kept for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json_memo.h"
#include "lib/json_text.h"
#include "lib/kinds.h"

#define COUNT 1000

static json_t *rule(unsigned n)
{
	return json_pack("{s:s, s:i, s:s*}", "direction", "ingress", "priority", n, "remote_group",
		n % 3 == 0 ? "g\"\xc3\xa9" : NULL);
}

static json_t *rules(unsigned count)
{
	json_t *list = json_array();

	for (unsigned n = 0; n < count; n++)
		json_array_append_new(list, rule(n));
	return list;
}

static int forget(void **state)
{
	(void)state;
	json_memo_clear();
	return 0;
}

static void check_text(const json_t *value)
{
	char *expected = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY), *text;
	size_t len;

	text = json_text(value, 0, &len);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
	free(text);
	free(expected);
}

/* `list` at every place where an answer, an event or an export may have it. */
static void check_texts(json_t *list)
{
	check_text(list);
	for (unsigned depth = 0; depth < 8; depth++) {
		json_t *value = json_incref(list);

		for (unsigned i = 0; i < depth; i++)
			value = i % 2 == 0 ? json_pack("{s:i, s:o, s:s}", "a\"b", i, "c", value,
						     "d", "\xc3\xa9")
					   : json_pack("[i, o, n]", i, value);
		check_text(value);
		json_decref(value);
	}
}

static void texts_are_jansson_s(void **state)
{
	json_t *list = rules(COUNT), *mixed;

	(void)state;
	check_texts(list);
	json_memo_list(list);
	assert_int_equal(json_memo_count(), COUNT);
	check_texts(list);
	mixed = json_copy(list);
	json_array_insert_new(mixed, 500, rule(7777));
	json_array_remove(mixed, 3);
	check_texts(mixed);
	check_texts(json_array_get(list, 3));
	json_decref(mixed);
	json_decref(list);
}

static void numbers_with_a_fraction_are_short(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"[58.903999999999996]", "[58.904]"},
		{"{\"age_s\":0.29999999999999999}", "{\"age_s\":0.3}"},
		{"{\"id\":1,\"result\":7439.9989999999998}", "{\"id\":1,\"result\":7439.999}"},
		/* What a peer recognizes its answer by is not touched. */
		{"{\"id\":0.8444218515250481}", "{\"id\":0.84442185152504812}"},
		{"[{\"id\":1},{\"id\":0.8444218515250481}]",
			"[{\"id\":1},{\"id\":0.84442185152504812}]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *value = json_loads(cases[i].in, 0, NULL);
		size_t len;
		char *text = json_text(value, 0, &len);

		assert_string_equal(text, cases[i].out);
		free(text);
		json_decref(value);
	}
}

static void a_slice_is_a_list(void **state)
{
	json_t *list = rules(COUNT), *slice;
	size_t len;
	char *text;

	(void)state;
	json_memo_list(list);
	text = json_text_slice(list, 10, 3, &len);
	slice = json_loadb(text, len, 0, NULL);
	assert_int_equal(json_array_size(slice), 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(json_equal(json_array_get(slice, i), json_array_get(list, 10 + i)));
	json_decref(slice);
	json_decref(list);
	free(text);
}

static void what_has_no_text_has_none(void **state)
{
	json_t *list = rules(COUNT);
	size_t len;

	(void)state;
	json_memo_list(list);
	assert_null(json_text(NULL, 0, &len));
	json_array_append_new(list, json_stringn_nocheck("\xff", 1));
	assert_null(json_text(list, 0, &len));
	json_decref(list);
}

static void equal_values_have_equal_hashes(void **state)
{
	json_t *list = rules(COUNT), *again = rules(COUNT);
	json_t *a = json_pack("{s:i, s:[i, b]}", "x", 1, "y", 2, 1);
	json_t *b = json_pack("{s:[i, b], s:i}", "y", 2, 1, "x", 1);

	(void)state;
	assert_int_equal(json_memo_hash(a), json_memo_hash(b));
	json_memo_list(list);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(json_memo_hash(json_array_get(list, i)),
			json_memo_hash(json_array_get(again, i)));
		assert_int_not_equal(json_memo_hash(json_array_get(list, i)),
			json_memo_hash(json_array_get(again, (i + 1) % COUNT)));
	}
	json_decref(a);
	json_decref(b);
	json_decref(list);
	json_decref(again);
}

static void short_lists_and_plain_items_are_not_remembered(void **state)
{
	json_t *few = rules(JSON_MEMO_LONG - 1), *texts = json_array();

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		json_array_append_new(texts, json_string("10.0.0.0/8"));
	json_memo_list(few);
	json_memo_list(texts);
	json_memo_list(json_null());
	assert_int_equal(json_memo_count(), 0);
	json_decref(few);
	json_decref(texts);
}

/* A list changes for ever, one item after the other: what nobody holds any more goes. */
static void what_nobody_holds_goes(void **state)
{
	json_t *list = rules(COUNT), *stays = rule(5);

	(void)state;
	json_array_set(list, 0, stays);
	for (unsigned i = 0; i < 20 * COUNT; i++) {
		json_array_set_new(list, 1 + i % (COUNT - 1), rule(COUNT + i));
		json_memo_list(list);
		assert_true(json_memo_count() < 3 * COUNT);
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_ptr_equal(
			json_memo_find(json_array_get(list, i))->value, json_array_get(list, i));
	check_text(list);
	json_decref(list);
	for (unsigned i = 0; i < 500; i++) {
		list = rules(JSON_MEMO_LONG);
		json_memo_list(list);
		json_decref(list);
	}
	assert_true(json_memo_count() < COUNT);
	assert_int_equal(resource_integer(stays, "priority", 0), 5);
	json_decref(stays);
}

static bool count_ref(const struct resource_ref *ref, void *arg)
{
	(void)ref;
	++*(unsigned *)arg;
	return true;
}

/* The second walk leaves out what the first one found nothing in, and finds the rest again. */
static void references_are_found_again(void **state)
{
	json_t *list = rules(COUNT), *group = json_pack("{s:s, s:o}", "name", "g", "rules", list);
	const struct kind *kind = kind_find("security_group");

	(void)state;
	json_memo_list(list);
	for (unsigned round = 0; round < 3; round++) {
		unsigned found = 0;

		assert_true(resource_refs(kind, group, count_ref, &found));
		assert_int_equal(found, (COUNT + 2) / 3);
	}
	json_decref(group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(texts_are_jansson_s, forget),
		cmocka_unit_test_teardown(numbers_with_a_fraction_are_short, forget),
		cmocka_unit_test_teardown(a_slice_is_a_list, forget),
		cmocka_unit_test_teardown(what_has_no_text_has_none, forget),
		cmocka_unit_test_teardown(equal_values_have_equal_hashes, forget),
		cmocka_unit_test_teardown(short_lists_and_plain_items_are_not_remembered, forget),
		cmocka_unit_test_teardown(what_nobody_holds_goes, forget),
		cmocka_unit_test_teardown(references_are_found_again, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
