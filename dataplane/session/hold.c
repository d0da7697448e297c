/* SPDX-License-Identifier: Apache-2.0 */
#include "session/hold.h"

static const struct session_hold_ops *owners[HOLD_MAX];

void session_hold_register(enum session_hold_kind kind, const struct session_hold_ops *ops)
{
	owners[kind] = ops;
}

void session_hold_release(const struct session_hold *hold, const struct session_hold *kept)
{
	for (unsigned int kind = 0; kind < HOLD_MAX; kind++) {
		uint32_t id = hold->id[kind];

		if (id != 0 && (kept == NULL || kept->id[kind] != id) && owners[kind] != NULL)
			owners[kind]->release(id);
	}
}
