/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_PARKED_H
#define SESSION_PARKED_H
/* Sessions of a port that moves to another node stay until they were copied there.
 *
 * From parked_add() on, while the port is still here, a session that enters or leaves by it is not removed when nothing leads it on
 * any more (its packets are dropped all the same); what rules refuse is removed as ever. parked_remove() or PARKED_MS
 * later the sweep takes what is left.
 *
 * Threads: the control thread changes; workers ask parked_holds() about sessions that are stale.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/location.h"
#include "session/port_marks.h"
#include "session/session.h"

#define PARKED_MS 10000u

extern struct port_marks parked_marks;

static inline bool parked_holds(loc_t in, loc_t out)
{
	return port_marks_any(&parked_marks) &&
	       (port_marks_has(&parked_marks, in) || port_marks_has(&parked_marks, out));
}

struct parked;

/* `port`, here, is about to move. Again: its time begins anew. -ENOENT: no tenant's port of that name; -ENOMEM. */
int parked_add(const char *port, uint32_t now_ms);
/* By name, NULL: there is none. */
struct parked *parked_find(const char *port);
/* Is the port gone (its sessions rest) yet? */
bool parked_has_left(const struct parked *parked);
/* Gives it another PARKED_MS. */
void parked_keep(struct parked *parked, uint32_t now_ms);
/* Whether one end of a session is, or was, the port; and whether that is the initiator's. */
bool parked_matches(const struct parked *parked, uint32_t index, bool *initiator);
void parked_remove(struct parked *parked);
/* Lets go of what nobody asks for. By a timer. */
void parked_turn(uint32_t now_ms);

#endif
