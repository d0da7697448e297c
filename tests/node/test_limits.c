/* SPDX-License-Identifier: Apache-2.0 */
/* What one port or VPC may ask of the node: answers of the gateway, new flows, the table of sessions. Time moves only as the
 * test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "forward/shares.h"
#include "graph.h"
#include "qos/limit.h"
#include "session/session.h"

#define RATE 20

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_forget_announcements();
	graph_stop_clock(true);
	graph_pass_time(2000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < LIMIT_MAX; kind++)
		limit_set((enum limit)kind, 0);
	shares_configure(100, 100);
	graph_stop_clock(false);
	graph_reset();
	return 0;
}

static void arp_request(struct frame *f)
{
	static const uint8_t request[] = {0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0xaa, 0, 0, 0, 1, 10, 0, 1,
		10, 0, 0, 0, 0, 0, 0, 10, 0, 1, 1};

	memset(f, 0, sizeof(*f));
	memset(f->bytes, 0xff, 6);
	memcpy(f->bytes + 6, request + 8, 6);
	f->bytes[12] = 0x08;
	f->bytes[13] = 0x06;
	memcpy(f->bytes + 14, request, sizeof(request));
	f->len = 60;
}

static void ping_gateway(struct frame *f)
{
	*f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.1"), .proto = IPPROTO_ICMP,
		.icmp_type = 8, .icmp_id = 1, .payload = 20);
}

static void ping_gateway6(struct frame *f)
{
	*f = *FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fd00:1:0:1::1"), .proto = IPPROTO_ICMPV6,
		.icmp_type = 128, .icmp_id = 1, .payload = 20);
}

/* A message that the server refuses; it counts as much as any. */
static void dhcp_message(struct frame *f)
{
	*f = *FRAME(FROM(MAC_A, "0.0.0.0"), TO("ff:ff:ff:ff:ff:ff", "255.255.255.255"), .sport = 68,
		.dport = 67, .payload = 300);
}

static void new_flow(struct frame *f)
{
	static uint16_t port;

	*f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = ++port, .dport = 9);
}

static void new_flow6(struct frame *f)
{
	static uint16_t port;

	*f = *FRAME(FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fd00:1:0:2::10"), .sport = ++port,
		.dport = 9);
}

/* How many of `n` are not refused for their number. */
static unsigned int pass(void (*make)(struct frame *), unsigned int n)
{
	uint64_t before = graph_port_drops("a");
	unsigned int refused;
	struct frame f;

	for (unsigned int i = 0; i < n; i++) {
		make(&f);
		graph_send("a", f.bytes, f.len);
	}
	graph_run();
	refused = (unsigned int)graph_dropped(DROP_RATE_LIMITED);
	assert_true(graph_port_drops("a") - before >= refused); /* counted to who asked */
	graph_discard_sent("a");
	graph_discard_sent("c");
	graph_forget_drops();
	return n - refused;
}

/* A second's worth at once, then by time; other kinds and other ports are not concerned. */
static void test_a_second(void **state)
{
	static const struct {
		enum limit limit;
		void (*make)(struct frame *);
	} rows[] = {{LIMIT_NEIGHBOUR, arp_request}, {LIMIT_PING, ping_gateway},
		{LIMIT_PING, ping_gateway6}, {LIMIT_DHCP, dhcp_message}, {LIMIT_FLOWS, new_flow},
		{LIMIT_FLOWS, new_flow6}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		limit_set(rows[i].limit, RATE);
		graph_pass_time(1000);
		assert_int_equal(pass(rows[i].make, 100), RATE);
		graph_pass_time(500);
		assert_int_equal(pass(rows[i].make, 100), RATE / 2);
		graph_pass_time(10000);
		assert_int_equal(pass(rows[i].make, 100), RATE);
		for (size_t other = 0; other < sizeof(rows) / sizeof(rows[0]); other++)
			if (rows[other].limit != rows[i].limit)
				assert_int_equal(pass(rows[other].make, 100), 100);
		limit_set(rows[i].limit, 0);
		assert_int_equal(pass(rows[i].make, 100), 100);
	}
}

