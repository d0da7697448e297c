/* SPDX-License-Identifier: Apache-2.0 */
/* A port leaves, its sessions are fetched; a port comes, its sessions are given to it.
 *
 *	a .10 leaves to the VTEP `other`, where r .20 is, and comes back; b, c stay
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "graph.h"
#include "port/port.h"
#include "session/parked.h"
#include "session/record.h"
#include "session/session.h"
#include "session/tcp.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define PORT_A PORT("a", "web", MAC_A, "10.0.1.10", "fd00:1:0:1::10")
#define A_ELSEWHERE                                                                                \
	ENDPOINT("100", "10.0.1.10", MAC_A, "other", "web", "a")                                   \
	"," ENDPOINT("100", "fd00:1:0:1::10", MAC_A, "other", "web", "a")

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	parked_turn(clock_ms() + PARKED_MS);
	graph_reset();
	return 0;
}

/* a is initiator of one connection, responder of another; r is far, b is here. */
#define A_TO_R                                                                                     \
	FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .proto = IPPROTO_TCP, .sport = 1000,     \
							  .dport = 80
#define R_TO_A                                                                                     \
	FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,       \
							  .dport = 1000
#define B_TO_A                                                                                     \
	FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 2000,     \
							  .dport = 80
#define A_TO_B                                                                                     \
	FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 80,       \
							  .dport = 2000

static void tunnelled(const char *port, const struct frame *f)
{
	graph_send(port, f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_int_equal(graph_dropped_any(), 0);
}

static void from_r(const struct frame *f)
{
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(f, 100), "a", f);
}

static void open_to_r(void)
{
	tunnelled("a", FRAME(A_TO_R, .tcp_flags = SYN, .seq = 1000));
	from_r(FRAME(R_TO_A, .tcp_flags = SYN | ACK, .seq = 5000, .ack = 1001));
	tunnelled("a", FRAME(A_TO_R, .tcp_flags = ACK, .seq = 1001, .ack = 5001));
	from_r(FRAME(R_TO_A, .tcp_flags = ACK | PSH, .seq = 5001, .ack = 1001, .payload = 700));
}

static void open_from_b(void)
{
	const struct frame *f = FRAME(B_TO_A, .tcp_flags = SYN, .seq = 100);

	graph_expect_pass("b", f, "a", f);
	f = FRAME(A_TO_B, .tcp_flags = SYN | ACK, .seq = 900, .ack = 101);
	graph_expect_pass("a", f, "b", f);
	f = FRAME(B_TO_A, .tcp_flags = ACK, .seq = 101, .ack = 901);
	graph_expect_pass("b", f, "a", f);
}

static void keep(void)
{
	json_decref(graph_rpc("session.keep", json_pack("{s:s}", "port", "a")));
}

static void leave(void)
{
	keep();
	graph_both("[" A_ELSEWHERE "]", "[[\"port\", \"a\"]]");
	graph_forget_announcements();
}

static void come_back(void)
{
	graph_both("[" PORT_A "]",
		"[[\"endpoint\", 100, \"10.0.1.10\"], [\"endpoint\", 100, \"fd00:1:0:1::10\"]]");
	graph_forget_announcements();
}

/* Every page; how many calls it took goes to *pages. */
static json_t *export_all(unsigned int *pages)
{
	json_t *all = json_array(), *page, *cursor = NULL;

	*pages = 0;
	do {
		json_t *params = json_pack("{s:s}", "port", "a");

		if (cursor != NULL)
			json_object_set(params, "cursor", cursor);
		page = graph_rpc("session.export", params);
		json_decref(cursor);
		cursor = json_incref(json_object_get(page, "cursor"));
		json_array_extend(all, json_object_get(page, "items"));
		json_decref(page);
		(*pages)++;
	} while (json_is_string(cursor));
	return all;
}

static void import_all(json_t *all, json_int_t imported, json_int_t refused)
{
	json_t *answer =
		graph_rpc("session.import", json_pack("{s:s, s:o}", "port", "a", "items", all));

	assert_int_equal(json_integer_value(json_object_get(answer, "imported")), imported);
	assert_int_equal(json_integer_value(json_object_get(answer, "refused")), refused);
	json_decref(answer);
}

