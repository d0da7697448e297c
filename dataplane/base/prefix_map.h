/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PREFIX_MAP_H
#define BASE_PREFIX_MAP_H
/*
 * Longest-prefix map from ip_prefix to a 32-bit value, immutable once built: its owner builds a new
 * one and swaps it under RCU. Made for thousands of small maps (a VPC's routes: 5 prefixes are
 * about 150 bytes) as much as for a few large ones.
 *
 * The address space of each family is cut at every prefix's first and behind its last address; a
 * look-up is one binary search for the piece that holds the address, whatever lengths exist. Each
 * piece names the longest prefix that covers it, each prefix the next shorter one around it, so
 * "all matches" is a walk upwards that touches nothing but matches.
 *
 * Threads: a map is built and freed by its owner; any number of threads may search it meanwhile.
 */
#include "base/ip.h"

struct prefix_map;

struct prefix_map_entry {
	struct ip_prefix prefix;
	uint32_t value;
};

/* One prefix of a map, as a search finds it. */
struct prefix_match {
	uint32_t value;
	uint32_t len : 8; /* of the prefix, in the mapped space */
	uint32_t up : 24; /* how far before this one its parent is; 0: none */
};

/* More entries than this are refused. */
#define PREFIX_MAP_MAX ((1u << 24) - 1)

/* Copies what it needs of entries, in any order. Equal prefixes may occur more than once: all are
 * found, in the order given. NULL with errno ENOMEM, or EINVAL for too many entries or a prefix
 * with host bits. */
struct prefix_map *prefix_map_new(const struct prefix_map_entry *entries, uint32_t n);
void prefix_map_free(struct prefix_map *map);

/* Bytes it occupies. */
size_t prefix_map_size(const struct prefix_map *map);

/* The longest prefix that contains addr, or NULL. */
const struct prefix_match *prefix_map_find(
	const struct prefix_map *map, const struct ip_addr *addr);

/* The next one that contains what the found m contains, of equal or shorter length, or NULL. */
static inline const struct prefix_match *prefix_match_next(const struct prefix_match *m)
{
	return m->up ? m - m->up : NULL;
}

#endif
