/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_BLOCKS_H
#define NAT_NAT_BLOCKS_H
/* Between nat_ports.c and nat_blocks.c: a space of ports cut into blocks. */
#include "nat/nat_ports.h"

#define NAT_WORDS (NAT_PORTS / 64)
#define NAT_GENERATIONS 10u /* one open, eight that rest, one to spare */

/* Leased or not. While leased `next`, `used` belong to who holds the lease's lock. */
struct nat_block {
	struct nat_lease *_Atomic lease; /* NULL: free */
	uint32_t owner;
	uint32_t next; /* of the same lease: block + 1 */
	uint32_t used; /* ports taken or at rest */
};

struct nat_ports {
	uint16_t low; /* ports below are for inside ports below: 1024, ids: 0 */
	uint32_t block;
	uint32_t n_low, n_blocks; /* blocks of the low ports, and all */
	struct nat_block *blocks;
	nat_block_returned_fn returned;
	void *returned_arg;

	_Atomic uint32_t n_used, n_leased, n_reserved;
	_Atomic bool rests; /* else what is freed is free */

	/* Generations of freed ports. Which one is open: written by the control thread. */
	_Atomic uint32_t open;
	_Atomic uint32_t n_resting[NAT_GENERATIONS];
	uint32_t opened_ms, closed_ms[NAT_GENERATIONS]; /* control thread */

	/* Who looks for a port reads both. */
	struct {
		_Atomic uint64_t taken;    /* in use or at rest */
		_Atomic uint64_t reserved; /* written by the control thread */
	} words[NAT_WORDS];
	_Atomic uint64_t resting[NAT_GENERATIONS][NAT_WORDS];
	_Atomic uint16_t shares[NAT_PORTS]; /* flows of a shared port */
	uint8_t reserves[NAT_PORTS];        /* how often. Control thread */
};

/* A port of [from, to) for the caller, and NAT_FRESH if nobody had it; -1: none. */
#define NAT_FRESH 0x10000
typedef int (*nat_pick_fn)(
	struct nat_ports *p, uint32_t from, uint32_t to, uint64_t random, void *arg);

/* Asks `pick` for a port of the blocks of the lease, then of further ones. */
bool nat_blocks_take(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, bool low,
	uint64_t random, nat_pick_fn pick, void *arg, struct nat_grant *grant);
/* The port is free again: bit and count of its block, which may go back. */
void nat_blocks_free(struct nat_ports *p, uint16_t port);
/* Cuts the space. -1: out of memory. */
int nat_blocks_cut(struct nat_ports *p);

#endif
