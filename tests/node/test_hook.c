/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of users in the real graph: what they drop and pick, what is refused, and what happens to those that take too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_log.h>

#include "../unit/hook_machine.h"
#include "cloud.h"
#include "core/worker.h"
#include "graph.h"
#include "hook/hook.h"
#include "hook_item.h"

#define LENGTH(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))
#define DPORT 24 /* of struct vpc_hook */

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

#define A_TO_C(port)                                                                               \
	.smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "10.0.2.10", .sport = 7,             \
	.dport = (port)
#define A_AT_C(port)                                                                               \
	.smac = GW, .dmac = MAC_C, .src = "10.0.1.10", .dst = "10.0.2.10", .sport = 7,             \
	.dport = (port), .ttl = 63

/* UDP or TCP to port 8: no. */
static const struct hook_insn not_to_8[] = {
	MOV(0, 1), LOAD(0x08, 2, 1, DPORT + 0), JUMP(0x50, 2, 8, 1), MOV(0, 0), EXIT};
static const struct hook_insn never[] = {MOV(0, 0), EXIT};
static const struct hook_insn always[] = {MOV(0, 1), EXIT};

static const struct hook_item at_a = {.name = "h",
	.scope = "\"port a\"",
	.direction = "egress",
	.role = "filter",
	.budget = 100000,
	.revision = 1};

static void put(const struct hook_item *h, const struct hook_insn *insns, uint32_t n)
{
	char *items = hook_item_of(h, insns, n);

	graph_items(items);
	free(items);
}

static bool try(const struct hook_item *h, const struct hook_insn *insns, uint32_t n)
{
	char *items = hook_item_of(h, insns, n);
	bool taken = graph_try(items, "[]");

	free(items);
	return taken;
}

static json_t *said_of(const char *name)
{
	json_t *answer = graph_rpc("hook.status", json_object()), *item, *found = NULL;
	size_t i;

	json_array_foreach (json_object_get(answer, "items"), i, item)
		if (strcmp(json_string_value(json_object_get(item, "hook")), name) == 0)
			found = json_incref(item);
	json_decref(answer);
	assert_non_null(found);
	return found;
}

static json_int_t said(const char *member)
{
	json_t *item = said_of("h");
	json_int_t value = json_integer_value(json_object_get(item, member));

	json_decref(item);
	return value;
}

static bool state_is(const char *name, const char *want)
{
	json_t *item = said_of(name);
	bool is = strcmp(json_string_value(json_object_get(item, "state")), want) == 0;

	json_decref(item);
	return is;
}

static void test_filter_egress(void **state)
{
	const struct frame *to_8 = FRAME(A_TO_C(8)), *to_9 = FRAME(A_TO_C(9));

	(void)state;
	put(&at_a, not_to_8, LENGTH(not_to_8));
	graph_expect_drop("a", to_8, DROP_HOOK);
	graph_expect_pass("a", to_9, "c", FRAME(A_AT_C(9)));
	assert_int_equal(graph_port_drops("a"), 1);
	assert_int_equal(said("runs"), 2);
	assert_int_equal(said("dropped"), 1);
	assert_int_equal(said("ports"), 1);
	assert_true(state_is("h", "attached"));
	/* Others are not asked. */
	graph_expect_pass("c",
		FRAME(.smac = MAC_C, .dmac = GW, .src = "10.0.2.10", .dst = "10.0.1.11", .sport = 1,
			.dport = 8),
		"b",
		FRAME(.smac = GW, .dmac = MAC_B, .src = "10.0.2.10", .dst = "10.0.1.11", .sport = 1,
			.dport = 8, .ttl = 63));
	assert_int_equal(said("runs"), 2);
	/* Gone, it drops nothing. */
	graph_delete("[[\"hook\", \"h\"]]");
	graph_expect_pass("a", to_8, "c", FRAME(A_AT_C(8)));
}

