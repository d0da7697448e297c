/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upkeep.h"

#include <errno.h>

#include <event2/event.h>
#include <rte_common.h>

#include "core/rcu.h"
#include "core/rpc.h"
#include "core/usage.h"
#include "core/worker.h"
#include "external/external.h"
#include "flow_log/flow_log.h"
#include "forward/cut.h"
#include "forward/recover.h"
#include "forward/verdict.h"
#include "hook/hook.h"
#include "lb/lb.h"
#include "nat/nat.h"
#include "port/port.h"
#include "session/parked.h"
#include "session/session.h"
#include "underlay/underlay.h"
#include "vpc/claim.h"
#include "vpc/ra.h"
#include "vpc/vpc.h"

/* The hand goes once around the table in about a second: TICKS turns of TICK_MS. */
#define TICK_MS 10
#define TICKS 80
#define RETRY_MIN_MS 10u
#define RETRY_MAX_MS 1000u

static void ask_again(uint32_t index)
{
	verdict_refresh(index);
}

/* A device that could not be opened is tried again soon, later less often: a port that moves to another node
 * finds its interface's name still taken for some milliseconds. */
static void retry_ports(uint32_t now_ms)
{
	static unsigned int failures;
	static uint32_t delay_ms, tried_ms;

	if (vnic_failures() != failures) {
		failures = vnic_failures();
		delay_ms = RETRY_MIN_MS;
		tried_ms = now_ms;
	}
	if (delay_ms == 0 || now_ms - tried_ms < delay_ms)
		return;
	tried_ms = now_ms;
	delay_ms = vnic_retry() == 0 ? 0 : RTE_MIN(2 * delay_ms, RETRY_MAX_MS);
	failures = vnic_failures();
}

static void turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	rcu_poll();
	claim_take();
	ra_tick(clock_ms());
	retry_ports(clock_ms());
	parked_turn(clock_ms());
	recover_turn(clock_ms());
	lb_turn(clock_ms());
	if (session_used() != 0 || account_waits())
		session_sweep(session_high_water() / TICKS + 1, clock_ms(), ask_again);
	flow_log_turn(clock_ms());
	cut_turn();
	nat_turn(clock_ms());
	hook_turn();
}

static void link_changed(struct port *port)
{
	if (port->role == PORT_TENANT)
		rpc_event(port->state == PORT_ACTIVE ? "info" : "warning", "port", port->name,
			port->state == PORT_ACTIVE ? "port_up" : "port_down", "port %s: %s",
			port->name, port->state == PORT_ACTIVE ? "carries traffic" : port->reason);
	else if (port->role == PORT_UNDERLAY)
		underlay_link_changed();
	else
		external_link_changed(port);
}

static void once_a_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	port_check_links(link_changed);
	usage_file_turn();
}

static void links_call(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	port_links_looked();
	port_check_links(link_changed);
}

static struct event *timers[2], *links;

static int every(struct event **timer, struct event_base *base, long ms, event_callback_fn fn)
{
	struct timeval period = {ms / 1000, ms % 1000 * 1000};

	*timer = event_new(base, -1, EV_PERSIST, fn, NULL);
	return *timer != NULL && event_add(*timer, &period) == 0 ? 0 : -ENOMEM;
}

int upkeep_start(struct event_base *base)
{
	int err = every(&timers[0], base, TICK_MS, turn);

	if (err == 0)
		err = every(&timers[1], base, 1000, once_a_second);
	if (err != 0)
		return err;
	links = event_new(base, port_links_fd(), EV_READ | EV_PERSIST, links_call, NULL);
	return links != NULL && event_add(links, NULL) == 0 ? 0 : -ENOMEM;
}

void upkeep_stop(void)
{
	for (unsigned int i = 0; i < RTE_DIM(timers); i++)
		if (timers[i] != NULL)
			event_free(timers[i]);
	if (links != NULL)
		event_free(links);
}
