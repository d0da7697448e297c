/* SPDX-License-Identifier: Apache-2.0 */
/* From an ELF object to something that runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bpf.h>

#include "hook/hook.h"
#include "lib/bytes.h"
#include "vpc/item.h"

#define TRIALS 64
#define FRAME_REGISTER 10

_Static_assert(sizeof(struct hook_insn) == sizeof(struct ebpf_insn), "one form of instructions");

/* librte_bpf forgets to look at the rest of a program whose first instruction branches, and gives a compiled one as much stack as it saw used on
 * the ways that it looked at: here the first instruction never branches, and the lowest part of the stack is used on all ways. */
static uint32_t begin(const struct hook_program *p, struct ebpf_insn *out)
{
	uint32_t stack = (p->stack + 7) / 8 * 8;

	out[0] = (struct ebpf_insn){.code = EBPF_ALU64 | EBPF_MOV | BPF_K, .dst_reg = EBPF_REG_0};
	if (stack == 0)
		return 1;
	out[1] = (struct ebpf_insn){.code = BPF_ST | BPF_MEM | EBPF_DW,
		.dst_reg = FRAME_REGISTER,
		.off = (int16_t) - (int32_t)stack};
	return 2;
}

struct rte_bpf *hook_compile(const struct hook_program *p)
{
	struct ebpf_insn *insns = calloc(p->count + 2, sizeof(*insns));
	struct rte_bpf_prm prm = {
		.prog_arg = {.type = RTE_BPF_ARG_PTR, .size = sizeof(struct vpc_hook)},
	};
	struct rte_bpf *bpf;

	if (insns == NULL)
		return NULL;
	prm.ins = insns;
	prm.nb_ins = begin(p, insns);
	memcpy(&insns[prm.nb_ins], p->insns, p->count * sizeof(*insns));
	prm.nb_ins += p->count;
	bpf = rte_bpf_load(&prm);
	free(insns);
	return bpf;
}

/* Found by comparing it with the interpreter, instruction by instruction (tests/node/test_hook.c): on x86-64 it takes the wrong divisor out of a
 * register in most cases, shifts a register by itself wrongly, and tests bits of constants as if they had eight of them. */
static bool is_compiled_wrong(const struct ebpf_insn *i)
{
	bool alu = BPF_CLASS(i->code) == BPF_ALU || BPF_CLASS(i->code) == EBPF_ALU64;
	unsigned int op = BPF_OP(i->code);

	if (i->code == (BPF_JMP | BPF_JSET | BPF_K))
		return true;
	if (!alu || BPF_SRC(i->code) != BPF_X)
		return false;
	if (op == BPF_DIV || op == BPF_MOD)
		return true;
	return (op == BPF_LSH || op == BPF_RSH || op == EBPF_ARSH) && i->dst_reg == i->src_reg;
}

bool hook_may_compile(const struct hook_program *p)
{
	for (uint32_t n = 0; n < p->count; n++) {
		struct ebpf_insn i;

		memcpy(&i, &p->insns[n], sizeof(i));
		if (is_compiled_wrong(&i))
			return false;
		if (i.code == (BPF_LD | BPF_IMM | EBPF_DW))
			n++;
	}
	return true;
}

/* Descriptions of all sorts, the same ones each time: bytes at random, and few bits, which go other ways through a program. */
static void invent(struct vpc_hook *context, uint64_t *seed)
{
	uint8_t *byte = (uint8_t *)context;
	uint8_t mask = (uint8_t)(*seed >> 56);

	for (size_t i = 0; i < sizeof(*context); i++) {
		*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
		byte[i] = (uint8_t)(*seed >> 56) & mask;
	}
}

uint64_t (*hook_compiled(const struct rte_bpf *bpf, unsigned int n))(void *)
{
	uint64_t seed = 0xfeedfacecafebeefull;
	struct rte_bpf_jit jit = {.func = NULL};

	if (rte_bpf_get_jit(bpf, &jit) != 0 || jit.func == NULL)
		return NULL;
	for (unsigned int i = 0; i < n; i++) {
		struct vpc_hook a, b;

		invent(&a, &seed);
		b = a;
		if (jit.func(&a) != rte_bpf_exec(bpf, &b) || memcmp(&a, &b, sizeof(a)) != 0)
			return NULL;
	}
	return jit.func;
}

static int load(struct hook *h, struct hook_program *p, struct state_error *err)
{
	char reason[HOOK_REASON_MAX];
	int rc = hook_verify(p, sizeof(struct vpc_hook), reason);

	if (rc != 0)
		return rc == -ENOMEM ? item_no_memory(err)
				     : state_fail(err, rc, "the program's %s", reason);
	h->bpf = hook_compile(p);
	if (h->bpf == NULL)
		return state_fail(err, -EINVAL,
			"librte_bpf can not prove that the program is harmless, or there is no "
			"memory");
	h->run = hook_may_compile(p) ? hook_compiled(h->bpf, TRIALS) : NULL;
	return 0;
}

int hook_load(struct hook *h, const char *text, const char *section, struct state_error *err)
{
	struct bytes object = {.data = NULL};
	struct hook_program p = {.insns = NULL};
	char reason[HOOK_REASON_MAX];
	int rc;

	if (!base64_append(&object, text, strlen(text))) {
		bytes_free(&object);
		return state_fail(err, -EINVAL, "the program is no base64");
	}
	rc = hook_read(object.data, object.length, section, &p, reason);
	bytes_free(&object);
	if (rc == -ENOMEM)
		return item_no_memory(err);
	if (rc != 0)
		return state_fail(err, rc, "the object %s", reason);
	rc = load(h, &p, err);
	free(p.insns);
	return rc;
}
