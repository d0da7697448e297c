/* SPDX-License-Identifier: Apache-2.0 */
/* vpc-dataplane: starts everything in order, runs the control thread, stops everything in reverse. */
#include <errno.h>
#include <string.h>

#include <event2/event.h>
#include <rte_common.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "core/config.h"
#include "core/control.h"
#include "core/eal.h"
#include "core/epoch.h"
#include "core/node.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/state_file.h"
#include "core/upkeep.h"
#include "core/usage.h"
#include "core/worker.h"
#include "external/external.h"
#include "flow_log/flow_log.h"
#include "forward/cut.h"
#include "forward/recover.h"
#include "forward/shares.h"
#include "health/health.h"
#include "hook/hook.h"
#include "lb/lb.h"
#include "lib/daemon.h"
#include "lib/log.h"
#include "lib/privileges.h"
#include "lib/resource.h"
#include "observe/observe.h"
#include "port/port.h"
#include "port/reaper.h"
#include "probe/probe.h"
#include "qos/limit.h"
#include "session/memory.h"
#include "session/session.h"
#include "session/tcp.h"
#include "underlay/underlay.h"
#include "vpc/icmp_error.h"
#include "vpc/vpc.h"

static void set_timeouts(const json_t *t)
{
	struct session_timeouts *to = &session_timeouts;
	uint32_t transitory_s = (uint32_t)resource_integer(t, "tcp_transitory_s", 0);

	to->tcp_s[TCP_SYN_SENT] = (uint32_t)resource_integer(t, "tcp_syn_s", 0);
	to->tcp_s[TCP_SYN_RECEIVED] = transitory_s;
	to->tcp_s[TCP_ESTABLISHED] = (uint32_t)resource_integer(t, "tcp_established_s", 0);
	to->tcp_s[TCP_FIN_WAIT] = transitory_s;
	to->tcp_s[TCP_CLOSE_WAIT] = transitory_s;
	to->tcp_s[TCP_LAST_ACK] = transitory_s;
	to->tcp_s[TCP_TIME_WAIT] = (uint32_t)resource_integer(t, "tcp_time_wait_s", 0);
	to->udp_s = (uint32_t)resource_integer(t, "udp_s", 0);
	to->udp_unanswered_s = (uint32_t)resource_integer(t, "udp_unanswered_s", 0);
	to->icmp_s = (uint32_t)resource_integer(t, "icmp_s", 0);
	to->other_s = (uint32_t)resource_integer(t, "other_s", 0);
}

static void set_limits(const json_t *l)
{
	limit_set(LIMIT_NEIGHBOUR, (uint32_t)resource_integer(l, "arp_nd", 0));
	limit_set(LIMIT_DHCP, (uint32_t)resource_integer(l, "dhcp", 0));
	limit_set(LIMIT_PING, (uint32_t)resource_integer(l, "ping", 0));
	limit_set(LIMIT_FLOWS, (uint32_t)resource_integer(l, "new_flows", 0));
	limit_set(LIMIT_DEVICE_FLOWS, (uint32_t)resource_integer(l, "device_new_flows", 0));
	icmp_error_set_rate((uint32_t)resource_integer(l, "icmp_errors", ICMP_ERROR_RATE));
	shares_configure((unsigned int)resource_integer(l, "vpc_sessions_percent", 100),
		(unsigned int)resource_integer(l, "unanswered_percent", 100));
}

static int start_tables(const struct node_config *c)
{
	int err = epoch_init(c->endpoints + c->ports + 2 * c->vpcs + 65536);

	if (err == 0)
		err = worker_init(c);
	if (err == 0)
		err = rcu_init(worker_count);
	if (err == 0)
		err = pool_init(c);
	memory_use_reserved(eal_has_hugepages());
	if (err == 0)
		err = session_init(c->sessions);
	eal_memory_taken();
	if (err == 0)
		set_timeouts(c->timeouts);
	if (err == 0)
		err = port_init(c->ports);
	if (err == 0)
		err = limit_init(c->ports);
	if (err == 0)
		set_limits(c->limits);
	if (err == 0)
		err = vpc_init(c->endpoints);
	if (err == 0)
		err = lb_init();
	return err;
}

