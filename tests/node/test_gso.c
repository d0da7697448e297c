/* SPDX-License-Identifier: Apache-2.0 */
/* Frames with partial checksums and GSO frames, as a TAP gives them, to ports that take them and to ports that do not, and into
 * tunnels. Whatever way they go, what arrives on a wire is whole and right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "port/headers.h"
#include "port/port.h"
#include "port/vnet_hdr.h"
#include "session/session.h"

#define ALL_CAPS (PORT_CAP_MULTI_SEG | PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6 | PORT_CAP_USO)
#define MSS 1200
#define PAYLOAD 8000 /* six whole segments and one of 800 bytes */

/* e takes everything. */
static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_port_caps(ALL_CAPS);
	graph_items("[" PORT("e", "web", "02:aa:00:00:00:05", "10.0.1.15", "fd00:1:0:1::15") "]");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* What a may send: in the subnet, routed, into the tunnel; of both families and protocols. */
struct way {
	const char *dmac, *dst4, *dst6, *to;
	const char *smac_out, *dmac_out;
	uint8_t ttl_out;
};
static const struct way to_plain = {MAC_B, "10.0.1.11", "fd00:1:0:1::11", "b", MAC_A, MAC_B, 64};
static const struct way to_able = {
	"02:aa:00:00:00:05", "10.0.1.15", "fd00:1:0:1::15", "e", MAC_A, "02:aa:00:00:00:05", 64};
static const struct way routed = {GW, "10.0.2.10", "fd00:1:0:2::10", "c", GW, MAC_C, 63};
static const struct way tunnelled = {
	MAC_R, "10.0.1.20", "fd00:1:0:1::20", GRAPH_UNDERLAY, MAC_A, MAC_R, 64};

static void open_tcp(const struct way *w, bool v6)
{
	bool tunnel = strcmp(w->to, GRAPH_UNDERLAY) == 0;
	struct frame f, outer;

	f = *FRAME(FROM(MAC_A, v6 ? "fd00:1:0:1::10" : "10.0.1.10"),
		TO(w->dmac, v6 ? w->dst6 : w->dst4), .proto = IPPROTO_TCP, .sport = 7, .dport = 8,
		.seq = 999);
	graph_send("a", f.bytes, f.len);
	graph_run();
	graph_discard_sent(w->to);
	f = *FRAME(FROM(w->dmac_out, v6 ? w->dst6 : w->dst4),
		TO(w->ttl_out == 64 ? MAC_A : GW, v6 ? "fd00:1:0:1::10" : "10.0.1.10"),
		.proto = IPPROTO_TCP, .sport = 8, .dport = 7, .seq = 0, .ack = 1000,
		.tcp_flags = 0x12);
	frame_vxlan(&outer, &f, "192.0.2.2", "192.0.2.1", 100);
	if (tunnel)
		f = outer;
	graph_send(w->to, f.bytes, f.len);
	graph_run();
	graph_discard_sent("a");
	assert_int_equal(graph_dropped_any(), 0);
}

static void build(struct frame *f, const struct way *w, bool v6, uint8_t proto, uint16_t payload)
{
	*f = *FRAME(FROM(MAC_A, v6 ? "fd00:1:0:1::10" : "10.0.1.10"),
		TO(w->dmac, v6 ? w->dst6 : w->dst4), .proto = proto, .sport = 7, .dport = 8,
		.seq = 1000, .ack = 1, .tcp_flags = 0x19, .ip_id = 40, .payload = payload);
}

