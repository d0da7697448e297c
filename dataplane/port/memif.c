/* SPDX-License-Identifier: Apache-2.0 */
#include "port/memif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/memif_conn.h"
#include "port/unix_socket.h"

#define SOCKET_MODE 0660
#define BACKLOG 64
#define PENDING_MAX 64

/* A socket that servers share; their ids tell them apart. */
struct memif_listener {
	int fd;
	struct memif *ports;
	struct memif_conn *pending; /* have not said which one they want */
	unsigned int n_pending;
	struct memif_listener *next;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static struct memif_listener *listeners; /* control thread */

/* --- listening --- */

static struct memif_listener *listener_find(const char *path)
{
	struct memif_listener *l = listeners;

	while (l != NULL && strcmp(l->path, path) != 0)
		l = l->next;
	return l;
}

static int listen_on(struct port *port, const struct sockaddr_un *addr)
{
	int fd, rc = unix_socket_clear_stale(port, addr, SOCK_SEQPACKET);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return port_fail(port, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
		chmod(addr->sun_path, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0 ||
		port_links_watch(fd) < 0) {
		rc = port_fail(
			port, -errno, "%s can not be served: %s", addr->sun_path, strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

static struct memif_listener *listener_new(struct port *port, const struct sockaddr_un *addr)
{
	struct memif_listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		port_fail(port, -ENOMEM, "out of memory");
		return NULL;
	}
	l->fd = listen_on(port, addr);
	if (l->fd < 0) {
		free(l);
		return NULL;
	}
	memcpy(l->path, addr->sun_path, sizeof(l->path));
	l->next = listeners;
	listeners = l;
	return l;
}

static void listener_free(struct memif_listener *l)
{
	struct memif_listener **at = &listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	for (struct memif_conn *c = l->pending, *next; c != NULL; c = next) {
		next = c->next;
		memif_conn_end(c, "the server stops");
	}
	unlink(l->path);
	close(l->fd);
	free(l);
}

static int join(struct port *port, struct memif *m)
{
	struct memif_listener *l = listener_find(m->addr.sun_path);

	for (const struct memif *other = l != NULL ? l->ports : NULL; other != NULL;
		other = other->next) {
		if (other->id == m->id)
			return port_fail(port, -EADDRINUSE, "id %u of %s is another port's", m->id,
				m->addr.sun_path);
	}
	if (l == NULL)
		l = listener_new(port, &m->addr);
	if (l == NULL)
		return -EADDRINUSE;
	m->listener = l;
	m->next = l->ports;
	l->ports = m;
	return 0;
}

static void leave(struct memif *m)
{
	struct memif **at = &m->listener->ports;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	if (m->listener->ports == NULL)
		listener_free(m->listener);
	m->listener = NULL;
}

/* --- a peer --- */

static void wake(const struct memif *m)
{
	eventfd_write(m->wake_fd, 1);
}

/* Workers send and receive from now on. */
static void activate(struct memif *m)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->conn->link->rx.event_fd, &e);
	rcu_ptr_set(m->active, m->conn->link);
	wake(m); /* frames may be there already */
}

static void drop_peer(struct memif *m, const char *why)
{
	struct memif_conn *c = m->conn;

	if (c == NULL)
		return;
	if (rcu_ptr_get(m->active) != NULL) {
		rcu_ptr_set(m->active, NULL);
		rcu_synchronize();
		/* The peer has this file open as well: closing it here would not end the watch. */
		epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, c->link->rx.event_fd, NULL);
	}
	m->conn = NULL;
	memif_conn_end(c, why);
}

/* Goes on with the peer; it may be gone afterwards, with the reason in the port. */
static void step_peer(struct memif *m)
{
	struct memif_conn *c = m->conn;

	if (c == NULL)
		return;
	memif_conn_step(c);
	if (c->state == MEMIF_CONN_GONE) {
		port_fail(m->port, 0, "memif %s: %s", m->addr.sun_path, c->said);
		drop_peer(m, NULL);
	} else if (c->link != NULL &&
		   atomic_load_explicit(&c->link->broken, memory_order_relaxed)) {
		port_fail(m->port, 0, "memif %s: the peer's ring makes no sense", m->addr.sun_path);
		drop_peer(m, "your ring makes no sense");
	} else if (c->state == MEMIF_CONN_READY && rcu_ptr_get(m->active) == NULL) {
		activate(m);
	}
}

/* A client that has said which interface it wants. */
static void give_to_port(struct memif_listener *l, struct memif_conn *c)
{
	struct memif *m = l->ports;

	while (m != NULL && m->id != c->id)
		m = m->next;
	if (m == NULL) {
		memif_conn_end(c, "no such id here");
		return;
	}
	step_peer(m); /* the old one may be dead */
	if (m->conn != NULL) {
		memif_conn_end(c, "another client is connected to this id");
		return;
	}
	m->conn = c;
	memif_conn_accept(c);
	step_peer(m);
	port_links_look();
}

static void listener_accept(struct memif_listener *l)
{
	int fd;

	while (l->n_pending < PENDING_MAX &&
		(fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct memif_conn *c = memif_conn_new(fd, false, 0);

		if (c == NULL || port_links_watch(fd) < 0) {
			if (c != NULL)
				memif_conn_end(c, "out of memory");
			continue;
		}
		c->next = l->pending;
		l->pending = c;
		l->n_pending++;
	}
}

static void listener_step(struct memif_listener *l)
{
	struct memif_conn **at = &l->pending;

	listener_accept(l);
	while (*at != NULL) {
		struct memif_conn *c = *at;

		memif_conn_step(c);
		if (c->state != MEMIF_CONN_GONE && !c->asked) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		l->n_pending--;
		if (c->asked)
			give_to_port(l, c);
		else
			memif_conn_end(c, NULL);
	}
}

static void connect_peer(struct memif *m)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&m->addr, sizeof(m->addr)) == 0 &&
		port_links_watch(fd) == 0) {
		m->conn = memif_conn_new(fd, true, m->id);
		return;
	}
	port_fail(m->port, 0, "nobody serves %s", m->addr.sun_path);
	if (fd >= 0)
		close(fd);
}

