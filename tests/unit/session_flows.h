/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SESSION_FLOWS_H
#define TESTS_SESSION_FLOWS_H
/* Flows for tests of the session table: number i stands for one flow, told from its keys again. */
#include <netinet/in.h>
#include <string.h>

#include "session/session.h"

#define FLOW_VPC 7u

static inline void flow_keys(uint32_t i, uint8_t proto, struct session_key key[2])
{
	rte_be32_t client = rte_cpu_to_be_32(0x0a000000u + (i >> 8)), server = RTE_BE32(0xc0000201);
	rte_be16_t port = rte_cpu_to_be_16((uint16_t)(1024 + (i & 255)));

	key[0] = session_key_v4(FLOW_VPC, proto, client, server, port, RTE_BE16(443));
	key[1] = session_key_v4(FLOW_VPC, proto, server, client, RTE_BE16(443), port);
}

static inline struct session_key flow_key(uint32_t i, unsigned int direction)
{
	struct session_key key[2];

	flow_keys(i, IPPROTO_UDP, key);
	return key[direction];
}

/* The flow whose key of that direction it is. */
static inline uint32_t flow_of(const struct session_key *key, unsigned int direction)
{
	rte_be32_t client = direction == 0 ? key->src : key->dst;
	rte_be16_t port = direction == 0 ? key->sport : key->dport;

	return (rte_be_to_cpu_32(client) - 0x0a000000u) << 8 | (rte_be_to_cpu_16(port) - 1024u);
}

static inline void flow_new(struct session_new *new, uint32_t i, uint8_t proto)
{
	struct session_key key[2];

	memset(new, 0, sizeof(*new));
	flow_keys(i, proto, key);
	for (unsigned int d = 0; d < 2; d++) {
		new->dir[d].key = key[d];
		new->dir[d].out_vni = i;
	}
	new->vpc_index = FLOW_VPC;
}

static inline int flow_insert(uint32_t i, uint32_t *ref)
{
	struct session_new new;

	flow_new(&new, i, IPPROTO_UDP);
	return session_insert(&new, ref);
}

static inline uint32_t flow_lookup(uint32_t i, unsigned int direction)
{
	struct session_key key = flow_key(i, direction);

	return session_lookup(&key, session_hash(&key), NULL, NULL);
}

#endif
