/* SPDX-License-Identifier: Apache-2.0 */
#include "nat/nat_kernel.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "nat/nat_address.h"

/* "  sl: 0100007F:0035 ..."; an address is words of the host's byte order. */
bool nat_kernel_parse(const char *line, struct ip_addr *address, uint16_t *port)
{
	const char *at = strchr(line, ':');
	uint32_t words[4] = {0};
	unsigned int n = 0, number;
	int used;

	if (at == NULL)
		return false;
	at += 1 + strspn(at + 1, " ");
	while (n < 4 && sscanf(at, "%8x%n", &words[n], &used) == 1 && used == 8) {
		at += used;
		n++;
	}
	if ((n != 1 && n != 4) || sscanf(at, ":%4x", &number) != 1)
		return false;
	*address = n == 1 ? ip_addr_from_v4(words[0]) : ip_addr_from_v6((const uint8_t *)words);
	*port = (uint16_t)number;
	return true;
}

static bool is_anywhere(const struct ip_addr *a)
{
	return a->w[3] == 0 && a->q[0] == 0;
}

static void reserve_file(struct nat_address *a, const char *path, enum nat_space space)
{
	FILE *file = fopen(path, "re");
	struct ip_addr bound;
	char line[512];
	uint16_t port;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (nat_kernel_parse(line, &bound, &port) && port != 0 &&
			(is_anywhere(&bound) || ip_addr_equal(&bound, &a->ip)))
			nat_ports_reserve(a->ports[space], port, port);
	if (file != NULL)
		fclose(file);
}

static bool is_hosts(const struct ip_addr *ip)
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list) != 0)
		return false;
	for (i = list; i != NULL && !found; i = i->ifa_next) {
		struct ip_addr own;

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			own = ip_addr_from_v4(
				((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr);
		else if (i->ifa_addr->sa_family == AF_INET6)
			own = ip_addr_from_v6(
				((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr.s6_addr);
		else
			continue;
		found = ip_addr_equal(&own, ip);
	}
	freeifaddrs(list);
	return found;
}

static void reserve_range(struct nat_address *a)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int from, to;

	if (file == NULL)
		return;
	if (fscanf(file, "%u %u", &from, &to) == 2 && from <= to && to < NAT_PORTS) {
		nat_ports_reserve(a->ports[NAT_TCP], (uint16_t)from, (uint16_t)to);
		nat_ports_reserve(a->ports[NAT_UDP], (uint16_t)from, (uint16_t)to);
	}
	fclose(file);
}

void nat_kernel_reserve(struct nat_address *a)
{
	if (!is_hosts(&a->ip))
		return;
	reserve_range(a);
	reserve_file(a, "/proc/net/tcp", NAT_TCP);
	reserve_file(a, "/proc/net/tcp6", NAT_TCP);
	reserve_file(a, "/proc/net/udp", NAT_UDP);
	reserve_file(a, "/proc/net/udp6", NAT_UDP);
}