static void test_other_ports_and_running_flows(void **state)
{
	const struct frame *running =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 65000, .dport = 9);

	(void)state;
	limit_set(LIMIT_FLOWS, RATE);
	graph_send("a", running->bytes, running->len);
	graph_run();
	graph_discard_sent("c");
	pass(new_flow, 200);
	assert_int_equal(pass(new_flow, 10), 0);
	graph_expect_pass("a", running, "c",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 65000, .dport = 9,
			.ttl = 63));
	graph_expect_pass("b",
		FRAME(FROM(MAC_B, "10.0.1.11"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 9), "c",
		FRAME(FROM(GW, "10.0.1.11"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 9,
			.ttl = 63));
	assert_int_equal(graph_port_drops("b"), 0);
}

/* What rules refuse again and again is refused for that, at little cost: it takes nothing of the new flows. A rule that changes is
 * obeyed at once. */
static void test_denied_again_and_again(void **state)
{
	const struct frame *f =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 9);

	(void)state;
	graph_items("[[\"rules\", \"any\", 0, []]]");
	limit_set(LIMIT_FLOWS, RATE);
	for (unsigned int i = 0; i < 200; i++)
		graph_send("a", f->bytes, f->len);
	graph_run();
	graph_expect_dropped(DROP_POLICY_INGRESS, 200);
	assert_int_equal(graph_port_drops("c"), 200);
	graph_pass_time(1000);
	assert_int_equal(
		pass(new_flow, 2 * RATE), RATE); /* what is refused for the first time takes some */
	graph_pass_time(1000);
	graph_items("[[\"rules\", \"any\", 0, [" RULE_ANY "]]]");
	graph_expect_pass("a", f, "c",
		FRAME(FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 1, .dport = 9,
			.ttl = 63));
}

#define SECOND_VPC                                                                                 \
	"[\"vpc\", 200, \"other\", \"default\", 1450, \"02:00:00:00:00:c8\", "                     \
	"[\"10.0.0.0/16\"], [], 1]"

static unsigned int flows_made(unsigned int n)
{
	uint32_t before = session_used();
	struct frame f;

	for (unsigned int i = 0; i < n; i += 100) {
		for (unsigned int k = 0; k < 100; k++) {
			new_flow(&f);
			graph_send("a", f.bytes, f.len);
		}
		graph_run();
		graph_discard_sent("c");
	}
	return session_used() - before;
}

/* Alone a VPC may have all; beside others its share, and of that so much without answers; a `share` says otherwise. */
static void test_shares(void **state)
{
	const uint32_t capacity = session_capacity();
	const struct frame *answer =
		FRAME(FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 9, .dport = 65000);
	const struct frame *asked =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 65000, .dport = 9);
	struct session_view view;
	uint32_t cursor = 0;

	(void)state;
	shares_configure(50, 50);
	graph_items("[" SECOND_VPC "]");
	assert_int_equal(flows_made(capacity), capacity / 4);
	assert_int_equal(
		graph_dropped(DROP_SESSION_UNANSWERED), (capacity + 99) / 100 * 100 - capacity / 4);
	graph_items("[[\"share\", 100, 2000]]");
	assert_int_equal(flows_made(500), 0);
	graph_items("[[\"share\", 100, 2400]]");
	assert_int_equal(flows_made(500), 1200 - capacity / 4);
	graph_forget_drops();
	graph_delete("[[\"share\", 100]]");
	assert_int_equal(flows_made(500), 0);
	graph_forget_drops();
	/* Near its bound flows without an answer have five seconds, until it is not near any more. */
	graph_pass_time(6000);
	assert_in_range(session_used(), capacity / 5, capacity / 4 * 9 / 10);
	graph_pass_time(100000);
	assert_int_equal(session_used(), 0);
	/* One with an answer does not count among them. */
	graph_send("a", asked->bytes, asked->len);
	graph_run();
	graph_send("c", answer->bytes, answer->len);
	graph_run();
	graph_discard_sent("a");
	graph_discard_sent("c");
	assert_true(session_next(&cursor, 0, &view));
	assert_true(view.answered);
	assert_int_equal(session_vpc_used(view.vpc_index), 1);
	assert_int_equal(session_vpc_unanswered(view.vpc_index), 0);
	graph_delete("[[\"vpc\", 200]]");
	assert_int_equal(flows_made(capacity), capacity - 1); /* alone again */
	graph_forget_drops();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_other_ports_and_running_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied_again_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
