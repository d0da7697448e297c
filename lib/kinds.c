// SPDX-License-Identifier: Apache-2.0
#include "lib/kinds.h"

#include <string.h>

/* In the order of creation: each after those it refers to. */
static const struct kind *const kinds[] = {
	&kind_tenant,
	&kind_node,
	&kind_vpc,
	&kind_prefix_list,
	&kind_security_group,
	&kind_subnet,
	&kind_port,
	&kind_peering,
	&kind_eip_pool,
	&kind_eip,
	&kind_nat_gateway,
	&kind_load_balancer,
	&kind_route,
	&kind_mirror,
	&kind_hook,
	&kind_indicator_list,
	&kind_inspection,
	&kind_alert,
	&kind_flow_log,
};

size_t kind_count(void)
{
	return sizeof(kinds) / sizeof(kinds[0]);
}

const struct kind *kind_at(size_t index)
{
	return index < kind_count() ? kinds[index] : NULL;
}

const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; name && i < kind_count(); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

size_t kind_index(const struct kind *kind)
{
	size_t i = 0;

	while (i < kind_count() && kinds[i] != kind)
		i++;
	return i;
}

#define IPV4(a, b, length)                                                                         \
	{                                                                                          \
		{NET_IPV4, {a, b}}, length                                                         \
	}
#define IPV6(length, ...)                                                                          \
	{                                                                                          \
		{NET_IPV6, {__VA_ARGS__}}, length                                                  \
	}

const char *special_range(const struct net_prefix *prefix)
{
	static const struct {
		struct net_prefix range;
		const char *name;
	} ranges[] = {
		{IPV4(0, 0, 8), "\"this network\", 0.0.0.0/8"},
		{IPV4(127, 0, 8), "loopback, 127.0.0.0/8"},
		{IPV4(169, 254, 16), "link local, 169.254.0.0/16"},
		{IPV4(224, 0, 4), "multicast, 224.0.0.0/4"},
		{IPV4(240, 0, 4), "reserved, 240.0.0.0/4"},
		{IPV6(128, 0), "unspecified, ::"},
		{IPV6(128, [15] = 1), "loopback, ::1"},
		{IPV6(96, [10] = 0xff, [11] = 0xff), "IPv4 in IPv6 form, ::ffff:0:0/96"},
		{IPV6(10, 0xfe, 0x80), "link local, fe80::/10"},
		{IPV6(8, 0xff), "multicast, ff00::/8"},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (net_prefix_overlaps(&ranges[i].range, prefix))
			return ranges[i].name;
	return NULL;
}
