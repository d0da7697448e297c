/* SPDX-License-Identifier: Apache-2.0 */
/* net_flowgen: an in-process traffic source / counting sink as a DPDK vdev.
 *
 * RX: allocates mbufs from the port's own mempool, stores a pre-built header template and
 *     patches the 5-tuple + checksums, so any number of flows costs no memory at all and
 *     nothing is read from cold DRAM (unlike net_pcap infinite_rx, which keeps one mbuf per packet).
 * TX: counts packets/bytes, frees the mbufs in bulk, and can dump packets to a pcap file
 *     so that the output of a device under test can be verified.
 *
 * devargs (all optional):
 *   rx=0|1           1: generate, 0: never receive (pure sink)           [1]
 *   size=N           frame length without FCS (inner length when vxlan)  [60]
 *   proto=udp|syn    UDP or TCP SYN                                      [udp]
 *   flows=N          number of distinct 5-tuples, round robin            [1]
 *   sips=N           distinct source addresses (flow i -> sip + i % sips, sport + i / sips) [1]
 *   dips=N           distinct destination addresses (dip + (i*dipmul) % dips)        [1]
 *   sip= dip=        base addresses                                      [10.1.0.2 / 10.2.0.2]
 *   sport= dport=    base ports                                          [1024 / 80]
 *   smac= dmac=      Ethernet addresses (of the inner frame when vxlan)
 *   mac=             the port's own address (default: random)
 *   swap=0|1         emit the reverse direction of the same flows        [0]
 *   l4csum=0|1       0: UDP checksum 0; 1: correct checksum              [1]
 *   rxgood=0|1       set RX_IP/L4_CKSUM_GOOD like a real NIC does        [1]
 *   rss=0|1          deliver a 32-bit flow hash (RX_RSS_HASH), as a NIC with RSS on does [0]
 *   txcsum=0|1       advertise TX checksum offload (as real NICs do)     [1]
 *   vxlan=VNI        wrap in VXLAN; osip= odip= osmac= odmac= , outer UDP source port = f(flow)
 *   ring=N           hand out mbufs through a FIFO of N like a NIC's RX ring does, so that buffers are not re-used while
 *                    still in L1 (0: straight from the mempool cache, LIFO)                     [0]
 *   mtu=N            max MTU offered                                     [9000]
 *   dump=FILE,dumpn=N,dumpskip=M   write N transmitted packets after the first M to FILE
 */
#include <arpa/inet.h>
#include <bus_vdev_driver.h>
#include <errno.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FG_MAXQ 32
#define FG_TMPL 128

struct fg_cfg {
	uint32_t rx, size, syn, sips, dips, swap, l4csum, rxgood, txcsum, vxlan, mtu, dumpn, rss,
		ring;
	uint64_t flows, dumpskip;
	uint32_t sip, dip, osip, odip;
	uint16_t sport, dport;
	struct rte_ether_addr smac, dmac, osmac, odmac, mac;
	int has_mac;
	char dump[128];
};

struct fg_q {
	struct fg_dev *d;
	struct rte_mempool *mp;
	uint64_t pkts, bytes, nombuf;
	/* flow iteration state */
	uint64_t i;
	uint32_t s_i, d_i;
	uint16_t p_i;
	uint16_t hdr, tmpl_len;
	uint32_t base_ip_sum, base_l4_sum, base_oip_sum;
	struct rte_mbuf **fifo;
	uint32_t fpos;
	uint8_t tmpl[FG_TMPL] __rte_aligned(64);
} __rte_cache_aligned;

struct fg_dev {
	struct fg_cfg c;
	uint16_t port;
	FILE *df;
	uint64_t dumped, dumpseen;
	struct fg_q rxq[FG_MAXQ], txq[FG_MAXQ];
};

RTE_LOG_REGISTER(fg_log, pmd.net.flowgen, NOTICE);
#define LOGE(...) rte_log(RTE_LOG_ERR, fg_log, "flowgen: " __VA_ARGS__)

static inline uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static uint32_t sum16(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t s = 0;
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (b[i] << 8) | b[i + 1];
	return s;
}

