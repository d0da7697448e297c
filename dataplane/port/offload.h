/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_OFFLOAD_H
#define PORT_OFFLOAD_H
/* Does in software what a frame asks (port.h: partial checksums, GSO) and its output can not.
 *
 * Called before a port that lacks a capability, and with caps 0 before encapsulation. Frames must not carry tunnel flags:
 * offload_decap() first.
 *
 *	if (offload_fits(caps, m)) ... send it as it is
 *	else if (offload_begin(&o, caps, m) == 0) {
 *		while ((n = offload_next(&o, out, RTE_DIM(out))) > 0) ... send those
 *		offload_end(&o);
 *	}
 *
 * Threads: workers; new mbufs come from their pools.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "port/port.h"

#define OFFLOAD_GSO (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)
/* Everything that says how to finish the frame. */
#define OFFLOAD_TX_FLAGS                                                                           \
	(OFFLOAD_GSO | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 |           \
		RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 |    \
		RTE_MBUF_F_TX_OUTER_IPV6)

struct offload {
	struct rte_mbuf *frame; /* NULL: nothing left */
	uint32_t pos;           /* payload bytes done */
	uint32_t payload;       /* payload bytes of the frame */
	uint16_t header;        /* Ethernet to L4 */
	uint16_t segment;       /* payload bytes a segment */
	uint32_t count;         /* segments made */
	bool partial;           /* the output completes checksums */
	bool failed;            /* out of buffers: the rest of the frame is lost */
	bool whole;             /* in place, no segmentation */
};

/* No port has it: a frame whose inner packet is unfinished is for decapsulation only. */
#define OFFLOAD_CAP_TUNNEL (1u << 31)

/* The capabilities that a frame needs. */
static inline uint32_t offload_wants(const struct rte_mbuf *m)
{
	uint64_t f = m->ol_flags;
	uint32_t wants = m->nb_segs > 1 ? PORT_CAP_MULTI_SEG : 0;

	if (likely(!(f & (OFFLOAD_GSO | RTE_MBUF_F_TX_L4_MASK))))
		return wants;
	wants |= PORT_CAP_CSUM;
	if (f & RTE_MBUF_F_TX_TUNNEL_MASK)
		wants |= OFFLOAD_CAP_TUNNEL;
	if (f & RTE_MBUF_F_TX_TCP_SEG)
		wants |= f & RTE_MBUF_F_TX_IPV6 ? PORT_CAP_TSO6 : PORT_CAP_TSO4;
	if (f & RTE_MBUF_F_TX_UDP_SEG)
		wants |= PORT_CAP_USO;
	return wants;
}

static inline bool offload_fits(uint32_t caps, const struct rte_mbuf *m)
{
	return (offload_wants(m) & ~caps) == 0;
}

/* Takes `m`. -EINVAL: its flags contradict its headers, or speak of a tunnel's inside; -ENOMEM: no buffer; `m` stays the caller's then. */
int offload_begin(struct offload *o, uint32_t caps, struct rte_mbuf *m);
/* The next frames, ready for the output and the caller's; 0: no more. */
unsigned int offload_next(struct offload *o, struct rte_mbuf **out, unsigned int n);
/* Frees what is left of the frame. */
void offload_end(struct offload *o);

/* How many frames offload_next() will make of `m` in all. */
uint32_t offload_segments(const struct rte_mbuf *m);

/* Completes a partial checksum in place and clears the request; nothing else. False: the flags contradict the frame. */
bool offload_complete(struct rte_mbuf *m);

/* After the outer headers up to VXLAN's were removed from the front (rte_pktmbuf_adj): what the flags said about the
 * inner frame becomes plain requests; an outer partial checksum is forgotten. */
static inline void offload_decap(struct rte_mbuf *m)
{
	if (m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK) {
		m->ol_flags &= ~(RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 |
				 RTE_MBUF_F_TX_OUTER_IPV6);
		m->l2_len -= 16; /* UDP and VXLAN */
		m->outer_l2_len = 0;
		m->outer_l3_len = 0;
	} else {
		m->ol_flags &= ~OFFLOAD_TX_FLAGS;
		m->tx_offload = 0;
	}
	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK |
			 RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK);
}

#endif
