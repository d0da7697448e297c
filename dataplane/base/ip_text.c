/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip_text.h"

static bool from_net(const struct net_addr *from, struct ip_addr *to)
{
	rte_be32_t v4;

	if (from->family == NET_IPV4) {
		memcpy(&v4, from->bytes, sizeof(v4));
		*to = ip_addr_from_v4(v4);
		return true;
	}
	*to = ip_addr_from_v6(from->bytes);
	return !ip_addr_is_v4(to);
}

static struct net_addr to_net(const struct ip_addr *from)
{
	return ip_addr_is_v4(from) ? net_addr_from_bytes(NET_IPV4, &from->w[3])
				   : net_addr_from_bytes(NET_IPV6, from->bytes);
}

bool ip_addr_parse(const char *text, struct ip_addr *addr)
{
	struct net_addr a;

	return text != NULL && net_addr_parse(text, &a) && from_net(&a, addr);
}

bool ip_prefix_parse(const char *text, struct ip_prefix *prefix)
{
	struct net_prefix p;
	struct ip_addr addr;

	if (text == NULL || !net_prefix_parse_any(text, &p) || !from_net(&p.addr, &addr))
		return false;
	*prefix = ip_prefix_of(
		&addr, (uint8_t)(p.length + (p.addr.family == NET_IPV4 ? IP_V4_BITS : 0)));
	return true;
}

bool ip_interface_parse(const char *text, struct ip_addr *addr, struct ip_prefix *network)
{
	struct net_prefix p;

	return text != NULL && net_prefix_parse(text, &p) && from_net(&p.addr, addr) &&
	       ip_prefix_parse(text, network);
}

char *ip_addr_format(const struct ip_addr *addr, char *text)
{
	struct net_addr a = to_net(addr);

	return net_addr_format(&a, text);
}

char *ip_prefix_format(const struct ip_prefix *prefix, char *text)
{
	uint8_t v4 = ip_prefix_is_v4(prefix) ? IP_V4_BITS : 0;
	struct net_prefix p = {
		.addr = to_net(&prefix->addr), .length = (uint8_t)(prefix->len - v4)};

	return net_prefix_format(&p, text);
}
