/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_PROBE_PATH_H
#define PROBE_PROBE_PATH_H
/* What is known about the way to one VTEP, and which probe is next: a state machine without clock, packets or tables.
 *
 *   UNKNOWN ─ answer ─→ UP ─ 3 unanswered ─→ DOWN ─ answer ─→ UP
 *      └─ 3 unanswered, where an answer can be expected ──↗
 *
 * The path MTU is found by asking with packets of that size (RFC 8899): first as large as our own underlay carries, then
 * by halves. A size has failed when three such packets are lost while a small one behind them is answered.
 */
#include <stdbool.h>
#include <stdint.h>

#define PROBE_INTERVAL_MS 1000u /* between signs of life; and how long one is waited for */
#define PROBE_LOST_MAX 3u
#define PROBE_SIZE_WAIT_MS 500u
#define PROBE_CONFIRM_MS 10000u /* the path MTU is still so much */
#define PROBE_RAISE_MS 60000u   /* a path that carries less may carry more by now */

enum probe_state { PROBE_UNKNOWN, PROBE_UP, PROBE_DOWN };

struct probe_path {
	enum probe_state state;
	uint32_t since_ms; /* of the state */
	uint32_t rtt_us;   /* smoothed; 0: not measured */
	uint16_t path_mtu; /* bytes of IP; 0: not known */
	bool quiet;        /* nobody promised to answer: silence from the beginning means nothing */
	uint16_t min;      /* size of a small probe */

	/* The probe that is under way. */
	bool waiting;
	uint16_t size; /* 0: a sign of life */
	uint32_t sent_ms, wait_ms;

	/* What comes next. */
	uint32_t pause_ms; /* between signs of life */
	uint32_t alive_ms, size_checked_ms, raised_ms;
	uint8_t lost;       /* signs of life in a row */
	uint8_t size_lost;  /* of one size in a row */
	bool verify;        /* a small one decides about a size that was lost too often */
	bool searching;     /* between these */
	uint16_t low, high; /* carried; not carried */
	uint16_t wanted;    /* the size under question */
};

/* What a step has changed. */
enum probe_change {
	PROBE_SAME,
	PROBE_CAME_UP = 1 << 0, /* from DOWN, or for the first time */
	PROBE_WENT_DOWN = 1 << 1,
	PROBE_MTU_FOUND = 1 << 2, /* path_mtu is another one */
};

/* `quiet`: see there. The first probe is due at once. */
void probe_path_start(struct probe_path *p, uint16_t min, bool quiet, uint32_t now_ms);
/* Is a probe due? Then it is taken as sent; p->size is its size, 0 for a small one. `max`: the largest our underlay carries.
 * *change: what it means that a probe is waited for no longer. */
bool probe_path_due(struct probe_path *p, uint16_t max, uint32_t now_ms, unsigned int *change);
/* The probe under way was answered. */
unsigned int probe_path_answered(struct probe_path *p, uint32_t rtt_us, uint32_t now_ms);

#endif
