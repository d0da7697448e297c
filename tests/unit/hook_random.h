/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HOOK_RANDOM_H
#define TESTS_UNIT_HOOK_RANDOM_H
/* Programs for hooks: instructions as literals, and programs at random, of which the verifier takes some. */
#include <stdint.h>
#include <string.h>

#include "lib/hook_program.h"

#define ALU(op, dst_, imm_)                                                                        \
	{                                                                                          \
		.code = 0x07 | (op), .dst = dst_, .imm = imm_                                      \
	}
#define ALU_X(op, dst_, src_)                                                                      \
	{                                                                                          \
		.code = 0x0f | (op), .dst = dst_, .src = src_                                      \
	}
#define MOV(dst_, imm_) ALU(0xb0, dst_, imm_)
#define MOV_X(dst_, src_) ALU_X(0xb0, dst_, src_)
/* size: W 0x00, H 0x08, B 0x10, DW 0x18 */
#define LOAD(size, dst_, src_, off_)                                                               \
	{                                                                                          \
		.code = 0x61 | (size), .dst = dst_, .src = src_, .off = off_                       \
	}
#define STORE(size, dst_, off_, imm_)                                                              \
	{                                                                                          \
		.code = 0x62 | (size), .dst = dst_, .off = off_, .imm = imm_                       \
	}
#define STORE_X(size, dst_, off_, src_)                                                            \
	{                                                                                          \
		.code = 0x63 | (size), .dst = dst_, .src = src_, .off = off_                       \
	}
#define JUMP(op, dst_, imm_, off_)                                                                 \
	{                                                                                          \
		.code = 0x05 | (op), .dst = dst_, .off = off_, .imm = imm_                         \
	}
#define JUMP_X(op, dst_, src_, off_)                                                               \
	{                                                                                          \
		.code = 0x0d | (op), .dst = dst_, .src = src_, .off = off_                         \
	}
#define EXIT                                                                                       \
	{                                                                                          \
		.code = 0x95                                                                       \
	}
#define CALL(n)                                                                                    \
	{                                                                                          \
		.code = 0x85, .imm = n                                                             \
	}

static inline uint32_t hook_dice(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33) % n;
}

static inline int32_t hook_random_imm(uint64_t *seed)
{
	static const int32_t some[] = {0, 1, -1, 7, 8, 31, 32, 63, 64, 127, 191, 255, 256, 0xffff,
		INT32_MAX, INT32_MIN, -8, -128};

	return hook_dice(seed, 4) == 0
		       ? (int32_t)(hook_dice(seed, 65536) << 16 | hook_dice(seed, 65536))
		       : some[hook_dice(seed, sizeof(some) / sizeof(some[0]))];
}

static inline struct hook_insn hook_random_alu(uint64_t *seed)
{
	struct hook_insn i = {.code = (uint8_t)(hook_dice(seed, 14) << 4 | hook_dice(seed, 2) << 3 |
						(hook_dice(seed, 3) == 0 ? 4 : 7)),
		.dst = (uint8_t)hook_dice(seed, 10) & 15};

	if ((i.code & 0xf0) == 0xd0) {
		static const int32_t widths[] = {16, 32, 64};

		i.code = 0xdc;
		i.imm = widths[hook_dice(seed, 3)];
	} else if ((i.code & 0xf0) == 0x80) {
		i.code &= (uint8_t)~8;
	} else if (i.code & 8) {
		i.src = (uint8_t)hook_dice(seed, 11) & 15;
	} else {
		i.imm = hook_random_imm(seed);
		if ((i.code & 0xf0) == 0x60 || (i.code & 0xf0) == 0x70 || (i.code & 0xf0) == 0xc0)
			i.imm &= 31;
	}
	return i;
}

