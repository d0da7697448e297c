/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_KERNEL_H
#define NAT_NAT_KERNEL_H
/* Ports that the kernel of this host uses on an address that is the host's, too: they are not handed out. An elastic IP as a rule is
 * nobody's but ours, and then there are none. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct nat_address;

/* Reserves what is bound now, and what the kernel takes for connections of its own. Control thread. */
void nat_kernel_reserve(struct nat_address *a);

/* A line of /proc/net/tcp, tcp6, udp or udp6: what is bound where (IPv4 mapped; all zero, ::ffff:0.0.0.0 too: everywhere). False: no such
 * line. */
bool nat_kernel_parse(const char *line, struct ip_addr *address, uint16_t *port);

#endif
