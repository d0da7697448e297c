/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of hooks: what the reader and the verifier take and refuse; and that nothing they take reads or writes where it must not, which an
 * interpreter that looks at each access finds out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "configs/hooks/vpc_hook.h"
#include "hook_machine.h"
#include "hook_random.h"
#include "lib/hook_range.h"

#define ROOM 64

/* ---- The verifier ---- */

#define CASE(name_, want_, ...)                                                                    \
	{                                                                                          \
		.name = name_, .want = want_, .insns = { __VA_ARGS__ }                             \
	}

static const struct verify_case {
	const char *name;
	const char *want; /* in the reason; NULL: it is taken */
	struct hook_insn insns[16];
} verify_cases[] = {
	CASE("says a constant", NULL, MOV(0, 1), EXIT),
	CASE("reads the first and the last byte", NULL, LOAD(0x10, 0, 1, 0), LOAD(0x10, 2, 1, 219),
		EXIT),
	CASE("an index with a mask", NULL, LOAD(0x10, 2, 1, 28), ALU(0x50, 2, 127), ALU_X(0, 2, 1),
		LOAD(0x10, 0, 2, 28), EXIT),
	CASE("an index that was compared", NULL, MOV(0, 0), LOAD(0x08, 2, 1, 20),
		JUMP(0x20, 2, 191, 3), MOV_X(3, 1), ALU_X(0, 3, 2), LOAD(0x10, 0, 3, 28), EXIT),
	CASE("a pointer that waits in the stack", NULL, STORE_X(0x18, 10, -8, 1),
		LOAD(0x18, 2, 10, -8), LOAD(0x10, 0, 2, 0), EXIT),
	CASE("divides by what is not zero", NULL, LOAD(0x10, 2, 1, 28), ALU(0x40, 2, 1),
		MOV(0, 100), ALU_X(0x30, 0, 2), EXIT),
	CASE("a wide number", NULL, {.code = 0x18, .dst = 0, .imm = 5}, {.imm = 7}, EXIT),
	CASE("both ways give r0", NULL, LOAD(0x10, 2, 1, 0), JUMP(0x10, 2, 3, 2), MOV(0, 1),
		JUMP(0x00, 0, 0, 1), MOV(0, 0), EXIT),
	CASE("behind the end", "bytes 220 to 220", LOAD(0x10, 0, 1, 220), EXIT),
	CASE("over the end", "bytes 217 to 220", LOAD(0x00, 0, 1, 217), EXIT),
	CASE("before the beginning", "bytes -1 to -1", LOAD(0x10, 0, 1, -1), EXIT),
	CASE("an index without bounds", "bytes 28 to 283", LOAD(0x10, 2, 1, 28), ALU_X(0, 2, 1),
		LOAD(0x10, 0, 2, 28), EXIT),
	CASE("an index of any size", "without bounds", LOAD(0x18, 2, 1, 28), ALU_X(0, 2, 1),
		LOAD(0x10, 0, 2, 28), EXIT),
	CASE("an index compared on the wrong side", "reads bytes", MOV(0, 0), LOAD(0x08, 2, 1, 20),
		JUMP(0xa0, 2, 191, 3), MOV_X(3, 1), ALU_X(0, 3, 2), LOAD(0x10, 0, 3, 28), EXIT),
	CASE("a signed comparison of what may be negative", "without bounds", MOV(0, 0),
		LOAD(0x18, 2, 1, 20), JUMP(0x60, 2, 100, 3), MOV_X(3, 1), ALU_X(0, 3, 2),
		LOAD(0x10, 0, 3, 28), EXIT),
	CASE("writes to the packet", "only to be read", STORE(0x10, 1, 0, 1), MOV(0, 0), EXIT),
	CASE("reads what was not written", "was not written", LOAD(0x18, 0, 10, -8), EXIT),
	CASE("reads what was written on one way", "was not written", LOAD(0x10, 2, 1, 0),
		JUMP(0x10, 2, 3, 1), STORE(0x18, 10, -8, 1), LOAD(0x18, 0, 10, -8), EXIT),
	CASE("writes behind the stack", "bytes 512 to 519", STORE(0x18, 10, 0, 1), MOV(0, 0), EXIT),
	CASE("writes below the stack", "bytes -8 to -1", STORE(0x18, 10, -520, 1), MOV(0, 0), EXIT),
	CASE("not aligned in the stack", "not aligned", STORE(0x18, 10, -12, 1), MOV(0, 0), EXIT),
	CASE("moves in the stack by anything", "not constant", LOAD(0x10, 2, 1, 0), MOV_X(3, 10),
		ALU_X(0x10, 3, 2), STORE(0x10, 3, -1, 1), MOV(0, 0), EXIT),
	CASE("a loop", "jumps backwards", MOV(0, 1), JUMP(0x50, 0, 0, -2), EXIT),
	CASE("a loop of one", "jumps backwards", JUMP(0x00, 0, 0, -1), EXIT),
	CASE("jumps out", "out of the program", JUMP(0x00, 0, 0, 5), MOV(0, 0), EXIT),
	CASE("jumps into a number", "out of the program", JUMP(0x00, 0, 0, 1),
		{.code = 0x18, .dst = 0, .imm = 5}, {.imm = 7}, EXIT),
	CASE("falls off the end", "does not return", MOV(0, 1)),
	CASE("is never reached", "never reached", MOV(0, 1), EXIT, MOV(0, 2), EXIT),
	CASE("no result", "no value", EXIT),
	CASE("an address as its result", "for a number", MOV_X(0, 1), EXIT),
	CASE("compares an address", "for a number", MOV(0, 0), JUMP(0x20, 1, 0, 0), EXIT),
	CASE("calculates with an address", "with an address", MOV_X(0, 1), ALU(0x50, 0, -1), EXIT),
	CASE("half an address", "with an address", {.code = 0xbc, .dst = 0, .src = 1}, EXIT),
	CASE("turns an address around", "for a number", {.code = 0xdc, .dst = 1, .imm = 32},
		MOV(0, 0), EXIT),
	CASE("a part of an address from the stack", "part of an address", STORE_X(0x18, 10, -8, 1),
		LOAD(0x00, 0, 10, -8), EXIT),
	CASE("the rest of an address from the stack", "was not written", STORE_X(0x18, 10, -8, 1),
		STORE(0x10, 10, -8, 0), LOAD(0x00, 0, 10, -8), EXIT),
	CASE("a number for an address", "takes a number", MOV(2, 64), LOAD(0x10, 0, 2, 0), EXIT),
	CASE("divides by zero", "divides by zero", MOV(0, 1), ALU(0x30, 0, 0), EXIT),
	CASE("may divide by zero", "may divide by zero", LOAD(0x10, 2, 1, 0), MOV(0, 1),
		ALU_X(0x90, 0, 2), EXIT),
	CASE("may divide by zero in 32 bits", "may divide by zero", LOAD(0x18, 2, 1, 0),
		ALU(0x40, 2, 1), MOV(0, 1), {.code = 0x3c, .dst = 0, .src = 2}, EXIT),
	CASE("shifts too far", "shifts by 64", MOV(0, 1), ALU(0x60, 0, 64), EXIT),
	CASE("may shift too far", "may shift", LOAD(0x10, 2, 1, 0), MOV(0, 1), ALU_X(0x60, 0, 2),
		EXIT),
	CASE("calls a helper", "calls a helper", CALL(1), MOV(0, 0), EXIT),
	CASE("calls a function", "calls a function", {.code = 0x85, .src = 1, .imm = 1}, MOV(0, 0),
		EXIT),
	CASE("an atomic addition", "atomic", STORE(0x18, 10, -8, 1), MOV(0, 0),
		{.code = 0xdb, .dst = 10, .off = -8}, EXIT),
	CASE("a map", "something else than a number", {.code = 0x18, .dst = 1, .src = 1},
		{.imm = 0}, MOV(0, 0), EXIT),
	CASE("a packet by the old way", "something else than a number", MOV(6, 0), {.code = 0x20},
		EXIT),
	CASE("a jump of 32 bits", "-mcpu=v2", MOV(0, 0), {.code = 0x16, .dst = 0}, EXIT),
	CASE("writes to the frame's register", "writes to r10", MOV(0, 0), MOV(10, 0), EXIT),
	CASE("a register that there is not", "writes to r12", MOV(12, 0), MOV(0, 0), EXIT),
	CASE("reads a register without a value", "reads r7", MOV_X(0, 7), EXIT),
};

