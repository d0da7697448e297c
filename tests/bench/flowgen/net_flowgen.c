/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_flowgen: a source and a sink of traffic as a virtual device of DPDK, so that programs can be measured without NICs. As a
 * plugin (`-d librte_net_flowgen.so`) it is the same for every program that takes DPDK devices: same packets, same counting.
 *
 * What is received from it is made on the spot in the program's own buffers; what is sent to it is counted and freed. Both
 * together cost about 30 cycles a packet, for one flow and for a million, for small and for large frames.
 *
 *   rx=0|1         make packets, or only take them                                          [1]
 *   l4=udp|syn     what is in them; client or server: an end of TCP conversations (talk.c)  [udp]
 *   size=N|imix    bytes of a frame without its FCS, of the inner one with vni              [60]
 *   flows=N        flows, round robin                                                       [1]
 *   sips=N dips=N  addresses from src and dst on that they use in turn; ports count on when sips are through  [1]
 *   src= dst=      the first ones, IPv4 or IPv6                                             [10.1.0.2, 10.2.0.2]
 *   sport= dport=  ports, the first one and the only one                                    [1024, 80]
 *   smac= dmac=    of the (inner) frame                                                     [02::1, 02::2]
 *   fresh=N        each N-th packet is of a flow that never comes again                     [0: none]
 *   rate=N         packets a second                                                         [0: all that are asked for]
 *   window=N       conversations open at once                                               [256]
 *   vni=N          VXLAN around it, from osrc to odst, MACs osmac and odmac                 [0: none]
 *   ring=N         buffers rest while N others are used, as in the ring of a NIC            [0: the last one freed is next]
 *   rss=0|1        a hash of the flow comes with it, as from a NIC                          [0]
 *   csum=0|1       UDP has a checksum                                                       [1]
 *   good=0|1       a note that checksums are right comes with it                            [1]
 *   offload=0|1    checksums are completed on the way out                                   [1]
 *   stamp=0|1      the time in the payload; the sink makes a histogram of ages              [0]
 *   mac= mtu=      of the device                                                            [any, 9000]
 *   count=FILE     counters are this file's, mapped (counts.h)
 *   dump=FILE dumpn=N dumpskip=N   N of the packets taken, after the first so many, as pcap
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_version.h>

#include "device.h"

RTE_LOG_REGISTER_SUFFIX(flowgen_log, flowgen, NOTICE);
#define LOG_ERROR(...) rte_log(RTE_LOG_ERR, flowgen_log, "flowgen: " __VA_ARGS__)

/* ---- Arguments ---- */

static int parse_flag(const char *text, void *to)
{
	*(bool *)to = text[0] == '1';
	return text[0] != '\0' && strchr("01", text[0]) != NULL && text[1] == '\0' ? 0 : -EINVAL;
}

static int parse_u64(const char *text, void *to)
{
	char *end;

	*(uint64_t *)to = strtoull(text, &end, 0);
	return end != text && *end == '\0' ? 0 : -EINVAL;
}

static int parse_u32(const char *text, void *to)
{
	uint64_t value;
	int err = parse_u64(text, &value);

	*(uint32_t *)to = (uint32_t)value;
	return err;
}

static int parse_u16(const char *text, void *to)
{
	uint64_t value;
	int err = parse_u64(text, &value);

	*(uint16_t *)to = (uint16_t)value;
	return err;
}

static int parse_size(const char *text, void *to)
{
	*(uint32_t *)to = 0;
	return strcmp(text, "imix") == 0 ? 0 : parse_u32(text, to);
}

static int parse_mac(const char *text, void *to)
{
	return rte_ether_unformat_addr(text, to) == 0 ? 0 : -EINVAL;
}

static int parse_address(const char *text, void *to)
{
	struct plan_address *a = to;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->bytes + 12) == 1)
		return 0;
	a->ipv6 = true;
	return inet_pton(AF_INET6, text, a->bytes) == 1 ? 0 : -EINVAL;
}