static void forget_sessions(void)
{
	json_decref(graph_rpc("session.flush", json_object()));
	assert_int_equal(session_used(), 0);
}

static json_t *the_session(void)
{
	json_t *answer = graph_rpc("session.list", json_object());
	json_t *item = json_incref(json_array_get(json_object_get(answer, "items"), 0));

	assert_int_equal(json_array_size(json_object_get(answer, "items")), 1);
	json_decref(answer);
	return item;
}

/* Away and back: windows, counts and ages are what they were. */
static void test_whole_session_returns(void **state)
{
	unsigned int pages;
	json_t *all, *item;

	(void)state;
	open_to_r();
	leave();
	graph_pass_time(10); /* nothing leads it on, but it stays */
	assert_int_equal(session_used(), 1);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(R_TO_A, .tcp_flags = ACK, .seq = 5701, .ack = 1001), 100),
		DROP_NO_ROUTE);
	graph_forget_drops();
	all = export_all(&pages);
	assert_int_equal(json_array_size(all), 1);
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
	come_back();
	import_all(all, 1, 0);
	item = the_session();
	assert_int_equal(json_integer_value(json_object_get(item, "packets")), 4);
	assert_string_equal(json_string_value(json_object_get(item, "state")), "established");
	assert_string_equal(json_string_value(json_object_get(item, "client")), "10.0.1.10:1000");
	json_decref(item);
	graph_expect_drop(
		"a", FRAME(A_TO_R, .tcp_flags = ACK, .seq = 1001, .ack = 99999), DROP_TCP_STATE);
	tunnelled("a", FRAME(A_TO_R, .tcp_flags = ACK, .seq = 1001, .ack = 5701));
	from_r(FRAME(R_TO_A, .tcp_flags = ACK, .seq = 5701, .ack = 1001, .payload = 1));
}

/* Between two ports of the node: it goes on into the tunnel here, and goes along, too. */
static void test_session_with_a_neighbour(void **state)
{
	const struct frame *data =
		FRAME(B_TO_A, .tcp_flags = ACK, .seq = 101, .ack = 901, .payload = 9);
	unsigned int pages;
	json_t *all;

	(void)state;
	open_from_b();
	leave();
	tunnelled("b", data);
	all = export_all(&pages);
	assert_int_equal(json_array_size(all), 1);
	assert_int_equal(session_used(), 1);
	graph_pass_time(10);
	assert_int_equal(session_used(), 1);
	/* As the node that a has gone to. */
	forget_sessions();
	come_back();
	import_all(all, 1, 0);
	graph_expect_pass("b", data, "a", data);
	data = FRAME(A_TO_B, .tcp_flags = ACK, .seq = 901, .ack = 110, .payload = 9);
	graph_expect_pass("a", data, "b", data);
}

static size_t exported(const char *port)
{
	json_t *answer = graph_rpc("session.export", json_pack("{s:s}", "port", port));
	size_t n = json_array_size(json_object_get(answer, "items"));

	assert_true(json_is_null(json_object_get(answer, "cursor")));
	json_decref(answer);
	return n;
}

/* The session between them is both's; the table is walked once. */
static void test_two_leave_at_once(void **state)
{
	uint32_t walks = parked_walks;

	(void)state;
	open_from_b();
	open_to_r();
	keep();
	json_decref(graph_rpc("session.keep", json_pack("{s:s}", "port", "b")));
	graph_delete("[[\"port\", \"a\"], [\"port\", \"b\"]]");
	graph_forget_announcements();
	assert_int_equal(exported("a"), 2);
	assert_int_equal(exported("b"), 1);
	assert_int_equal(parked_walks, walks + 1);
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
}

/* What is left from an earlier stay gives way to what has seen more. */
static void test_older_one_gives_way(void **state)
{
	unsigned int pages;
	json_t *all;

	(void)state;
	open_from_b();
	leave();
	all = export_all(&pages);
	come_back();
	import_all(json_incref(all), 1, 0);
	assert_int_equal(session_used(), 1);
	json_decref(all);
}

