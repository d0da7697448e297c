/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_RECORD_H
#define FLOW_LOG_FLOW_RECORD_H
/* What a flow log says of one flow at one moment: both directions' packets since it was last spoken of.
 *
 * Direction 0 is the initiator's. The tuple is as the initiator sends it, `post_*` what translations made of it on this node;
 * so the answers' tuple is post_dst → post_src, which become dst → src. Times are of the wall clock. Plain data, no pointers: it
 * crosses from the control thread to a collector's thread by value.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "core/drop.h"

#define FLOW_NAME_MAX 64

/* Numbers of IANA's registry `flowEndReason`. */
enum flow_end {
	FLOW_END_NONE, /* denied flows: nothing has ended */
	FLOW_END_IDLE,
	FLOW_END_ACTIVE,   /* it goes on: this is its part of an interval */
	FLOW_END_DETECTED, /* FIN or RST */
	FLOW_END_FORCED,   /* rules, an operator, or the end of this process */
};

/* Numbers of RFC 8158 section 4.3. */
enum flow_nat_event {
	FLOW_NAT_NONE, /* no event: a flow */
	FLOW_NAT44_CREATED = 4,
	FLOW_NAT44_DELETED = 5,
	FLOW_NAT64_CREATED = 6,
	FLOW_NAT64_DELETED = 7,
};

struct flow_record {
	struct ip_addr src, dst, post_src, post_dst;
	rte_be16_t sport, dport, post_sport, post_dport; /* of ICMP: id, type << 8 | code */
	uint8_t proto;
	uint8_t end;       /* enum flow_end */
	uint8_t nat_event; /* enum flow_nat_event; then start_ms[0] is when, and nothing is counted */
	uint8_t reason;    /* enum drop_reason; DROP_NONE: accepted */
	uint8_t tcp_flags[2]; /* of SYN, FIN, RST and ACK those that were seen */
	bool translated;
	uint64_t packets[2], bytes[2]; /* IP bytes */
	int64_t start_ms[2], end_ms[2];
	uint64_t session; /* the same for all records of one flow; 0: a denied one */
	uint32_t vni
		[2]; /* of the VPC in which a direction's packets arrive; 0: an outside network */
	uint32_t port
		[2]; /* 1 + index of the initiator's and the responder's port on this node; 0: not here */
	char vpc[FLOW_NAME_MAX];
	char name[2][FLOW_NAME_MAX]; /* of both ends' ports; "": not known */
};

/* One direction's tuple, as its packets arrive and, `post`, as they leave. */
struct flow_tuple {
	struct ip_addr src, dst, post_src, post_dst;
	uint16_t sport, dport, post_sport,
		post_dport; /* host order; of ICMP: 0, type << 8 | code */
};
void flow_record_tuple(const struct flow_record *r, unsigned int direction, struct flow_tuple *t);

/* Records that it becomes: of a direction with packets one each, with `biflow` one together. */
unsigned int flow_record_parts(const struct flow_record *r, bool biflow);

#endif
