/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_GROUP_SET_H
#define POLICY_GROUP_SET_H
/* Interned, immutable sets of security group handles: what a port is in, kept on its endpoint
 * record. Many endpoints share few sets, so equal sets are one object and compare by address.
 *
 * Threads: get, ref and put on the control thread; anyone reads a set inside an RCU read section.
 */
#include <stdint.h>

#include "base/hash_table.h"

struct group_set {
	uint32_t n;
	/* Control thread only. */
	uint32_t refs;
	struct hash_node node;
	uint32_t ids[]; /* ascending, none twice */
};

/* A reference to the set of these ids, in any order, repeats ignored; n may be 0. NULL with errno
 * ENOMEM. */
const struct group_set *group_set_get(const uint32_t *ids, uint32_t n);
const struct group_set *group_set_ref(const struct group_set *set);
/* The last one frees it after a grace period: `defer` is rcu_defer, or NULL where there are no
 * readers. */
void group_set_put(const struct group_set *set, void (*defer)(void (*fn)(void *), void *arg));

/* What interns sets of groups: sorts ids and drops repeats, returns how many are left; their hash.
 */
uint32_t group_ids_normalise(uint32_t *ids, uint32_t n);
uint32_t group_ids_hash(const uint32_t *ids, uint32_t n);

#endif
