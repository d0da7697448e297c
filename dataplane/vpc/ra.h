/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_RA_H
#define VPC_RA_H
/* Router advertisements of a subnet's gateway to the ports of this node (RFC 4861 section 6.2, RFC 8106): answers
 * to solicitations (nd.c), and unasked ones. */
#include "vpc/icmp6.h"
#include "vpc/vpc.h"

/* Ethernet, IPv6, advertisement 16, MAC 8, MTU 8, prefix 32, name servers 8 + 8 × 16. */
#define RA_FRAME_MAX (14u + 40u + 16u + 8u + 8u + 32u + 136u)

/* Is the vNIC in a subnet that advertises: with IPv6 and `dhcp`? */
bool ra_wanted(const struct vnic *vnic);
/* Writes all of the frame but the MAC it goes to. Returns its length. */
uint16_t ra_write(struct icmp6_frame *f, const struct vnic *vnic, const struct subnet *subnet,
	const struct ip_addr *to);

/* Sends what is due: three soon after a port came up or its subnet changed, then one every few minutes.
 * Control thread, often. */
void ra_tick(uint32_t now_ms);

#endif
