/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_CLAIM_H
#define VPC_CLAIM_H
/* Addresses that several ports may use (allowed_addresses) live behind the one that announced itself last,
 * by a gratuitous ARP or an unsolicited neighbour advertisement: VRRP, keepalived.
 *
 * A worker notes a claim in a small mailbox; the control thread moves the endpoint, tells the controller
 * (event `address_claimed`, for the other nodes), and the neighbours on this node hear of the new MAC. An
 * address that is known behind another node is the controller's to move: only it knows whether it is a
 * port's own. When it has taken the other endpoint away, the claimant here adopts the address.
 */
#include "vpc/vpc.h"

/* On a worker: the port has announced an address that is not its own and that it may use. A full mailbox
 * loses it; announcements are repeated. */
void claim_note(const struct vnic *vnic, const struct ip_addr *addr);
/* Control thread, from a timer: does what was noted. */
void claim_take(void);

/* Nobody has this address any more: the port here that claimed it last, or else one that may use it, takes it.
 * Control thread. */
void claim_adopt(uint32_t vpc_index, const struct ip_addr *addr);

/* An endpoint has another MAC now: tells the ports of its subnet that are here. Control thread. */
void claim_announce(const struct endpoint *endpoint);

#endif
