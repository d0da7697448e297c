/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments through the graph: any order, hostile offsets, the fate of the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "session/session.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* A datagram of `total` payload bytes behind the UDP header, from a to b; the piece [at, at + len) of its IP payload. */
static const struct frame *piece(
	struct frame *f, const struct frame *whole, uint16_t at, uint16_t len, bool more)
{
	*f = *whole;
	if (at + len <= whole->len - 34) /* else any bytes do */
		memmove(f->bytes + 34, whole->bytes + 34 + at, len);
	f->len = (uint16_t)(34 + len);
	f->bytes[16] = (uint8_t)((20 + len) >> 8);
	f->bytes[17] = (uint8_t)(20 + len);
	f->bytes[20] = (uint8_t)((more ? 0x20 : 0) | at / 8 >> 8);
	f->bytes[21] = (uint8_t)(at / 8);
	frame_fix_ipv4(f);
	return f;
}
#define PIECE(from, n, rest) piece(&(struct frame){.len = 0}, whole, from, n, rest)
#define WHOLE(...)                                                                                 \
	FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2,            \
		.payload = 392, __VA_ARGS__)

static void pass(const struct frame *f)
{
	graph_expect_pass("a", f, "b", f);
}

static void test_in_order(void **state)
{
	const struct frame *whole = WHOLE(.ip_id = 1);

	(void)state;
	pass(PIECE(0, 200, true));
	pass(PIECE(200, 104, true));
	pass(PIECE(304, 96, false));
	assert_int_equal(session_used(), 1);
}

static void test_last_first(void **state)
{
	const struct frame *whole = WHOLE(.ip_id = 2);
	const struct frame *last = PIECE(304, 96, false), *first = PIECE(0, 200, true),
			   *middle = PIECE(200, 104, true);

	(void)state;
	graph_send("a", last->bytes, last->len);
	graph_send("a", middle->bytes, middle->len);
	graph_run();
	assert_int_equal(graph_unfetched(), 0);
	graph_send("a", first->bytes, first->len);
	graph_run();
	assert_int_equal(graph_unfetched(), 3);
	graph_discard_sent("b");
	assert_int_equal(graph_dropped_any(), 0);
}

/* Through a tunnel all take the same path: one source port (RFC 7348 4). */
static void test_same_path(void **state)
{
	const struct frame *whole = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"),
		.sport = 1, .dport = 2, .payload = 392, .ip_id = 3);
	const struct frame *pieces[] = {
		PIECE(0, 200, true), PIECE(200, 104, true), PIECE(304, 96, false)};
	uint8_t port[2];

	(void)state;
	/* Buffers that have carried other flows. */
	for (uint16_t n = 0; n < 40; n++) {
		const struct frame *other = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"),
			.sport = (uint16_t)(100 + n), .dport = 2);

		graph_send("a", other->bytes, other->len);
		graph_run();
		graph_discard_sent(GRAPH_UNDERLAY);
	}
	for (int n = 0; n < 3; n++) {
		const uint8_t *got;

		graph_send("a", pieces[n]->bytes, pieces[n]->len);
		graph_run();
		got = graph_sent(GRAPH_UNDERLAY, NULL);
		assert_non_null(got);
		if (n == 0)
			memcpy(port, got + 34, 2);
		assert_memory_equal(got + 34, port, 2);
	}
}

/* The receiver refuses: later ones share the fate, and are the sender's drops wherever their buffers have been. */
static void test_refused(void **state)
{
	const struct frame *whole = WHOLE(.ip_id = 4);

	(void)state;
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]");
	graph_expect_drop("a", PIECE(0, 200, true), DROP_POLICY_INGRESS);
	graph_expect_drop("a", PIECE(200, 104, true), DROP_POLICY_INGRESS);
	graph_expect_drop("a", PIECE(304, 96, false), DROP_POLICY_INGRESS);
	assert_int_equal(graph_port_drops("a") + graph_port_drops("b"), 3);
	assert_int_equal(graph_port_drops("c"), 0);
}

/* RFC 1858, 3128: tiny firsts, overlaps, holes in the header, beyond the end. */
static void test_hostile(void **state)
{
	const struct frame *whole = WHOLE(.ip_id = 5), *tcp;

	(void)state;
	pass(PIECE(0, 200, true));
	graph_expect_drop("a", PIECE(192, 104, true), DROP_FRAGMENT); /* overlaps */
	graph_expect_drop("a", PIECE(304, 96, false), DROP_FRAGMENT); /* spoilt for good */
	whole = WHOLE(.ip_id = 6);
	graph_expect_drop("a", PIECE(200, 101, true), DROP_FRAGMENT); /* not in units of 8 */
	whole = WHOLE(.ip_id = 7);
	graph_expect_drop(
		"a", piece(&(struct frame){.len = 0}, whole, 65528, 96, false), DROP_FRAGMENT);
	tcp = FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP,
		.sport = 1, .dport = 2, .payload = 100, .ip_id = 8);
	graph_expect_drop("a", piece(&(struct frame){.len = 0}, tcp, 8, 96, true), DROP_FRAGMENT);
	graph_expect_drop("a", piece(&(struct frame){.len = 0}, tcp, 0, 16, true), DROP_MALFORMED);
	/* A first one dropped on the way in counts as none. */
}

/* Another port can not add to it, nor take its session; without a first one they time out. */
static void test_strangers(void **state)
{
	const struct frame *whole = WHOLE(.ip_id = 9);
	const struct frame *stolen;

	(void)state;
	pass(PIECE(0, 200, true));
	stolen = PIECE(200, 104, true);
	graph_send("c", stolen->bytes, stolen->len);
	graph_run();
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped_any(), 0); /* held: it has no first */
	pass(PIECE(200, 104, true));
	pass(PIECE(304, 96, false));
}

static void test_ipv6(void **state)
{
	const struct frame *plain = FRAME(FROM(MAC_A, "fd00:1:0:1::10"),
		TO(MAC_B, "fd00:1:0:1::11"), .sport = 1, .dport = 2, .payload = 200);
	static const uint8_t atomic[7] = {0}, first[7] = {0, 0, 1, 0, 0, 0, 3},
			     last[7] = {0, 0, 208, 0, 0, 0, 3};
	struct frame f, g;

	(void)state;
	/* Routed, so that its hop limit proves that it is understood. RFC 6946. */
	frame_extended(&f, plain, IPPROTO_FRAGMENT, atomic);
	graph_send("a", f.bytes, f.len);
	graph_run();
	assert_non_null(graph_sent("b", NULL));
	frame_extended(&f, plain, IPPROTO_FRAGMENT, first);
	graph_send("a", f.bytes, f.len);
	graph_run();
	assert_non_null(graph_sent("b", NULL));
	frame_extended(&g, plain, IPPROTO_FRAGMENT, last);
	graph_send("a", g.bytes, g.len);
	graph_run();
	assert_non_null(graph_sent("b", NULL));
	assert_int_equal(graph_dropped_any(), 0);
	assert_int_equal(session_used(), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_in_order),
		T(test_last_first),
		T(test_same_path),
		T(test_refused),
		T(test_hostile),
		T(test_strangers),
		T(test_ipv6),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
