/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Detectors of what is begun and not answered: scans, sweeps, SYN floods. */
#ifndef EBPF_DETECT_SCAN_H
#define EBPF_DETECT_SCAN_H

#include "spread.h"

EVENT_INLINE bool is_on(const struct sight_vpc *vpc, __u32 detector)
{
	return vpc->rules[detector].threshold > 0;
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

#endif
