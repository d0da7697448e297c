/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Flows: who began, how far it came, and what is new about it with this packet. */
#ifndef EBPF_FLOW_H
#define EBPF_FLOW_H

#include "event.h"

/* An idle flow that is not TCP begins anew. */
#define FLOW_IDLE_NS 60000000000ULL

static inline __attribute__((always_inline)) void flow_key(
	struct sight_flow_key *key, const struct sight_packet *p, bool swap)
{
	*key = (struct sight_flow_key){
		.source = swap ? p->destination : p->source,
		.destination = swap ? p->source : p->destination,
		.vni = p->vni,
		.source_port = swap ? p->destination_port : p->source_port,
		.destination_port = swap ? p->source_port : p->destination_port,
		.protocol = p->protocol,
	};
}

/* Does a packet of an unknown flow come from the side that answers? */
static inline __attribute__((always_inline)) bool flow_answers(const struct sight_packet *p)
{
	if (p->feed & SIGHT_FEED_ANSWER)
		return true;
	if (p->protocol == PARSE_TCP)
		return (p->tcp_flags & (SIGHT_SYN | SIGHT_ACK)) == (SIGHT_SYN | SIGHT_ACK);
	if (p->protocol == PARSE_ICMP)
		return p->icmp_type == 0;
	return p->protocol == PARSE_ICMPV6 && p->icmp_type == 129;
}

/* Does a packet of an unknown flow begin it? TCP without SYN does when it was refused, as probes of scanners are. */
static inline __attribute__((always_inline)) bool flow_begins(const struct sight_packet *p)
{
	if (flow_answers(p))
		return false;
	if (p->protocol != PARSE_TCP || (p->tcp_flags & SIGHT_SYN))
		return true;
	return p->feed & (SIGHT_FEED_FIRST | SIGHT_FEED_DENIED);
}

/* Does a packet of who began begin the flow again, its ports re-used? */
static inline __attribute__((always_inline)) bool flow_again(
	const struct sight_flow *flow, const struct sight_packet *p)
{
	if (p->protocol == PARSE_TCP)
		return (p->tcp_flags & (SIGHT_SYN | SIGHT_ACK)) == SIGHT_SYN &&
		       (flow->state & (SIGHT_FLOW_CLOSED | SIGHT_FLOW_MIDDLE));
	return p->time_ns - flow->last_ns > FLOW_IDLE_NS;
}

static inline __attribute__((always_inline)) __u32 flow_tcp(
	struct sight_flow *flow, const struct sight_packet *p, bool answer)
{
	__u32 news = 0;

	flow->tcp_flags[answer] |= p->tcp_flags;
	if ((p->tcp_flags & (SIGHT_SYN | SIGHT_ACK)) == SIGHT_SYN && !answer)
		flow->syns++;
	if (!answer && (p->tcp_flags & (SIGHT_SYN | SIGHT_RST | SIGHT_ACK)) == SIGHT_ACK &&
		!(flow->state & SIGHT_FLOW_ESTABLISHED)) {
		flow->state |= SIGHT_FLOW_ESTABLISHED;
		news |= FLOW_ESTABLISHED;
	}
	if (p->payload > 0 && !(p->tcp_flags & (SIGHT_SYN | SIGHT_RST)) &&
		!(flow->state & SIGHT_FLOW_PAYLOAD) && (flow->state & SIGHT_FLOW_ESTABLISHED)) {
		flow->state |= SIGHT_FLOW_PAYLOAD;
		news |= FLOW_PAYLOAD;
	}
	if (p->tcp_flags & (SIGHT_FIN | SIGHT_RST))
		flow->state |= SIGHT_FLOW_CLOSED;
	return news;
}

/* The flow of a packet, made when there is none; c->key and c->news say which it is and who sent. */
static inline __attribute__((always_inline)) struct sight_flow *flow_find(
	struct sight_case *c, const struct sight_packet *p)
{
	static const struct sight_flow zero;
	struct sight_flow *flow;
	bool answer = false;

	c->news = 0;
	flow_key(&c->key, p, false);
	flow = bpf_map_lookup_elem(&flows, &c->key);
	if (flow == NULL) {
		flow_key(&c->key, p, true);
		flow = bpf_map_lookup_elem(&flows, &c->key);
		answer = flow != NULL || flow_answers(p);
		if (!answer)
			flow_key(&c->key, p, false);
	}
	c->news = answer ? FLOW_ANSWER : 0;
	if (flow == NULL) {
		flow = entry_get(&flows, &c->key, &zero);
		if (flow == NULL)
			return NULL;
		count(SIGHT_COUNT_FLOWS);
		c->news |= flow_begins(p) ? FLOW_FRESH : 0;
		flow->state = c->news & FLOW_FRESH ? 0 : SIGHT_FLOW_MIDDLE;
		flow->first_ns = p->time_ns;
	} else if (!answer && flow_again(flow, p)) {
		flow->state = 0;
		flow->syns = 0;
		flow->first_ns = p->time_ns;
		c->news |= FLOW_FRESH;
	}
	return flow;
}

/* Takes a packet into its flow, and says in `c` what is new. 0, or -1: the table gave no room. */
DETECTOR int flow_track(struct sight_case *c, struct sight_packet *p)
{
	struct sight_state *s = state_get();
	struct sight_flow *flow;
	bool answer;

	if (c == NULL || p == NULL || s == NULL)
		return -1;
	flow = flow_find(c, p);
	if (flow == NULL)
		return -1;
	answer = c->news & FLOW_ANSWER;
	c->weight = p->feed & SIGHT_FEED_SAMPLED && s->sample > 0 ? s->sample : 1;
	flow->last_ns = p->time_ns;
	flow->packets[answer] += c->weight;
	flow->bytes[answer] += (__u64)p->bytes * c->weight;
	if (answer && !(flow->state & SIGHT_FLOW_ANSWERED)) {
		c->news |= FLOW_ANSWERED;
		flow->state |= SIGHT_FLOW_ANSWERED;
	}
	if (p->protocol == PARSE_TCP)
		c->news |= flow_tcp(flow, p, answer);
	if ((c->news & FLOW_FRESH) || flow->indicators != s->indicators)
		c->news |= FLOW_UNLISTED;
	flow->indicators = s->indicators;
	c->first_ns = flow->first_ns;
	c->syns = flow->syns;
	c->state = flow->state;
	return 0;
}

#endif
