/* SPDX-License-Identifier: Apache-2.0 */
/* What workers tell the control thread: sessions that they have removed, denied flows that make room for others. */
#include <errno.h>
#include <stdlib.h>

#include <rte_ring_elem.h>

#include "flow_log/flow_log_internal.h"

/* Some milliseconds of cuts at full speed; 3 MB a node. */
#define RING_SIZE 16384u
#define BATCH 32u

static struct rte_ring *ring;
static uint64_t lost_of[FLOW_LOGS_MAX]; /* what their sinks know already */
static _Atomic uint64_t lost[FLOW_LOGS_MAX];

/* Elements are made of words of four bytes. */
_Static_assert(sizeof(struct flow_told) % 4 == 0, "an element of the ring");

int flow_ring_init(void)
{
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct flow_told), RING_SIZE);
	struct rte_ring *r;

	if (ring != NULL)
		return 0;
	r = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));
	if (r == NULL ||
		rte_ring_init(r, "flow_log", RING_SIZE, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ) != 0) {
		free(r);
		return -ENOMEM;
	}
	__atomic_store_n(&ring, r, __ATOMIC_RELEASE);
	return 0;
}

bool flow_ring_put(struct flow_told *told)
{
	struct rte_ring *r = __atomic_load_n(&ring, __ATOMIC_ACQUIRE);

	return r != NULL && rte_ring_enqueue_elem(r, told, sizeof(*told)) == 0;
}

void flow_ring_count_lost(uint64_t logs)
{
	for (; logs != 0; logs &= logs - 1)
		atomic_fetch_add_explicit(&lost[__builtin_ctzll(logs)], 1, memory_order_relaxed);
}

static void tell_lost(void)
{
	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++) {
		uint64_t now = atomic_load_explicit(&lost[i], memory_order_relaxed);

		if (now == lost_of[i])
			continue;
		if (flow_logs[i] != NULL)
			flow_sink_count_lost(flow_logs[i]->sink, now - lost_of[i]);
		lost_of[i] = now;
	}
}

void flow_ring_drain(void)
{
	struct flow_told batch[BATCH];
	unsigned int n;

	if (ring == NULL)
		return;
	do {
		n = rte_ring_dequeue_burst_elem(ring, batch, sizeof(batch[0]), BATCH, NULL);
		for (unsigned int i = 0; i < n; i++) {
			if (batch[i].kind == FLOW_TOLD_SESSION)
				flow_watch_told(&batch[i]);
			else if (batch[i].kind == FLOW_TOLD_RESUMED)
				flow_watch_resumed(&batch[i]);
			else
				flow_denied_told(&batch[i]);
		}
	} while (n == BATCH);
	tell_lost();
}
