/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/node.h"
#include "health/health_scope.h"
#include "lib/log.h"
#include "port/ifconf.h"
#include "port/netns.h"

#define IFNAME "health"
/* Larger than any VPC's: the machine's own MTU decides what it sends, and what is sent to it is small. */
#define TAP_MTU 9000

static int here = -1, there = -1; /* namespaces: the process's, the checks' */
static struct port *port;
static char reason[PORT_REASON_MAX + 32]; /* why there is none */

static void write_option(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, value, strlen(value));
	close(fd);
}

/* The interface neither asks for neighbours nor is asked: what it sends is for its own MAC, which is the scope's. Without that
 * the kernel would keep a neighbour for each check address. */
static int no_arp(void)
{
	struct ifreq ifr = {.ifr_name = IFNAME};
	int rc = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0) {
		rc = -errno;
	} else {
		ifr.ifr_flags |= IFF_NOARP;
		rc = ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
	}
	close(fd);
	return rc;
}

struct opening {
	struct port *port;
	const struct port_spec *spec;
};

/* In the new namespace, once the TAP is there. Addresses after the flag: they are announced to nobody then. */
static int settle(void *arg)
{
	const struct opening *o = arg;
	int rc = no_arp();

	return rc < 0 ? rc : ifconf_apply(o->port, o->spec);
}

/* A thread of its own makes it: a thread's namespace is what it opens, and this one ends. */
static void *make_namespace(void *arg)
{
	int *fd = arg;

	if (unshare(CLONE_NEWNET) < 0) {
		*fd = -errno;
		return NULL;
	}
	write_option("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
	write_option("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	write_option("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1"); /* no fe80:: */
	write_option("/proc/sys/net/ipv6/conf/default/router_solicitations", "0");
	*fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		*fd = -errno;
	return NULL;
}

static int open_namespaces(void)
{
	pthread_t thread;
	int rc, fd = -1;

	here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (here < 0)
		return -errno;
	rc = pthread_create(&thread, NULL, make_namespace, &fd);
	if (rc != 0)
		return -rc;
	pthread_join(thread, NULL);
	if (fd < 0)
		return fd;
	there = fd;
	return 0;
}

static int open_tap(const char *netns)
{
	static const char *const addresses[] = {HEALTH_OWN4 "/32", HEALTH_OWN6 "/128"};
	struct port_spec spec = {.type = "tap",
		.ifname = IFNAME,
		.netns = netns,
		.mtu = TAP_MTU,
		.mac = {{0x02, 0x76, 0x70, 0x63, 0, 2}},
		.addresses = addresses,
		.n_addresses = RTE_DIM(addresses),
		.gateway4 = HEALTH_HOP4,
		.gateway6 = HEALTH_HOP6};
	struct opening o = {.spec = &spec};
	struct vpc *scope;
	int rc;

	o.port = port = port_new("(health)", PORT_HEALTH);
	if (port == NULL)
		return -errno;
	scope = health_scope_new(&spec.mac, TAP_MTU);
	if (scope == NULL)
		return -errno;
	port->vpc_index = scope->index;
	port->gw_mac = scope->gw_mac;
	rc = port_open(port, &spec);
	spec.configure = true;
	return rc < 0 ? rc : netns_run(netns, settle, &o);
}

static int make(void)
{
	char netns[64];
	int rc = open_namespaces();

	snprintf(netns, sizeof(netns), "/proc/self/fd/%d", there);
	return rc < 0 ? rc : open_tap(netns);
}

const char *health_net_ready(void)
{
	static bool tried;
	int rc;

	if (tried)
		return reason[0] != '\0' ? reason : NULL;
	tried = true;
	rc = make();
	if (rc == 0)
		return NULL;
	snprintf(reason, sizeof(reason), "no checks on this node: %s",
		port != NULL && port->reason[0] != '\0' ? port->reason : strerror(-rc));
	log_error("back ends can not be checked", LOG_STR("reason", reason));
	return reason;
}

int health_net_socket(bool v6, int type, int protocol)
{
	int fd, error;

	if (setns(there, CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	error = errno;
	/* With what it took to go there it can not fail; and nothing here may go on in the wrong place. */
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	return fd < 0 ? -error : fd;
}

void health_net_close(void)
{
	if (there >= 0)
		close(there);
	if (here >= 0)
		close(here);
	here = there = -1;
}

NODE_ATTACH_RX(health_rx, PORT_HEALTH, "fast_path")
