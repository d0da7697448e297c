/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_ACCOUNT_H
#define SESSION_ACCOUNT_H
/* Whom flows are billed to: objects whose usage is what their sessions have carried, at no cost a packet.
 *
 * A stage names the accounts of a flow: flow_account() (core/road.h). The sessions' clock hand, and who removes a session, add
 * what has passed since they last did. So the figures are about a second old, exact once a session has ended, and never fall.
 *
 *	id = account_new();                    // prepare
 *	flow_account(f, id, true);             // the stage
 *	account_figures(id)                    // USAGE_SOURCE
 *	account_close(id, ended, object);      // after the bump that sends its flows elsewhere
 */
#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_NONE 0u
#define ACCOUNTS_MAX 32768u
#define ACCOUNT_INWARD 0x8000u /* in a session's list: direction 0 is towards the owner */

#define SESSION_ACCOUNTS 4
struct session_account {
	uint16_t id[SESSION_ACCOUNTS]; /* then 0 */
	/* Of each direction, what has been added. Who adds moves them forward; any thread. */
	_Atomic uint32_t packets[2];
	_Atomic uint64_t bytes[2];
};
_Static_assert(sizeof(struct session_account) == 32, "half a cache line");

struct account_figures { /* IP packets; in: towards the owner, a VPC; out: from it */
	uint64_t in_packets, in_bytes, out_packets, out_bytes;
};

/* ACCOUNT_NONE: all are taken. Control thread. */
uint16_t account_new(void);
struct account_figures account_figures(uint16_t id);
/* `ended` (or NULL) is called when no session names it any more and all is added, some seconds later; then the id is used again.
 * Control thread. */
void account_close(uint16_t id, void (*ended)(void *arg), void *arg);
/* Some wait for that. */
bool account_waits(void);

/*
 * For who keeps sessions.
 */
/* Adds what has passed. Any thread inside an RCU read section. */
void account_settle(uint32_t index);
/* The session is billed to these from now on; what has passed already is not theirs. */
void account_begin(uint32_t index, const uint16_t ids[SESSION_ACCOUNTS]);
/* The clock hand has been round. Control thread. */
void account_turned(void);

#endif
