/* SPDX-License-Identifier: Apache-2.0 */
/* What explain says of hooks is what becomes of a packet: programs that look at one byte of its description, at random ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_log.h>

#include "cloud.h"
#include "graph.h"
#include "hook_item.h"
#include "observe/live.h"
#include "tests/unit/random.h"

#define LENGTH(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))
#define PICK(list) (list)[random_below(LENGTH(list))]

/* From port a: routed, bridged, into a tunnel, to the gateway; with as much behind the headers as explain assumes. */
#define TO_C .smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "10.0.2.10"
#define TO_B .smac = MAC_A, .dmac = MAC_B, .src = "10.0.1.10", .dst = "10.0.1.11"
#define TO_C6 .smac = MAC_A, .dmac = GW, .src = "fd00:1:0:1::10", .dst = "fd00:1:0:2::10"
static const struct frame_spec packets[] = {
	{TO_C, .proto = IPPROTO_TCP, .dport = 80, .seq = 1},
	{TO_C, .proto = IPPROTO_UDP, .dport = 81},
	{TO_C, .proto = IPPROTO_ICMP, .icmp_type = 8},
	{TO_B, .proto = IPPROTO_UDP, .dport = 82},
	{TO_C6, .proto = IPPROTO_TCP, .dport = 83, .seq = 1},
	{TO_C6, .proto = IPPROTO_UDP, .dport = 84},
	{TO_C6, .proto = IPPROTO_ICMPV6, .icmp_type = 128},
	{.smac = MAC_A,
		.dmac = MAC_R,
		.src = "10.0.1.10",
		.dst = "10.0.1.20",
		.proto = IPPROTO_UDP,
		.dport = 85},
	{.smac = MAC_A,
		.dmac = GW,
		.src = "10.0.1.10",
		.dst = "10.0.1.77",
		.proto = IPPROTO_UDP,
		.dport = 86},
};
/* Bytes of the description up to ports, or ICMP's type: what is behind them, checksums, depends on the payload. */
static uint32_t looked_at(const struct frame_spec *s)
{
	uint32_t ip = strchr(s->src, ':') != NULL ? 40 : 20;

	return 28 + 14 + ip + (s->icmp_type != 0 ? 2 : 4);
}

static void put(const struct hook_item *h, const struct hook_insn *insns, uint32_t n)
{
	char *items = hook_item_of(h, insns, n);

	graph_items(items);
	free(items);
}

static bool is_icmp(const struct frame_spec *s)
{
	return s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;
}

static json_t *explain(const struct frame_spec *s)
{
	return graph_rpc("explain",
		json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i, s:i, s:s, s:s}}", "in", "port", "a",
			"packet", "source", s->src, "destination", s->dst, "protocol", s->proto,
			"source_port", is_icmp(s) ? s->icmp_id : s->sport, "port", s->dport, "smac",
			s->smac, "dmac", s->dmac));
}

static const char *text(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value != NULL ? value : "";
}

static json_int_t runs(void)
{
	json_t *answer = graph_rpc("hook.status", json_object());
	const json_t *item = json_array_get(json_object_get(answer, "items"), 0);
	json_int_t n = json_integer_value(json_object_get(item, "runs"));

	json_decref(answer);
	return n;
}

/* How many steps are the hook's; the last of them is the last of all when it drops. */
static unsigned int steps_of_hook(const json_t *said, bool drops)
{
	json_t *steps = json_object_get(said, "steps"), *step;
	unsigned int n = 0;
	bool last = false;
	size_t i;

	json_array_foreach (steps, i, step) {
		const json_t *object = json_object_get(step, "object");

		last = strcmp(text(step, "stage"), "hook") == 0;
		if (!last)
			continue;
		n++;
		assert_string_equal(text(object, "kind"), "hook");
		assert_string_equal(text(object, "name"), "h");
		assert_int_equal(strstr(text(step, "decision"), "drops it") != NULL,
			drops && i + 1 == json_array_size(steps));
	}
	assert_true(last || !drops);
	return n;
}