static uint32_t count_of(const struct verify_case *c)
{
	static const struct hook_insn none;
	uint32_t n = 16;

	while (n > 0 && memcmp(&c->insns[n - 1], &none, sizeof(none)) == 0)
		n--;
	return n;
}

static int verify(const struct hook_insn *insns, uint32_t n, struct hook_program *p, char *reason)
{
	*p = (struct hook_program){.insns = (struct hook_insn *)(uintptr_t)insns, .count = n};
	return hook_verify(p, MACHINE_CONTEXT, reason);
}

static void test_verify(void **state)
{
	char reason[HOOK_REASON_MAX];
	struct hook_program p;

	(void)state;
	for (size_t i = 0; i < sizeof(verify_cases) / sizeof(verify_cases[0]); i++) {
		const struct verify_case *c = &verify_cases[i];
		int rc = verify(c->insns, count_of(c), &p, reason);

		if ((rc == 0) != (c->want == NULL) ||
			(c->want != NULL && strstr(reason, c->want) == NULL))
			fail_msg("%s: %d `%s`", c->name, rc, reason);
	}
}

/* Every branch doubles the ways. */
static void test_ways(void **state)
{
	struct hook_insn insns[HOOK_INSNS_MAX + 1];
	char reason[HOOK_REASON_MAX];
	struct hook_program p;
	uint32_t n = 0;

	(void)state;
	insns[n++] = (struct hook_insn)LOAD(0x00, 2, 1, 28);
	insns[n++] = (struct hook_insn)MOV(0, 0);
	while (n < 100) {
		insns[n++] = (struct hook_insn)JUMP(0x40, 2, 1 << n % 31, 1);
		insns[n++] = (struct hook_insn)ALU(0x00, 0, 1 << n % 31);
	}
	insns[n++] = (struct hook_insn)EXIT;
	assert_int_not_equal(verify(insns, n, &p, reason), 0);
	assert_non_null(strstr(reason, "too many ways"));
	/* As many that end are no harm. */
	for (n = 2; n < HOOK_INSNS_MAX - 2; n += 2) {
		insns[n] = (struct hook_insn)JUMP(0x40, 2, 1 << n % 31, 1);
		insns[n + 1] = (struct hook_insn)EXIT;
	}
	insns[n++] = (struct hook_insn)EXIT;
	assert_int_equal(verify(insns, n, &p, reason), 0);
}

