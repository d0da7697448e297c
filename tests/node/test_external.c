/* SPDX-License-Identifier: Apache-2.0 */
/* Outside networks through the real graph: who is answered, which next hop is taken and when, what waits and what is lost.
 *
 *	network `line`   port `ext`, 203.0.113.1/24 and 2001:db8::1/64; gateways .254 and .253, ::fe and ::fd
 *	VPC prod         a route for everything to it, untranslated
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "base/ip_text.h"
#include "cloud.h"
#include "core/stats.h"
#include "core/worker.h"
#include "external/external_internal.h"
#include "frame.h"
#include "graph.h"
#include "neighbour/neighbour.h"
#include "neighbour/neighbour_wire.h"
#include "port/port.h"
#include "session/session.h"

#define EXT "ext"
#define EXT_MAC "02:cc:00:00:00:01"
#define FIRST_MAC "02:cc:00:00:00:fe"
#define SECOND_MAC "02:cc:00:00:00:fd"
#define NEAR_MAC "02:cc:00:00:00:09"
#define SERVER "198.51.100.9"
#define SERVER6 "2001:db8:9::9"
#define NEAR "203.0.113.9"
#define NEAR6 "2001:db8::9"
#define A "10.0.1.10"
#define A6 "fd00:1:0:1::10"

#define ROUTES                                                                                     \
	"[\"route\", 100, \"0.0.0.0/0\", \"out\", \"external\", null, null, null, \"line\", 1],"   \
	"[\"route\", 100, \"::/0\", \"out6\", \"external\", null, null, null, \"\", 1]"

static struct external *line;
static uint32_t now_ms;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static struct rte_ether_addr ether(const char *text)
{
	struct rte_ether_addr mac;

	assert_int_equal(rte_ether_unformat_addr(text, &mac), 0);
	return mac;
}

static void make_network(void)
{
	struct external_family v4 = {.address = addr("203.0.113.1")},
			       v6 = {.address = addr("2001:db8::1")};
	static const char *const gateways[] = {
		"203.0.113.254", "203.0.113.253", "2001:db8::fe", "2001:db8::fd"};
	struct port_spec spec = {.type = "stub", .mtu = 1500};
	struct port *p = port_new(EXT, PORT_EXTERNAL);

	assert_non_null(p);
	assert_int_equal(port_open(p, &spec), 0);
	p->mac = ether(EXT_MAC);
	v4.prefix = ip_prefix_of(&v4.address, 120);
	v6.prefix = ip_prefix_of(&v6.address, 64);
	line = external_new("line", p, &v4, &v6);
	assert_non_null(line);
	for (size_t i = 0; i < RTE_DIM(gateways); i++) {
		struct ip_addr a = addr(gateways[i]);

		assert_int_equal(external_gateway_add(line, &a), 0);
	}
}

/* The control thread's clock goes on. */
static void pass(uint32_t ms)
{
	for (uint32_t done = 0; done < ms; done += NEIGHBOUR_TICK_MS) {
		now_ms += NEIGHBOUR_TICK_MS;
		external_turn(now_ms);
		graph_pass_time(NEIGHBOUR_TICK_MS);
		graph_run();
	}
}

/* Its neighbour tells where it is: a request of ours is answered. */
static void answer(const char *address, const char *mac)
{
	struct ip_addr target = addr(address);
	struct rte_ether_addr own = ether(EXT_MAC), its = ether(mac);
	struct neighbour_message request = {.request = true,
		.v6 = !ip_addr_is_v4(&target),
		.has_subject = true,
		.has_mac = true,
		.subject = external_family(line, !ip_addr_is_v4(&target))->address,
		.mac = own,
		.target = target,
		.from = own};
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	uint16_t len = neighbour_write_answer(frame, &its, &request);

	graph_send(EXT, frame, len);
	graph_run();
}

static void announce(const char *address, const char *mac)
{
	struct ip_addr target = addr(address);
	struct rte_ether_addr its = ether(mac);
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	uint16_t len = neighbour_write_announcement(frame, &target, &its);

	graph_send(EXT, frame, len);
	graph_run();
}

/* Frames that were sent there and are questions for `target`; the others stay unseen. */
static unsigned int questions(const char *target)
{
	struct ip_addr wanted = addr(target);
	struct neighbour_message msg;
	const uint8_t *frame;
	unsigned int n = 0;
	uint16_t len;

	while ((frame = graph_sent(EXT, &len)) != NULL)
		n += neighbour_parse(frame, len, &msg) && msg.request &&
		     ip_addr_equal(&msg.target, &wanted);
	return n;
}