/* What was applied before the last end. Without it the controller sends all of it again. */
static void restore(const struct node_config *c)
{
	int err;

	hook_start(c->state);
	err = c->state != NULL ? state_file_start(c->state) : 0;
	if (err != 0)
		log_warn(
			"the state is not kept on disk", LOG_STR("path", c->state), LOG_ERRNO(err));
	usage_file_start(c->usage);
}

static int start(const struct node_config *c, struct event_base *base)
{
	int err = eal_start(c);

	if (err == 0)
		err = start_tables(c);
	if (err == 0)
		err = control_init(base);
	if (err == 0)
		err = cut_init();
	if (err == 0)
		err = graph_init();
	if (err == 0)
		err = worker_start();
	if (err == 0)
		err = underlay_start(c->underlay, base);
	if (err == 0)
		err = external_start(c->external, base);
	if (err == 0)
		err = probe_start(base);
	if (err == 0)
		err = health_init(base);
	if (err == 0)
		err = upkeep_start(base);
	if (err == 0)
		err = rpc_start(base);
	if (err == 0) {
		recover_start(c->recover_s, clock_ms()); /* before the first packet */
		restore(c);                              /* before the first call is answered */
	}
	return err;
}

/* Ports before workers: a port is closed with the help of the worker that polls it. */
static void stop(void)
{
	struct port *p, *next;

	rpc_stop();
	state_file_stop();
	health_fini();
	for (p = port_next(NULL); p != NULL; p = next) {
		next = port_next(p);
		port_leave(p);
	}
	hook_stop();
	usage_file_stop();
	flow_log_stop();
	reaper_wait();
	probe_stop();
	external_stop();
	underlay_stop();
	upkeep_stop();
	control_fini();
	worker_stop();
	observe_fini();
	eal_stop();
}

/*
 * What ports need that come while we run; everything else is given up before the first thread starts. The unit has the
 * same list (configs/vpc-dataplane.service.in), and tests/integration/test_privileges.py shows what fails without each.
 */
static const int capabilities[] = {
	CAP_NET_ADMIN,    /* TAPs, interfaces, XDP programs */
	CAP_NET_RAW,      /* packet and XDP sockets */
	CAP_SYS_ADMIN,    /* into the namespaces of containers */
	CAP_SYS_PTRACE,   /* … that are named by a process: /proc/PID/ns/net */
	CAP_DAC_OVERRIDE, /* sockets of virtual machines, which belong to their users */
	CAP_IPC_LOCK, /* the last: XDP sockets, only where memory to pin is limited all the same */
};

static int give_up_privileges(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	/* Frames are in memory that the kernel pins. The unit has the limit off, root may take it off. */
	bool limited = setrlimit(RLIMIT_MEMLOCK, &unlimited) < 0;

	privileges_join(JSONRPC_GROUP);
	return privileges_keep(capabilities, RTE_DIM(capabilities) - !limited);
}

static void reload(void *arg)
{
	(void)arg;
	rpc_reload();
}

int main(int argc, char **argv)
{
	struct daemon d = {.name = "vpc-dataplane",
		.summary = "the forwarding engine of one host",
		.reload = reload};
	int status;

	if (!daemon_options(&d, argc, argv, &status))
		return status;
	if (node_config_load(&node_config, d.config_path) != 0)
		return 2;
	if (d.check)
		return 0;
	if (give_up_privileges() < 0 || daemon_init(&d) < 0)
		return 1;
	if (start(&node_config, d.base) != 0)
		return 1;
	log_info(
		"forwarding", LOG_STR("node", node_config.node), LOG_UINT("workers", worker_count));
	status = daemon_run(&d);
	stop();
	daemon_fini(&d);
	node_config_free(&node_config);
	return status;
}
