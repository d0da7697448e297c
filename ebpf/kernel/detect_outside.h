/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Detectors of what leaves the VPC: beacons, volume. */
#ifndef EBPF_DETECT_OUTSIDE_H
#define EBPF_DETECT_OUTSIDE_H

#include "detect_scan.h"
#include "inside.h"

/* ---- beacon: new flows to one service outside at even intervals ---- */

EVENT_INLINE void beacon_begin(struct sight_beacon *b, __u64 now)
{
	b->start_ns = b->last_ns = now;
	b->sum_ms = b->squares_ms = 0;
	b->intervals = b->crowded = 0;
}

/* Deviation of the intervals at most 1/6 of their mean: n * squares - sum^2 <= sum^2 / 40. */
EVENT_INLINE bool beacon_is_even(const struct sight_beacon *b)
{
	__u64 square = b->sum_ms * b->sum_ms;

	return b->intervals * b->squares_ms - square <= square / 40;
}

/* Takes a call at `now` into the series. True: there are enough of them to judge. */
EVENT_INLINE bool beacon_call(struct sight_beacon *b, __u64 now, const struct sight_rule *rule)
{
	__u64 interval = now - b->last_ns;

	if (b->last_ns == 0 || interval >= window_ns(rule)) {
		beacon_begin(b, now);
		return false;
	}
	if (interval < SIGHT_BEACON_MIN_NS) {
		/* Not a caller, but a client at work. */
		if (++b->crowded > b->intervals + 3)
			beacon_begin(b, now);
		return false;
	}
	interval /= 1000000;
	b->last_ns = now;
	b->sum_ms += interval;
	b->squares_ms += interval * interval;
	return ++b->intervals + 1 >= rule->threshold;
}

DETECTOR int detect_beacon(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	static const struct sight_beacon zero;
	struct sight_beacon_key key = {};
	const struct sight_rule *rule;
	struct sight_beacon *b;
	struct sight_event *e;

	if (c == NULL || p == NULL || vpc == NULL || !leaves(vpc, c))
		return 0;
	rule = &vpc->rules[SIGHT_BEACON];
	key.source = c->key.source;
	key.destination = c->key.destination;
	key.vni = c->key.vni;
	key.port = c->key.destination_port;
	key.protocol = c->key.protocol;
	b = entry_get(&beacons, &key, &zero);
	if (b == NULL || !beacon_call(b, p->time_ns, rule))
		return 0;
	if (beacon_is_even(b) && p->time_ns - b->start_ns < window_ns(rule)) {
		e = event_begin(c, p, vpc, SIGHT_BEACON, b->intervals + 1);
		if (e != NULL)
			event_end(e, &b->event_ns);
	}
	beacon_begin(b, p->time_ns);
	return 0;
}

/* ---- volume: much more sent outside than usual and than received ---- */

EVENT_INLINE void volume_turn(struct sight_volume *v, __u64 now, __u64 window)
{
	if (now - v->start_ns < window)
		return;
	v->usual -= v->usual / 16;
	if (v->out > v->usual)
		v->usual = v->out;
	v->start_ns = now;
	v->out = v->in = 0;
}

EVENT_INLINE bool volume_is_odd(const struct sight_volume *v, __u32 threshold)
{
	return v->out >> 20 >= threshold && v->out >= v->usual * 4 && v->out >= v->in * 2;
}

DETECTOR int detect_volume(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	static const struct sight_volume zero;
	struct sight_volume_key key = {};
	const struct sight_rule *rule;
	struct sight_volume *v;
	struct sight_event *e;

	if (c == NULL || p == NULL || vpc == NULL || !leaves(vpc, c))
		return 0;
	rule = &vpc->rules[SIGHT_VOLUME];
	key.source = c->key.source;
	key.vni = c->key.vni;
	v = entry_get(&volumes, &key, &zero);
	if (v == NULL)
		return 0;
	volume_turn(v, p->time_ns, window_ns(rule));
	if (c->news & FLOW_ANSWER)
		v->in += (__u64)p->bytes * c->weight;
	else
		v->out += (__u64)p->bytes * c->weight;
	if (!volume_is_odd(v, rule->threshold) || !event_due(&v->event_ns, p->time_ns))
		return 0;
	e = event_begin(c, p, vpc, SIGHT_VOLUME, (__u32)(v->out >> 20));
	if (e != NULL)
		event_end(e, &v->event_ns);
	return 0;
}

#endif
