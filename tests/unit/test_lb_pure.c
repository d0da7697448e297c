/* SPDX-License-Identifier: Apache-2.0 */
/* The order of turns, and the table of clients that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "lb/order.h"
#include "lb/persist.h"
#include "random.h"

/*
 * Turns.
 */

struct round {
	uint8_t weights[8];
	uint32_t n;
	const char *order; /* 'a' is the first */
};

static const struct round rounds[] = {
	{{1}, 1, "a"},
	{{7}, 1, "a"},
	{{1, 1, 1}, 3, "abc"},
	{{10, 10}, 2, "ab"},
	{{1, 2}, 2, "bab"},
	{{5, 1, 1}, 3, "aaabcaa"},
	{{50, 100, 50}, 3, "bacb"},
	{{3, 2, 1}, 3, "abacba"},
};

static void test_turns(void **state)
{
	static const uint16_t ids[] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
	uint16_t order[512];

	(void)state;
	for (unsigned int r = 0; r < sizeof(rounds) / sizeof(rounds[0]); r++) {
		const struct round *round = &rounds[r];
		uint32_t length = lb_order_length(round->weights, round->n);

		assert_int_equal(length, strlen(round->order));
		assert_int_equal(lb_order_make(order, length, ids, round->weights, round->n), 0);
		for (uint32_t t = 0; t < length; t++)
			if (order[t] != round->order[t])
				fail_msg("round %u: turn %u is %c's instead of %c's", r, t,
					order[t], round->order[t]);
	}
}

/* At no moment of a round is anybody more than a turn from its share. */
static void check_spread(const uint16_t *order, uint32_t length, const uint8_t *weights, uint32_t n)
{
	uint32_t had[64] = {0}, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += weights[i];
	for (uint32_t t = 0; t < length; t++) {
		had[order[t] - 1]++;
		for (uint32_t i = 0; i < n; i++) {
			int64_t off = (int64_t)had[i] * sum - (int64_t)(t + 1) * weights[i];

			/* of EDF: half of a turn early or late, and half of those who are due with it */
			assert_true(llabs(off) <= (int64_t)sum * (n / 2 + 1));
		}
	}
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal((uint64_t)had[i] * sum, (uint64_t)length * weights[i]);
}

static void test_any_weights(void **state)
{
	uint16_t ids[64], *order = malloc(6400 * sizeof(*order));
	uint8_t weights[64];

	(void)state;
	for (uint32_t run = 0; run < test_size(200, 20000); run++) {
		uint32_t n = 1 + random_below(64), length;

		for (uint32_t i = 0; i < n; i++) {
			ids[i] = (uint16_t)(i + 1);
			weights[i] = (uint8_t)(1 + random_below(100));
		}
		length = lb_order_length(weights, n);
		assert_true(length <= 6400);
		assert_int_equal(lb_order_make(order, length, ids, weights, n), 0);
		check_spread(order, length, weights, n);
	}
	free(order);
}

/* Too many turns for a round: weights are rounded, nobody is left out. */
static void test_long_rounds(void **state)
{
	uint32_t n = 2000, length, had[2] = {0};
	uint8_t *weights = malloc(n);
	uint16_t *ids = malloc(n * sizeof(*ids)), *order;

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		ids[i] = (uint16_t)(i + 1);
		weights[i] = i % 2 == 0 ? 99 : 50;
	}
	length = lb_order_length(weights, n);
	assert_in_range(length, LB_ORDER_MAX * 9 / 10, LB_ORDER_MAX * 11 / 10);
	order = malloc(length * sizeof(*order));
	assert_int_equal(lb_order_make(order, length, ids, weights, n), 0);
	for (uint32_t t = 0; t < length; t++)
		had[order[t] % 2]++;
	assert_in_range(100 * had[1] / length, 64, 69); /* 99 : 50 */
	free(order);
	free(ids);
	free(weights);
}

/*
 * Clients that come back.
 */

