/* SPDX-License-Identifier: Apache-2.0 */
/* Next hops of the outside networks. */
#include <errno.h>
#include <string.h>

#include "external/external.h"

#define HOPS_MAX 64u /* of a network */

static struct hop {
	struct ip_addr addr; /* zero: the way to everything that is not on-link */
	struct external_hop to;
} hops[EXTERNALS_MAX][HOPS_MAX];
static _Atomic uint32_t n_hops[EXTERNALS_MAX];

static const struct hop *find(const struct external *ext, const struct ip_addr *addr)
{
	uint32_t n = atomic_load_explicit(&n_hops[ext->index], memory_order_acquire);

	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_equal(&hops[ext->index][i].addr, addr))
			return &hops[ext->index][i];
	return NULL;
}

bool external_hop(struct external *ext, const struct ip_addr *dst, struct external_hop *hop)
{
	static const struct ip_addr everything;
	const struct external_family *family = ip_addr_is_v4(dst) ? &ext->v4 : &ext->v6;
	const struct hop *found =
		find(ext, ip_prefix_contains(&family->prefix, dst) ? dst : &everything);

	if (found != NULL)
		*hop = found->to;
	return found != NULL;
}

int external_hop_set(
	struct external *ext, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
	struct hop *hop = (struct hop *)find(ext, addr);
	uint32_t n = n_hops[ext->index];

	if (hop != NULL) {
		hop->to.mac = *mac;
		epoch_bump(hop->to.epoch);
		return 0;
	}
	if (n == HOPS_MAX)
		return -ENOSPC;
	hops[ext->index][n] = (struct hop){.addr = *addr, .to = {*mac, epoch_take()}};
	atomic_store_explicit(&n_hops[ext->index], n + 1, memory_order_release);
	return 0;
}
