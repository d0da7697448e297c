/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_RECORD_H
#define SESSION_RECORD_H
/* A session on its way from one node to another: what its port's new node can not find out by itself. Where it leads and whether it
 * may is decided there, by that node's own tables.
 *
 * A record is one text, columns separated by single spaces, numbers decimal:
 *
 *	SIDE PROTO SRC SPORT DST DPORT CROSSING DMAC SMAC FAR AGE IDLE IDLE PACKETS BYTES PACKETS BYTES
 *	[BITS WSCALE WINDOW END EDGE BITS WSCALE WINDOW END EDGE]
 *
 *	SIDE      i: the port that moves is the initiator; r: the responder
 *	SRC DST   as the initiator sends, or, translated on its way, as the port gets it; ports 0 where the protocol has none, of ICMP (id, type << 8 | code)
 *	CROSSING  1: between subnets, through the gateway; else 0
 *	DMAC SMAC the initiator's frames carry
 *	FAR       the VTEP on the other side, or -
 *	AGE IDLE  in milliseconds; IDLE, PACKETS, BYTES first of the initiator, then of the responder
 *	BITS …    of TCP only, as in struct session_hot, first of the initiator
 *
 * Pure: neither EAL nor tables.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "base/ip.h"

#define RECORD_TEXT_MAX 640
#define RECORD_NAME_MAX 64

struct record_side {
	uint32_t idle_ms;
	uint64_t packets, bytes;
	/* TCP. */
	uint8_t bits, wscale;
	uint16_t win;
	uint32_t end, edge;
};

struct record {
	bool initiator; /* the port that moves is */
	bool crossing;
	uint8_t proto;
	struct ip_addr src, dst;
	rte_be16_t sport, dport;
	struct rte_ether_addr dmac, smac;
	char far[RECORD_NAME_MAX]; /* "": none */
	uint32_t age_ms;
	struct record_side side[2];
};

/* Returns the length; `text` has RECORD_TEXT_MAX bytes. */
size_t record_format(const struct record *record, char *text);
/* The contrary. NULL, or what is wrong with the text: nothing of it may be used then. */
const char *record_parse(const char *text, struct record *record);

#endif
