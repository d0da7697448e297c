/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's containers against plain references: ordered tree, text map, ranges of numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/ranges.h"
#include "controller/strmap.h"
#include "random.h"

#define VALUES 300
#define ROUNDS 20000

/* ---- ranges ---- */

static bool any_taken(const bool *taken, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		if (taken[i])
			return true;
	return false;
}

static bool all_taken(const bool *taken, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		if (!taken[i])
			return false;
	return true;
}

static void check_lowest(const struct range_set *set, const bool *taken, unsigned from, unsigned to)
{
	range_value found;
	unsigned want = from;

	while (want <= to && taken[want])
		want++;
	assert_int_equal(range_set_lowest_free(set, from, to, &found), want <= to);
	if (want <= to)
		assert_int_equal((unsigned)found, want);
}

static void check_highest(
	const struct range_set *set, const bool *taken, unsigned from, unsigned to)
{
	range_value found;
	int want = (int)to;

	while (want >= (int)from && taken[want])
		want--;
	assert_int_equal(range_set_highest_free(set, from, to, &found), want >= (int)from);
	if (want >= (int)from)
		assert_int_equal((int)found, want);
}

static void ranges_are_a_set(void **state)
{
	struct range_set set;
	bool taken[VALUES] = {false};

	(void)state;
	range_set_init(&set);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = random_below(VALUES), last = first + random_below(8);

		last = last < VALUES ? last : VALUES - 1;
		assert_int_equal(
			range_set_overlaps(&set, first, last), any_taken(taken, first, last));
		if (random_below(2) == 0) {
			bool free_before = !any_taken(taken, first, last);

			assert_int_equal(range_set_add(&set, first, last), free_before);
			for (unsigned i = first; free_before && i <= last; i++)
				taken[i] = true;
		} else if (all_taken(taken, first, last)) {
			range_set_remove(&set, first, last);
			memset(taken + first, 0, last - first + 1);
		}
		check_lowest(&set, taken, random_below(VALUES / 2), VALUES - 1);
		check_highest(&set, taken, random_below(VALUES / 2),
			VALUES / 2 + random_below(VALUES / 2));
	}
	range_set_fini(&set);
}

static void neighbours_are_one_range(void **state)
{
	struct range_set set;
	range_value found;

	(void)state;
	range_set_init(&set);
	for (unsigned i = 0; i < 1000; i++) /* first the even ones, then what is between */
		assert_true(range_set_add(&set, i * 2, i * 2));
	assert_int_equal(set.tree.count, 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(range_set_add(&set, i * 2 + 1, i * 2 + 1));
	assert_int_equal(set.tree.count, 1);
	assert_true(range_set_lowest_free(&set, 0, 5000, &found));
	assert_int_equal((unsigned)found, 2000);
	assert_false(range_set_lowest_free(&set, 0, 1999, &found));
	range_set_fini(&set);
}

static void ranges_reach_the_end_of_ipv6(void **state)
{
	const range_value end = ~(range_value)0;
	struct range_set set;
	range_value found;

	(void)state;
	range_set_init(&set);
	assert_true(range_set_add(&set, end, end));
	assert_true(range_set_add(&set, end - 3, end - 1));
	assert_int_equal(set.tree.count, 1);
	assert_false(range_set_lowest_free(&set, end - 3, end, &found));
	assert_true(range_set_add(&set, 0, 0));
	range_set_remove(&set, end, end);
	assert_true(range_set_lowest_free(&set, end - 3, end, &found));
	assert_true(found == end);
	range_set_fini(&set);
}

static void addresses_are_numbers(void **state)
{
	static const char *const texts[] = {
		"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "fd00::1", "ffff::ffff"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct net_addr addr, back;
		char text[NET_ADDR_TEXT];

		assert_true(net_addr_parse(texts[i], &addr));
		back = range_to_addr(addr.family, range_of_addr(&addr));
		assert_string_equal(net_addr_format(&back, text), texts[i]);
	}
}

/* ---- text map ---- */

static void text_map_is_a_map(void **state)
{
	static char keys[VALUES][16];
	int present[VALUES] = {0};
	struct strmap map = {0};
	size_t count = 0;

	(void)state;
	for (unsigned i = 0; i < VALUES; i++)
		snprintf(keys[i], sizeof(keys[i]), "key-%u", i);
	for (int round = 1; round < ROUNDS; round++) {
		unsigned k = random_below(VALUES);
		char copy[16];

		memcpy(copy, keys[k], sizeof(copy)); /* found by text, not by address */
		assert_int_equal((intptr_t)strmap_get(&map, copy), present[k]);
		if (random_below(2) == 0) {
			count += present[k] == 0;
			strmap_put(&map, keys[k], (void *)(intptr_t)round);
			present[k] = round;
		} else {
			assert_int_equal((intptr_t)strmap_take(&map, copy), present[k]);
			count -= present[k] != 0;
			present[k] = 0;
		}
		assert_int_equal(map.count, count);
	}
	STRMAP_FOREACH(&map, slot)
	{
		assert_int_equal((intptr_t)slot->value, present[atoi(slot->key + 4)]);
		count--;
	}
	assert_int_equal(count, 0);
	strmap_fini(&map);
}

/* ---- tree ---- */

struct number {
	struct tree_node node;
	int value;
	bool in;
};

#define NUMBER(n) TREE_OBJECT(n, struct number, node)

static int compare(const void *key, const struct tree_node *node)
{
	return *(const int *)key - NUMBER(node)->value;
}

static const struct number *reference_after(const struct number *all, int key)
{
	for (int i = key + 1; i < VALUES; i++)
		if (i >= 0 && all[i].in)
			return &all[i];
	return NULL;
}

static const struct number *reference_floor(const struct number *all, int key)
{
	for (int i = key; i >= 0; i--)
		if (all[i].in)
			return &all[i];
	return NULL;
}

static void tree_is_in_order(void **state)
{
	static struct number all[VALUES];
	struct tree tree = {.compare = compare};

	(void)state;
	for (int i = 0; i < VALUES; i++)
		all[i].value = i;
	for (int round = 0; round < ROUNDS; round++) {
		int k = (int)random_below(VALUES), probe = (int)random_below(VALUES) - 1;

		assert_ptr_equal(tree_find(&tree, &k), all[k].in ? &all[k].node : NULL);
		if (all[k].in)
			assert_ptr_equal(tree_remove(&tree, &k), &all[k].node);
		else
			tree_insert(&tree, &k, &all[k].node);
		all[k].in = !all[k].in;
		assert_ptr_equal(NUMBER(tree_after(&tree, &probe)), reference_after(all, probe));
		if (probe >= 0)
			assert_ptr_equal(
				NUMBER(tree_floor(&tree, &probe)), reference_floor(all, probe));
		assert_ptr_equal(NUMBER(tree_first(&tree)), reference_after(all, -1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_a_set),
		cmocka_unit_test(neighbours_are_one_range),
		cmocka_unit_test(ranges_reach_the_end_of_ipv6),
		cmocka_unit_test(addresses_are_numbers),
		cmocka_unit_test(text_map_is_a_map),
		cmocka_unit_test(tree_is_in_order),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
