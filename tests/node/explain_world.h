/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_EXPLAIN_WORLD_H
#define TESTS_NODE_EXPLAIN_WORLD_H
/* A cloud with something of everything that decides about packets, which changes at random; and what it says about a decision, as plainly
 * as can be: the reference that explanations are compared with.
 *
 *	VPC prod (100)   web 10.0.1.0/24   a .10, b .11, d .13 (no port_security); r .20 behind the VTEP `other`
 *	                 db  10.0.2.0/24   c .10; routes of all kinds that come and go; balancers `lb` and `lb6`
 *	VPC twin (200)   web2 10.0.1.0/24  a2 .10, b2 .11: the same addresses
 *	VPC peer (300)   far 10.3.1.0/24   p .10; q .20 behind `other`. Peered with prod now and then
 *	internet         203.0.113.0/26: NAT gateway `nat` of prod with e50, e51 and forwards from e50; e60 is b, e61 is r, e62 is p;
 *	                 e70 is the balancer `plb`; e80 serves nothing
 *
 * all in both families.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUPS 4
#define GROUP_RULES 6

enum remote { REMOTE_ANY, REMOTE_CIDR, REMOTE_GROUP, REMOTE_LIST };

struct world_rule {
	bool egress, allow;
	uint16_t priority;
	int protocol, icmp_type; /* -1: any */
	uint16_t from, to;
	enum remote remote;
	unsigned int which; /* of world_cidrs, of the groups */
};

struct machine {
	const char *name;
	unsigned int vni;
	const char *subnet, *mac, *gw, *v4, *v6;
	bool here, loose; /* loose: without port_security */
};

#define MACHINES 9
extern const struct machine machines[MACHINES];
extern uint8_t member[MACHINES]; /* of groups, by bit */
#define NAMED_GROUPS(m) (member[m])

enum hop { HOP_NONE, HOP_BLACKHOLE, HOP_MACHINE, HOP_NOBODY, HOP_VTEP, HOP_NAT, HOP_OUT, HOPS };

#define ROUTES 8
extern const struct world_route {
	const char *prefix, *name;
	unsigned int vni;
} world_routes[ROUTES];
extern enum hop hops[ROUTES]; /* HOP_NONE: not there */

#define EIPS 14
extern const struct world_eip {
	const char *name, *address, *use;
	const char *machine, *private_address;
	unsigned int vni;
	bool v6;
} world_eips[EIPS];
extern uint8_t eip_denied[EIPS]; /* world_cidrs, by bit */
extern bool eip_hole[EIPS];

#define FORWARDS 4
extern const struct world_forward {
	const char *eip, *to;
	uint8_t protocol;
	uint16_t from, last, to_port;
} world_forwards[FORWARDS];

#define BALANCERS 4
extern const struct world_balancer {
	const char *name, *address, *eip;
	bool v6;
} world_balancers[BALANCERS];
#define TARGETS 4
extern const struct world_target {
	const char *v4, *v6, *name;
} world_targets[TARGETS];
#define TARGET_PORT 8080
extern uint8_t balanced[BALANCERS]; /* its back ends, by bit of world_targets */
extern bool limited[BALANCERS];     /* lets only some clients in */

#define CIDRS 8
extern const char *const world_cidrs[CIDRS];
extern bool peered;

/* The whole, once; and one change. */
void world_begin(void);
void world_change(void);

bool world_covers(const char *prefix, const char *address);
int world_machine(unsigned int vni, const char *address); /* -1: nobody */
int world_machine_named(const char *name);

/* A flow's first packet, as rules see it. */
struct world_packet {
	const char *remote; /* address of the other end */
	int remote_machine; /* whose groups count; -1: nobody's */
	uint8_t protocol, icmp_type;
	uint16_t port;
};
/* Does the rule of that group decide about the packet of machine `m` (its own, or towards it)? NULL, or why not. `group` NULL: no rule
 * does. */
const char *world_decides(
	int m, bool egress, const struct world_packet *p, const char *group, int rule, bool allow);
/* Is that the route of the VPC that decides, of those that are there? */
bool world_is_route(unsigned int vni, const char *name, const char *address);

#endif
