/* SPDX-License-Identifier: Apache-2.0 */
/* The token bucket of rates: what passes in which time, for one thread and for several that share it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "qos/bucket.h"

#define HZ 2000000000ull
#define SECOND HZ
#define DEPTH 65536
#define DEPTH_MS 20

struct account {
	struct bucket *b;
	uint64_t units;
};

static bool spend(struct account *a, uint64_t now, uint64_t units, uint64_t *due)
{
	if (!bucket_pass(a->b, &a->units, now, units, due))
		return false;
	bucket_spend(a->b, &a->units, units);
	return true;
}

/* As fast as it goes in frames of `size`; how many units pass in [from, from + ticks). */
static uint64_t pass_all(struct account *a, uint64_t from, uint64_t ticks, uint64_t size)
{
	uint64_t now = from, due = 0, sum = 0;

	while (now < from + ticks) {
		if (spend(a, now, size, &due)) {
			sum += size;
		} else {
			assert_true(due > now);
			now = due;
		}
	}
	return sum;
}

/* Any rate with frames of any size: the rate over a second, within what was in the bucket and one frame and slice more. */
static void test_rate_is_exact(void **state)
{
	static const uint64_t rates[] = {1, 100, 125000, 1250000, 125000000, 12500000000ull};
	static const uint64_t sizes[] = {1, 60, 1500, 67000};

	(void)state;
	for (unsigned int r = 0; r < 6; r++) {
		for (unsigned int s = 0; s < 4; s++) {
			struct bucket b;
			struct account a = {&b, 0};
			uint64_t at = 1000 * SECOND, seconds = rates[r] < 125000 ? 100000 : 1, sum;
			uint64_t most;

			if (rates[r] / sizes[s] > 100000000)
				continue; /* takes long and shows nothing more */
			memset(&b, 0, sizeof(b));
			bucket_set(&b, rates[r], HZ, DEPTH, DEPTH_MS);
			sum = pass_all(&a, at, seconds * SECOND, sizes[s]);
			most = rates[r] * seconds + DEPTH + rates[r] * DEPTH_MS / 1000 +
			       rates[r] / 10000 + 65536 + 2 * sizes[s];
			assert_in_range(sum, rates[r] * seconds * 999 / 1000, most);
		}
	}
}

/* After a pause it gives its depth at once and no more. */
static void test_burst_after_a_pause(void **state)
{
	struct bucket b;
	struct account a = {&b, 0};
	uint64_t due, sum = 0;

	(void)state;
	memset(&b, 0, sizeof(b));
	bucket_set(&b, 1250000, HZ, DEPTH, DEPTH_MS);
	pass_all(&a, SECOND, SECOND, 1500);
	while (spend(&a, 100 * SECOND, 1500, &due))
		sum += 1500;
	assert_in_range(sum, DEPTH, DEPTH + 2 * 1500 + b.slice);
	assert_in_range(due, 100 * SECOND, 100 * SECOND + SECOND / 1000 * 3);
}

static void test_no_limit(void **state)
{
	struct bucket b;
	struct account a = {&b, 0};
	uint64_t due;

	(void)state;
	memset(&b, 0, sizeof(b));
	bucket_set(&b, 0, HZ, DEPTH, DEPTH_MS);
	for (unsigned int i = 0; i < 1000000; i++)
		assert_true(spend(&a, SECOND, 65535, &due));
	assert_int_equal(a.units, 0);
	assert_int_equal(bucket_debt(&b, SECOND), 0);
}

/* From the moment on that it changes, and without what the old rate would have given. */
static void test_changes_live(void **state)
{
	struct bucket b;
	struct account a = {&b, 0};
	uint64_t sum;

	(void)state;
	memset(&b, 0, sizeof(b));
	bucket_set(&b, 125000000, HZ, DEPTH, DEPTH_MS);
	pass_all(&a, 10 * SECOND, SECOND, 1500);
	bucket_set(&b, 1250000, HZ, DEPTH, DEPTH_MS);
	sum = pass_all(&a, 11 * SECOND, SECOND, 1500);
	assert_in_range(sum, 1250000 - 30000, 1250000 + 30000);
	bucket_set(&b, 125000000, HZ, DEPTH, DEPTH_MS);
	sum = pass_all(&a, 12 * SECOND, SECOND, 1500);
	assert_in_range(sum, 125000000 - 3000000, 125000000 + 3000000);
}

/* --- threads --- */

#define THREADS 4
#define SHARED_RATE 1250000ull

static struct bucket shared;
static _Atomic uint64_t clock_now, shared_sum;

/* The clock moves on as nobody can take any more. */
static void *take_part(void *arg)
{
	struct account a = {&shared, 0};
	uint64_t now, due, sum = 0;

	(void)arg;
	while ((now = atomic_load(&clock_now)) < 101 * SECOND) {
		if (spend(&a, now, 1500, &due))
			sum += 1500;
		else
			atomic_compare_exchange_strong(&clock_now, &now, now + SECOND / 1000);
	}
	atomic_fetch_add(&shared_sum, sum);
	return NULL;
}

/* Together they get the rate once. */
static void test_threads_share_the_rate(void **state)
{
	pthread_t threads[THREADS];
	uint64_t most;

	(void)state;
	memset(&shared, 0, sizeof(shared));
	bucket_set(&shared, SHARED_RATE, HZ, DEPTH, DEPTH_MS);
	atomic_store(&clock_now, 100 * SECOND);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_part, NULL), 0);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	most = SHARED_RATE + DEPTH + THREADS * (shared.slice + 1500) + SHARED_RATE / 1000;
	assert_in_range(shared_sum, SHARED_RATE * 99 / 100, most);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_is_exact),
		cmocka_unit_test(test_burst_after_a_pause),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_changes_live),
		cmocka_unit_test(test_threads_share_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