static void gateways_answer(bool first, bool second)
{
	if (first) {
		answer("203.0.113.254", FIRST_MAC);
		answer("2001:db8::fe", FIRST_MAC);
	}
	if (second) {
		answer("203.0.113.253", SECOND_MAC);
		answer("2001:db8::fd", SECOND_MAC);
	}
	graph_discard_sent(EXT);
}

/* So much time that who does not answer is known not to. */
static void watch(bool first, bool second)
{
	for (unsigned int n = 0; n < 60; n++) {
		gateways_answer(first, second);
		pass(NEIGHBOUR_TICK_MS);
	}
	gateways_answer(first, second);
}

static int setup(void **state)
{
	(void)state;
	external_hops_start(line, now_ms);
	graph_run();
	watch(true, true);
	graph_items("[" CLOUD_ITEMS "," ROUTES "]");
	graph_forget_announcements();
	graph_discard_sent(EXT);
	graph_forget_drops();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_discard_sent(EXT);
	graph_discard_sent("a");
	pass(2000); /* nothing waits any more */
	graph_discard_sent(EXT);
	graph_reset();
	return 0;
}

/* From a to `dst`, and what of it leaves by `mac`. */
static const struct frame *outbound(struct frame *f, const char *dst, uint16_t sport, bool v6)
{
	return frame_make(f, &(struct frame_spec){FROM(MAC_A, v6 ? A6 : A), TO(GW, dst),
				     .sport = sport, .dport = 53, .payload = 30});
}

static const struct frame *left(
	struct frame *f, const char *dst, uint16_t sport, bool v6, const char *mac)
{
	return frame_make(f, &(struct frame_spec){FROM(EXT_MAC, v6 ? A6 : A), TO(mac, dst),
				     .sport = sport, .dport = 53, .payload = 30, .ttl = 63});
}

static void send_out(const char *dst, uint16_t sport, bool v6)
{
	struct frame f;

	outbound(&f, dst, sport, v6);
	graph_send("a", f.bytes, f.len);
}

static void expect_by(const char *dst, uint16_t sport, bool v6, const char *mac)
{
	struct frame sent, want;

	graph_expect_pass(
		"a", outbound(&sent, dst, sport, v6), EXT, left(&want, dst, sport, v6, mac));
}

/* ---- Answers ---- */

static const uint8_t *ask_for(const char *target, uint16_t *len)
{
	struct ip_addr own = addr(strchr(target, ':') != NULL ? NEAR6 : NEAR), a = addr(target);
	struct rte_ether_addr mac = ether(NEAR_MAC);
	uint8_t frame[NEIGHBOUR_FRAME_MAX];
	uint16_t size = neighbour_write_request(frame, &own, &mac, &a, NULL);

	graph_send(EXT, frame, size);
	graph_run();
	return graph_sent(EXT, len);
}

static bool arrive(struct flow *f, const struct endpoint *ep)
{
	return flow_drop(f, DROP_EIP_DENIED, "test", ep->port_name, -1);
}

static void serve(const char *text)
{
	static const struct flow_service service = {.kind = "test", .arrive = arrive};
	struct ip_addr a = addr(text);
	struct endpoint *ep = endpoint_new(line->scope->index, &a, "service");

	assert_non_null(ep);
	ep->mac = line->scope->gw_mac;
	ep->service = &service;
	endpoint_put(ep);
}

static void unserve(const char *text)
{
	struct ip_addr a = addr(text);

	endpoint_remove(line->scope->index, &a, LOC_NONE);
}

/* RFC 826, RFC 4861 7.2.4: for ourselves and for services, for nobody else. */
static void test_questions(void **state)
{
	static const char *const ours[] = {
		"203.0.113.1", "2001:db8::1", "203.0.113.77", "2001:db8::77"};
	struct neighbour_message msg;
	const uint8_t *frame;
	uint16_t len;

	(void)state;
	serve("203.0.113.77");
	serve("2001:db8::77");
	for (size_t i = 0; i < RTE_DIM(ours); i++) {
		struct ip_addr a = addr(ours[i]);
		struct rte_ether_addr own = ether(EXT_MAC);

		frame = ask_for(ours[i], &len);
		assert_non_null(frame);
		assert_true(neighbour_parse(frame, len, &msg));
		assert_false(msg.request);
		assert_true(ip_addr_equal(&msg.subject, &a));
		assert_memory_equal(&msg.mac, &own, 6);
	}
	unserve("203.0.113.77");
	unserve("2001:db8::77");
	assert_null(ask_for("203.0.113.77", &len));
	assert_null(ask_for("2001:db8::77", &len));
	assert_null(ask_for("203.0.113.99", &len));
	graph_expect_dropped(DROP_NOT_FOR_US, 3);
}

