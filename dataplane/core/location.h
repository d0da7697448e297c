/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_LOCATION_H
#define CORE_LOCATION_H
/* Where a packet comes from or goes to, as one word: a port of this node, or a VTEP behind the
 * underlay. It is compared on the packet path (a session knows the ingress it was made from), so it
 * is an index and a tag bit, nothing more.
 */
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t loc_t;

#define LOC_NONE 0xffffffffu
#define LOC_TUNNEL_BIT 0x80000000u

static inline loc_t loc_port(uint32_t port_index)
{
	return port_index;
}

static inline loc_t loc_tunnel(uint32_t vtep_index)
{
	return vtep_index | LOC_TUNNEL_BIT;
}

static inline bool loc_is_tunnel(loc_t l)
{
	return l != LOC_NONE && (l & LOC_TUNNEL_BIT);
}

static inline bool loc_is_port(loc_t l)
{
	return !(l & LOC_TUNNEL_BIT);
}

static inline uint32_t loc_index(loc_t l)
{
	return l & ~LOC_TUNNEL_BIT;
}

#endif
