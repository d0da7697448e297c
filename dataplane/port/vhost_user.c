/* SPDX-License-Identifier: Apache-2.0 */
/* The port of a virtual machine: its socket, and who is at the other end; see vhost_user.h.
 *
 * As a client we connect ourselves instead of leaving it to librte_vhost: its thread that does so (22.11) may add a socket to its
 * list again while rte_vhost_driver_unregister() frees it.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "core/rcu.h"
#include "port/unix_socket.h"
#include "port/vhost_user.h"

#define BIT(feature) (1ULL << (feature))
/* Not offered. UFO is fragmentation, no UDP segmentation, which librte_vhost 22.11 does not know. Packed rings: after we were
 * killed the peer knows from a split ring alone where to go on. */
#define NOT_OFFERED                                                                                \
	(BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_F_RING_PACKED))
#ifndef VIRTIO_F_RING_PACKED
#define VIRTIO_F_RING_PACKED 34
#endif

/* The monitor may run as another user: who is in the socket's group (that of the directory, when that has its setgid bit). */
#define SOCKET_MODE 0660

/* --- the socket --- */

static int check_path(struct port *port, struct vhost_user *v, const struct port_spec *spec)
{
	v->server = spec->role == NULL || strcmp(spec->role, "server") == 0;
	if (!v->server && strcmp(spec->role, "client") != 0)
		return port_fail(port, -EINVAL, "role must be server or client");
	if (spec->socket == NULL || spec->socket[0] != '/')
		return port_fail(port, -EINVAL, "vhost_user needs the path of a socket");
	if (strlen(spec->socket) >= sizeof(v->path))
		return port_fail(port, -ENAMETOOLONG, "the path of the socket is too long");
	if (spec->queues > VHOST_USER_PAIRS_MAX)
		return port_fail(port, -EINVAL, "queues must be 1 to %u", VHOST_USER_PAIRS_MAX);
	v->n_pairs = spec->queues == 0 ? 1 : (uint16_t)spec->queues;
	memcpy(v->path, spec->socket, strlen(spec->socket) + 1);
	return 0;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* 0 or -1. Tells new_connection() of what it finds at once. */
static int start(struct vhost_user *v)
{
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;

	if (!v->server)
		flags |= RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT;
	if (rte_vhost_driver_register(v->path, flags) < 0)
		return -1;
	v->registered = true;
	if (rte_vhost_driver_disable_features(v->path, NOT_OFFERED) < 0 ||
		rte_vhost_driver_callback_register(v->path, &vhost_user_ops) < 0)
		return -1;
	return rte_vhost_driver_start(v->path);
}

static void stop(struct vhost_user *v)
{
	if (v->registered)
		rte_vhost_driver_unregister(v->path);
	v->registered = false;
}

static int start_server(struct port *port, struct vhost_user *v)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int rc;

	memcpy(addr.sun_path, v->path, strlen(v->path) + 1);
	rc = unix_socket_clear_stale(port, &addr, SOCK_STREAM);
	if (rc < 0)
		return rc;
	errno = 0;
	if (start(v) < 0) {
		rc = errno != 0 ? -errno : -EIO;
		return port_fail(port, rc, "%s can not be served: %s", v->path, strerror(-rc));
	}
	/* To connect one needs to write; until here the umask leaves that to our group at most. */
	if (chmod(v->path, SOCKET_MODE) < 0)
		return port_fail(port, -errno, "%s: %s", v->path, strerror(errno));
	return 0;
}

/* --- the port --- */

static int open_fds(struct port *port, struct vhost_user *v)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	v->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (v->wake_fd < 0)
		return port_fail(port, -errno, "eventfd: %s", strerror(errno));
	for (unsigned int pair = 0; pair < v->n_pairs; pair++) {
		v->epoll_fds[pair] = epoll_create1(EPOLL_CLOEXEC);
		if (v->epoll_fds[pair] < 0 ||
			epoll_ctl(v->epoll_fds[pair], EPOLL_CTL_ADD, v->wake_fd, &e) < 0)
			return port_fail(port, -errno, "epoll: %s", strerror(errno));
	}
	return 0;
}

static void close_fds(struct vhost_user *v)
{
	for (unsigned int pair = 0; pair < v->n_pairs; pair++)
		if (v->epoll_fds[pair] >= 0)
			close(v->epoll_fds[pair]);
	if (v->wake_fd >= 0)
		close(v->wake_fd);
}

static void init(struct vhost_user *v)
{
	v->wake_fd = -1;
	for (unsigned int pair = 0; pair < VHOST_USER_PAIRS_MAX; pair++)
		v->epoll_fds[pair] = -1;
	for (unsigned int i = 0; i < VHOST_USER_CONNS; i++) {
		v->conns[i].vid = -1;
		for (unsigned int pair = 0; pair < VHOST_USER_PAIRS_MAX; pair++)
			v->conns[i].pairs[pair].kick = -1;
	}
}

