/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_HOOK_RANGE_H
#define LIB_HOOK_RANGE_H
/* Between which bounds the result of an instruction of eBPF is, given those of its operands: the arithmetic of hook_verify(). Unsigned,
 * both ends included. Pure. */
#include <stdbool.h>
#include <stdint.h>

struct hook_range {
	uint64_t lo, hi;
};

#define HOOK_ANY                                                                                   \
	(struct hook_range)                                                                        \
	{                                                                                          \
		0, UINT64_MAX                                                                      \
	}

/* Operation codes (RFC 9669, tables 4 and 8), the upper four bits. */
enum hook_alu {
	HOOK_ADD = 0x00,
	HOOK_SUB = 0x10,
	HOOK_MUL = 0x20,
	HOOK_DIV = 0x30,
	HOOK_OR = 0x40,
	HOOK_AND = 0x50,
	HOOK_LSH = 0x60,
	HOOK_RSH = 0x70,
	HOOK_NEG = 0x80,
	HOOK_MOD = 0x90,
	HOOK_XOR = 0xa0,
	HOOK_MOV = 0xb0,
	HOOK_ARSH = 0xc0,
	HOOK_END = 0xd0,
};
enum hook_jump {
	HOOK_JA = 0x00,
	HOOK_JEQ = 0x10,
	HOOK_JGT = 0x20,
	HOOK_JGE = 0x30,
	HOOK_JSET = 0x40,
	HOOK_JNE = 0x50,
	HOOK_JSGT = 0x60,
	HOOK_JSGE = 0x70,
	HOOK_CALL = 0x80,
	HOOK_EXIT = 0x90,
	HOOK_JLT = 0xa0,
	HOOK_JLE = 0xb0,
	HOOK_JSLT = 0xc0,
	HOOK_JSLE = 0xd0,
};

/* Of a op b in `bits`, 32 or 64. Shifts are by less than `bits`, divisors are not zero; not for HOOK_END. */
struct hook_range hook_range_of(
	enum hook_alu op, unsigned int bits, struct hook_range a, struct hook_range b);

/* What is known of both after a jump by `a op b` was taken, or was not. Nothing changes when nothing can be said, or when it can not be. */
void hook_range_refine(enum hook_jump op, bool taken, struct hook_range *a, struct hook_range *b);

#endif