static void fg_build(struct fg_q *q)
{
	const struct fg_cfg *c = &q->d->c;
	uint8_t *p = q->tmpl;
	uint16_t off = 0, ilen = c->size;

	memset(p, 0, FG_TMPL);
	if (c->vxlan) {
		struct rte_ether_hdr *e = (void *)p;
		struct rte_ipv4_hdr *ip = (void *)(p + 14);
		struct rte_udp_hdr *u = (void *)(p + 34);

		e->dst_addr = c->odmac;
		e->src_addr = c->osmac;
		e->ether_type = htons(0x0800);
		ip->version_ihl = 0x45;
		ip->time_to_live = 64;
		ip->next_proto_id = 17;
		ip->fragment_offset = htons(0x4000);
		ip->total_length = htons(20 + 8 + 8 + ilen);
		ip->src_addr = htonl(c->osip);
		ip->dst_addr = htonl(c->odip);
		u->dst_port = htons(4789);
		u->dgram_len = htons(8 + 8 + ilen);
		p[42] = 0x08;
		p[46] = c->vxlan >> 16;
		p[47] = c->vxlan >> 8;
		p[48] = c->vxlan;
		uint32_t s = fold(sum16(ip, 20));
		ip->hdr_checksum = htons((uint16_t)~s);
		off = 50;
	}
	q->hdr = off;
	struct rte_ether_hdr *e = (void *)(p + off);
	struct rte_ipv4_hdr *ip = (void *)(p + off + 14);
	e->dst_addr = c->dmac;
	e->src_addr = c->smac;
	e->ether_type = htons(0x0800);
	ip->version_ihl = 0x45;
	ip->time_to_live = 64;
	ip->next_proto_id = c->syn ? 6 : 17;
	ip->total_length = htons(ilen - 14);
	q->base_ip_sum = fold(sum16(ip, 20));
	uint16_t l4len = ilen - 34;
	if (c->syn) {
		struct rte_tcp_hdr *t = (void *)(p + off + 34);
		t->sent_seq = htonl(0x01020304);
		t->data_off = 0x50;
		t->tcp_flags = 0x02;
		t->rx_win = htons(65535);
		q->base_l4_sum = fold(6 + l4len + sum16(t, 20));
	} else {
		struct rte_udp_hdr *u = (void *)(p + off + 34);
		u->dgram_len = htons(l4len);
		q->base_l4_sum = fold(17 + l4len + sum16(u, 8)); /* payload is all zero */
	}
	q->tmpl_len = RTE_MIN((uint32_t)(off + ilen), (uint32_t)FG_TMPL);
}

static uint16_t fg_no_rx(
	void *q __rte_unused, struct rte_mbuf **b __rte_unused, uint16_t n __rte_unused)
{
	return 0;
}

static __rte_always_inline uint16_t fg_rx_body(
	struct fg_q *q, struct rte_mbuf **bufs, uint16_t n, const int syn, const int vx)
{
	const struct fg_cfg *c = &q->d->c;
	const uint16_t off = vx ? 50 : 0;
	const uint16_t len = c->size + off;
	uint64_t flags =
		c->rxgood ? (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD) : 0;
	const uint16_t port = q->d->port;

	if (c->rss)
		flags |= RTE_MBUF_F_RX_RSS_HASH;
	if (unlikely(rte_pktmbuf_alloc_bulk(q->mp, bufs, n) != 0)) {
		q->nombuf += n;
		return 0;
	}
	if (q->fifo) {
		for (uint16_t k = 0; k < n; k++) {
			struct rte_mbuf *t = q->fifo[q->fpos];
			q->fifo[q->fpos] = bufs[k];
			bufs[k] = t;
			if (++q->fpos >= c->ring)
				q->fpos = 0;
		}
	}
	for (uint16_t k = 0; k < n; k++) {
		struct rte_mbuf *m = bufs[k];
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
		uint32_t sip = c->sip + q->s_i, dip = c->dip + q->d_i;
		uint16_t sp = c->sport + q->p_i, dp = c->dport;

		memcpy(p, q->tmpl, 64);
		if (vx || len > 64)
			memcpy(p + 64, q->tmpl + 64, 64);
		if (c->swap) {
			uint32_t t = sip;
			sip = dip;
			dip = t;
			uint16_t tp = sp;
			sp = dp;
			dp = tp;
		}
		uint32_t as = (sip >> 16) + (sip & 0xffff) + (dip >> 16) + (dip & 0xffff);
		uint8_t *ip = p + off + 14;
		*(uint16_t *)(ip + 10) = rte_cpu_to_be_16((uint16_t)~fold(q->base_ip_sum + as));
		*(uint32_t *)(ip + 12) = rte_cpu_to_be_32(sip);
		*(uint32_t *)(ip + 16) = rte_cpu_to_be_32(dip);
		*(uint16_t *)(ip + 20) = rte_cpu_to_be_16(sp);
		*(uint16_t *)(ip + 22) = rte_cpu_to_be_16(dp);
		if (c->l4csum || syn) {
			uint16_t cs = (uint16_t)~fold(q->base_l4_sum + as + sp + dp);
			if (syn)
				*(uint16_t *)(ip + 20 + 16) = rte_cpu_to_be_16(cs);
			else
				*(uint16_t *)(ip + 20 + 6) = cs ? rte_cpu_to_be_16(cs) : 0xffff;
		}
		if (vx) {
			uint32_t h = (sip ^ (dip << 7) ^ ((uint32_t)sp << 3)) * 0x9E3779B1u;
			*(uint16_t *)(p + 34) = rte_cpu_to_be_16((uint16_t)(0xc000 | (h >> 18)));
		}
		if (c->rss) {
			uint32_t h = (sip ^ rte_bswap32(dip)) * 0x9E3779B1u +
				     (((uint32_t)sp << 16) | dp) * 0x85EBCA6Bu;
			h ^= h >> 15;
			h *= 0xC2B2AE35u;
			h ^= h >> 13;
			m->hash.rss = h;
		}
		m->data_len = len;
		m->pkt_len = len;
		m->port = port;
		m->ol_flags = flags;
		m->packet_type = vx ? 0
				    : (RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 |
					      (syn ? RTE_PTYPE_L4_TCP : RTE_PTYPE_L4_UDP));
		/* next flow */
		if (++q->s_i >= c->sips) {
			q->s_i = 0;
			q->p_i++;
		}
		if (++q->d_i >= c->dips)
			q->d_i = 0;
		if (++q->i >= c->flows) {
			q->i = 0;
			q->s_i = 0;
			q->d_i = 0;
			q->p_i = 0;
		}
	}
	q->pkts += n;
	q->bytes += (uint64_t)n * len;
	return n;
}

