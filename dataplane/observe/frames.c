/* SPDX-License-Identifier: Apache-2.0 */
/* What of a frame goes on the wire. */
#include "observe/observe_internal.h"

#include <string.h>

#include "port/offload.h"

typedef void (*frame_fn)(void *arg, struct rte_mbuf *frame);

/* The segments are copies, so the frame itself is only read: it gets a second owner for the time, which offload_end() is. */
static bool each_segment(struct rte_mbuf *m, frame_fn fn, void *arg)
{
	struct rte_mbuf *out[BURST];
	struct offload o;
	unsigned int n;
	bool whole;

	rte_pktmbuf_refcnt_update(m, 1);
	if (offload_begin(&o, 0, m) != 0) {
		rte_pktmbuf_refcnt_update(m, -1);
		return false;
	}
	while ((n = offload_next(&o, out, BURST)) > 0) {
		for (unsigned int i = 0; i < n; i++)
			fn(arg, out[i]);
		rte_pktmbuf_free_bulk(out, n);
	}
	whole = !o.failed;
	offload_end(&o);
	return whole;
}

/* A copy, as completing writes into the frame. */
static bool completed(struct rte_mbuf *m, frame_fn fn, void *arg)
{
	bool large = m->pkt_len > RTE_MBUF_DEFAULT_DATAROOM;
	struct rte_mbuf *copy = rte_pktmbuf_copy(
		m, large ? worker_self->jumbo_pool : worker_self->pool, 0, UINT32_MAX);
	bool good;

	if (copy == NULL)
		return false;
	memcpy(pkt_of(copy), pkt_of(m), sizeof(struct pkt));
	good = offload_complete(copy);
	if (good)
		fn(arg, copy);
	rte_pktmbuf_free(copy);
	return good;
}

bool observe_each_frame(struct rte_mbuf *m, frame_fn fn, void *arg)
{
	/* Of a tunnel's inside: what it carries is finished by whoever takes it out. */
	if (likely(!(m->ol_flags & (OFFLOAD_GSO | RTE_MBUF_F_TX_L4_MASK))) ||
		(m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK)) {
		fn(arg, m);
		return true;
	}
	return m->ol_flags & OFFLOAD_GSO ? each_segment(m, fn, arg) : completed(m, fn, arg);
}
