/* SPDX-License-Identifier: Apache-2.0 */
/* Earliest deadline first: the k-th turn (from 0) of a back end with the weight w is due at (k + 1/2) / w of the round. */
#include "lb/order.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct turn {
	uint32_t odd;   /* 2k + 1 */
	uint32_t times; /* turns of the round */
	uint16_t id;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* How often the weight w of a sum comes in a round. */
static uint32_t times_of(uint8_t weight, uint32_t sum, uint32_t divisor, uint32_t max)
{
	uint32_t times = weight / divisor;

	if (sum / divisor > max)
		times = (uint32_t)(((uint64_t)weight * max + sum / 2) / sum);
	return times != 0 ? times : 1;
}

static void add_up(const uint8_t *weights, uint32_t n, uint32_t *sum, uint32_t *divisor)
{
	*sum = *divisor = 0;
	for (uint32_t i = 0; i < n; i++) {
		*sum += weights[i];
		*divisor = common_divisor(weights[i], *divisor);
	}
}

static uint32_t longest(uint32_t n)
{
	return n > LB_ORDER_MAX ? n : LB_ORDER_MAX;
}

uint32_t lb_order_length(const uint8_t *weights, uint32_t n)
{
	uint32_t sum, divisor, length = 0;

	add_up(weights, n, &sum, &divisor);
	for (uint32_t i = 0; i < n; i++)
		length += times_of(weights[i], sum, divisor, longest(n));
	return length;
}

static bool is_due_first(const struct turn *a, const struct turn *b)
{
	uint64_t x = (uint64_t)a->odd * b->times, y = (uint64_t)b->odd * a->times;

	return x != y ? x < y : a->times != b->times ? a->times > b->times : a->id < b->id;
}

static void sift_down(struct turn *heap, uint32_t n, uint32_t at)
{
	struct turn moved = heap[at];

	for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && is_due_first(&heap[child + 1], &heap[child]))
			child++;
		if (!is_due_first(&heap[child], &moved))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

int lb_order_make(
	uint16_t *order, uint32_t length, const uint16_t *ids, const uint8_t *weights, uint32_t n)
{
	struct turn *heap = malloc(n * sizeof(*heap));
	uint32_t sum, divisor;

	if (heap == NULL)
		return -ENOMEM;
	add_up(weights, n, &sum, &divisor);
	for (uint32_t i = 0; i < n; i++)
		heap[i] = (struct turn){1, times_of(weights[i], sum, divisor, longest(n)), ids[i]};
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(heap, n, i);
	/* Who has had all turns of the round is due behind its end, and so behind everybody else. */
	for (uint32_t t = 0; t < length; t++) {
		order[t] = heap[0].id;
		heap[0].odd += 2;
		sift_down(heap, n, 0);
	}
	free(heap);
	return 0;
}
