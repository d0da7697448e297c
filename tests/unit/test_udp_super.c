/* SPDX-License-Identifier: Apache-2.0 */
/* port/udp_super: a run of VXLAN frames sent as one, received as one and cut apart, is the same frames again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include "base/checksum.h"
#include "base/ip.h"
#include "core/pkt.h"
#include "port/offload.h"
#include "port/udp_super.h"
#include "underlay/vxlan.h"

#define INNER 200
#define RUN_MAX 64 /* of the module */

struct worker workers[WORKER_MAX];
__thread struct worker *worker_self = &workers[0];
unsigned int worker_count = 1;

static struct vxlan_outer outer[2]; /* by family */

static void make_outer(void)
{
	struct ip_addr v4[2] = {
		ip_addr_from_v4(RTE_BE32(0xc0000201)), ip_addr_from_v4(RTE_BE32(0xc0000202))};
	struct ip_addr v6[2] = {{.bytes = {0xfd, [15] = 1}}, {.bytes = {0xfd, [15] = 2}}};
	struct rte_ether_addr a = {{2, 0, 0, 0, 0, 1}}, b = {{2, 0, 0, 0, 0, 2}};

	vxlan_outer_make(&outer[0], &v4[0], &v4[1], &a, &b);
	vxlan_outer_make(&outer[1], &v6[0], &v6[1], &a, &b);
}

static struct rte_mbuf *frame(bool v6, uint16_t len, uint32_t hash)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(workers[0].pool);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, len);

	for (uint16_t i = 0; i < len; i++)
		p[i] = (uint8_t)rand();
	assert_true(vxlan_push(m, &outer[v6], 42, hash, 0));
	return m;
}

static void release(struct rte_mbuf **pkts, unsigned int n)
{
	rte_pktmbuf_free_bulk(pkts, n);
	assert_int_equal(rte_mempool_in_use_count(workers[0].pool), 0);
	assert_int_equal(rte_mempool_in_use_count(workers[0].jumbo_pool), 0);
}

/* What the kernel makes of the message: one piece of memory, which the receiver's driver reads. */
static struct rte_mbuf *carry(struct rte_mbuf **pkts, unsigned int n, uint16_t header)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(workers[0].jumbo_pool);

	m->data_off = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint16_t skip = i == 0 ? 0 : header;
		uint16_t len = (uint16_t)(pkts[i]->data_len - skip);

		memcpy(rte_pktmbuf_append(m, len), rte_pktmbuf_mtod_offset(pkts[i], void *, skip),
			len);
	}
	return m;
}

static void round_trip(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		bool v6 = round & 1;
		unsigned int n = 2 + (unsigned int)rand() % 39;
		struct rte_mbuf *pkts[40], *out[41], *super;
		struct vnet_hdr hdr;
		struct offload o;
		uint16_t header;
		uint32_t total;

		for (unsigned int i = 0; i < n; i++)
			pkts[i] = frame(v6, i + 1 == n && round % 3 ? INNER / 2 : INNER, 7);
		assert_int_equal(udp_super_run(pkts, n, &header), n);
		assert_int_equal(header, v6 ? 62 : 42);
		total = pkts[0]->pkt_len;
		for (unsigned int i = 1; i < n; i++)
			total += pkts[i]->pkt_len - header;
		udp_super_begin(pkts[0], header, total, &hdr);
		super = carry(pkts, n, header);
		/* Taken back, the first frame is what it was. */
		udp_super_undo(pkts[0], header);

		assert_true(vnet_hdr_to_mbuf(&hdr, super));
		assert_true(udp_super_is(super));
		assert_int_equal(offload_begin(&o, 0, super), 0);
		assert_int_equal(offload_next(&o, out, 41), n);
		offload_end(&o);
		for (unsigned int i = 0; i < n; i++) {
			struct vxlan_info info;
			uint16_t checksum = (uint16_t)(header - 2);

			out[i]->ol_flags = 0; /* so that the UDP checksum is looked at */
			if (v6)               /* it was partial */
				assert_true(offload_complete(pkts[i]));
			assert_int_equal(vxlan_parse(out[i], &info), DROP_NONE);
			assert_true(info.is_vxlan && info.vni == 42);
			assert_int_equal(out[i]->pkt_len, pkts[i]->pkt_len);
			/* From there on; over IPv4 it was 0 and is a checksum now. */
			if (v6)
				checksum -= 2;
			assert_memory_equal(rte_pktmbuf_mtod_offset(out[i], void *, checksum + 2),
				rte_pktmbuf_mtod_offset(pkts[i], void *, checksum + 2),
				pkts[i]->pkt_len - checksum - 2u);
		}
		rte_pktmbuf_free_bulk(out, n);
		release(pkts, n);
	}
}

