/* SPDX-License-Identifier: Apache-2.0 */
#include "port/port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cache_line.h"
#include "core/node.h"
#include "core/rcu.h"
#include "core/usage.h"
#include "port/poll.h"

static struct port_driver *drivers;

struct port_table port_table READ_MOSTLY;
static struct port **names; /* [name_mask + 1] heads of chains by name */
static uint32_t used, name_mask;
static int links_fd = -1; /* epoll, on links_event and what drivers watch */
static int links_event = -1;
static uint32_t next_index; /* the search for a free one starts here, so that an index rests long */

void port_driver_register(struct port_driver *driver)
{
	driver->next = drivers;
	drivers = driver;
}

/* Of types with several modes packet sockets are the usual one. */
static const struct port_driver *driver_of(const char *type, const char *mode)
{
	for (const struct port_driver *d = drivers; d != NULL; d = d->next) {
		if (strcmp(d->type, type) == 0 &&
			(d->mode == NULL ||
				strcmp(d->mode, mode != NULL ? mode : "af_packet") == 0))
			return d;
	}
	return NULL;
}

int port_fail(struct port *port, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(port->reason, sizeof(port->reason), fmt, args);
	va_end(args);
	return error;
}

int port_init(uint32_t max)
{
	uint32_t heads = 1;

	while (heads < max)
		heads *= 2;
	port_table.ports = calloc(max, sizeof(*port_table.ports));
	names = calloc(heads, sizeof(*names));
	links_fd = epoll_create1(EPOLL_CLOEXEC);
	links_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (port_table.ports == NULL || names == NULL || links_event < 0 ||
		port_links_watch(links_event) < 0)
		return -ENOMEM;
	port_table.capacity = max;
	name_mask = heads - 1;
	return port_poll_init(max);
}

static uint16_t lives; /* ports that were ever made; wraps */

static struct port **name_head(const char *name)
{
	uint32_t h = 2166136261; /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619;
	return &names[h & name_mask];
}

struct port *port_by_name(const char *name)
{
	for (struct port *p = *name_head(name); p != NULL; p = p->next_of_name) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

struct port *port_next(struct port *previous)
{
	for (uint32_t i = previous == NULL ? 0 : previous->index + 1; i < port_table.capacity;
		i++) {
		if (port_table.ports[i] != NULL)
			return port_table.ports[i];
	}
	return NULL;
}

static struct port *port_alloc(void)
{
	struct port *port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	struct port_counters *counters =
		aligned_alloc(RTE_CACHE_LINE_SIZE, worker_count * sizeof(*counters));

	if (port == NULL || counters == NULL) {
		free(port);
		free(counters);
		return NULL;
	}
	memset(port, 0, sizeof(*port));
	memset(counters, 0, worker_count * sizeof(*counters));
	port->counters = counters;
	return port;
}

struct port *port_new(const char *name, enum port_role role)
{
	struct port **head = name_head(name);
	struct port *port;

