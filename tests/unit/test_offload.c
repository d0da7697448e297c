/* SPDX-License-Identifier: Apache-2.0 */
/* port/offload: segments compared byte by byte with a plain reference, over all shapes of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include "base/checksum.h"
#include "core/pkt.h"
#include "port/offload.h"

#define FRAME_MAX 70000

struct worker workers[WORKER_MAX];
__thread struct worker *worker_self = &workers[0];
unsigned int worker_count = 1;

/* A GSO or partial frame in one piece, and where things lie in it. */
struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t len;
	unsigned int l2, l3, l4; /* lengths */
	bool v6, udp;
	uint16_t mss;
	uint8_t tcp_flags;
};

static struct frame frame;

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint8_t *l3_of(struct frame *f)
{
	return f->bytes + f->l2;
}

static uint8_t *l4_of(struct frame *f)
{
	return f->bytes + f->l2 + f->l3;
}

/* Big-endian words, RFC 1071 section 4.1. */
static uint32_t add_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo(struct frame *f)
{
	const uint8_t *ip = l3_of(f);
	unsigned int l4_len = f->len - f->l2 - f->l3;
	uint32_t sum = f->v6 ? add_words(0, ip + 8, 32) : add_words(0, ip + 12, 8);

	sum += f->udp ? IPPROTO_UDP : IPPROTO_TCP;
	sum += l4_len & 0xffff;
	sum += l4_len >> 16;
	return add_words(sum, NULL, 0);
}

static uint8_t *checksum_of(struct frame *f)
{
	return l4_of(f) + (f->udp ? 6 : 16);
}

/* Lengths and all checksums of a frame whose bytes are otherwise done. */
static void finish(struct frame *f, bool partial)
{
	uint8_t *ip = l3_of(f);
	unsigned int l4_len = f->len - f->l2 - f->l3;
	uint32_t sum;

	if (f->v6) {
		put16(ip + 4, (f->len - f->l2 - 40) & 0xffff);
	} else {
		put16(ip + 2, (f->len - f->l2) & 0xffff);
		put16(ip + 10, 0);
		put16(ip + 10, ~add_words(0, ip, f->l3) & 0xffff);
	}
	if (f->udp)
		put16(l4_of(f) + 4, l4_len & 0xffff);
	put16(checksum_of(f), 0);
	if (partial) {
		put16(checksum_of(f), pseudo(f));
		return;
	}
	sum = ~add_words(pseudo(f), l4_of(f), l4_len) & 0xffff;
	put16(checksum_of(f), f->udp && sum == 0 ? 0xffff : sum);
}

static void build(bool v6, bool udp, unsigned int options, uint32_t payload, uint16_t mss)
{
	struct frame *f = &frame;
	uint8_t *ip, *l4;

	memset(f->bytes, 0, sizeof(f->bytes));
	f->v6 = v6;
	f->udp = udp;
	f->l2 = rand() % 2 ? 14 : 18;
	f->l3 = (v6 ? 40u : 20u) + (unsigned int)(rand() % 3) * 8;
	f->l4 = udp ? 8 : 20 + options;
	f->mss = mss;
	f->len = f->l2 + f->l3 + f->l4 + payload;
	for (uint32_t i = 0; i < f->len; i++)
		f->bytes[i] = (uint8_t)rand();
	ip = l3_of(f);
	l4 = l4_of(f);
	ip[0] = (uint8_t)(v6 ? 0x60 : 0x40 + f->l3 / 4);
	if (!v6) {
		ip[9] = udp ? IPPROTO_UDP : IPPROTO_TCP;
		put16(ip + 4, 0xfffe); /* wraps */
	}
	if (!udp) {
		put32(l4 + 4, 0xfffffc00); /* wraps too */
		l4[12] = (uint8_t)(f->l4 / 4 << 4);
		l4[13] = f->tcp_flags;
	}
	finish(f, true);
}

/* What segment `i` must be. */
static void expected_segment(struct frame *s, unsigned int i, bool last, bool partial)
{
	uint32_t header = frame.l2 + frame.l3 + frame.l4;
	uint32_t pos = i * frame.mss;
	uint32_t len = RTE_MIN((uint32_t)frame.mss, frame.len - header - pos);

	*s = frame;
	s->len = header + len;
	memmove(s->bytes + header, frame.bytes + header + pos, len);
	if (!s->v6)
		put16(l3_of(s) + 4, (get16(l3_of(s) + 4) + i) & 0xffff);
	if (!s->udp) {
		put32(l4_of(s) + 4, get32(l4_of(s) + 4) + pos);
		if (!last)
			l4_of(s)[13] &= (uint8_t)~0x09; /* FIN, PSH */
		if (i > 0)
			l4_of(s)[13] &= 0x7f; /* CWR */
	}
	finish(s, partial);
}

/* The frame as a chain whose first segment ends `first` bytes in, at least the headers. */
static struct rte_mbuf *as_mbuf(uint32_t first)
{
	uint32_t header = frame.l2 + frame.l3 + frame.l4;
	struct rte_mbuf *m = rte_pktmbuf_alloc(workers[0].pool);

