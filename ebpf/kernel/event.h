/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Events to vpc-inspectd. When the ring is full they are counted, told again later, and less is looked at. */
#ifndef EBPF_EVENT_H
#define EBPF_EVENT_H

#include "maps.h"
#include "parse.h"

enum flow_news {
	FLOW_FRESH = 1 << 0,       /* begins */
	FLOW_ANSWER = 1 << 1,      /* the packet comes from the side that did not begin */
	FLOW_ESTABLISHED = 1 << 2, /* TCP: who began completes the handshake */
	FLOW_PAYLOAD = 1 << 3,     /* TCP: the first data of either side */
	FLOW_ANSWERED = 1 << 4,    /* the first answer */
	FLOW_UNLISTED = 1 << 5,    /* not compared yet with the present lists of indicators */
};

/*
 * What is known of a packet's flow. Detectors are global functions, each verified once by the kernel and on its own:
 * they get plain memory, never a structure with pointers.
 */
struct sight_case {
	struct sight_flow_key key; /* from who began to who answers */
	__u64 number;              /* of the record */
	__u64 first_ns;            /* of the flow */
	__u32 news;                /* enum flow_news */
	__u32 weight;              /* packets that this one stands for */
	__u32 syns;                /* of the flow */
	__u32 state;               /* enum sight_flow_state */
};

/* A function that the verifier checks on its own. */
#define DETECTOR __attribute__((noinline))
#define EVENT_INLINE static inline __attribute__((always_inline))

EVENT_INLINE void event_lost(__u64 now)
{
	struct sight_state *s = state_get();

	count(SIGHT_COUNT_LOST);
	if (s == NULL || now - s->lost_ns < SIGHT_EVENT_GAP_NS)
		return;
	s->lost_ns = now;
	if (s->shift < SIGHT_SHIFT_MAX)
		s->shift++;
}

/* May an entry tell again? Sets when it told last. */
EVENT_INLINE bool event_due(__u64 *event_ns, __u64 now)
{
	return *event_ns == 0 || now - *event_ns >= SIGHT_EVENT_GAP_NS;
}

/* Of the flow, from who began: room for an event, or NULL, counted. */
EVENT_INLINE struct sight_event *event_begin(const struct sight_case *c,
	const struct sight_packet *p, const struct sight_vpc *vpc, __u32 detector, __u32 number)
{
	struct sight_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	bool answer = c->news & FLOW_ANSWER;

	if (e == NULL) {
		event_lost(p->time_ns);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = p->time_ns;
	e->record = c->number;
	e->source = c->key.source;
	e->target = c->key.destination;
	e->source_port = c->key.source_port;
	e->target_port = c->key.destination_port;
	e->protocol = c->key.protocol;
	e->vni = p->vni;
	e->port = answer ? p->receiver : p->sender;
	e->detector = detector;
	e->count = number;
	e->window_s = vpc->rules[detector].window_s;
	return e;
}

EVENT_INLINE void event_end(struct sight_event *e, __u64 *event_ns)
{
	*event_ns = e->time_ns;
	bpf_ringbuf_submit(e, 0);
	count(SIGHT_COUNT_EVENTS);
}

EVENT_INLINE __u64 window_ns(const struct sight_rule *rule)
{
	return (__u64)rule->window_s * 1000000000ULL;
}

#endif
