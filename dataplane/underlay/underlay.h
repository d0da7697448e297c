/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_UNDERLAY_H
#define UNDERLAY_UNDERLAY_H
/* The network between hosts: one port, an address per family, VTEPs behind next hops, VXLAN (RFC 7348).
 *
 * A VTEP record holds the outer header precomputed; the packet path stores it in front of the frame and patches lengths, VNI,
 * source port and the IPv4 header checksum. Next hops come from own ARP/ND, static neighbours, or the kernel's routes
 * and neighbours (netlink) where the underlay has a kernel twin.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "base/ip.h"
#include "core/location.h"
#include "port/port.h"

#define VXLAN_PORT 4789
#define VXLAN_HEADROOM_V4 50 /* Ethernet 14 + IPv4 20 + UDP 8 + VXLAN 8 */
#define VXLAN_HEADROOM_V6 70

/* What the packet path needs of a VTEP: two cache lines, written by the control thread (published by `ready`). */
struct vtep {
	uint8_t header[72];       /* Ethernet, IP, UDP, VXLAN with VNI 0 and lengths 0 */
	uint8_t header_len;       /* 50 or 70 */
	bool v6;
	bool gateway;             /* sources outside the VPC may come from it */
	_Atomic uint8_t ready;    /* next hop resolved */
	uint16_t ip_csum_base;    /* IPv4: sum of the header without length, folded */
	uint32_t index;
	struct ip_addr addr;
	char name[PORT_NAME_MAX];
} __attribute__((aligned(64)));

struct underlay_config {
	const char *ifname, *mode;   /* or */
	const char *device;
	const char *address;         /* "192.0.2.1/24"; also address6 */
	const char *address6;
	const char *gateway, *gateway6;
	uint16_t mtu;
	struct { const char *address, *mac; } neighbours[64];
	unsigned int n_neighbours;
};

/* Opens the port, starts ARP/ND and, with a kernel twin, the netlink mirror. -errno with a log line. NULL config: no underlay. */
int underlay_start(const struct underlay_config *config);
struct port *underlay_port(void);
/* Worker-safe. */
struct vtep *vtep_get(uint32_t index);
/* By outer source; NULL: unknown. */
struct vtep *vtep_by_addr(const struct ip_addr *addr);
struct vtep *vtep_by_name(const char *name);

/* Puts the outer header in front; room is in the headroom. The frame must be complete (no partial checksum, no GSO). */
void vxlan_push(struct rte_mbuf *m, const struct vtep *vtep, uint32_t vni, uint32_t flow_hash);

#endif
