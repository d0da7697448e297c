/* SPDX-License-Identifier: Apache-2.0 */
/* Maglev tables: shares to the slot, and nobody is moved who need not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lb/maglev.h"
#include "random.h"

#define MEMBERS 700u

static struct maglev_member members[MEMBERS];

static void make_members(uint32_t n, uint8_t weight_max)
{
	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct maglev_member){.hash = random_u64(),
			.id = (uint16_t)(i + 1),
			.weight = (uint8_t)(1 + random_below(weight_max))};
}

/* In steps of this budget. */
static void lead(uint16_t *table, unsigned int bits, uint32_t n, uint32_t budget)
{
	struct maglev_build b;

	assert_int_equal(maglev_begin(&b, table, bits, members, n), 0);
	while (!maglev_step(&b, budget))
		;
	maglev_end(&b);
}

static uint16_t *table_new(unsigned int bits)
{
	uint16_t *table = calloc(1u << bits, sizeof(*table));

	assert_non_null(table);
	return table;
}

static uint16_t *table_copy(const uint16_t *table, unsigned int bits)
{
	uint16_t *copy = table_new(bits);

	memcpy(copy, table, sizeof(*copy) << bits);
	return copy;
}

static void check_shares(const uint16_t *table, unsigned int bits, uint32_t n)
{
	static uint32_t have[MEMBERS + 1];
	uint64_t total = 0;

	memset(have, 0, sizeof(have));
	for (uint32_t s = 0; s < 1u << bits; s++) {
		assert_true(table[s] >= 1 && table[s] <= MEMBERS);
		have[table[s]]++;
	}
	for (uint32_t i = 0; i < n; i++)
		total += members[i].weight;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t share = (uint32_t)(((uint64_t)members[i].weight << bits) / total);

		assert_in_range(have[members[i].id], share, share + 1);
	}
}

/* Slots that changed hands from one member to another although both are there before and after. */
static uint32_t moved_between(
	const uint16_t *before, const uint16_t *after, unsigned int bits, uint16_t changed)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < 1u << bits; s++)
		n += before[s] != after[s] && before[s] != changed && after[s] != changed;
	return n;
}

static void test_shares(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 7, 10, 64, 100, MEMBERS};

	(void)state;
	for (unsigned int c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
		for (unsigned int weight_max = 1; weight_max <= 100; weight_max += 99) {
			unsigned int bits = maglev_bits(counts[c]);
			uint16_t *table = table_new(bits);

			assert_true(1u << bits >= 100 * counts[c]);
			make_members(counts[c], (uint8_t)weight_max);
			lead(table, bits, counts[c], UINT32_MAX);
			check_shares(table, bits, counts[c]);
			free(table);
		}
}

/* Equal weights: whoever goes or comes, only its own slots change hands. */
static void test_nobody_else_is_moved(void **state)
{
	(void)state;
	for (uint32_t run = 0; run < test_size(40, 2000); run++) {
		uint32_t n = 2 + random_below(60);
		unsigned int bits = maglev_bits(n);
		uint16_t *table = table_new(bits), *before;
		struct maglev_member gone;
		uint32_t g;

		make_members(n, run % 2 == 0 ? 1 : 100);
		lead(table, bits, n, UINT32_MAX);
		before = table_copy(table, bits);
		g = random_below(n);
		gone = members[g];
		members[g] = members[n - 1];
		lead(table, bits, n - 1, UINT32_MAX);
		check_shares(table, bits, n - 1);
		assert_int_equal(moved_between(before, table, bits, gone.id), 0);
		memcpy(before, table, sizeof(*table) << bits);
		members[n - 1] = gone;
		lead(table, bits, n, UINT32_MAX);
		check_shares(table, bits, n);
		assert_int_equal(moved_between(before, table, bits, gone.id), 0);
		free(before);
		free(table);
	}
}

/* A changed weight moves as many slots as the shares differ. */
static void test_changed_weight(void **state)
{
	(void)state;
	unsigned int bits = maglev_bits(10);
	uint16_t *table = table_new(bits), *before;

	make_members(10, 1);
	for (uint32_t i = 0; i < 10; i++)
		members[i].weight = 10;
	lead(table, bits, 10, UINT32_MAX);
	before = table_copy(table, bits);
	members[3].weight = 20;
	lead(table, bits, 10, UINT32_MAX);
	check_shares(table, bits, 10);
	assert_int_equal(moved_between(before, table, bits, members[3].id), 0);
	free(before);
	free(table);
}

static void test_doubled(void **state)
{
	uint16_t *table = table_new(10), *twice = table_new(11), *before;

	(void)state;
	make_members(9, 1);
	lead(table, 10, 8, UINT32_MAX);
	maglev_double(twice, table, 10);
	for (uint32_t n = 0; n < 1000; n++) {
		uint32_t hash = (uint32_t)random_u64();

		assert_int_equal(table[maglev_slot(hash, 10)], twice[maglev_slot(hash, 11)]);
	}
	before = table_copy(twice, 11);
	lead(twice, 11, 9, UINT32_MAX);
	check_shares(twice, 11, 9);
	assert_int_equal(moved_between(before, twice, 11, members[8].id), 0);
	free(before);
	free(twice);
	free(table);
}

/* The members alone decide about a new table, in whatever steps it is made. */
static void test_steps_and_repetition(void **state)
{
	unsigned int bits = maglev_bits(MEMBERS);
	uint16_t *table = table_new(bits), *again = table_new(bits);

	(void)state;
	make_members(MEMBERS, 100);
	lead(table, bits, MEMBERS, UINT32_MAX);
	lead(again, bits, MEMBERS, 1000);
	assert_memory_equal(table, again, sizeof(*table) << bits);
	/* Nothing to do is done at once. */
	lead(again, bits, MEMBERS, 1);
	assert_memory_equal(table, again, sizeof(*table) << bits);
	free(again);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_nobody_else_is_moved),
		cmocka_unit_test(test_changed_weight),
		cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_steps_and_repetition),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