/* ---- Soundness: what is taken does no harm ---- */

static void test_soundness(void **state)
{
	bool thorough =
		getenv("VPC_TEST_SIZE") != NULL && strcmp(getenv("VPC_TEST_SIZE"), "long") == 0;
	struct machine m = {.context = malloc(MACHINE_CONTEXT)};
	struct hook_insn insns[ROOM];
	uint64_t seed = 20260401;
	unsigned int taken = 0, tries = thorough ? 5000000 : 200000;
	char reason[HOOK_REASON_MAX];

	(void)state;
	for (unsigned int n = 0; n < tries; n++) {
		struct hook_program p;

		if (verify(insns, hook_random_program(insns, ROOM, &seed), &p, reason) != 0)
			continue;
		taken++;
		for (unsigned int k = 0; k < 8; k++) {
			for (uint32_t i = 0; i < MACHINE_CONTEXT; i++)
				m.context[i] =
					(uint8_t)(hook_dice(&seed, 256) & (k & 1 ? 0xff : 0x41));
			machine_run(&p, &m);
		}
	}
	free(m.context);
	print_message("%u of %u programs taken\n", taken, tries);
	assert_true(taken > tries / 1000);
}

/* Bounds of results hold for operands that are inside theirs. */
static void test_ranges(void **state)
{
	static const uint8_t ops[] = {
		0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0};
	static const uint8_t comparisons[] = {
		0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0};
	uint64_t seed = 7;

	(void)state;
	for (unsigned int n = 0; n < 2000000; n++) {
		unsigned int bits = n & 1 ? 64 : 32;
		uint64_t v[4];
		struct hook_range a, b, r;
		uint8_t op = ops[hook_dice(&seed, sizeof(ops))];
		uint8_t jump = comparisons[hook_dice(&seed, sizeof(comparisons))];
		uint64_t x, y, z;

		for (unsigned int i = 0; i < 4; i++)
			v[i] = ((uint64_t)hook_dice(&seed, 1u << 31) << 33 |
				       (uint64_t)hook_dice(&seed, 1u << 31) << 2 |
				       hook_dice(&seed, 4)) >>
			       hook_dice(&seed, 64);
		a = (struct hook_range){v[0] < v[1] ? v[0] : v[1], v[0] < v[1] ? v[1] : v[0]};
		b = (struct hook_range){v[2] < v[3] ? v[2] : v[3], v[2] < v[3] ? v[3] : v[2]};
		x = a.lo + (a.hi == a.lo ? 0 : (v[1] ^ v[2]) % (a.hi - a.lo));
		y = b.lo + (b.hi == b.lo ? 0 : (v[0] ^ v[3]) % (b.hi - b.lo));
		if (!((op == 0x30 || op == 0x90) &&
			    (b.lo == 0 || (bits == 32 && b.hi > UINT32_MAX))) &&
			!((op == 0x60 || op == 0x70 || op == 0xc0) && b.hi >= bits) &&
			!(op == 0xc0 && bits == 32)) {
			r = hook_range_of((enum hook_alu)op, bits, a, b);
			z = machine_calculated(op, bits, x, y);
			if (z < r.lo || z > r.hi)
				fail_msg("%#x/%u of %#llx %#llx", op, bits, (unsigned long long)x,
					(unsigned long long)y);
		}
		hook_range_refine((enum hook_jump)jump, machine_jumps(jump, x, y), &a, &b);
		if (x < a.lo || x > a.hi || y < b.lo || y > b.hi)
			fail_msg("jump %#x of %#llx %#llx", jump, (unsigned long long)x,
				(unsigned long long)y);
	}
}

