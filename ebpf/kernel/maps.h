/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Maps, all pinned by name below the pin path: they outlive vpc-inspectd. Sizes of the tables are defaults; the
 * configuration's `capacity` changes them before loading. Several CPUs may update one entry: a lost increment is
 * taken, a lock is not.
 */
#ifndef EBPF_MAPS_H
#define EBPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "sight.h"

#define MAP_TABLE(name_, key_, value_, entries)                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);                                               \
		__uint(max_entries, entries);                                                      \
		__type(key, key_);                                                                 \
		__type(value, value_);                                                             \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                               \
	} name_ SEC(".maps")

#define MAP_TRIE(name_, key_, value_, entries)                                                     \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                               \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__type(key, key_);                                                                 \
		__type(value, value_);                                                             \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                               \
	} name_ SEC(".maps")

#define MAP_ARRAY(type_, name_, value_, entries, flags)                                            \
	struct {                                                                                   \
		__uint(type, type_);                                                               \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, flags);                                                          \
		__type(key, __u32);                                                                \
		__type(value, value_);                                                             \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                               \
	} name_ SEC(".maps")

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct sight_vpc);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vpcs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sight_interface);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} interfaces SEC(".maps");

MAP_TABLE(flows, struct sight_flow_key, struct sight_flow, 65536);
MAP_TABLE(spreads, struct sight_spread_key, struct sight_spread, 16384);
MAP_TABLE(floods, struct sight_flood_key, struct sight_flood, 16384);
MAP_TABLE(contacts, struct sight_contact_key, struct sight_contact, 65536);
MAP_TABLE(beacons, struct sight_beacon_key, struct sight_beacon, 65536);
MAP_TABLE(volumes, struct sight_volume_key, struct sight_volume, 16384);
MAP_TRIE(indicators, struct sight_prefix_key, __u32, 262144);
MAP_TRIE(prefixes, struct sight_prefix_key, __u32, 65536);
MAP_ARRAY(BPF_MAP_TYPE_ARRAY, state, struct sight_state, 1, BPF_F_MMAPABLE);
MAP_ARRAY(BPF_MAP_TYPE_ARRAY, records, struct sight_record, SIGHT_RECORDS, BPF_F_MMAPABLE);
MAP_ARRAY(BPF_MAP_TYPE_PERCPU_ARRAY, counters, __u64, SIGHT_COUNTERS, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

static inline __attribute__((always_inline)) void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value != NULL)
		(*value)++;
}

static inline __attribute__((always_inline)) struct sight_state *state_get(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&state, &first);
}

/* The entry of a key, made of zeros when there is none. NULL: the table gave no room. */
static inline __attribute__((always_inline)) void *entry_get(
	void *map, const void *key, const void *zero)
{
	void *entry = bpf_map_lookup_elem(map, key);

	if (entry != NULL)
		return entry;
	bpf_map_update_elem(map, key, zero, BPF_NOEXIST);
	entry = bpf_map_lookup_elem(map, key);
	if (entry == NULL)
		count(SIGHT_COUNT_FULL);
	return entry;
}

#endif
