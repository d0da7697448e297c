/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The detectors. Each looks at one packet of a flow and at a table; docs/inspection.md says what each means. */
#ifndef EBPF_DETECT_H
#define EBPF_DETECT_H

#include <bpf/bpf_endian.h>

#include "dns.h"
#include "spread.h"

EVENT_INLINE bool is_on(const struct sight_vpc *vpc, __u32 detector)
{
	return vpc->rules[detector].threshold > 0;
}

/* RFC 1918, 6598, 3927, 1122, 5771 and broadcast; RFC 4193, 4291. */
EVENT_INLINE bool is_private(const union sight_addr *a)
{
	__u8 b = a->b[12], c = a->b[13];

	if (a->d[0] != 0 || a->b[10] != 0xff)
		return (a->b[0] & 0xfe) == 0xfc || a->b[0] == 0xff ||
		       (a->b[0] == 0xfe && a->b[1] >> 6 == 2) || (a->d[0] == 0 && a->w[2] == 0);
	return b == 10 || (b == 172 && c >> 4 == 1) || (b == 192 && c == 168) ||
	       (b == 100 && c >> 6 == 1) || (b == 169 && c == 254) || b == 127 || b == 0 ||
	       b >= 224;
}

/* Is it an address of the VPC? */
DETECTOR int is_inside(struct sight_vpc *vpc, __u32 vni, union sight_addr *address)
{
	struct sight_prefix_key key = {.prefix_bits = 32 + 128, .vni = bpf_htonl(vni)};

	if (vpc == NULL || address == NULL)
		return 0;
	if (!vpc->has_prefixes)
		return is_private(address);
	key.address = *address;
	return bpf_map_lookup_elem(&prefixes, &key) != NULL;
}

EVENT_INLINE bool leaves(struct sight_vpc *vpc, struct sight_case *c)
{
	return !is_inside(vpc, c->key.vni, &c->key.destination) &&
	       is_inside(vpc, c->key.vni, &c->key.source);
}

/* ---- scans: what was begun and never answered ---- */

EVENT_INLINE void touch(
	struct spread_touch *t, const struct sight_case *c, __u32 detector, __u8 kind, __u32 thing)
{
	*t = (struct spread_touch){
		.key = {.source = c->key.source, .vni = c->key.vni, .kind = kind},
		.thing = thing,
		.detector = detector};
	if (kind == SIGHT_SPREAD_PORTS)
		t->key.destination = c->key.destination;
	if (kind == SIGHT_SPREAD_HOSTS)
		t->key.port = c->key.destination_port;
	if (kind == SIGHT_SPREAD_PORTS || kind == SIGHT_SPREAD_HOSTS)
		t->key.protocol = c->key.protocol;
}

EVENT_INLINE bool has_ports(__u8 protocol)
{
	return protocol == PARSE_TCP || protocol == PARSE_UDP;
}

DETECTOR int detect_scans(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	struct spread_touch t;
	__u32 host;

	if (c == NULL || p == NULL || vpc == NULL)
		return 0;
	host = spread_hash(&c->key.destination);
	if (has_ports(c->key.protocol)) {
		if (is_on(vpc, SIGHT_PORT_SCAN)) {
			touch(&t, c, SIGHT_PORT_SCAN, SIGHT_SPREAD_PORTS, c->key.destination_port);
			spread_mark(c, p, vpc, &t);
		}
		if (is_on(vpc, SIGHT_HOST_SCAN)) {
			touch(&t, c, SIGHT_HOST_SCAN, SIGHT_SPREAD_HOSTS, host);
			spread_mark(c, p, vpc, &t);
		}
	} else if (is_on(vpc, SIGHT_ICMP_SWEEP) && p->icmp_type == (p->family == 4 ? 8 : 128)) {
		touch(&t, c, SIGHT_ICMP_SWEEP, SIGHT_SPREAD_ECHO, host);
		spread_mark(c, p, vpc, &t);
	}
	return 0;
}

/* TCP: data flows (a scanner that only connects has none), for hosts already a whole handshake; others: an answer. */
DETECTOR int clear_scans(struct sight_case *c)
{
	bool tcp, udp;
	struct spread_touch t;
	__u32 host;

	if (c == NULL)
		return 0;
	tcp = c->key.protocol == PARSE_TCP;
	udp = c->key.protocol == PARSE_UDP;
	host = spread_hash(&c->key.destination);
	if ((tcp && (c->news & FLOW_PAYLOAD)) || (udp && (c->news & FLOW_ANSWERED))) {
		touch(&t, c, 0, SIGHT_SPREAD_PORTS, c->key.destination_port);
		spread_clear(&t);
	}
	if ((tcp && (c->news & FLOW_ESTABLISHED)) || (udp && (c->news & FLOW_ANSWERED))) {
		touch(&t, c, 0, SIGHT_SPREAD_HOSTS, host);
		spread_clear(&t);
	}
	if (!tcp && !udp && (c->news & FLOW_ANSWERED)) {
		touch(&t, c, 0, SIGHT_SPREAD_ECHO, host);
		spread_clear(&t);
	}
	return 0;
}

/* ---- SYN flood: handshakes begun and not completed ---- */

