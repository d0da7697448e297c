/* SPDX-License-Identifier: Apache-2.0 */
/* Copies for a port of this node. */
#include <string.h>

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

/* Does the port take anything? One that has refused a copy is not troubled with others of the same burst: making them would cost
 * the tenant's packets time. */
static bool takes(const struct sending *s)
{
	return !s->mirror->batches[worker_self->id].full && s->port->enabled &&
	       __atomic_load_n(&s->port->state, __ATOMIC_ACQUIRE) == PORT_ACTIVE;
}

/* One by one: what a port would put together (port/coalesce.h) is no copy any more. */
static void send_one(void *arg, struct rte_mbuf *frame)
{
	const struct sending *s = arg;
	struct rte_mbuf *m = takes(s) ? mirror_copy(s->o, frame, UINT32_MAX) : NULL;
	uint64_t sent = worker_self->count.sent;

	if (unlikely(m == NULL)) {
		observe_lost(s->o, 1);
		return;
	}
	pkt_of(m)->out = loc_port(s->port->index);
	node_count_generated(1);
	port_send(s->port, &m, 1);
	s->mirror->batches[worker_self->id].full = worker_self->count.sent == sent;
}

static void take(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m)
{
	struct mirror *mirror = observer_context(o);
	uint32_t index = atomic_load_explicit(&mirror->index, memory_order_relaxed);
	struct sending s = {o, mirror, index != UINT32_MAX ? port_get(index) : NULL};

	(void)meta;
	if (s.port == NULL || !takes(&s))
		observe_lost(o, offload_segments(m));
	else if (!observe_each_frame(m, send_one, &s))
		observe_lost(o, 1);
}

static void burst_end(struct observer *o)
{
	struct mirror *mirror = observer_context(o);

	mirror->batches[worker_self->id].full = false;
}

static void end(struct observer *o)
{
	mirror_destroy(observer_context(o));
}

const struct observe_sink mirror_port_sink = {.take = take, .burst_end = burst_end, .close = end};
