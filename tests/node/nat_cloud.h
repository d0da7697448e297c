/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_NAT_CLOUD_H
#define TESTS_NODE_NAT_CLOUD_H
/* A NAT gateway for the small cloud (cloud.h) beside an outside network (outside.h).
 *
 *	gateway `nat` of VPC prod    everything of the VPC leaves by 203.0.113.50 (e50), 2001:db8::50 (e50-6)
 *	                             r, behind the VTEP `other`, comes to it by the tunnel
 */
#include <stdbool.h>
#include <stdint.h>

#include "cloud.h"
#include "frame.h"
#include "graph.h"
#include "outside.h"

#define E50 "203.0.113.50"
#define E51 "203.0.113.51"
#define E52 "203.0.113.52"
#define E50_6 "2001:db8::50"
#define A4 "10.0.1.10"
#define B4 "10.0.1.11"
#define R4 "10.0.1.20"
#define A6 "fd00:1:0:1::10"
#define OTHER_SERVER "198.51.100.10"

/* What differs from an ordinary gateway; zero: nothing. */
struct nat_spec {
	bool dependent;                                      /* mapping */
	const char *filtering;                               /* [address_and_port] */
	unsigned int block, per_port, per_vpc, quarantine_s; /* [120]; NAT_NO_REST */
	bool no_hairpin, nat64;
	const char *log;            /* [none] */
	const char *addresses;      /* names of elastic IPs [e50, e50-6], as JSON */
	const char *dnat;           /* items, as JSON, with a comma before each */
	unsigned int established_s; /* [7440] */
};
#define NAT_NO_REST UINT32_MAX
#define NAT_EIP(name, address)                                                                     \
	"[\"eip\", \"" name "\", \"\", \"" address                                                 \
	"\", null, \"nat\", null, null, null, 0, 0, [], false, 1]"
#define DNAT_ITEM(index, eip, proto, from, to, address, to_port)                                   \
	",[\"dnat\", \"nat\", " index ", \"" eip "\", " proto ", " from ", " to ", \"" address     \
	"\", " to_port "]"

/* Group setup of every test file, and setup and teardown of each test: the cloud, without a gateway; all gone. */
int nat_start(void **state);
int nat_setup(void **state);
int nat_teardown(void **state);

/* The gateway is like that from now on: NAT({.dependent = true}). */
void nat_gateway(const struct nat_spec *spec);
#define NAT(...) nat_gateway(&(struct nat_spec){__VA_ARGS__})

/* Time goes on: for sessions, for ports that rest, for events. */
void nat_pass(uint32_t seconds);
/* The control thread's turn alone, while other threads are the workers. */
void nat_tick(void);

/* An IP packet as a port was given it; its frame was right in lengths and checksums. */
struct nat_seen {
	char src[64], dst[64];
	uint16_t sport, dport; /* of ICMP queries and answers the id, twice */
	uint8_t proto, icmp_type, icmp_code, ttl;
	uint16_t len; /* of the IP packet */
	const uint8_t *l4;
	bool there;
};

/* What a frame says, which is right in lengths and checksums. */
struct nat_seen nat_seen_in(const uint8_t *frame, uint16_t len);
/* The next that the port was given; .there false: none. */
struct nat_seen nat_seen(const char *port);
/* A frame goes in by `port`, and exactly one leaves, by `to`. */
struct nat_seen nat_through(const char *port, const struct frame *f, const char *to);
/* Nothing leaves, and it is dropped for that. */
void nat_dropped(const char *port, const struct frame *f, enum drop_reason reason);

/* Frames between machine a (or another of VPC prod) and the outside; what a test says replaces what is said here. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define FROM_A(...) FRAME(FROM(MAC_A, A4), TO(GW, SERVER), __VA_ARGS__)
#define FROM_B(...) FRAME(FROM(MAC_B, B4), TO(GW, SERVER), __VA_ARGS__)
#define FROM_A6(...) FRAME(FROM(MAC_A, A6), TO(GW, SERVER6), __VA_ARGS__)
#define FROM_OUTSIDE(...) FRAME(FROM(HOP_MAC, SERVER), TO(EXT_MAC, E50), __VA_ARGS__)
#define FROM_OUTSIDE6(...) FRAME(FROM(HOP_MAC, SERVER6), TO(EXT_MAC, E50_6), __VA_ARGS__)

/* The outside port of a UDP or TCP packet from a. */
uint16_t nat_port_of(uint8_t proto, uint16_t sport, const char *dst, uint16_t dport);
/* A UDP packet from `src` to e50's port: does it reach a? */
bool nat_lets_in(const char *src, uint16_t sport, uint16_t port);

/* Events nat_exhausted that the controller was told since it was last asked, and what the last one said. */
unsigned int nat_events(void);
extern char nat_event_text[256];

/* What nat.status says about an address and protocol ("udp"); -1: no such figure. */
long nat_figure(const char *address, const char *protocol, const char *figure);

#endif
