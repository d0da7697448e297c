/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the program. Jumps go forward, so when an instruction is reached every way to it is known, and what holds on all of them
 * is what each of them says, joined. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hook_program.h"
#include "lib/hook_range.h"

#define REGISTERS 11
#define FRAME 10 /* the register that points behind the stack */
#define SLOTS (HOOK_STACK_MAX / 8)

/* Classes of instructions. */
enum class {
	LD = 0x00,
	LDX = 0x01,
	ST = 0x02,
	STX = 0x03,
	ALU32 = 0x04,
	JMP = 0x05,
	JMP32 = 0x06,
	ALU64 = 0x07,
};
#define BY_REGISTER 0x08
#define MODE_MEM 0x60
#define LD_IMM64 0x18
/* What librte_bpf does not have, and what it gets wrong: leaves the upper bits as they are. */
#define ALU32_ARSH 0xc4
#define TO_LITTLE 0xd4

/* librte_bpf evaluates each way of its own, and costs about so much more at a branch. */
#define BRANCH_WORK 16u
#define WORK_MAX (1u << 20)
/* Farther from its beginning no pointer is of use. */
#define POINTER_MAX 65536

enum type { NOTHING, NUMBER, CONTEXT, STACK };

struct value {
	enum type type;
	struct hook_range range; /* of a pointer: bytes from the beginning, signed */
};

struct slot {
	struct value value;
	uint8_t written; /* which of its bytes */
};

struct state {
	struct value r[REGISTERS];
	struct slot stack[SLOTS];
};

struct verifier {
	struct hook_program *p;
	uint32_t context;
	struct state now;
	bool reached;         /* is `now` that of an instruction? */
	struct state **later; /* by instruction: what is known of those that are jumped to */
	bool *second;         /* by instruction: the second half of one */
	uint32_t pc;
	uint32_t lowest; /* byte of the stack */
	char *reason;
	int error;
};