static void test_ping(void **state)
{
	static const char *const from[] = {SERVER, SERVER6}, *const own[] = {
								     "203.0.113.1", "2001:db8::1"};

	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

		graph_expect_pass(EXT,
			FRAME(FROM(SECOND_MAC, from[v6]), TO(EXT_MAC, own[v6]), .proto = proto,
				.icmp_type = v6 ? 128 : 8, .icmp_id = 7, .payload = 20),
			EXT,
			FRAME(FROM(EXT_MAC, own[v6]), TO(SECOND_MAC, from[v6]), .proto = proto,
				.icmp_type = v6 ? 129 : 0, .icmp_id = 7, .payload = 20));
		graph_expect_drop(EXT,
			FRAME(FROM(SECOND_MAC, from[v6]), TO(EXT_MAC, own[v6]), .dport = 22,
				.proto = IPPROTO_TCP),
			DROP_NOT_FOR_US);
		graph_expect_drop(EXT,
			FRAME(FROM(SECOND_MAC, from[v6]), TO(MAC_B, own[v6]), .proto = proto,
				.icmp_type = v6 ? 128 : 8),
			DROP_NOT_FOR_US);
	}
}

static void test_announced(void **state)
{
	unsigned int n = 0;
	uint16_t len;

	(void)state;
	serve("203.0.113.77");
	for (unsigned int tick = 0; tick < 40; tick++) {
		struct ip_addr a = addr("203.0.113.77");
		struct neighbour_message msg;
		const uint8_t *frame;

		now_ms += NEIGHBOUR_TICK_MS;
		external_turn(now_ms);
		graph_run();
		while ((frame = graph_sent(EXT, &len)) != NULL)
			n += neighbour_parse(frame, len, &msg) && msg.has_subject &&
			     ip_addr_equal(&msg.subject, &a) && ip_addr_equal(&msg.target, &a);
	}
	assert_int_equal(n, 3);
	unserve("203.0.113.77");
	graph_forget_drops();
}

/* ---- Next hops ---- */

static void test_gateways(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		const char *server = v6 ? SERVER6 : SERVER;

		watch(true, true);
		expect_by(server, 1000, v6, FIRST_MAC);
		/* A flow that runs moves. */
		watch(false, true);
		expect_by(server, 1000, v6, SECOND_MAC);
		expect_by(server, 1001, v6, SECOND_MAC);
		/* Without any gateway it goes on where it went; a new one has no way. */
		watch(false, false);
		expect_by(server, 1000, v6, SECOND_MAC);
		send_out(server, 1002, v6);
		graph_run();
		assert_int_equal(stats_held_count(), 1);
		pass(1200);
		graph_discard_sent(EXT);
		graph_expect_dropped(DROP_NO_NEIGHBOUR, 1);
		watch(true, false);
		expect_by(server, 1000, v6, FIRST_MAC);
	}
}

/* Announced by itself: VRRP, a replaced router. */
static void test_another_mac(void **state)
{
	(void)state;
	expect_by(SERVER, 1000, false, FIRST_MAC);
	announce("203.0.113.254", NEAR_MAC);
	graph_discard_sent(EXT);
	expect_by(SERVER, 1000, false, NEAR_MAC);
	announce("203.0.113.254", FIRST_MAC);
}

/* The first packet to a machine on the link is not lost, nor the second behind it. */
static void test_first_packet_waits(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		const char *near = v6 ? NEAR6 : NEAR;
		struct frame want;

		for (uint16_t sport = 2000; sport < 2002; sport++)
			send_out(near, sport, v6);
		graph_run();
		assert_int_equal(stats_held_count(), 2);
		graph_run(); /* the request is made by the control thread */
		assert_int_equal(questions(near), 1);
		answer(near, NEAR_MAC);
		graph_run();
		assert_int_equal(stats_held_count(), 0);
		for (uint16_t sport = 2000; sport < 2002; sport++) {
			uint16_t len;
			const uint8_t *got = graph_sent(EXT, &len);

			assert_non_null(got);
			left(&want, near, sport, v6, NEAR_MAC);
			assert_int_equal(len, want.len);
			assert_memory_equal(got, want.bytes, len);
		}
		expect_by(near, 2002, v6, NEAR_MAC);
	}
}

static void test_nobody_answers(void **state)
{
	(void)state;
	send_out("203.0.113.66", 2000, false);
	graph_run();
	pass(1200);
	assert_true(questions("203.0.113.66") >= 1);
	graph_expect_dropped(DROP_NO_NEIGHBOUR, 1);
	assert_int_equal(stats_held_count(), 0);
}

