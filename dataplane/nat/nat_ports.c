/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_ports.h"

#include <stdlib.h>

#include <rte_common.h>

#include "base/prefetch.h"
#include "nat/nat_blocks.h"

#define EVEN 0x5555555555555555ull

struct nat_ports *nat_ports_new(uint32_t block, bool ids)
{
	struct nat_ports *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->block = RTE_MIN(block, NAT_PORTS);
	p->low = ids ? 0 : NAT_PORTS_LOW;
	if (nat_blocks_cut(p) != 0) {
		free(p);
		return NULL;
	}
	if (!ids)
		nat_ports_reserve(p, 0, 0); /* means no port */
	return p;
}

void nat_ports_free(struct nat_ports *p)
{
	if (p == NULL)
		return;
	free(p->blocks);
	free(p);
}

void nat_ports_on_return(struct nat_ports *p, nat_block_returned_fn returned, void *arg)
{
	p->returned = returned;
	p->returned_arg = arg;
}

static inline uint64_t bit_of(uint32_t port)
{
	return 1ull << port % 64;
}

void nat_ports_reserve(struct nat_ports *p, uint16_t from, uint16_t to)
{
	for (uint32_t port = from; port <= to; port++)
		if (p->reserves[port]++ == 0) {
			atomic_fetch_or(&p->words[port / 64].reserved, bit_of(port));
			atomic_fetch_add_explicit(&p->n_reserved, 1, memory_order_relaxed);
		}
}

void nat_ports_release(struct nat_ports *p, uint16_t from, uint16_t to)
{
	for (uint32_t port = from; port <= to; port++)
		if (--p->reserves[port] == 0) {
			atomic_fetch_and(&p->words[port / 64].reserved, ~bit_of(port));
			atomic_fetch_sub_explicit(&p->n_reserved, 1, memory_order_relaxed);
		}
}

bool nat_ports_is_reserved(const struct nat_ports *p, uint16_t port)
{
	return atomic_load_explicit(&p->words[port / 64].reserved, memory_order_relaxed) &
	       bit_of(port);
}

static uint64_t taken_in(const struct nat_ports *p, uint32_t word)
{
	return atomic_load_explicit(&p->words[word].taken, memory_order_relaxed) |
	       atomic_load_explicit(&p->words[word].reserved, memory_order_relaxed);
}

/* The bits of a word whose ports are in [from, to). */
static uint64_t range_mask(uint32_t word, uint32_t from, uint32_t to)
{
	uint64_t mask = UINT64_MAX;

	if (from >= word * 64 + 64 || to <= word * 64)
		return 0;
	if (from > word * 64)
		mask &= UINT64_MAX << (from - word * 64);
	if (to < word * 64 + 64)
		mask &= UINT64_MAX >> (word * 64 + 64 - to);
	return mask;
}

/* A free bit of the mask; with `claim` it is the caller's from now on. */
static int take_in_word(struct nat_ports *p, uint32_t word, uint64_t mask, bool claim)
{
	for (;;) {
		uint64_t open = ~taken_in(p, word) & mask, bit = open & -open;

		if (open == 0)
			return -1;
		if (!claim || !(atomic_fetch_or(&p->words[word].taken, bit) & bit))
			return (int)(word * 64 + (unsigned int)__builtin_ctzll(bit));
	}
}

/* The first free port behind `start`, around [from, to), of those in `parity`. */
static int search(struct nat_ports *p, uint32_t from, uint32_t to, uint32_t start, uint64_t parity,
	bool claim)
{
	uint32_t last = (to - 1) / 64;
	int port;

	for (uint32_t word = start / 64; word <= last; word++) {
		port = take_in_word(p, word, range_mask(word, start, to) & parity, claim);
		if (port >= 0)
			return port;
	}
	for (uint32_t word = from / 64; word <= start / 64; word++) {
		port = take_in_word(
			p, word, range_mask(word, from, RTE_MIN(to, start)) & parity, claim);
		if (port >= 0)
			return port;
	}
	return -1;
}

struct wanted {
	uint64_t parity;
	bool claim;
};

static int pick_own(struct nat_ports *p, uint32_t from, uint32_t to, uint64_t random, void *arg)
{
	const struct wanted *w = arg;
	uint32_t start = from + (uint32_t)random % (to - from);
	int port = search(p, from, to, start, w->parity, w->claim);

	if (port < 0)
		port = search(p, from, to, start, ~w->parity, w->claim);
	return port < 0 ? -1 : port | NAT_FRESH;
}

static uint64_t parity_of(uint16_t port)
{
	return port & 1 ? ~EVEN : EVEN;
}

