/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_VNIC_H
#define VPC_VNIC_H
/* A tenant port's life: from its record to endpoints and an open device. Control thread. */
#include "vpc/vpc.h"

/* What the fast path keeps on the port itself. */
struct vnic_port {
	struct rte_ether_addr mac;
	bool enabled, port_security;
};

/* An empty record; NULL when out of memory. Its groups, policy and attachment are references it owns. */
struct vnic *vnic_new(void);
void vnic_free(struct vnic *vnic); /* one that was not put */
/* Publishes `vnic` (complete but for port) as what is behind the port, its addresses as endpoints, opens
 * or re-opens the device when the attachment is another one. */
void vnic_put(struct port *port, struct vnic *vnic, const struct vnic_port *settings);
/* Those that may use single addresses beside their own; the first for NULL. */
struct vnic *vnic_next_sharing(const struct vnic *previous);
/* May it use this single address beside its own? */
bool vnic_shares(const struct vnic *vnic, uint32_t vpc_index, const struct ip_addr *addr);
/* Makes the vNIC's port the place of an address. */
void vnic_put_endpoint(const struct vnic *vnic, const struct ip_addr *addr);
/* The same of one that it may use and has announced; it ends with the vNIC, or when that may not use it any more. Of networks a
 * vNIC has so many at most: an announcement costs its sender nothing. */
#define VNIC_CLAIMS_MAX 256u
void vnic_claim(struct vnic *vnic, const struct ip_addr *addr);
/* Takes the vNIC, its endpoints and its device away and frees the port. */
void vnic_remove(struct port *port);

#endif
