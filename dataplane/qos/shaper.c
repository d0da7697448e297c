/* SPDX-License-Identifier: Apache-2.0 */
/* Shapers by id: made, changed, freed. Control thread. */
#include "qos/shaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

struct shaper *_Atomic shapers[QOS_SHAPERS_MAX];

static uint32_t next_id = 1;
static struct shaper *retired;
static bool ready;

/* Those that nobody can name any more, and whose last frame has left. */
static void reap(void)
{
	struct shaper **at = &retired;

	while (*at != NULL) {
		struct shaper *s = *at;

		if (!rcu_token_passed(s->retired) ||
			atomic_load_explicit(&s->waiting_packets, memory_order_relaxed) != 0) {
			at = &s->next_retired;
			continue;
		}
		*at = s->next_retired;
		rcu_ptr_set(shapers[s->id], NULL);
		free(s);
	}
}

/* Ids are used again as late as possible. */
static qos_id_t free_id(void)
{
	for (uint32_t n = 1; n < QOS_SHAPERS_MAX; n++) {
		uint32_t id = next_id;

		next_id = next_id + 1 < QOS_SHAPERS_MAX ? next_id + 1 : 1;
		if (shapers[id] == NULL)
			return (qos_id_t)id;
	}
	return QOS_NONE;
}

static void set(struct shaper *s, const struct qos_rate *rate)
{
	uint64_t hz = rte_get_tsc_hz();

	bucket_set(&s->bytes, rate->bytes_per_s, hz, QOS_BURST_BYTES, QOS_BURST_MS);
	/* As many packets as the largest GSO frame makes. */
	bucket_set(&s->packets, rate->packets_per_s, hz, QOS_BURST_BYTES / 1024, QOS_BURST_MS);
}

static struct shaper *shaper_alloc(void)
{
	size_t size = sizeof(struct shaper) + worker_count * sizeof(struct shaper_queue);
	struct shaper *s = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (s == NULL)
		return NULL;
	memset(s, 0, size);
	for (unsigned int i = 0; i < worker_count; i++)
		s->queues[i].shaper = s;
	return s;
}

qos_id_t qos_shaper_new(const struct qos_rate *rate, uint32_t drop_owner)
{
	struct shaper *s;

	reap();
	if (!ready && shaper_heaps_init() != 0) {
		errno = ENOMEM;
		return QOS_NONE;
	}
	ready = true;
	s = shaper_alloc();
	if (s == NULL) {
		errno = ENOMEM;
		return QOS_NONE;
	}
	s->id = free_id();
	if (s->id == QOS_NONE) {
		free(s);
		errno = ENOSPC;
		return QOS_NONE;
	}
	s->drop_owner = drop_owner;
	set(s, rate);
	rcu_ptr_set(shapers[s->id], s);
	return s->id;
}

void qos_shaper_set(qos_id_t id, const struct qos_rate *rate)
{
	if (id != QOS_NONE)
		set(shapers[id], rate);
}

void qos_shaper_set_owner(qos_id_t id, uint32_t drop_owner)
{
	if (id != QOS_NONE)
		atomic_store_explicit(&shapers[id]->drop_owner, drop_owner, memory_order_relaxed);
}

struct qos_count qos_shaper_count(qos_id_t id)
{
	struct qos_count count = {0, 0};

	for (unsigned int i = 0; id != QOS_NONE && i < worker_count; i++) {
		const struct shaper_queue *q = &shapers[id]->queues[i];

		count.packets += __atomic_load_n(&q->passed_packets, __ATOMIC_RELAXED);
		count.bytes += __atomic_load_n(&q->passed_bytes, __ATOMIC_RELAXED);
	}
	return count;
}

void qos_shaper_free(qos_id_t id)
{
	struct shaper *s = shapers[id];

	if (id == QOS_NONE)
		return;
	set(s, &(struct qos_rate){0, 0});
	s->retired = rcu_token();
	s->next_retired = retired;
	retired = s;
	reap();
}
