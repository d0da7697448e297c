/* SPDX-License-Identifier: Apache-2.0 */
/* What inspection gets to see of the flows of a VPC: from the graph, through the ring, as frames for the TAP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "cloud.h"
#include "graph.h"
#include "inspect/inspect_internal.h"

#define FED_MAX 256
#define OUTSIDE 0xffffffu
#define HEADERS 50 /* Ethernet, IPv4, UDP, VXLAN */

struct fed {
	uint32_t sender, receiver, vni;
	uint8_t flags, reason;
	uint16_t size; /* of the inner frame */
	uint8_t inner[INSPECT_SNAP_MAX];
};

/* Written by the sight thread. */
static struct fed fed[FED_MAX];
static unsigned int n_fed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t be(const uint8_t *at, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | *at++;
	return value;
}

static bool take(const void *data, size_t size)
{
	const uint8_t *frame = data;
	struct fed *f;

	pthread_mutex_lock(&lock);
	f = &fed[n_fed < FED_MAX ? n_fed++ : FED_MAX - 1];
	f->sender = be(frame + 26, 4);
	f->receiver = be(frame + 30, 4);
	f->reason = frame[34];
	f->flags = frame[35];
	f->vni = be(frame + 46, 3);
	f->size = (uint16_t)(size - HEADERS);
	memcpy(f->inner, frame + HEADERS, f->size);
	/* The outer headers contradict neither themselves nor each other. */
	if (be(frame + 12, 2) != 0x0800 || frame[14] != 0x45 || be(frame + 16, 2) != size - 14 ||
		be(frame + 36, 2) != 4789 || be(frame + 38, 2) != size - 34 ||
		be(frame + 42, 4) != 0x08000000 || rte_raw_cksum(frame + 14, 20) != 0xffff)
		f->vni = UINT32_MAX;
	pthread_mutex_unlock(&lock);
	return true;
}

/* So many have come, and no more once the sight thread has seen all there is. */
static const struct fed *expect_fed(unsigned int n)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	static struct fed seen[FED_MAX];
	unsigned int have = 0;

	for (unsigned int ms = 0; ms < 10000 && have < n; ms++) {
		pthread_mutex_lock(&lock);
		have = n_fed;
		pthread_mutex_unlock(&lock);
		if (have < n)
			nanosleep(&pause, NULL);
	}
	pthread_mutex_lock(&lock);
	have = n_fed;
	memcpy(seen, fed, sizeof(seen));
	n_fed = 0;
	pthread_mutex_unlock(&lock);
	assert_int_equal(have, n);
	return seen;
}

/* What follows is heard, so what came before it, and was not, was not fed. */
static void expect_silence(void)
{
	struct inspect_worker *iw = &inspect_workers[0];
	uint64_t before = iw->packets;

	graph_run();
	assert_int_equal(iw->packets, before);
	expect_fed(0);
}

#define INSPECTION(name, first, sample)                                                            \
	"[\"inspection\", \"" name "\", 100, {\"port_scan\": {\"threshold\": 20, \"window_s\": "   \
	"60}}, [], " first ", " sample ", 128, 1]"

static int setup(void **state)
{
	(void)state;
	inspect_output = take;
	graph_items(CLOUD);
	graph_items("[" INSPECTION("i", "2", "0") "]");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	n_fed = 0;
	return 0;
}

static uint32_t index_of(const char *port)
{
	const struct port *p = port_by_name(port);

	assert_non_null(p);
	return inspect_port_number(p);
}

#define A_TO_B .smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10", .dst = "10.0.1.11"
#define B_TO_A .smac = MAC_B, .dmac = MAC_A, .src = "10.0.1.11", .dst = "10.0.1.10"
#define A_TO_R .smac = MAC_A, .dmac = MAC_R, .src = "10.0.1.10", .dst = "10.0.1.20"
#define R_TO_A .smac = MAC_R, .dmac = MAC_A, .src = "10.0.1.20", .dst = "10.0.1.10"

static void pass(const char *from, const struct frame *f, const char *to)
{
	graph_send(from, f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent(to, NULL));
	assert_int_equal(graph_dropped_any(), 0);
}

