/* SPDX-License-Identifier: Apache-2.0 */
/* On the workers: packets that are captured on the way in get a mark, and its fate a record. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "capture/capture.h"
#include "core/node.h"
#include "core/worker.h"
#include "vpc/vpc.h"

struct mark {
	_Atomic uint64_t observers; /* by id: who wants to know */
	_Atomic uint64_t id; /* of the packet: serial, and the mark's number in the low 15 bits */
};

/* A packet that waits in a shaper may leave on another worker than it came, so numbers are those of the node. */
static struct mark *_Atomic marks;
static struct {
	uint64_t serial;
} __rte_cache_aligned makers[WORKER_MAX];
static struct capture *_Atomic captures[OBSERVERS_MAX]; /* by their observer's id */
static _Atomic uint64_t droppers;                       /* who wants to see drops */
static unsigned int users;

struct capture *capture_of(unsigned int observer)
{
	return rcu_ptr_get(captures[observer]);
}

uint64_t capture_mark_of(uint16_t number, uint64_t *id)
{
	struct mark *mark = rcu_ptr_get(marks);

	if (mark == NULL || number >= CAPTURE_MARKS)
		return 0;
	*id = atomic_load_explicit(&mark[number].id, memory_order_relaxed);
	return atomic_load_explicit(&mark[number].observers, memory_order_relaxed);
}

static uint16_t new_mark(struct mark *table)
{
	uint32_t share = CAPTURE_MARKS / worker_count;
	unsigned int self = worker_self->id;
	uint64_t serial = makers[self].serial++;
	uint32_t number = self * share + (uint32_t)(serial % share);

	atomic_store_explicit(&table[number].observers, 0, memory_order_relaxed);
	atomic_store_explicit(&table[number].id,
		(serial * worker_count + self + 1) * CAPTURE_MARKS + number, memory_order_relaxed);
	return (uint16_t)number;
}

/* The packet's id, once somebody wants to know about it. */
static uint64_t mark(const struct capture *c, struct rte_mbuf *m)
{
	struct mark *table = rcu_ptr_get(marks);
	uint64_t bit = UINT64_C(1) << observer_id(c->observer);
	struct pkt *p = pkt_of(m);

	if (table == NULL)
		return 0;
	if (!(p->flags & PKT_F_OBSERVED)) {
		p->observed = new_mark(table);
		p->flags |= PKT_F_OBSERVED;
		/* Of its buffer's last packet, until the fast path has seen it. */
		p->out = LOC_NONE;
		p->session = UINT32_MAX;
	}
	atomic_fetch_or_explicit(&table[p->observed].observers, bit, memory_order_relaxed);
	if (c->path)
		capture_path_marked(p->observed);
	return atomic_load_explicit(&table[p->observed].id, memory_order_relaxed);
}

static void take(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m)
{
	struct capture *c = observer_context(o);
	struct observe_meta told = *meta;

	if (meta->point == OBSERVE_AT_RX)
		told.id = mark(c, m);
	if (meta->point != OBSERVE_AT_RX || c->before)
		observe_to_ring(o, &told, m);
}

/* ---- Fates ---- */

/* Whose drop it is, as drop_owner_of() has it. */
static bool is_of(const struct capture *c, const struct pkt *p, enum drop_reason reason)
{
	const struct port *in, *out;
	const struct vpc *vpc;

	switch (c->scope) {
	case CAPTURE_ALL:
		return true;
	case CAPTURE_VPC:
		vpc = p->vpc != PKT_VPC_NONE ? vpc_get(p->vpc) : NULL;
		return vpc != NULL && vpc->vni == c->vni;
	case CAPTURE_PORT:
		in = p->in != LOC_NONE && loc_is_port(p->in) ? port_get(p->in) : NULL;
		out = p->out != LOC_NONE && loc_is_port(p->out) ? port_get(p->out) : NULL;
		return (in != NULL && strcmp(in->name, c->name) == 0) ||
		       (drop_is_receivers(p, reason) && out != NULL &&
			       strcmp(out->name, c->name) == 0);
	}
	return false;
}

static struct observe_meta meta_of(
	const struct pkt *p, enum observe_fate fate, enum drop_reason reason)
{
	return (struct observe_meta){
		.tsc = worker_self->now_tsc,
		.in = p->in,
		.out = p->out,
		.vpc = p->vpc,
		.session = p->session,
		.point = OBSERVE_AT_END,
		.fate = (uint8_t)fate,
		.reason = (uint8_t)reason,
		.worker = (uint8_t)worker_self->id,
	};
}

/* What struct pkt says of a packet that nobody marked may be its buffer's last one's, unless the reason tells that it got so far. */
static struct observe_meta meta_of_drop(const struct pkt *p, enum drop_reason reason)
{
	struct observe_meta meta = meta_of(p, OBSERVE_DROPPED, reason);

	if (reason != DROP_POLICY_INGRESS && reason != DROP_HOOK)
		meta.out = LOC_NONE;
	if (reason != DROP_TCP_STATE && reason != DROP_RATE_LIMITED && reason != DROP_QUEUE_FULL)
		meta.session = UINT32_MAX;
	return meta;
}

