/* SPDX-License-Identifier: Apache-2.0 */
/* What a node asks about back ends that another one checks, what it believes, and from whom. This test plays the other node, `other`
 * (192.0.2.2), frame by frame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip_text.h"
#include "cloud.h"
#include "core/rpc.h"
#include "graph.h"
#include "health/health.h"
#include "health/health_wire.h"

#define N 3 /* back ends, 10.0.2.10 … */
#define ALL ((1u << N) - 1)
#define OUTER 50
#define WAIT_MS 20000 /* for what is sent once a second, on a machine of any speed */

static const char balancer[] =
	"[[\"vtep\", \"other\", \"192.0.2.2\", true], [\"vtep\", \"third\", \"192.0.2.3\", true],"
	"[\"load_balancer\", \"lb\", 100, \"10.0.1.100\", null, \"other\", 1],"
	"[\"listener\", \"lb\", 6, 80, \"round_robin\", 0, [], 0, 0, false, {\"type\": \"tcp\"}],"
	"[\"backend\", \"lb\", 6, 80, \"10.0.2.10\", 8080, 1, \"\"],"
	"[\"backend\", \"lb\", 6, 80, \"10.0.2.11\", 8080, 1, \"\"],"
	"[\"backend\", \"lb\", 6, 80, \"fd00:1:0:2::10\", 8080, 1, \"\"]]";
