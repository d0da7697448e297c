/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a memif. On the ring that the client writes, head counts its frames and tail what the server took. On the one it
 * reads, head counts the empty buffers it gave and tail those that the server filled. So each side moves one index of either ring.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <rte_errno.h>
#include <rte_memcpy.h>

#include "port/drops.h"
#include "port/memif.h"

#define FRAME_MAX 65535u

static struct memif_desc *desc_at(const struct memif_end *e, uint16_t pos)
{
	return &e->ring->desc[pos & (e->size - 1)];
}

/* Where a descriptor's bytes are; NULL when it points outside of the shared memory. */
static uint8_t *bytes_of(const struct memif_link *l, const struct memif_desc *d)
{
	if (unlikely(d->region >= l->n_regions ||
		     (uint64_t)d->offset + d->length > l->regions[d->region].size))
		return NULL;
	return l->regions[d->region].base + d->offset;
}

/* How many descriptors are ours by the peer's index; nonsense gives none. */
static uint16_t ours(struct memif_link *l, const struct memif_end *e, uint16_t n)
{
	if (likely(n <= e->size))
		return n;
	atomic_store_explicit(&l->broken, true, memory_order_relaxed);
	return 0;
}

/* --- receiving --- */

static uint16_t rx_waiting(struct memif_link *l)
{
	const struct memif_ring *r = l->rx.ring;
	uint16_t at = l->client ? __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE)
				: __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);

	return ours(l, &l->rx, (uint16_t)(at - l->rx.pos));
}

/* False: no buffer. */
static bool append(struct rte_mbuf *head, const uint8_t *from, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_lastseg(head);

	while (len > 0) {
		uint16_t n = (uint16_t)RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));

		rte_memcpy(rte_pktmbuf_mtod_offset(m, void *, m->data_len), from, n);
		m->data_len = (uint16_t)(m->data_len + n);
		head->pkt_len += n;
		from += n;
		len -= n;
		if (len > 0) {
			m->next = rte_pktmbuf_alloc(head->pool);
			if (m->next == NULL)
				return false;
			m = m->next;
			head->nb_segs++;
		}
	}
	return true;
}

enum taken { TAKEN, TAKEN_NO_BUFFER, TAKEN_MALFORMED };

/* The frame that begins `*used` descriptors behind our position. */
static enum taken take_frame(
	struct memif_link *l, uint16_t waiting, uint16_t *used, struct rte_mbuf **out)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker_self->pool);
	enum taken result = m == NULL ? TAKEN_NO_BUFFER : TAKEN;
	bool more = true;

	while (more && *used < waiting) {
		/* Once: the peer may write to it meanwhile. */
		struct memif_desc d = *desc_at(&l->rx, (uint16_t)(l->rx.pos + *used));
		const uint8_t *from;

		rte_compiler_barrier();
		from = bytes_of(l, &d);
		(*used)++;
		more = (d.flags & MEMIF_DESC_NEXT) != 0;
		if (result != TAKEN)
			continue;
		if (from == NULL || d.length > FRAME_MAX - m->pkt_len)
			result = TAKEN_MALFORMED;
		else if (!append(m, from, d.length))
			result = TAKEN_NO_BUFFER;
	}
	if (result == TAKEN && (more || m->pkt_len == 0))
		result = TAKEN_MALFORMED;
	if (result == TAKEN)
		*out = m;
	else
		rte_pktmbuf_free(m);
	return result;
}

static void give_buffer(struct memif_link *l, uint16_t pos)
{
	uint32_t number = pos & (l->rx.size - 1u);

	*desc_at(&l->rx, pos) = (struct memif_desc){
		.length = MEMIF_BUFFER, .offset = l->rx_buffers + number * MEMIF_BUFFER};
}

void memif_give_buffers(struct memif_link *l)
{
	for (uint16_t i = 0; i < l->rx.size; i++)
		give_buffer(l, i);
	__atomic_store_n(&l->rx.ring->head, l->rx.size, __ATOMIC_RELEASE);
}

/* `n` descriptors were read: the peer's again. */
static void rx_done(struct memif_link *l, uint16_t n)
{
	struct memif_end *e = &l->rx;

	for (uint16_t i = 0; l->client && i < n; i++)
		give_buffer(l, (uint16_t)(e->pos + i));
	e->pos = (uint16_t)(e->pos + n);
	if (l->client)
		__atomic_store_n(&e->ring->head, (uint16_t)(e->pos + e->size), __ATOMIC_RELEASE);
	else
		__atomic_store_n(&e->ring->tail, e->pos, __ATOMIC_RELEASE);
}

