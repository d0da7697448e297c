/* SPDX-License-Identifier: Apache-2.0 */
/* A guest at a vhost-user socket that sends back what it gets: DPDK's virtio_user driver with all its offloads.
 *
 *	virtio_guest SOCKET client|server QUEUES MAC
 *
 * Addresses and ports are exchanged, an echo request becomes a reply; what came as a GSO frame or with a partial checksum goes
 * back so. Prints "ready", runs until its standard input ends, then prints counters as JSON: frames of each queue, GSO frames,
 * partial checksums, and those whose field did not hold the pseudo header's sum with the whole length (bad).
 */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "base/checksum.h"

#define PORT 0
#define BURST 32
#define QUEUES_MAX 16
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129

static struct {
	uint64_t frames[QUEUES_MAX], gso, partial, bad, unsent;
} count;
static uint16_t n_queues;

/* Where a frame's headers lie. Further segments hold payload only. */
struct layout {
	struct rte_ether_hdr *eth;
	void *l3, *l4;
	uint32_t l4_len; /* header and payload */
	uint8_t proto;
	bool v6;
};

static bool parse(struct rte_mbuf *m, struct layout *l)
{
	struct rte_ipv4_hdr *v4;
	struct rte_ipv6_hdr *v6;

	l->eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	l->l3 = l->eth + 1;
	v4 = l->l3;
	v6 = l->l3;
	m->l2_len = sizeof(*l->eth);
	l->v6 = l->eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	if (!l->v6 && l->eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return false;
	m->l3_len = l->v6 ? sizeof(*v6) : rte_ipv4_hdr_len(v4);
	l->proto = l->v6 ? v6->proto : v4->next_proto_id;
	l->l4 = (uint8_t *)l->l3 + m->l3_len;
	l->l4_len = l->v6 ? rte_be_to_cpu_16(v6->payload_len)
			  : rte_be_to_cpu_16(v4->total_length) - m->l3_len;
	return true;
}

static rte_be16_t pseudo(const struct layout *l)
{
	const struct rte_ipv4_hdr *v4 = l->l3;
	const struct rte_ipv6_hdr *v6 = l->l3;

	return checksum_fold(
		l->v6 ? checksum_pseudo6(v6->src_addr, v6->dst_addr, l->proto, l->l4_len)
		      : checksum_pseudo4(
				v4->src_addr, v4->dst_addr, l->proto, (uint16_t)l->l4_len));
}

static void reverse(const struct layout *l)
{
	struct rte_ether_addr mac = l->eth->src_addr;
	struct rte_ipv4_hdr *v4 = l->l3;
	struct rte_ipv6_hdr *v6 = l->l3;
	struct rte_udp_hdr *udp = l->l4;
	uint8_t addr[16];
	rte_be32_t addr4 = v4->src_addr;
	rte_be16_t port = udp->src_port;

	l->eth->src_addr = l->eth->dst_addr;
	l->eth->dst_addr = mac;
	if (l->v6) {
		memcpy(addr, v6->src_addr, sizeof(addr));
		memcpy(v6->src_addr, v6->dst_addr, sizeof(addr));
		memcpy(v6->dst_addr, addr, sizeof(addr));
	} else {
		v4->src_addr = v4->dst_addr;
		v4->dst_addr = addr4;
	}
	if (l->proto == IPPROTO_TCP || l->proto == IPPROTO_UDP) {
		udp->src_port = udp->dst_port;
		udp->dst_port = port;
	}
}

/* An echo request becomes the reply. */
static bool answer_ping(const struct layout *l)
{
	struct rte_icmp_hdr *icmp = l->l4;
	uint8_t request = l->v6 ? ICMP6_ECHO_REQUEST : RTE_IP_ICMP_ECHO_REQUEST;
	uint8_t reply = l->v6 ? ICMP6_ECHO_REPLY : RTE_IP_ICMP_ECHO_REPLY;

	if (icmp->icmp_type != request)
		return false;
	icmp->icmp_cksum = checksum_apply(
		icmp->icmp_cksum, checksum_delta16(0, rte_cpu_to_be_16((uint16_t)(request << 8)),
					  rte_cpu_to_be_16((uint16_t)(reply << 8))));
	icmp->icmp_type = reply;
	return true;
}

/* The requests that a frame came with go back with it. */
static void keep_offloads(struct rte_mbuf *m, const struct layout *l)
{
	bool gso = (m->ol_flags & RTE_MBUF_F_RX_LRO) != 0;
	bool tcp = l->proto == IPPROTO_TCP;
	const struct rte_tcp_hdr *t = l->l4;
	const struct rte_udp_hdr *u = l->l4;

	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE) {
		m->ol_flags = 0;
		return;
	}
	count.partial++;
	count.gso += gso;
	count.bad += (tcp ? t->cksum : u->dgram_cksum) != pseudo(l);
	m->l4_len = tcp ? (uint64_t)(t->data_off >> 4) * 4 : sizeof(*u);
	m->ol_flags = l->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (gso)
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
}

