/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_HOOK_PROGRAM_H
#define LIB_HOOK_PROGRAM_H
/* Programs that users put into the packet path: out of an ELF object, and proved to be harmless.
 *
 * Both are for input that means harm. The reader believes no offset of the object. The verifier follows every way through the program
 * once, which it can because jumps go forward only, and knows for each register whether it holds a number (between which bounds), a
 * pointer into the context or one into the stack. It refuses what it can not prove:
 *
 * - every read is inside the context or a part of the stack that was written, every write inside the stack;
 * - nothing is called, there is no loop, no division by zero, no shift by more bits than there are;
 * - the result is a number, so no address gets out.
 *
 * It is stricter than that of librte_bpf, which looks at programs a second time (dataplane/hook/): that one is not sound in DPDK 22.11,
 * and takes time by the number of *ways* through a program, which is bounded here, too.
 *
 * Pure; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOOK_OBJECT_MAX (64u * 1024) /* bytes of an ELF object */
#define HOOK_INSNS_MAX 4096u
#define HOOK_STACK_MAX 512u
#define HOOK_REASON_MAX 200

/* As in the object and as librte_bpf and the kernel have it (RFC 9669). */
struct hook_insn {
	uint8_t code;
	uint8_t dst : 4, src : 4;
	int16_t off;
	int32_t imm;
};
_Static_assert(sizeof(struct hook_insn) == 8, "an instruction of eBPF");

struct hook_program {
	struct hook_insn *insns; /* free() */
	uint32_t count;
	uint32_t stack; /* bytes of it that are used. Set by hook_verify() */
};

/* The program in that section; NULL or "": in the only one that has any. 0; -EINVAL with a reason for a person; -ENOMEM. */
int hook_read(const void *object, size_t size, const char *section, struct hook_program *program,
	char reason[HOOK_REASON_MAX]);

/* Is it harmless with a context of so many bytes? 0; -EINVAL with a reason that names the instruction; -ENOMEM. */
int hook_verify(struct hook_program *program, uint32_t context, char reason[HOOK_REASON_MAX]);

#endif