/* A scan of the link: neither a flood of requests nor of packets that wait. */
static void test_scan(void **state)
{
	unsigned int asked = 0;
	char text[32];

	(void)state;
	for (unsigned int n = 0; n < 2000; n++) {
		snprintf(text, sizeof(text), "2001:db8::1:%x", n);
		send_out(text, 3000, true);
		graph_run();
		while (graph_sent(EXT, NULL) != NULL)
			asked++;
	}
	assert_in_range(asked, 1, 450); /* 200 a second, and as many at once */
	assert_true(stats_held_count() <= 64);
	pass(1200);
	graph_discard_sent(EXT);
	assert_int_equal(stats_held_count(), 0);
	assert_int_equal(graph_dropped(DROP_NO_NEIGHBOUR), 2000);
	graph_forget_drops();
}

/* ---- In and back ---- */

static const struct frame *inbound(struct frame *f, uint16_t sport, const char *mac)
{
	return frame_make(f, &(struct frame_spec){FROM(mac, SERVER), TO(EXT_MAC, A), .sport = sport,
				     .dport = 80, .payload = 10});
}

static void expect_answer_by(uint16_t sport, const char *mac)
{
	graph_expect_pass("a",
		FRAME(FROM(MAC_A, A), TO(GW, SERVER), .sport = 80, .dport = sport, .payload = 10),
		EXT,
		FRAME(FROM(EXT_MAC, A), TO(mac, SERVER), .sport = 80, .dport = sport, .payload = 10,
			.ttl = 63));
}

/* A dedicated line: what comes in for the VPC's ranges is delivered; answers take the gateway that it came by while that is there. */
static void test_inward(void **state)
{
	struct frame f;

	(void)state;
	graph_expect_pass(EXT, inbound(&f, 4000, SECOND_MAC), "a",
		FRAME(FROM(GW, SERVER), TO(MAC_A, A), .sport = 4000, .dport = 80, .payload = 10,
			.ttl = 63));
	expect_answer_by(4000, SECOND_MAC);
	watch(true, false);
	expect_answer_by(4000, FIRST_MAC);
	/* The gateway is the same, its MAC another one. */
	announce("203.0.113.254", NEAR_MAC);
	graph_discard_sent(EXT);
	expect_answer_by(4000, NEAR_MAC);
	announce("203.0.113.254", FIRST_MAC);
	graph_discard_sent(EXT);
	expect_answer_by(4000, FIRST_MAC);
	/* What is no machine's, or no VPC's, goes nowhere. */
	graph_expect_drop(
		EXT, FRAME(FROM(FIRST_MAC, SERVER), TO(EXT_MAC, "10.0.1.99")), DROP_NO_ROUTE);
	graph_expect_drop(
		EXT, FRAME(FROM(FIRST_MAC, SERVER), TO(EXT_MAC, "10.77.1.9")), DROP_NOT_FOR_US);
	/* Without the route it ends. */
	graph_delete("[[\"route\", 100, \"0.0.0.0/0\"]]");
	graph_expect_drop(EXT, inbound(&f, 4001, FIRST_MAC), DROP_NOT_FOR_US);
}

/* RFC 1191, RFC 1812 4.3: larger than the VPC's packets may be, or at the end of its time; from our own address, to whence it came. */
static void test_errors(void **state)
{
	const struct frame *big = FRAME(FROM(SECOND_MAC, SERVER), TO(EXT_MAC, A), .sport = 5000,
		.dport = 80, .payload = 1460, .fragment = 0x4000);
	const uint8_t *got;
	uint16_t len;

	(void)state;
	graph_send(EXT, big->bytes, big->len);
	graph_run();
	got = graph_sent(EXT, &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_memory_equal(got, "\x02\xcc\0\0\0\xfd\x02\xcc\0\0\0\x01", 12);
	assert_memory_equal(got + 26, "\xcb\0\x71\1\xc6\x33\x64\x09", 8);
	assert_int_equal(got[34], 3);
	assert_int_equal(got[35], 4);
	assert_int_equal(got[40] << 8 | got[41], 1450);
	graph_expect_dropped(DROP_TOO_BIG, 1);
	graph_send(EXT,
		FRAME(FROM(SECOND_MAC, SERVER), TO(EXT_MAC, A), .sport = 5001, .dport = 80,
			.ttl = 1)
			->bytes,
		42);
	graph_run();
	got = graph_sent(EXT, &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_memory_equal(got + 26, "\xcb\0\x71\1\xc6\x33\x64\x09", 8);
	assert_int_equal(got[34], 11);
	graph_expect_dropped(DROP_TTL_EXPIRED, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_announced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gateways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_mac, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_packet_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inward, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	graph_start();
	now_ms = clock_ms();
	make_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
