/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_NET_H
#define HEALTH_HEALTH_NET_H
/* A network namespace of our own, without a name, that holds one TAP. Sockets made in it reach the check addresses
 * (health_scope.h) and nothing else, and whatever the host's routes and rules say does not matter.
 *
 *   [socket]──TAP "health"──port (PORT_HEALTH)──fast_path … the VPCs
 *
 * It is made when the first back end is to be checked, and goes with the process. Control thread.
 */
#include <stdbool.h>

#include "base/ip.h"

/* Is it there? Else tries to make it. NULL, or why not, in words. */
const char *health_net_ready(void);
/* A non-blocking socket in there; type and protocol as for socket(2). -errno. */
int health_net_socket(bool v6, int type, int protocol);
/* At the end of the process. */
void health_net_close(void);

#endif