static int parse_l4(const char *text, void *to)
{
	static const char *names[] = {"udp", "syn", "client", "server"};

	for (unsigned int i = 0; i < RTE_DIM(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*(enum plan_l4 *)to = (enum plan_l4)i;
			return 0;
		}
	return -EINVAL;
}

static int parse_path(const char *text, void *to)
{
	return snprintf(to, sizeof(((struct plan *)0)->count), "%s", text) <
			       (int)sizeof(((struct plan *)0)->count)
		       ? 0
		       : -EINVAL;
}

static const struct argument {
	const char *name;
	int (*parse)(const char *text, void *to);
	size_t at;
} arguments[] = {
#define AT(member) offsetof(struct plan, member)
	{"rx", parse_flag, AT(rx)},
	{"l4", parse_l4, AT(l4)},
	{"size", parse_size, AT(size)},
	{"flows", parse_u64, AT(flows)},
	{"sips", parse_u32, AT(sources)},
	{"dips", parse_u32, AT(destinations)},
	{"src", parse_address, AT(src)},
	{"dst", parse_address, AT(dst)},
	{"sport", parse_u16, AT(sport)},
	{"dport", parse_u16, AT(dport)},
	{"smac", parse_mac, AT(smac)},
	{"dmac", parse_mac, AT(dmac)},
	{"fresh", parse_u32, AT(fresh_every)},
	{"rate", parse_u64, AT(rate)},
	{"window", parse_u32, AT(window)},
	{"vni", parse_u32, AT(vni)},
	{"osrc", parse_address, AT(outer_src)},
	{"odst", parse_address, AT(outer_dst)},
	{"osmac", parse_mac, AT(outer_smac)},
	{"odmac", parse_mac, AT(outer_dmac)},
	{"ring", parse_u32, AT(ring)},
	{"rss", parse_flag, AT(rss)},
	{"csum", parse_flag, AT(checksum)},
	{"good", parse_flag, AT(good)},
	{"offload", parse_flag, AT(offload)},
	{"stamp", parse_flag, AT(stamp)},
	{"mac", parse_mac, AT(mac)},
	{"mtu", parse_u32, AT(mtu)},
	{"count", parse_path, AT(count)},
	{"dump", parse_path, AT(dump)},
	{"dumpn", parse_u64, AT(dump_count)},
	{"dumpskip", parse_u64, AT(dump_skip)},
#undef AT
};

static int parse_one(const char *name, const char *text, void *plan)
{
	for (size_t i = 0; i < RTE_DIM(arguments); i++)
		if (strcmp(arguments[i].name, name) == 0) {
			if (text != NULL &&
				arguments[i].parse(text, (char *)plan + arguments[i].at) == 0)
				return 0;
			LOG_ERROR("%s: not understood: %s\n", name, text != NULL ? text : "");
			return -EINVAL;
		}
	LOG_ERROR("no such argument: %s\n", name);
	return -EINVAL;
}

static int plan_check(const struct plan *plan)
{
	const char *wrong = NULL;

	if (plan->size != 0 && plan->size < frame_minimum(plan))
		wrong = "size is too small";
	else if (plan->size > 9000)
		wrong = "size is too large";
	else if (plan->flows == 0 || plan->sources == 0 || plan->destinations == 0)
		wrong = "flows, sips and dips are at least 1";
	else if (plan->src.ipv6 != plan->dst.ipv6)
		wrong = "src and dst are of two families";
	else if (plan->src.ipv6 && plan->l4 >= PLAN_CLIENT)
		wrong = "conversations are IPv4";
	if (wrong != NULL)
		LOG_ERROR("%s\n", wrong);
	return wrong != NULL ? -EINVAL : 0;
}

static int plan_parse(struct plan *plan, const char *text)
{
	*plan = (struct plan){
		.rx = true,
		.checksum = true,
		.good = true,
		.offload = true,
		.size = 60,
		.flows = 1,
		.sources = 1,
		.destinations = 1,
		.window = 256,
		.mtu = 9000,
		.sport = 1024,
		.dport = 80,
		.smac = {{0x02, 0, 0, 0, 0, 0x01}},
		.dmac = {{0x02, 0, 0, 0, 0, 0x02}},
		.outer_smac = {{0x02, 0, 0, 0, 0x01, 0x01}},
		.outer_dmac = {{0x02, 0, 0, 0, 0x01, 0x02}},
	};
	parse_address("10.1.0.2", &plan->src);
	parse_address("10.2.0.2", &plan->dst);
	parse_address("172.16.0.2", &plan->outer_src);
	parse_address("172.16.0.1", &plan->outer_dst);
	if (text != NULL && text[0] != '\0') {
		struct rte_kvargs *list = rte_kvargs_parse(text, NULL);
		int err = list == NULL ? -EINVAL : rte_kvargs_process(list, NULL, parse_one, plan);

		rte_kvargs_free(list);
		if (err != 0)
			return -EINVAL;
	}
	if (rte_is_zero_ether_addr(&plan->mac))
		rte_eth_random_addr(plan->mac.addr_bytes);
	return plan_check(plan);
}

/* ---- Files ---- */

static int counts_open(struct device *d)
{
	int flags = MAP_SHARED, fd = -1;
	void *p;

	if (d->plan.count[0] == '\0') {
		flags = MAP_PRIVATE | MAP_ANONYMOUS;
	} else {
		fd = open(d->plan.count, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, sizeof(struct counts)) != 0) {
			LOG_ERROR("%s: %s\n", d->plan.count, strerror(errno));
			if (fd >= 0)
				close(fd);
			return -EIO;
		}
	}
	p = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	d->counts = p == MAP_FAILED ? NULL : p;
	return d->counts == NULL ? -ENOMEM : 0;
}

