/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_VPC_FIXTURE_H
#define TESTS_VPC_FIXTURE_H
/* The tables of vpc/ with their real items and transactions, on a port layer, an underlay and a policy
 * database that exist only as far as those look at them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/ip_text.h"
#include "vpc/vpc.h"

/* What the fake port layer was asked to open last. */
struct fixture_open {
	unsigned int opened, closed;
	char type[16], ifname[32];
	char address[64], gateway4[64];
	unsigned int n_addresses;
	uint16_t mtu;
	int rc; /* what the next open returns */
};
extern struct fixture_open fixture_open;

/* What was sent from the control thread, and told to the controller, last. */
struct fixture_said {
	unsigned int frames, events;
	loc_t out;
	uint16_t len;
	uint8_t frame[128];
	char event[256];
};
extern struct fixture_said fixture_said;

/* cmocka group setup and teardown of each test: nothing applied. */
int fixture_start(void **context);
int fixture_empty(void **context);

/* Puts or deletes ("-[...]") items, written as JSON with ' for ", in one transaction. */
void fixture_apply(const char *const items[], size_t n);
#define APPLY(...)                                                                                 \
	fixture_apply((const char *const[]){__VA_ARGS__},                                          \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
/* The same, which must fail with this in its reason. */
void fixture_apply_fails(const char *reason, const char *const items[], size_t n);
#define APPLY_FAILS(reason, ...)                                                                   \
	fixture_apply_fails((reason), (const char *const[]){__VA_ARGS__},                          \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

struct ip_addr ip(const char *text);
struct rte_ether_addr ether(const char *text);
loc_t vtep(const char *name);
loc_t port(const char *name);

/*
 * Two VPCs with the same addresses, a third one peered with the first:
 *
 *   red   vni 100   10.0.0.0/16 fd00::/48
 *           web  10.0.1.0/24 fd00:0:0:1::/64   w1 (here) .5 ::5   w2 (on b) .6 ::6
 *           db   10.0.2.0/24                   d1 (here) .5       d2 (on c) .6
 *   blue  vni 200   10.0.0.0/16                x1 (here) 10.0.1.5, x2 (on b) 10.0.1.6
 *   green vni 300   10.9.0.0/16, peer of red   g1 (here) 10.9.0.5, g2 (on b) 10.9.0.6
 *
 * VTEPs: b, c, and gw, which is a gateway.
 */
void fixture_world(void);
#define RED_GW "02:00:00:00:01:00"

#endif
