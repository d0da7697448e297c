/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From events to alerts. Some events are looked at again after a moment, when answers had time to come; what was told
 * is not told again within its window; and there is a limit to all of it.
 */
#ifndef INSPECTD_ALERTS_H
#define INSPECTD_ALERTS_H

#include <stdint.h>

#include "attach.h"
#include "evidence.h"
#include "link.h"

/* Answers have this long to come: well above a round trip, well below the time in which a port must be cut. */
#define ALERTS_GRACE_MS 80
#define ALERTS_PENDING 256
#define ALERTS_TOLD 4096
#define ALERTS_PER_S 50
#define ALERTS_BURST 200

struct alerts_told {
	uint64_t until_ns; /* 0: free */
	union sight_addr source, target;
	uint32_t vni, detector;
};

struct alerts_pending {
	uint64_t due_ns;
	uint32_t instance; /* of the dataplane that fed it */
	struct sight_event event;
};

struct alerts {
	const struct programs *programs;
	const struct rules *rules;
	struct link *link;
	const struct attachment *ports; /* that are watched directly */
	size_t port_count;
	struct event *timer;
	struct alerts_told told[ALERTS_TOLD];
	struct alerts_pending pending[ALERTS_PENDING];
	unsigned pending_count;
	uint64_t bucket_ns, bucket;
	uint64_t raised, repeated, answered, limited;
};

int alerts_start(struct alerts *a, struct event_base *base);
void alerts_stop(struct alerts *a);
void alerts_take(struct alerts *a, const struct sight_event *event);
/* What goes on is told once more: of what was told before, the dataplane no longer knows whose it was. */
void alerts_forget(struct alerts *a);

#endif
