/* SPDX-License-Identifier: Apache-2.0 */
/* Copies for a port of this node. */
#include <string.h>

#include <rte_cycles.h>

#include "core/node.h"
#include "mirror/mirror.h"
#include "port/offload.h"

static struct rte_mbuf *buffer_for(uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker_self->pool);

	if (unlikely(m != NULL && len > rte_pktmbuf_tailroom(m))) {
		rte_pktmbuf_free(m);
		m = rte_pktmbuf_alloc(worker_self->jumbo_pool);
	}
	if (unlikely(m != NULL && len > rte_pktmbuf_tailroom(m))) {
		rte_pktmbuf_free(m);
		m = NULL;
	}
	return m;
}

struct rte_mbuf *mirror_copy(struct observer *o, const struct rte_mbuf *frame, uint32_t max)
{
	uint32_t len = RTE_MIN(RTE_MIN(frame->pkt_len, max), observer_snaplen(o));
	struct rte_mbuf *m = buffer_for(len);
	const void *from;
	char *to;

	if (unlikely(m == NULL))
		return NULL;
	to = rte_pktmbuf_append(m, (uint16_t)len);
	from = rte_pktmbuf_read(frame, 0, len, to);
	if (from != to)
		memcpy(to, from, len);
	*pkt_of(m) = (struct pkt){
		.in = LOC_NONE,
		.out = LOC_NONE,
		.flags = PKT_F_GENERATED | PKT_F_OBSERVED,
		.observed = (uint16_t)(OBSERVE_COPY | observer_id(o)),
		.session = UINT32_MAX,
	};
	return m;
}

struct sending {
	struct observer *o;
	struct mirror *mirror;
	struct port *port;
};

/* A port that has refused a copy is not troubled with others for so long: making them would cost the tenant's packets time. What it
 * has queued lasts longer. */
#define PAUSE_US 100

static bool takes(const struct mirror *mirror, const struct port *port)
{
	return port != NULL && worker_self->now_tsc >= mirror->batches[worker_self->id].again_tsc &&
	       port->enabled && __atomic_load_n(&port->state, __ATOMIC_ACQUIRE) == PORT_ACTIVE;
}

static struct port *port_of(const struct mirror *mirror)
{
	uint32_t index = atomic_load_explicit(
		&((struct mirror *)(uintptr_t)mirror)->index, memory_order_relaxed);

	return index != UINT32_MAX ? port_get(index) : NULL;
}

static bool port_takes(struct observer *o)
{
	const struct mirror *mirror = observer_context(o);

	return takes(mirror, port_of(mirror));
}

/* One by one: what a port would put together (port/coalesce.h) is no copy any more. */
static void send_one(void *arg, struct rte_mbuf *frame)
{
	const struct sending *s = arg;
	struct rte_mbuf *m =
		takes(s->mirror, s->port) ? mirror_copy(s->o, frame, UINT32_MAX) : NULL;
	uint64_t sent = worker_self->count.sent;

	if (unlikely(m == NULL)) {
		observe_lost(s->o, 1);
		return;
	}
	pkt_of(m)->out = loc_port(s->port->index);
	node_count_generated(1);
	port_send(s->port, &m, 1);
	if (unlikely(worker_self->count.sent == sent))
		s->mirror->batches[worker_self->id].again_tsc =
			worker_self->now_tsc + rte_get_tsc_hz() / 1000000 * PAUSE_US;
}

static void take(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m)
{
	struct mirror *mirror = observer_context(o);
	struct sending s = {o, mirror, port_of(mirror)};

	(void)meta;
	if (!takes(mirror, s.port))
		observe_lost(o, offload_segments(m));
	else if (!observe_each_frame(m, send_one, &s))
		observe_lost(o, 1);
}

static void end(struct observer *o)
{
	mirror_destroy(observer_context(o));
}

const struct observe_sink mirror_port_sink = {.takes = port_takes, .take = take, .close = end};
