/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_HEADERS_H
#define PORT_HEADERS_H
/* Where the headers of a frame lie; only what offloads need, in the first segment. */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

struct headers {
	uint16_t l2_len; /* with VLAN tags */
	uint16_t l3_len; /* with IPv4 options or IPv6 extension headers */
	uint8_t proto;   /* above IP */
	bool v6;
	bool fragment;
};

/* Of the frame at offset `off`. False: no IP, cut short, or contradicting itself. */
bool headers_parse(const struct rte_mbuf *m, uint32_t off, struct headers *h);

/* Bytes of the TCP header at offset `off`, or 0 when it is cut short. */
uint8_t headers_tcp_len(const struct rte_mbuf *m, uint32_t off);

/* Bytes that headers take at most: Ethernet, IPv6 with some extensions, TCP with all its options; twice, for a tunnel. */
#define HEADERS_MAX 320u

/* Moves what the peer put into further segments to the first one, as port.h promises: HEADERS_MAX bytes, or all there are. */
void headers_gather(struct rte_mbuf *m);

#endif