uint16_t memif_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct memif *m = port->priv;
	struct memif_link *l = rcu_ptr_get(m->active);
	uint16_t waiting, used = 0, got = 0;

	(void)queue;
	if (unlikely(l == NULL))
		return 0;
	waiting = rx_waiting(l);
	if (waiting > 0 && m->resting) {
		m->resting = false;
		__atomic_store_n(&l->rx.ring->flags, MEMIF_RING_NO_INTERRUPT, __ATOMIC_RELAXED);
	}
	while (got < n && used < waiting) {
		switch (take_frame(l, waiting, &used, &pkts[got])) {
		case TAKEN:
			got++;
			break;
		case TAKEN_NO_BUFFER:
			port_drop_received(port, NULL, DROP_NO_BUFFER);
			break;
		case TAKEN_MALFORMED:
			port_drop_received(port, NULL, DROP_MALFORMED);
			break;
		}
	}
	if (used > 0)
		rx_done(l, used);
	return got;
}

bool memif_rest(struct port *port, uint16_t queue)
{
	struct memif *m = port->priv;
	struct memif_link *l = rcu_ptr_get(m->active);

	(void)queue;
	if (l == NULL)
		return true;
	m->resting = true;
	__atomic_store_n(&l->rx.ring->flags, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
	return rx_waiting(l) == 0;
}

/* --- sending --- */

static uint16_t tx_room(struct memif_link *l)
{
	const struct memif_ring *r = l->tx.ring;
	uint16_t at;

	if (!l->client) {
		at = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		return ours(l, &l->tx, (uint16_t)(at - l->tx.pos));
	}
	at = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	return (uint16_t)(l->tx.size - ours(l, &l->tx, (uint16_t)(l->tx.pos - at)));
}

/* The next of the frame's bytes; moves on in the chain. */
static void copy_out(uint8_t *to, const struct rte_mbuf **m, uint32_t *off, uint32_t len)
{
	while (len > 0) {
		uint32_t n = RTE_MIN(len, (*m)->data_len - *off);

		rte_memcpy(to, rte_pktmbuf_mtod_offset(*m, const void *, *off), n);
		to += n;
		len -= n;
		*off += n;
		if (*off == (*m)->data_len) {
			*m = (*m)->next;
			*off = 0;
		}
	}
}

/* The buffer of a descriptor: our own, or the one that the client put there. NULL: nonsense. */
static uint8_t *tx_buffer(struct memif_link *l, uint16_t pos, struct memif_desc *d)
{
	uint8_t *to;

	if (l->client) {
		*d = (struct memif_desc){.length = MEMIF_BUFFER,
			.offset = l->tx_buffers + (pos & (l->tx.size - 1u)) * MEMIF_BUFFER};
		return l->regions[0].base + d->offset;
	}
	*d = *desc_at(&l->tx, pos);
	rte_compiler_barrier();
	to = bytes_of(l, d);
	if (likely(to != NULL && d->length > 0))
		return to;
	atomic_store_explicit(&l->broken, true, memory_order_relaxed);
	return NULL;
}

/* Puts a frame behind `*used` descriptors. False: there is no room, and nothing has happened that the peer sees. */
static bool put_frame(struct memif_link *l, const struct rte_mbuf *m, uint16_t room, uint16_t *used)
{
	uint32_t left = m->pkt_len, off = 0;
	uint16_t n = *used;

	while (left > 0) {
		uint16_t pos = (uint16_t)(l->tx.pos + n);
		struct memif_desc d;
		uint8_t *to;

		if (n++ == room)
			return false;
		to = tx_buffer(l, pos, &d);
		if (unlikely(to == NULL))
			return false;
		d.length = RTE_MIN(d.length, left);
		copy_out(to, &m, &off, d.length);
		left -= d.length;
		d.flags = left > 0 ? MEMIF_DESC_NEXT : 0;
		*desc_at(&l->tx, pos) = d;
	}
	*used = n;
	return true;
}

static void tx_done(struct memif_link *l, uint16_t n)
{
	struct memif_end *e = &l->tx;

	e->pos = (uint16_t)(e->pos + n);
	__atomic_store_n(l->client ? &e->ring->head : &e->ring->tail, e->pos, __ATOMIC_RELEASE);
	/* The reader asks for an event, then looks once more; we publish, then look whether it asked. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!(__atomic_load_n(&e->ring->flags, __ATOMIC_RELAXED) & MEMIF_RING_NO_INTERRUPT))
		eventfd_write(e->event_fd, 1);
}

uint16_t memif_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct memif *m = port->priv;
	struct memif_link *l = rcu_ptr_get(m->active);
	uint16_t room, used = 0, sent = 0;

	(void)queue;
	if (unlikely(l == NULL)) {
		rte_errno = ENETDOWN;
		return 0;
	}
	rte_spinlock_lock(&l->tx_lock);
	room = tx_room(l);
	while (sent < n && put_frame(l, pkts[sent], room, &used))
		sent++;
	if (used > 0)
		tx_done(l, used);
	rte_spinlock_unlock(&l->tx_lock);
	if (unlikely(sent < n))
		rte_errno = EAGAIN;
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}