/* Bursts: those that pass keep their order. */
static void test_filter_burst(void **state)
{
	struct hook_item subnet = at_a;

	(void)state;
	subnet.scope = "\"subnet web\", \"vpc 100\"";
	put(&subnet, not_to_8, LENGTH(not_to_8));
	assert_int_equal(said("ports"), 3);
	for (uint16_t i = 0; i < 100; i++) {
		const struct frame *f = FRAME(A_TO_C(i % 3 == 0 ? 8 : 1000 + i));

		graph_send("a", f->bytes, f->len);
	}
	graph_run();
	for (uint16_t i = 0; i < 100; i++)
		if (i % 3 != 0) {
			const uint8_t *got = graph_sent("c", NULL);

			assert_non_null(got);
			assert_int_equal(got[36] << 8 | got[37], 1000 + i);
		}
	graph_expect_dropped(DROP_HOOK, 34);
}

/* Ports of which nothing is left, in one turn of the graph: more than it has room for nodes that wait. */
static void test_filter_all(void **state)
{
	const unsigned int ports = 50;
	struct hook_item all = at_a;
	char name[8];

	(void)state;
	for (unsigned int i = 0; i < ports; i++) {
		char item[300];

		snprintf(item, sizeof(item),
			"[[\"port\", \"p%u\", 100, \"web\", \"02:cc:00:00:00:%02x\", "
			"[\"10.0.1.%u\"], [\"any\"], true, [], true, null, {\"type\": \"stub\"}, "
			"1]]",
			i, i, i + 30);
		graph_items(item);
	}
	graph_forget_announcements();
	all.scope = "\"vpc 100\"";
	put(&all, never, LENGTH(never));
	for (unsigned int turn = 1; turn <= 3; turn++) {
		for (unsigned int i = 0; i < ports; i++) {
			snprintf(name, sizeof(name), "p%u", i);
			graph_send(name, FRAME(A_TO_C(8))->bytes, FRAME(A_TO_C(8))->len);
		}
		graph_run();
		graph_expect_dropped(DROP_HOOK, ports);
	}
	graph_delete("[[\"hook\", \"h\"]]");
	graph_expect_pass("a", FRAME(A_TO_C(8)), "c", FRAME(A_AT_C(8)));
}

static void test_filter_ingress(void **state)
{
	struct hook_item h = at_a;

	(void)state;
	h.scope = "\"port c\"";
	h.direction = "ingress";
	put(&h, not_to_8, LENGTH(not_to_8));
	graph_expect_drop("a", FRAME(A_TO_C(8)), DROP_HOOK);
	assert_int_equal(graph_port_drops("c"), 1);
	assert_int_equal(graph_port_drops("a"), 0);
	graph_expect_pass("a", FRAME(A_TO_C(9)), "c", FRAME(A_AT_C(9)));
}

#define TAP                                                                                        \
	"[[\"mirror\", \"tap\", [], \"both\", \"\", 1, 0, {\"type\": \"port\", \"port\": \"b\"}, " \
	"null, 1]]"

static void test_sample(void **state)
{
	struct hook_item h = at_a;
	const struct frame *to_8 = FRAME(A_TO_C(8)), *to_9 = FRAME(A_TO_C(9));
	const uint8_t *copy;
	uint16_t len;

	(void)state;
	h.role = "sample";
	h.mirror = "tap";
	assert_false(try(&h, not_to_8, LENGTH(not_to_8))); /* there is no such mirror */
	graph_items(TAP);
	put(&h, not_to_8, LENGTH(not_to_8));
	graph_send("a", to_8->bytes, to_8->len);
	graph_send("a", to_9->bytes, to_9->len);
	graph_run();
	copy = graph_sent("b", &len);
	assert_non_null(copy);
	assert_int_equal(len, to_9->len);
	assert_memory_equal(copy, to_9->bytes, len);
	assert_null(graph_sent("b", NULL));
	assert_int_equal(graph_waiting("c"), 2);
	graph_discard_sent("c");
	assert_int_equal(said("sampled"), 1);
	/* The mirror changes: the new one gets the copies. */
	graph_items(
		"[[\"mirror\", \"tap\", [], \"both\", \"\", 1, 60, {\"type\": \"port\", \"port\": "
		"\"b\"}, null, 2]]");
	graph_send("a", to_9->bytes, to_9->len);
	graph_run();
	assert_non_null(graph_sent("b", &len));
	assert_int_equal(len, RTE_MIN(60, to_9->len));
	graph_discard_sent("c");
}