static inline struct hook_insn hook_random_jump(uint64_t *seed, uint32_t left)
{
	static const uint8_t ops[] = {
		0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0};
	struct hook_insn i = {.code = (uint8_t)(5 | ops[hook_dice(seed, sizeof(ops))]),
		.dst = (uint8_t)hook_dice(seed, 10) & 15,
		.off = (int16_t)hook_dice(seed, left < 8 ? left : 8)};

	if (hook_dice(seed, 2) == 0) {
		i.code |= 8;
		i.src = (uint8_t)hook_dice(seed, 10) & 15;
	} else {
		i.imm = hook_random_imm(seed);
	}
	return i;
}

/* An access to the context or the stack, also by a register that was calculated. */
static inline struct hook_insn hook_random_memory(uint64_t *seed)
{
	static const uint8_t sizes[] = {0x00, 0x08, 0x10, 0x18};
	uint8_t size = sizes[hook_dice(seed, 4)];
	struct hook_insn i = {.dst = (uint8_t)hook_dice(seed, 10) & 15};

	switch (hook_dice(seed, 4)) {
	case 0:
		i.code = 0x63 | size;
		i.src = i.dst;
		i.dst = 10;
		i.off = (int16_t)(-8 * (int)(1 + hook_dice(seed, 4)));
		return i;
	case 1:
		i.code = 0x61 | size;
		i.src = 10;
		i.off = (int16_t)(-8 * (int)(1 + hook_dice(seed, 4)));
		return i;
	default:
		i.code = 0x61 | size;
		i.src = hook_dice(seed, 2) ? 1 : (uint8_t)hook_dice(seed, 10) & 15;
		i.off = (int16_t)hook_dice(seed, 216);
		return i;
	}
}

/* Fills `insns`, returns how many. All registers have a value at first, r6 points into the context behind a number from the packet. */
static inline uint32_t hook_random_program(struct hook_insn *insns, uint32_t room, uint64_t *seed)
{
	static const struct hook_insn first[] = {MOV(0, 1), LOAD(0x10, 2, 1, 40),
		LOAD(0x00, 3, 1, 0), LOAD(0x18, 4, 1, 28), MOV(5, -1), MOV_X(6, 2),
		ALU_X(0x00, 6, 1), MOV(7, 100), ALU(0xb0, 8, 5), LOAD(0x08, 9, 1, 20),
		STORE(0x18, 10, -8, 3), STORE(0x18, 10, -16, 4)};
	uint32_t n = sizeof(first) / sizeof(first[0]), last = n + 4 + hook_dice(seed, room - n - 6);

	memcpy(insns, first, sizeof(first));
	for (; n < last; n++) {
		uint32_t what = hook_dice(seed, 10);

		insns[n] = what < 5   ? hook_random_alu(seed)
			   : what < 7 ? hook_random_jump(seed, last - n)
				      : hook_random_memory(seed);
	}
	insns[n++] = (struct hook_insn)MOV_X(0, (hook_dice(seed, 10) & 15));
	insns[n++] = (struct hook_insn)EXIT;
	return n;
}

/* The shortest ELF object with that program, in section 1, which has no name. Returns its size; `out` has room. */
#define HOOK_OBJECT_HEAD 192u
static inline size_t hook_object(uint8_t *out, const struct hook_insn *insns, uint32_t n)
{
	static const uint8_t head[64] = {0x7f, 'E', 'L', 'F', 2, 1,
		1, [16] = 1, [18] = 247, [20] = 1, [40] = 64, [52] = 64, [58] = 64, [60] = 2};
	uint64_t offset = HOOK_OBJECT_HEAD, size = n * sizeof(*insns);

	memset(out, 0, HOOK_OBJECT_HEAD);
	memcpy(out, head, sizeof(head));
	out[128 + 4] = 1;
	out[128 + 8] = 6;
	memcpy(out + 128 + 24, &offset, 8);
	memcpy(out + 128 + 32, &size, 8);
	memcpy(out + HOOK_OBJECT_HEAD, insns, size);
	return HOOK_OBJECT_HEAD + size;
}

#endif
