/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <rte_errno.h>

#include "core/node.h"
#include "port/coalesce.h"
#include "port/drops.h"
#include "port/offload.h"
#include "port/port.h"

#define BATCH PORT_TX_MAX
#define COALESCE_CAPS                                                                              \
	(PORT_CAP_COALESCE | PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6 | PORT_CAP_MULTI_SEG)

static enum drop_reason refusal(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
		return DROP_QUEUE_FULL;
	case ENETDOWN:
		return DROP_PORT_DOWN;
	case EMSGSIZE:
		return DROP_TOO_BIG;
	default:
		return DROP_MALFORMED;
	}
}

/* A full or dead device takes none of the others either; a bad frame is alone. */
static bool concerns_all(enum drop_reason reason)
{
	return reason == DROP_QUEUE_FULL || reason == DROP_PORT_DOWN;
}

/* Frames that the device can carry, up to BATCH. `bytes`: of all. */
static void give(
	struct port *port, struct worker *w, struct rte_mbuf **pkts, unsigned int n, uint64_t bytes)
{
	struct port_counters *c = &port->counters[w->id];

	while (n > 0) {
		uint16_t sent = port->driver->tx_burst(port, (uint16_t)w->id, pkts, (uint16_t)n);
		uint64_t left = 0;

		/* A sent frame is not ours to look at any more. */
		for (unsigned int i = sent; i < n; i++)
			left += pkts[i]->pkt_len;
		c->tx_packets += sent;
		c->tx_bytes += bytes - left;
		w->count.sent += sent;
		pkts += sent;
		n -= sent;
		bytes = left;
		if (unlikely(n > 0)) {
			enum drop_reason reason = refusal(rte_errno);
			unsigned int lost = concerns_all(reason) ? n : 1;

			for (unsigned int i = 0; i < lost; i++)
				bytes -= pkts[i]->pkt_len;
			port_drop_refused(port, pkts, lost, reason);
			pkts += lost;
			n -= lost;
		}
	}
}

/* Frames of a burst in which some want to be finished first. */
struct batch {
	struct port *port;
	struct worker *w;
	unsigned int n;
	struct rte_mbuf *pkts[BATCH];
};

static void batch_flush(struct batch *b)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < b->n; i++)
		bytes += b->pkts[i]->pkt_len;
	give(b->port, b->w, b->pkts, b->n, bytes);
	b->n = 0;
}

/* Software in the device's place; the segments join the batch. */
static void batch_fix(struct batch *b, struct rte_mbuf *m)
{
	struct offload o;
	unsigned int made;
	int rc = offload_begin(&o, b->port->caps, m);

	if (unlikely(rc < 0)) {
		port_drop(&m, 1, rc == -ENOMEM ? DROP_NO_BUFFER : DROP_MALFORMED);
		return;
	}
	for (;;) {
		if (b->n == BATCH)
			batch_flush(b);
		made = offload_next(&o, b->pkts + b->n, BATCH - b->n);
		if (made == 0)
			break;
		b->n += made;
	}
	/* One frame came in; the others are extra. Of one that is lost half way the rest counts as one drop. */
	if (o.count + o.failed > 1)
		b->w->count.generated += o.count + o.failed - 1;
	if (unlikely(o.failed))
		drop_count(o.frame, DROP_NO_BUFFER);
	offload_end(&o);
}

static void send_each(struct port *port, struct worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	struct batch b = {.port = port, .w = w};

	for (unsigned int i = 0; i < n; i++) {
		if (offload_fits(port->caps, pkts[i])) {
			if (b.n == BATCH)
				batch_flush(&b);
			b.pkts[b.n++] = pkts[i];
		} else {
			batch_fix(&b, pkts[i]);
		}
	}
	batch_flush(&b);
}

void port_send(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct worker *w = worker_self;

	if (unlikely(__atomic_load_n(&port->state, __ATOMIC_ACQUIRE) != PORT_ACTIVE ||
		     !port->enabled)) {
		port_drop_refused(port, pkts, n, DROP_PORT_DOWN);
		return;
	}
	if (n > 1 && (port->caps & COALESCE_CAPS) == COALESCE_CAPS) {
		unsigned int left = coalesce(pkts, n);

		w->count.consumed += n - left;
		n = (uint16_t)left;
	}
	for (unsigned int pos = 0, part; pos < n; pos += part) {
		uint32_t wants = 0;
		uint64_t bytes = 0;

		part = RTE_MIN(n - pos, (unsigned int)BATCH);
		for (unsigned int i = pos; i < pos + part; i++) {
			wants |= offload_wants(pkts[i]);
			bytes += pkts[i]->pkt_len;
		}
		if (likely((wants & ~port->caps) == 0))
			give(port, w, pkts + pos, part, bytes);
		else
			send_each(port, w, pkts + pos, part);
	}
}