/* A sampler sees what a filter of the same port drops. */
static void test_sample_and_filter(void **state)
{
	struct hook_item filter = at_a, sampler = at_a;
	const struct frame *f = FRAME(A_TO_C(8));

	(void)state;
	graph_items(TAP);
	filter.name = "f";
	sampler.role = "sample";
	sampler.mirror = "tap";
	put(&filter, never, LENGTH(never));
	put(&sampler, always, LENGTH(always));
	graph_send("a", f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent("b", NULL));
	assert_null(graph_sent("c", NULL));
	graph_expect_dropped(DROP_HOOK, 1);
}

static const struct {
	const char *name;
	struct hook_insn insns[6];
} hostile[] = {
	{"a loop", {MOV(0, 1), JUMP(0x50, 0, 0, -2), EXIT}},
	{"out of bounds", {LOAD(0x10, 0, 1, 220), EXIT}},
	{"out of the stack", {STORE(0x18, 10, -520, 1), MOV(0, 0), EXIT}},
	{"division by zero", {MOV(0, 1), ALU(0x30, 0, 0), EXIT}},
	{"division by what may be zero", {LOAD(0x10, 2, 1, 0), MOV(0, 1), ALU_X(0x30, 0, 2), EXIT}},
	{"a helper", {CALL(6), MOV(0, 1), EXIT}},
	{"an address", {MOV_X(0, 10), EXIT}},
};

static void test_hostile(void **state)
{
	static struct hook_insn many[HOOK_INSNS_MAX + 2];
	uint8_t object[256], *big = calloc(1, HOOK_OBJECT_MAX + 1);
	size_t size = hook_object(object, always, LENGTH(always));
	char *items;

	(void)state;
	for (size_t i = 0; i < LENGTH(hostile); i++)
		if (try(&at_a, hostile[i].insns, 6))
			fail_msg("%s was taken", hostile[i].name);
	for (uint32_t i = 0; i < HOOK_INSNS_MAX + 1; i++)
		many[i] = (struct hook_insn)MOV(0, 1);
	many[HOOK_INSNS_MAX + 1] = (struct hook_insn)EXIT;
	assert_false(try(&at_a, many, HOOK_INSNS_MAX + 2));
	many[HOOK_INSNS_MAX - 1] = (struct hook_insn)EXIT;
	put(&at_a, many, HOOK_INSNS_MAX);
	for (size_t n = 0; n < size; n += 7) {
		items = hook_item_text(&at_a, object, n);
		assert_false(graph_try(items, "[]"));
		free(items);
	}
	memcpy(big, object, size);
	items = hook_item_text(&at_a, big, HOOK_OBJECT_MAX + 1);
	assert_false(graph_try(items, "[]"));
	free(items);
	free(big);
	/* The last good one goes on. */
	graph_expect_pass("a", FRAME(A_TO_C(8)), "c", FRAME(A_AT_C(8)));
	assert_int_equal(said("runs"), 1);
}

/* Each step needs the one before. */
static uint32_t slow_program(struct hook_insn *insns)
{
	uint32_t n = 0;

	insns[n++] = (struct hook_insn)LOAD(0x18, 0, 1, 28);
	while (n < HOOK_INSNS_MAX - 3)
		insns[n++] = (struct hook_insn)ALU(0x20, 0, 77773);
	insns[n++] = (struct hook_insn)ALU(0x50, 0, 0);
	insns[n++] = (struct hook_insn)EXIT;
	return n;
}

static unsigned int passed_of(unsigned int packets)
{
	const struct frame *f = FRAME(A_TO_C(8));
	unsigned int passed = 0;

	while (packets > 0) {
		unsigned int burst = RTE_MIN(packets, 32u);

		for (unsigned int i = 0; i < burst; i++)
			graph_send("a", f->bytes, f->len);
		graph_run();
		passed += graph_waiting("c");
		graph_discard_sent("c");
		packets -= burst;
	}
	return passed;
}

