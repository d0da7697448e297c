/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of ports, leased to a subscriber each. The ports below 1024 are cut apart from the others, so that a block is of one kind. */
#include "nat/nat_blocks.h"

#include <sched.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_pause.h>

#define SPINS 64u

int nat_blocks_cut(struct nat_ports *p)
{
	if (p->block == 0)
		return 0;
	p->n_low = (p->low + p->block - 1) / p->block;
	p->n_blocks = p->n_low + (NAT_PORTS - p->low + p->block - 1) / p->block;
	p->blocks = calloc(p->n_blocks, sizeof(*p->blocks));
	return p->blocks != NULL ? 0 : -1;
}

static uint32_t block_from(const struct nat_ports *p, uint32_t b)
{
	return b < p->n_low ? b * p->block : p->low + (b - p->n_low) * p->block;
}

/* Behind its last port. */
static uint32_t block_to(const struct nat_ports *p, uint32_t b)
{
	uint32_t end = b < p->n_low ? p->low : NAT_PORTS;

	return RTE_MIN(block_from(p, b) + p->block, end);
}

static uint32_t block_of(const struct nat_ports *p, uint16_t port)
{
	return port < p->low ? port / p->block : p->n_low + (port - p->low) / p->block;
}

/* Held for a search in the subscriber's own blocks; whoever waits is another flow of his. */
static void lock(struct nat_lease *lease)
{
	for (unsigned int spins = 0;
		atomic_exchange_explicit(&lease->lock, 1, memory_order_acquire) != 0; spins++) {
		if (spins % SPINS != SPINS - 1)
			rte_pause();
		else
			sched_yield();
	}
}

static void unlock(struct nat_lease *lease)
{
	atomic_store_explicit(&lease->lock, 0, memory_order_release);
}

static bool take_own(struct nat_ports *p, struct nat_lease *lease, bool low, uint64_t random,
	nat_pick_fn pick, void *arg, struct nat_grant *grant)
{
	for (uint32_t at = lease->head; at != 0; at = p->blocks[at - 1].next) {
		int port = (at - 1 < p->n_low) != low ? -1
						      : pick(p, block_from(p, at - 1),
								block_to(p, at - 1), random, arg);

		if (port < 0)
			continue;
		grant->port = (uint16_t)port;
		p->blocks[at - 1].used += port / NAT_FRESH;
		return true;
	}
	return false;
}

/* A free block that has something to give. */
static bool lease_another(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, bool low,
	uint64_t random, nat_pick_fn pick, void *arg, struct nat_grant *grant)
{
	uint32_t first = low ? 0 : p->n_low, n = low ? p->n_low : p->n_blocks - p->n_low;
	uint32_t start = n > 0 ? (uint32_t)((random >> 32) % n) : 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = first + (start + i) % n;
		struct nat_block *block = &p->blocks[b];
		struct nat_lease *none = NULL;
		int port;

		if (atomic_load_explicit(&block->lease, memory_order_relaxed) != NULL ||
			!atomic_compare_exchange_strong(&block->lease, &none, lease))
			continue;
		port = pick(p, block_from(p, b), block_to(p, b), random, arg);
		if (port < 0) { /* all reserved, or none fits */
			atomic_store_explicit(&block->lease, NULL, memory_order_release);
			continue;
		}
		block->owner = owner;
		block->used = 1;
		block->next = lease->head;
		lease->head = b + 1;
		atomic_fetch_add_explicit(&p->n_leased, 1, memory_order_relaxed);
		*grant = (struct nat_grant){.port = (uint16_t)port,
			.leased = true,
			.block_from = (uint16_t)block_from(p, b),
			.block_to = (uint16_t)(block_to(p, b) - 1)};
		return true;
	}
	return false;
}

bool nat_blocks_take(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, bool low,
	uint64_t random, nat_pick_fn pick, void *arg, struct nat_grant *grant)
{
	bool got;

	grant->leased = false;
	lock(lease);
	got = take_own(p, lease, low, random, pick, arg, grant) ||
	      (atomic_load_explicit(&p->n_leased, memory_order_relaxed) < p->n_blocks &&
		      lease_another(p, lease, owner, low, random, pick, arg, grant));
	unlock(lease);
	return got;
}

static void unlink_block(struct nat_ports *p, struct nat_lease *lease, uint32_t b)
{
	uint32_t *at = &lease->head;

	while (*at != b + 1)
		at = &p->blocks[*at - 1].next;
	*at = p->blocks[b].next;
}

void nat_blocks_free(struct nat_ports *p, uint16_t port)
{
	uint32_t b = block_of(p, port);
	struct nat_block *block = &p->blocks[b];
	/* The port is taken, so the block is leased. */
	struct nat_lease *lease = atomic_load_explicit(&block->lease, memory_order_acquire);
	uint32_t owner;
	bool empty;

	lock(lease);
	atomic_fetch_and(&p->words[port / 64].taken, ~(1ull << port % 64));
	empty = --block->used == 0;
	owner = block->owner;
	if (empty) {
		unlink_block(p, lease, b);
		atomic_fetch_sub_explicit(&p->n_leased, 1, memory_order_relaxed);
		atomic_store_explicit(&block->lease, NULL, memory_order_release);
	}
	unlock(lease);
	if (empty && p->returned != NULL)
		p->returned(p->returned_arg, owner, (uint16_t)block_from(p, b),
			(uint16_t)(block_to(p, b) - 1));
}
