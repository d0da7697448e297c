/* SPDX-License-Identifier: Apache-2.0 */
/* An interface with several outside networks, by VLAN tag (IEEE 802.1Q): tags come off and go on, also around GSO frames.
 *
 *	interface wire0   network `red`, tag 100: 203.0.113.1/24; network `plain`, untagged: 203.0.114.1/24
 *	VPC prod          198.51.100.0/24 by `red`
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/worker.h"
#include "external/external.h"
#include "frame.h"
#include "graph.h"
#include "port/offload.h"
#include "port/port.h"
#include "port/vnet_hdr.h"

#define WIRE "interface/wire0"
#define EXT_MAC "02:cc:00:00:00:01"
#define HOP_MAC "02:cc:00:00:00:fe"
#define SERVER "198.51.100.9"
#define A "10.0.1.10"
#define RED 100
#define ALL_CAPS (PORT_CAP_MULTI_SEG | PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6)

#define NETWORK(name, vlan, net)                                                                   \
	"{\"name\": \"" name "\", \"ifname\": \"wire0\", \"mode\": \"stub\", \"vlan\": " vlan      \
	", \"mac\": \"" EXT_MAC "\", \"mtu\": 1500, \"address\": \"" net ".1/24\", "               \
	"\"gateway\": [\"" net ".254\"], \"neighbours\": [{\"address\": \"" net                    \
	".254\", \"mac\": \"" HOP_MAC "\"}]}"

static void make_networks(void)
{
	static json_t *config; /* it is used as long as the process runs */

	config = json_loads(
		"[" NETWORK("red", "100", "203.0.113") ", " NETWORK("plain", "0", "203.0.114") "]",
		0, NULL);

	assert_non_null(config);
	graph_port_caps(ALL_CAPS); /* of the interface: what is tagged must not use them all */
	assert_int_equal(external_start(config, NULL), 0);
	port_check_links(external_link_changed);
	graph_run();
}

static int setup(void **state)
{
	(void)state;
	graph_port_caps(PORT_CAP_MULTI_SEG);
	graph_items(
		"[" CLOUD_ITEMS ", [\"route\", 100, \"198.51.100.0/24\", \"out\", \"external\", "
		"null, null, null, \"red\", 1]]");
	graph_discard_sent(WIRE);
	graph_forget_drops();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_discard_sent(WIRE);
	graph_reset();
	return 0;
}

static const struct frame *tag(struct frame *to, const struct frame *f, uint16_t tci)
{
	memcpy(to->bytes, f->bytes, 12);
	memcpy(to->bytes + 12, (const uint8_t[]){0x81, 0, (uint8_t)(tci >> 8), (uint8_t)tci}, 4);
	memcpy(to->bytes + 16, f->bytes + 12, f->len - 12u);
	to->len = (uint16_t)(f->len + 4);
	return to;
}
#define TAGGED(f, tci) tag(&(struct frame){.len = 0}, f, tci)

#define OUT FROM(MAC_A, A), TO(GW, SERVER), .sport = 5, .dport = 6
#define GONE FROM(EXT_MAC, A), TO(HOP_MAC, SERVER), .sport = 5, .dport = 6, .ttl = 63
#define IN FROM(HOP_MAC, SERVER), TO(EXT_MAC, A), .sport = 6, .dport = 5
#define COME FROM(GW, SERVER), TO(MAC_A, A), .sport = 6, .dport = 5, .ttl = 63

static void expect_tagged(const struct frame *want)
{
	uint16_t len;
	const uint8_t *got = graph_sent(WIRE, &len);

	assert_non_null(got);
	assert_int_equal(len, want->len);
	assert_memory_equal(got, want->bytes, len);
	assert_int_equal(graph_unfetched(), 0);
}

static void test_both_ways(void **state)
{
	struct port_counters before = port_counters_sum(port_by_name("external/red")), c;

	(void)state;
	graph_send("a", FRAME(OUT)->bytes, FRAME(OUT)->len);
	graph_run();
	expect_tagged(TAGGED(FRAME(GONE), RED));
	graph_expect_pass(WIRE, TAGGED(FRAME(IN), RED), "a", FRAME(COME));
	/* Priority and drop eligible bits are no part of the tag's number. */
	graph_expect_pass(WIRE, TAGGED(FRAME(IN), 0xf000 | RED), "a", FRAME(COME));
	c = port_counters_sum(port_by_name("external/red"));
	assert_int_equal(c.rx_packets - before.rx_packets, 2);
	assert_int_equal(c.tx_packets - before.tx_packets, 1);
	assert_int_equal(c.rx_bytes - before.rx_bytes, 2 * FRAME(IN)->len);
}

/* The same packet without the tag, or with another, is another network's or nobody's. */
static void test_apart(void **state)
{
	(void)state;
	graph_expect_drop(WIRE, FRAME(IN), DROP_NOT_FOR_US);
	graph_expect_drop(WIRE, TAGGED(FRAME(IN), 101), DROP_VLAN);
	graph_expect_drop(WIRE, TAGGED(TAGGED(FRAME(IN), RED), RED), DROP_VLAN);
}

#define PING(s, d, from, to, type)                                                                 \
	FRAME(FROM(s, from), TO(d, to), .proto = IPPROTO_ICMP, .icmp_type = type, .icmp_id = 3,    \
		.payload = 8)

