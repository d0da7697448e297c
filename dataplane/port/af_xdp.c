/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel interface through XDP sockets, one for each of its queues: frames come out of the driver before the kernel's stack
 * sees them. Frames are copied between the sockets' memory and mbufs, so that a slow consumer of an mbuf never holds up the
 * interface, and closing one has nobody to wait for.
 *
 * The kernel tells us nothing about a frame but its bytes: one from a veth may carry a partial checksum (partial.h), and what leaves
 * is complete and no longer than the interface's MTU.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <rte_errno.h>
#include <rte_memcpy.h>
#include <rte_spinlock.h>

#include "port/drops.h"
#include "port/ifconf.h"
#include "port/netdev.h"
#include "port/partial.h"
#include "port/port.h"
#include "port/xdp.h"

#define RING 2048 /* frames on their way in, and as many out */
#define AREA_FRAMES (2 * RING)
/* A frame lies behind what XDP keeps for itself: 256 bytes, in a chunk of 2 or 4 KiB. */
#define CHUNK_SMALL 2048
#define CHUNK_LARGE 4096
#define CHUNK_TAKEN 256
/* A veth's frame is in a page with what the kernel writes before and behind it. */
#define MTU_MAX 3498
#define L2_MAX 18 /* Ethernet and a tag */
#define SEND_BUFFER (32 << 20)
#define KICKS_MAX 64
#define BIND_TRIES                                                                                 \
	50 /* ms: the kernel lets go of a queue some time after its last socket was closed */

struct xsk_queue {
	/* The worker that polls it. */
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	int fd;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	uint8_t *area;
	/* Whoever sends. */
	rte_spinlock_t lock __rte_cache_aligned;
	struct xsk_ring_prod tx;
	struct xsk_ring_cons done;
	uint32_t n_free;
	uint64_t free[RING]; /* offsets in the area */
};

struct af_xdp {
	uint32_t chunk;
	uint16_t n_queues;
	bool unwired; /* a virtual interface: frames come from another stack, maybe unfinished */
	struct xsk_queue *queues[PORT_QUEUES_MAX];
	int fds[PORT_QUEUES_MAX];
	struct netdev dev;
	struct xdp xdp;
};

/* --- opening and closing --- */

static int ethtool(const struct netdev *dev, void *command)
{
	struct ifreq ifr = {.ifr_data = command};

	memcpy(ifr.ifr_name, dev->ifname, sizeof(ifr.ifr_name));
	return ioctl(dev->fd, SIOCETHTOOL, &ifr);
}

/* An interface that can not say has one. */
static uint32_t count_queues(const struct netdev *dev)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	if (ethtool(dev, &c) < 0)
		return 1;
	return RTE_MAX(1u, c.rx_count + c.combined_count);
}

static bool is_virtual(const struct netdev *dev)
{
	static const char *const drivers[] = {
		"veth", "tun", "macvlan", "bridge", "virtio_net", "vxlan"};
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (ethtool(dev, &info) < 0)
		return true;
	for (unsigned int i = 0; i < RTE_DIM(drivers); i++) {
		if (strcmp(info.driver, drivers[i]) == 0)
			return true;
	}
	return false;
}

static int map_area(struct xsk_queue *q, size_t size)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	q->area = area;
	return 0;
}