static uint16_t fg_rx_udp(void *q, struct rte_mbuf **b, uint16_t n)
{
	return fg_rx_body(q, b, n, 0, 0);
}
static uint16_t fg_rx_syn(void *q, struct rte_mbuf **b, uint16_t n)
{
	return fg_rx_body(q, b, n, 1, 0);
}
static uint16_t fg_rx_vudp(void *q, struct rte_mbuf **b, uint16_t n)
{
	return fg_rx_body(q, b, n, 0, 1);
}
static uint16_t fg_rx_vsyn(void *q, struct rte_mbuf **b, uint16_t n)
{
	return fg_rx_body(q, b, n, 1, 1);
}

static void fg_dump(struct fg_dev *d, struct rte_mbuf **bufs, uint16_t n)
{
	for (uint16_t k = 0; k < n && d->dumped < d->c.dumpn; k++) {
		if (d->dumpseen++ < d->c.dumpskip)
			continue;
		uint8_t tmp[2048];
		uint32_t len = RTE_MIN(bufs[k]->pkt_len, (uint32_t)sizeof(tmp));
		const void *p = rte_pktmbuf_read(bufs[k], 0, len, tmp);
		uint32_t rec[4] = {(uint32_t)d->dumped, 0, len, bufs[k]->pkt_len};
		fwrite(rec, 16, 1, d->df);
		fwrite(p, len, 1, d->df);
		d->dumped++;
	}
	if (d->dumped >= d->c.dumpn)
		fflush(d->df);
}

static uint16_t fg_tx(void *queue, struct rte_mbuf **bufs, uint16_t n)
{
	struct fg_q *q = queue;
	uint64_t by = 0;

	if (unlikely(q->d->dumped < q->d->c.dumpn))
		fg_dump(q->d, bufs, n);
	for (uint16_t k = 0; k < n; k++)
		by += bufs[k]->pkt_len;
	rte_pktmbuf_free_bulk(bufs, n);
	q->pkts += n;
	q->bytes += by;
	return n;
}

