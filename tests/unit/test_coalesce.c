/* SPDX-License-Identifier: Apache-2.0 */
/* port/coalesce: what offload.c takes apart comes together again to the same bytes; anything that is not a seamless
 * continuation stays alone and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "base/checksum.h"
#include "core/pkt.h"
#include "port/coalesce.h"
#include "port/offload.h"

#define MSS 500
#define ETH 14

struct worker workers[WORKER_MAX];
__thread struct worker *worker_self = &workers[0];
unsigned int worker_count = 1;

static unsigned int l3_len(bool v6)
{
	return v6 ? 40 : 20;
}

static struct rte_tcp_hdr *tcp_of(struct rte_mbuf *m)
{
	bool v6 = rte_pktmbuf_mtod(m, uint8_t *)[12] == 0x86;

	return rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, ETH + l3_len(v6));
}

static uint8_t *ip_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, uint8_t *, ETH);
}

/* Lengths and checksums of a frame of one TCP segment. */
static void finish(struct rte_mbuf *m, bool v6)
{
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip_of(m);
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)ip_of(m);
	uint16_t len = (uint16_t)(m->pkt_len - ETH - l3_len(v6));
	uint32_t sum;

	if (v6) {
		ip6->payload_len = rte_cpu_to_be_16(len);
		sum = checksum_pseudo6(ip6->src_addr, ip6->dst_addr, IPPROTO_TCP, len);
	} else {
		ip4->total_length = rte_cpu_to_be_16((uint16_t)(len + 20));
		ip4->hdr_checksum = checksum_ipv4_header(ip4);
		sum = checksum_pseudo4(ip4->src_addr, ip4->dst_addr, IPPROTO_TCP, len);
	}
	tcp_of(m)->cksum = 0;
	tcp_of(m)->cksum = checksum_finish(checksum_add_mbuf(sum, m, ETH + l3_len(v6), len));
}

/* Segment `i` of a stream with 12 bytes of options: bytes [i * MSS, i * MSS + len). */
static struct rte_mbuf *segment(bool v6, unsigned int i, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(workers[0].pool);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(ETH + l3_len(v6) + 32 + len));

	memset(p, 0, ETH + l3_len(v6) + 32);
	p[5] = 2;
	p[11] = 1;
	p[12] = v6 ? 0x86 : 0x08;
	p[13] = v6 ? 0xdd : 0x00;
	p += ETH;
	if (v6) {
		*(struct rte_ipv6_hdr *)p = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(0x60012345),
			.proto = IPPROTO_TCP,
			.hop_limits = 64,
			.src_addr = {0xfd, [15] = 1},
			.dst_addr = {0xfd, [15] = 2}};
	} else {
		*(struct rte_ipv4_hdr *)p = (struct rte_ipv4_hdr){.version_ihl = 0x45,
			.packet_id = rte_cpu_to_be_16((uint16_t)(0xffff + i)),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_TCP,
			.src_addr = RTE_BE32(0x0a000001),
			.dst_addr = RTE_BE32(0x0a000002)};
	}
	p += l3_len(v6);
	*(struct rte_tcp_hdr *)p = (struct rte_tcp_hdr){.src_port = RTE_BE16(80),
		.dst_port = RTE_BE16(1024),
		.sent_seq = rte_cpu_to_be_32((uint32_t)-700 + i * MSS),
		.recv_ack = RTE_BE32(77),
		.data_off = 0x80,
		.tcp_flags = RTE_TCP_ACK_FLAG,
		.rx_win = RTE_BE16(500)};
	memcpy(p + 20, (uint8_t[]){1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6}, 12);
	for (unsigned int k = 0; k < len; k++)
		p[32 + k] = (uint8_t)(i * MSS + k);
	finish(m, v6);
	return m;
}

/* Frames 0 .. n-1 of a stream, the last of `last` bytes and with PSH. */
static void stream(bool v6, struct rte_mbuf **pkts, unsigned int n, uint16_t last)
{
	for (unsigned int i = 0; i < n; i++)
		pkts[i] = segment(v6, i, i + 1 == n ? last : MSS);
	tcp_of(pkts[n - 1])->tcp_flags |= RTE_TCP_PSH_FLAG;
	finish(pkts[n - 1], v6);
}

