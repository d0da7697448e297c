/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the tunnels in the real graph: what encapsulation makes of GSO frames, partial checksums and congestion marks, and
 * what decapsulation refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_tcp.h>

#include "base/checksum.h"
#include "cloud.h"
#include "core/worker.h"
#include "frame.h"
#include "graph.h"
#include "port/port.h"
#include "session/session.h"

#define OVER_IPV4 50
#define OVER_IPV6 70
#define SEGMENT 1000

/* r is behind a VTEP over IPv4, s over IPv6, lost behind one that nobody knows the next hop to. */
#define ITEMS                                                                                      \
	"[" CLOUD_ITEMS ",[\"vtep\", \"six\", \"fd00:99::2\", false],"                             \
	"[\"vtep\", \"gone\", \"192.0.2.99\", false]," ENDPOINT("100", "10.0.1.30", MAC_R, "six",  \
		"web", "s") "," ENDPOINT("100", "10.0.1.40", MAC_R, "gone", "web", "lost") "]"

static int setup(void **state)
{
	const uint8_t *request;
	uint16_t len;

	(void)state;
	graph_items(ITEMS);
	/* The next hop that is not configured is asked for. */
	graph_run();
	request = graph_sent(GRAPH_UNDERLAY, &len);
	assert_non_null(request);
	assert_int_equal(len, 42);
	assert_memory_equal(request + 38, "\xc0\0\2\x63", 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* The oldest frame on the underlay: its inner frame, checked inside and outside. */
static const uint8_t *sent_inner(uint16_t overhead, uint16_t *len)
{
	const uint8_t *f = graph_sent(GRAPH_UNDERLAY, len);

	assert_non_null(f);
	assert_null(frame_check(f, *len));
	*len = (uint16_t)(*len - overhead);
	assert_null(frame_check(f + overhead, *len));
	return f + overhead;
}

/* As a TAP reads it: what a small buffer has no room for is in a large one. */
static struct rte_mbuf *chain(const struct frame *f)
{
	uint16_t first = f->len < 2048 ? f->len : 2048, rest = (uint16_t)(f->len - first);
	struct rte_mbuf *m = graph_mbuf(f->bytes, first);

	if (rest == 0)
		return m;
	m->next = rte_pktmbuf_alloc(workers[0].jumbo_pool);
	assert_non_null(m->next);
	m->next->data_len = rest;
	memcpy(rte_pktmbuf_mtod(m->next, void *), f->bytes + first, rest);
	m->nb_segs = 2;
	m->pkt_len = f->len;
	return m;
}

/* What a TAP reads of the frame: the checksum is partial, and with `segment` the kernel left segmentation to us. */
static struct rte_mbuf *unfinished(const struct frame *f, uint16_t segment)
{
	struct rte_mbuf *m = chain(f);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	bool v6 = frame[12] == 0x86, tcp = frame[v6 ? 20 : 23] == IPPROTO_TCP;
	uint16_t l4 = v6 ? 54 : 34, l4_len = (uint16_t)(f->len - l4);
	uint32_t src, dst;
	rte_be16_t sum;

	memcpy(&src, frame + 26, 4);
	memcpy(&dst, frame + 30, 4);
	sum = checksum_fold(v6 ? checksum_pseudo6(frame + 22, frame + 38, frame[20], l4_len)
			       : checksum_pseudo4(src, dst, frame[23], l4_len));
	memcpy(frame + l4 + (tcp ? 16 : 6), &sum, sizeof(sum));
	m->ol_flags = (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
		      (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
	m->l2_len = 14;
	m->l3_len = v6 ? 40 : 20;
	m->l4_len = tcp ? 20 : 8;
	m->tso_segsz = segment;
	if (segment != 0)
		m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
	return m;
}

static void send_from(const char *port, const struct frame *f)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
}

/* TCP from a to r up to the end of its handshake: 1001 is its next byte. */
static void connect_tcp(const char *src, const char *dst)
{
	uint16_t len;

	send_from("a", FRAME(FROM(MAC_A, src), TO(MAC_R, dst), .proto = IPPROTO_TCP, .sport = 40000,
			       .dport = 80, .seq = 1000));
	sent_inner(OVER_IPV4, &len);
	send_from(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_R, dst), TO(MAC_A, src), .proto = IPPROTO_TCP, .sport = 80,
				  .dport = 40000, .seq = 5000, .ack = 1001,
				  .tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG),
			100));
	assert_non_null(graph_sent("a", &len));
	send_from(
		"a", FRAME(FROM(MAC_A, src), TO(MAC_R, dst), .proto = IPPROTO_TCP, .sport = 40000,
			     .dport = 80, .seq = 1001, .ack = 5001, .tcp_flags = RTE_TCP_ACK_FLAG));
	sent_inner(OVER_IPV4, &len);
}

