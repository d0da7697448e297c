/* SPDX-License-Identifier: Apache-2.0 */
#include "session/hold.h"

static const struct session_hold_ops *owners[HOLD_MAX];

void session_hold_register(enum session_hold_kind kind, const struct session_hold_ops *ops)
{
	owners[kind] = ops;
}

static bool has(const struct session_hold *kept, const struct session_hold *hold, unsigned int kind)
{
	return kept != NULL && kept->id[kind] == hold->id[kind] &&
	       (kind != HOLD_NAT || kept->part == hold->part);
}

void session_hold_release(const struct session_hold *hold, const struct session_hold *kept)
{
	for (unsigned int kind = 0; kind < HOLD_MAX; kind++) {
		uint32_t id = hold->id[kind];

		if (id != 0 && !has(kept, hold, kind) && owners[kind] != NULL)
			owners[kind]->release(id, hold->part);
	}
}

void session_hold_foresee(const struct session_hold *hold, unsigned int step)
{
	for (unsigned int kind = 0; kind < HOLD_MAX; kind++)
		if (hold->id[kind] != 0 && owners[kind] != NULL && owners[kind]->foresee != NULL)
			owners[kind]->foresee(hold->id[kind], hold->part, step);
}

void session_hold_began(const struct session_hold *hold, uint32_t index)
{
	for (unsigned int kind = 0; kind < HOLD_MAX; kind++)
		if (hold->id[kind] != 0 && owners[kind] != NULL && owners[kind]->began != NULL)
			owners[kind]->began(hold->id[kind], index);
}

uint32_t session_hold_timeout_s(
	const struct session_hold *hold, uint8_t proto, uint8_t tcp_state, bool answered)
{
	uint32_t longest = 0;

	for (unsigned int kind = 0; kind < HOLD_MAX; kind++) {
		const struct session_hold_ops *o = owners[kind];
		uint32_t id = hold->id[kind], timeout_s;

		if (id == 0 || o == NULL || o->timeout_s == NULL)
			continue;
		timeout_s = o->timeout_s(id, proto, tcp_state, answered);
		longest = timeout_s > longest ? timeout_s : longest;
	}
	return longest;
}
