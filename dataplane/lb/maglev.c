/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/maglev.h"

#include <errno.h>
#include <stdlib.h>

struct maglev_seat {
	uint32_t at, skip;   /* where it is in its permutation */
	uint32_t have, want; /* slots */
	uint16_t id;
	uint8_t weight;
	bool rounded_up;
};

unsigned int maglev_bits(uint32_t members)
{
	unsigned int bits = MAGLEV_BITS_MIN;

	while (bits < MAGLEV_BITS_MAX && (uint64_t)members * MAGLEV_RATIO > 1ull << bits)
		bits++;
	return bits;
}

void maglev_double(uint16_t *to, const uint16_t *from, unsigned int from_bits)
{
	for (uint32_t s = 0; s < 1u << from_bits; s++)
		to[2 * s] = to[2 * s + 1] = from[s];
}

static struct maglev_seat *seat_of(const struct maglev_build *b, uint16_t id)
{
	uint32_t n = (uint32_t)(uint16_t)(id - b->first_id);

	if (id == MAGLEV_NONE || n >= b->n_ids || b->seat_of[n] == 0)
		return NULL;
	return &b->seats[b->seat_of[n] - 1];
}

/* What is left over by rounding goes one by one to those who have that already, then to the first. */
static uint32_t round_up(struct maglev_build *b, uint32_t left, bool who_has_more)
{
	for (uint32_t i = 0; i < b->n && left != 0; i++) {
		struct maglev_seat *seat = &b->seats[i];

		if (seat->rounded_up || (who_has_more && seat->have <= seat->want))
			continue;
		seat->want++;
		seat->rounded_up = true;
		left--;
	}
	return left;
}

static void decide_shares(struct maglev_build *b)
{
	uint64_t total = 0;
	uint32_t size = b->mask + 1, left = size;

	for (uint32_t i = 0; i < b->n; i++)
		total += b->seats[i].weight;
	for (uint32_t i = 0; i < b->n; i++) {
		b->seats[i].want = (uint32_t)((uint64_t)size * b->seats[i].weight / total);
		left -= b->seats[i].want;
	}
	left = round_up(b, left, true);
	(void)round_up(b, left, false);
}

static void queue_gainers(struct maglev_build *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (b->seats[i].have < b->seats[i].want)
			b->gainers[b->n_gainers++] = (uint16_t)i;
}

static int reserve(struct maglev_build *b, const struct maglev_member *members, uint32_t n)
{
	uint16_t last = members[0].id;

	b->first_id = members[0].id;
	for (uint32_t i = 1; i < n; i++) {
		b->first_id = members[i].id < b->first_id ? members[i].id : b->first_id;
		last = members[i].id > last ? members[i].id : last;
	}
	b->n_ids = (uint32_t)(last - b->first_id) + 1;
	b->seats = malloc(n * sizeof(*b->seats));
	b->seat_of = calloc(b->n_ids, sizeof(*b->seat_of));
	b->gainers = malloc(n * sizeof(*b->gainers));
	if (b->seats != NULL && b->seat_of != NULL && b->gainers != NULL)
		return 0;
	maglev_end(b);
	return -ENOMEM;
}

int maglev_begin(struct maglev_build *b, uint16_t *table, unsigned int bits,
	const struct maglev_member *members, uint32_t n)
{
	struct maglev_seat *seat;

	*b = (struct maglev_build){.table = table, .mask = (1u << bits) - 1, .n = n};
	if (reserve(b, members, n) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		b->seats[i] = (struct maglev_seat){.at = (uint32_t)members[i].hash & b->mask,
			.skip = (uint32_t)(members[i].hash >> 32) | 1,
			.id = members[i].id,
			.weight = members[i].weight};
		b->seat_of[members[i].id - b->first_id] = (uint16_t)(i + 1);
	}
	for (uint32_t s = 0; s <= b->mask; s++)
		if ((seat = seat_of(b, table[s])) != NULL)
			seat->have++;
	decide_shares(b);
	queue_gainers(b);
	return 0;
}

/* The next of its permutation that nobody is entitled to, within the budget. What is somebody's now will not be free later, so no slot
 * is looked at twice. */
static bool take(struct maglev_build *b, struct maglev_seat *seat, uint32_t *budget)
{
	for (; *budget != 0; (*budget)--) {
		uint16_t *slot = &b->table[seat->at];
		struct maglev_seat *owner = seat_of(b, *slot);

		seat->at = (seat->at + seat->skip) & b->mask;
		if (owner != NULL && owner->have <= owner->want)
			continue;
		if (owner != NULL)
			owner->have--;
		*slot = seat->id;
		seat->have++;
		(*budget)--;
		return true;
	}
	return false;
}

bool maglev_step(struct maglev_build *b, uint32_t budget)
{
	while (b->n_gainers != 0) {
		struct maglev_seat *seat = &b->seats[b->gainers[b->at]];

		if (!take(b, seat, &budget))
			return false;
		if (seat->have < seat->want)
			b->at++;
		else
			b->gainers[b->at] = b->gainers[--b->n_gainers];
		if (b->at >= b->n_gainers)
			b->at = 0;
	}
	return true;
}

void maglev_end(struct maglev_build *b)
{
	free(b->seats);
	free(b->seat_of);
	free(b->gainers);
	b->gainers = NULL;
	b->seats = NULL;
	b->seat_of = NULL;
}
