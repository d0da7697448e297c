/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel interface (a veth end, a NIC that the kernel keeps) through packet sockets with PACKET_VNET_HDR: partial checksums
 * and GSO frames travel as on a TAP. One system call a burst each way; a socket to receive and one per worker to send.
 *
 * The kernel's own stack sees the received frames too, and what it sends on that interface is not received here.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_errno.h>

#include "port/drops.h"
#include "port/netdev.h"
#include "port/offload.h"
#include "port/port.h"
#include "port/rx_buf.h"
#include "port/udp_super.h"
#include "port/vnet_hdr.h"

#define AF_PACKET_CAPS                                                                             \
	(PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6 | PORT_CAP_MULTI_SEG | PORT_CAP_COALESCE)
#define SOCKET_BUFFER (32 << 20)
#define TX_IOVS 256 /* of one sendmmsg */
#define DISCARD_MAX 4096

struct af_packet {
	int rx_fd;
	unsigned int rx_room; /* frames to ask for at a time: fewer when they are large */
	/* An underlay's VXLAN super-frames are cut apart here. */
	bool supers;
	struct offload split;         /* of the frame in hand */
	struct rte_mbuf *held[BURST]; /* received behind it */
	unsigned int held_n, held_pos;
	_Atomic bool no_super; /* the kernel refused one. Written by workers */
	int tx_fd[WORKER_MAX];
	struct netdev dev;
};

