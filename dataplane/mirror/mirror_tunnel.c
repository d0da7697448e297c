/* SPDX-License-Identifier: Apache-2.0 */
/* Copies for somebody behind the underlay: VXLAN (RFC 7348) and ERSPAN (erspan.h). */
#include <netinet/in.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "core/node.h"
#include "mirror/mirror.h"
#include "port/offload.h"
#include "underlay/underlay.h"

/* Where a frame goes: the same for all of a call. */
struct sending {
	struct observer *o;
	struct mirror *mirror;
	const struct observe_meta *meta;
	const struct vxlan_outer *path;
	struct erspan_outer erspan;
	uint16_t mtu;
};

static void flush(struct mirror *mirror)
{
	struct mirror_batch *b = &mirror->batches[worker_self->id];
	struct port *port = underlay_port();

	if (b->n > 0 && port != NULL)
		port_send(port, b->pkts, b->n);
	b->n = 0;
}

/* Equal for the packets of a flow, so that they stay in order on their way: addresses and ports, where they are where they mostly are. */
static uint32_t flow_hash(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t words[5] = {0}; /* addresses, ports */

	if (m->data_len >= 38 && f[12] == 0x08 && f[13] == 0x00 && f[14] == 0x45) {
		bool fragment = (f[20] & 0x3f) != 0 || f[21] != 0;

		if (!fragment && (f[23] == IPPROTO_TCP || f[23] == IPPROTO_UDP))
			memcpy(&words[4], f + 34, 4);
		memcpy(words, f + 26, 8);
	} else if (m->data_len >= 58 && f[12] == 0x86 && f[13] == 0xdd) {
		if (f[20] == IPPROTO_TCP || f[20] == IPPROTO_UDP)
			memcpy(&words[4], f + 54, 4);
		memcpy(words, f + 22, 32);
	} else if (m->data_len >= 12) {
		memcpy(words, f, 12);
	}
	return rte_hash_crc(words, sizeof(words), 0);
}

static uint32_t overhead(const struct sending *s)
{
	return s->mirror->target == MIRROR_ERSPAN ? s->erspan.len : s->path->len;
}

static bool push(const struct sending *s, struct rte_mbuf *m, bool truncated)
{
	struct mirror *mirror = s->mirror;
	struct erspan_frame frame = {
		.truncated = truncated, .given = s->meta->point == OBSERVE_AT_TX};

	if (mirror->target == MIRROR_VXLAN)
		return vxlan_push(m, s->path, mirror->vni, flow_hash(m), 0);
	frame.sequence = atomic_fetch_add_explicit(&mirror->sequence, 1, memory_order_relaxed);
	frame.time_100us = worker_self->now_ms * 10;
	return erspan_push(m, &s->erspan, &frame);
}

/* What does not fit the underlay is cut: half a packet says more than none. */
static void send_one(void *arg, struct rte_mbuf *frame)
{
	const struct sending *s = arg;
	struct mirror_batch *b = &s->mirror->batches[worker_self->id];
	uint32_t max = s->mtu + (uint32_t)sizeof(struct rte_ether_hdr) - overhead(s);
	struct rte_mbuf *m = mirror_copy(s->o, frame, max);

	if (unlikely(m == NULL)) {
		observe_lost(s->o, 1);
		return;
	}
	if (unlikely(!push(s, m, m->pkt_len < frame->pkt_len))) {
		rte_pktmbuf_free(m);
		observe_lost(s->o, 1);
		return;
	}
	node_count_generated(1);
	if (b->n == BURST)
		flush(s->mirror);
	b->pkts[b->n++] = m;
}

static const struct vxlan_outer *path_of(struct mirror *mirror)
{
	uint32_t index = atomic_load_explicit(&mirror->index, memory_order_relaxed);
	struct vtep *vtep = index != UINT32_MAX ? vtep_get(index) : NULL;
	const struct vxlan_outer *path;

	if (vtep == NULL || underlay_port() == NULL)
		return NULL;
	path = atomic_load_explicit(&vtep->outer, memory_order_acquire);
	if (path == NULL && !atomic_load_explicit(&vtep->wanted, memory_order_relaxed))
		atomic_store_explicit(&vtep->wanted, true, memory_order_relaxed);
	return path;
}

static bool tunnel_takes(struct observer *o)
{
	return path_of(observer_context(o)) != NULL;
}

static void take(struct observer *o, const struct observe_meta *meta, struct rte_mbuf *m)
{
	struct mirror *mirror = observer_context(o);
	struct sending s = {.o = o, .mirror = mirror, .meta = meta, .mtu = underlay_mtu()};

	s.path = path_of(mirror);
	if (s.path == NULL) {
		observe_lost(o, offload_segments(m));
		return;
	}
	if (mirror->target == MIRROR_ERSPAN)
		erspan_outer_make(&s.erspan, s.path, mirror->version, mirror->session_id);
	if (!observe_each_frame(m, send_one, &s))
		observe_lost(o, 1);
}

static void burst_end(struct observer *o)
{
	flush(observer_context(o));
}

static void end(struct observer *o)
{
	mirror_destroy(observer_context(o));
}

const struct observe_sink mirror_tunnel_sink = {
	.takes = tunnel_takes, .take = take, .burst_end = burst_end, .close = end};
