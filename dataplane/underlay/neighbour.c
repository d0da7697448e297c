/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/neighbour.h"

#include "base/ip_text.h"
#include "underlay/underlay.h"

/* Next hops of the configuration. */
static struct neighbour_config config;

static const struct ip_addr *next_hop_of(const struct ip_addr *dst)
{
	int v6 = !ip_addr_is_v4(dst);

	return ip_prefix_contains(&config.on_link[v6], dst) ? dst : &config.gateway[v6];
}

static bool find_static(const struct ip_addr *hop, struct rte_ether_addr *mac)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (config.static_entries, i, entry) {
		struct ip_addr a;

		if (ip_addr_parse(json_string_value(json_object_get(entry, "address")), &a) &&
			ip_addr_equal(&a, hop))
			return rte_ether_unformat_addr(
				       json_string_value(json_object_get(entry, "mac")), mac) == 0;
	}
	return false;
}

void neighbour_vtep_added(struct vtep *vtep)
{
	struct rte_ether_addr mac;

	if (find_static(next_hop_of(&vtep->addr), &mac))
		vtep_set_next_hop(vtep, &mac);
}

void neighbour_receive(const uint8_t *frame, uint16_t len)
{
	(void)frame;
	(void)len;
}

int neighbour_start(const struct neighbour_config *given, struct event_base *base)
{
	(void)base;
	config = *given;
	for (struct vtep *v = vtep_next(NULL); v != NULL; v = vtep_next(v))
		neighbour_vtep_added(v);
	return 0;
}