/* gso_size 0: only the checksum is partial. */
static void send_partial(const struct frame *whole, uint16_t gso_size)
{
	struct frame f = *whole;
	bool v6 = f.bytes[14] >> 4 == 6, tcp = (v6 ? f.bytes[20] : f.bytes[23]) == IPPROTO_TCP;
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM,
		.gso_size = gso_size,
		.csum_start = v6 ? 54 : 34,
		.csum_offset = tcp ? 16 : 6};
	struct rte_mbuf *m;

	if (gso_size != 0)
		hdr.gso_type = !tcp ? VNET_GSO_UDP_L4 : v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	frame_make_partial(&f);
	m = graph_mbuf(f.bytes, f.len);
	assert_true(vnet_hdr_to_mbuf(&hdr, m));
	graph_send_mbuf("a", m);
	graph_run();
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* `got` is segment number `n` of `whole`, which begins at payload byte `at`; returns where the next begins. */
static uint32_t check_segment(const struct frame *whole, const struct way *w, const uint8_t *got,
	uint16_t len, unsigned int n, uint32_t at)
{
	bool v6 = whole->bytes[14] >> 4 == 6;
	uint32_t l4 = v6 ? 54 : 34;
	bool tcp = whole->bytes[v6 ? 20 : 23] == IPPROTO_TCP;
	uint32_t header = l4 + (tcp ? 20 : 8), payload = len - header;
	struct rte_ether_addr mac;
	bool last = at + payload == whole->len - header;

	assert_null(frame_check(got, len));
	rte_ether_unformat_addr(w->dmac_out, &mac);
	assert_memory_equal(got, &mac, 6);
	rte_ether_unformat_addr(w->smac_out, &mac);
	assert_memory_equal(got + 6, &mac, 6);
	assert_int_equal(got[v6 ? 21 : 22], w->ttl_out);
	if (!v6)
		assert_int_equal(got[18] << 8 | got[19], 40 + n);
	if (tcp) {
		assert_int_equal(get32(got + l4 + 4), 1000 + at);
		assert_int_equal(got[l4 + 13], last ? 0x19 : 0x10); /* FIN, PSH on the last */
	}
	assert_memory_equal(got + header, whole->bytes + header + at, payload);
	return at + payload;
}

static void expect_segments(const struct frame *whole, const struct way *w)
{
	uint32_t outer = strcmp(w->to, GRAPH_UNDERLAY) == 0 ? 50 : 0, at = 0;
	unsigned int n = 0;
	const uint8_t *got;
	uint16_t len;

	while ((got = graph_sent(w->to, &len)) != NULL) {
		if (outer != 0)
			assert_null(frame_check(got, len));
		at = check_segment(whole, w, got + outer, (uint16_t)(len - outer), n++, at);
	}
	assert_int_equal(n, (PAYLOAD + MSS - 1) / MSS);
	assert_int_equal(at, PAYLOAD);
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped_any(), 0);
}

static void test_segments_where_they_must_be(void **state)
{
	static const struct way *const ways[] = {&to_plain, &routed, &tunnelled};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			open_tcp(ways[i], v6);
			build(&f, ways[i], v6, IPPROTO_TCP, PAYLOAD);
			send_partial(&f, MSS);
			expect_segments(&f, ways[i]);
			build(&f, ways[i], v6, IPPROTO_UDP, PAYLOAD);
			send_partial(&f, MSS);
			expect_segments(&f, ways[i]);
		}
	}
}

/* To who takes them they go as they are, byte by byte, with what they ask for. */
static void test_whole_where_it_may(void **state)
{
	struct frame f, partial;
	struct rte_mbuf *m;

	(void)state;
	for (int i = 0; i < 4; i++) {
		bool v6 = i & 1, tcp = i & 2;

		open_tcp(&to_able, v6);
		build(&f, &to_able, v6, tcp ? IPPROTO_TCP : IPPROTO_UDP, PAYLOAD);
		partial = f;
		frame_make_partial(&partial);
		send_partial(&f, MSS);
		m = graph_sent_mbuf("e");
		assert_non_null(m);
		assert_int_equal(m->tso_segsz, MSS);
		assert_true(m->ol_flags & (tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG));
		assert_int_equal(m->pkt_len, partial.len);
		for (uint32_t at = 0; m != NULL; at += m->data_len, m = m->next)
			assert_memory_equal(
				rte_pktmbuf_mtod(m, uint8_t *), partial.bytes + at, m->data_len);
		assert_int_equal(graph_unfetched(), 0);
	}
}

/* A partial checksum is completed in front of who can not, kept in front of who can, and complete inside a tunnel. */
static void test_partial_checksum(void **state)
{
	static const struct way *const ways[] = {&to_plain, &routed, &tunnelled, &to_able};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		uint32_t outer = ways[i] == &tunnelled ? 50 : 0;
		const uint8_t *got;
		uint16_t len;

		build(&f, ways[i], i & 1, IPPROTO_UDP, 101);
		send_partial(&f, 0);
		got = graph_sent(ways[i]->to, &len);
		assert_non_null(got);
		assert_int_equal(len, f.len + outer);
		if (ways[i] == &to_able)
			assert_non_null(frame_check(got, len));
		else
			check_segment(&f, ways[i], got + outer, f.len, 0, 0);
	}
}