/* The first two packets of each direction, as the tenant sent them, and who sent them to whom. */
static void test_first_packets(void **state)
{
	const struct frame *out = FRAME(A_TO_B, .sport = 1, .dport = 2, .payload = 10);
	const struct frame *back = FRAME(B_TO_A, .sport = 2, .dport = 1, .payload = 20);
	const struct fed *f;

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		pass("a", out, "b");
	for (unsigned int i = 0; i < 5; i++)
		pass("b", back, "a");
	f = expect_fed(4);
	for (unsigned int i = 0; i < 4; i++) {
		const struct frame *want = i < 2 ? out : back;

		assert_int_equal(f[i].vni, 100);
		assert_int_equal(f[i].flags, i == 0 ? INSPECT_FIRST : i < 2 ? 0 : INSPECT_ANSWER);
		assert_int_equal(f[i].sender, index_of(i < 2 ? "a" : "b"));
		assert_int_equal(f[i].receiver, index_of(i < 2 ? "b" : "a"));
		assert_int_equal(f[i].reason, 0);
		assert_int_equal(f[i].size, want->len);
		assert_memory_equal(f[i].inner, want->bytes, want->len);
	}
	assert_int_equal(inspect_feed_lost(), 0);
}

/* Large ones are cut behind their headers, questions to a name server further on. */
static void test_lengths(void **state)
{
	const struct fed *f;

	(void)state;
	pass("a", FRAME(A_TO_B, .sport = 1, .dport = 2, .payload = 1000), "b");
	pass("a", FRAME(A_TO_B, .sport = 1, .dport = 53, .payload = 1000), "b");
	pass("a", FRAME(A_TO_B, .sport = 2, .dport = 53, .payload = 30), "b");
	f = expect_fed(3);
	assert_int_equal(f[0].size, 128);
	assert_int_equal(f[1].size, INSPECT_SNAP_DNS);
	assert_int_equal(f[2].size, 72);
}

static void test_samples(void **state)
{
	const struct fed *f;

	(void)state;
	graph_items("[" INSPECTION("j", "1", "3") "]");
	for (unsigned int i = 0; i < 2 + 3 * 4; i++)
		pass("a", FRAME(A_TO_B, .sport = 1, .dport = 2), "b");
	/* The larger `first_packets` of the two holds, and the samples of the one that wants some. */
	f = expect_fed(6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(f[i].flags, i == 0 ? INSPECT_FIRST : i < 2 ? 0 : INSPECT_SAMPLED);
}

/* Each question to a name server is one of the first; answers are not. */
static void test_questions(void **state)
{
	const struct fed *f;

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		pass("a", FRAME(A_TO_B, .sport = 1, .dport = 53, .payload = 30), "b");
	for (unsigned int i = 0; i < 5; i++)
		pass("b", FRAME(B_TO_A, .sport = 53, .dport = 1, .payload = 30), "a");
	f = expect_fed(5 + 2);
	for (unsigned int i = 0; i < 7; i++)
		assert_int_equal(f[i].flags, i == 0 ? INSPECT_FIRST : i < 5 ? 0 : INSPECT_ANSWER);
}

static void test_refused(void **state)
{
	const struct fed *f;

	(void)state;
	graph_items("[[\"rules\", \"any\", 0, [\"i a 1000 17 7 7 -1 -1 any\"]]]");
	graph_expect_drop("a", FRAME(A_TO_B, .sport = 1, .dport = 2), DROP_POLICY_INGRESS);
	graph_expect_drop("a",
		FRAME(.smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "192.0.2.9"),
		DROP_NO_ROUTE);
	graph_expect_drop("a",
		FRAME(.smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.99", .dst = "10.0.1.11"),
		DROP_SPOOFED);
	f = expect_fed(3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(f[i].flags, INSPECT_DENIED | INSPECT_FIRST);
		assert_int_equal(f[i].sender, index_of("a"));
		assert_int_equal(f[i].receiver, i == 0 ? index_of("b") : OUTSIDE);
	}
	assert_int_equal(f[0].reason, DROP_POLICY_INGRESS);
	assert_int_equal(f[1].reason, DROP_NO_ROUTE);
	assert_int_equal(f[2].reason, DROP_SPOOFED);
}

/* A flow is seen where it begins; nobody but us sees what comes from a host that somebody else runs. */
static void test_tunnels(void **state)
{
	const struct fed *f;

	(void)state;
	pass("a", FRAME(A_TO_R, .sport = 1, .dport = 2), GRAPH_UNDERLAY);
	pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 2, .dport = 1), 100), "a");
	f = expect_fed(2);
	assert_int_equal(f[0].receiver, OUTSIDE);
	assert_int_equal(f[1].sender, OUTSIDE);
	assert_int_equal(f[1].receiver, index_of("a"));
	assert_int_equal(f[1].flags, INSPECT_ANSWER);
	pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 5, .dport = 6), 100), "a");
	pass("a", FRAME(A_TO_R, .sport = 6, .dport = 5), GRAPH_UNDERLAY);
	expect_silence();
	graph_items("[[\"foreign\", \"other\"]]");
	pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(R_TO_A, .sport = 7, .dport = 8), 100), "a");
	f = expect_fed(1);
	assert_int_equal(f[0].flags, INSPECT_FIRST);
	assert_int_equal(f[0].sender, OUTSIDE);
}

