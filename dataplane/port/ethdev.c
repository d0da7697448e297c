/* SPDX-License-Identifier: Apache-2.0 */
/* Any DPDK device as a port: a NIC or a virtual function by its PCI address, a vdev by its string. Plugged in when
 * the port opens and out when it closes. Without a file descriptor: its workers poll it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <string.h>

#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "base/cache_line.h"
#include "port/headers.h"
#include "port/port.h"

#define RX_RING 1024
#define TX_RING 1024

#define WANTED_RX                                                                                  \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |                            \
		RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define TX_CSUM (RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define WANTED_TX                                                                                  \
	(TX_CSUM | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |                    \
		RTE_ETH_TX_OFFLOAD_UDP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define RSS_HASHES (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)

struct ethdev {
	uint16_t id;
	uint16_t n_tx;
	bool prepare; /* rte_eth_tx_prepare() is wanted: checksums or TSO */
	char devargs[512];
	/* Of queues that several workers have to share: those of one are nothing to those of another. */
	struct {
		rte_spinlock_t of;
		uint8_t rest[CACHE_LINE - sizeof(rte_spinlock_t)];
	} lock[WORKER_MAX];
};

/* By ethdev id. Control thread. */
static bool taken[RTE_MAX_ETHPORTS];

/* The device that `devargs` names, probed if need be. */
static int plug(struct port *port, struct ethdev *d)
{
	struct rte_dev_iterator it;
	uint16_t id, found = RTE_MAX_ETHPORTS;
	int rc = rte_dev_probe(d->devargs);

	if (rc < 0 && rc != -EEXIST)
		return port_fail(port, rc, "device %.80s: %s", d->devargs, rte_strerror(-rc));
	RTE_ETH_FOREACH_MATCHING_DEV(id, d->devargs, &it)
	{
		if (found == RTE_MAX_ETHPORTS)
			found = id;
	}
	if (found == RTE_MAX_ETHPORTS)
		return port_fail(port, -ENODEV, "device %.80s has no Ethernet port", d->devargs);
	if (taken[found])
		return port_fail(
			port, -EBUSY, "device %.80s is attached to another port", d->devargs);
	d->id = found;
	taken[found] = true;
	return 0;
}

static uint32_t caps_of(uint64_t tx)
{
	uint32_t caps = tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS ? PORT_CAP_MULTI_SEG : 0;

	if ((tx & TX_CSUM) == TX_CSUM) {
		caps |= PORT_CAP_CSUM;
		/* A segment's IPv4 header has a checksum too. */
		if ((tx & RTE_ETH_TX_OFFLOAD_TCP_TSO) && (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM))
			caps |= PORT_CAP_TSO4 | PORT_CAP_TSO6;
		if (tx & RTE_ETH_TX_OFFLOAD_UDP_TSO)
			caps |= PORT_CAP_USO;
	}
	return caps;
}

struct closing {
	uint16_t id;
	sem_t done;
};

static void close_device(void *arg)
{
	struct closing *c = arg;

	rte_eth_dev_stop(c->id);
	rte_eth_dev_close(c->id);
	sem_post(&c->done);
}

/* On EAL's interrupt thread, where alarms run: a driver's own handler may be in the middle of its device elsewhere (net_memif's crashes
 * when its peer leaves at that moment). */
static void close_between_interrupts(uint16_t id)
{
	struct closing c = {.id = id};

	sem_init(&c.done, 0, 0);
	if (rte_eal_alarm_set(1, close_device, &c) < 0)
		close_device(&c);
	while (sem_wait(&c.done) < 0)
		;
	sem_destroy(&c.done);
}

static void unplug(struct ethdev *d)
{
	struct rte_eth_dev_info info;
	bool known = rte_eth_dev_info_get(d->id, &info) == 0;

	close_between_interrupts(d->id);
	if (known)
		rte_dev_remove(info.device);
	taken[d->id] = false;
}

static struct rte_eth_conf configuration(const struct rte_eth_dev_info *info, uint16_t n_rx)
{
	struct rte_eth_conf conf = {0};

	conf.rxmode.offloads = WANTED_RX & info->rx_offload_capa;
	conf.txmode.offloads = WANTED_TX & info->tx_offload_capa;
	if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (n_rx > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RSS_HASHES & info->flow_type_rss_offloads;
	}
	return conf;
}

static int set_up_queues(struct ethdev *d, uint16_t n_rx)
{
	uint16_t rx_ring = RX_RING, tx_ring = TX_RING;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(d->id, &rx_ring, &tx_ring);

	for (uint16_t q = 0; rc >= 0 && q < n_rx; q++)
		rc = rte_eth_rx_queue_setup(
			d->id, q, rx_ring, (unsigned int)SOCKET_ID_ANY, NULL, workers[q].pool);
	for (uint16_t q = 0; rc >= 0 && q < d->n_tx; q++)
		rc = rte_eth_tx_queue_setup(d->id, q, tx_ring, (unsigned int)SOCKET_ID_ANY, NULL);
	return rc;
}

/* A device that can not say or change its MTU has none to speak of. */
static int set_mtu(struct port *port, const struct ethdev *d, uint16_t mtu)
{
	int rc;

	if (mtu == 0) {
		rte_eth_dev_get_mtu(d->id, &port->mtu);
		return 0;
	}
	rc = rte_eth_dev_set_mtu(d->id, mtu);
	if (rc < 0 && rc != -ENOTSUP)
		return port_fail(
			port, rc, "device %.80s does not take an MTU of %u", d->devargs, mtu);
	port->mtu = mtu;
	return 0;
}