/* What recvmmsg fills; an entry that was not used stays ready for the next call. */
struct rx_ring {
	unsigned int stale; /* that many from the front want buffers and fresh headers */
	struct rx_buf buf[BURST];
	struct mmsghdr msg[BURST];
	struct iovec iov[BURST][1 + RX_BUF_IOVS];
	struct vnet_hdr hdr[BURST];
	char control[BURST][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

/* [worker], shared by its ports: the buffers are empty between two reads. Allocated by the control thread. */
static struct rx_ring *rings[WORKER_MAX];

static int make_rings(void)
{
	for (unsigned int i = 0; i < worker_count; i++) {
		if (rings[i] != NULL)
			continue;
		rings[i] = calloc(1, sizeof(*rings[i]));
		if (rings[i] == NULL)
			return -ENOMEM;
		rings[i]->stale = BURST;
	}
	return 0;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Not bound to a protocol until all options are set: frames of other interfaces never get in. */
static int make_socket(int buffer_option)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	/* Without CAP_NET_ADMIN the default size has to do. */
	set_option(fd, SOL_SOCKET, buffer_option, SOCKET_BUFFER);
	return fd;
}

static int bind_socket(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_ifindex = ifindex,
		.sll_protocol = rte_cpu_to_be_16(protocol),
	};

	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

static int open_rx(struct af_packet *p)
{
	int rc, fd = make_socket(SO_RCVBUFFORCE);

	if (fd < 0)
		return fd;
	p->rx_fd = fd;
	rc = set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	if (rc == 0)
		rc = set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (rc == 0)
		rc = bind_socket(fd, p->dev.ifindex, ETH_P_ALL);
	return rc;
}

static int open_tx(struct af_packet *p)
{
	for (unsigned int i = 0; i < worker_count; i++) {
		int rc;

		p->tx_fd[i] = make_socket(SO_SNDBUFFORCE);
		if (p->tx_fd[i] < 0)
			return p->tx_fd[i];
		set_option(p->tx_fd[i], SOL_PACKET, PACKET_QDISC_BYPASS, 1);
		rc = bind_socket(p->tx_fd[i], p->dev.ifindex, 0);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void close_sockets(struct af_packet *p)
{
	netdev_close(&p->dev);
	if (p->rx_fd >= 0)
		close(p->rx_fd);
	for (unsigned int i = 0; i < worker_count; i++) {
		if (p->tx_fd[i] >= 0)
			close(p->tx_fd[i]);
	}
}

static int af_packet_open(struct port *port, const struct port_spec *spec)
{
	struct af_packet *p = port->priv;
	int rc;

	rc = netdev_open(port, spec, &p->dev);
	if (rc < 0)
		return rc;
	p->rx_fd = -1;
	memset(p->tx_fd, 0xff, sizeof(p->tx_fd));
	rc = make_rings();
	if (rc == 0)
		rc = open_rx(p);
	if (rc == 0)
		rc = open_tx(p);
	if (rc < 0) {
		close_sockets(p);
		return port_fail(port, rc, "packet socket on %s: %s%s", p->dev.ifname,
			strerror(-rc), rc == -EPERM ? " (needs CAP_NET_RAW)" : "");
	}
	port->rx_fd = p->rx_fd;
	port->caps = AF_PACKET_CAPS;
	if (vnet_hdr_kernel_has_uso())
		port->caps |= PORT_CAP_USO;
	p->supers = port->role == PORT_UNDERLAY && (port->caps & PORT_CAP_USO);
	if (p->supers)
		port->caps |= PORT_CAP_UDP_SUPER;
	p->rx_room = BURST;
	return 0;
}

static void af_packet_close(struct port *port)
{
	struct af_packet *p = port->priv;

	close_sockets(p);
	offload_end(&p->split);
	rte_pktmbuf_free_bulk(p->held + p->held_pos, p->held_n - p->held_pos);
}

/* --- receiving --- */

/* Makes all entries ready; returns how many are. */
static unsigned int ring_fill(struct rx_ring *r, const struct worker *w)
{
	for (unsigned int i = 0; i < r->stale; i++) {
		int iovs;

		r->iov[i][0] = (struct iovec){&r->hdr[i], sizeof(r->hdr[i])};
		if (unlikely(!rx_buf_fill(&r->buf[i], w, r->iov[i] + 1, &iovs)))
			return i;
		r->msg[i].msg_hdr = (struct msghdr){
			.msg_iov = r->iov[i],
			.msg_iovlen = (size_t)iovs + 1,
			.msg_control = r->control[i],
			.msg_controllen = sizeof(r->control[i]),
		};
	}
	r->stale = 0;
	return BURST;
}

/* The kernel took the tag out of the frame; it belongs between the addresses and the type. */
static bool restore_tag(struct rte_mbuf *m, uint16_t tpid, uint16_t tci)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_prepend(m, RTE_VLAN_HLEN);
	struct rte_vlan_hdr *tag;

	if (unlikely(eth == NULL))
		return false;
	memmove(eth, (char *)eth + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
	eth->ether_type = rte_cpu_to_be_16(tpid);
	tag = (struct rte_vlan_hdr *)(eth + 1);
	tag->vlan_tci = rte_cpu_to_be_16(tci);
	if (m->ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK)
		m->outer_l2_len += RTE_VLAN_HLEN;
	else if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		m->l2_len += RTE_VLAN_HLEN;
	return true;
}

static bool apply_auxdata(const struct msghdr *msg, struct rte_mbuf *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct tpacket_auxdata aux;

	if (unlikely(c == NULL || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA))
		return true;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (likely(!(aux.tp_status & TP_STATUS_VLAN_VALID)))
		return true;
	return restore_tag(m,
		aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q,
		aux.tp_vlan_tci);
}

/* NULL when the frame was dropped. */
static struct rte_mbuf *take_frame(struct port *port, struct rx_ring *r, unsigned int i)
{
	const struct mmsghdr *msg = &r->msg[i];
	struct rte_mbuf *m = NULL;

	if (likely(msg->msg_len > sizeof(r->hdr[i]) && !(msg->msg_hdr.msg_flags & MSG_TRUNC)))
		m = rx_buf_take(&r->buf[i], msg->msg_len - (uint32_t)sizeof(r->hdr[i]));
	if (unlikely(m == NULL)) {
		port_drop_received(port, NULL, DROP_NO_BUFFER);
		return NULL;
	}
	if (unlikely(!vnet_hdr_to_mbuf(&r->hdr[i], m) || !apply_auxdata(&msg->msg_hdr, m))) {
		port_drop_received(port, m, DROP_MALFORMED);
		return NULL;
	}
	return m;
}

/* Takes frames that there is no buffer for out of the socket, so that its end is seen (see rx_burst in port.h). */
static void discard(struct port *port, const struct af_packet *p)
{
	char head[64];

	for (int i = 0; i < DISCARD_MAX; i++) {
		if (recv(p->rx_fd, head, sizeof(head), MSG_DONTWAIT) < 0)
			return;
		port_drop_received(port, NULL, DROP_NO_BUFFER);
	}
}

/* One system call; -1: drained. May be 0 though there is more. */
static int receive(struct port *port, struct rx_ring *r, struct rte_mbuf **pkts, unsigned int n)
{
	struct af_packet *p = port->priv;
	unsigned int room = RTE_MIN(ring_fill(r, worker_self), RTE_MIN(n, p->rx_room));
	uint32_t bytes = 0;
	int count, got = 0;

	if (unlikely(room == 0)) {
		discard(port, p);
		return -1;
	}
	count = recvmmsg(p->rx_fd, r->msg, room, MSG_DONTWAIT, NULL);
	if (count < 0) {
		/* An interface that went down says so once; frames may lie behind that. */
		return errno == ENETDOWN || errno == EINTR ? 0 : -1;
	}
	for (int i = 0; i < count; i++) {
		bytes += r->msg[i].msg_len;
		pkts[got] = take_frame(port, r, (unsigned int)i);
		got += pkts[got] != NULL;
	}
	r->stale = RTE_MAX(r->stale, (unsigned int)count);
	if (count > 0)
		p->rx_room =
			RTE_MIN(RTE_MAX(PORT_BURST_BYTES / (bytes / (unsigned int)count + 1), 1u),
				(unsigned int)BURST);
	return got;
}

/* What was received before: the rest of a super-frame first. */
static uint16_t take_held(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct af_packet *p = port->priv;
	uint16_t got = 0;

	while (got < n) {
		struct rte_mbuf *m;

		if (p->split.frame != NULL) {
			unsigned int made =
				offload_next(&p->split, pkts + got, (unsigned int)(n - got));

			got += (uint16_t)made;
			if (made > 0)
				continue;
			if (unlikely(p->split.failed))
				port_drop_received(port, NULL, DROP_NO_BUFFER);
			offload_end(&p->split);
		}
		if (p->held_pos == p->held_n)
			break;
		m = p->held[p->held_pos++];
		if (!udp_super_is(m)) {
			pkts[got++] = m;
		} else if (unlikely(offload_begin(&p->split, PORT_CAP_CSUM | PORT_CAP_MULTI_SEG,
					    m) < 0)) {
			port_drop_received(port, m, DROP_MALFORMED);
		}
	}
	return got;
}

/* The datagrams in a super-frame are frames like others: they count as received, one by one. */
static uint16_t rx_burst_supers(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	struct af_packet *p = port->priv;
	uint16_t got = take_held(port, pkts, n);

	while (got == 0) {
		int count = receive(port, rings[worker_self->id], p->held, BURST);

		if (count < 0)
			return 0;
		p->held_n = (unsigned int)count;
		p->held_pos = 0;
		got = take_held(port, pkts, n);
	}
	return got;
}

static uint16_t af_packet_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct af_packet *p = port->priv;
	int got;

	(void)queue;
	if (p->supers)
		return rx_burst_supers(port, pkts, n);
	do {
		got = receive(port, rings[worker_self->id], pkts, RTE_MIN(n, BURST));
	} while (unlikely(got == 0));
	return got < 0 ? 0 : (uint16_t)got;
}

/* --- sending --- */

struct tx_batch {
	unsigned int messages, frames, iovs;
	struct mmsghdr msg[BURST];
	struct vnet_hdr hdr[BURST];
	uint8_t run[BURST];     /* frames in the message */
	uint16_t header[BURST]; /* of a run of several: bytes up to UDP's end */
	struct iovec iov[TX_IOVS];
};

static unsigned int tx_iovs(struct rte_mbuf **pkts, unsigned int run)
{
	unsigned int n = 1;

	for (unsigned int i = 0; i < run; i++)
		n += pkts[i]->nb_segs;
	return n;
}

/* The frame without its first `skip` bytes. */
static struct iovec *tx_put(struct iovec *iov, const struct rte_mbuf *m, uint16_t skip)
{
	for (; m != NULL; m = m->next, skip = 0)
		*iov++ = (struct iovec){
			rte_pktmbuf_mtod_offset(m, void *, skip), (size_t)(m->data_len - skip)};
	return iov;
}

/* The next message: one frame, or a run of VXLAN frames as one. False when there is no room left. */
static bool tx_add(struct tx_batch *b, struct rte_mbuf **pkts, unsigned int n, bool supers)
{
	unsigned int i = b->messages, run = 1;
	struct iovec *iov = &b->iov[b->iovs], *end;
	uint16_t header = 0;

	if (b->messages == BURST)
		return false;
	if (supers)
		run = udp_super_run(pkts, n, &header);
	if (b->iovs + tx_iovs(pkts, run) > TX_IOVS)
		return false;
	iov[0] = (struct iovec){&b->hdr[i], sizeof(b->hdr[i])};
	end = tx_put(iov + 1, pkts[0], 0);
	if (run == 1) {
		vnet_hdr_from_mbuf(&b->hdr[i], pkts[0]);
	} else {
		uint32_t total = pkts[0]->pkt_len;

		for (unsigned int k = 1; k < run; k++) {
			end = tx_put(end, pkts[k], header);
			total += pkts[k]->pkt_len - header;
		}
		udp_super_begin(pkts[0], header, total, &b->hdr[i]);
	}
	b->msg[i].msg_hdr = (struct msghdr){.msg_iov = iov, .msg_iovlen = (size_t)(end - iov)};
	b->run[i] = (uint8_t)run;
	b->header[i] = header;
	b->iovs += (unsigned int)(end - iov);
	b->frames += run;
	b->messages++;
	return true;
}

static int send_error(int error)
{
	switch (error) {
	case ENXIO:
	case ENODEV:
		return ENETDOWN;
	case ENOMEM:
		return ENOBUFS;
	default:
		return error;
	}
}

/* How many frames the kernel took; fewer than all sets rte_errno. */
static unsigned int tx_send(struct af_packet *p, int fd, struct tx_batch *b, struct rte_mbuf **pkts)
{
	unsigned int sent = 0, frames = 0;

	while (sent < b->messages) {
		int rc = sendmmsg(fd, b->msg + sent, b->messages - sent, MSG_DONTWAIT);

		for (int i = 0; i < rc; i++)
			frames += b->run[sent++];
		if (likely(rc >= 0) || errno == EINTR)
			continue;
		rte_errno = send_error(errno);
		if (b->run[sent] > 1) {
			/* Not this time, or never: as single frames, at the next call. */
			if (errno == EINVAL || errno == EIO)
				atomic_store_explicit(&p->no_super, true, memory_order_relaxed);
		}
		break;
	}
	/* What is left is the caller's, as it was. */
	for (unsigned int i = sent, at = frames; i < b->messages; at += b->run[i++]) {
		if (b->run[i] > 1)
			udp_super_undo(pkts[at], b->header[i]);
	}
	return frames;
}

static bool tx_supers(const struct af_packet *p)
{
	return p->supers && !atomic_load_explicit(&p->no_super, memory_order_relaxed);
}

static uint16_t af_packet_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct af_packet *p = port->priv;
	uint16_t sent = 0;

	while (sent < n) {
		bool supers = tx_supers(p);
		struct tx_batch b;
		unsigned int took;

		b.messages = b.frames = b.iovs = 0;
		while (sent + b.frames < n &&
			tx_add(&b, pkts + sent + b.frames, n - sent - b.frames, supers))
			;
		if (unlikely(b.frames == 0)) {
			rte_errno = EMSGSIZE;
			break;
		}
		took = tx_send(p, p->tx_fd[queue], &b, pkts + sent);
		sent += (uint16_t)took;
		/* Refused as one frame: once more as many. */
		if (took < b.frames && supers == tx_supers(p))
			break;
	}
	rte_pktmbuf_free_bulk(pkts, sent);
	return sent;
}

static bool af_packet_link_up(struct port *port)
{
	const struct af_packet *p = port->priv;

	return netdev_link_up(port, &p->dev);
}

static int af_packet_set_mtu(struct port *port, uint16_t mtu)
{
	const struct af_packet *p = port->priv;

	return netdev_set_mtu(&p->dev, mtu);
}

PORT_DRIVER(af_packet_driver, .type = "netdev", .mode = "af_packet",
	.priv_size = sizeof(struct af_packet), .open = af_packet_open, .close = af_packet_close,
	.rx_burst = af_packet_rx_burst, .tx_burst = af_packet_tx_burst,
	.link_up = af_packet_link_up, .set_mtu = af_packet_set_mtu);