/* Of the ports on the inside port's side of 1024; `pick` says which. */
static bool take_side(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, bool low,
	uint64_t random, nat_pick_fn pick, void *arg, struct nat_grant *grant)
{
	int port;

	if (p->block != 0 && lease != NULL)
		return nat_blocks_take(p, lease, owner, low, random, pick, arg, grant);
	port = low ? pick(p, 0, p->low, random, arg) : pick(p, p->low, NAT_PORTS, random, arg);
	grant->port = (uint16_t)port;
	grant->leased = false;
	return port >= 0;
}

static bool take_any(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, uint16_t wish,
	uint64_t random, nat_pick_fn pick, void *arg, struct nat_grant *grant)
{
	return (wish < p->low && take_side(p, lease, owner, true, random, pick, arg, grant)) ||
	       take_side(p, lease, owner, false, random, pick, arg, grant);
}

bool nat_ports_take(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, uint16_t wish,
	uint64_t random, struct nat_grant *grant)
{
	struct wanted w = {parity_of(wish), true};

	if (!take_any(p, lease, owner, wish, random, pick_own, &w, grant))
		return false;
	atomic_fetch_add_explicit(&p->n_used, 1, memory_order_relaxed);
	return true;
}

bool nat_ports_look(const struct nat_ports *p, uint16_t wish, uint64_t random, uint16_t *port)
{
	struct wanted w = {parity_of(wish), false};
	struct nat_grant grant;

	/* Without the claim nothing is written. */
	if (!take_any(
		    (struct nat_ports *)(uintptr_t)p, NULL, 0, wish, random, pick_own, &w, &grant))
		return false;
	*port = grant.port;
	return true;
}

static void set_free(struct nat_ports *p, uint16_t port)
{
	if (p->block != 0)
		nat_blocks_free(p, port);
	else
		atomic_fetch_and(&p->words[port / 64].taken, ~bit_of(port));
}

void nat_ports_put(struct nat_ports *p, uint16_t port, bool rest)
{
	uint32_t open;

	if (rest && atomic_load_explicit(&p->rests, memory_order_relaxed)) {
		/* Should the generation be closed just now, the port rests with it all the same. */
		open = atomic_load_explicit(&p->open, memory_order_relaxed);
		atomic_fetch_add_explicit(&p->n_resting[open], 1, memory_order_relaxed);
		atomic_fetch_or(&p->resting[open][port / 64], bit_of(port));
	} else {
		set_free(p, port);
	}
	atomic_fetch_sub_explicit(&p->n_used, 1, memory_order_relaxed);
}

struct sharing {
	bool odd;
	unsigned int tries;
	nat_port_fits_fn fits;
	void *arg;
};

/* Joins those who share the port, or takes it when it is free. NAT_FRESH, 0, or -1. */
static int join(struct nat_ports *p, uint32_t port)
{
	uint16_t n = atomic_load_explicit(&p->shares[port], memory_order_relaxed);

	while (n != 0 && n != UINT16_MAX)
		if (atomic_compare_exchange_weak(&p->shares[port], &n, n + 1))
			return 0;
	if (n != 0 || (taken_in(p, port / 64) & bit_of(port)) ||
		(atomic_fetch_or(&p->words[port / 64].taken, bit_of(port)) & bit_of(port)))
		return -1;
	atomic_store_explicit(&p->shares[port], 1, memory_order_release);
	atomic_fetch_add_explicit(&p->n_used, 1, memory_order_relaxed);
	return NAT_FRESH;
}

/* Steps through any half range of ports that meet all of it, and not one after the other: what is taken stands in runs. */
static uint32_t stride(uint64_t random)
{
	static const uint32_t primes[] = {32771, 35803, 39119, 42737, 46691, 51001, 55717, 60869};

	return primes[random >> 61];
}

/* Every other one of [from, to), beginning with `at`. */
struct half {
	uint32_t first, n, at;
};

static struct half half_of(uint32_t from, uint32_t to, bool odd, uint64_t random)
{
	uint32_t first = from + ((from & 1) != odd), n = to > first ? (to - first + 1) / 2 : 0;

	return (struct half){first, n, n > 0 ? (uint32_t)random % n : 0};
}

/* Those of one parity. */
static int share_some(struct nat_ports *p, uint32_t from, uint32_t to, bool odd, uint64_t random,
	struct sharing *s)
{
	struct half h = half_of(from, to, odd, random);
	uint32_t step = stride(random);

	for (uint32_t i = 0; i < h.n && s->tries > 0; i++, h.at = (h.at + step) % h.n) {
		uint16_t port = (uint16_t)(h.first + 2 * h.at);
		int fresh;

		if (nat_ports_is_reserved(p, port))
			continue;
		s->tries--;
		if (s->fits(s->arg, port) && (fresh = join(p, port)) >= 0)
			return port | fresh;
	}
	return -1;
}