static void show_drop(struct rte_mbuf *m, enum drop_reason reason)
{
	struct pkt *p = pkt_of(m);
	uint64_t left = atomic_load_explicit(&droppers, memory_order_acquire);

	for (; left != 0; left &= left - 1) {
		struct capture *c = capture_of((unsigned int)__builtin_ctzll(left));
		struct observe_meta meta = meta_of_drop(p, reason);

		if (c != NULL && is_of(c, p, reason) && observe_offer(c->observer, &meta, m))
			observe_offered(c->observer);
	}
}

static void show_fate(const struct capture *c, const struct observe_meta *meta, struct rte_mbuf *m)
{
	bool leaves = meta->fate == OBSERVE_TO_PORT || meta->fate == OBSERVE_TO_UNDERLAY;

	if (c->before)
		observe_bytes_to_ring(c->observer, meta, NULL);
	if (c->after && leaves) {
		struct observe_meta after = *meta;

		after.point = OBSERVE_AT_TX;
		observe_to_ring(c->observer, &after, m);
	}
	observe_offered(c->observer);
}

static void fate(struct rte_mbuf *m, enum observe_fate what, enum drop_reason reason)
{
	struct pkt *p = pkt_of(m);
	struct observe_meta meta;
	uint64_t left;

	if (what == OBSERVE_DROPPED && (observe_watched() & OBSERVE_WATCH_DROPS))
		show_drop(m, reason);
	if (!(p->flags & PKT_F_OBSERVED))
		return;
	/* ARP, for one, is answered in place: what goes back is the question's frame. */
	if (what == OBSERVE_TO_PORT && p->out == p->in && p->session == UINT32_MAX)
		what = OBSERVE_CONSUMED;
	meta = meta_of(p, what, reason);
	left = capture_mark_of(p->observed, &meta.id);
	for (; left != 0; left &= left - 1) {
		const struct capture *c = capture_of((unsigned int)__builtin_ctzll(left));

		if (c != NULL)
			show_fate(c, &meta, m);
	}
}

/* ---- Sight thread: records go to the control thread, which knows names ---- */

/* What may wait for the control thread; more is lost. */
#define WAITING_MAX (8u << 20)

static void record(struct observer *o, const struct observe_meta *meta, const uint8_t *data)
{
	struct capture *c = observer_context(o);
	size_t size = sizeof(struct capture_record) + meta->caplen;
	struct capture_record *r;

	if (atomic_load_explicit(&c->waiting_bytes, memory_order_relaxed) + size > WAITING_MAX ||
		(r = malloc(size)) == NULL) {
		/* Of a fate alone no packet is lost. */
		if (meta->point == OBSERVE_AT_RX || meta->caplen > 0)
			atomic_fetch_add_explicit(&c->overrun, 1, memory_order_relaxed);
		return;
	}
	*r = (struct capture_record){.meta = *meta};
	r->meta.tsc = observe_time_ns(meta->tsc);
	memcpy(r->data, data, meta->caplen);
	atomic_fetch_add_explicit(&c->waiting_bytes, size, memory_order_relaxed);
	pthread_mutex_lock(&c->lock);
	TAILQ_INSERT_TAIL(&c->incoming, r, link);
	pthread_mutex_unlock(&c->lock);
}

static void finished(void *arg)
{
	capture_closed(arg);
}

static void closed(struct observer *o)
{
	struct capture *c = observer_context(o);

	c->lost = observer_counters(o).lost;
	c->observer = NULL;
	observe_call_control(finished, c);
}

const struct observe_sink capture_sink = {.take = take, .record = record, .close = closed};

/* ---- Control thread ---- */

int capture_marks_prepare(void)
{
	struct mark *table;

	if (rcu_ptr_get(marks) != NULL)
		return 0;
	table = calloc(CAPTURE_MARKS, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	rcu_ptr_set(marks, table);
	return 0;
}

void capture_marks_open(struct capture *c)
{
	unsigned int id = observer_id(c->observer);

	if (users++ == 0)
		observe_fates_set(fate);
	rcu_ptr_set(captures[id], c);
	if (c->drops)
		atomic_fetch_or(&droppers, UINT64_C(1) << id);
	observe_watch(c->drops ? OBSERVE_WATCH_DROPS : OBSERVE_WATCH_MARKED, true);
}

void capture_marks_close(struct capture *c)
{
	unsigned int id = observer_id(c->observer);

	observe_watch(c->drops ? OBSERVE_WATCH_DROPS : OBSERVE_WATCH_MARKED, false);
	atomic_fetch_and(&droppers, ~(UINT64_C(1) << id));
	rcu_ptr_set(captures[id], NULL);
	if (--users == 0)
		observe_fates_set(NULL);
}

/* Workers may hold numbers of it for as long as they run. */
__attribute__((destructor)) static void free_marks(void)
{
	free(rcu_ptr_get(marks));
}
