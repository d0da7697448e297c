/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_BUSIEST_H
#define SESSION_BUSIEST_H
/* The busiest flows, by what the clock hand (session_sweep) sees of their counters from one turn to the next: no pass over the
 * table of its own, and nothing at all while nobody asks. Control thread.
 *
 * While it is on, a session's last counters are kept beside it (16 bytes, demand-paged). */
#include <stdbool.h>
#include <stdint.h>

#define BUSIEST_MAX 128u

struct busy_session {
	uint32_t index, created_ms; /* the session, if it still lives and began then */
	double packets_per_s, bytes_per_s;
};

/* Somebody looks: measures from now on, until nobody has asked for a while. */
void busiest_ask(uint32_t now_ms);
/* The busiest of the last whole turn, the busiest first; their number. */
unsigned int busiest_list(struct busy_session *list);

/* For the clock hand. */
extern bool busiest_on;
void busiest_visit(uint32_t index, uint32_t now_ms);
/* A turn of the hand is over. */
void busiest_turned(uint32_t now_ms);

#endif