static int start(struct port *port, struct ethdev *d)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t n_rx = 1;
	int rc = rte_eth_dev_info_get(d->id, &info);

	if (rc < 0)
		return rc;
	d->n_tx = (uint16_t)RTE_MIN(worker_count, info.max_tx_queues);
	if (info.flow_type_rss_offloads & RSS_HASHES)
		n_rx = (uint16_t)RTE_MIN(worker_count, info.max_rx_queues);
	conf = configuration(&info, n_rx);
	port->n_rx_queues = (uint8_t)n_rx;
	port->caps = caps_of(conf.txmode.offloads);
	d->prepare = (port->caps & PORT_CAP_CSUM) != 0;
	rc = rte_eth_dev_configure(d->id, n_rx, d->n_tx, &conf);
	if (rc == 0)
		rc = set_up_queues(d, n_rx);
	if (rc < 0)
		return rc;
	rc = set_mtu(port, d, port->mtu);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_start(d->id);
	if (rc < 0)
		return rc;
	/* Best effort: devices without filters refuse it. */
	rte_eth_promiscuous_enable(d->id);
	if (rte_is_zero_ether_addr(&port->mac))
		rte_eth_macaddr_get(d->id, &port->mac);
	return 0;
}

static int device_open(struct port *port, const struct port_spec *spec)
{
	struct ethdev *d = port->priv;
	int rc;

	if (spec->devargs == NULL || spec->devargs[0] == '\0' ||
		strlen(spec->devargs) >= sizeof(d->devargs))
		return port_fail(port, -EINVAL, "devargs must be a PCI address or a vdev string");
	memcpy(d->devargs, spec->devargs, strlen(spec->devargs) + 1);
	rc = plug(port, d);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < WORKER_MAX; i++)
		rte_spinlock_init(&d->lock[i].of);
	rc = start(port, d);
	if (rc < 0) {
		unplug(d);
		if (port->reason[0] == '\0')
			port_fail(port, rc, "device %.80s: %s", d->devargs, rte_strerror(-rc));
	}
	return rc;
}

static void ethdev_close(struct port *port)
{
	unplug(port->priv);
}

/* A virtio device hands on partial checksums as "not in the packet, but known to be good". */
static void mark_partial(struct rte_mbuf *m)
{
	struct headers h;

	m->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
	if (!headers_parse(m, 0, &h) || h.fragment ||
		(h.proto != IPPROTO_TCP && h.proto != IPPROTO_UDP))
		return;
	m->l2_len = h.l2_len;
	m->l3_len = h.l3_len;
	m->ol_flags |= h.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= h.proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

static uint16_t ethdev_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct ethdev *d = port->priv;
	uint16_t got;

	got = rte_eth_rx_burst(d->id, queue, pkts, n);
	for (uint16_t i = 0; i < got; i++) {
		if (unlikely(pkts[i]->nb_segs > 1)) /* a memif peer cuts where it likes */
			headers_gather(pkts[i]);
		if (unlikely((pkts[i]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) ==
			     RTE_MBUF_F_RX_L4_CKSUM_NONE))
			mark_partial(pkts[i]);
	}
	return got;
}

/* What DPDK wants beside our flags. Returns how many may be sent. */
static uint16_t prepare(const struct ethdev *d, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t any = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint64_t f = pkts[i]->ol_flags;

		any |= f & RTE_MBUF_F_TX_L4_MASK;
		/* Segments get their own IPv4 headers. */
		if ((f & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) &&
			(f & RTE_MBUF_F_TX_IPV4))
			pkts[i]->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	}
	return any == 0 ? n : rte_eth_tx_prepare(d->id, queue, pkts, n);
}

static uint16_t send_on(struct ethdev *d, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent;

	if (likely(d->n_tx >= worker_count))
		return rte_eth_tx_burst(d->id, queue, pkts, n);
	rte_spinlock_lock(&d->lock[queue].of);
	sent = rte_eth_tx_burst(d->id, queue, pkts, n);
	rte_spinlock_unlock(&d->lock[queue].of);
	return sent;
}

static uint16_t ethdev_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct ethdev *d = port->priv;
	uint16_t ready = n, sent;

	queue %= d->n_tx;
	if (d->prepare)
		ready = prepare(d, queue, pkts, n);
	/* prepare() has said in rte_errno what is wrong with the first that is not ready. */
	if (unlikely(ready == 0))
		return 0;
	sent = send_on(d, queue, pkts, ready);
	if (unlikely(sent < ready))
		rte_errno = EAGAIN;
	return sent;
}

static bool ethdev_link_up(struct port *port)
{
	const struct ethdev *d = port->priv;
	struct rte_eth_link link = {0};
	int rc = rte_eth_link_get_nowait(d->id, &link);

	/* Some vdevs have no link to speak of. */
	if (rc == -ENOTSUP || link.link_status == RTE_ETH_LINK_UP)
		return true;
	if (rc == 0)
		port_fail(port, 0, "device %.80s has no link", d->devargs);
	else
		port_fail(port, 0, "device %.80s: %s", d->devargs, rte_strerror(-rc));
	return false;
}

static int ethdev_set_mtu(struct port *port, uint16_t mtu)
{
	return set_mtu(port, port->priv, mtu);
}

PORT_DRIVER(device_driver, .type = "device", .priv_size = sizeof(struct ethdev),
	.open = device_open, .close = ethdev_close, .rx_burst = ethdev_rx_burst,
	.tx_burst = ethdev_tx_burst, .link_up = ethdev_link_up, .set_mtu = ethdev_set_mtu);