static void test_budget(void **state)
{
	static struct hook_insn slow[HOOK_INSNS_MAX];
	struct hook_item h = at_a;
	uint32_t n = slow_program(slow);
	const unsigned int most = HOOK_WINDOW * HOOK_WINDOWS;
	char kept[64] = "/tmp/hook-test-XXXXXX", path[80];
	int fd = mkstemp(kept);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	hook_start(kept);
	/* Within its budget it says no to everything. */
	h.budget = 1000000;
	put(&h, slow, n);
	assert_int_equal(passed_of(2 * most), 0);
	graph_expect_dropped(DROP_HOOK, 2 * most);
	assert_true(state_is("h", "attached"));
	assert_true(said("mean_cycles") > 1000);
	/* Above it no more than so many, and then all pass. */
	h.budget = 100;
	h.revision = 2;
	put(&h, slow, n);
	assert_int_equal(passed_of(2 * most), most);
	graph_expect_dropped(DROP_HOOK, most);
	assert_true(state_is("h", "detached"));
	assert_int_equal(said("runs"), most);
	hook_turn();
	assert_true(hook_was_detached("h", 2));
	/* Another process, which is told the same: it stays so. */
	hook_stop();
	graph_delete("[[\"hook\", \"h\"]]");
	hook_start(kept);
	assert_true(hook_was_detached("h", 2));
	put(&h, slow, n);
	assert_true(state_is("h", "detached"));
	assert_int_equal(passed_of(64), 64);
	/* Changed, it is tried again. */
	h.revision = 3;
	h.budget = 1000000;
	put(&h, slow, n);
	assert_false(hook_was_detached("h", 2));
	assert_true(state_is("h", "attached"));
	assert_int_equal(passed_of(64), 0);
	graph_expect_dropped(DROP_HOOK, 64);
	hook_stop();
	snprintf(path, sizeof(path), "%s.hooks", kept);
	unlink(path);
	unlink(kept);
}

static void test_limits(void **state)
{
	struct hook_item h = at_a;
	char name[8], scope[32];

	(void)state;
	h.name = name;
	for (unsigned int i = 0; i < HOOKS_MAX; i++) {
		snprintf(name, sizeof(name), "h%02u", i);
		snprintf(scope, sizeof(scope), "\"port %c\"", "abc"[i % 3]);
		h.scope = scope;
		put(&h, always, LENGTH(always));
	}
	/* Eight at a port, by name. */
	assert_true(state_is("h00", "attached"));
	assert_true(state_is("h21", "attached"));
	assert_true(state_is("h24", "error"));
	snprintf(name, sizeof(name), "x");
	assert_false(try(&h, always, LENGTH(always)));
	/* The last one may still change. */
	snprintf(name, sizeof(name), "h%02u", HOOKS_MAX - 1);
	for (h.revision = 2; h.revision < 200; h.revision++)
		put(&h, always, LENGTH(always));
	graph_expect_pass("a", FRAME(A_TO_C(8)), "c", FRAME(A_AT_C(8)));
	/* One goes, another one takes its place. */
	graph_delete("[[\"hook\", \"h00\"]]");
	assert_true(state_is("h24", "attached"));
	snprintf(name, sizeof(name), "x");
	put(&h, always, LENGTH(always));
}

/* What the description says, by a program that compares a field with what it should be. */
static void expect_field(const char *direction, const struct frame *f, uint8_t size, int off,
	int32_t value, bool drops)
{
	const struct hook_insn insns[] = {MOV(0, 0), LOAD(size, 2, 1, (int16_t)off),
		JUMP(0x50, 2, value, 1), MOV(0, 1), EXIT};
	struct hook_item h = at_a;

	h.direction = direction;
	put(&h, insns, LENGTH(insns));
	graph_send("a", f->bytes, f->len);
	graph_run();
	if ((graph_dropped(DROP_HOOK) != 0) != drops)
		fail_msg("field at %d is not %d", off, value);
	graph_forget_drops();
	graph_discard_sent("c");
	graph_discard_sent("a");
	graph_discard_sent(GRAPH_UNDERLAY);
}