static bool refuse(struct verifier *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(struct verifier *v, const char *format, ...)
{
	int n = snprintf(v->reason, HOOK_REASON_MAX, "instruction %u ", v->pc);
	va_list ap;

	va_start(ap, format);
	vsnprintf(v->reason + n, HOOK_REASON_MAX - (size_t)n, format, ap);
	va_end(ap);
	v->error = -EINVAL;
	return false;
}

static enum class class_of(const struct hook_insn *i) { return (enum class)(i->code & 0x07); }

static unsigned int size_of(const struct hook_insn *i)
{
	static const uint8_t sizes[] = {4, 2, 1, 8};

	return sizes[i->code >> 3 & 3];
}

static bool is_jump(const struct hook_insn *i)
{
	return class_of(i) == JMP && (i->code & 0xf0) != HOOK_EXIT && (i->code & 0xf0) != HOOK_CALL;
}

static bool is_branch(const struct hook_insn *i)
{
	return is_jump(i) && (i->code & 0xf0) != HOOK_JA;
}

static bool is_exit(const struct hook_insn *i)
{
	return i->code == (JMP | HOOK_EXIT);
}

/* ---- Form ---- */

static bool alu_form(struct verifier *v, const struct hook_insn *i)
{
	unsigned int op = i->code & 0xf0, bits = class_of(i) == ALU64 ? 64 : 32;
	bool constant = (i->code & BY_REGISTER) == 0;

	if (op > HOOK_END || i->off != 0 || (i->code & ~BY_REGISTER) == ALU32_ARSH ||
		i->code == TO_LITTLE || (op == HOOK_NEG && !constant) ||
		(op == HOOK_END && bits == 64))
		return refuse(v, "is none that is known (%#04x): compile with -mcpu=v2", i->code);
	if (i->dst >= FRAME || i->src > FRAME)
		return refuse(v, "writes to r%u", i->dst);
	if (op == HOOK_END && i->imm != 16 && i->imm != 32 && i->imm != 64)
		return refuse(v, "turns %d bits around", i->imm);
	if (constant && (op == HOOK_DIV || op == HOOK_MOD) && i->imm == 0)
		return refuse(v, "divides by zero");
	if (constant && (op == HOOK_LSH || op == HOOK_RSH || op == HOOK_ARSH) &&
		(uint32_t)i->imm >= bits)
		return refuse(v, "shifts by %d bits", i->imm);
	return true;
}

static bool jump_form(struct verifier *v, const struct hook_insn *i)
{
	unsigned int op = i->code & 0xf0;
	int64_t target = (int64_t)v->pc + 1 + i->off;

	if (op == HOOK_CALL)
		return refuse(v, "calls a %s: there is nothing to call",
			i->src == 0 ? "helper" : "function");
	if (op > HOOK_JSLE || i->src > FRAME || i->dst > FRAME ||
		((op == HOOK_JA || op == HOOK_EXIT) && (i->code & BY_REGISTER) != 0))
		return refuse(v, "is none that is known (%#04x)", i->code);
	if (op == HOOK_EXIT)
		return true;
	if (i->off < 0)
		return refuse(v, "jumps backwards: loops are to be unrolled");
	if (target >= v->p->count || v->second[target])
		return refuse(v, "jumps out of the program");
	return true;
}

static bool form(struct verifier *v, const struct hook_insn *i)
{
	switch (class_of(i)) {
	case ALU32:
	case ALU64:
		return alu_form(v, i);
	case JMP:
		return jump_form(v, i);
	case LD:
		if (i->code != LD_IMM64 || i->src != 0 || i->off != 0 || i->dst >= FRAME)
			return refuse(v, "loads something else than a number");
		return v->pc + 1 < v->p->count || refuse(v, "is cut short");
	case LDX:
		if ((i->code & 0xe0) != MODE_MEM || i->dst >= FRAME || i->src > FRAME)
			return refuse(v, "is none that is known (%#04x)", i->code);
		return true;
	case ST:
	case STX:
		if ((i->code & 0xe0) != MODE_MEM || i->dst > FRAME || i->src > FRAME)
			return refuse(
				v, "is none that is known (%#04x), such as an atomic one", i->code);
		return true;
	case JMP32:
		break;
	}
	return refuse(v, "is none that is known (%#04x): compile with -mcpu=v2", i->code);
}

static bool check_form(struct verifier *v)
{
	const struct hook_insn *all = v->p->insns;
	uint32_t count = v->p->count;

	for (uint32_t n = 0; n < count; n++)
		if (all[n].code == LD_IMM64 && n + 1 < count)
			v->second[++n] = true;
	for (v->pc = 0; v->pc < count; v->pc++) {
		const struct hook_insn *i = &all[v->pc];

		if (!v->second[v->pc] && !form(v, i))
			return false;
		if (v->second[v->pc] && (i->code != 0 || i->dst != 0 || i->src != 0 || i->off != 0))
			return refuse(v, "is no second half");
	}
	v->pc = count - 1;
	if (!is_exit(&all[count - 1]) || v->second[count - 1])
		return refuse(v, "is the last and does not return");
	return true;
}

/* The instructions of all ways through the program. */
static bool check_work(struct verifier *v)
{
	uint32_t count = v->p->count;
	uint32_t *work = calloc(count + 1, sizeof(*work));

	if (work == NULL) {
		v->error = -ENOMEM;
		return false;
	}
	for (uint32_t n = count; n-- > 0;) {
		const struct hook_insn *i = &v->p->insns[n];
		uint64_t sum = 1;

		if (is_jump(i))
			sum += work[n + 1 + (uint32_t)i->off];
		if (is_branch(i))
			sum += BRANCH_WORK + work[n + 1];
		if (!is_jump(i) && !is_exit(i))
			sum += work[n + 1];
		work[n] = sum < WORK_MAX ? (uint32_t)sum : WORK_MAX;
	}
	v->pc = 0;
	count = work[0];
	free(work);
	return count < WORK_MAX || refuse(v, "begins too many ways through the program: return "
					     "early, or calculate instead of branching");
}

/* ---- What is known ---- */

static struct value number(uint64_t lo, uint64_t hi)
{
	return (struct value){NUMBER, {lo, hi}};
}

static void join_value(struct value *a, const struct value *b)
{
	bool signs = a->type == CONTEXT;

	if (a->type != b->type ||
		(a->type == STACK && memcmp(&a->range, &b->range, sizeof(a->range)) != 0)) {
		*a = (struct value){.type = NOTHING};
		return;
	}
	if (signs ? (int64_t)b->range.lo < (int64_t)a->range.lo : b->range.lo < a->range.lo)
		a->range.lo = b->range.lo;
	if (signs ? (int64_t)b->range.hi > (int64_t)a->range.hi : b->range.hi > a->range.hi)
		a->range.hi = b->range.hi;
}

static void join(struct state *a, const struct state *b)
{
	for (unsigned int r = 0; r < REGISTERS; r++)
		join_value(&a->r[r], &b->r[r]);
	for (unsigned int s = 0; s < SLOTS; s++) {
		join_value(&a->stack[s].value, &b->stack[s].value);
		a->stack[s].written &= b->stack[s].written;
		if (a->stack[s].value.type == NOTHING)
			a->stack[s].written = 0;
	}
}

/* `state` holds when the program comes to `target` from here. */
static bool go(struct verifier *v, uint32_t target, const struct state *state)
{
	if (v->later[target] != NULL) {
		join(v->later[target], state);
		return true;
	}
	v->later[target] = malloc(sizeof(*state));
	if (v->later[target] == NULL) {
		v->error = -ENOMEM;
		return false;
	}
	*v->later[target] = *state;
	return true;
}

static bool arrive(struct verifier *v)
{
	struct state *known = v->later[v->pc];

	if (known != NULL && v->reached)
		join(&v->now, known);
	else if (known != NULL)
		v->now = *known;
	v->reached |= known != NULL;
	free(known);
	v->later[v->pc] = NULL;
	return v->reached || refuse(v, "is never reached");
}

/* ---- Instructions ---- */

static bool is_set(struct verifier *v, unsigned int r)
{
	return v->now.r[r].type != NOTHING ||
	       refuse(v, "reads r%u, which has no value on every way to it", r);
}

static bool is_number(struct verifier *v, unsigned int r)
{
	return is_set(v, r) && (v->now.r[r].type == NUMBER ||
				       refuse(v, "takes an address, in r%u, for a number", r));
}

/* The operand behind the first. */
static bool operand(struct verifier *v, const struct hook_insn *i, struct value *b)
{
	uint64_t imm = class_of(i) == ALU32 ? (uint32_t)i->imm : (uint64_t)(int64_t)i->imm;

	if ((i->code & BY_REGISTER) == 0) {
		*b = number(imm, imm);
		return true;
	}
	*b = v->now.r[i->src];
	return is_set(v, i->src);
}

/* pointer + number, or pointer - number. */
static bool move_pointer(struct verifier *v, struct value *a, const struct value *b, bool back)
{
	bool constant = b->range.lo == b->range.hi;
	int64_t lo = (int64_t)b->range.lo, hi = (int64_t)b->range.hi;

	if (a->type == STACK && !constant)
		return refuse(v, "moves a pointer into the stack by a number that is not constant");
	if (back && !constant)
		return refuse(v, "takes a number that is not constant from a pointer");
	if (b->type != NUMBER || lo > POINTER_MAX || lo < -POINTER_MAX || hi > POINTER_MAX ||
		hi < lo)
		return refuse(v, "moves a pointer by a number without bounds: mask or compare it");
	if (back)
		lo = hi = -lo;
	lo += (int64_t)a->range.lo;
	hi += (int64_t)a->range.hi;
	if (lo < -POINTER_MAX || hi > POINTER_MAX)
		return refuse(v, "moves a pointer too far");
	a->range = (struct hook_range){(uint64_t)lo, (uint64_t)hi};
	return true;
}

static bool calculate_pointer(
	struct verifier *v, const struct hook_insn *i, struct value *a, struct value *b)
{
	unsigned int op = i->code & 0xf0;

	if (class_of(i) != ALU64 || (op != HOOK_ADD && op != HOOK_SUB) ||
		(a->type != NUMBER && b->type != NUMBER) || (op == HOOK_SUB && a->type == NUMBER))
		return refuse(v, "calculates with an address");
	if (a->type != NUMBER)
		return move_pointer(v, a, b, op == HOOK_SUB);
	if (!move_pointer(v, b, a, false))
		return false;
	*a = *b;
	return true;
}

static bool operands_fit(
	struct verifier *v, unsigned int op, unsigned int bits, const struct value *b)
{
	uint64_t lo = b->range.lo, hi = b->range.hi;

	/* The lower half may be zero if there is an upper one. */
	if ((op == HOOK_DIV || op == HOOK_MOD) && (lo == 0 || (bits == 32 && hi > UINT32_MAX)))
		return refuse(v, "may divide by zero: compare first");
	if ((op == HOOK_LSH || op == HOOK_RSH || op == HOOK_ARSH) && hi >= bits)
		return refuse(v, "may shift by %u bits or more: mask first", bits);
	return true;
}

static bool calculate(struct verifier *v, const struct hook_insn *i)
{
	unsigned int op = i->code & 0xf0, bits = class_of(i) == ALU64 ? 64 : 32;
	struct value *a = &v->now.r[i->dst], b;

	if (op == HOOK_END) {
		if (!is_number(v, i->dst))
			return false;
		*a = number(0, UINT64_MAX >> (64 - i->imm));
		return true;
	}
	if (!operand(v, i, &b) || (op != HOOK_MOV && !is_set(v, i->dst)))
		return false;
	if (op == HOOK_MOV && bits == 64) {
		*a = b;
		return true;
	}
	if (b.type != NUMBER || (op != HOOK_MOV && a->type != NUMBER))
		return calculate_pointer(v, i, a, &b);
	if (!operands_fit(v, op, bits, &b))
		return false;
	*a = (struct value){NUMBER, hook_range_of((enum hook_alu)op, bits, a->range, b.range)};
	return true;
}

/* The bytes that the instruction reads or writes are there. `*at`: the first of them. */
static bool access_fits(struct verifier *v, const struct hook_insn *i, const struct value *pointer,
	bool write, uint32_t *at)
{
	int64_t lo = (int64_t)pointer->range.lo + i->off, hi = (int64_t)pointer->range.hi + i->off;
	int64_t end = pointer->type == CONTEXT ? v->context : HOOK_STACK_MAX;
	unsigned int size = size_of(i);

	if (pointer->type != CONTEXT && pointer->type != STACK)
		return refuse(v, "takes a number for an address");
	if (write && pointer->type == CONTEXT)
		return refuse(v, "writes to the packet's description, which is only to be read");
	if (lo < 0 || hi + size > end)
		return refuse(v, "%s bytes %lld to %lld of %s, which has %lld",
			write ? "writes" : "reads", (long long)lo, (long long)(hi + size - 1),
			pointer->type == CONTEXT ? "the packet's description" : "the stack",
			(long long)end);
	if (pointer->type == STACK && lo % size != 0)
		return refuse(v, "is not aligned in the stack");
	*at = (uint32_t)lo;
	if (pointer->type == STACK && *at < v->lowest)
		v->lowest = *at;
	return true;
}

static uint8_t bytes_of(uint32_t at, unsigned int size)
{
	return (uint8_t)(((1u << size) - 1) << at % 8);
}

static bool load(struct verifier *v, const struct hook_insn *i)
{
	unsigned int size = size_of(i);
	struct value from;
	struct slot *slot;
	uint32_t at;

	if (!is_set(v, i->src) || !access_fits(v, i, &v->now.r[i->src], false, &at))
		return false;
	from = v->now.r[i->src];
	v->now.r[i->dst] = number(0, UINT64_MAX >> (64 - 8 * size));
	if (from.type == CONTEXT)
		return true;
	slot = &v->now.stack[at / 8];
	if ((slot->written & bytes_of(at, size)) != bytes_of(at, size))
		return refuse(v, "reads a part of the stack that was not written on every way");
	if (size == 8)
		v->now.r[i->dst] = slot->value;
	else if (slot->value.type != NUMBER)
		return refuse(v, "reads a part of an address");
	return true;
}

static bool store(struct verifier *v, const struct hook_insn *i)
{
	struct value what = number((uint64_t)(int64_t)i->imm, (uint64_t)(int64_t)i->imm);
	unsigned int size = size_of(i);
	struct slot *slot;
	uint32_t at;

	if (class_of(i) == STX) {
		if (!is_set(v, i->src))
			return false;
		what = v->now.r[i->src];
	}
	if (!is_set(v, i->dst) || !access_fits(v, i, &v->now.r[i->dst], true, &at))
		return false;
	slot = &v->now.stack[at / 8];
	if (size == 8) {
		*slot = (struct slot){what, 0xff};
		return true;
	}
	if (what.type != NUMBER)
		return refuse(v, "writes a part of an address");
	if (slot->value.type != NUMBER)
		slot->written = 0;
	slot->value = number(0, UINT64_MAX);
	slot->written |= bytes_of(at, size);
	return true;
}

static bool branch(struct verifier *v, const struct hook_insn *i)
{
	enum hook_jump op = (enum hook_jump)(i->code & 0xf0);
	struct state taken;
	struct value other, constant;

	if (!is_number(v, i->dst) || !operand(v, i, &other))
		return false;
	if (other.type != NUMBER)
		return refuse(v, "compares an address");
	taken = v->now;
	if ((i->code & BY_REGISTER) == 0) {
		constant = other;
		hook_range_refine(op, true, &taken.r[i->dst].range, &constant.range);
		constant = other;
		hook_range_refine(op, false, &v->now.r[i->dst].range, &constant.range);
	} else if (i->src != i->dst) {
		hook_range_refine(op, true, &taken.r[i->dst].range, &taken.r[i->src].range);
		hook_range_refine(op, false, &v->now.r[i->dst].range, &v->now.r[i->src].range);
	}
	return go(v, v->pc + 1 + (uint32_t)i->off, &taken);
}

static bool step(struct verifier *v, const struct hook_insn *i)
{
	uint64_t wide;

	switch (class_of(i)) {
	case ALU32:
	case ALU64:
		return calculate(v, i);
	case LDX:
		return load(v, i);
	case ST:
	case STX:
		return store(v, i);
	case LD:
		wide = (uint32_t)i[0].imm | (uint64_t)(uint32_t)i[1].imm << 32;
		v->now.r[i->dst] = number(wide, wide);
		return true;
	default:
		break;
	}
	if (is_branch(i))
		return branch(v, i);
	v->reached = false;
	if (is_exit(i))
		return is_number(v, 0);
	return go(v, v->pc + 1 + (uint32_t)i->off, &v->now);
}

static bool follow(struct verifier *v)
{
	v->now.r[1] = (struct value){CONTEXT, {0, 0}};
	v->now.r[FRAME] = (struct value){STACK, {HOOK_STACK_MAX, HOOK_STACK_MAX}};
	v->reached = true;
	v->lowest = HOOK_STACK_MAX;
	for (v->pc = 0; v->pc < v->p->count; v->pc++) {
		if (v->second[v->pc])
			continue;
		if (!arrive(v) || !step(v, &v->p->insns[v->pc]))
			return false;
	}
	v->p->stack = HOOK_STACK_MAX - v->lowest;
	return true;
}

int hook_verify(struct hook_program *program, uint32_t context, char reason[HOOK_REASON_MAX])
{
	struct verifier v = {.p = program, .context = context, .reason = reason};

	reason[0] = '\0';
	if (program->count == 0 || program->count > HOOK_INSNS_MAX)
		return refuse(&v, "is not there"), -EINVAL;
	v.later = calloc(program->count, sizeof(*v.later));
	v.second = calloc(program->count, sizeof(*v.second));
	if (v.later == NULL || v.second == NULL)
		v.error = -ENOMEM;
	else if (check_form(&v) && check_work(&v))
		follow(&v);
	for (uint32_t i = 0; v.later != NULL && i < program->count; i++)
		free(v.later[i]);
	free(v.later);
	free(v.second);
	return v.error;
}