static void undone(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *pkts[2] = {frame(v6, INNER, 7), frame(v6, INNER, 7)};
		uint8_t before[400];
		struct vnet_hdr hdr;
		uint16_t header;

		memcpy(before, rte_pktmbuf_mtod(pkts[0], void *), pkts[0]->pkt_len);
		assert_int_equal(udp_super_run(pkts, 2, &header), 2);
		udp_super_begin(pkts[0], header, 500, &hdr);
		assert_memory_not_equal(
			before, rte_pktmbuf_mtod(pkts[0], void *), pkts[0]->pkt_len);
		udp_super_undo(pkts[0], header);
		assert_memory_equal(before, rte_pktmbuf_mtod(pkts[0], void *), pkts[0]->pkt_len);
		release(pkts, 2);
	}
}

/* What ends a run of three after the first, or after the second. */
static void limits(void **state)
{
	static const struct {
		const char *name;
		int byte;   /* changed in the second frame, from the frame's start; -1: none */
		int length; /* of the second */
		uint32_t hash;
		uint64_t flags;
		unsigned int run;
	} cases[] = {
		{"equal", -1, INNER, 7, 0, 3},
		{"shorter", -1, INNER - 1, 7, 0, 2},
		{"longer", -1, INNER + 1, 7, 0, 1},
		{"another source port", -1, INNER, 8, 0, 1},
		{"another MAC", 5, INNER, 7, 0, 1},
		{"congestion mark", 15, INNER, 7, 0, 1},
		{"another TTL", 22, INNER, 7, 0, 1},
		{"another address", 33, INNER, 7, 0, 1},
		{"no VXLAN", 37, INNER, 7, 0, 1},
		{"may be fragmented", 20, INNER, 7, 0, 1},
		{"unfinished", -1, INNER, 7, RTE_MBUF_F_TX_TCP_CKSUM, 1},
		{"another VNI", 48, INNER, 7, 0, 3},
	};

	(void)state;
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct rte_mbuf *pkts[3] = {frame(false, INNER, 7),
			frame(false, (uint16_t)cases[c].length, cases[c].hash),
			frame(false, INNER, 7)};
		uint16_t header;

		print_message("%s\n", cases[c].name);
		if (cases[c].byte >= 0)
			rte_pktmbuf_mtod(pkts[1], uint8_t *)[cases[c].byte] ^= 0x40;
		pkts[1]->ol_flags |= cases[c].flags;
		assert_int_equal(udp_super_run(pkts, 3, &header), cases[c].run);
		release(pkts, 3);
	}
}

/* No longer than an IP packet, no more frames than fit a message. */
static void bounded(void **state)
{
	static const struct {
		uint16_t inner;
		unsigned int run;
	} cases[] = {{100, RUN_MAX}, {1400, 46}};

	(void)state;
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		struct rte_mbuf *pkts[100];
		uint16_t header;

		for (unsigned int i = 0; i < RTE_DIM(pkts); i++)
			pkts[i] = frame(false, cases[c].inner, 7);
		assert_int_equal(udp_super_run(pkts, RTE_DIM(pkts), &header), cases[c].run);
		release(pkts, RTE_DIM(pkts));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(undone),
		cmocka_unit_test(limits),
		cmocka_unit_test(bounded),
	};
	char *eal[] = {"test_udp_super", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci",
		"-m", "64", "--file-prefix=test_udp_super", "--lcores=0"};
	uint16_t priv = RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN);

	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	workers[0].pool = rte_pktmbuf_pool_create(
		"small", 255, 0, priv, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	workers[0].jumbo_pool =
		rte_pktmbuf_pool_create("jumbo", 15, 0, priv, UINT16_MAX, SOCKET_ID_ANY);
	if (workers[0].pool == NULL || workers[0].jumbo_pool == NULL)
		return 1;
	make_outer();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
