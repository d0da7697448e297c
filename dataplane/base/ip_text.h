/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_IP_TEXT_H
#define BASE_IP_TEXT_H
/* Addresses of base/ip.h from and to text, by lib/net.h's strict rules. */
#include "base/ip.h"
#include "lib/net.h"

/* False: no address, or an IPv4-mapped one written as IPv6, which would be taken for IPv4. */
bool ip_addr_parse(const char *text, struct ip_addr *addr);
/* "10.0.0.0/8"; a bare address is a prefix of full length. Host bits are cleared. */
bool ip_prefix_parse(const char *text, struct ip_prefix *prefix);
/* "192.0.2.1/24": an interface's address and the network it is in. */
bool ip_interface_parse(const char *text, struct ip_addr *addr, struct ip_prefix *network);
/* text: NET_ADDR_TEXT, NET_PREFIX_TEXT bytes; returned. */
char *ip_addr_format(const struct ip_addr *addr, char *text);
char *ip_prefix_format(const struct ip_prefix *prefix, char *text);

#endif
