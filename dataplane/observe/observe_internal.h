/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBSERVE_OBSERVE_INTERNAL_H
#define OBSERVE_OBSERVE_INTERNAL_H
/* What the parts of observe/ know of each other. */
#include "core/worker.h"
#include "observe/fate.h"
#include "observe/observe.h"

struct observer {
	/* What workers read for each packet. Immutable. */
	uint8_t id;
	uint8_t directions;
	uint32_t sample;
	uint32_t snaplen;
	uint64_t reference; /* id and a number that is not used again */
	struct packet_filter *filter;
	const struct observe_sink *sink;
	void *context;
	struct observe_tally *tallies; /* [worker_count] */
	struct ring **rings;           /* [worker_count], if its sink has `record`; else NULL */
	/* Control thread. */
	struct observe_scope *scopes;
	unsigned int n_scopes;
	char except[PORT_NAME_MAX];
	unsigned int n_ports;
	/* Sight thread. */
	bool unflushed;
	_Atomic bool ending; /* nothing comes any more: set by the control thread */
	unsigned int first_ring;
	int64_t credit; /* TSC ticks that it may use now; negative: that it owes */
	_Atomic uint64_t lost_later;
};

/* What one worker counts. Written by it. */
struct observe_tally {
	struct observe_counters count;
	uint32_t passed; /* the filter since the last that was taken */
} __rte_cache_aligned;

/* By id. Workers read it under RCU. */
extern struct observer *_Atomic observers[OBSERVERS_MAX];

/* scope.c: sets the ports' masks by all observers' scopes. */
void scope_resolve(void);
/* names.c: what ports are called now. */
void names_refresh(void);

/* What lies in a ring. */
struct sight_record {
	struct observe_meta meta;
	uint8_t data[];
};

/* drain.c. Sight thread: the observer's turn; 0: there was nothing to do. Has it nothing more in its rings? */
unsigned int drain_turn(struct observer *o);
bool drain_is_over(const struct observer *o);

/*
 * sight.c. Control thread.
 */
/* The thread is there. 0 or -errno. */
int sight_start(void);
/* From now on records of it may come; not any more: closes it when the rings have nothing of it. No worker puts any. */
void sight_open(struct observer *o);
void sight_close(struct observer *o);
/* Is it closed since sight_close()? True once. */
bool sight_has_closed(unsigned int id);
/* Worker: something is in a ring. */
void sight_wake(void);

/* observer.c: the end of one that nobody has in hand. Any thread. */
void observer_destroy(struct observer *o);

#endif