static int dump_open(struct device *d)
{
	const uint32_t header[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1 /* Ethernet */};

	if (d->plan.dump[0] == '\0' || d->plan.dump_count == 0)
		return 0;
	d->dump = fopen(d->plan.dump, "we");
	if (d->dump == NULL) {
		LOG_ERROR("%s: %s\n", d->plan.dump, strerror(errno));
		return -EIO;
	}
	fwrite(header, sizeof(header), 1, d->dump);
	return 0;
}

static int device_open(struct device *d)
{
	int err = counts_open(d);

	if (err == 0)
		err = dump_open(d);
	if (err == 0 && (d->plan.l4 == PLAN_CLIENT || d->plan.l4 == PLAN_SERVER))
		err = talk_start(d);
	return err;
}

static void device_close(struct device *d)
{
	for (unsigned int i = 0; i < COUNTS_QUEUES; i++)
		source_free(&d->sources[i]);
	if (d->talk != NULL)
		talk_free(d);
	if (d->dump != NULL)
		fclose(d->dump);
	d->dump = NULL;
	if (d->counts != NULL)
		munmap(d->counts, sizeof(struct counts));
	d->counts = NULL;
}

/* ---- What DPDK asks of a device ---- */

static int configure(struct rte_eth_dev *dev)
{
	(void)dev;
	return 0;
}

static void set_state(struct rte_eth_dev *dev, uint16_t link, uint8_t queue)
{
	dev->data->dev_link.link_status = link;
	memset(dev->data->rx_queue_state, queue, dev->data->nb_rx_queues);
	memset(dev->data->tx_queue_state, queue, dev->data->nb_tx_queues);
}

static int start(struct rte_eth_dev *dev)
{
	set_state(dev, RTE_ETH_LINK_UP, RTE_ETH_QUEUE_STATE_STARTED);
	return 0;
}

static int stop(struct rte_eth_dev *dev)
{
	set_state(dev, RTE_ETH_LINK_DOWN, RTE_ETH_QUEUE_STATE_STOPPED);
	return 0;
}

static int rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t descriptors,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct device *d = dev->data->dev_private;

	(void)descriptors;
	(void)socket;
	(void)conf;
	dev->data->rx_queues[id] = &d->sources[id];
	return source_start(d, id, pool);
}

