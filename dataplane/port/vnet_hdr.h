/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_VNET_HDR_H
#define PORT_VNET_HDR_H
/* The header that Linux puts in front of frames on TAPs and packet sockets, as <linux/virtio_net.h> has it, and its
 * translation from and to mbuf flags. Fields are in host order on these devices (legacy virtio).
 *
 * What a frame's sender wrote into it is checked here, so that nothing behind it needs to: a tenant can put any such
 * header in front of any bytes.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define VNET_F_NEEDS_CSUM 1
#define VNET_F_DATA_VALID 2

#define VNET_GSO_NONE 0
#define VNET_GSO_TCPV4 1
#define VNET_GSO_TCPV6 4
#define VNET_GSO_UDP_L4 5 /* Linux 6.2 */
#define VNET_GSO_ECN 0x80

struct vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len; /* Ethernet to TCP or UDP */
	uint16_t gso_size;
	uint16_t csum_start;  /* from the frame's start */
	uint16_t csum_offset; /* from csum_start */
};

_Static_assert(sizeof(struct vnet_hdr) == 10, "struct virtio_net_hdr");

/* Sets `m`'s ol_flags, lengths and tso_segsz. The frame's headers are in the first segment.
 *
 * A kernel VXLAN device hands over frames whose partial checksum or GSO concerns the inner TCP or UDP: these get
 * RTE_MBUF_F_TX_TUNNEL_VXLAN with outer_l2_len and outer_l3_len, l2_len as DPDK wants it (outer UDP + VXLAN + inner
 * Ethernet), l3_len and on of the inner packet. A partial checksum over anything else is completed in place.
 * False: the header contradicts the frame. */
bool vnet_hdr_to_mbuf(const struct vnet_hdr *hdr, struct rte_mbuf *m);

/* The header to send `m` with. Tunnel flags are not known on this way. */
void vnet_hdr_from_mbuf(struct vnet_hdr *hdr, const struct rte_mbuf *m);

/* The kernel knows VNET_GSO_UDP_L4. */
bool vnet_hdr_kernel_has_uso(void);

#endif