#define FIELD(f, size, member, value)                                                              \
	expect_field("egress", f, size, (int)offsetof(struct vpc_hook, member), value, false)

static void test_description(void **state)
{
	const struct frame *v4 = FRAME(A_TO_C(443), .proto = IPPROTO_TCP, .payload = 500),
			   *v6 = FRAME(.smac = MAC_A, .dmac = GW, .src = "fd00:1:0:1::10",
				   .dst = "fd00:1:0:2::10", .sport = 5, .dport = 6);

	(void)state;
	FIELD(v4, 0x00, length, v4->len);
	FIELD(v4, 0x00, captured, VPC_HOOK_FRAME);
	FIELD(v4, 0x00, vni, 100);
	FIELD(v4, 0x10, direction, VPC_HOOK_EGRESS);
	FIELD(v4, 0x10, family, 4);
	FIELD(v4, 0x10, protocol, IPPROTO_TCP);
	FIELD(v4, 0x10, flags, 0);
	FIELD(v4, 0x08, ether_type, 0x0800);
	FIELD(v4, 0x08, l3_offset, 14);
	FIELD(v4, 0x08, l4_offset, 34);
	FIELD(v4, 0x08, source_port, 7);
	FIELD(v4, 0x08, destination_port, 443);
	FIELD(v4, 0x10, frame[0], 0x02);
	FIELD(v6, 0x10, family, 6);
	FIELD(v6, 0x10, protocol, IPPROTO_UDP);
	FIELD(v6, 0x00, captured, v6->len);
	FIELD(v6, 0x08, l4_offset, 54);
	FIELD(v6, 0x08, destination_port, 6);
	expect_field("egress", v4, 0x08, offsetof(struct vpc_hook, source_port), 8, true);
}

/* Has librte_bpf a compiler for this machine? */
static bool compiles(void)
{
	const struct hook_program p = {.insns = (struct hook_insn *)(uintptr_t)always, .count = 2};
	struct rte_bpf *bpf = hook_compile(&p);
	struct rte_bpf_jit jit = {.func = NULL};

	assert_non_null(bpf);
	rte_bpf_get_jit(bpf, &jit);
	rte_bpf_destroy(bpf);
	return jit.func != NULL;
}

/* What it says of descriptions at random is what RFC 9669 says, interpreted and compiled. False: librte_bpf does not take it. */
static bool agree(const struct hook_program *p, uint64_t *seed, unsigned int *compiled)
{
	struct rte_bpf *bpf = hook_compile(p);
	uint64_t (*run)(void *) = NULL;
	struct machine m;

	if (bpf == NULL)
		return false;
	if (hook_may_compile(p)) {
		run = hook_compiled(bpf, 16);
		*compiled += run != NULL;
		if (run == NULL && compiles())
			fail_msg("is compiled to something else");
	}
	m.context = malloc(MACHINE_CONTEXT);
	for (unsigned int k = 0; k < 20; k++) {
		for (uint32_t i = 0; i < MACHINE_CONTEXT; i++)
			m.context[i] = (uint8_t)(hook_dice(seed, 256) | (k & 1 ? 0x80 : 0)) &
				       (k & 2 ? 0xff : 0x83);
		machine_run(p, &m);
		if (rte_bpf_exec(bpf, m.context) != m.r[0])
			fail_msg("is interpreted wrongly");
		if (run != NULL && run(m.context) != m.r[0])
			fail_msg("is compiled wrongly");
	}
	free(m.context);
	rte_bpf_destroy(bpf);
	return true;
}

