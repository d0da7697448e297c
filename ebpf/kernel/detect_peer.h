/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Detectors of who speaks to whom: first contacts, listed addresses, DNS tunnels. */
#ifndef EBPF_DETECT_PEER_H
#define EBPF_DETECT_PEER_H

#include "detect_scan.h"
#include "dns.h"
#include "inside.h"

/* ---- first contact between peers ---- */

/* Have they spoken within the window? They have now. */
EVENT_INLINE bool contact_is_known(
	struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	struct sight_contact_key key = {
		.source = c->key.source, .destination = c->key.destination, .vni = c->key.vni};
	struct sight_contact now = {.last_ns = p->time_ns}, *old;
	__u64 idle_ns;

	old = bpf_map_lookup_elem(&contacts, &key);
	if (old != NULL) {
		idle_ns = p->time_ns - old->last_ns;
		old->last_ns = p->time_ns;
		return idle_ns < window_ns(&vpc->rules[SIGHT_FIRST_CONTACT]);
	}
	if (!is_inside(vpc, key.vni, &key.source) || !is_inside(vpc, key.vni, &key.destination))
		return true;
	bpf_map_update_elem(&contacts, &key, &now, BPF_ANY);
	return false;
}

/* Flows that ran before are no news. */
DETECTOR int detect_contact(struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	struct spread_touch t;

	if (c == NULL || p == NULL || vpc == NULL)
		return 0;
	if (contact_is_known(c, p, vpc) || (c->state & SIGHT_FLOW_MIDDLE) ||
		p->time_ns < vpc->learn_until_ns)
		return 0;
	touch(&t, c, SIGHT_FIRST_CONTACT, SIGHT_SPREAD_PEERS, spread_hash(&c->key.destination));
	return spread_mark(c, p, vpc, &t);
}

/* ---- contact with a listed address ---- */

/* In a list of this VPC. */
EVENT_INLINE const __u32 *indicator_find(__u32 vni, const union sight_addr *address)
{
	struct sight_prefix_key key = {
		.prefix_bits = 32 + 128, .vni = bpf_htonl(vni), .address = *address};

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
	list = indicator_find(c->key.vni, &c->key.destination);
	if (list == NULL) {
		list = indicator_find(c->key.vni, &c->key.source);
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

#endif
