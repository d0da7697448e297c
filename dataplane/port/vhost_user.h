/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_VHOST_USER_H
#define PORT_VHOST_USER_H
/* Virtual machines' network devices: virtio-net rings in memory that the monitor (QEMU) shares over a Unix socket, served by
 * librte_vhost. Three files: the port (vhost_user.c), what librte_vhost tells (vhost_user_events.c), packets (vhost_user_io.c).
 *
 * Threads. librte_vhost speaks with the peers on a thread of its own, and calls the functions of vhost_user_events.c there (from
 * within rte_vhost_driver_unregister() and rte_vhost_driver_start() on the control thread, too). Workers read one pointer, `active`:
 *
 *	new_device       the device is noted as ready; the control thread publishes it, once port->caps says what it takes
 *	vring_state      a bit of the device's masks; called with all its rings locked, so it must wait for nobody
 *	destroy_device   `active` is cleared, and a grace period passes before librte_vhost may free the device; not when the port
 *	                 closes, since no worker uses it by then, and librte_vhost holds a lock meanwhile that others need
 *	                 who hold a lock of a ring that a worker may wait for
 *
 * vhost_user_lock orders these two kinds of threads; no worker takes it, and nobody waits for workers while holding it.
 *
 * Ring 2q carries frames to the guest, ring 2q + 1 from it (virtio 1.1, 5.1.2); q is a pair of queues.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "port/port.h"

#define VHOST_USER_PAIRS_MAX 16u
/* A server may accept a peer's new connection before it has noticed that the old one is dead. */
#define VHOST_USER_CONNS 2u
#define VHOST_USER_RING_TO_GUEST(pair) ((uint16_t)(2 * (pair)))
#define VHOST_USER_RING_FROM_GUEST(pair) ((uint16_t)(2 * (pair) + 1))

struct vhost_user_pair {
	int kick; /* our copy of the eventfd by which the guest tells of frames, or -1. Under the lock */
	/* Of the worker that reads it. */
	bool resting;      /* the guest is asked to tell of frames */
	uint64_t busy_tsc; /* when it last had one */
};

/* A connection, and the device behind it once its driver runs. */
struct vhost_user_conn {
	int vid;    /* librte_vhost's handle; -1: free. Under the lock; constant while active */
	bool ready; /* the guest's driver runs. Under the lock */
	/* By pair: the rings that may be used. Written under the lock, read by workers. */
	_Atomic uint32_t from_guest, to_guest;
	struct vhost_user_pair pairs[VHOST_USER_PAIRS_MAX];
};

struct vhost_user {
	struct vhost_user_conn *_Atomic active; /* RCU */
	/* Cold. */
	struct vhost_user_conn conns[VHOST_USER_CONNS];
	uint16_t n_pairs;
	/* What the worker of a pair sleeps on: the guest's kicks and wake_fd. */
	int epoll_fds[VHOST_USER_PAIRS_MAX];
	int wake_fd;
	bool server, registered;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct vhost_user *next;
};

/* vhost_user_events.c */
struct rte_vhost_device_ops;
extern const struct rte_vhost_device_ops vhost_user_ops;
extern pthread_mutex_t vhost_user_lock;

/* From here to vhost_user_forget() events find it. Control thread; -EADDRINUSE: another port has that path. */
int vhost_user_note(struct vhost_user *v);
void vhost_user_forget(struct vhost_user *v);
/* Its workers look at the rings. Any thread. */
void vhost_user_wake(const struct vhost_user *v);

/* vhost_user_io.c: see struct port_driver. */
uint16_t vhost_user_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t vhost_user_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
bool vhost_user_rest(struct port *port, uint16_t queue);

#endif