static int pick_shared(struct nat_ports *p, uint32_t from, uint32_t to, uint64_t random, void *arg)
{
	struct sharing *s = arg;
	int port = share_some(p, from, to, s->odd, random, s);

	return port >= 0 ? port : share_some(p, from, to, !s->odd, random, s);
}

bool nat_ports_share(struct nat_ports *p, struct nat_lease *lease, uint32_t owner, uint16_t wish,
	uint64_t random, unsigned int tries, nat_port_fits_fn fits, void *arg,
	struct nat_grant *grant)
{
	struct sharing s = {wish & 1, tries, fits, arg};

	return take_any(p, lease, owner, wish, random, pick_shared, &s, grant);
}

void nat_ports_prefetch(const struct nat_ports *p, uint16_t port)
{
	prefetch_own(&p->shares[port]);
	prefetch_own(&p->words[port / 64]);
}

int nat_ports_foresee(const struct nat_ports *p, uint16_t wish, uint64_t random)
{
	bool low = wish < p->low;
	struct half h = half_of(low ? 0 : p->low, low ? p->low : NAT_PORTS, wish & 1, random);
	uint32_t port = h.first + 2 * h.at;

	if (p->block != 0)
		return -1;
	nat_ports_prefetch(p, (uint16_t)port);
	return (int)port;
}

void nat_ports_unshare(struct nat_ports *p, uint16_t port)
{
	/* Who finds 0 while the bit is still set takes another port. */
	if (atomic_fetch_sub(&p->shares[port], 1) != 1)
		return;
	set_free(p, port);
	atomic_fetch_sub_explicit(&p->n_used, 1, memory_order_relaxed);
}

/* All ports of a generation have rested. */
static void wake(struct nat_ports *p, uint32_t generation)
{
	for (uint32_t word = 0; word < NAT_WORDS; word++) {
		uint64_t bits =
			atomic_load_explicit(&p->resting[generation][word], memory_order_relaxed);

		if (bits == 0)
			continue;
		bits = atomic_exchange(&p->resting[generation][word], 0);
		atomic_fetch_sub_explicit(&p->n_resting[generation],
			(uint32_t)__builtin_popcountll(bits), memory_order_relaxed);
		if (p->block == 0) {
			atomic_fetch_and(&p->words[word].taken, ~bits);
			continue;
		}
		for (; bits != 0; bits &= bits - 1)
			nat_blocks_free(
				p, (uint16_t)(word * 64 + (unsigned int)__builtin_ctzll(bits)));
	}
}

static uint32_t resting_in(const struct nat_ports *p, uint32_t generation)
{
	return atomic_load_explicit(&p->n_resting[generation], memory_order_relaxed);
}

/* Closes the open one when it is old enough and the next has rested. */
static void open_next(struct nat_ports *p, uint32_t now_ms, uint32_t rest_ms)
{
	uint32_t open = atomic_load_explicit(&p->open, memory_order_relaxed);
	uint32_t next = (open + 1) % NAT_GENERATIONS;

	if (resting_in(p, open) == 0) { /* nothing in it: it begins now */
		p->opened_ms = now_ms;
		return;
	}
	if (now_ms - p->opened_ms < rest_ms / 8 || resting_in(p, next) != 0)
		return;
	p->closed_ms[open] = now_ms;
	p->opened_ms = now_ms;
	atomic_store_explicit(&p->open, next, memory_order_relaxed);
}

void nat_ports_turn(struct nat_ports *p, uint32_t now_ms, uint32_t rest_ms)
{
	uint32_t open;

	atomic_store_explicit(&p->rests, rest_ms != 0, memory_order_relaxed);
	open_next(p, now_ms, rest_ms);
	open = atomic_load_explicit(&p->open, memory_order_relaxed);
	for (uint32_t g = 0; g < NAT_GENERATIONS; g++)
		if (resting_in(p, g) != 0 &&
			(rest_ms == 0 || (g != open && now_ms - p->closed_ms[g] >= rest_ms)))
			wake(p, g);
}

struct nat_ports_use nat_ports_use(const struct nat_ports *p)
{
	struct nat_ports_use use = {
		.used = atomic_load_explicit(&p->n_used, memory_order_relaxed),
		.total = NAT_PORTS - atomic_load_explicit(&p->n_reserved, memory_order_relaxed),
		.blocks_used = atomic_load_explicit(&p->n_leased, memory_order_relaxed),
		.blocks_total = p->n_blocks,
	};

	for (uint32_t g = 0; g < NAT_GENERATIONS; g++)
		use.resting += resting_in(p, g);
	return use;
}
