/* SPDX-License-Identifier: Apache-2.0 */
/* The workers' side of shapers: queues, and a heap of those that wait, by the time at which their heads may leave. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_cycles.h>

#include "qos/shaper.h"

/* A queue that has used up the rate looks again only after so long, for some packets at once. */
#define QUANTUM_US 200u
/* A GSO frame that takes longer is split. */
#define SPLIT_MS 4u

/* What this worker holds back, of its default and its jumbo buffers. */
enum { PLAIN, JUMBO, POOLS };

static struct waiting {
	struct shaper_queue **heap; /* the earliest first; room for every shaper */
	uint32_t n;
	uint32_t frames[POOLS], most[POOLS];
	_Atomic uint64_t held; /* read by others */
} __rte_cache_aligned waiting[WORKER_MAX];

static uint64_t ticks_per_ms;

uint64_t qos_held(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		n += atomic_load_explicit(&waiting[i].held, memory_order_relaxed);
	return n;
}

/* --- the heap --- */

static bool earlier(const struct shaper_queue *a, const struct shaper_queue *b)
{
	return (int64_t)(a->due - b->due) < 0;
}

static void place(struct waiting *h, uint32_t at, struct shaper_queue *q)
{
	h->heap[at] = q;
	q->heap = at;
}

static void sift_up(struct waiting *h, struct shaper_queue *q)
{
	uint32_t at = q->heap;

	for (; at > 0 && earlier(q, h->heap[(at - 1) / 2]); at = (at - 1) / 2)
		place(h, at, h->heap[(at - 1) / 2]);
	place(h, at, q);
}

static void sift_down(struct waiting *h, struct shaper_queue *q)
{
	uint32_t at = q->heap, child;

	while ((child = 2 * at + 1) < h->n) {
		if (child + 1 < h->n && earlier(h->heap[child + 1], h->heap[child]))
			child++;
		if (!earlier(h->heap[child], q))
			break;
		place(h, at, h->heap[child]);
		at = child;
	}
	place(h, at, q);
}

static void heap_add(struct waiting *h, struct shaper_queue *q)
{
	q->heap = h->n++;
	sift_up(h, q);
}

static void heap_remove_first(struct waiting *h)
{
	struct shaper_queue *last = h->heap[--h->n];

	if (h->n > 0) {
		last->heap = 0;
		sift_down(h, last);
	}
}

/* --- frames --- */

static uint32_t segments(const struct rte_mbuf *m, const struct pkt *p, uint32_t *headers)
{
	uint32_t payload;

	*headers = (uint32_t)(p->l4_off - p->l3_off) + m->l4_len;
	if (m->tso_segsz == 0 || p->l3_len <= *headers)
		return 1;
	payload = p->l3_len - *headers;
	return (payload + m->tso_segsz - 1) / m->tso_segsz;
}

struct shaper_cost shaper_cost(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of((struct rte_mbuf *)(uintptr_t)m);
	struct shaper_cost cost = {p->l3_len, 1};
	uint32_t headers;

	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) {
		cost.packets = segments(m, p, &headers);
		cost.bytes += (cost.packets - 1) * headers;
	}
	return cost;
}

bool shaper_splits(const struct shaper *s, const struct rte_mbuf *m)
{
	const uint64_t most = SPLIT_MS * ticks_per_ms;
	struct shaper_cost cost;

	if (!(m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)))
		return false;
	cost = shaper_cost(m);
	return bucket_ticks(&s->bytes, cost.bytes) > most ||
	       bucket_ticks(&s->packets, cost.packets) > most;
}

static unsigned int pool_of(const struct worker *w, const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next)
		if (m->pool == w->jumbo_pool)
			return JUMBO;
	return PLAIN;
}

static void count(struct shaper_queue *q, const struct shaper_cost *cost)
{
	__atomic_store_n(&q->passed_bytes, q->passed_bytes + cost->bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&q->passed_packets, q->passed_packets + cost->packets, __ATOMIC_RELAXED);
}

/* Else says when there will be something to spend. */
static bool pass(struct shaper *s, struct shaper_queue *q, const struct shaper_cost *cost,
	uint64_t now, uint64_t *due)
{
	if (!bucket_pass(&s->bytes, &q->bytes, now, cost->bytes, due) ||
		!bucket_pass(&s->packets, &q->packets, now, cost->packets, due))
		return false;
	bucket_spend(&s->bytes, &q->bytes, cost->bytes);
	bucket_spend(&s->packets, &q->packets, cost->packets);
	count(q, cost);
	return true;
}

/* Would it leave within QOS_WAIT_MS, behind all that waits at any worker? */
static bool in_time(const struct shaper *s, uint64_t now)
{
	const uint64_t most = QOS_WAIT_MS * ticks_per_ms;
	uint64_t bytes = atomic_load_explicit(&s->waiting_bytes, memory_order_relaxed);
	uint32_t packets = atomic_load_explicit(&s->waiting_packets, memory_order_relaxed);

	return bucket_debt(&s->bytes, now) + bucket_ticks(&s->bytes, bytes) <= most &&
	       bucket_debt(&s->packets, now) + bucket_ticks(&s->packets, packets) <= most;
}

static uint32_t waited_ms(const struct worker *w, const struct rte_mbuf *head)
{
	return (uint16_t)(w->now_ms - pkt_of((struct rte_mbuf *)(uintptr_t)head)->queued_ms);
}

