/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of ports: what passes, what waits, what is dropped and to whom that is counted. Time moves only as the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/worker.h"
#include "graph.h"
#include "port/headers.h"
#include "port/port.h"
#include "port/vnet_hdr.h"
#include "qos/qos.h"
#include "session/session.h"

#define RATED(name, subnet, mac, a4, a6, rate)                                                     \
	"[\"port\", \"" name "\", 100, \"" subnet "\", \"" mac "\", [\"" a4 "\", \"" a6            \
	"\"], [\"any\"], true, [], true, " rate ", {\"type\": \"stub\"}, 1]"
#define RATED_A(rate) RATED("a", "web", MAC_A, "10.0.1.10", "fd00:1:0:1::10", rate)
#define RATED_C(rate) RATED("c", "db", MAC_C, "10.0.2.10", "fd00:1:0:2::10", rate)
#define MBPS(direction, n) "{\"" direction "_mbps\": " n "}"

/* An IP packet of 1450 bytes. */
#define IP_BYTES 1450u
#define PER_MS(mbps) (mbps * 125.0 / IP_BYTES)

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_stop_clock(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_pass_time(100);
	graph_run();
	for (unsigned int i = 0; i < 4; i++)
		graph_discard_sent((const char *const[]){"a", "b", "c", GRAPH_UNDERLAY}[i]);
	graph_run();
	assert_int_equal(qos_held(), 0);
	graph_stop_clock(false);
	graph_reset();
	return 0;
}

struct way {
	const char *from, *smac, *dmac, *src4, *dst4, *src6, *dst6, *to;
};
static const struct way a_to_c = {
	"a", MAC_A, GW, "10.0.1.10", "10.0.2.10", "fd00:1:0:1::10", "fd00:1:0:2::10", "c"};
static const struct way c_to_a = {
	"c", MAC_C, GW, "10.0.2.10", "10.0.1.10", "fd00:1:0:2::10", "fd00:1:0:1::10", "a"};
static const struct way a_to_r = {"a", MAC_A, MAC_R, "10.0.1.10", "10.0.1.20", "fd00:1:0:1::10",
	"fd00:1:0:1::20", GRAPH_UNDERLAY};
static const struct way a_to_b = {
	"a", MAC_A, MAC_B, "10.0.1.10", "10.0.1.11", "fd00:1:0:1::10", "fd00:1:0:1::11", "b"};

static const struct frame *frame_of(struct frame *f, const struct way *w, bool v6, bool back)
{
	*f = *FRAME(FROM(w->smac, v6 ? w->src6 : w->src4), TO(w->dmac, v6 ? w->dst6 : w->dst4),
		.sport = back ? 2 : 1, .dport = back ? 1 : 2,
		.payload = (uint16_t)(IP_BYTES - (v6 ? 48 : 28)));
	return f;
}

/* `n` packets; how many leave at once. */
static unsigned int send_many(const struct way *w, bool v6, bool back, unsigned int n)
{
	unsigned int passed = 0;
	struct frame f;

	frame_of(&f, w, v6, back);
	for (unsigned int done = 0; done < n; done += 100) {
		for (unsigned int i = 0; i < 100 && done + i < n; i++)
			graph_send(w->from, f.bytes, f.len);
		graph_run();
		passed += graph_waiting(w->to);
		graph_discard_sent(w->to);
	}
	return passed;
}

/* What leaves in so many ms. */
static unsigned int release(const struct way *w, unsigned int ms)
{
	unsigned int passed = 0;

	for (unsigned int i = 0; i < ms; i++) {
		graph_pass_time(1);
		graph_run();
		passed += graph_waiting(w->to);
		graph_discard_sent(w->to);
	}
	return passed;
}

/* A burst, then 10 Mbit/s, the rest waits or is dropped; both families, both directions, into tunnels. */
static void check_shaped(const struct way *w, bool v6, const char *owner)
{
	unsigned int passed, waiting, later;
	uint64_t before = graph_port_drops(owner);

	release(w, 1000); /* the bucket is full */
	passed = send_many(w, v6, false, 300);
	waiting = (unsigned int)qos_held();
	assert_in_range(passed, 45, 47);  /* 64 kB and one more */
	assert_in_range(waiting, 33, 36); /* 40 ms */
	assert_int_equal(graph_dropped(DROP_RATE_LIMITED), 300 - passed - waiting);
	assert_int_equal(graph_port_drops(owner) - before, 300 - passed - waiting);
	assert_int_equal(workers[0].wake_tsc == UINT64_MAX, false);
	later = release(w, 20);
	assert_in_range(later, 20 * PER_MS(10) - 2, 20 * PER_MS(10) + 2);
	later += release(w, 40);
	assert_int_equal(later, waiting);
	assert_int_equal(qos_held(), 0);
	assert_true(workers[0].wake_tsc == UINT64_MAX);
	/* Nothing is owed twice: 10 ms later it is worth 10 ms. */
	passed = send_many(w, v6, false, 300);
	assert_in_range(passed, 10 * PER_MS(10), 30 * PER_MS(10));
	graph_forget_drops();
	release(w, 100);
}

