/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces with offloads: frames travel to and from the kernel with partial checksums and as GSO frames of up to
 * 64 kB, described by the header of vnet_hdr.h.
 *
 * The interface is made in the namespace it is to live in, so its name needs to be free only there. One with an owner is
 * persistent: it stays when this process ends, with whatever its machine set on it, and the next process adopts it. Its alias says
 * whose it is and, as a hash, what it was made for. It becomes persistent last, so one that is there is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_errno.h>

#include "port/drops.h"
#include "port/ifconf.h"
#include "port/netns.h"
#include "port/port.h"
#include "port/reaper.h"
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
	bool persistent;
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

/* FNV-1a: the MAC and the texts lie at any address. */
static uint32_t hash_bytes(const void *data, size_t len, uint32_t h)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ byte[i]) * 0x01000193;
	return h;
}

static uint32_t hash_text(const char *text, uint32_t h)
{
	return text == NULL ? h : hash_bytes(text, strlen(text) + 1, h);
}

/* What the interface is made for: with another answer it is made anew. */
static uint32_t purpose(const struct port_spec *spec)
{
	uint32_t h = hash_text(spec->gateway4, hash_text(spec->gateway6, 0x811c9dc5 ^ spec->vni));

	h = hash_bytes(&spec->mac, sizeof(spec->mac), h + spec->mtu);
	for (unsigned int i = 0; spec->configure && i < spec->n_addresses; i++)
		h = hash_text(spec->addresses[i], h);
	return h + spec->configure;
}

/* Opens the interface or, with IFF_TUN_EXCL, makes it. */
static int take(struct tap *tap, short flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};

	memcpy(ifr.ifr_name, tap->ifname, sizeof(ifr.ifr_name));
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return -errno;
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0) {
		int error = errno;

		close(tap->fd);
		return -error;
	}
	return 0;
}

static int refuse(struct port *port, const struct tap *tap, const char *alias)
{
	return port_fail(port, -EEXIST,
		"an interface named %s exists already%s%.60s; delete it or choose another name",
		tap->ifname, alias[0] != '\0' ? " and belongs to: " : "", alias);
}

/* Of an interface that is there and ours: 0 when it is taken, -ENOENT when it was for another purpose and is gone now. */
static int adopt(struct port *port, struct tap *tap, bool same)
{
	int rc = take(tap, 0);

	if (rc == -EBUSY)
		return port_fail(port, rc, "TAP %s is in use by another process", tap->ifname);
	if (rc < 0)
		return port_fail(port, rc, "TAP %s: %s", tap->ifname, strerror(-rc));
	if (same)
		return 0;
	ioctl(tap->fd, TUNSETPERSIST, 0);
	close(tap->fd);
	return -ENOENT;
}

static int create(struct port *port, struct tap *tap)
{
	int rc = take(tap, IFF_TUN_EXCL);

	if (rc == -EBUSY || rc == -EEXIST)
		return refuse(port, tap, "");
	if (rc < 0)
		return port_fail(port, rc, "TAP %s: %s%s", tap->ifname, strerror(-rc),
			rc == -EPERM ? " (needs CAP_NET_ADMIN)" : "");
	return 0;
}

static int set_up(struct port *port, struct tap *tap)
{
	int hdr_size = sizeof(struct vnet_hdr);
	unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

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

/* From here on it stays when its file descriptor is closed. */
static int persist(struct port *port, struct tap *tap, const char *alias)
{
	int rc = ifconf_set_alias(tap->ifname, alias);

	if (rc == 0 && ioctl(tap->fd, TUNSETPERSIST, 1) < 0)
		rc = -errno;
	tap->persistent = rc == 0;
	return rc < 0 ? port_fail(port, rc, "TAP %s: to make it persistent: %s", tap->ifname,
				strerror(-rc))
		      : 0;
}

static int make(struct port *port, struct tap *tap, const struct port_spec *spec, const char *alias)
{
	int rc = create(port, tap);

	if (rc < 0)
		return rc;
	rc = set_up(port, tap);
	if (rc == 0)
		rc = ifconf_apply(port, spec);
	if (rc == 0 && spec->owner != NULL)
		rc = persist(port, tap, alias);
	if (rc < 0)
		close(tap->fd);
	return rc;
}

/* In the interface's namespace. */
static int open_there(void *arg)
{
	struct tap_opening *o = arg;
	char alias[IFCONF_ALIAS_MAX], found[IFCONF_ALIAS_MAX];
	int rc;

	if (o->spec->owner == NULL)
		return make(o->port, o->tap, o->spec, "");
	snprintf(alias, sizeof(alias), "%s #%08x", o->spec->owner, purpose(o->spec));
	if (ifconf_get_alias(o->tap->ifname, found) < 0) /* the usual case: it is not there */
		return make(o->port, o->tap, o->spec, alias);
	if (strncmp(found, alias, strlen(o->spec->owner) + 2) != 0)
		return refuse(o->port, o->tap, found);
	rc = adopt(o->port, o->tap, strcmp(found, alias) == 0);
	if (rc == -ENOENT)
		return make(o->port, o->tap, o->spec, alias);
	if (rc < 0)
		return rc;
	o->tap->persistent = true;
	rc = set_up(o->port, o->tap);
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
	if ((rc == -EEXIST || rc == -EBUSY) && reaper_busy()) {
		/* It may be the one that just went. */
		reaper_wait();
		port->reason[0] = '\0';
		rc = netns_run(spec->netns, open_there, &o);
	}
	if (rc < 0) {
		if (port->reason[0] == '\0')
			port_fail(port, rc, "network namespace %s: %s", spec->netns, strerror(-rc));
		return rc;
	}
	port->rx_fd = tap->fd;
	return 0;
}

/* The interface goes with its last file descriptor, unless it is persistent. */
static void tap_close(struct port *port)
{
	struct tap *tap = port->priv;

	if (tap->persistent && !port->leaving)
		ioctl(tap->fd, TUNSETPERSIST, 0);
	if (port->leaving)
		close(tap->fd);
	else
		reaper_close(tap->fd);
}

/* Takes frames that there is no buffer for out of the kernel's queue, so that its end is seen (see rx_burst in port.h). */
static void discard(struct port *port, const struct tap *tap)
{
	char head[64];

	for (int i = 0; i < DISCARD_MAX && read(tap->fd, head, sizeof(head)) > 0; i++)
		port_drop_received(port, NULL, DROP_NO_BUFFER);
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
		port_drop_received(port, NULL, DROP_NO_BUFFER);
	} else if (unlikely(!vnet_hdr_to_mbuf(&hdr, *m))) {
		port_drop_received(port, *m, DROP_MALFORMED);
		*m = NULL;
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
