/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <rte_cycles.h>

#include "device.h"

/* The next record of a pcap file; the time in it is the frame's number. */
static void dump(struct device *d, const struct rte_mbuf *m)
{
	uint8_t copy[2048];
	uint32_t length = RTE_MIN(m->pkt_len, (uint32_t)sizeof(copy));
	const void *data = rte_pktmbuf_read(m, 0, length, copy);
	const uint32_t record[4] = {(uint32_t)d->dumped, 0, length, m->pkt_len};

	fwrite(record, sizeof(record), 1, d->dump);
	fwrite(data, length, 1, d->dump);
	if (++d->dumped == d->plan.dump_count) {
		fclose(d->dump);
		d->dump = NULL;
	}
}

static void age(struct device *d, const struct rte_mbuf *m, uint64_t now)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint32_t at = p[12] == 0x86 ? 62 : 42;
	uint64_t then;

	if (rte_pktmbuf_data_len(m) < at + sizeof(then))
		return;
	memcpy(&then, p + at, sizeof(then));
	if (then != 0 && then <= now)
		d->counts->latency[counts_bucket(now - then)]++;
}

static void look(struct device *d, struct rte_mbuf **packets, uint16_t n)
{
	uint64_t now = d->plan.stamp ? rte_rdtsc() : 0;

	for (uint16_t i = 0; i < n; i++) {
		if (d->talk != NULL)
			talk_hear(d, packets[i]);
		if (d->plan.stamp)
			age(d, packets[i], now);
		if (d->dump != NULL && d->dump_passed++ >= d->plan.dump_skip)
			dump(d, packets[i]);
	}
}

uint16_t sink_burst(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	struct sink *s = queue;
	struct device *d = s->device;
	uint64_t bytes = 0;

	if (unlikely(d->talk != NULL || d->plan.stamp || d->dump != NULL))
		look(d, packets, n);
	for (uint16_t i = 0; i < n; i++)
		bytes += packets[i]->pkt_len;
	rte_pktmbuf_free_bulk(packets, n);
	s->count->tx_packets += n;
	s->count->tx_bytes += bytes;
	return n;
}