	if (strlen(name) >= PORT_NAME_MAX) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (port_by_name(name) != NULL) {
		errno = EEXIST;
		return NULL;
	}
	if (used == port_table.capacity) {
		errno = ENOSPC;
		return NULL;
	}
	port = port_alloc();
	if (port == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	while (port_table.ports[next_index] != NULL)
		next_index = (next_index + 1) % port_table.capacity;
	port->index = next_index;
	port->life = ++lives != 0 ? lives : ++lives;
	port->vpc_index = PKT_VPC_NONE;
	port->enabled = 1;
	port->state = PORT_DETACHED;
	port->role = (uint8_t)role;
	port->rx_fd = -1;
	port->usage = usage_instance();
	memcpy(port->name, name, strlen(name) + 1);
	port->next_of_name = *head;
	*head = port;
	rcu_ptr_set(port_table.ports[next_index], port);
	next_index = (next_index + 1) % port_table.capacity;
	used++;
	return port;
}

static void close_device(struct port *port)
{
	port->driver->close(port);
	free(port->priv);
	port->priv = NULL;
	port->driver = NULL;
	port->rx_fd = -1;
	port->rx_fds = NULL;
	port->n_rx_queues = 0;
	port->caps = 0;
}

static int open_device(struct port *port, const struct port_spec *spec)
{
	const struct port_driver *driver = driver_of(spec->type, spec->mode);
	int rc;

	if (driver == NULL)
		return port_fail(port, -ENOTSUP, "attachment type %s%s%s is not known here",
			spec->type, spec->mode != NULL ? " with mode " : "",
			spec->mode != NULL ? spec->mode : "");
	port->priv = calloc(1, driver->priv_size);
	if (port->priv == NULL)
		return port_fail(port, -ENOMEM, "out of memory");
	port->shared_device = strcmp(spec->type, "device") == 0;
	port->mtu = spec->mtu;
	port->mac = spec->mac;
	port->rx_fd = -1;
	port->n_rx_queues = 1;
	rc = driver->open(port, spec);
	if (rc < 0) {
		free(port->priv);
		port->priv = NULL;
		port->rx_fd = -1;
		port->rx_fds = NULL;
		return rc;
	}
	port->driver = driver;
	return 0;
}

static uint8_t link_state(struct port *port)
{
	if (port->driver->link_up != NULL && !port->driver->link_up(port))
		return PORT_DOWN;
	port->reason[0] = '\0';
	return PORT_ACTIVE;
}

int port_open(struct port *port, const struct port_spec *spec)
{
	int rc;

	if (port->driver != NULL)
		return -EBUSY;
	port->reason[0] = '\0';
	rc = open_device(port, spec);
	if (rc < 0) {
		port->state = PORT_ERROR;
		return rc;
	}
	/* State first: a frame may be answered through this port as soon as it is polled. */
	__atomic_store_n(&port->state, link_state(port), __ATOMIC_RELEASE);
	rc = port_poll_add(port);
	if (rc < 0) {
		port_fail(port, rc, "no worker can read it: %s", strerror(-rc));
		port->state = PORT_ERROR;
		rcu_synchronize();
		close_device(port);
	}
	return rc;
}

void port_close(struct port *port)
{
	__atomic_store_n(&port->state, PORT_DETACHED, __ATOMIC_RELEASE);
	port->reason[0] = '\0';
	if (port->driver == NULL)
		return;
	port_poll_remove(port);
	rcu_synchronize();
	close_device(port);
}

void port_leave(struct port *port)
{
	port->leaving = true;
	port_close(port);
	port->leaving = false;
}

/* ---- Usage ---- */

static struct usage_entry usage_of(const struct port *port)
{
	struct usage_entry entry =
		usage_entry_make("port", port->name, port->usage, port->revision);
	struct port_counters c = port_counters_sum(port);

	entry.figures = (struct usage_figures){.rx_packets = c.rx_packets,
		.rx_bytes = c.rx_bytes - c.rx_packets * RTE_ETHER_HDR_LEN,
		.tx_packets = c.tx_packets,
		.tx_bytes = c.tx_bytes - c.tx_packets * RTE_ETHER_HDR_LEN};
	return entry;
}

static void each_usage(usage_fn fn, void *arg)
{
	for (const struct port *port = port_next(NULL); port != NULL;
		port = port_next((struct port *)port)) {
		struct usage_entry entry = usage_of(port);

		if (port->role == PORT_TENANT)
			fn(&entry, arg);
	}
}
USAGE_SOURCE(port_usage, each_usage)

static void tell_usage(const struct port *port, void (*tell)(const struct usage_entry *entry))
{
	struct usage_entry entry = usage_of(port);

	if (port->role == PORT_TENANT)
		tell(&entry);
}

static void port_release(void *arg)
{
	struct port *port = arg;

	tell_usage(port, usage_ended);
	free(port->counters);
	free(port);
}

void port_free(struct port *port)
{
	struct port **link = name_head(port->name);

	port_close(port);
	while (*link != port)
		link = &(*link)->next_of_name;
	*link = port->next_of_name;
	rcu_ptr_set(port_table.ports[port->index], NULL);
	used--;
	tell_usage(port, usage_ending);
	drop_pass_on(drop_owner_port(port->index), drop_owner_of_vpc(port->vpc_index));
	rcu_defer(port_release, port);
}

struct port_counters port_counters_sum(const struct port *port)
{
	struct port_counters sum = {0};

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct port_counters *c = &port->counters[i];

		sum.rx_packets += __atomic_load_n(&c->rx_packets, __ATOMIC_RELAXED);
		sum.rx_bytes += __atomic_load_n(&c->rx_bytes, __ATOMIC_RELAXED);
		sum.tx_packets += __atomic_load_n(&c->tx_packets, __ATOMIC_RELAXED);
		sum.tx_bytes += __atomic_load_n(&c->tx_bytes, __ATOMIC_RELAXED);
	}
	return sum;
}

void port_check_links(void (*changed)(struct port *port))
{
	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port)) {
		uint8_t state;

		if (port->driver == NULL || port->driver->link_up == NULL)
			continue;
		state = link_state(port);
		if (state == port->state)
			continue;
		__atomic_store_n(&port->state, state, __ATOMIC_RELEASE);
		if (changed != NULL)
			changed(port);
	}
}

void port_links_look(void)
{
	eventfd_write(links_event, 1);
}

int port_links_watch(int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	return epoll_ctl(links_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int port_links_fd(void)
{
	return links_fd;
}

void port_links_looked(void)
{
	struct epoll_event seen[16];

	while (epoll_wait(links_fd, seen, RTE_DIM(seen), 0) == RTE_DIM(seen))
		;
}
