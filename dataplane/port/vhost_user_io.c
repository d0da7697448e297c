/* SPDX-License-Identifier: Apache-2.0 */
/* Packets from and to a guest's rings; see vhost_user.h. Each ring from the guest is a queue of the port, read by one worker; any
 * worker sends, on the ring that the flow's hash names, so that a flow stays in order.
 *
 * librte_vhost copies between rings and mbufs and takes its own lock of a ring for it: it is free but for two workers that send on
 * the same ring, or while the peer changes its set-up.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vhost.h>

#include "base/checksum.h"
#include "core/pkt.h"
#include "core/rcu.h"
#include "port/drops.h"
#include "port/headers.h"
#include "port/vhost_user.h"
#include "port/vnet_hdr.h"

/* What librte_vhost handles in one call. */
#define CALL_MAX 32
/* While a guest sends large frames: fewer at a time, for the sake of PORT_BURST_BYTES. */
#define CALL_LARGE 4
#define LARGE_BYTES 4096u
/* A ring that was silent for so long is left to the guest's kicks. */
#define QUIET_US 50

/* --- from the guest --- */

/* A DPDK guest leaves the length out of a GSO frame's pseudo header; port.h has it in. */
static void complete_pseudo(struct rte_mbuf *m)
{
	uint32_t l4 = (uint32_t)(m->l2_len + m->l3_len);
	void *ip = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, l4);
	uint32_t len = m->pkt_len - l4;

	if (m->ol_flags & RTE_MBUF_F_TX_IPV6) {
		const struct rte_ipv6_hdr *v6 = ip;

		tcp->cksum = checksum_fold(
			checksum_pseudo6(v6->src_addr, v6->dst_addr, IPPROTO_TCP, len));
	} else {
		const struct rte_ipv4_hdr *v4 = ip;

		tcp->cksum = checksum_fold(
			checksum_pseudo4(v4->src_addr, v4->dst_addr, IPPROTO_TCP, (uint16_t)len));
	}
}

/* librte_vhost has looked at the guest's virtio_net_hdr; this says the same in the words of vnet_hdr.h, which trusts no tenant. */
static bool adopt(struct rte_mbuf *m)
{
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM, .gso_size = m->tso_segsz};
	uint64_t flags = m->ol_flags;
	struct headers h;

	if (unlikely(m->pkt_len < RTE_ETHER_HDR_LEN || m->data_len < RTE_ETHER_HDR_LEN))
		return false;
	m->ol_flags = 0;
	m->tx_offload = 0;
	if (likely((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE))
		return true;
	if (!headers_parse(m, 0, &h))
		return false;
	hdr.csum_start = (uint16_t)(h.l2_len + h.l3_len);
	hdr.csum_offset = h.proto == IPPROTO_TCP ? offsetof(struct rte_tcp_hdr, cksum)
						 : offsetof(struct rte_udp_hdr, dgram_cksum);
	if (flags & RTE_MBUF_F_RX_LRO) {
		if (h.proto != IPPROTO_TCP)
			return false; /* UFO was not offered */
		hdr.gso_type = h.v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	}
	if (!vnet_hdr_to_mbuf(&hdr, m))
		return false;
	if ((flags & RTE_MBUF_F_RX_LRO) && (m->ol_flags & RTE_MBUF_F_TX_L4_MASK))
		complete_pseudo(m);
	return true;
}

static bool runs(const struct vhost_user_conn *c, uint16_t pair)
{
	return c != NULL && atomic_load_explicit(&c->from_guest, memory_order_acquire) & 1u << pair;
}

/* Keeps the good ones in front. */
static uint16_t adopt_all(struct port *port, struct rte_mbuf **pkts, uint16_t n, uint32_t *bytes)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (likely(adopt(pkts[i]))) {
			*bytes += pkts[i]->pkt_len;
			pkts[kept++] = pkts[i];
		} else {
			port_drop_received(port, pkts[i], DROP_MALFORMED);
		}
	}
	return kept;
}

uint16_t vhost_user_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct vhost_user *v = port->priv;
	struct vhost_user_conn *c = rcu_ptr_get(v->active);
	uint16_t ring = VHOST_USER_RING_FROM_GUEST(queue), got = 0;
	uint32_t bytes = 0;

	if (unlikely(!runs(c, queue)))
		return 0;
	while (got < n && bytes < PORT_BURST_BYTES) {
		bool large = got == 0 || bytes / got > LARGE_BYTES;
		uint16_t want = (uint16_t)RTE_MIN(n - got, large ? CALL_LARGE : CALL_MAX);
		uint16_t taken =
			rte_vhost_dequeue_burst(c->vid, ring, worker_self->pool, pkts + got, want);

		if (taken == 0)
			break;
		got = (uint16_t)(got + adopt_all(port, pkts + got, taken, &bytes));
	}
	if (got > 0) {
		c->pairs[queue].busy_tsc = worker_self->now_tsc;
		if (c->pairs[queue].resting)
			rte_vhost_enable_guest_notification(c->vid, ring, 0);
		c->pairs[queue].resting = false;
	}
	return got;
}