static void vhost_user_close(struct port *port)
{
	struct vhost_user *v = port->priv;

	rcu_ptr_set(v->active, NULL); /* port_close() has waited for workers */
	stop(v);
	vhost_user_forget(v);
	close_fds(v);
}

static int vhost_user_open(struct port *port, const struct port_spec *spec)
{
	struct vhost_user *v = port->priv;
	int rc = check_path(port, v, spec);

	if (rc < 0)
		return rc;
	init(v);
	rc = open_fds(port, v);
	if (rc == 0 && vhost_user_note(v) < 0)
		rc = port_fail(port, -EADDRINUSE, "%s is another port's socket", v->path);
	if (rc < 0) {
		close_fds(v);
		return rc;
	}
	rc = v->server ? start_server(port, v) : 0; /* link_up() connects */
	if (rc < 0)
		vhost_user_close(port);
	port->n_rx_queues = (uint8_t)v->n_pairs;
	port->rx_fd = v->epoll_fds[0];
	port->rx_fds = v->epoll_fds;
	return rc;
}

static uint32_t caps_of(int vid)
{
	uint32_t caps = PORT_CAP_MULTI_SEG;
	uint64_t f = 0;

	rte_vhost_get_negotiated_features(vid, &f);
	if (!(f & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return caps;
	caps |= PORT_CAP_CSUM;
	/* A guest interrupted once for many segments is worth much: put them together. */
	if (f & BIT(VIRTIO_NET_F_GUEST_TSO4))
		caps |= PORT_CAP_TSO4 | PORT_CAP_COALESCE;
	if (f & BIT(VIRTIO_NET_F_GUEST_TSO6))
		caps |= PORT_CAP_TSO6;
	return caps;
}

/* Of the first device that is ready; its handle or -1. `connected`: somebody is at the other end, at least. */
static int find_ready(struct vhost_user *v, bool *connected, struct vhost_user_conn **ready)
{
	int vid = -1;

	*connected = false;
	*ready = NULL;
	for (unsigned int i = 0; i < VHOST_USER_CONNS && vid < 0; i++) {
		struct vhost_user_conn *c = &v->conns[i];

		*connected |= c->vid >= 0;
		if (c->vid >= 0 && c->ready) {
			*ready = c;
			vid = c->vid;
		}
	}
	return vid;
}

/* From now on workers use the device. They send by port->caps, and a burst that began by the old ones ends before. */
static bool activate(struct port *port, struct vhost_user *v, struct vhost_user_conn *c, int vid)
{
	bool done;

	port->caps = caps_of(vid);
	rcu_synchronize();
	pthread_mutex_lock(&vhost_user_lock);
	done = c->vid == vid && c->ready;
	if (done) {
		for (unsigned int pair = 0; pair < v->n_pairs; pair++)
			c->pairs[pair].resting = false;
		rcu_ptr_set(v->active, c);
	}
	pthread_mutex_unlock(&vhost_user_lock);
	vhost_user_wake(v);
	return done;
}

/* A client whose server is away tries again each time it is asked. */
static void reconnect(struct vhost_user *v)
{
	stop(v);
	if (is_socket(v->path))
		start(v);
}

static bool vhost_user_link_up(struct port *port)
{
	struct vhost_user *v = port->priv;
	struct vhost_user_conn *ready;
	bool connected;
	int vid;

	pthread_mutex_lock(&vhost_user_lock);
	vid = find_ready(v, &connected, &ready);
	pthread_mutex_unlock(&vhost_user_lock);
	/* The rings are looked at once a second in any case, should a guest ever forget to kick. */
	if (rcu_ptr_get(v->active) != NULL) {
		vhost_user_wake(v);
		return true;
	}
	if (vid >= 0 && activate(port, v, ready, vid))
		return true;
	if (!connected && !v->server)
		reconnect(v);
	if (connected)
		port_fail(port, 0, "a peer is connected to %s, but no driver uses the device yet",
			v->path);
	else
		port_fail(port, 0, v->server ? "no peer is connected to %s" : "nobody serves %s",
			v->path);
	return false;
}

PORT_DRIVER(vhost_user_driver, .type = "vhost_user", .priv_size = sizeof(struct vhost_user),
	.open = vhost_user_open, .close = vhost_user_close, .rx_burst = vhost_user_rx_burst,
	.tx_burst = vhost_user_tx_burst, .rest = vhost_user_rest, .link_up = vhost_user_link_up);