/* Without XDP_COPY or XDP_ZEROCOPY the kernel takes the better one that the driver has. */
static int bind_queue(struct xsk_queue *q, const char *ifname, uint32_t number)
{
	const struct xsk_socket_config config = {
		.rx_size = RING,
		.tx_size = RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	const struct timespec ms = {.tv_nsec = 1000000};
	int rc = -EBUSY;

	for (int i = 0; rc == -EBUSY && i < BIND_TRIES; i++) {
		if (i > 0)
			nanosleep(&ms, NULL);
		rc = xsk_socket__create(
			&q->socket, ifname, number, q->umem, &q->rx, &q->tx, &config);
	}
	return rc;
}

static void give_frames(struct xsk_queue *q, uint32_t chunk)
{
	uint32_t at = 0;

	xsk_ring_prod__reserve(&q->fill, RING, &at);
	for (uint32_t i = 0; i < RING; i++)
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = (uint64_t)i * chunk;
	xsk_ring_prod__submit(&q->fill, RING);
	for (uint32_t i = 0; i < RING; i++)
		q->free[i] = (uint64_t)(RING + i) * chunk;
	q->n_free = RING;
}

static int open_queue(struct af_xdp *x, struct xsk_queue *q, uint32_t number)
{
	const struct xsk_umem_config config = {
		.fill_size = RING,
		.comp_size = RING,
		.frame_size = x->chunk,
	};
	const int buffer = SEND_BUFFER;
	size_t size = (size_t)AREA_FRAMES * x->chunk;
	int rc = map_area(q, size);

	if (rc == 0)
		rc = xsk_umem__create(&q->umem, q->area, size, &q->fill, &q->done, &config);
	if (rc == 0)
		rc = bind_queue(q, x->dev.ifname, number);
	if (rc < 0)
		return rc;
	q->fd = xsk_socket__fd(q->socket);
	rte_spinlock_init(&q->lock);
	/* Without CAP_NET_ADMIN the default size has to do. */
	setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	give_frames(q, x->chunk);
	return xsk_socket__update_xskmap(q->socket, x->xdp.map_fd);
}

static void close_queue(const struct af_xdp *x, struct xsk_queue *q)
{
	if (q->socket != NULL)
		xsk_socket__delete(q->socket);
	if (q->umem != NULL)
		xsk_umem__delete(q->umem);
	if (q->area != NULL)
		munmap(q->area, (size_t)AREA_FRAMES * x->chunk);
	free(q);
}

static void close_queues(struct af_xdp *x)
{
	for (uint16_t i = 0; i < x->n_queues; i++)
		close_queue(x, x->queues[i]);
	x->n_queues = 0;
}

static int open_queues(struct port *port, struct af_xdp *x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct xsk_queue *q =
			aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_ROUNDUP(sizeof(*q)));
		int rc;

		if (q == NULL)
			return port_fail(port, -ENOMEM, "out of memory");
		memset(q, 0, sizeof(*q));
		x->queues[x->n_queues++] = q;
		rc = open_queue(x, q, i);
		if (rc < 0)
			return port_fail(port, rc, "XDP socket on queue %u of %s: %s%s", i,
				x->dev.ifname, strerror(-rc),
				rc == -ENOBUFS ? " (the limit of locked memory is too low)"
				: rc == -EBUSY ? " (another XDP socket has it)"
					       : "");
		x->fds[i] = q->fd;
	}
	return 0;
}

static int attach(struct port *port, struct af_xdp *x)
{
	uint32_t n = count_queues(&x->dev);
	int rc;

	/* Frames of a queue without a socket would go to the kernel. */
	if (n > PORT_QUEUES_MAX)
		return port_fail(port, -E2BIG,
			"%s has %u queues; with af_xdp it may have %u: ethtool -L %s combined N",
			x->dev.ifname, n, PORT_QUEUES_MAX, x->dev.ifname);
	rc = xdp_attach(port, &x->xdp, x->dev.ifindex, x->dev.ifname, n);
	if (rc < 0)
		return rc;
	rc = open_queues(port, x, n);
	if (rc < 0) {
		xdp_detach(&x->xdp);
		close_queues(x);
	}
	return rc;
}

/* `mtu` 0: not known yet. */
static int check_mtu(struct port *port, uint16_t mtu)
{
	return mtu <= MTU_MAX
		       ? 0
		       : port_fail(port, -EMSGSIZE,
				 "an MTU of %u does not fit the frames of af_xdp (at most %u); "
				 "use af_packet",
				 mtu, MTU_MAX);
}

/* Frames may be as long as the interface's own MTU says. */
static uint32_t chunk_for(const struct port *port, const struct netdev *dev)
{
	int mtu = RTE_MAX(ifconf_get_mtu(dev->ifname), (int)port->mtu);

	return mtu + L2_MAX + CHUNK_TAKEN <= CHUNK_SMALL ? CHUNK_SMALL : CHUNK_LARGE;
}

static int af_xdp_open(struct port *port, const struct port_spec *spec)
{
	struct af_xdp *x = port->priv;
	int rc = check_mtu(port, spec->mtu);

	if (rc == 0)
		rc = netdev_open(port, spec, &x->dev);
	if (rc < 0)
		return rc;
	x->chunk = chunk_for(port, &x->dev);
	x->unwired = is_virtual(&x->dev);
	rc = check_mtu(port, port->mtu);
	if (rc == 0)
		rc = attach(port, x);
	if (rc < 0) {
		netdev_close(&x->dev);
		return rc;
	}
	port->n_rx_queues = (uint8_t)x->n_queues;
	port->rx_fd = x->fds[0];
	if (x->n_queues > 1)
		port->rx_fds = x->fds;
	port->caps = PORT_CAP_MULTI_SEG;
	return 0;
}

static void af_xdp_close(struct port *port)
{
	struct af_xdp *x = port->priv;

	xdp_detach(&x->xdp);
	close_queues(x);
	netdev_close(&x->dev);
}

/* --- receiving --- */

/* NULL: no buffer. */
static struct rte_mbuf *copy_in(struct rte_mempool *pool, const uint8_t *from, uint32_t len)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool), *m = head;

	while (m != NULL) {
		uint16_t n = (uint16_t)RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));

		rte_memcpy(rte_pktmbuf_mtod(m, void *), from, n);
		m->data_len = n;
		head->pkt_len += n;
		from += n;
		len -= n;
		if (likely(len == 0))
			return head;
		m->next = rte_pktmbuf_alloc(pool);
		m = m->next;
		head->nb_segs++;
	}
	if (head != NULL) {
		head->nb_segs--;
		rte_pktmbuf_free(head);
	}
	return NULL;
}