	first = RTE_MAX(first, header);
	first = RTE_MIN(first, RTE_MIN(frame.len, rte_pktmbuf_tailroom(m)));
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), frame.bytes, first);
	if (first < frame.len) {
		struct rte_mbuf *rest = rte_pktmbuf_alloc(workers[0].jumbo_pool);

		rest->data_off = 0;
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(frame.len - first)), frame.bytes + first,
			frame.len - first);
		rte_pktmbuf_chain(m, rest);
	}
	m->l2_len = frame.l2 & 0x7f;
	m->l3_len = frame.l3 & 0x1ff;
	m->l4_len = frame.l4 & 0xff;
	m->ol_flags = frame.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	m->ol_flags |= frame.v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	if (frame.mss > 0) {
		m->tso_segsz = frame.mss;
		m->ol_flags |= frame.udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
	}
	pkt_of(m)->vpc = 0x1234;
	return m;
}

static void assert_frame(const struct rte_mbuf *m, const struct frame *f)
{
	static uint8_t copy[FRAME_MAX];

	assert_int_equal(m->pkt_len, f->len);
	assert_memory_equal(rte_pktmbuf_read(m, 0, f->len, copy), f->bytes, f->len);
	assert_int_equal(pkt_of((struct rte_mbuf *)(uintptr_t)m)->vpc, 0x1234);
}

static void assert_nothing_lost(void)
{
	assert_int_equal(rte_mempool_in_use_count(workers[0].pool), 0);
	assert_int_equal(rte_mempool_in_use_count(workers[0].jumbo_pool), 0);
}

