/* SPDX-License-Identifier: Apache-2.0 */
/* TCP conversations through whatever stands between two devices:
 *
 *     client                       server
 *       SYN       ------------->
 *                 <-------------   SYN ACK
 *       ACK       ------------->
 *       FIN ACK   ------------->
 *                 <-------------   FIN ACK
 *       ACK       ------------->
 *
 * The client keeps so many open at once as `window` says, each of a flow of its own, and counts those that ended. An answer
 * is made from what came: nothing is stored for a conversation. IPv4 only, and one queue: both ends belong to one thread.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_tcp.h>

#include "device.h"

#define ANSWERS 4096 /* waiting to be sent; a power of two */
#define FRAME_SIZE 60
#define SERVER_ISN 0x0a0b0c0d

struct answer {
	uint8_t bytes[64];
};

struct talk {
	uint32_t head, tail; /* of answers: tail is the next to send */
	uint32_t open;
	uint64_t heard_tsc; /* when the last one ended */
	struct answer answers[ANSWERS];
};

int talk_start(struct device *d)
{
	d->talk = rte_zmalloc("flowgen", sizeof(*d->talk), RTE_CACHE_LINE_SIZE);
	return d->talk == NULL ? -ENOMEM : 0;
}

void talk_free(struct device *d)
{
	rte_free(d->talk);
	d->talk = NULL;
}

static void ended(struct device *d, uint64_t *count)
{
	(*count)++;
	if (d->talk->open > 0)
		d->talk->open--;
	d->talk->heard_tsc = rte_rdtsc();
}

/* The way back of what was heard, with these flags; sequence numbers follow from its own. */
static void answer(struct device *d, const uint8_t *heard, uint8_t flags)
{
	const struct rte_ipv4_hdr *ip = (const void *)(heard + 14);
	const struct rte_tcp_hdr *tcp = (const void *)(heard + 34);
	struct talk *talk = d->talk;
	uint8_t *p = talk->answers[talk->head % ANSWERS].bytes;
	struct rte_ipv4_hdr *to_ip = (void *)(p + 14);
	struct rte_tcp_hdr *to_tcp = (void *)(p + 34);
	bool counts = (tcp->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG)) != 0;

	if (talk->head - talk->tail == ANSWERS)
		return; /* more than are ever open */
	talk->head++;
	memset(p, 0, sizeof(struct answer));
	memcpy(p, heard + 6, 6);
	memcpy(p + 6, heard, 6);
	memcpy(p + 12, heard + 12, 2);
	to_ip->version_ihl = RTE_IPV4_VHL_DEF;
	to_ip->total_length = rte_cpu_to_be_16(40);
	to_ip->time_to_live = 64;
	to_ip->next_proto_id = IPPROTO_TCP;
	to_ip->src_addr = ip->dst_addr;
	to_ip->dst_addr = ip->src_addr;
	to_ip->hdr_checksum = rte_ipv4_cksum(to_ip);
	to_tcp->src_port = tcp->dst_port;
	to_tcp->dst_port = tcp->src_port;
	to_tcp->sent_seq = (tcp->tcp_flags & RTE_TCP_ACK_FLAG) != 0 ? tcp->recv_ack
								    : rte_cpu_to_be_32(SERVER_ISN);
	to_tcp->recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + (counts ? 1 : 0));
	to_tcp->data_off = 0x50;
	to_tcp->tcp_flags = flags;
	to_tcp->rx_win = RTE_BE16(0xffff);
	to_tcp->cksum = rte_ipv4_udptcp_cksum(to_ip, to_tcp);
}

void talk_hear(struct device *d, const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t flags;

	if (rte_pktmbuf_data_len(m) < 54 || p[12] != 0x08 || p[13] != 0 || p[14] != 0x45 ||
		p[23] != IPPROTO_TCP)
		return;
	flags = p[47] & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG);
	if (d->plan.l4 == PLAN_SERVER) {
		if (flags == RTE_TCP_SYN_FLAG)
			answer(d, p, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);
		else if (flags == (RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG))
			answer(d, p, RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG);
	} else if (flags == (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) {
		answer(d, p, RTE_TCP_ACK_FLAG);
		answer(d, p, RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG);
	} else if (flags == (RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG)) {
		answer(d, p, RTE_TCP_ACK_FLAG);
		ended(d, &d->counts->queues[0].connections);
	} else if ((flags & RTE_TCP_RST_FLAG) != 0) {
		ended(d, &d->counts->queues[0].connections_lost);
	}
}

/* How many may begin. None has ended for a tenth of a second though there are some: they are lost. */
static uint32_t may_begin(struct device *d)
{
	struct talk *talk = d->talk;

	if (d->plan.l4 != PLAN_CLIENT || !d->plan.rx)
		return 0;
	if (talk->open >= d->plan.window && rte_rdtsc() - talk->heard_tsc > rte_get_tsc_hz() / 10) {
		d->counts->queues[0].connections_lost += talk->open;
		talk->open = 0;
		talk->heard_tsc = rte_rdtsc();
	}
	return talk->open < d->plan.window ? d->plan.window - talk->open : 0;
}

uint16_t talk_burst(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	struct source *s = queue;
	struct device *d = s->device;
	struct talk *talk = d->talk;
	uint32_t waiting = talk->head - talk->tail;
	uint32_t begin = may_begin(d);

	n = source_buffers(s, packets, (uint16_t)RTE_MIN((uint32_t)n, waiting + begin));
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *p = rte_pktmbuf_mtod(packets[i], uint8_t *);
		struct frame_flow f = {0};

		if (talk->tail != talk->head) {
			memcpy(p, talk->answers[talk->tail++ % ANSWERS].bytes, 64);
			memcpy(&f.src, p + 26, 4);
			memcpy(&f.dst, p + 30, 4);
			memcpy(&f.sport, p + 34, 2);
			memcpy(&f.dport, p + 36, 2);
			f.src = rte_be_to_cpu_32(f.src);
			f.dst = rte_be_to_cpu_32(f.dst);
			f.sport = rte_be_to_cpu_16(f.sport);
			f.dport = rte_be_to_cpu_16(f.dport);
		} else {
			if (talk->open++ == 0)
				talk->heard_tsc = rte_rdtsc();
			f = source_next(s, &d->plan);
			frame_put(&s->frames[0], p, &f, false, true, false, true);
		}
		source_describe(d, packets[i], FRAME_SIZE, frame_hash(&f));
	}
	s->count->rx_packets += n;
	s->count->rx_bytes += (uint64_t)n * FRAME_SIZE;
	return n;
}