static void test_egress_is_shaped(void **state)
{
	(void)state;
	graph_items("[" RATED_A(MBPS("egress", "10")) "]");
	check_shaped(&a_to_c, false, "a");
	check_shaped(&a_to_c, true, "a");
	check_shaped(&a_to_r, false, "a");
	check_shaped(&a_to_r, true, "a");
	assert_int_equal(
		send_many(&c_to_a, false, false, 200), 200); /* the other direction is free */
}

/* Counted to who has the limit, not to who sent. */
static void test_ingress_is_shaped(void **state)
{
	(void)state;
	graph_items("[" RATED_C(MBPS("ingress", "10")) "]");
	check_shaped(&a_to_c, false, "c");
	check_shaped(&a_to_c, true, "c");
	assert_int_equal(graph_port_drops("a"), 0);
	assert_int_equal(send_many(&c_to_a, false, false, 200), 200);
	assert_int_equal(send_many(&a_to_b, false, false, 200), 200);
}

/* All flows of a port share its rate; answers are the other direction's. */
static void test_answers_count_to_their_direction(void **state)
{
	unsigned int passed;

	(void)state;
	graph_items("[" RATED_C(MBPS("egress", "10")) "]");
	assert_int_equal(send_many(&a_to_c, false, false, 200), 200);
	passed = send_many(&c_to_a, false, true, 200);
	assert_int_equal(session_used(), 1);
	passed += send_many(&c_to_a, false, false, 100);
	assert_int_equal(session_used(), 2);
	assert_in_range(passed, 45, 47);
	graph_forget_drops();
}

static void test_packets_a_second(void **state)
{
	unsigned int passed;

	(void)state;
	graph_items("[" RATED_A("{\"egress_pps\": 1000}") "]");
	passed = send_many(&a_to_c, false, false, 300);
	assert_in_range(passed, 64, 66);
	assert_in_range(qos_held(), 39, 42);
	assert_in_range(release(&a_to_c, 20), 18, 21);
	graph_forget_drops();
}

/* The slower one decides, and has the drops. */
static void test_both_ends(void **state)
{
	unsigned int passed;

	(void)state;
	graph_items("[" RATED_A(MBPS("egress", "100")) "," RATED_C(MBPS("ingress", "10")) "]");
	passed = send_many(&a_to_c, false, false, 170); /* the first takes them all: 250 kB */
	assert_in_range(passed, 45, 47);
	assert_int_equal(graph_port_drops("a"), 0);
	assert_int_equal(graph_port_drops("c"), 170 - passed - qos_held());
	release(&a_to_c, 60);
	assert_int_equal(qos_held(), 0);
	graph_forget_drops();
}

/* Queued packets stay, whatever becomes of the rate; what is new is measured by the new one. */
static void test_changes_live(void **state)
{
	unsigned int passed, waiting;

	(void)state;
	graph_items("[" RATED_A(MBPS("egress", "10")) "]");
	send_many(&a_to_c, false, false, 300);
	graph_forget_drops();
	waiting = (unsigned int)qos_held();
	graph_items("[" RATED_A(MBPS("egress", "100")) "]");
	assert_int_equal(qos_held(), waiting);
	assert_int_equal(release(&a_to_c, 5), waiting);
	release(&a_to_c, 1000);
	passed = send_many(&a_to_c, false, false, 1000); /* 250 kB at once, and 40 ms wait */
	assert_in_range(passed, 172, 180);
	assert_in_range(qos_held(), 330, 350);
	waiting = (unsigned int)qos_held();
	graph_forget_drops();
	graph_items("[" RATED_A(MBPS("egress", "10")) "]");
	passed = release(&a_to_c, QOS_DEADLINE_MS + 2); /* nothing waits for longer */
	assert_int_equal(passed, waiting);
	assert_int_equal(graph_dropped_any(), 0);
	release(&a_to_c, 1000);
	passed = send_many(&a_to_c, false, false, 300);
	assert_in_range(passed, 45, 47);
	graph_forget_drops();
	graph_items("[" RATED_A(
		"null") "]"); /* no limit: what waits leaves, and running flows are free */
	release(&a_to_c, QOS_DEADLINE_MS + 2);
	assert_int_equal(qos_held(), 0);
	assert_int_equal(send_many(&a_to_c, false, false, 300), 300);
	graph_items(
		"[" RATED_A(MBPS("egress", "10")) "]"); /* and a running flow learns of a new one */
	assert_in_range(send_many(&a_to_c, false, false, 300), 45, 47);
	assert_int_equal(session_used(), 1);
	graph_forget_drops();
}