static const char *const addresses[N] = {"10.0.2.10", "10.0.2.11", "fd00:1:0:2::10"};

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_items(balancer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* The next message of that type to `other`; what else is sent meanwhile is thrown away. */
static void expect(enum health_message type, struct health_head *head, struct health_reader *r)
{
	uint32_t from_ms = clock_ms();

	while (clock_ms() - from_ms < WAIT_MS) {
		const uint8_t *got;
		uint16_t len;

		graph_run();
		while ((got = graph_sent(GRAPH_UNDERLAY, &len)) != NULL)
			if (len > OUTER && memcmp(got + 46, "\0\0\0", 3) == 0 && got[33] == 2 &&
				health_frame_open(got + OUTER, len - OUTER, head, r) &&
				head->type == type)
				return;
	}
	fail_msg("no message of type %d", type);
}

static struct health_entry entry(int i, enum lb_health health, uint64_t number)
{
	struct health_entry e = {.balancer = "lb",
		.protocol = 6,
		.port = RTE_BE16(80),
		.port_number = RTE_BE16(8080),
		.state = (uint8_t)health,
		.number = number};

	assert_true(ip_addr_parse(addresses[i], &e.addr));
	return e;
}

static void say_from(const char *vtep, const struct health_head *head,
	const struct health_entry *entries, unsigned int n)
{
	struct health_frame h;
	struct frame inner, outer;

	health_frame_begin(&h, head);
	for (unsigned int i = 0; i < n; i++)
		assert_true(health_frame_add(&h, &entries[i]));
	memcpy(inner.bytes, h.bytes, h.len);
	inner.len = h.len;
	frame_vxlan(&outer, &inner, vtep, "192.0.2.1", 0);
	graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
	graph_run();
}

static void say(enum health_message type, uint64_t instance, uint64_t from, uint64_t to,
	const struct health_entry *entries, unsigned int n)
{
	say_from("192.0.2.2", &(struct health_head){type, instance, from, to}, entries, n);
}

static enum lb_health health_of(int i)
{
	struct health_entry e = entry(i, 0, 0);
	const struct lb_backend *b =
		lb_backend_find(e.balancer, e.protocol, e.port, &e.addr, e.port_number);

	assert_non_null(b);
	return b->health;
}

static void expect_health(const char *letters)
{
	static const char shown[] = "?ud"; /* unknown, up, down */

	for (int i = 0; i < N; i++)
		if (shown[health_of(i)] != letters[i])
			fail_msg("back end %d is %c", i, shown[health_of(i)]);
}

/* It asks for these (bits), in one message. */
static void expect_asked(unsigned int which)
{
	struct health_head head;
	struct health_reader r;
	struct health_entry e;
	unsigned int seen = 0;

	expect(HEALTH_ASK, &head, &r);
	while (health_frame_next(&r, &e))
		for (int i = 0; i < N; i++) {
			struct health_entry want = entry(i, 0, 0);

			if (ip_addr_equal(&want.addr, &e.addr))
				seen |= 1u << i;
		}
	assert_int_equal(seen, which);
}

/* As after a start: it watches, hears of an instance, asks, and is told: up, down, up. */
static void catch_up(uint64_t instance, uint64_t number)
{
	struct health_entry all[N] = {
		entry(0, LB_HEALTH_UP, 1), entry(1, LB_HEALTH_DOWN, 2), entry(2, LB_HEALTH_UP, 3)};
	struct health_head head;
	struct health_reader r;

	expect(HEALTH_WATCH, &head, &r);
	say(HEALTH_DIGEST, instance, 0, number, NULL, 0);
	expect_asked(ALL);
	say(HEALTH_TELL, instance, 0, 0, all, N);
	expect_health("udu");
}

static void test_catches_up(void **state)
{
	struct health_head head;
	struct health_reader r;

	(void)state;
	expect_health("???");
	expect(HEALTH_WATCH, &head, &r);
	assert_int_equal(head.instance, 0);
	catch_up(7, 5);
	expect(HEALTH_WATCH, &head, &r);
	assert_int_equal(head.instance, 7);
	assert_int_equal(head.to, 5);
}

static void test_changes(void **state)
{
	struct health_entry e = entry(1, LB_HEALTH_UP, 6), old = entry(1, LB_HEALTH_DOWN, 4);

	(void)state;
	catch_up(7, 5);
	say(HEALTH_CHANGES, 7, 5, 6, &e, 1);
	expect_health("uuu");
	/* One that was overtaken on its way. */
	say(HEALTH_CHANGES, 7, 3, 4, &old, 1);
	expect_health("uuu");
	/* What is not known there is not unknown here. */
	e = entry(0, LB_HEALTH_UNKNOWN, 7);
	say(HEALTH_CHANGES, 7, 6, 7, &e, 1);
	expect_health("uuu");
	e = entry(0, LB_HEALTH_DOWN, 8);
	say(HEALTH_CHANGES, 7, 7, 8, &e, 1);
	expect_health("duu");
}

/* A change that was lost shows in the next one's numbers, or in the digest's. */
static void test_losses(void **state)
{
	struct health_entry e = entry(0, LB_HEALTH_DOWN, 9);

	(void)state;
	catch_up(7, 5);
	say(HEALTH_CHANGES, 7, 8, 9, &e, 1);
	expect_health("ddu");
	expect_asked(ALL & ~1u); /* the first was told of just now */
	e = entry(2, LB_HEALTH_DOWN, 8);
	say(HEALTH_TELL, 7, 0, 0, &e, 1);
	expect_health("ddd");
	say(HEALTH_DIGEST, 7, 0, 12, NULL, 0);
	expect_asked(ALL);
}

/* The other one starts again: what was known holds until it knows better. */
static void test_another_instance(void **state)
{
	struct health_entry all[N] = {entry(0, LB_HEALTH_UNKNOWN, 0),
		entry(1, LB_HEALTH_UNKNOWN, 0), entry(2, LB_HEALTH_DOWN, 1)};

	(void)state;
	catch_up(7, 500);
	say(HEALTH_DIGEST, 8, 0, 1, NULL, 0);
	expect_health("udu");
	expect_asked(ALL);
	say(HEALTH_TELL, 7, 0, 0, all, N); /* of before */
	expect_health("udu");
	say(HEALTH_TELL, 8, 0, 0, all, N);
	expect_health("udd");
}

/* Nobody else is believed, gateway or not. */
static void test_others_are_not_believed(void **state)
{
	struct health_entry e = entry(0, LB_HEALTH_DOWN, 99);
	struct health_head changes = {HEALTH_CHANGES, 7, 5, 99}, tell = {HEALTH_TELL, 7, 0, 0};
	struct health_head digest = {HEALTH_DIGEST, 66, 0, 99};

	(void)state;
	catch_up(7, 5);
	say_from("192.0.2.3", &changes, &e, 1);
	say_from("192.0.2.3", &tell, &e, 1);
	say_from("192.0.2.3", &digest, NULL, 0);
	expect_health("udu");
	assert_int_equal(graph_dropped_any(), 0);
	say_from("192.0.2.99", &changes, &e, 1);
	assert_int_equal(graph_dropped(DROP_UNKNOWN_VTEP), 1);
	expect_health("udu");
	/* The real one is still heard, where it left off. */
	e = entry(0, LB_HEALTH_DOWN, 6);
	say(HEALTH_CHANGES, 7, 5, 6, &e, 1);
	expect_health("ddu");
}

/* Nor a machine that makes such a frame, or wraps one into VXLAN of its own. */
static void test_machines_can_not(void **state)
{
	struct health_entry e = entry(0, LB_HEALTH_DOWN, 99);
	struct health_head head = {HEALTH_CHANGES, 7, 5, 99};
	struct frame inner, outer;
	struct health_frame h;

	(void)state;
	catch_up(7, 5);
	health_frame_begin(&h, &head);
	health_frame_add(&h, &e);
	memcpy(inner.bytes, h.bytes, h.len);
	inner.len = h.len;
	graph_send("a", inner.bytes, inner.len);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 0);
	graph_send("a", outer.bytes, outer.len);
	frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 100); /* by the tunnel, in a VPC */
	graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
	graph_run();
	expect_health("udu");
	graph_forget_drops();
}