/* It begins and ends under flows that run; of these there are samples. */
static void test_running_flows(void **state)
{
	const struct frame *f = FRAME(A_TO_B, .sport = 1, .dport = 2);

	(void)state;
	graph_delete("[[\"inspection\", \"i\", 100]]");
	for (unsigned int i = 0; i < 5; i++)
		pass("a", f, "b");
	graph_expect_drop("a",
		FRAME(.smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.99", .dst = "10.0.1.11"),
		DROP_SPOOFED);
	expect_silence();
	graph_items("[" INSPECTION("i", "2", "1") "]");
	for (unsigned int i = 0; i < 3; i++)
		pass("a", f, "b");
	assert_int_equal(expect_fed(3)->flags, INSPECT_SAMPLED);
	graph_delete("[[\"inspection\", \"i\", 100]]");
	pass("a", f, "b");
	expect_silence();
}

/* A port that has another's place later has another number. */
static void test_numbers(void **state)
{
	struct port first = {.index = 65535, .life = 1}, second = {.index = 65535, .life = 2};
	struct port last = {.index = 65535, .life = UINT16_MAX};

	(void)state;
	assert_int_not_equal(inspect_port_number(&first), inspect_port_number(&second));
	for (last.life = 1; last.life != 0; last.life++)
		assert_in_range(inspect_port_number(&last), 0, INSPECT_OUTSIDE - 1);
}

/* The last alert that was passed on. */
static json_t *told;

void __wrap_rpc_notify(const char *method, json_t *params);
void __wrap_rpc_notify(const char *method, json_t *params)
{
	if (strcmp(method, "inspect.alert") == 0) {
		json_decref(told);
		told = json_incref(params);
	}
	json_decref(params);
}

static const char *alert(json_t *whose)
{
	json_t *params = json_pack("{s:i, s:s, s:s, s:s}", "vni", 100, "inspection", "i",
		"detector", "port_scan", "source", "10.0.1.10");

	json_object_update(params, whose);
	json_decref(whose);
	json_decref(graph_rpc("inspect.alert", params));
	return json_string_value(json_object_get(told, "port"));
}

static json_t *get(void)
{
	return graph_rpc("inspect.get", json_object());
}

static void test_rpc(void **state)
{
	json_t *answer, *want, *vpcs;

	(void)state;
	graph_items("[[\"indicator_list\", \"bad\", [\"203.0.113.0/24\", \"2001:db8::1\"], 1],"
		    "[\"inspection\", \"k\", 100, {\"indicator\": {\"threshold\": 1, \"window_s\": "
		    "9}}, "
		    "[\"bad\"], 3, 5, 128, 1]]");
	answer = get();
	vpcs = json_object_get(answer, "vpcs");
	want = json_pack(
		"[{s:i, s:s, s:[s, s], s:[{s:s, s:s, s:i, s:i}, {s:s, s:s, s:i, s:i}], s:[s]}]",
		"vni", 100, "vpc", "prod", "prefixes", "10.0.0.0/16", "fd00:1::/48", "detectors",
		"inspection", "i", "type", "port_scan", "threshold", 20, "window_s", 60,
		"inspection", "k", "type", "indicator", "threshold", 1, "window_s", 9, "lists",
		"bad");
	if (!json_equal(vpcs, want))
		fail_msg("%s", json_dumps(vpcs, 0));
	json_decref(want);
	want = json_pack(
		"[{s:s, s:[s, s]}]", "list", "bad", "entries", "203.0.113.0/24", "2001:db8::1");
	assert_true(json_equal(json_object_get(answer, "indicators"), want));
	assert_int_equal(json_integer_value(json_object_get(answer, "sample")), 5);
	json_decref(want);
	json_decref(answer);
	graph_delete("[[\"inspection\", \"k\", 100], [\"indicator_list\", \"bad\"]]");
	answer = get();
	assert_int_equal(json_array_size(json_object_get(answer, "indicators")), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "sample")), 1);
	json_decref(answer);
}

