/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_UDP_SUPER_H
#define PORT_UDP_SUPER_H
/* VXLAN frames of equal size and equal outer headers as one UDP datagram "to be segmented" (UDP_SEGMENT, GSO_UDP_L4): the kernel on our side of
 * the wire carries them in one go and cuts them apart where the next one can not. On a veth between two dataplanes they
 * arrive whole.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "port/vnet_hdr.h"

/* How many frames from pkts[0] on may leave as one; 1: it is alone. `header` gets the bytes up to UDP's end, which the others lose. */
unsigned int udp_super_run(struct rte_mbuf **pkts, unsigned int n, uint16_t *header);
/* Makes `first` speak for a run of `total` bytes (one header, all payloads) and fills the vnet header. */
void udp_super_begin(struct rte_mbuf *first, uint16_t header, uint32_t total, struct vnet_hdr *hdr);
/* Makes it a frame of its own again. */
void udp_super_undo(struct rte_mbuf *first, uint16_t header);

/* A received one: UDP to be segmented, to the VXLAN port. */
bool udp_super_is(const struct rte_mbuf *m);

#endif
