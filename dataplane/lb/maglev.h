/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LB_MAGLEV_H
#define LB_MAGLEV_H
/* A consistent hash of flows onto back ends, after Maglev (Eisenbud et al., NSDI 2016, section 3.4): each back end has a
 * permutation of the slots of its own, and takes its share of them in that order.
 *
 * Two things differ from the paper, for which a change of the members moves more flows than it must (about 2 % more at 100
 * slots a back end, and up to 20 % with few of them, as measured):
 * - A table is not made anew but led to its new members: whoever has more slots than its share now gives up only those, and
 *   the slots of who left are the only others that change hands. So a removal moves nothing but the flows of who was removed.
 * - The number of slots is a power of two in place of a prime, and a flow's slot is the upper bits of its hash: a table that gets
 *   too small is doubled, and every flow stays where it was. Permutations then step by odd numbers, which visit all slots, too.
 *
 * A table that is made from nothing depends on its members alone, so a node that starts again and others agree with it.
 *
 * Pure C. The tables are the caller's; one is changed by one thread.
 */
#include <stdbool.h>
#include <stdint.h>

#define MAGLEV_NONE 0u    /* no member has this id */
#define MAGLEV_RATIO 128u /* slots a member, at least */
#define MAGLEV_BITS_MIN 10u
#define MAGLEV_BITS_MAX 23u

struct maglev_member {
	uint64_t hash; /* of what it is called everywhere, never of its place in a list */
	uint16_t id;
	uint8_t weight; /* its share; at least 1 */
};

/* log2 of the slots for so many members. */
unsigned int maglev_bits(uint32_t members);

/* The slot of a flow with this (well mixed) hash. */
static inline uint32_t maglev_slot(uint32_t hash, unsigned int bits)
{
	return hash >> (32 - bits);
}

/* `to` has twice the slots of `from`; every flow stays where it was. */
void maglev_double(uint16_t *to, const uint16_t *from, unsigned int from_bits);

struct maglev_seat;

/* A table on its way to new members, in steps, for who has other things to do. */
struct maglev_build {
	uint16_t *table;
	uint32_t mask;
	uint32_t n;
	uint16_t first_id;
	uint32_t n_ids;
	struct maglev_seat *seats;
	uint16_t *seat_of; /* by id - first_id: seat + 1, or 0 */
	uint16_t *gainers; /* seats that still get slots, in turns */
	uint32_t n_gainers, at;
};

/* Leads `table` (each slot an id or MAGLEV_NONE) to these members, none twice; at least one. -ENOMEM: nothing was changed. */
int maglev_begin(struct maglev_build *b, uint16_t *table, unsigned int bits,
	const struct maglev_member *members, uint32_t n);
/* Up to about `budget` slots looked at. True: done. */
bool maglev_step(struct maglev_build *b, uint32_t budget);
/* After the last step, or to give up: then the table is a mixture. */
void maglev_end(struct maglev_build *b);

#endif
