/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_UNIX_SOCKET_H
#define PORT_UNIX_SOCKET_H
/* Unix sockets that ports are reached by. */
#include <sys/un.h>

#include "port/port.h"

/* Removes a socket that a dead process left at the address, so that it can be bound. -errno with the reason in `port` when something
 * else is there, or a living server of that type (SOCK_STREAM, SOCK_SEQPACKET). */
int unix_socket_clear_stale(struct port *port, const struct sockaddr_un *addr, int type);

#endif