DETECTOR int detect_flood(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	static const struct sight_flood zero;
	const struct sight_rule *rule;
	struct sight_flood_key key = {};
	struct sight_flood *f;
	struct sight_event *e;
	__u32 half_open;

	if (c == NULL || p == NULL || vpc == NULL)
		return 0;
	rule = &vpc->rules[SIGHT_SYN_FLOOD];
	key.destination = c->key.destination;
	key.vni = c->key.vni;
	key.sender = p->sender;
	key.port = c->key.destination_port;
	f = entry_get(&floods, &key, &zero);
	if (f == NULL)
		return 0;
	if (p->time_ns - f->start_ns >= window_ns(rule)) {
		f->start_ns = p->time_ns;
		f->syns = f->done = 0;
	}
	if (c->news & FLOW_ESTABLISHED) {
		if (c->first_ns >= f->start_ns)
			f->done += c->syns;
		return 0;
	}
	f->syns++;
	half_open = f->syns > f->done ? f->syns - f->done : 0;
	if (half_open < rule->threshold || half_open * 2 < f->syns ||
		!event_due(&f->event_ns, p->time_ns))
		return 0;
	e = event_begin(c, p, vpc, SIGHT_SYN_FLOOD, half_open);
	if (e != NULL)
		event_end(e, &f->event_ns);
	return 0;
}

/* ---- first contact between peers ---- */

DETECTOR int detect_contact(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	struct sight_contact_key key = {};
	struct sight_contact value;
	struct spread_touch t;

	if (c == NULL || p == NULL || vpc == NULL)
		return 0;
	key.source = c->key.source;
	key.destination = c->key.destination;
	key.vni = c->key.vni;
	value.first_ns = p->time_ns;
	if (bpf_map_lookup_elem(&contacts, &key) != NULL || !is_inside(vpc, key.vni, &key.source) ||
		!is_inside(vpc, key.vni, &key.destination))
		return 0;
	bpf_map_update_elem(&contacts, &key, &value, BPF_ANY);
	if (p->time_ns < vpc->learn_until_ns)
		return 0;
	touch(&t, c, SIGHT_FIRST_CONTACT, SIGHT_SPREAD_PEERS, spread_hash(&key.destination));
	return spread_mark(c, p, vpc, &t);
}

/* ---- contact with a listed address ---- */

EVENT_INLINE const __u32 *indicator_find(const union sight_addr *address)
{
	struct sight_indicator_key key = {.prefix_bits = 128, .address = *address};

	return bpf_map_lookup_elem(&indicators, &key);
}

/* The listed side is the target, whoever began. */
DETECTOR int detect_indicator(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	const __u32 *list;
	struct sight_event *e;
	bool began = false;
	__u64 told;

	if (c == NULL || p == NULL || vpc == NULL)
		return 0;
	list = indicator_find(&c->key.destination);
	if (list == NULL) {
		list = indicator_find(&c->key.source);
		began = true;
	}
	if (list == NULL)
		return 0;
	e = event_begin(c, p, vpc, SIGHT_INDICATOR, 1);
	if (e == NULL)
		return 0;
	e->list = *list;
	if (began) {
		e->source = c->key.destination;
		e->source_port = c->key.destination_port;
		e->target = c->key.source;
		e->target_port = c->key.source_port;
		e->port = c->news & FLOW_ANSWER ? p->sender : p->receiver;
	}
	event_end(e, &told);
	return 0;
}

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

/* ---- DNS tunnel ---- */

DETECTOR int parse_dns(struct sight_record *r, struct dns_question *q)
{
	return r != NULL && q != NULL && dns_parse(r->frame, &r->packet, q);
}

DETECTOR int detect_dns(struct sight_case *c, struct sight_record *r, struct sight_vpc *vpc)
{
	struct dns_question q = {};
	struct spread_touch t;

	if (c == NULL || r == NULL || vpc == NULL || !parse_dns(r, &q) || !dns_is_odd(&q))
		return 0;
	touch(&t, c, SIGHT_DNS_TUNNEL, SIGHT_SPREAD_NAMES, q.name >> 8);
	if (q.domain != 0)
		t.key.destination.w[0] = q.domain;
	else
		t.key.destination = c->key.destination;
	return spread_mark(c, &r->packet, vpc, &t);
}

/* ---- all of them ---- */

EVENT_INLINE void detect_beginning(
	struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	detect_scans(c, p, vpc);
	if (is_on(vpc, SIGHT_FIRST_CONTACT))
		detect_contact(c, p, vpc);
	if (is_on(vpc, SIGHT_BEACON) && has_ports(c->key.protocol))
		detect_beacon(c, p, vpc);
}

EVENT_INLINE void detect_progress(
	struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	bool syn = p->protocol == PARSE_TCP && !(c->news & FLOW_ANSWER) &&
		   (p->tcp_flags & (SIGHT_SYN | SIGHT_ACK)) == SIGHT_SYN;

	if (c->state & SIGHT_FLOW_MIDDLE)
		return;
	if (c->news & (FLOW_ESTABLISHED | FLOW_PAYLOAD | FLOW_ANSWERED))
		clear_scans(c);
	if (is_on(vpc, SIGHT_SYN_FLOOD) && (syn || (c->news & FLOW_ESTABLISHED)))
		detect_flood(c, p, vpc);
}

EVENT_INLINE bool is_question(const struct sight_case *c, const struct sight_packet *p)
{
	return p->protocol == PARSE_UDP && p->destination_port == 53 && !(c->news & FLOW_ANSWER);
}

DETECTOR int detect_all(struct sight_case *c, struct sight_record *r, struct sight_vpc *vpc)
{
	if (c == NULL || r == NULL || vpc == NULL)
		return 0;
	if (c->news & FLOW_FRESH)
		detect_beginning(c, &r->packet, vpc);
	detect_progress(c, &r->packet, vpc);
	if (is_on(vpc, SIGHT_INDICATOR) && (c->news & FLOW_UNLISTED))
		detect_indicator(c, &r->packet, vpc);
	if (is_on(vpc, SIGHT_VOLUME))
		detect_volume(c, &r->packet, vpc);
	if (is_on(vpc, SIGHT_DNS_TUNNEL) && is_question(c, &r->packet))
		detect_dns(c, r, vpc);
	return 0;
}

#endif
