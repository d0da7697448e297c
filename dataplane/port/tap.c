/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces with offloads: frames travel to and from the kernel with partial checksums and as GSO frames of up to
 * 64 kB, described by the header of vnet_hdr.h.
 *
 * The interface is made in the namespace it is to live in, so its name needs to be free only there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_errno.h>

#include "port/drops.h"
#include "port/ifconf.h"
#include "port/netns.h"
#include "port/port.h"
#include "port/rx_buf.h"
#include "port/vnet_hdr.h"

/* Linux 6.2 */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TAP_CAPS                                                                                   \
	(PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6 | PORT_CAP_MULTI_SEG | PORT_CAP_COALESCE)
/* More than the longest chain that is made here: 64 kB in pieces of an Ethernet frame. */
#define TX_IOVS 64
/* What a kernel queue holds by default (txqueuelen). */
#define DISCARD_MAX 1000

struct tap {
	int fd;
	_Atomic bool gone; /* the interface was deleted from outside. Written by workers */
	char ifname[IFNAMSIZ];
};

/* Shared by a worker's TAPs: the buffers are empty between two reads. */
static struct {
	struct rx_buf buf;
} __rte_cache_aligned worker_buf[WORKER_MAX];

struct tap_opening {
	struct port *port;
	struct tap *tap;
	const struct port_spec *spec;
};

static int create(struct port *port, struct tap *tap)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
	int hdr_size = sizeof(struct vnet_hdr);
	unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	memcpy(ifr.ifr_name, tap->ifname, sizeof(ifr.ifr_name));
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0) {
		if (errno == EBUSY || errno == EEXIST)
			return port_fail(port, -EEXIST,
				"an interface named %s exists already; delete it or choose another "
				"name",
				tap->ifname);
		return port_fail(port, -errno, "TAP %s: %s%s", tap->ifname, strerror(errno),
			errno == EPERM ? " (needs CAP_NET_ADMIN)" : "");
	}
	if (ioctl(tap->fd, TUNSETVNETHDRSZ, &hdr_size) < 0)
		return port_fail(
			port, -errno, "TAP %s: vnet header: %s", tap->ifname, strerror(errno));
	port->caps = TAP_CAPS;
	if (ioctl(tap->fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0)
		port->caps |= PORT_CAP_USO;
	else if (ioctl(tap->fd, TUNSETOFFLOAD, offloads) < 0)
		return port_fail(
			port, -errno, "TAP %s: offloads: %s", tap->ifname, strerror(errno));
	return 0;
}

/* In the interface's namespace. */
static int open_there(void *arg)
{
	struct tap_opening *o = arg;
	int rc;

	o->tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (o->tap->fd < 0)
		return port_fail(o->port, -errno, "/dev/net/tun: %s", strerror(errno));
	rc = create(o->port, o->tap);
	if (rc == 0)
		rc = ifconf_apply(o->port, o->spec);
	if (rc < 0)
		close(o->tap->fd);
	return rc;
}

static int tap_open(struct port *port, const struct port_spec *spec)
{
	struct tap *tap = port->priv;
	struct tap_opening o = {port, tap, spec};
	int rc;

	if (!ifconf_name_valid(spec->ifname))
		return port_fail(port, -EINVAL,
			"\"%s\" can not be an interface's name (1 to 15 characters)",
			spec->ifname == NULL ? "" : spec->ifname);
	memcpy(tap->ifname, spec->ifname, strlen(spec->ifname));
	rc = netns_run(spec->netns, open_there, &o);
	if (rc < 0) {
		if (port->reason[0] == '\0')
			port_fail(port, rc, "network namespace %s: %s", spec->netns, strerror(-rc));
		return rc;
	}
	port->rx_fd = tap->fd;
	return 0;
}

/* The interface goes with its last file descriptor. */
static void tap_close(struct port *port)
{
	struct tap *tap = port->priv;

	close(tap->fd);
}