bool vhost_user_rest(struct port *port, uint16_t queue)
{
	const struct vhost_user *v = port->priv;
	struct vhost_user_conn *c = rcu_ptr_get(v->active);
	uint16_t ring = VHOST_USER_RING_FROM_GUEST(queue);
	uint64_t now = worker_self->now_tsc;

	if (!runs(c, queue))
		return true;
	if (now - c->pairs[queue].busy_tsc < rte_get_tsc_hz() / 1000000 * QUIET_US)
		return false;
	rte_vhost_enable_guest_notification(c->vid, ring, 1);
	c->pairs[queue].resting = true;
	/* The guest looks at our wish after it has added a frame, we look for frames after the wish: one of both sees the other
	 * (virtio 1.1, 2.6.7.1). */
	atomic_thread_fence(memory_order_seq_cst);
	if (rte_vhost_rx_queue_count(c->vid, ring) == 0)
		return true;
	c->pairs[queue].busy_tsc = now;
	return false;
}

/* --- to the guest --- */

/* librte_vhost would write the pseudo header's sum again, and without the length in a GSO frame, which a guest that forwards the
 * frame needs (Linux segments by it). It keeps its hands off when the headers, by its lengths, go on behind the first segment:
 * so the headers get a segment of their own, and l4_len one byte too many. In the guest's virtio_net_hdr that is hdr_len, a
 * hint about how much to copy. Without a buffer the frame goes as it is. */
static void keep_pseudo(struct rte_mbuf **pkt)
{
	struct rte_mbuf *m = *pkt, *head;
	uint32_t len = (uint32_t)(m->l2_len + m->l3_len + m->l4_len);

	if (len > m->data_len || m->nb_segs == RTE_MBUF_MAX_NB_SEGS)
		return;
	if (len < m->data_len) {
		head = rte_pktmbuf_alloc(worker_self->pool);
		if (unlikely(head == NULL))
			return;
		memcpy(rte_pktmbuf_mtod(head, void *), rte_pktmbuf_mtod(m, void *), len);
		head->data_len = (uint16_t)len;
		head->pkt_len = m->pkt_len;
		head->nb_segs = (uint16_t)(m->nb_segs + 1);
		head->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
		head->tx_offload = m->tx_offload;
		*pkt_of(head) = *pkt_of(m);
		m->data_off = (uint16_t)(m->data_off + len);
		m->data_len = (uint16_t)(m->data_len - len);
		head->next = m;
		*pkt = head;
	}
	(*pkt)->l4_len++;
}

/* Returns how many the ring took; they are freed. */
static uint16_t write_ring(int vid, unsigned int pair, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = 0;

	for (uint16_t i = 0; i < n; i++)
		if (pkts[i]->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
			keep_pseudo(&pkts[i]);
	while (sent < n) {
		uint16_t want = RTE_MIN((uint16_t)(n - sent), (uint16_t)CALL_MAX);
		uint16_t took = rte_vhost_enqueue_burst(
			vid, VHOST_USER_RING_TO_GUEST(pair), pkts + sent, want);

		sent = (uint16_t)(sent + took);
		if (took < want)
			break;
	}
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

/* The pair for each frame, by its flow's hash, among those that are there. */
static void choose(uint32_t pairs, struct rte_mbuf **pkts, uint16_t n, uint8_t *pair_of)
{
	uint8_t pairs_up[VHOST_USER_PAIRS_MAX];
	uint32_t up = 0;

	for (; pairs != 0; pairs &= pairs - 1)
		pairs_up[up++] = (uint8_t)rte_bsf32(pairs);
	for (uint16_t i = 0; i < n; i++)
		pair_of[i] = pairs_up[(uint64_t)pkt_of(pkts[i])->hash * up >> 32];
}

/* Ring by ring. What full rings leave is gathered at the end of `pkts`. */
static uint16_t write_rings(int vid, uint32_t pairs, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *of_pair[PORT_TX_MAX], *left[PORT_TX_MAX];
	uint16_t n_left = 0;
	uint8_t pair_of[PORT_TX_MAX];

	choose(pairs, pkts, n, pair_of);
	for (uint32_t rest = pairs; rest != 0; rest &= rest - 1) {
		unsigned int pair = rte_bsf32(rest);
		uint16_t k = 0, sent;

		for (uint16_t i = 0; i < n; i++)
			if (pair_of[i] == pair)
				of_pair[k++] = pkts[i];
		sent = write_ring(vid, pair, of_pair, k);
		memcpy(left + n_left, of_pair + sent, (size_t)(k - sent) * sizeof(left[0]));
		n_left = (uint16_t)(n_left + k - sent);
	}
	memcpy(pkts + n - n_left, left, n_left * sizeof(left[0]));
	return (uint16_t)(n - n_left);
}

uint16_t vhost_user_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vhost_user *v = port->priv;
	struct vhost_user_conn *c = rcu_ptr_get(v->active);
	uint32_t pairs = c == NULL ? 0 : atomic_load_explicit(&c->to_guest, memory_order_acquire);

	(void)queue;
	if (unlikely(pairs == 0)) {
		rte_errno = ENETDOWN;
		return 0;
	}
	rte_errno = EAGAIN;
	if (likely((pairs & (pairs - 1)) == 0))
		return write_ring(c->vid, rte_bsf32(pairs), pkts, n);
	return write_rings(c->vid, pairs, pkts, n);
}
