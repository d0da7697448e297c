/* SPDX-License-Identifier: Apache-2.0 */
/* The ring between a worker and the sight thread: records of all lengths come out as they went in, in order; a full one refuses. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/ring.h"

#define RECORDS 200000u

/* Number, length, then bytes that follow from both. */
struct record {
	uint32_t number, length;
	uint8_t data[];
};

static uint32_t length_of(uint32_t number)
{
	uint32_t h = number * 2654435761u;

	/* Mostly short; now and then as long as they may be. */
	return number % 5000 == 4999 ? RING_RECORD_MAX - (uint32_t)sizeof(struct record) - h % 16
				     : h >> 21;
}

static void fill(struct record *r, uint32_t number)
{
	r->number = number;
	r->length = length_of(number);
	memset(r->data, (int)(number & 0xff), r->length);
}

static void check(const struct record *r, uint32_t number)
{
	assert_non_null(r);
	assert_int_equal(r->number, number);
	assert_int_equal(r->length, length_of(number));
	for (uint32_t i = 0; i < r->length; i += 61)
		assert_int_equal(r->data[i], number & 0xff);
	if (r->length > 0)
		assert_int_equal(r->data[r->length - 1], number & 0xff);
}

static bool put(struct ring *ring, uint32_t number)
{
	struct record *r = ring_reserve(ring, (uint32_t)sizeof(struct record) + length_of(number));

	if (r == NULL)
		return false;
	fill(r, number);
	ring_put(ring);
	return true;
}

static void test_full(void **state)
{
	struct ring *ring = ring_new();
	uint32_t in = 0, out = 0;

	(void)state;
	assert_non_null(ring);
	assert_null(ring_next(ring));
	assert_null(ring_reserve(ring, RING_RECORD_MAX + 1));
	for (unsigned int round = 0; round < 20; round++) {
		while (put(ring, in))
			in++;
		assert_false(ring_is_empty(ring));
		/* One that is refused leaves no trace; after half of them went there is room again. */
		for (uint32_t half = out + (in - out) / 2 + 1; out < half; out++) {
			check(ring_next(ring), out);
			ring_release(ring);
		}
	}
	for (; out < in; out++) {
		check(ring_next(ring), out);
		ring_release(ring);
	}
	assert_null(ring_next(ring));
	assert_true(ring_is_empty(ring));
	ring_free(ring);
}

static void *produce(void *arg)
{
	for (uint32_t n = 0; n < RECORDS;) {
		if (put(arg, n))
			n++;
		else
			sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct ring *ring = ring_new();
	pthread_t producer;

	(void)state;
	assert_non_null(ring);
	assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
	for (uint32_t n = 0; n < RECORDS;) {
		const struct record *r = ring_next(ring);

		if (r == NULL) {
			sched_yield();
			continue;
		}
		check(r, n++);
		ring_release(ring);
	}
	pthread_join(producer, NULL);
	assert_null(ring_next(ring));
	ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
