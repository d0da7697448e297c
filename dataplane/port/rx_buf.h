/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_RX_BUF_H
#define PORT_RX_BUF_H
/* Buffers that a driver reads a frame of unknown size into: a small mbuf, and behind it a jumbo one in which only the rest of a GSO frame
 * ends up. What a frame did not use stays for the next one, so a small frame costs one small mbuf.
 */
#include <stdbool.h>
#include <sys/uio.h>

#include <rte_mbuf.h>

#include "core/worker.h"

#define RX_BUF_IOVS 2

struct rx_buf {
	struct rte_mbuf *small, *jumbo;
};

/* Fills what is missing and `iov`. Without a jumbo buffer to be had *n_iov is 1. False: no buffer at all. */
static inline bool rx_buf_fill(
	struct rx_buf *b, const struct worker *w, struct iovec iov[RX_BUF_IOVS], int *n_iov)
{
	if (likely(b->small == NULL)) {
		b->small = rte_pktmbuf_alloc(w->pool);
		if (unlikely(b->small == NULL))
			return false;
	}
	iov[0] = (struct iovec){rte_pktmbuf_mtod(b->small, void *), rte_pktmbuf_tailroom(b->small)};
	*n_iov = 1;
	if (unlikely(b->jumbo == NULL)) {
		b->jumbo = rte_pktmbuf_alloc(w->jumbo_pool);
		if (unlikely(b->jumbo == NULL))
			return true;
		/* Never the first of a chain: no headroom. */
		b->jumbo->data_off = 0;
	}
	iov[1] = (struct iovec){b->jumbo->buf_addr, b->jumbo->buf_len};
	*n_iov = 2;
	return true;
}

/* The frame of `len` bytes that was read. NULL: it may be cut short; the buffers stay. */
static inline struct rte_mbuf *rx_buf_take(struct rx_buf *b, uint32_t len)
{
	struct rte_mbuf *m = b->small;
	uint16_t room = rte_pktmbuf_tailroom(m);

	if (likely(len < room)) {
		m->data_len = (uint16_t)len;
	} else {
		if (b->jumbo == NULL || len - room >= b->jumbo->buf_len)
			return NULL;
		m->data_len = room;
		if (len > room) {
			b->jumbo->data_len = (uint16_t)(len - room);
			m->next = b->jumbo;
			m->nb_segs = 2;
			b->jumbo = NULL;
		}
	}
	m->pkt_len = len;
	b->small = NULL;
	return m;
}

#endif