static int fg_configure(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}
static int fg_start(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	return 0;
}
static int fg_stop(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}
static int fg_rxq_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nd __rte_unused,
	unsigned int s __rte_unused, const struct rte_eth_rxconf *cf __rte_unused,
	struct rte_mempool *mp)
{
	struct fg_dev *d = dev->data->dev_private;
	struct fg_q *q = &d->rxq[id];
	q->d = d;
	q->mp = mp;
	q->i = 0;
	q->s_i = 0;
	q->d_i = 0;
	q->p_i = 0;
	fg_build(q);
	if (q->fifo) {
		rte_pktmbuf_free_bulk(q->fifo, d->c.ring);
		rte_free(q->fifo);
		q->fifo = NULL;
	}
	if (d->c.rx && d->c.ring) {
		q->fpos = 0;
		q->fifo = rte_zmalloc("fgfifo", sizeof(void *) * d->c.ring, 64);
		if (!q->fifo || rte_pktmbuf_alloc_bulk(mp, q->fifo, d->c.ring) != 0)
			return -ENOMEM;
	}
	dev->data->rx_queues[id] = q;
	return 0;
}
static int fg_txq_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nd __rte_unused,
	unsigned int s __rte_unused, const struct rte_eth_txconf *cf __rte_unused)
{
	struct fg_dev *d = dev->data->dev_private;
	d->txq[id].d = d;
	dev->data->tx_queues[id] = &d->txq[id];
	return 0;
}
static int fg_info(struct rte_eth_dev *dev, struct rte_eth_dev_info *i)
{
	struct fg_dev *d = dev->data->dev_private;
	i->max_mac_addrs = 1;
	i->max_rx_pktlen = d->c.mtu + 18 + 8;
	i->min_mtu = 68;
	i->max_mtu = d->c.mtu;
	i->max_rx_queues = FG_MAXQ;
	i->max_tx_queues = FG_MAXQ;
	i->min_rx_bufsize = 0;
	if (d->c.rxgood)
		i->rx_offload_capa = RTE_ETH_RX_OFFLOAD_CHECKSUM;
	if (d->c.rss)
		i->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
	i->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (d->c.txcsum)
		i->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				      RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				      RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM;
	i->tx_queue_offload_capa = i->tx_offload_capa;
	i->rx_queue_offload_capa = i->rx_offload_capa;
	return 0;
}
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
static int fg_stats(
	struct rte_eth_dev *dev, struct rte_eth_stats *s, struct eth_queue_stats *qs __rte_unused)
#else
static int fg_stats(struct rte_eth_dev *dev, struct rte_eth_stats *s)
#endif
{
	struct fg_dev *d = dev->data->dev_private;
	for (int i = 0; i < FG_MAXQ; i++) {
		s->ipackets += d->rxq[i].pkts;
		s->ibytes += d->rxq[i].bytes;
		s->rx_nombuf += d->rxq[i].nombuf;
		s->opackets += d->txq[i].pkts;
		s->obytes += d->txq[i].bytes;
	}
	return 0;
}
static int fg_stats_reset(struct rte_eth_dev *dev)
{
	struct fg_dev *d = dev->data->dev_private;
	for (int i = 0; i < FG_MAXQ; i++) {
		d->rxq[i].pkts = d->rxq[i].bytes = d->rxq[i].nombuf = 0;
		d->txq[i].pkts = d->txq[i].bytes = 0;
	}
	return 0;
}
static int fg_link(struct rte_eth_dev *dev __rte_unused, int w __rte_unused)
{
	return 0;
}
static int fg_ok(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}
static int fg_mac(struct rte_eth_dev *dev __rte_unused, struct rte_ether_addr *a __rte_unused)
{
	return 0;
}
static int fg_mtu(struct rte_eth_dev *dev __rte_unused, uint16_t m __rte_unused)
{
	return 0;
}
static int fg_close(struct rte_eth_dev *dev)
{
	struct fg_dev *d = dev->data->dev_private;
	if (d && d->df) {
		fclose(d->df);
		d->df = NULL;
	}
	for (int i = 0; d && i < FG_MAXQ; i++)
		if (d->rxq[i].fifo) {
			rte_pktmbuf_free_bulk(d->rxq[i].fifo, d->c.ring);
			rte_free(d->rxq[i].fifo);
			d->rxq[i].fifo = NULL;
		}
	dev->data->mac_addrs = NULL; /* inside dev_private */
	return 0;
}

static const struct eth_dev_ops ops = {
	.dev_configure = fg_configure,
	.dev_start = fg_start,
	.dev_stop = fg_stop,
	.dev_close = fg_close,
	.dev_infos_get = fg_info,
	.rx_queue_setup = fg_rxq_setup,
	.tx_queue_setup = fg_txq_setup,
	.link_update = fg_link,
	.stats_get = fg_stats,
	.stats_reset = fg_stats_reset,
	.mac_addr_set = fg_mac,
	.mtu_set = fg_mtu,
	.promiscuous_enable = fg_ok,
	.promiscuous_disable = fg_ok,
	.allmulticast_enable = fg_ok,
	.allmulticast_disable = fg_ok,
};

