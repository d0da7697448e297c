/* SPDX-License-Identifier: Apache-2.0 */
/* Packets and what became of them. Records stay in the order in which they came; the first that waits for its fate holds up those
 * behind it, but not for long.
 */
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"

/* A packet in a shaper or before an unknown next hop may take longer: it is written without its fate. */
#define FATE_TICKS 20
/* Of one tick, so that the control thread has time for others. */
#define WRITE_BYTES (256u << 10)

void capture_record_free(struct capture *c, struct capture_record *r)
{
	atomic_fetch_sub_explicit(&c->waiting_bytes, sizeof(struct capture_record) + r->meta.caplen,
		memory_order_relaxed);
	bytes_free(&r->path);
	free(r);
}

static uint32_t number_of(uint64_t id)
{
	return (uint32_t)(id % CAPTURE_MARKS);
}

/* The packet's first record that is still here. */
static struct capture_record *first_of(const struct capture *c, uint64_t id)
{
	struct capture_record *r = id != 0 ? c->by_mark[number_of(id)] : NULL;

	return r != NULL && r->meta.id == id ? r : NULL;
}

static void hold(struct capture *c, struct capture_record *r)
{
	r->tick = c->tick;
	TAILQ_INSERT_TAIL(&c->held, r, link);
	if (r->meta.point != OBSERVE_AT_RX || r->meta.id == 0)
		return;
	r->waiting = true;
	if (first_of(c, r->meta.id) == NULL) {
		c->by_mark[number_of(r->meta.id)] = r;
		return;
	}
	for (struct capture_record *s = first_of(c, r->meta.id);; s = s->same) {
		if (s->same != NULL)
			continue;
		s->same = r;
		return;
	}
}

/* A frame of several segments has several ends: the first one counts. */
static void learn_fate(struct capture *c, const struct observe_meta *meta)
{
	for (struct capture_record *r = first_of(c, meta->id); r != NULL; r = r->same) {
		if (r->known)
			continue;
		r->known = true;
		r->waiting = false;
		r->tick = c->tick;
		r->fate = meta->fate;
		r->reason = meta->reason;
		r->out = meta->out;
		r->session = meta->session;
		if (r->meta.vpc == PKT_VPC_NONE)
			r->meta.vpc = meta->vpc;
	}
}

static void learn_hop(struct capture *c, const struct capture_record *told)
{
	struct capture_record *r = first_of(c, told->meta.id);
	struct capture_hop hop;
	char text[64];
	int n;

	if (r == NULL || told->meta.caplen != sizeof(hop))
		return;
	memcpy(&hop, told->data, sizeof(hop));
	n = snprintf(text, sizeof(text), "%s%s:%u/%u", r->path.length > 0 ? "," : "", hop.node,
		hop.cycles, hop.burst);
	if (r->path.length < 1024)
		bytes_append(&r->path, text, (size_t)n);
}

static void sort_in(struct capture *c, struct capture_record *r)
{
	if (r->meta.point == OBSERVE_AT_END && !c->drops) {
		learn_fate(c, &r->meta);
		capture_record_free(c, r);
	} else if (r->meta.point == OBSERVE_AT_NODE) {
		learn_hop(c, r);
		capture_record_free(c, r);
	} else {
		hold(c, r);
	}
}

/* Nodes tell of a way when they have run, its last one after the fate. */
static bool must_wait(const struct capture *c, const struct capture_record *r)
{
	if (c->tick - r->tick > FATE_TICKS)
		return false;
	return r->waiting || (c->path && r->meta.id != 0 && c->tick == r->tick);
}

static void release(struct capture *c, struct capture_record *r)
{
	TAILQ_REMOVE(&c->held, r, link);
	if (first_of(c, r->meta.id) == r)
		c->by_mark[number_of(r->meta.id)] = r->same;
	if (c->limit == 0 || c->packets < c->limit)
		capture_write(c, r);
	capture_record_free(c, r);
}

void capture_match(struct capture *c, bool last)
{
	struct capture_records come = TAILQ_HEAD_INITIALIZER(come);
	struct capture_record *r;

	pthread_mutex_lock(&c->lock);
	TAILQ_CONCAT(&come, &c->incoming, link);
	pthread_mutex_unlock(&c->lock);
	c->tick++;
	while ((r = TAILQ_FIRST(&come)) != NULL) {
		TAILQ_REMOVE(&come, r, link);
		sort_in(c, r);
	}
	while ((r = TAILQ_FIRST(&c->held)) != NULL) {
		if (!last && (must_wait(c, r) || c->out.length >= WRITE_BYTES))
			break;
		release(c, r);
	}
}