/* Takes up to `n` frames off the ring, and gives their memory back to the kernel at once. Returns how many were there. */
static uint16_t receive(struct port *port, const struct af_xdp *x, struct xsk_queue *q,
	struct rte_mbuf **pkts, uint16_t n, uint16_t *got)
{
	uint32_t at = 0, fill = 0;
	uint16_t count = (uint16_t)xsk_ring_cons__peek(&q->rx, n, &at);

	if (count == 0)
		return 0;
	/* There is room: no more frames exist than the ring takes. */
	xsk_ring_prod__reserve(&q->fill, count, &fill);
	for (uint16_t i = 0; i < count; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);
		struct rte_mbuf *m = copy_in(worker_self->pool, q->area + d->addr, d->len);

		*xsk_ring_prod__fill_addr(&q->fill, fill + i) = d->addr & ~(uint64_t)(x->chunk - 1);
		if (unlikely(m == NULL)) {
			port_drop_received(port, NULL, DROP_NO_BUFFER);
			continue;
		}
		if (x->unwired)
			partial_mark(m);
		pkts[(*got)++] = m;
	}
	xsk_ring_prod__submit(&q->fill, count);
	xsk_ring_cons__release(&q->rx, count);
	return count;
}

static uint16_t af_xdp_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct af_xdp *x = port->priv;
	struct xsk_queue *q = x->queues[queue];
	uint16_t got = 0;

	while (got == 0 && receive(port, x, q, pkts, n, &got) > 0)
		;
	if (unlikely(got == 0 && xsk_ring_prod__needs_wakeup(&q->fill)))
		recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	return got;
}

/* --- sending --- */

static void reclaim(struct xsk_queue *q)
{
	uint32_t at = 0;
	uint32_t n = xsk_ring_cons__peek(&q->done, RING, &at);

	for (uint32_t i = 0; i < n; i++)
		q->free[q->n_free++] = *xsk_ring_cons__comp_addr(&q->done, at + i);
	xsk_ring_cons__release(&q->done, n);
}

static void copy_out(uint8_t *to, const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next) {
		rte_memcpy(to, rte_pktmbuf_mtod(m, const void *), m->data_len);
		to += m->data_len;
	}
}

/* How many found room; fewer than all sets rte_errno. */
static uint16_t queue_frames(
	const struct af_xdp *x, struct xsk_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t at = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct xdp_desc *d;

		if (unlikely(pkts[i]->pkt_len > x->chunk - CHUNK_TAKEN)) {
			rte_errno = EMSGSIZE;
			break;
		}
		if (unlikely(q->n_free == 0 || xsk_ring_prod__reserve(&q->tx, 1, &at) == 0)) {
			rte_errno = EAGAIN;
			break;
		}
		d = xsk_ring_prod__tx_desc(&q->tx, at);
		*d = (struct xdp_desc){.addr = q->free[--q->n_free], .len = pkts[i]->pkt_len};
		copy_out(q->area + d->addr, pkts[i]);
	}
	xsk_ring_prod__submit(&q->tx, i);
	return i;
}

static uint32_t unsent(const struct xsk_queue *q)
{
	return *q->tx.producer - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

/* The kernel sends a few at a call and stops when a queue of its own is full. What it leaves goes with the next call, link_up's
 * at the latest. */
static void kick(struct xsk_queue *q)
{
	uint32_t left = unsent(q);

	for (int i = 0; left > 0 && i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&q->tx); i++) {
		uint32_t before = left;
		ssize_t rc = sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);

		left = unsent(q);
		if (rc < 0 && errno != EINTR && (errno != EAGAIN || left == before))
			return;
	}
}

static uint16_t af_xdp_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct af_xdp *x = port->priv;
	struct xsk_queue *q = x->queues[queue % x->n_queues];
	uint16_t sent;

	rte_spinlock_lock(&q->lock);
	reclaim(q);
	sent = queue_frames(x, q, pkts, n);
	kick(q);
	rte_spinlock_unlock(&q->lock);
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

static bool af_xdp_link_up(struct port *port)
{
	struct af_xdp *x = port->priv;

	for (uint16_t i = 0; i < x->n_queues; i++) {
		rte_spinlock_lock(&x->queues[i]->lock);
		kick(x->queues[i]);
		rte_spinlock_unlock(&x->queues[i]->lock);
	}
	return netdev_link_up(port, &x->dev);
}

PORT_DRIVER(af_xdp_driver, .type = "netdev", .mode = "af_xdp", .priv_size = sizeof(struct af_xdp),
	.open = af_xdp_open, .close = af_xdp_close, .rx_burst = af_xdp_rx_burst,
	.tx_burst = af_xdp_tx_burst, .link_up = af_xdp_link_up);