static bool answer(struct rte_mbuf *m)
{
	struct layout l;

	if (!parse(m, &l))
		return false;
	if (l.proto == (l.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && !answer_ping(&l))
		return false;
	keep_offloads(m, &l);
	reverse(&l);
	return true;
}

/* Returns how many it got. */
static uint16_t serve(uint16_t queue)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(PORT, queue, pkts, BURST), kept = 0, sent;

	count.frames[queue] += n;
	for (uint16_t i = 0; i < n; i++) {
		if (answer(pkts[i]))
			pkts[kept++] = pkts[i];
		else
			rte_pktmbuf_free(pkts[i]);
	}
	sent = rte_eth_tx_burst(PORT, queue, pkts, rte_eth_tx_prepare(PORT, queue, pkts, kept));
	count.unsent += kept - sent;
	rte_pktmbuf_free_bulk(pkts + sent, kept - sent);
	return n;
}

static void set_up(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"pkts", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	struct rte_eth_conf conf = {
		.intr_conf.lsc = 1, /* by which a server notices that backends go and come */
		.rxmode.offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
				   RTE_ETH_RX_OFFLOAD_UDP_CKSUM,
		.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				   RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
	};
	int rc = pool == NULL ? -1 : rte_eth_dev_configure(PORT, n_queues, n_queues, &conf);

	for (uint16_t q = 0; rc == 0 && q < n_queues; q++) {
		rc = rte_eth_rx_queue_setup(PORT, q, 256, SOCKET_ID_ANY, NULL, pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(PORT, q, 256, SOCKET_ID_ANY, NULL);
	}
	if (rc == 0)
		rc = rte_eth_dev_start(PORT);
	if (rc < 0)
		rte_exit(1, "the device does not start: %d\n", rc);
}

static void report(void)
{
	printf("{\"frames\": [");
	for (uint16_t q = 0; q < n_queues; q++)
		printf("%s%lu", q == 0 ? "" : ", ", count.frames[q]);
	printf("], \"gso\": %lu, \"partial\": %lu, \"bad\": %lu, \"unsent\": %lu}\n", count.gso,
		count.partial, count.bad, count.unsent);
}

int main(int argc, char **argv)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char prefix[32], vdev[256], c;
	char *eal[] = {"virtio_guest", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci",
		"-m", "96", "-l", "0", "--log-level=4", prefix, vdev};

	bool busy = false;

	if (argc != 5)
		return 2;
	signal(SIGPIPE, SIG_IGN); /* a backend that went away */
	n_queues = (uint16_t)atoi(argv[3]);
	snprintf(prefix, sizeof(prefix), "--file-prefix=vg%d", getpid());
	snprintf(vdev, sizeof(vdev),
		"--vdev=net_virtio_user0,path=%s,queues=%u,queue_size=256,mac=%s%s", argv[1],
		n_queues, argv[4], strcmp(argv[2], "server") == 0 ? ",server=1" : "");
	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	set_up();
	printf("ready\n");
	fflush(stdout);
	while (poll(&in, 1, busy ? 0 : 1) <= 0 || read(STDIN_FILENO, &c, 1) > 0) {
		busy = false;
		for (uint16_t q = 0; q < n_queues; q++)
			busy |= serve(q) > 0;
	}
	report();
	fflush(stdout);
	_exit(0); /* the driver leaks, which is not what a sanitizer shall look for here */
}