static int kv(const char *k, const char *v, void *o)
{
	struct fg_cfg *c = o;
	struct in_addr a;

#define U(n)                                                                                       \
	if (!strcmp(k, #n)) {                                                                      \
		c->n = strtoull(v, NULL, 0);                                                       \
		return 0;                                                                          \
	}
	/* clang-format off */
	U(rx) U(size) U(sips) U(dips) U(swap) U(l4csum) U(rxgood) U(txcsum) U(vxlan) U(mtu) U(dumpn)
	U(rss) U(ring) U(flows) U(dumpskip) U(sport) U(dport)
	/* clang-format on */
#undef U
#define A(n)                                                                                       \
	if (!strcmp(k, #n)) {                                                                      \
		if (inet_pton(AF_INET, v, &a) != 1)                                                \
			return -1;                                                                 \
		c->n = ntohl(a.s_addr);                                                            \
		return 0;                                                                          \
	}
		/* clang-format off */
	A(sip) A(dip) A(osip) A(odip)
	/* clang-format on */
#undef A
#define M(n)                                                                                       \
	if (!strcmp(k, #n)) {                                                                      \
		if (!strcmp(k, "mac"))                                                             \
			c->has_mac = 1;                                                            \
		return rte_ether_unformat_addr(v, &c->n);                                          \
	}
		/* clang-format off */
	M(smac) M(dmac) M(osmac) M(odmac) M(mac)
	/* clang-format on */
#undef M
			if (!strcmp(k, "proto"))
	{
		c->syn = !strcmp(v, "syn");
		return 0;
	}
	if (!strcmp(k, "dump")) {
		snprintf(c->dump, sizeof(c->dump), "%s", v);
		return 0;
	}
	return -1;
}

static int fg_probe(struct rte_vdev_device *vd)
{
	const char *args = rte_vdev_device_args(vd);
	struct rte_eth_dev *dev;
	struct fg_cfg c = {.rx = 1,
		.size = 60,
		.flows = 1,
		.sips = 1,
		.dips = 1,
		.sip = 0x0a010002,
		.dip = 0x0a020002,
		.osip = 0xac100002,
		.odip = 0xac100001,
		.sport = 1024,
		.dport = 80,
		.l4csum = 1,
		.rxgood = 1,
		.txcsum = 1,
		.mtu = 9000,
		.smac = {{2, 0, 0, 0, 0, 1}},
		.dmac = {{2, 0, 0, 0, 0, 2}},
		.osmac = {{2, 0, 0, 0, 1, 1}},
		.odmac = {{2, 0, 0, 0, 1, 2}}};

	if (rte_eal_process_type() == RTE_PROC_SECONDARY)
		return -ENOTSUP;
	if (args && *args) {
		struct rte_kvargs *l = rte_kvargs_parse(args, NULL);
		if (!l)
			return -EINVAL;
		int r = rte_kvargs_process(l, NULL, kv, &c);
		rte_kvargs_free(l);
		if (r < 0) {
			LOGE("bad arguments: %s\n", args);
			return -EINVAL;
		}
	}
	if (c.size < (c.syn ? 54u : 42u) || !c.flows || !c.sips || !c.dips) {
		LOGE("size/flows/sips/dips out of range\n");
		return -EINVAL;
	}
	dev = rte_eth_vdev_allocate(vd, sizeof(struct fg_dev));
	if (!dev)
		return -ENOMEM;
	struct fg_dev *d = dev->data->dev_private;
	memset(d, 0, sizeof(*d));
	if (!c.has_mac)
		rte_eth_random_addr(c.mac.addr_bytes);
	d->c = c;
	d->port = dev->data->port_id;
	for (int i = 0; i < FG_MAXQ; i++)
		d->rxq[i].d = d->txq[i].d = d;
	if (c.dump[0] && c.dumpn) {
		d->df = fopen(c.dump, "wb");
		if (!d->df)
			return -errno;
		uint32_t h[6] = {0xa1b2c3d4, 2 | (4 << 16), 0, 0, 65535, 1};
		fwrite(h, 24, 1, d->df);
	} else {
		d->c.dumpn = 0;
	}
	dev->data->dev_link = (struct rte_eth_link){.link_speed = RTE_ETH_SPEED_NUM_100G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED};
	dev->data->mac_addrs = &d->c.mac;
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->dev_ops = &ops;
	dev->rx_pkt_burst = !c.rx     ? fg_no_rx
			    : c.vxlan ? (c.syn ? fg_rx_vsyn : fg_rx_vudp)
				      : (c.syn ? fg_rx_syn : fg_rx_udp);
	dev->tx_pkt_burst = fg_tx;
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int fg_remove(struct rte_vdev_device *vd)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vd));
	if (!dev)
		return 0;
	fg_close(dev);
	rte_eth_dev_release_port(dev);
	return 0;
}

static struct rte_vdev_driver drv = {.probe = fg_probe, .remove = fg_remove};
RTE_PMD_REGISTER_VDEV(net_flowgen, drv);