/* A GSO frame leaves as segments, each complete, with one source port; the last one says PSH. */
static void check_segmented(const char *src, const char *dst, uint16_t ip_header)
{
	const struct frame *f = FRAME(FROM(MAC_A, src), TO(MAC_R, dst), .proto = IPPROTO_TCP,
		.sport = 40000, .dport = 80, .seq = 1001, .ack = 5001,
		.tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, .payload = 3 * SEGMENT + 500);
	uint16_t headers = (uint16_t)(14 + ip_header + 20), port = 0;

	connect_tcp(src, dst);
	graph_send_mbuf("a", unfinished(f, SEGMENT));
	graph_run();
	for (uint16_t i = 0; i < 4; i++) {
		uint16_t len, payload = i == 3 ? 500 : SEGMENT;
		const uint8_t *inner = sent_inner(OVER_IPV4, &len), *tcp = inner + 14 + ip_header;
		uint16_t its_port = (uint16_t)(inner[34 - OVER_IPV4] << 8 | inner[35 - OVER_IPV4]);

		assert_int_equal(len, headers + payload);
		assert_memory_equal(inner + headers, f->bytes + headers + i * SEGMENT, payload);
		assert_int_equal(tcp[6] << 8 | tcp[7], 1001 + i * SEGMENT);
		assert_int_equal(
			tcp[13], i == 3 ? RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG : RTE_TCP_ACK_FLAG);
		assert_true(i == 0 || its_port == port);
		port = its_port;
	}
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_gso(void **state)
{
	(void)state;
	check_segmented("10.0.1.10", "10.0.1.20", 20);
	check_segmented("fd00:1:0:1::10", "fd00:1:0:1::20", 40);
}

static void test_partial_checksum(void **state)
{
	const struct frame *f = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 7,
		.dport = 8, .payload = 101);
	const uint8_t *inner;
	uint16_t len;

	(void)state;
	graph_send_mbuf("a", unfinished(f, 0));
	graph_run();
	inner = sent_inner(OVER_IPV4, &len);
	assert_int_equal(len, f->len);
	assert_memory_equal(inner, f->bytes, len); /* as if it had been complete from the start */
}

/* RFC 6935 5: over IPv6 UDP has a checksum, which sent_inner() verifies because it is not 0. */
static void test_over_ipv6(void **state)
{
	const struct frame *f = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.30"), .sport = 7,
		.dport = 8, .payload = 300);
	const uint8_t *inner;
	uint16_t len;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		graph_send_mbuf("a", twice ? unfinished(f, 0) : graph_mbuf(f->bytes, f->len));
		graph_run();
		inner = sent_inner(OVER_IPV6, &len);
		assert_int_equal(inner[12 - OVER_IPV6], 0x86);
		assert_int_not_equal(inner[60 - OVER_IPV6] << 8 | inner[61 - OVER_IPV6], 0);
		assert_memory_equal(inner, f->bytes, f->len);
	}
}

static void test_next_hop_unknown(void **state)
{
	(void)state;
	graph_expect_drop("a",
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.40"), .sport = 7, .dport = 8),
		DROP_NO_NEIGHBOUR);
}

