/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rcu.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "base/cache_line.h"

struct note {
	void (*fn)(void *);
	void *arg;
	uint64_t token;
};

struct rte_rcu_qsbr *rcu_qsbr READ_MOSTLY;
__thread unsigned int rcu_thread;

static unsigned int read_depth;

/* Deferred frees, oldest first: a ring that doubles when it is full. Control thread only. */
static struct note *notes;
static uint32_t notes_size; /* a power of two, or 0 */
static uint32_t notes_first, notes_end;

int rcu_init(unsigned int n_workers)
{
	unsigned int threads = n_workers + 1;
	size_t size;

	if (n_workers > RCU_WORKERS_MAX || rcu_qsbr != NULL)
		return -EINVAL;
	size = RTE_ALIGN_CEIL(rte_rcu_qsbr_get_memsize(threads), RTE_CACHE_LINE_SIZE);
	rcu_qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (rcu_qsbr == NULL)
		return -ENOMEM;
	rte_rcu_qsbr_init(rcu_qsbr, threads);
	for (unsigned int t = 0; t < threads; t++)
		rte_rcu_qsbr_thread_register(rcu_qsbr, t);
	return 0;
}

void rcu_fini(void)
{
	while (notes_first != notes_end)
		rcu_synchronize();
	free(notes);
	notes = NULL;
	notes_size = notes_first = notes_end = 0;
	free(rcu_qsbr);
	rcu_qsbr = NULL;
}

unsigned int rcu_threads(void)
{
	return rcu_qsbr == NULL ? 1 : rcu_qsbr->max_threads;
}

void rcu_read_enter(void)
{
	if (read_depth++ == 0 && rcu_qsbr != NULL)
		rte_rcu_qsbr_thread_online(rcu_qsbr, 0);
}

void rcu_read_leave(void)
{
	RTE_ASSERT(read_depth > 0);
	if (--read_depth == 0 && rcu_qsbr != NULL)
		rte_rcu_qsbr_thread_offline(rcu_qsbr, 0);
}

uint64_t rcu_token(void)
{
	return rcu_qsbr == NULL ? 0 : rte_rcu_qsbr_start(rcu_qsbr);
}

bool rcu_token_passed(uint64_t token)
{
	return rcu_qsbr == NULL || rte_rcu_qsbr_check(rcu_qsbr, token, false) == 1;
}

static bool notes_grow(void)
{
	uint32_t size = notes_size == 0 ? 256 : notes_size * 2;
	struct note *larger = malloc(size * sizeof(*larger));

	if (larger == NULL)
		return false;
	for (uint32_t i = notes_first; i != notes_end; i++)
		larger[i & (size - 1)] = notes[i & (notes_size - 1)];
	free(notes);
	notes = larger;
	notes_size = size;
	return true;
}

static void run_until(uint32_t end)
{
	while ((int32_t)(end - notes_first) > 0) {
		struct note note = notes[notes_first++ & (notes_size - 1)];

		note.fn(note.arg); /* may defer more: `notes` may move */
	}
}

void rcu_defer(void (*fn)(void *), void *arg)
{
	if (notes_end - notes_first == notes_size && !notes_grow()) {
		rcu_synchronize();
		fn(arg);
		return;
	}
	notes[notes_end++ & (notes_size - 1)] = (struct note){fn, arg, rcu_token()};
}

unsigned int rcu_poll(void)
{
	uint32_t end = notes_first;

	/* Tokens rise, so the first that has not passed ends the batch. */
	while (end != notes_end && rcu_token_passed(notes[end & (notes_size - 1)].token))
		end++;
	run_until(end);
	return notes_end - notes_first;
}

void rcu_synchronize(void)
{
	uint32_t end = notes_end;

	RTE_ASSERT(read_depth == 0);
	if (rcu_qsbr != NULL)
		rte_rcu_qsbr_check(rcu_qsbr, rte_rcu_qsbr_start(rcu_qsbr), true);
	run_until(end);
}
