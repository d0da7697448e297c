/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_VPC_INTERNAL_H
#define VPC_VPC_INTERNAL_H
/* Between the files of vpc/. */
#include "core/pkt.h"
#include "vpc/vpc.h"

struct route_table {
	struct prefix_map *map; /* value: index in routes */
	uint32_t n;
	struct route routes[];
};

/* What the control thread has done for routes since the start. Work of a batch is held to these by tests. */
struct route_work {
	uint64_t looks;    /* at custom routes */
	uint64_t rebuilds; /* of tables */
};
extern struct route_work route_work;

/* Once; -ENOMEM. */
int custom_routes_init(void);
void custom_routes_free(struct vpc *vpc);
/* Has the VPC a route of that family to that network, on this node? */
bool custom_route_leads_to(const struct vpc *vpc, const struct external *ext, bool v6);

void route_table_free(struct route_table *table);
/* Makes the VPC's table from its subnets, peers and custom routes and publishes it. -ENOMEM: the old one
 * stays. */
int route_table_rebuild(struct vpc *vpc);

/* Out of its VPC's list and the names already; kept until vpc_settle() has led every pointer to the
 * successor (or to NULL). */
void subnet_retire(struct subnet *subnet, struct subnet *replaced_by);

/* fe80:: + modified EUI-64 (RFC 4291 appendix A). */
struct ip_addr ip_link_local_of(const struct rte_ether_addr *mac);

#endif