static void test_compiled(void **state)
{
	bool thorough =
		getenv("VPC_TEST_SIZE") != NULL && strcmp(getenv("VPC_TEST_SIZE"), "long") == 0;
	unsigned int taken = 0, loaded = 0, compiled = 0;
	struct hook_insn insns[64];
	uint64_t seed = 42;

	(void)state;
	for (unsigned int n = 0; n < (thorough ? 2000000u : 100000u); n++) {
		struct hook_program p = {
			.insns = insns, .count = hook_random_program(insns, 64, &seed)};
		char reason[HOOK_REASON_MAX];

		if (hook_verify(&p, sizeof(struct vpc_hook), reason) != 0)
			continue;
		taken++;
		loaded += agree(&p, &seed, &compiled);
	}
	print_message("%u taken, %u by librte_bpf, %u compiled\n", taken, loaded, compiled);
	assert_true(loaded > 0);
}

/* All registers have 64 bits of the packet; then the instruction; then all of them are in the result. */
static uint32_t around(struct hook_insn *insns, const struct hook_insn *i, bool jump)
{
	unsigned int op = i->code & 0xf0;
	bool divides = !jump && (op == 0x30 || op == 0x90),
	     shifts = op == 0x60 || op == 0x70 || op == 0xc0;
	uint32_t n = 0;

	insns[n++] = (struct hook_insn)MOV_X(9, 1);
	for (uint8_t r = 0; r < 9; r++)
		insns[n++] = (struct hook_insn)LOAD(0x18, (r & 15), 9, (int16_t)(28 + 8 * r));
	insns[n++] = (struct hook_insn)LOAD(0x18, 9, 9, 100);
	if (divides && (i->code & 8))
		insns[n++] = (struct hook_insn)ALU(0x50, i->src, 0x7fffffff);
	if (divides && (i->code & 8))
		insns[n++] = (struct hook_insn)ALU(0x40, i->src, 1);
	if (!jump && shifts && (i->code & 8))
		insns[n++] = (struct hook_insn)ALU(0x50, i->src, 31);
	insns[n++] = *i;
	if (jump) {
		insns[n++] = (struct hook_insn)MOV(0, 1);
		insns[n++] = (struct hook_insn)EXIT;
	}
	for (uint8_t r = 1; r < 10; r++) {
		insns[n++] = (struct hook_insn)ALU(0x60, 0, 3);
		insns[n++] = (struct hook_insn)ALU_X(0xa0, 0, (r & 15));
	}
	insns[n++] = (struct hook_insn)EXIT;
	return n;
}

static void test_each_instruction(void **state)
{
	static const int32_t imms[] = {
		0, 1, -1, 7, 31, 127, 128, 129, 255, 256, INT32_MAX, INT32_MIN, -128, -129};
	unsigned int tried = 0, loaded = 0, compiled = 0;
	uint64_t seed = 4;

	(void)state;
	for (unsigned int code = 0; code < 256; code++) {
		bool jump = (code & 7) == 5, by_register = code & 8;

		if (!jump && (code & 7) != 4 && (code & 7) != 7)
			continue;
		for (uint8_t dst = 0; dst < 10; dst++)
			for (uint8_t k = 0; k < (by_register ? 10 : LENGTH(imms)); k++) {
				struct hook_insn insns[64],
					i = {.code = (uint8_t)code,
						.dst = dst & 15,
						.src = by_register ? k & 15 : 0,
						.off = jump ? 2 : 0,
						.imm = by_register ? 0 : imms[k]};
				struct hook_program p = {.insns = insns};
				char reason[HOOK_REASON_MAX];

				if ((code & 0xf7) == 0xd4) /* all there are */
					i = (struct hook_insn){.code = (uint8_t)code,
						.dst = dst & 15,
						.imm = 16 << k % 3};
				p.count = around(insns, &i, jump);
				if (hook_verify(&p, sizeof(struct vpc_hook), reason) != 0)
					continue;
				tried++;
				loaded += agree(&p, &seed, &compiled);
			}
	}
	print_message("%u tried, %u by librte_bpf, %u compiled\n", tried, loaded, compiled);
	assert_true(tried > 5000 && loaded > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_filter_egress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_ingress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sample, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sample_and_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_description, setup, teardown),
		cmocka_unit_test(test_compiled),
		cmocka_unit_test(test_each_instruction),
	};

	graph_start();
	rte_log_set_level_pattern("lib.bpf", RTE_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
