/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_USAGE_INTERNAL_H
#define CONTROLLER_USAGE_INTERNAL_H
/* Of usage.c, usage_list.c and usage_backup.c. */
#include "usage.h"
#include "usage_table.h"

struct event;

struct usage_waiter {
	usage_fn done;
	void *arg;
};

struct usage {
	struct controller *c;
	struct usage_table table;
	struct usage_store *store;
	struct event *timer, *writer;
	struct usage_row *next; /* to be written; NULL: all are */
	unsigned round;
	bool busy;         /* a round is under way */
	bool stopped;      /* no more of them */
	uint64_t fresh_ms; /* when a round was stored; 0: never */
	struct usage_waiter *waiters;
	size_t waiter_count, waiter_room;
};

/* All that is dirty goes into the store's open transaction. */
void usage_write_now(struct usage *usage);
/* CLOCK_REALTIME. */
int64_t usage_now_ms(void);

#endif
