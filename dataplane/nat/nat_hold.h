/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_HOLD_H
#define NAT_NAT_HOLD_H
/* What sessions hold of nat/ (session/hold.h), how it comes and goes. The id is that of a record (nat_table.h). Any thread inside an
 * RCU section unless it says otherwise. */
#include <stdint.h>

#include "core/road.h"
#include "nat/nat_address.h"
#include "nat/nat_gateway.h"
#include "nat/nat_table.h"

/* The part of a HOST that a session of an endpoint-dependent mapping holds: a port of its outside address. So its set-up writes to no
 * record of its own. Not 0. */
static inline uint32_t nat_part(enum nat_space space, uint16_t port)
{
	return 0x80000000u | (uint32_t)space << 16 | port;
}

static inline enum nat_space nat_part_space(uint32_t part)
{
	return (enum nat_space)((part & ~0x80000000u) >> 16);
}

static inline uint16_t nat_part_port(uint32_t part)
{
	return (uint16_t)part;
}

/* The record that says which port it is: MAPPING, FLOW or FORWARD (of BOTH: the source's), or the HOST that it is a part of.
 * NULL: none. */
const struct nat_record *nat_hold_root(uint32_t id);
/* Its outside port. */
rte_be16_t nat_hold_outside(const struct nat_record *root, uint32_t part);

/* The caller's reference, or part, becomes a session's: counted to gateway and vNIC. */
void nat_hold_begin(uint32_t id);
/* A reference that is no session's. */
void nat_hold_drop(uint32_t id);

/* A record of a kind for a gateway, which it refers to from now on; 0: none left. */
uint32_t nat_hold_new(enum nat_kind kind, uint16_t gateway);
/* One that was never found by anybody. */
void nat_hold_discard(uint32_t id);

/* For a rule of DNAT of an address; dropped by nat_hold_drop(). Control thread. */
uint32_t nat_hold_forward(uint16_t gateway, struct nat_address *a);

/* A block of the host `owner` is empty: see nat_ports_on_return(); `arg` is a nat_address_space. */
void nat_hold_block_returned(void *arg, uint32_t owner, uint16_t from, uint16_t to);

#endif
