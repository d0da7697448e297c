/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HOOK_MACHINE_H
#define TESTS_UNIT_HOOK_MACHINE_H
/* What instructions of eBPF do, as RFC 9669 has it; each access, division and shift is looked at. After cmocka.h. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "configs/hooks/vpc_hook.h"
#include "lib/hook_program.h"

#define MACHINE_CONTEXT ((uint32_t)sizeof(struct vpc_hook))

struct machine {
	uint8_t *context;
	uint8_t stack[HOOK_STACK_MAX], written[HOOK_STACK_MAX];
	uint64_t r[11];
};

static inline uint8_t *machine_place(
	struct machine *m, uint64_t address, unsigned int size, bool write)
{
	uint64_t context = (uint64_t)(uintptr_t)m->context, stack = (uint64_t)(uintptr_t)m->stack;

	if (address >= stack && address + size <= stack + HOOK_STACK_MAX) {
		for (unsigned int i = 0; i < size; i++) {
			if (!write && !m->written[address - stack + i])
				fail_msg("reads stack that was not written");
			m->written[address - stack + i] = 1;
		}
		return (uint8_t *)(uintptr_t)address;
	}
	if (write || address < context || address + size > context + MACHINE_CONTEXT)
		fail_msg("%s %u bytes at context %+lld", write ? "writes" : "reads", size,
			(long long)(address - context));
	return (uint8_t *)(uintptr_t)address;
}

static inline uint64_t machine_turned(uint64_t v, bool big, int bits)
{
	if (big)
		return bits == 16   ? __builtin_bswap16((uint16_t)v)
		       : bits == 32 ? __builtin_bswap32((uint32_t)v)
				    : __builtin_bswap64(v);
	return bits == 16 ? (uint16_t)v : bits == 32 ? (uint32_t)v : v;
}

static inline uint64_t machine_calculated(uint8_t op, unsigned int bits, uint64_t a, uint64_t b)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : UINT32_MAX;

	a &= mask;
	b &= mask;
	if ((op == 0x30 || op == 0x90) && b == 0)
		fail_msg("divides by zero");
	if ((op == 0x60 || op == 0x70 || op == 0xc0) && b >= bits)
		fail_msg("shifts by %llu", (unsigned long long)b);
	switch (op) {
	case 0x00:
		return (a + b) & mask;
	case 0x10:
		return (a - b) & mask;
	case 0x20:
		return (a * b) & mask;
	case 0x30:
		return a / b;
	case 0x40:
		return a | b;
	case 0x50:
		return a & b;
	case 0x60:
		return (a << b) & mask;
	case 0x70:
		return a >> b;
	case 0x80:
		return (0 - a) & mask;
	case 0x90:
		return a % b;
	case 0xa0:
		return a ^ b;
	case 0xb0:
		return b;
	default:
		return (uint64_t)((int64_t)a >> b);
	}
}

static inline bool machine_jumps(uint8_t op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case 0x00:
		return true;
	case 0x10:
		return a == b;
	case 0x20:
		return a > b;
	case 0x30:
		return a >= b;
	case 0x40:
		return (a & b) != 0;
	case 0x50:
		return a != b;
	case 0x60:
		return sa > sb;
	case 0x70:
		return sa >= sb;
	case 0xa0:
		return a < b;
	case 0xb0:
		return a <= b;
	case 0xc0:
		return sa < sb;
	default:
		return sa <= sb;
	}
}

static inline void machine_run(const struct hook_program *p, struct machine *m)
{
	static const uint8_t sizes[] = {4, 2, 1, 8};

	memset(m->written, 0, sizeof(m->written));
	m->r[1] = (uint64_t)(uintptr_t)m->context;
	m->r[10] = (uint64_t)(uintptr_t)m->stack + HOOK_STACK_MAX;
	for (uint32_t pc = 0;; pc++) {
		const struct hook_insn *i = &p->insns[pc];
		uint8_t class = i->code & 7, op = i->code & 0xf0;
		unsigned int size = sizes[i->code >> 3 & 3], bits = class == 7 ? 64 : 32;
		uint64_t b = i->code & 8 ? m->r[i->src] : (uint64_t)(int64_t)i->imm;

		assert_true(pc < p->count);
		if (i->code == 0x95)
			return;
		if (class == 4 && op == 0xd0)
			m->r[i->dst] = machine_turned(m->r[i->dst], i->code & 8, i->imm);
		else if (class == 4 || class == 7)
			m->r[i->dst] = machine_calculated(op, bits, m->r[i->dst], b);
		else if (class == 5)
			pc += machine_jumps(op, m->r[i->dst], b) ? (uint32_t)i->off : 0;
		else if (class == 1) {
			uint64_t from = m->r[i->src] + (uint64_t)(int64_t)i->off;

			m->r[i->dst] = 0;
			memcpy(&m->r[i->dst], machine_place(m, from, size, false), size);
		} else {
			uint64_t what = class == 3 ? m->r[i->src] : (uint64_t)(int64_t)i->imm;

			memcpy(machine_place(
				       m, m->r[i->dst] + (uint64_t)(int64_t)i->off, size, true),
				&what, size);
		}
	}
}

#endif