/* It answers, too: what it checks itself, which is nothing here. */
static void test_is_asked(void **state)
{
	struct health_entry all[N] = {entry(0, 0, 0), entry(1, 0, 0), entry(2, 0, 0)};
	struct health_head head;
	struct health_reader r;
	uint64_t instance;

	(void)state;
	say(HEALTH_WATCH, 0, 0, 0, NULL, 0);
	expect(HEALTH_DIGEST, &head, &r);
	instance = head.instance;
	assert_true(instance != 0);
	assert_int_equal(head.to, 0);
	say(HEALTH_ASK, instance, 0, 0, all, N);
	expect(HEALTH_TELL, &head, &r);
	assert_true(head.instance == instance);
	assert_int_equal(r.left, 0);
}

/* Damaged in any way, frames harm nobody; what they say of the three of them is as good as what the underlay says. */
static void test_damaged(void **state)
{
	struct health_entry all[N] = {
		entry(0, LB_HEALTH_UP, 9), entry(1, LB_HEALTH_UP, 9), entry(2, LB_HEALTH_UP, 9)};
	struct health_head head = {HEALTH_CHANGES, 7, 5, 9};
	struct health_frame h;

	(void)state;
	catch_up(7, 5);
	health_frame_begin(&h, &head);
	for (int i = 0; i < N; i++)
		health_frame_add(&h, &all[i]);
	srand(1);
	for (int i = 0; i < 3000; i++) {
		struct frame inner, outer;

		memcpy(inner.bytes, h.bytes, h.len);
		inner.len = (uint16_t)(rand() % 4 == 0 ? 14 + rand() % (h.len - 14) : h.len);
		for (int k = rand() % 6; k >= 0; k--)
			inner.bytes[14 + rand() % (h.len - 14)] = (uint8_t)rand();
		frame_vxlan(&outer, &inner, "192.0.2.2", "192.0.2.1", 0);
		graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
		graph_run();
		graph_discard_sent(GRAPH_UNDERLAY);
	}
	graph_forget_drops();
	say(HEALTH_DIGEST, 70, 0, 1, NULL, 0);
	expect_asked(ALL);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_catches_up),
		T(test_changes),
		T(test_losses),
		T(test_another_instance),
		T(test_others_are_not_believed),
		T(test_machines_can_not),
		T(test_is_asked),
		T(test_damaged),
	};
	int failed;

	graph_start();
	json_decref(graph_rpc("status", json_object())); /* the event base is there now */
	if (health_init(rpc_base()) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	health_fini();
	return failed;
}