/* Of a GSO frame its segments must fit, not the whole. */
static void test_too_big_segments(void **state)
{
	struct frame f;
	const uint8_t *got;

	(void)state;
	build(&f, &routed, false, IPPROTO_UDP, PAYLOAD);
	send_partial(&f, 1422); /* 20 + 8 + 1422 = 1450 */
	assert_non_null(graph_sent("c", NULL));
	graph_discard_sent("c");
	send_partial(&f, 1423);
	assert_null(graph_sent("c", NULL));
	assert_int_equal(graph_dropped(DROP_TOO_BIG), 1);
	got = graph_sent("a", NULL);
	assert_non_null(got);
	assert_memory_equal(got + 34, "\3\4", 2);
	assert_memory_equal(got + 40, "\x05\xaa", 2); /* 1450 */
}

/* The gateway reads whole checksums: a ping whose checksum is partial does not exist, an ARP with flags neither. */
static void test_flags_that_lie(void **state)
{
	struct frame f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1,
		.dport = 2, .payload = 300);
	static const struct {
		struct vnet_hdr hdr;
		bool ok;
	} lies[] = {
		{{.flags = 1,
			 .csum_start = 34,
			 .csum_offset = 6,
			 .gso_type = VNET_GSO_TCPV4,
			 .gso_size = 100},
			false},
		{{.flags = 0, .gso_type = VNET_GSO_UDP_L4, .gso_size = 100}, false},
		{{.flags = 1,
			 .csum_start = 34,
			 .csum_offset = 6,
			 .gso_type = VNET_GSO_UDP_L4,
			 .gso_size = 0},
			false},
		{{.flags = 1, .csum_start = 60000, .csum_offset = 6}, false},
		{{.flags = 1, .csum_start = 34, .csum_offset = 60000}, false},
		{{.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 77, .gso_size = 9},
			false},
		/* More segments than a datagram may become (UDP_MAX_SEGMENTS): work for one frame. */
		{{.flags = 1,
			 .csum_start = 34,
			 .csum_offset = 6,
			 .gso_type = VNET_GSO_UDP_L4,
			 .gso_size = 1},
			false},
		{{.flags = 1,
			 .csum_start = 34,
			 .csum_offset = 6,
			 .gso_type = VNET_GSO_UDP_L4,
			 .gso_size = 100},
			true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct rte_mbuf *m = graph_mbuf(f.bytes, f.len);

		if (vnet_hdr_to_mbuf(&lies[i].hdr, m) != lies[i].ok)
			fail_msg(
				"header %zu is taken for a %s one", i, lies[i].ok ? "bad" : "good");
		rte_pktmbuf_free(m);
	}
}

/* Frames whose headers a peer has cut into segments (memif): together again before anybody looks. */
static void test_headers_in_pieces(void **state)
{
	static const uint16_t cuts[] = {1, 14, 34, 53, 55, 200};
	struct frame f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"),
		.proto = IPPROTO_TCP, .sport = 1, .dport = 2, .mss = 1400, .payload = 900);

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct rte_mbuf *m = graph_mbuf(f.bytes, cuts[i]);

		for (uint16_t at = cuts[i]; at < f.len;) {
			uint16_t n = RTE_MIN(cuts[i], (uint16_t)(f.len - at));

			assert_int_equal(rte_pktmbuf_chain(m, graph_mbuf(f.bytes + at, n)), 0);
			at = (uint16_t)(at + n);
			if (m->nb_segs == 200) /* the rest in one */
				break;
		}
		f.len = (uint16_t)m->pkt_len;
		headers_gather(m);
		assert_true(m->data_len >= RTE_MIN(m->pkt_len, HEADERS_MAX));
		assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), f.bytes, m->data_len);
		assert_int_equal(rte_pktmbuf_linearize(m), 0);
		assert_int_equal(m->data_len, f.len);
		assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), f.bytes, f.len);
		rte_mbuf_sanity_check(m, 1);
		rte_pktmbuf_free(m);
		f.len = 14 + 20 + 24 + 900;
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_segments_where_they_must_be),
		T(test_whole_where_it_may),
		T(test_partial_checksum),
		T(test_too_big_segments),
		T(test_flags_that_lie),
		T(test_headers_in_pieces),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
