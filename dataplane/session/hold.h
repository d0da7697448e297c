/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_HOLD_H
#define SESSION_HOLD_H
/* What sessions hold of services while they live: a NAT binding, a connection of a back end. A word each, whose meaning is its
 * owner's; 0: nothing. A binding may say in a second word which part of it is the session's. Who fills struct flow's `hold` has taken it; it is released exactly once, when the session is removed, or
 * when the flow became no session.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum session_hold_kind { HOLD_NAT, HOLD_LB, HOLD_MAX };

struct session_hold {
	uint32_t id[HOLD_MAX];
	uint32_t part; /* of id[HOLD_NAT] */
};
_Static_assert(sizeof(struct session_hold) == 12, "compared: no padding");

struct session_hold_ops {
	/* Any thread, inside an RCU read section. Neither waits nor allocates. */
	void (*release)(uint32_t id, uint32_t part);
	/* What release() will touch is asked for, in two steps, the second when the lines of the first are there. NULL: nothing. */
	void (*foresee)(uint32_t id, uint32_t part, unsigned int step);
	/* Idle time until removal; 0: the node's own. NULL: always that. Control thread. `tcp_state` as in tcp.h. */
	uint32_t (*timeout_s)(uint32_t id, uint8_t proto, uint8_t tcp_state, bool answered);
	/* The session `index` lives and holds it. NULL: nobody asks. The inserting thread. */
	void (*began)(uint32_t id, uint32_t index);
};

/* One owner a kind; at start, from a constructor (HOLD_OWNER). */
void session_hold_register(enum session_hold_kind kind, const struct session_hold_ops *ops);
#define HOLD_OWNER(kind, ops)                                                                      \
	__attribute__((constructor)) static void kind##_owner_register(void)                       \
	{                                                                                          \
		session_hold_register(kind, ops);                                                  \
	}

/* Releases what `hold` has and `kept` (NULL: nothing) has not. */
void session_hold_release(const struct session_hold *hold, const struct session_hold *kept);
/* It will be released soon: steps 0 and 1, while others' lines are on their way. */
void session_hold_foresee(const struct session_hold *hold, unsigned int step);
/* The session `index` lives and has `hold`. By then another thread may already have removed it again. */
void session_hold_began(const struct session_hold *hold, uint32_t index);
/* The longest idle time that an owner asks for; 0: the node's own. Control thread. */
uint32_t session_hold_timeout_s(
	const struct session_hold *hold, uint8_t proto, uint8_t tcp_state, bool answered);

static inline bool session_hold_any(const struct session_hold *hold)
{
	return (hold->id[HOLD_NAT] | hold->id[HOLD_LB]) != 0;
}

#endif