static void release(struct rte_mbuf **pkts, unsigned int n)
{
	rte_pktmbuf_free_bulk(pkts, n);
	assert_int_equal(rte_mempool_in_use_count(workers[0].pool), 0);
}

/* Together and apart again gives what was there. */
static void round_trip(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (unsigned int n = 2; n <= 40; n++) {
			static uint8_t want[2048];
			struct rte_mbuf *pkts[40], *original[40], *out[40];
			uint16_t last = n % 3 ? MSS : 123;
			struct offload o;

			stream(v6, pkts, n, last);
			for (unsigned int i = 0; i < n; i++)
				original[i] =
					rte_pktmbuf_copy(pkts[i], workers[0].pool, 0, UINT32_MAX);
			assert_int_equal(coalesce(pkts, n), 1);
			assert_int_equal(
				pkts[0]->pkt_len, ETH + l3_len(v6) + 32 + (n - 1) * MSS + last);
			assert_int_equal(pkts[0]->tso_segsz, MSS);
			assert_int_equal(pkts[0]->nb_segs, n);
			assert_int_equal(pkts[0]->ol_flags & OFFLOAD_TX_FLAGS,
				RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
					(v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4));
			rte_mbuf_sanity_check(pkts[0], 1);
			assert_int_equal(offload_begin(&o, 0, pkts[0]), 0);
			assert_int_equal(offload_next(&o, out, 40), n);
			offload_end(&o);
			for (unsigned int i = 0; i < n; i++) {
				uint32_t len = original[i]->pkt_len;

				assert_int_equal(out[i]->pkt_len, len);
				assert_memory_equal(rte_pktmbuf_read(out[i], 0, len, want),
					rte_pktmbuf_mtod(original[i], void *), len);
			}
			rte_pktmbuf_free_bulk(original, n);
			release(out, n);
		}
	}
}

/* How segment 1 of 3 differs, and how many frames are left. Checksums are made good afterwards. */
enum change {
	NOTHING,
	SEQUENCE,
	ACK,
	WINDOW,
	OPTION,
	URGENT,
	PUSH,
	FIN,
	RST,
	SYN,
	CWR,
	ECE,
	ECN_CE,
	TTL,
	ID,
	MAC,
	PORT,
	ADDRESS,
	SHORTER,
	EMPTY,
	BAD_CHECKSUM,
	SHARED,
	PADDED,
	PARTIAL,
};

static const struct {
	const char *name;
	enum change change;
	unsigned int left;
} changes[] = {
	{"nothing", NOTHING, 1},
	{"gap", SEQUENCE, 3},
	{"another acknowledgment", ACK, 3},
	{"another window", WINDOW, 3},
	{"another timestamp", OPTION, 3},
	{"urgent pointer", URGENT, 3},
	{"PSH ends a series", PUSH, 2},
	{"FIN", FIN, 3},
	{"RST", RST, 3},
	{"SYN", SYN, 3},
	{"CWR", CWR, 3},
	{"ECN echo", ECE, 3},
	{"congestion mark", ECN_CE, 3},
	{"another TTL", TTL, 3},
	{"identification jumps, IPv4 without DF", ID, 3},
	{"another MAC", MAC, 3},
	/* Another flow: the first and the last have a gap between them. */
	{"another port", PORT, 3},
	{"another address", ADDRESS, 3},
	{"a shorter one ends a series", SHORTER, 2},
	{"no data", EMPTY, 3},
	{"bad checksum", BAD_CHECKSUM, 3},
	{"held by somebody else", SHARED, 3},
	{"padded", PADDED, 3},
	{"unfinished", PARTIAL, 3},
};