/* A tag of 0 has a priority and no network of its own (802.1Q 9.6). */
static void test_priority_tag(void **state)
{
	(void)state;
	graph_expect_pass(WIRE,
		TAGGED(PING(HOP_MAC, EXT_MAC, "203.0.114.9", "203.0.114.1", 8), 0xe000), WIRE,
		PING(EXT_MAC, HOP_MAC, "203.0.114.1", "203.0.114.9", 0));
	graph_expect_drop(
		WIRE, PING(HOP_MAC, EXT_MAC, "203.0.113.9", "203.0.113.1", 8), DROP_NOT_FOR_US);
}

static void test_cut_short(void **state)
{
	const struct frame *whole = TAGGED(FRAME(IN), RED);

	(void)state;
	for (uint16_t len = 0; len < 38; len++) {
		struct frame f = *whole;

		if (len == 0)
			continue;
		f.len = len;
		graph_send(WIRE, f.bytes, f.len);
		graph_run();
		assert_int_equal(graph_unfetched(), 0);
		assert_int_equal(graph_dropped_any(), 1);
	}
	graph_forget_drops();
}

/* Of a kernel: partial checksum, to be cut into segments; `l2` bytes in front of IP. */
static struct rte_mbuf *whole(const struct frame *f, uint16_t l2, uint16_t segment)
{
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM,
		.gso_type = VNET_GSO_TCPV4,
		.gso_size = segment,
		.hdr_len = (uint16_t)(l2 + 40),
		.csum_start = (uint16_t)(l2 + 20),
		.csum_offset = 16};
	struct rte_mbuf *m = graph_mbuf(f->bytes, f->len);

	assert_true(vnet_hdr_to_mbuf(&hdr, m));
	return m;
}

#define STREAM(...)                                                                                \
	FRAME(__VA_ARGS__, .proto = IPPROTO_TCP, .seq = 1000, .ack = 1, .tcp_flags = 0x10)

static void open_tcp(void)
{
	graph_send("a", FRAME(OUT, .proto = IPPROTO_TCP, .seq = 999)->bytes, 54);
	graph_run();
	graph_discard_sent(WIRE);
	graph_send(WIRE,
		TAGGED(FRAME(IN, .proto = IPPROTO_TCP, .seq = 0, .ack = 1000, .tcp_flags = 0x12),
			RED)
			->bytes,
		58);
	graph_run();
	graph_discard_sent("a");
	assert_int_equal(graph_dropped_any(), 0);
}

/* Cut into segments in front of the tag. */
static void test_gso_out(void **state)
{
	struct frame f;
	uint32_t payload = 0;

	(void)state;
	open_tcp();
	f = *STREAM(OUT, .payload = 5000);
	frame_make_partial(&f);
	graph_send_mbuf("a", whole(&f, 14, 1200));
	graph_run();
	for (unsigned int n = 0; n < 5; n++) {
		struct rte_mbuf *m = graph_sent_mbuf(WIRE);
		uint8_t plain[2000];

		/* The interface completes checksums, behind the tag. */
		assert_non_null(m);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM);
		assert_int_equal(m->l2_len, 18);
		assert_true(offload_complete(m));
		assert_int_equal(rte_pktmbuf_linearize(m), 0);
		assert_memory_equal(
			rte_pktmbuf_mtod_offset(m, char *, 12), "\x81\0\0\x64\x08\0", 6);
		memcpy(plain, rte_pktmbuf_mtod(m, char *), 12);
		memcpy(plain + 12, rte_pktmbuf_mtod_offset(m, char *, 16), m->pkt_len - 16);
		assert_null(frame_check(plain, (uint16_t)(m->pkt_len - 4)));
		payload += m->pkt_len - 4 - 54;
	}
	assert_int_equal(payload, 5000);
	assert_int_equal(graph_unfetched(), 0);
}

/* Put together by the interface: whole to a machine that takes it. */
static void test_gso_in(void **state)
{
	struct rte_mbuf *m, *got;
	struct frame f;

	(void)state;
	graph_delete("[[\"port\", \"a\"]]");
	graph_port_caps(ALL_CAPS);
	graph_items("[" PORT("a", "web", MAC_A, A, "fd00:1:0:1::10") "]");
	graph_forget_announcements();
	open_tcp();
	f = *FRAME(IN, .proto = IPPROTO_TCP, .seq = 1, .ack = 1000, .tcp_flags = 0x10,
		.payload = 5000);
	frame_make_partial(&f);
	m = whole(TAGGED(&f, RED), 18, 1200);
	graph_send_mbuf(WIRE, m);
	graph_run();
	got = graph_sent_mbuf("a");
	assert_non_null(got);
	assert_int_equal(got->pkt_len, f.len);
	assert_int_equal(got->l2_len, 14);
	assert_true(got->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(got->tso_segsz, 1200);
	assert_int_equal(graph_unfetched(), 0);
}

/* What the interface does not take is given to it again, or dropped: never with two tags. */
static void test_full(void **state)
{
	unsigned int n = 0;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		for (unsigned int k = 0; k < 50; k++)
			graph_send("a", FRAME(OUT)->bytes, FRAME(OUT)->len);
		graph_run();
	}
	while ((got = graph_sent(WIRE, &len)) != NULL) {
		assert_memory_equal(got + 12, "\x81\0\0\x64\x08\0", 6);
		assert_int_equal(len, FRAME(OUT)->len + 4);
		n++;
	}
	assert_int_equal(n + graph_dropped_any(), 600);
	graph_forget_drops();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priority_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	};

	graph_start();
	make_networks();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