/* The head leaves when there is something to spend, and enough for a few more; or when it has waited long enough. */
static void plan(struct shaper_queue *q, const struct worker *w, uint64_t due)
{
	uint32_t waited = waited_ms(w, q->head);
	uint64_t deadline = waited < QOS_DEADLINE_MS
				    ? w->now_tsc + (QOS_DEADLINE_MS - waited) * ticks_per_ms
				    : w->now_tsc;

	q->due = due + QUANTUM_US * ticks_per_ms / 1000;
	if ((int64_t)(q->due - deadline) > 0)
		q->due = deadline;
}

static void wake_when_due(struct worker *w, const struct waiting *h)
{
	w->wake_tsc = h->n > 0 ? h->heap[0]->due : UINT64_MAX;
}

/* Held: in one more or one fewer queue. */
static void account(struct waiting *h, struct shaper *s, const struct shaper_cost *cost,
	unsigned int pool, bool more)
{
	uint64_t held = atomic_load_explicit(&h->held, memory_order_relaxed);

	if (more) {
		h->frames[pool]++;
		atomic_fetch_add_explicit(&s->waiting_bytes, cost->bytes, memory_order_relaxed);
		atomic_fetch_add_explicit(&s->waiting_packets, cost->packets, memory_order_relaxed);
	} else {
		h->frames[pool]--;
		atomic_fetch_sub_explicit(&s->waiting_bytes, cost->bytes, memory_order_relaxed);
		atomic_fetch_sub_explicit(&s->waiting_packets, cost->packets, memory_order_relaxed);
	}
	atomic_store_explicit(&h->held, more ? held + 1 : held - 1, memory_order_relaxed);
}

static void enqueue(struct shaper_queue *q, struct worker *w, struct rte_mbuf *m,
	const struct shaper_cost *cost, unsigned int pool, uint64_t due)
{
	struct waiting *h = &waiting[w->id];
	struct pkt *p = pkt_of(m);

	p->queue_next = NULL;
	p->queued_ms = (uint16_t)w->now_ms;
	if (q->n++ > 0) {
		pkt_of(q->tail)->queue_next = m;
		q->tail = m;
	} else {
		q->head = q->tail = m;
		plan(q, w, due);
		heap_add(h, q);
		wake_when_due(w, h);
	}
	account(h, q->shaper, cost, pool, true);
}

enum shaper_verdict shaper_enter(struct shaper *s, struct worker *w, struct rte_mbuf *m)
{
	struct shaper_queue *q = &s->queues[w->id];
	const struct waiting *h = &waiting[w->id];
	struct shaper_cost cost = shaper_cost(m);
	uint64_t due = 0;
	unsigned int pool;

	if (q->n == 0 && pass(s, q, &cost, w->now_tsc, &due))
		return SHAPER_PASS;
	pool = pool_of(w, m);
	/* No shaper takes more than half of what all of them may hold. */
	if (h->frames[pool] >= h->most[pool] || q->n >= h->most[PLAIN] / 2 ||
		!in_time(s, w->now_tsc))
		return SHAPER_FULL;
	enqueue(q, w, m, &cost, pool, due);
	return SHAPER_QUEUED;
}

static struct rte_mbuf *dequeue(
	struct waiting *h, struct shaper_queue *q, struct worker *w, const struct shaper_cost *cost)
{
	struct rte_mbuf *m = q->head;

	account(h, q->shaper, cost, pool_of(w, m), false);
	q->head = pkt_of(m)->queue_next;
	if (--q->n == 0)
		heap_remove_first(h);
	return m;
}

struct rte_mbuf *shaper_release(struct worker *w)
{
	struct waiting *h = &waiting[w->id];

	while (h->n > 0 && (int64_t)(h->heap[0]->due - w->now_tsc) <= 0) {
		struct shaper_queue *q = h->heap[0];
		struct shaper_cost cost = shaper_cost(q->head);
		uint64_t due = 0;
		bool passes = pass(q->shaper, q, &cost, w->now_tsc, &due);

		if (!passes && waited_ms(w, q->head) >= QOS_DEADLINE_MS) {
			bucket_force(&q->shaper->bytes, &q->bytes, w->now_tsc, cost.bytes);
			bucket_force(&q->shaper->packets, &q->packets, w->now_tsc, cost.packets);
			count(q, &cost);
			passes = true;
		}
		if (passes)
			return dequeue(h, q, w, &cost);
		plan(q, w, due);
		sift_down(h, q);
	}
	wake_when_due(w, h);
	return NULL;
}

/* --- control thread --- */

static struct shaper_queue **heap_new(void)
{
	/* Takes memory as it is used. */
	void *p = mmap(NULL, QOS_SHAPERS_MAX * sizeof(struct shaper_queue *),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int shaper_heaps_init(void)
{
	ticks_per_ms = rte_get_tsc_hz() / 1000;
	for (unsigned int i = 0; i < worker_count; i++) {
		struct waiting *h = &waiting[i];
		const struct worker *w = &workers[i];

		if (h->heap == NULL && (h->heap = heap_new()) == NULL)
			return -ENOMEM;
		h->most[PLAIN] = w->pool->size / 4 / worker_count;
		h->most[JUMBO] = w->jumbo_pool->size / 2 / worker_count;
	}
	return 0;
}
