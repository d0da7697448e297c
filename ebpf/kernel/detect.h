/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* All detectors. Each looks at one packet of a flow and at a table; docs/inspection.md says what each means. */
#ifndef EBPF_DETECT_H
#define EBPF_DETECT_H

#include "detect_outside.h"
#include "detect_peer.h"
#include "detect_scan.h"

/* ---- all of them ---- */

EVENT_INLINE void detect_beginning(
	struct sight_case *c, struct sight_packet *p, struct sight_vpc *vpc)
{
	detect_scans(c, p, vpc);
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
	if (is_on(vpc, SIGHT_FIRST_CONTACT) &&
		((c->news & FLOW_FRESH) || (c->state & SIGHT_FLOW_MIDDLE)))
		detect_contact(c, &r->packet, vpc);
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