/* RFC 6040 4.1: the outer header gets the inner one's mark. */
static void test_congestion_out(void **state)
{
	(void)state;
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		const uint8_t *inner;
		uint16_t len;

		send_from("a", FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 7,
				       .dport = 8, .tos = (uint8_t)(0xb8 | ecn)));
		inner = sent_inner(OVER_IPV4, &len);
		assert_int_equal(inner[15 - OVER_IPV4], ecn); /* DSCP stays inside */
		assert_int_equal(inner[15], 0xb8 | ecn);
	}
}

/* A frame from r to a in a tunnel whose outer header is marked. */
static struct frame marked(uint8_t inner_ecn, uint8_t outer_ecn)
{
	struct frame outer = *TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"),
						.sport = 8, .dport = 7, .tos = inner_ecn),
		100);
	uint8_t *ip = outer.bytes + 14;
	rte_be16_t sum;

	ip[1] = outer_ecn;
	sum = checksum_ipv4_header(ip);
	memcpy(ip + 10, &sum, sizeof(sum));
	return outer;
}

/* RFC 6040 4.2: congestion on the way reaches who can act on it, and a drop tells who can not. */
static void test_congestion_in(void **state)
{
	struct frame f = marked(2, 3);

	(void)state;
	send_from(GRAPH_UNDERLAY, &f);
	graph_expect_sent("a", FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 8,
				       .dport = 7, .tos = 3));
	f = marked(0, 3);
	graph_expect_drop(GRAPH_UNDERLAY, &f, DROP_ECN);
}

/* Ethernet's padding of a short frame is not the inner frame's. */
static void test_padding(void **state)
{
	const struct frame *inner =
		FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7);
	struct frame f = *TUNNELLED(inner, 100);

	(void)state;
	memset(f.bytes + f.len, 0xee, 20);
	f.len += 20;
	send_from(GRAPH_UNDERLAY, &f);
	graph_expect_sent("a", inner);
}

/* The port is promiscuous: a frame for another host is not ours, however broken it is. */
static void test_for_others(void **state)
{
	struct frame f = *TUNNELLED(
		FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 8, .dport = 7),
		100);

	(void)state;
	f.bytes[5] ^= 1;
	graph_expect_drop(GRAPH_UNDERLAY, &f, DROP_NOT_FOR_US);
	f.bytes[42] = 0;
	graph_expect_drop(GRAPH_UNDERLAY, &f, DROP_NOT_FOR_US);
	memset(f.bytes, 0xff, 6);
	graph_expect_drop(GRAPH_UNDERLAY, &f, DROP_NOT_FOR_US);
}

/* ARP for us and for everybody goes to the control thread; for another host it does not. */
static void test_arp(void **state)
{
	static const uint8_t macs[][6] = {
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {2, 0, 0, 0, 0x99, 1}, {2, 0, 0, 0, 0x99, 7}};
	uint8_t f[60] = {[12] = 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(macs); i++) {
		memcpy(f, macs[i], 6);
		graph_send(GRAPH_UNDERLAY, f, sizeof(f));
		graph_run();
		assert_int_equal(graph_dropped(DROP_NOT_FOR_US), i == 2);
	}
	assert_int_equal(graph_unfetched(), 0);
	graph_dropped_any();
}

/* A tenant's port of its name does not take it over. */
static void test_name(void **state)
{
	const struct frame *f = FRAME(.smac = MAC_A, .dmac = MAC_R, .src = "10.0.1.10",
		.dst = "10.0.1.20", .sport = 1, .dport = 2);
	uint16_t len;

	(void)state;
	assert_false(graph_try("[" PORT(GRAPH_UNDERLAY, "web", "02:aa:00:00:00:09", "10.0.1.99",
				       "fd00:1:0:1::99") "]",
		"[]"));
	graph_send("a", f->bytes, f->len);
	graph_run();
	assert_memory_equal(sent_inner(OVER_IPV4, &len), f->bytes, f->len);
	assert_int_equal(len, f->len);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_gso),
		T(test_partial_checksum),
		T(test_over_ipv6),
		T(test_next_hop_unknown),
		T(test_congestion_out),
		T(test_congestion_in),
		T(test_padding),
		T(test_for_others),
		T(test_arp),
		T(test_name),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