static struct ip_addr client(uint32_t n)
{
	return ip_addr_from_v4(rte_cpu_to_be_32(0x0a000000 + n));
}

static void test_persistence(void **state)
{
	struct ip_addr a = client(1), b = client(2), a6 = {.bytes = {0xfd, [15] = 1}};

	(void)state;
	assert_int_equal(lb_persist_init(), 0);
	assert_int_equal(lb_persist_find(1, &a, 60, 1000000), 0);
	lb_persist_note(1, &a, 7, 1000000);
	lb_persist_note(1, &a6, 8, 1000000);
	lb_persist_note(2, &a, 9, 1000000);
	assert_int_equal(lb_persist_find(1, &a, 60, 1000000), 7);
	assert_int_equal(lb_persist_find(1, &a6, 60, 1000000), 8);
	assert_int_equal(lb_persist_find(2, &a, 60, 1000000), 9);
	assert_int_equal(lb_persist_find(1, &b, 60, 1000000), 0);
	/* It runs out, unless the client comes again. */
	assert_int_equal(lb_persist_find(1, &a, 60, 1060000), 7);
	assert_int_equal(lb_persist_find(1, &a, 60, 1063000), 0);
	lb_persist_note(1, &a, 5, 1060000);
	assert_int_equal(lb_persist_find(1, &a, 60, 1119000), 5);
	/* A clock that is behind. */
	assert_int_equal(lb_persist_find(1, &a, 60, 1058000), 5);
	/* Clocks wrap. */
	lb_persist_note(1, &b, 6, UINT32_MAX - 1000);
	assert_int_equal(lb_persist_find(1, &b, 60, 57000), 6);
	assert_int_equal(lb_persist_find(1, &b, 60, 61000), 0);
	lb_persist_fini();
}

/* A table that is full forgets who has been away longest. */
static void test_persistence_is_bounded(void **state)
{
	uint32_t places = LB_PERSIST_BUCKETS * LB_PERSIST_WAYS, found = 0;

	(void)state;
	assert_int_equal(lb_persist_init(), 0);
	for (uint32_t n = 0; n < 2 * places; n++) {
		struct ip_addr a = client(n);

		lb_persist_note(1, &a, (uint16_t)(n % 1000 + 1), n / places * 2000);
	}
	for (uint32_t n = places; n < 2 * places; n++) {
		struct ip_addr a = client(n);

		found += lb_persist_find(1, &a, 60, 2000) == n % 1000 + 1;
	}
	/* Eight of a bucket: one in seven falls out when as many come as there are places. */
	assert_true(found > places * 4 / 5);
	lb_persist_fini();
}

static _Atomic bool go;

static void *note_often(void *arg)
{
	uint16_t id = (uint16_t)(uintptr_t)arg;

	while (!go)
		;
	for (uint32_t n = 0; n < 100000; n++) {
		struct ip_addr a = client(n % 5000);
		uint16_t found = lb_persist_find(1, &a, 60, n);

		if (found > 2)
			return arg;
		lb_persist_note(1, &a, id, n);
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	pthread_t threads[2];
	void *failed[2];

	(void)state;
	assert_int_equal(lb_persist_init(), 0);
	for (uintptr_t t = 0; t < 2; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, note_often, (void *)(t + 1)), 0);
	go = true;
	for (unsigned int t = 0; t < 2; t++)
		pthread_join(threads[t], &failed[t]);
	assert_null(failed[0]);
	assert_null(failed[1]);
	for (uint32_t n = 0; n < 5000; n++) {
		struct ip_addr a = client(n);

		assert_in_range(lb_persist_find(1, &a, 200, 100000), 1, 2);
	}
	lb_persist_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_any_weights),
		cmocka_unit_test(test_long_rounds),
		cmocka_unit_test(test_persistence),
		cmocka_unit_test(test_persistence_is_bounded),
		cmocka_unit_test(test_two_threads),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
