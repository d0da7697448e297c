/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QOS_LIMIT_H
#define QOS_LIMIT_H
/* How often a port may ask for what costs more than forwarding: answers of the gateway, and new flows. What exceeds it is dropped
 * as `rate_limited` and counted to the port.
 *
 * Token buckets of a second's worth, a small one for each port, kind and worker: workers share nothing. A port that several
 * workers read has its share at each of them. Frames from tunnels were limited where they came from.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/location.h"

enum limit {
	LIMIT_NEIGHBOUR,    /* ARP, neighbour discovery */
	LIMIT_DHCP,         /* both families */
	LIMIT_PING,         /* to the gateway */
	LIMIT_FLOWS,        /* first packets of flows */
	LIMIT_DEVICE_FLOWS, /* the same of a device that is more than one machine's */
	LIMIT_MAX
};

/* For ports with indexes below `ports`; no limits at first. -ENOMEM. Once, after worker_init(). */
int limit_init(uint32_t ports);
/* So many a second, 0: no limit; at most LIMIT_MOST. Control thread. */
#define LIMIT_MOST 4000000u
void limit_set(enum limit kind, uint32_t per_s);

/* May the sender do that once more? Workers, on their own behalf. */
bool limit_pass(enum limit kind, loc_t from, uint32_t now_ms);

#endif
