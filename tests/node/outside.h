/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_OUTSIDE_H
#define TESTS_NODE_OUTSIDE_H
/* An outside network beside the small cloud (cloud.h), and services that translate as simply as can be, for tests of what all
 * translated flows have in common.
 *
 *	network `internet`   port `ext`, 203.0.113.1 and 2001:db8::1; everything is behind one next hop
 *	.5, ::5              the source of whatever leaves VPC prod, with port (or id) + 1000
 *	.6, ::6              is a; its port 80 is a's 8080
 *	.7, ::7              is b, both ways: what b sends leaves from it
 *	.8, ::8              is r behind the VTEP `other`
 *	.9                   is a's IPv6 address; clients are known to it in 64:ff9b::/96, and so are IPv4 servers to all
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define EXT "ext"
#define EXT_MAC "02:cc:00:00:00:01"
#define HOP_MAC "02:cc:00:00:00:02"
#define SERVER "198.51.100.9"
#define SERVER6 "2001:db8:9::9"
#define SNAT "203.0.113.5"
#define SNAT6 "2001:db8::5"
#define DNAT "203.0.113.6"
#define DNAT6 "2001:db8::6"
#define EIP "203.0.113.7"
#define EIP6 "2001:db8::7"
#define FAR "203.0.113.8"
#define FAR6 "2001:db8::8"
#define SIX "203.0.113.9"
#define SERVER_IN_SIX "64:ff9b::198.51.100.9"

/* After graph_start(), once. `caps`: of the port (enum port_cap). */
void outside_start(uint32_t caps);
/* The network alone, without services; instead of that. */
struct external *outside_network(uint32_t caps);

/* How the services behave, from the next packet on. */
extern struct outside {
	_Atomic bool holds;               /* flows that leave hold something */
	_Atomic bool forgets;             /* what a session has already: decides anew */
	_Atomic bool refuses;             /* after having taken it */
	uint16_t (*port)(uint16_t sport); /* host order; NULL: + 1000 */
	uint32_t timeout_s;               /* what the owner says of what it holds */
} outside;

/* Of what flows hold, since the start: never more released than taken, and each once. */
extern _Atomic uint32_t outside_taken, outside_released, outside_began;
/* All behaviour as at first; what was taken is released. */
void outside_reset(void);

/* Everybody's verdicts are old. */
void outside_bump(void);

#endif