static void test_rules_decide(void **state)
{
	unsigned int pages;
	json_t *all;

	(void)state;
	open_from_b();
	open_to_r();
	leave();
	all = export_all(&pages);
	forget_sessions();
	graph_items("[[\"group\", \"shut\", 1]]");
	graph_both("[" PORT_ITEM(
			   "a", "100", "web", MAC_A, "\"10.0.1.10\"", "\"shut\"", "true", "") "]",
		"[[\"endpoint\", 100, \"10.0.1.10\"], [\"endpoint\", 100, \"fd00:1:0:1::10\"]]");
	graph_forget_announcements();
	import_all(all, 1, 1); /* what a has begun itself */
	graph_expect_drop(
		"b", FRAME(B_TO_A, .tcp_flags = ACK, .seq = 101, .ack = 901), DROP_POLICY_INGRESS);
}

/* A rule that goes while the port is on its way cuts at once. */
static void test_rules_cut_while_parked(void **state)
{
	(void)state;
	open_from_b();
	keep();
	graph_items("[[\"rules\", \"any\", 0, []]]");
	graph_expect_drop(
		"b", FRAME(B_TO_A, .tcp_flags = ACK, .seq = 101, .ack = 901), DROP_POLICY_INGRESS);
	assert_int_equal(session_used(), 0);
}

static void test_parked_for_a_while_only(void **state)
{
	(void)state;
	open_to_r();
	leave();
	parked_turn(clock_ms() + PARKED_MS - 1000);
	graph_pass_time(10);
	assert_int_equal(session_used(), 1);
	parked_turn(clock_ms() + PARKED_MS);
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
	assert_non_null(graph_rpc_refusal("session.export", json_pack("{s:s}", "port", "a")));
}

/* Not asked for: it ends with its port. */
static void test_without_keep(void **state)
{
	(void)state;
	open_to_r();
	graph_both("[" A_ELSEWHERE "]", "[[\"port\", \"a\"]]");
	graph_forget_announcements();
	graph_pass_time(10);
	assert_int_equal(session_used(), 0);
	assert_non_null(graph_rpc_refusal("session.export", json_pack("{s:s}", "port", "a")));
	assert_non_null(graph_rpc_refusal("session.keep", json_pack("{s:s}", "port", "a")));
}

#define RECORD_OF(side, src, dst)                                                                  \
	side " 6 " src " 1000 " dst " 80 0 " MAC_R " " MAC_A                                       \
	     " - 5 5 5 1 1 1 1 3 0 100 1 1 3 0 100 1 1"

static void test_foreign_records(void **state)
{
	static const char *const texts[] = {
		RECORD_OF("i", "10.0.1.11", "10.0.1.20"),   /* b's */
		RECORD_OF("i", "10.0.1.99", "10.0.1.20"),   /* nobody's */
		RECORD_OF("r", "10.0.1.11", "10.0.2.10"),   /* between b and c */
		RECORD_OF("r", "10.0.1.20", "10.0.1.11"),   /* to b */
		RECORD_OF("i", "10.0.1.10", "203.0.113.1"), /* to where no route leads */
		RECORD_OF("i", "10.0.1.10", "10.0.1.10"),
	};
	json_t *all = json_array();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		json_array_append_new(all, json_string(texts[i]));
	import_all(all, 0, sizeof(texts) / sizeof(texts[0]));
	assert_int_equal(session_used(), 0);
}

static void expect_refused(json_t *items, const char *port)
{
	assert_non_null(graph_rpc_refusal(
		"session.import", json_pack("{s:s, s:o}", "port", port, "items", items)));
	assert_int_equal(session_used(), 0);
}

static void test_wrong_calls(void **state)
{
	json_t *many = json_array();

	(void)state;
	for (unsigned int i = 0; i < 1001; i++)
		json_array_append_new(many, json_string(RECORD_OF("i", "10.0.1.10", "10.0.1.20")));
	expect_refused(many, "a");
	/* One that is wrong, all are refused. */
	expect_refused(json_pack("[s, s]", RECORD_OF("i", "10.0.1.10", "10.0.1.20"), "i 6"), "a");
	expect_refused(json_pack("[i]", 1), "a");
	expect_refused(json_object(), "a");
	expect_refused(json_array(), "x");
	assert_non_null(graph_rpc_refusal("session.export", json_object()));
	assert_non_null(graph_rpc_refusal("session.keep", json_object()));
	assert_non_null(graph_rpc_refusal("session.import", json_object()));
	leave();
	assert_non_null(graph_rpc_refusal(
		"session.export", json_pack("{s:s, s:s}", "port", "a", "cursor", "7 x")));
	assert_non_null(graph_rpc_refusal(
		"session.export", json_pack("{s:s, s:s}", "port", "a", "cursor", "2 0")));
}