/* Not to who has its index by now. */
static void test_port_goes_while_packets_wait(void **state)
{
	unsigned int waiting;

	(void)state;
	graph_items("[" RATED_A(MBPS("egress", "10")) "]");
	send_many(&a_to_c, false, false, 300);
	waiting = (unsigned int)qos_held();
	graph_forget_drops();
	graph_delete("[[\"port\", \"c\"]]");
	for (unsigned int i = 0; i < 64; i++) { /* each index is another's for a while */
		graph_items("[" RATED_C("null") "]");
		graph_delete("[[\"port\", \"c\"]]");
	}
	graph_items("[" RATED_C("null") "]");
	assert_int_equal(qos_held(), waiting);
	assert_int_equal(release(&a_to_c, 60), 0);
	assert_int_equal(graph_dropped(DROP_STALE), waiting);
	/* The sender goes: what it has sent arrives. */
	release(&a_to_c, 1000);
	send_many(&a_to_c, false, false, 300);
	graph_forget_drops();
	waiting = (unsigned int)qos_held();
	graph_delete("[[\"port\", \"a\"]]");
	assert_int_equal(release(&a_to_c, 60), waiting);
}

static void send_gso(const struct way *w, bool tcp, uint16_t payload, uint16_t size)
{
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM,
		.gso_size = size,
		.csum_start = 34,
		.csum_offset = tcp ? 16 : 6,
		.gso_type = tcp ? VNET_GSO_TCPV4 : VNET_GSO_UDP_L4};
	struct rte_mbuf *m;
	struct frame f;

	f = *FRAME(FROM(w->smac, w->src4), TO(w->dmac, w->dst4), .sport = 5, .dport = 6,
		.payload = payload, .proto = tcp ? IPPROTO_TCP : IPPROTO_UDP);
	frame_make_partial(&f);
	m = graph_mbuf(f.bytes, f.len);
	assert_true(vnet_hdr_to_mbuf(&hdr, m));
	graph_send_mbuf(w->from, m);
	graph_run();
}

/* A frame of 9 kB in segments of 100 bytes is 90 packets, with 28 bytes of headers each. */
static void test_gso_counts_as_its_segments(void **state)
{
	unsigned int sent = 0;

	(void)state;
	graph_items("[" RATED_A("{\"egress_pps\": 100000}") "]");
	for (unsigned int i = 0; i < 40; i++) {
		send_gso(&a_to_b, false, 9000, 100);
		sent += graph_waiting("b");
		graph_discard_sent("b");
	}
	assert_int_equal(sent, 23 * 90);  /* 2000 in the bucket */
	assert_int_equal(qos_held(), 17); /* whole */
	assert_int_equal(release(&a_to_b, 20), 17 * 90);
	graph_items("[" RATED_A(MBPS("egress", "100")) "]");
	release(&a_to_b, 1000);
	sent = 0;
	for (unsigned int i = 0; i < 40; i++) {
		send_gso(&a_to_b, false, 9000, 100);
		sent += graph_waiting("b");
		graph_discard_sent("b");
	}
	assert_int_equal(sent, 22 * 90); /* 250000 / (9000 + 90 * 28) bytes */
	release(&a_to_b, 60);
	assert_int_equal(graph_dropped_any(), 0);
}

/* At a low rate a GSO frame is not one packet that stops all others, but its segments. */
static void test_gso_is_split_at_low_rates(void **state)
{
	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		graph_items("[" RATED_A("{\"egress_pps\": 1000}") "]");
		release(&a_to_b, 1000);
		if (tcp) /* the connection */
			graph_expect_pass("a",
				FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"),
					.proto = IPPROTO_TCP, .sport = 5, .dport = 6,
					.seq = UINT32_MAX),
				"b",
				FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"),
					.proto = IPPROTO_TCP, .sport = 5, .dport = 6,
					.seq = UINT32_MAX));
		send_gso(&a_to_b, tcp, 9000, 100);
		assert_in_range(graph_waiting("b"), 64, 66);
		assert_int_equal(graph_waiting("b") + qos_held(), 90);
		for (const uint8_t *got; (got = graph_sent("b", NULL)) != NULL;)
			assert_int_equal(got[16] << 8 | got[17], tcp ? 140 : 128);
		assert_in_range(release(&a_to_b, 40), 24, 26);
		assert_int_equal(graph_dropped_any(), 0);
	}
}

static json_t *explain(const char *from)
{
	return graph_rpc("explain",
		json_pack("{s:{s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:i, s:i}}", "in", "port", from,
			"packet", "smac", MAC_A, "dmac", GW, "source", "10.0.1.10", "destination",
			"10.0.2.10", "protocol", "udp", "source_port", 1, "port", 2));
}

static void test_explain_names_the_limits(void **state)
{
	json_t *said;
	char *text;

	(void)state;
	graph_items("[" RATED_A(MBPS("egress", "100")) "," RATED_C(MBPS("ingress", "10")) "]");
	said = explain("a");
	text = json_dumps(said, 0);
	assert_non_null(strstr(text, "its egress rate limits what it sends"));
	assert_non_null(strstr(text, "its ingress rate limits what it is given"));
	free(text);
	json_decref(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_egress_is_shaped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ingress_is_shaped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_answers_count_to_their_direction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_packets_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_live, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_goes_while_packets_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_counts_as_its_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gso_is_split_at_low_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain_names_the_limits, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