static void check_segments(uint32_t caps, uint32_t cut)
{
	static struct frame want;
	struct rte_mbuf *m = as_mbuf(cut), *out[7];
	uint32_t total = offload_segments(m), i = 0;
	bool partial = (caps & PORT_CAP_CSUM) != 0;
	struct offload o;
	unsigned int n;

	assert_int_equal(
		total, (frame.len - frame.l2 - frame.l3 - frame.l4 + frame.mss - 1) / frame.mss);
	assert_false(offload_fits(caps, m));
	assert_int_equal(offload_begin(&o, caps, m), 0);
	while ((n = offload_next(&o, out, RTE_DIM(out))) > 0) {
		for (unsigned int k = 0; k < n; k++, i++) {
			expected_segment(&want, i, i + 1 == total, partial);
			assert_frame(out[k], &want);
			assert_true(offload_fits(caps, out[k]));
			assert_int_equal((out[k]->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0, partial);
			rte_pktmbuf_free(out[k]);
		}
	}
	assert_int_equal(i, total);
	assert_int_equal(o.count, total);
	assert_false(o.failed);
	offload_end(&o);
	assert_nothing_lost();
}

static void segments(void **state)
{
	static const uint16_t sizes[] = {1, 7, 536, 1000, 1448, 8948};

	(void)state;
	for (int round = 0; round < 600; round++) {
		uint16_t mss = sizes[round % 6];
		uint32_t most = mss < 10 ? 400 : 60000;
		uint32_t payload = mss + 1u + (uint32_t)rand() % (most - mss);

		frame.tcp_flags = (uint8_t)rand();
		build(rand() % 2, rand() % 2, (unsigned int)(rand() % 11) * 4, payload, mss);
		check_segments(rand() % 2 ? 0 : PORT_CAP_CSUM | PORT_CAP_MULTI_SEG,
			(uint32_t)rand() % 2048);
	}
}

/* By hand, so that the reference above is checked too: "abcde" in segments of 2, FIN, PSH and CWR set. RFC 9293 section
 * 3.1, RFC 3168 section 6.1.2, RFC 6864 section 4 (the identification). */
static void by_hand(void **state)
{
	/* clang-format off */
	static const uint8_t whole[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 45, 0x12, 0x34, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 80, 4, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0x50, 0x99, 1, 0, 0, 0, 0, 0,
		'a', 'b', 'c', 'd', 'e'};
	static const uint8_t second[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 42, 0x12, 0x35, 0, 0, 64, 6, 0x54, 0x97, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 80, 4, 0, 0, 0, 0, 11, 0, 0, 0, 7, 0x50, 0x10, 1, 0, 0x33, 0x0a, 0, 0,
		'c', 'd'};
	/* clang-format on */
	struct offload o;
	struct rte_mbuf *out[4];

	(void)state;
	frame = (struct frame){.len = sizeof(whole), .l2 = 14, .l3 = 20, .l4 = 20, .mss = 2};
	memcpy(frame.bytes, whole, sizeof(whole));
	finish(&frame, true);
	assert_int_equal(offload_begin(&o, 0, as_mbuf(0)), 0);
	assert_int_equal(offload_next(&o, out, 4), 3);
	assert_int_equal(out[1]->pkt_len, sizeof(second));
	assert_memory_equal(rte_pktmbuf_mtod(out[1], void *), second, sizeof(second));
	assert_int_equal(rte_pktmbuf_mtod(out[0], uint8_t *)[47], 0x90);
	assert_int_equal(rte_pktmbuf_mtod(out[2], uint8_t *)[47], 0x19);
	rte_pktmbuf_free_bulk(out, 3);
	offload_end(&o);
}

/* Partial checksums completed, and chains made one piece. */
static void whole_frames(void **state)
{
	static const uint32_t all_caps[] = {0, PORT_CAP_CSUM, PORT_CAP_MULTI_SEG};

	(void)state;
	for (int round = 0; round < 300; round++) {
		uint32_t caps = all_caps[rand() % 3];
		struct rte_mbuf *m, *out;
		struct offload o;

		build(rand() % 2, rand() % 2, 0, (uint32_t)rand() % 9000, 0);
		m = as_mbuf((uint32_t)rand() % 2048);
		finish(&frame, (caps & PORT_CAP_CSUM) != 0);
		if (offload_fits(caps, m)) {
			rte_pktmbuf_free(m);
			continue;
		}
		assert_int_equal(offload_begin(&o, caps, m), 0);
		assert_int_equal(offload_next(&o, &out, 1), 1);
		assert_true(offload_fits(caps, out));
		assert_frame(out, &frame);
		rte_pktmbuf_free(out);
		assert_int_equal(offload_next(&o, &out, 1), 0);
		offload_end(&o);
		assert_nothing_lost();
	}
}

/* A UDP checksum of zero is sent as ones (RFC 768). */
static void udp_zero(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	build(false, true, 0, 2, 0);
	/* The payload makes all words add up to ffff. */
	put16(l4_of(&frame) + 8, 0);
	finish(&frame, false);
	put16(l4_of(&frame) + 8, get16(checksum_of(&frame)));
	finish(&frame, true);
	m = as_mbuf(2048);
	assert_true(offload_complete(m));
	assert_int_equal(get16(rte_pktmbuf_mtod(m, uint8_t *) + frame.l2 + frame.l3 + 6), 0xffff);
	rte_pktmbuf_free(m);
}

static void refused(void **state)
{
	struct offload o;
	struct rte_mbuf *m;

	(void)state;
	build(false, false, 0, 3000, 1000);
	m = as_mbuf(2048);
	m->tso_segsz = 0;
	assert_int_equal(offload_begin(&o, 0, m), -EINVAL);
	m->tso_segsz = 1000;
	m->l4_len = 8;
	assert_int_equal(offload_begin(&o, 0, m), -EINVAL);
	m->l4_len = 20;
	m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_VXLAN;
	assert_false(offload_fits(UINT32_MAX >> 1, m));
	assert_int_equal(offload_begin(&o, 0, m), -EINVAL);
	rte_pktmbuf_free(m);
	assert_nothing_lost();
}

/* The pool runs dry half way: what was made is good, the rest is lost, nothing leaks. */
static void out_of_buffers(void **state)
{
	struct rte_mbuf *held[300], *out[64];
	unsigned int n = 0, made = 0;
	struct offload o;
	struct rte_mbuf *m;

	(void)state;
	build(true, false, 0, 50000, 1000);
	m = as_mbuf(2048);
	while (n < RTE_DIM(held) && rte_mempool_avail_count(workers[0].pool) > 10)
		held[n++] = rte_pktmbuf_alloc(workers[0].pool);
	assert_int_equal(offload_begin(&o, 0, m), 0);
	made = offload_next(&o, out, RTE_DIM(out));
	assert_int_equal(made, 10);
	assert_true(o.failed);
	assert_int_equal(offload_next(&o, out + made, 1), 0);
	offload_end(&o);
	rte_pktmbuf_free_bulk(out, made);
	rte_pktmbuf_free_bulk(held, n);
	assert_nothing_lost();
}

static void decapsulated(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	build(false, false, 0, 3000, 1000);
	m = as_mbuf(2048);
	m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_VXLAN | RTE_MBUF_F_TX_OUTER_IPV4;
	m->l2_len += 16;
	m->outer_l2_len = 14;
	m->outer_l3_len = 20;
	offload_decap(m);
	assert_int_equal(
		m->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(m->l2_len, frame.l2);
	assert_int_equal(m->tso_segsz, 1000);
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	/* Not of a tunnel: it was about the outer UDP, which is gone. */
	offload_decap(m);
	assert_int_equal(m->ol_flags, 0);
	assert_int_equal(m->tx_offload, 0);
	rte_pktmbuf_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(segments),
		cmocka_unit_test(whole_frames),
		cmocka_unit_test(udp_zero),
		cmocka_unit_test(refused),
		cmocka_unit_test(out_of_buffers),
		cmocka_unit_test(decapsulated),
	};
	char *eal[] = {"test_offload", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci",
		"-m", "64", "--file-prefix=test_offload", "--lcores=0"};
	uint16_t priv = RTE_ALIGN(sizeof(struct pkt), RTE_MBUF_PRIV_ALIGN);

	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return 1;
	workers[0].pool = rte_pktmbuf_pool_create(
		"small", 255, 0, priv, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	workers[0].jumbo_pool =
		rte_pktmbuf_pool_create("jumbo", 31, 0, priv, UINT16_MAX, SOCKET_ID_ANY);
	if (workers[0].pool == NULL || workers[0].jumbo_pool == NULL)
		return 1;
	srand(6864);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