static void apply(struct rte_mbuf *m, bool v6, enum change change)
{
	static const uint8_t flags[] = {[PUSH] = RTE_TCP_PSH_FLAG,
		[FIN] = RTE_TCP_FIN_FLAG,
		[RST] = RTE_TCP_RST_FLAG,
		[SYN] = RTE_TCP_SYN_FLAG,
		[CWR] = RTE_TCP_CWR_FLAG,
		[ECE] = RTE_TCP_ECE_FLAG};
	struct rte_tcp_hdr *tcp = tcp_of(m);
	uint8_t *ip = ip_of(m);

	switch (change) {
	case SEQUENCE:
		tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + 1);
		break;
	case ACK:
		tcp->recv_ack++;
		break;
	case WINDOW:
		tcp->rx_win++;
		break;
	case OPTION:
		((uint8_t *)(tcp + 1))[7]++;
		break;
	case URGENT:
		tcp->tcp_urp = 1;
		break;
	case PUSH:
	case FIN:
	case RST:
	case SYN:
	case CWR:
	case ECE:
		tcp->tcp_flags |= flags[change];
		break;
	case ECN_CE:
		ip[1] |= v6 ? 0x30 : 0x03;
		break;
	case TTL:
		ip[v6 ? 7 : 8]--;
		break;
	case ID:
		ip[v6 ? 3 : 5] ^= 0x10; /* IPv6: the flow label */
		break;
	case MAC:
		rte_pktmbuf_mtod(m, uint8_t *)[11]++;
		break;
	case PORT:
		tcp->dst_port++;
		break;
	case ADDRESS:
		ip[v6 ? 23 : 15]++;
		break;
	case SHORTER:
		rte_pktmbuf_trim(m, 10);
		break;
	case EMPTY:
		rte_pktmbuf_trim(m, MSS);
		break;
	case SHARED:
		rte_mbuf_refcnt_update(m, 1);
		break;
	case PARTIAL:
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		break;
	default:
		break;
	}
	finish(m, v6);
	if (change == BAD_CHECKSUM)
		tcp->cksum ^= 0x100;
	if (change == PADDED)
		memset(rte_pktmbuf_append(m, 4), 0, 4);
}

static void table(void **state)
{
	(void)state;
	for (size_t c = 0; c < RTE_DIM(changes); c++) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct rte_mbuf *pkts[3], *second;

			print_message("%s\n", changes[c].name);
			for (unsigned int i = 0; i < 3; i++)
				pkts[i] = segment(v6, i, MSS);
			second = pkts[1];
			apply(second, v6, changes[c].change);
			assert_int_equal(coalesce(pkts, 3), changes[c].left);
			if (changes[c].left == 3)
				assert_ptr_equal(pkts[1], second);
			if (changes[c].change == SHARED)
				rte_mbuf_refcnt_update(second, -1);
			release(pkts, changes[c].left);
		}
	}
}

/* DF makes identifications meaningless. */
static void atomic_datagrams(void **state)
{
	struct rte_mbuf *pkts[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		pkts[i] = segment(false, i, MSS);
		ip_of(pkts[i])[4] = ip_of(pkts[i])[5] = 0;
		ip_of(pkts[i])[6] = 0x40;
		finish(pkts[i], false);
	}
	assert_int_equal(coalesce(pkts, 3), 1);
	release(pkts, 1);
}

/* Three flows in turn: each comes together, and their first segments keep their order. */
static void interleaved(void **state)
{
	struct rte_mbuf *pkts[12], *first[3];

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		bool v6 = i % 3 == 1;

		pkts[i] = segment(v6, i / 3, MSS);
		tcp_of(pkts[i])->src_port = (rte_be16_t)(i % 3);
		finish(pkts[i], v6);
	}
	memcpy(first, pkts, sizeof(first));
	assert_int_equal(coalesce(pkts, 12), 3);
	assert_memory_equal(pkts, first, sizeof(first));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pkts[i]->nb_segs, 4);
	release(pkts, 3);
}

/* More flows than are followed, other protocols between them: less is merged, nothing is lost or overtakes. */
static void many_flows(void **state)
{
	struct rte_mbuf *pkts[40];
	unsigned int left, frames = 0;

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		pkts[i] = segment(false, i / 10, MSS);
		tcp_of(pkts[i])->src_port = (rte_be16_t)(i % 10);
		if (i % 10 == 9)
			ip_of(pkts[i])[9] = IPPROTO_UDP;
		finish(pkts[i], false);
	}
	left = coalesce(pkts, 40);
	for (unsigned int i = 0; i < left; i++)
		frames += pkts[i]->nb_segs;
	assert_int_equal(frames, 40);
	release(pkts, left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(table),
		cmocka_unit_test(atomic_datagrams),
		cmocka_unit_test(interleaved),
		cmocka_unit_test(many_flows),
	};
	char *eal[] = {"test_coalesce", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci",
		"-m", "64", "--file-prefix=test_coalesce", "--lcores=0"};
	uint16_t priv = RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN);

	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	workers[0].pool = rte_pktmbuf_pool_create(
		"small", 255, 0, priv, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (workers[0].pool == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