/* Many, of which each belongs to a; half of them have rested for long. */
static void make_sessions(unsigned int n)
{
	const struct port *a = port_by_name("a");
	unsigned int made = 0;

	rcu_read_enter();
	for (unsigned int i = 0; i < n; i++) {
		struct flow f = {.in = loc_port(a->index),
			.vpc_index = a->vpc_index,
			.proto = IPPROTO_UDP,
			.smac = a->mac,
			.sport = rte_cpu_to_be_16((uint16_t)i),
			.dport = rte_cpu_to_be_16((uint16_t)(1000 + (i >> 16)))};
		struct session_history history = {.created_ms = clock_ms() - 50000};
		uint32_t ref;

		f.src = ip_addr_from_v4(RTE_BE32(0x0a00010a));
		f.dst = ip_addr_from_v4(RTE_BE32(0x0a000114));
		f.dmac = (struct rte_ether_addr){{0x02, 0xbb, 0, 0, 0, 1}};
		for (unsigned int d = 0; d < 2; d++)
			atomic_init(&history.hot[d].seen_ms, clock_ms() - i % 2 * 20000);
		made += road_walk(&f) && verdict_restore(&f, epoch_change(), &history, &ref) == 0;
	}
	rcu_read_leave();
	assert_int_equal(made, n);
}

/* See make_sessions(): by its idle time. */
static bool rested(const json_t *item)
{
	struct record r;

	assert_null(record_parse(json_string_value(item), &r));
	return r.side[0].idle_ms >= 20000;
}

/* In as many calls as it takes. */
static void import_pages(const json_t *all)
{
	json_t *part = json_array(), *item;
	size_t i;

	json_array_foreach (all, i, item) {
		json_array_append(part, item);
		if (json_array_size(part) < 500 && i + 1 < json_array_size(all))
			continue;
		import_all(part, (json_int_t)json_array_size(part), 0);
		part = json_array();
	}
	json_decref(part);
}

/* There and back; returns the longest turn of the loop, in which we are both ends of the calls. */
static uint64_t move_all(json_t **all, unsigned int *pages)
{
	uint64_t there_us, back_us;

	leave();
	graph_longest_turn_us();
	*all = export_all(pages);
	there_us = graph_longest_turn_us();
	forget_sessions();
	come_back();
	graph_longest_turn_us();
	import_pages(*all);
	back_us = graph_longest_turn_us();
	return there_us > back_us ? there_us : back_us;
}

#ifdef __SANITIZE_ADDRESS__
#define TURN_US_MAX UINT64_MAX
#else
#define TURN_US_MAX 5000
#endif

/* 100,000 in a long run: pages, the busy ones first, and the loop of the control thread goes on turning. Its time is CPU time, but
 * a loaded machine's caches make that longer, too: the best of some tries counts. */
static void test_many(void **state)
{
	const char *size = getenv("VPC_TEST_SIZE");
	unsigned int n = size != NULL && strcmp(size, "long") == 0 ? 100000 : 20000, pages;
	uint64_t longest_us;
	json_t *all;

	(void)state;
	make_sessions(n);
	longest_us = move_all(&all, &pages);
	assert_int_equal(json_array_size(all), n);
	assert_in_range(pages, n / 500, n / 400);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rested(json_array_get(all, i)), i >= n / 2);
	for (unsigned int tries = 0; tries < 5 && longest_us > TURN_US_MAX; tries++) {
		json_decref(all);
		longest_us = move_all(&all, &pages);
	}
	json_decref(all);
	assert_int_equal(session_used(), n);
	assert_in_range(longest_us, 0, TURN_US_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_session_returns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_session_with_a_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_leave_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_one_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules_decide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules_cut_while_parked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parked_for_a_while_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_keep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	graph_set_sessions(1u << 17);
	graph_start();
	return cmocka_run_group_tests_name("session moves", tests, NULL, NULL);
}
