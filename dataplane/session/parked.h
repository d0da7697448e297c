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

#include <sys/queue.h>

#include "base/hash_table.h"
#include "core/location.h"
#include "port/port.h"
#include "session/port_marks.h"
#include "session/session.h"

#define PARKED_MS 30000u

extern struct port_marks parked_marks;

static inline bool parked_holds(loc_t in, loc_t out)
{
	return port_marks_any(&parked_marks) &&
	       (port_marks_has(&parked_marks, in) || port_marks_has(&parked_marks, out));
}

enum parked_pass { PARKED_LATELY, PARKED_REST, PARKED_PASSES };

/* Sessions of one port, as they were found. */
struct parked_list {
	uint32_t *indexes;
	uint32_t n, room;
};

struct parked {
	LIST_ENTRY(parked) link;
	struct hash_node by_name;
	char name[PORT_NAME_MAX];
	loc_t where;
	uint32_t vpc_index;
	uint32_t until_ms;
	enum { PARKED_NEW, PARKED_LOOKING, PARKED_FOUND } state;
	struct parked_list found[PARKED_PASSES];
	/* A session between two ports of this node leads into a tunnel once one of them has left: known by its addresses. */
	struct parked_address *addresses;
	uint32_t n_addresses;
	bool wide; /* some of `prefixes` are networks */
	uint32_t n_prefixes;
	struct ip_prefix prefixes[];
};

/* `port`, here, is about to move. Again: its time begins anew. -ENOENT: no tenant's port of that name; -ENOMEM. */
int parked_add(const char *port, uint32_t now_ms);
/* By name, NULL: there is none. */
struct parked *parked_find(const char *port);
struct parked *parked_next(const struct parked *previous);
/* Is the port gone (its sessions rest) yet? */
bool parked_has_left(const struct parked *parked);
/* Gives it another PARKED_MS. */
void parked_keep(struct parked *parked, uint32_t now_ms);
/* Whether one end of a session is, or was, the port; and whether that is the initiator's. */
bool parked_matches(const struct parked *parked, uint32_t index, bool *initiator);
/* Calls fn for each that the session may be of; more than once, or for too many. */
void parked_each_of(
	uint32_t index, void (*fn)(struct parked *parked, uint32_t index, void *arg), void *arg);
void parked_remove(struct parked *parked);
/* Lets go of what nobody asks for. By a timer. */
void parked_turn(uint32_t now_ms);

/*
 * Looking for their sessions: one walk over the table serves all ports that have left by its beginning, however many.
 * What lately carried packets is listed apart: somebody waits for that.
 */
#define PARKED_LATELY_MS 3000u

/* Walks that have ended. */
extern uint32_t parked_walks;

/* Walks on, over so many records at most; inside an RCU read section. True while there is more to do: then some of the parked ones
 * are PARKED_LOOKING, or will be. */
bool parked_look(uint32_t visits, uint32_t now_ms);

#endif
