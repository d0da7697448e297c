/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_WIRE_H
#define HEALTH_HEALTH_WIRE_H
/* What nodes tell each other about back ends, as bytes: an Ethernet frame of the local experimental EtherType, which travels
 * in VXLAN with VNI 0, as probes do (probe/probe_wire.h). Pure.
 *
 *   inner Ethernet   as of probes
 *   head             magic "vpch" 4 | version 1 | type 1 | entries 2 | instance 8 | from 8 | to 8
 *   entries          state 1 | protocol 1 | port 2 | port number 2 | number 8 | address 16 | bytes of the balancer's name 1 | name
 *
 * The node that checks numbers its changes; `instance` is another one after each start. health_gossip.c says who sends what.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "base/ip.h"
#include "lb/lb.h"

#define HEALTH_FRAME_MAX 1200u

enum health_message {
	HEALTH_WATCH = 1, /* tell me changes from now on. instance, to: what I know; 0: nothing */
	HEALTH_DIGEST,    /* the answer. instance, to: the last change's number */
	HEALTH_ASK,       /* what about these back ends? */
	HEALTH_TELL,      /* the answer; from 0. Of what is not named I know nothing */
	HEALTH_CHANGES,   /* to those who watch: what has changed after `from`, up to `to` */
};

struct health_head {
	enum health_message type;
	uint64_t instance, from, to;
};

struct health_entry {
	char balancer[PORT_NAME_MAX];
	struct ip_addr addr;
	rte_be16_t port, port_number;
	uint8_t protocol;
	uint8_t state;   /* enum lb_health */
	uint64_t number; /* of its last change */
};

/* A frame that is being written. */
struct health_frame {
	uint8_t bytes[HEALTH_FRAME_MAX];
	uint16_t len, entries;
};

void health_frame_begin(struct health_frame *f, const struct health_head *head);
/* False: it is full; nothing was added. */
bool health_frame_add(struct health_frame *f, const struct health_entry *entry);
/* The last change that it tells of is known only when it is full. */
void health_frame_set_to(struct health_frame *f, uint64_t to);

/* One that is being read. */
struct health_reader {
	const uint8_t *at, *end;
	unsigned int left;
};

/* Is it one of ours? Worker-safe; `len` bytes are in one piece. */
bool health_frame_is(const uint8_t *frame, size_t len);
/* False: malformed. */
bool health_frame_open(
	const uint8_t *frame, size_t len, struct health_head *head, struct health_reader *r);
/* The next entry. False: no more, or malformed. */
bool health_frame_next(struct health_reader *r, struct health_entry *entry);

#endif
