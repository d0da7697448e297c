/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H
/* Do the back ends of load balancers answer? docs/load-balancing.md says what users see of it.
 *
 *   a balancer whose gateway is this node    health_check.c asks over health_net.c, health_rule.c decides
 *   any other, whose clients are here        health_gossip.c hears it from its gateway
 *
 * What is found goes to lb_health_set(). Runs by what was applied last, with or without a controller. All on the control thread.
 */
#include <stdint.h>

struct event_base;

/* 0 or -errno, logged. Before any item. */
int health_init(struct event_base *base);
/* After the last item. */
void health_fini(void);

#endif