/* --- the port --- */

static bool memif_link_up(struct port *port)
{
	struct memif *m = port->priv;

	port_fail(port, 0, "no peer is connected to the memif %s", m->addr.sun_path);
	step_peer(m);
	if (m->server)
		listener_step(m->listener);
	else if (m->conn == NULL)
		connect_peer(m);
	if (rcu_ptr_get(m->active) == NULL)
		return false;
	/* Looked at once a second in any case, should a peer ever forget to signal. */
	wake(m);
	return true;
}

static int check(struct port *port, struct memif *m, const struct port_spec *spec)
{
	size_t len = spec->socket == NULL ? 0 : strlen(spec->socket);

	m->port = port;
	m->id = spec->id;
	m->epoll_fd = m->wake_fd = -1;
	m->server = spec->role == NULL || strcmp(spec->role, "server") == 0;
	if (!m->server && strcmp(spec->role, "client") != 0)
		return port_fail(port, -EINVAL, "role must be server or client");
	if (len == 0 || len >= sizeof(m->addr.sun_path))
		return port_fail(port, -EINVAL,
			"memif needs the path of a socket, up to %zu characters",
			sizeof(m->addr.sun_path) - 1);
	m->addr.sun_family = AF_UNIX;
	memcpy(m->addr.sun_path, spec->socket, len + 1);
	return 0;
}

static void close_fds(const struct memif *m)
{
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
}

static int open_fds(struct port *port, struct memif *m)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (m->epoll_fd >= 0 && m->wake_fd >= 0 &&
		epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->wake_fd, &e) == 0)
		return 0;
	return port_fail(port, -errno, "epoll: %s", strerror(errno));
}

static int memif_open(struct port *port, const struct port_spec *spec)
{
	struct memif *m = port->priv;
	int rc = check(port, m, spec);

	if (rc == 0)
		rc = open_fds(port, m);
	if (rc == 0 && m->server)
		rc = join(port, m);
	if (rc < 0) {
		close_fds(m);
		return rc;
	}
	port->rx_fd = m->epoll_fd;
	port->caps = PORT_CAP_MULTI_SEG;
	return 0;
}

static void memif_close(struct port *port)
{
	struct memif *m = port->priv;

	drop_peer(m, "the port is detached");
	if (m->listener != NULL)
		leave(m);
	close_fds(m);
}

PORT_DRIVER(memif_driver, .type = "memif", .priv_size = sizeof(struct memif), .open = memif_open,
	.close = memif_close, .rx_burst = memif_rx_burst, .tx_burst = memif_tx_burst,
	.rest = memif_rest, .link_up = memif_link_up);