/* Whose port it is: by a number of this run, or by name; of an earlier run's numbers, nobody's. */
static void test_alert(void **state)
{
	json_t *answer = get();
	json_int_t run = json_integer_value(json_object_get(answer, "instance"));
	json_int_t a = index_of("a");

	(void)state;
	json_decref(answer);
	assert_int_not_equal(run, 0);
	assert_string_equal(alert(json_pack("{s:I, s:I}", "instance", run, "port_index", a)), "a");
	assert_string_equal(
		alert(json_pack("{s:I, s:I}", "instance", run + 1, "port_index", a)), "");
	assert_string_equal(alert(json_pack("{s:I}", "port_index", a)), "");
	assert_string_equal(
		alert(json_pack("{s:I, s:I}", "instance", run, "port_index", a + 65536)), "");
	assert_string_equal(
		alert(json_pack("{s:I, s:I}", "instance", run, "port_index", (json_int_t)-1)), "");
	assert_string_equal(alert(json_pack("{s:I, s:n}", "instance", run, "port_index")), "");
	assert_string_equal(alert(json_pack("{s:s}", "port", "b")), "b");
	assert_string_equal(alert(json_pack("{s:s}", "port", "underlay")), "");
	assert_non_null(graph_rpc_refusal("inspect.alert", json_pack("{s:i}", "vni", 100)));
	json_decref(told);
	told = NULL;
}

/* What is inside of a VPC: its peers, too, as they come. */
static void test_peers_are_inside(void **state)
{
	json_t *answer, *prefixes;

	(void)state;
	graph_items("[[\"vpc\", 101, \"stage\", \"default\", 1450, \"" GW
		    "\", [\"10.7.0.0/16\"], [100], 1],"
		    "[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW
		    "\", [\"10.0.0.0/16\"], [101], 2]]");
	answer = get();
	prefixes = json_object_get(json_array_get(json_object_get(answer, "vpcs"), 0), "prefixes");
	assert_int_equal(json_array_size(prefixes), 2);
	assert_string_equal(json_string_value(json_array_get(prefixes, 1)), "10.7.0.0/16");
	json_decref(answer);
}

static void test_items_that_are_refused(void **state)
{
	(void)state;
	assert_false(graph_try("[[\"inspection\", \"x\", 999, {}, [], 1, 0, 128, 1]]", "[]"));
	assert_false(graph_try(
		"[[\"inspection\", \"x\", 100, {\"beacon\": {}}, [], 1, 0, 128, 1]]", "[]"));
	assert_false(
		graph_try("[[\"inspection\", \"x\", 100, {}, [\"nobody\"], 1, 0, 128, 1]]", "[]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_samples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tunnels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_running_flows, setup, teardown),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test_setup_teardown(test_rpc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alert, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers_are_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_items_that_are_refused, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