/* ---- The reader ---- */

static const struct hook_insn simple[] = {MOV(0, 1), EXIT};

static void test_read(void **state)
{
	uint8_t object[256];
	size_t size = hook_object(object, simple, 2);
	char reason[HOOK_REASON_MAX];
	struct hook_program p;

	(void)state;
	assert_int_equal(hook_read(object, size, NULL, &p, reason), 0);
	assert_int_equal(p.count, 2);
	assert_memory_equal(p.insns, simple, sizeof(simple));
	free(p.insns);
	assert_int_not_equal(hook_read(object, size, "other", &p, reason), 0);
	assert_non_null(strstr(reason, "no program in section `other`"));
	object[18] = 62;
	assert_int_not_equal(hook_read(object, size, NULL, &p, reason), 0);
	assert_non_null(strstr(reason, "machine 62"));
	/* Cut short anywhere, in memory that ends there. */
	object[18] = 247;
	for (size_t n = 0; n < size; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, object, n);
		cut = realloc(cut, n > 0 ? n : 1);
		assert_int_not_equal(hook_read(cut, n, NULL, &p, reason), 0);
		assert_true(reason[0] != '\0');
		free(cut);
	}
}

static void test_damaged(void **state)
{
	uint8_t whole[256];
	size_t size = hook_object(whole, simple, 2);
	char reason[HOOK_REASON_MAX];
	uint64_t seed = 99;

	(void)state;
	for (unsigned int n = 0; n < 300000; n++) {
		static const uint8_t some[] = {0, 1, 0x7f, 0x80, 0xff, 64};
		uint8_t *object = malloc(size);
		struct hook_program p;

		memcpy(object, whole, size);
		for (unsigned int k = 1 + hook_dice(&seed, 4); k > 0; k--)
			object[hook_dice(&seed, (uint32_t)size)] =
				hook_dice(&seed, 2) ? some[hook_dice(&seed, sizeof(some))]
						    : (uint8_t)hook_dice(&seed, 256);
		if (hook_read(object, size, n & 1 ? "" : "hook", &p, reason) == 0) {
			hook_verify(&p, MACHINE_CONTEXT, reason);
			free(p.insns);
		}
		free(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_soundness),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
