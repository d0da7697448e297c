/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Counting different things: ports, hosts, names. A thing is a bit chosen by its hash. Who is answered as a friend is
 * loses the bit again, so that what remains open after a window is what a scan leaves behind.
 */
#ifndef EBPF_SPREAD_H
#define EBPF_SPREAD_H

#include "event.h"
#include "flow.h"

static const struct sight_spread spread_zero;

/* murmur3's finalizer: neighbours differ in the last byte only, which is the highest of its word. */
EVENT_INLINE __u32 spread_hash(const union sight_addr *a)
{
	__u64 h = a->d[0] * 0x9e3779b97f4a7c15ULL ^ a->d[1];

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return (__u32)(h >> 33);
}

EVENT_INLINE bool bit_set(__u64 *bits, __u32 thing, __u32 *number)
{
	__u32 word = (thing % SIGHT_SPREAD_BITS) / 64;
	__u64 mask = 1ULL << (thing % 64);

	if (bits[word] & mask)
		return false;
	bits[word] |= mask;
	(*number)++;
	return true;
}

EVENT_INLINE void bit_clear(__u64 *bits, __u32 thing, __u32 *number)
{
	__u32 word = (thing % SIGHT_SPREAD_BITS) / 64;
	__u64 mask = 1ULL << (thing % 64);

	if (!(bits[word] & mask))
		return;
	bits[word] &= ~mask;
	if (*number > 0)
		(*number)--;
}

EVENT_INLINE void bits_reset(__u64 *bits, __u32 *number)
{
	__builtin_memset(bits, 0, SIGHT_SPREAD_BITS / 8);
	*number = 0;
}

EVENT_INLINE void spread_turn(struct sight_spread *s, __u64 now, __u64 window)
{
	if (now - s->start_ns >= window) {
		bits_reset(s->seen_bits, &s->seen);
		bits_reset(s->open_bits, &s->open);
		s->start_ns = now;
	}
	if (now - s->slow_ns >= window * SIGHT_SLOW_WINDOWS) {
		bits_reset(s->slow_bits, &s->slow);
		s->slow_ns = now;
	}
}

/* How many make an alert; 0: none yet. Those left open must be at least half of all. */
EVENT_INLINE __u32 spread_verdict(
	const struct sight_spread *s, __u32 kind, __u32 threshold, bool *slow)
{
	*slow = false;
	if (kind == SIGHT_SPREAD_NAMES || kind == SIGHT_SPREAD_PEERS)
		return s->seen >= threshold ? s->seen : 0;
	if (s->open >= threshold && s->open * 2 >= s->seen)
		return s->open;
	*slow = kind == SIGHT_SPREAD_PORTS;
	return *slow && s->slow >= threshold * SIGHT_SLOW_FACTOR ? s->slow : 0;
}

/* New peers come once: as many as a person reads are told each, and not only the first of a moment. */
#define SPREAD_PEERS_TOLD 16

EVENT_INLINE bool spread_is_due(struct sight_spread *s, __u32 kind, __u64 now)
{
	return event_due(&s->event_ns, now) ||
	       (kind == SIGHT_SPREAD_PEERS && s->seen <= SPREAD_PEERS_TOLD);
}

struct spread_touch {
	struct sight_spread_key key;
	__u32 thing; /* a hash of it */
	__u32 detector;
};

/* Marks a thing touched; tells when there are too many. */
DETECTOR int spread_mark(
	struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc, struct spread_touch *t)
{
	const struct sight_rule *rule;
	struct sight_spread *s;
	struct sight_event *e;
	__u32 number, detector;
	bool slow;

	if (c == NULL || p == NULL || vpc == NULL || t == NULL)
		return 0;
	detector = t->detector;
	PARSE_OPAQUE(detector);
	if (detector >= SIGHT_DETECTORS)
		return 0;
	s = entry_get(&spreads, &t->key, &spread_zero);
	if (s == NULL)
		return 0;
	rule = &vpc->rules[detector];
	/* The window of first contacts is how long they are remembered; they are counted by the minute. */
	spread_turn(s, p->time_ns,
		t->key.kind == SIGHT_SPREAD_PEERS ? 60000000000ULL : window_ns(rule));
	bit_set(s->seen_bits, t->thing, &s->seen);
	bit_set(s->open_bits, t->thing, &s->open);
	if (t->key.kind == SIGHT_SPREAD_PORTS)
		bit_set(s->slow_bits, t->thing, &s->slow);
	number = spread_verdict(s, t->key.kind, rule->threshold, &slow);
	if (number == 0 || !spread_is_due(s, t->key.kind, p->time_ns))
		return 0;
	e = event_begin(c, p, vpc, detector, number);
	if (e == NULL)
		return 0;
	e->slow = slow;
	e->spread = t->key;
	event_end(e, &s->event_ns);
	return 0;
}

/* It was answered: nothing to be suspicious of. */
DETECTOR int spread_clear(struct spread_touch *t)
{
	struct sight_spread *s;

	if (t == NULL)
		return 0;
	s = bpf_map_lookup_elem(&spreads, &t->key);
	if (s == NULL)
		return 0;
	bit_clear(s->open_bits, t->thing, &s->open);
	if (t->key.kind == SIGHT_SPREAD_PORTS)
		bit_clear(s->slow_bits, t->thing, &s->slow);
	return 0;
}

#endif
