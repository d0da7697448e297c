/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which addresses are the VPC's own. */
#ifndef EBPF_INSIDE_H
#define EBPF_INSIDE_H

#include <bpf/bpf_endian.h>

#include "event.h"

/* RFC 1918, 6598, 3927, 1122, 5771 and broadcast; RFC 4193, 4291. */
EVENT_INLINE bool is_private(const union sight_addr *a)
{
	__u8 b = a->b[12], c = a->b[13];

	if (a->d[0] != 0 || a->b[10] != 0xff)
		return (a->b[0] & 0xfe) == 0xfc || a->b[0] == 0xff ||
		       (a->b[0] == 0xfe && a->b[1] >> 6 == 2) || (a->d[0] == 0 && a->w[2] == 0);
	return b == 10 || (b == 172 && c >> 4 == 1) || (b == 192 && c == 168) ||
	       (b == 100 && c >> 6 == 1) || (b == 169 && c == 254) || b == 127 || b == 0 ||
	       b >= 224;
}

/* Is it an address of the VPC? */
DETECTOR int is_inside(struct sight_vpc *vpc, __u32 vni, union sight_addr *address)
{
	struct sight_prefix_key key = {.prefix_bits = 32 + 128, .vni = bpf_htonl(vni)};

	if (vpc == NULL || address == NULL)
		return 0;
	if (!vpc->has_prefixes)
		return is_private(address);
	key.address = *address;
	return bpf_map_lookup_elem(&prefixes, &key) != NULL;
}

EVENT_INLINE bool leaves(struct sight_vpc *vpc, struct sight_case *c)
{
	return !is_inside(vpc, c->key.vni, &c->key.destination) &&
	       is_inside(vpc, c->key.vni, &c->key.source);
}

#endif
