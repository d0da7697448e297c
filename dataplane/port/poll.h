/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_POLL_H
#define PORT_POLL_H
/* Which ports a worker reads, and what it sleeps on.
 *
 * Ports without a file descriptor (rx_fd -1) are read every turn. The others cost nothing while they are idle: an edge-triggered
 * epoll set per worker tells which became readable; such a port is read every turn until it is found empty. The set is
 * asked at most every POLL_BUSY_INTERVAL_US while turns give frames, every POLL_IDLE_INTERVAL_US while they do not.
 *
 *	for each loop:
 *		port_poll_begin(w);
 *		while ((n = port_poll_next(w, &port, pkts, BURST)) > 0)
 *			... n frames of `port`, counted as received
 *	to sleep (adaptive), after flushing:
 *		rcu offline; port_poll_wait(w, timeout_us); rcu online
 *
 * All functions on that worker's thread, unless said otherwise.
 */
#include <stdbool.h>
#include <stdint.h>

#include "port/port.h"

#define POLL_BUSY_INTERVAL_US 20
#define POLL_IDLE_INTERVAL_US 2

/* Opens a turn over the ports that may have frames. Reads w->now_tsc. */
void port_poll_begin(struct worker *w);
/* Reads a burst of the next port in this turn; counts it in the port's rx counters and w->count.received. 0: the turn is over. A turn
 * ends early after some hundred frames; the next one goes on behind it. */
uint16_t port_poll_next(struct worker *w, struct port **port, struct rte_mbuf **pkts, uint16_t n);
/* Nothing is known to wait; a worker sleeps only then. */
bool port_poll_idle(const struct worker *w);
/* Sleeps until a port is readable, wake_fd is written or the time is over; at most POLL_TIMER_US when this worker has
 * ports without a file descriptor. Touches nothing shared, so it may be called while RCU-offline. */
#define POLL_TIMER_US 200
void port_poll_wait(struct worker *w, unsigned int timeout_us);
/* The worker's epoll set, for who sleeps on more. */
int port_epoll_fd(unsigned int worker);

/* Control thread, from port_open() and port_close(). */
int port_poll_init(uint32_t capacity);
int port_poll_add(struct port *port);
void port_poll_remove(struct port *port);

#endif
