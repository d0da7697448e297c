// SPDX-License-Identifier: Apache-2.0
/*
 * How much one address may ask of a server that strangers reach: connections at a time, and new ones in a second (a
 * token bucket). An IPv6 address counts as its /64, which one machine can have all of. Memory is bounded: addresses
 * that ask nothing are forgotten.
 */
#ifndef LIB_ADDRESS_LIMIT_H
#define LIB_ADDRESS_LIMIT_H

#include <stdint.h>

#include "lib/net.h"

struct address_limit;
struct address_limit_entry;

/* `rate` a second, after `burst` at once. NULL when out of memory. */
struct address_limit *address_limit_new(unsigned connections, unsigned rate, unsigned burst);
/* No entry may be in use any more. */
void address_limit_free(struct address_limit *limit);

/*
 * A connection of the address begins at that time (monotonic). NULL with a reason in `why`: it asks too much. Else it
 * ends with address_limit_leave().
 */
struct address_limit_entry *address_limit_enter(struct address_limit *limit,
	const struct net_addr *address, uint64_t now_ms, const char **why);
void address_limit_leave(struct address_limit_entry *entry);

#endif