static bool agrees(const struct frame_spec *s, unsigned int byte)
{
	json_int_t before = runs();
	json_t *said = explain(s);
	bool drops = strcmp(text(said, "reason"), "hook") == 0;
	unsigned int asked = steps_of_hook(said, drops);
	struct frame f;

	assert_int_equal(runs(), before); /* explain counts nothing */
	frame_build(&f, s);
	graph_send("a", f.bytes, f.len);
	graph_run();
	if ((graph_dropped(DROP_HOOK) != 0) != drops || runs() - before != asked) {
		char *all = json_dumps(said, 0);

		fail_msg("protocol %u to %s, port %u, byte %u, asked %u: %s", s->proto, s->dst,
			s->dport, byte, (unsigned int)(runs() - before), all);
	}
	json_decref(said);
	graph_forget_drops();
	graph_discard_sent("b");
	graph_discard_sent("c");
	graph_discard_sent(GRAPH_UNDERLAY);
	return drops;
}

/* Flows of so many rounds are fewer than one VPC may have; then they time out. */
#define FLOWS 2000
#define FORGOTTEN_MS (10 * 60 * 1000)

static void test_agreement(void **state)
{
	static const char *const scopes[] = {"\"port a\"", "\"port b\"", "\"port c\"",
		"\"vpc 100\""},
				 *const directions[] = {"egress", "ingress", "both"};
	unsigned int dropped = 0, rounds = (unsigned int)test_size(600, 20000);

	(void)state;
	graph_items(CLOUD);
	random_start();
	for (unsigned int i = 0; i < rounds; i++) {
		struct frame_spec s = PICK(packets);
		unsigned int byte = random_below(looked_at(&s));
		const struct hook_insn insns[] = {
			LOAD(0x10, 0, 1, (int16_t)byte), ALU(0x50, 0, 1 << random_below(8)), EXIT};
		struct hook_item h = {.name = "h",
			.scope = PICK(scopes),
			.direction = PICK(directions),
			.role = "filter",
			.budget = 1000000,
			.revision = i + 1};

		s.payload = LIVE_TOKEN;
		s.sport = s.icmp_id = (uint16_t)(10000 + i);
		put(&h, insns, LENGTH(insns));
		dropped += agrees(&s, byte);
		if (i % FLOWS == FLOWS - 1)
			graph_pass_time(FORGOTTEN_MS);
	}
	assert_in_range(dropped, rounds / 10, rounds - rounds / 10);
	graph_reset();
}

/* Samplers are asked before filters in egress; none after the one that dropped. */
static void test_order(void **state)
{
	static const struct hook_insn never[] = {MOV(0, 0), EXIT};
	struct hook_item h = {.name = "a-filter",
		.scope = "\"port a\"",
		.direction = "egress",
		.role = "filter",
		.budget = 100000,
		.revision = 1};
	const char *want[] = {"z-sampler", "a-filter"},
		   *words[] = {"does not pick it for mirror tap", "drops it"};
	json_t *said, *steps;

	(void)state;
	graph_items(CLOUD);
	graph_items("[[\"mirror\", \"tap\", [], \"both\", \"\", 1, 0, {\"type\": \"port\", "
		    "\"port\": \"b\"}, null, 1]]");
	put(&h, never, LENGTH(never));
	h.name = "b-filter";
	put(&h, never, LENGTH(never));
	h.name = "z-sampler";
	h.role = "sample";
	h.mirror = "tap";
	put(&h, never, LENGTH(never));
	said = explain(&packets[0]);
	steps = json_object_get(said, "steps");
	assert_string_equal(text(said, "verdict"), "drop");
	assert_int_equal(json_array_size(steps), LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++) {
		const json_t *step = json_array_get(steps, i);

		assert_string_equal(text(json_object_get(step, "object"), "name"), want[i]);
		assert_non_null(strstr(text(step, "decision"), words[i]));
	}
	json_decref(said);
	graph_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agreement),
		cmocka_unit_test(test_order),
	};

	graph_start();
	rte_log_set_level_pattern("lib.bpf", RTE_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
