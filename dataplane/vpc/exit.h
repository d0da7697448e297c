/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_EXIT_H
#define VPC_EXIT_H
/* Ways out of a VPC, for what its own routes do not lead to: each is asked in turn whether the flow leaves by it.
 *
 *	 50  a NAT gateway that covers the source, to IPv4 by 64:ff9b::/96
 *	100  an elastic IP of the source
 *	200  a NAT gateway that covers the source
 *
 * find() returns false when the flow is not its, or true after one of:
 *	flow_to_gateway()                the gateway is another node
 *	f->leave = fn, f->leave_object   it is here: stage `leave` calls fn once the sender's groups have allowed the flow
 *	flow_drop(), which find() says by setting f->reason
 * When f->exit_name is set, a route names the NAT gateway to leave by. Workers and control thread, inside an RCU read section.
 */
#include <stdbool.h>

#include "core/road.h"

struct vpc_exit {
	int order;
	bool (*find)(struct flow *f);
	struct vpc_exit *next;
};

void vpc_exit_register(struct vpc_exit *way);
#define VPC_EXIT(var, ord, fn)                                                                     \
	static struct vpc_exit var = {.order = (ord), .find = (fn)};                               \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		vpc_exit_register(&var);                                                           \
	}

/* The first that takes the flow. */
bool vpc_exit_find(struct flow *f);

#endif