/* Takes frames that there is no buffer for out of the kernel's queue, so that its end is seen (see rx_burst in port.h). */
static void discard(struct port *port, const struct tap *tap)
{
	char head[64];

	for (int i = 0; i < DISCARD_MAX && read(tap->fd, head, sizeof(head)) > 0; i++)
		port_drop_received(port, DROP_NO_BUFFER);
}

/* NULL at the end of the queue. A frame that is dropped here leaves *m NULL and true. */
static bool read_frame(struct port *port, struct tap *tap, struct rx_buf *buf, struct rte_mbuf **m)
{
	struct vnet_hdr hdr;
	struct iovec iov[1 + RX_BUF_IOVS] = {{&hdr, sizeof(hdr)}};
	ssize_t got;
	int n;

	*m = NULL;
	if (unlikely(!rx_buf_fill(buf, worker_self, iov + 1, &n))) {
		discard(port, tap);
		return false;
	}
	got = readv(tap->fd, iov, 1 + n);
	if (got < (ssize_t)sizeof(hdr)) {
		if (got < 0 && errno == EBADFD)
			atomic_store_explicit(&tap->gone, true, memory_order_relaxed);
		return false;
	}
	*m = rx_buf_take(buf, (uint32_t)(got - (ssize_t)sizeof(hdr)));
	if (unlikely(*m == NULL)) {
		port_drop_received(port, DROP_NO_BUFFER);
	} else if (unlikely(!vnet_hdr_to_mbuf(&hdr, *m))) {
		rte_pktmbuf_free(*m);
		*m = NULL;
		port_drop_received(port, DROP_MALFORMED);
	}
	return true;
}

static uint16_t tap_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct rx_buf *buf = &worker_buf[worker_self->id].buf;
	uint32_t bytes = 0;
	uint16_t got = 0;

	(void)queue;
	while (got < n && bytes < PORT_BURST_BYTES) {
		if (!read_frame(port, port->priv, buf, &pkts[got]))
			break;
		if (likely(pkts[got] != NULL))
			bytes += pkts[got++]->pkt_len;
	}
	return got;
}

static int send_error(struct tap *tap)
{
	switch (errno) {
	case EBADFD:
		atomic_store_explicit(&tap->gone, true, memory_order_relaxed);
		return ENETDOWN;
	case EIO: /* the interface is down */
		return ENETDOWN;
	case ENOMEM:
		return ENOBUFS;
	default:
		return errno;
	}
}

static uint16_t tap_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct tap *tap = port->priv;
	uint16_t sent;

	(void)queue;
	for (sent = 0; sent < n; sent++) {
		struct vnet_hdr hdr;
		struct iovec iov[1 + TX_IOVS];
		int iovs = 0;

		if (unlikely(pkts[sent]->nb_segs > TX_IOVS)) {
			rte_errno = EMSGSIZE;
			break;
		}
		vnet_hdr_from_mbuf(&hdr, pkts[sent]);
		iov[iovs++] = (struct iovec){&hdr, sizeof(hdr)};
		for (const struct rte_mbuf *s = pkts[sent]; s != NULL; s = s->next)
			iov[iovs++] = (struct iovec){rte_pktmbuf_mtod(s, void *), s->data_len};
		if (unlikely(writev(tap->fd, iov, iovs) < 0)) {
			rte_errno = send_error(tap);
			break;
		}
	}
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

static bool tap_link_up(struct port *port)
{
	struct tap *tap = port->priv;

	if (!atomic_load_explicit(&tap->gone, memory_order_relaxed))
		return true;
	port_fail(port, 0, "interface %s was deleted; attach the port again", tap->ifname);
	return false;
}

PORT_DRIVER(tap_driver, .type = "tap", .priv_size = sizeof(struct tap), .open = tap_open,
	.close = tap_close, .rx_burst = tap_rx_burst, .tx_burst = tap_tx_burst,
	.link_up = tap_link_up);