static int tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t descriptors,
	unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct device *d = dev->data->dev_private;

	(void)descriptors;
	(void)socket;
	(void)conf;
	d->sinks[id] = (struct sink){.device = d, .count = &d->counts->queues[id]};
	dev->data->tx_queues[id] = &d->sinks[id];
	return 0;
}

static int infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct plan *plan = &((struct device *)dev->data->dev_private)->plan;

	info->max_mac_addrs = 1;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = (uint16_t)plan->mtu;
	info->max_rx_pktlen = plan->mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN;
	info->max_rx_queues = COUNTS_QUEUES;
	info->max_tx_queues = COUNTS_QUEUES;
	if (plan->good)
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_CHECKSUM;
	if (plan->rss) {
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
		/* Each queue makes flows of its own, as if they had been spread. */
		info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;
	}
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (plan->offload)
		info->tx_offload_capa |=
			RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
			RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM;
	info->rx_queue_offload_capa = info->rx_offload_capa;
	info->tx_queue_offload_capa = info->tx_offload_capa;
	return 0;
}

static void sum_up(const struct device *d, struct rte_eth_stats *stats)
{
	for (unsigned int i = 0; i < COUNTS_QUEUES; i++) {
		const struct counts_queue *q = &d->counts->queues[i];

		stats->ipackets += q->rx_packets;
		stats->ibytes += q->rx_bytes;
		stats->rx_nombuf += q->no_buffer;
		stats->opackets += q->tx_packets;
		stats->obytes += q->tx_bytes;
	}
}

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
static int stats_get(
	struct rte_eth_dev *dev, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	(void)queues;
	sum_up(dev->data->dev_private, stats);
	return 0;
}
#else
static int stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	sum_up(dev->data->dev_private, stats);
	return 0;
}
#endif

static int stats_reset(struct rte_eth_dev *dev)
{
	struct device *d = dev->data->dev_private;

	memset(d->counts, 0, sizeof(*d->counts));
	return 0;
}

static int link_update(struct rte_eth_dev *dev, int wait)
{
	(void)dev;
	(void)wait;
	return 0;
}

static int mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	(void)dev;
	(void)mac;
	return 0;
}

static int mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	(void)dev;
	(void)mtu;
	return 0;
}

static int close_device(struct rte_eth_dev *dev)
{
	device_close(dev->data->dev_private);
	dev->data->mac_addrs = NULL; /* part of dev_private */
	return 0;
}

static const struct eth_dev_ops operations = {
	.dev_configure = configure,
	.dev_start = start,
	.dev_stop = stop,
	.dev_close = close_device,
	.dev_infos_get = infos_get,
	.rx_queue_setup = rx_queue_setup,
	.tx_queue_setup = tx_queue_setup,
	.link_update = link_update,
	.stats_get = stats_get,
	.stats_reset = stats_reset,
	.mac_addr_set = mac_addr_set,
	.mtu_set = mtu_set,
	.promiscuous_enable = configure,
	.promiscuous_disable = configure,
	.allmulticast_enable = configure,
	.allmulticast_disable = configure,
};

static int probe(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev;
	struct device *d;
	struct plan plan;
	int err;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -ENOTSUP;
	err = plan_parse(&plan, rte_vdev_device_args(vdev));
	if (err != 0)
		return err;
	dev = rte_eth_vdev_allocate(vdev, sizeof(*d));
	if (dev == NULL)
		return -ENOMEM;
	d = dev->data->dev_private;
	d->plan = plan;
	d->port_id = dev->data->port_id;
	dev->data->mac_addrs = &d->plan.mac;
	err = device_open(d);
	if (err != 0) {
		close_device(dev);
		rte_eth_dev_release_port(dev);
		return err;
	}
	dev->data->dev_link = (struct rte_eth_link){
		.link_speed = RTE_ETH_SPEED_NUM_100G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
	};
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->dev_ops = &operations;
	dev->rx_pkt_burst = source_burst(&d->plan);
	dev->tx_pkt_burst = sink_burst;
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int remove_device(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0;
	close_device(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver driver = {.probe = probe, .remove = remove_device};
RTE_PMD_REGISTER_VDEV(net_flowgen, driver);
