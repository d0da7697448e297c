/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORWARD_RECOVER_H
#define FORWARD_RECOVER_H
/* TCP connections in progress whose sessions this node does not have: for a while after its start, and of a port that
 * came from another node without them, a segment from their middle makes a session where rules would admit the connection.
 *
 * Nobody knows who began it. The side with the higher port is taken for the client first (RFC 6056), then the other; so the
 * server's segment is asked for by the rules that the client's SYN was. What rules have refused or cut while a window is
 * open is remembered (by hash: now and then another connection is not picked up, none is wrongly), so it does not resume when
 * a rule returns.
 *
 * Threads: the control thread opens and closes windows; workers ask.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/road.h"
#include "session/session.h"

/* For the whole node, from now on. 0: never. Also what recover_port() opens. */
void recover_start(uint32_t seconds, uint32_t now_ms);
/* For flows of one port. */
void recover_port(loc_t port, uint32_t now_ms);
/* Closes what is over. By a timer. */
void recover_turn(uint32_t now_ms);

bool recover_is_open(void);

/* `packet`: a segment from the middle, as it arrives. Walks for the connection it is of; true: admitted, `f` is its verdict,
 * of the client's direction. Else f->reason says why not. */
bool recover_walk(const struct flow *packet, struct flow *f);

/* Rules refuse the connection of these keys, of one direction or both. */
void recover_note_refused(const struct session_key *key);
bool recover_was_refused(const struct session_key *key);

#endif
