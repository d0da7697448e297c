/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/hook_range.h"

static uint64_t mask_of(unsigned int bits)
{
	return bits == 64 ? UINT64_MAX : UINT32_MAX;
}

/* Of the lower `bits` of a value in that range. */
static struct hook_range cut(struct hook_range r, uint64_t mask)
{
	return r.hi <= mask ? r : (struct hook_range){0, mask};
}

static bool is_constant(struct hook_range r)
{
	return r.lo == r.hi;
}

/* Both ends are calculated modulo 2^bits. They are those of the result as well if both have gone around equally often. */
static struct hook_range sum(struct hook_range a, struct hook_range b, uint64_t mask)
{
	uint64_t lo = (a.lo + b.lo) & mask, hi = (a.hi + b.hi) & mask;

	return (lo < a.lo) == (hi < a.hi) ? (struct hook_range){lo, hi}
					  : (struct hook_range){0, mask};
}

static struct hook_range difference(struct hook_range a, struct hook_range b, uint64_t mask)
{
	uint64_t lo = (a.lo - b.hi) & mask, hi = (a.hi - b.lo) & mask;

	return (a.lo < b.hi) == (a.hi < b.lo) ? (struct hook_range){lo, hi}
					      : (struct hook_range){0, mask};
}

static struct hook_range product(struct hook_range a, struct hook_range b, uint64_t mask)
{
	uint64_t hi;

	if (__builtin_mul_overflow(a.hi, b.hi, &hi) || hi > mask)
		return (struct hook_range){0, mask};
	return (struct hook_range){a.lo * b.lo, hi};
}

/* All bits that a value up to this may have. */
static uint64_t bits_up_to(uint64_t v)
{
	return v == 0 ? 0 : UINT64_MAX >> __builtin_clzll(v);
}

static struct hook_range left(struct hook_range a, struct hook_range b, uint64_t mask)
{
	if (a.hi > mask >> b.hi)
		return (struct hook_range){0, mask};
	return (struct hook_range){a.lo << b.lo, a.hi << b.hi};
}

static struct hook_range remainder_of(struct hook_range a, struct hook_range b)
{
	if (a.hi < b.lo)
		return a;
	return (struct hook_range){0, a.hi < b.hi - 1 ? a.hi : b.hi - 1};
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct hook_range logic(enum hook_alu op, struct hook_range a, struct hook_range b)
{
	if (is_constant(a) && is_constant(b)) {
		uint64_t v = op == HOOK_AND  ? a.lo & b.lo
			     : op == HOOK_OR ? a.lo | b.lo
					     : a.lo ^ b.lo;

		return (struct hook_range){v, v};
	}
	if (op == HOOK_AND)
		return (struct hook_range){0, smaller(a.hi, b.hi)};
	return (struct hook_range){op == HOOK_OR ? larger(a.lo, b.lo) : 0, bits_up_to(a.hi | b.hi)};
}

struct hook_range hook_range_of(
	enum hook_alu op, unsigned int bits, struct hook_range a, struct hook_range b)
{
	uint64_t mask = mask_of(bits);

	a = cut(a, mask);
	b = cut(b, mask);
	switch (op) {
	case HOOK_MOV:
		return b;
	case HOOK_ADD:
		return sum(a, b, mask);
	case HOOK_SUB:
		return difference(a, b, mask);
	case HOOK_NEG:
		return difference((struct hook_range){0, 0}, a, mask);
	case HOOK_MUL:
		return product(a, b, mask);
	case HOOK_DIV:
		return (struct hook_range){a.lo / b.hi, a.hi / b.lo};
	case HOOK_MOD:
		return remainder_of(a, b);
	case HOOK_LSH:
		return left(a, b, mask);
	case HOOK_ARSH:
		if (a.hi > mask >> 1)
			return (struct hook_range){0, mask};
		/* As without a sign. */
		return (struct hook_range){a.lo >> b.hi, a.hi >> b.lo};
	case HOOK_RSH:
		return (struct hook_range){a.lo >> b.hi, a.hi >> b.lo};
	case HOOK_AND:
	case HOOK_OR:
	case HOOK_XOR:
		return logic(op, a, b);
	case HOOK_END:
		break;
	}
	return HOOK_ANY;
}

static enum hook_jump opposite(enum hook_jump op)
{
	switch (op) {
	case HOOK_JEQ:
		return HOOK_JNE;
	case HOOK_JNE:
		return HOOK_JEQ;
	case HOOK_JGT:
		return HOOK_JLE;
	case HOOK_JLE:
		return HOOK_JGT;
	case HOOK_JGE:
		return HOOK_JLT;
	case HOOK_JLT:
		return HOOK_JGE;
	default:
		return HOOK_JA; /* says nothing */
	}
}

/* Numbers that are positive as signed ones compare as unsigned ones do. */
static enum hook_jump without_sign(
	enum hook_jump op, const struct hook_range *a, const struct hook_range *b)
{
	if (op != HOOK_JSGT && op != HOOK_JSGE && op != HOOK_JSLT && op != HOOK_JSLE)
		return op;
	if (a->hi > INT64_MAX || b->hi > INT64_MAX)
		return HOOK_JA;
	return op == HOOK_JSGT   ? HOOK_JGT
	       : op == HOOK_JSGE ? HOOK_JGE
	       : op == HOOK_JSLT ? HOOK_JLT
				 : HOOK_JLE;
}

static void not_equal(struct hook_range *a, const struct hook_range *b)
{
	if (!is_constant(*b) || is_constant(*a))
		return;
	if (a->lo == b->lo)
		a->lo++;
	if (a->hi == b->lo)
		a->hi--;
}

/* a <= b, or a < b. */
static void ordered(struct hook_range *a, struct hook_range *b, uint64_t by)
{
	if (b->hi >= by)
		a->hi = smaller(a->hi, b->hi - by);
	if (a->lo <= UINT64_MAX - by)
		b->lo = larger(b->lo, a->lo + by);
}

void hook_range_refine(enum hook_jump op, bool taken, struct hook_range *a, struct hook_range *b)
{
	struct hook_range x = *a, y = *b;

	op = without_sign(op, a, b);
	if (!taken)
		op = opposite(op);
	if (op == HOOK_JEQ) {
		x.lo = y.lo = larger(x.lo, y.lo);
		x.hi = y.hi = smaller(x.hi, y.hi);
	} else if (op == HOOK_JNE) {
		not_equal(&x, b);
		not_equal(&y, a);
	} else if (op == HOOK_JLT || op == HOOK_JLE) {
		ordered(&x, &y, op == HOOK_JLT);
	} else if (op == HOOK_JGT || op == HOOK_JGE) {
		ordered(&y, &x, op == HOOK_JGT);
	}
	/* It can not be: that way is never gone, whatever is said of it. */
	if (x.lo > x.hi || y.lo > y.hi)
		return;
	*a = x;
	*b = y;
}
