/* SPDX-License-Identifier: Apache-2.0 */
/* From the rules of one remote to a table: rules are painted onto their class's space from the best
 * to the worst, each only where nothing is yet; runs of one colour become pieces. O(n log n).
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/policy_internal.h"

/* Beyond this the edges of ranges are sorted by a bitmap of the space. */
#define BOUNDS_INSERTION 32
#define SPACE 65536u

struct ranked_rule {
	uint64_t order; /* rank, group, index: ascending from the rule that decides */
	const struct rule *rule;
};

struct piece {
	uint16_t key;
	const struct rule *rule;
};

void table_builder_fini(struct table_builder *b)
{
	free(b->ranked);
	free(b->pieces);
	free(b->bounds);
	free(b->skip);
	free(b->winner);
	*b = (struct table_builder){0};
}

static int builder_reserve(struct table_builder *b, uint32_t n)
{
	size_t capacity = 64;

	if (n <= b->capacity)
		return 0;
	while (capacity < n)
		capacity *= 2;
	size_t edges = 2 * capacity + 1;
	table_builder_fini(b);
	b->ranked = malloc(capacity * sizeof(*b->ranked));
	b->pieces = malloc((2 * capacity + CLASS_COUNT + 1) * sizeof(*b->pieces));
	b->bounds = malloc(edges * sizeof(*b->bounds));
	b->skip = malloc(edges * sizeof(*b->skip));
	b->winner = malloc(edges * sizeof(*b->winner));
	if (!b->ranked || !b->pieces || !b->bounds || !b->skip || !b->winner) {
		table_builder_fini(b);
		return -ENOMEM;
	}
	b->capacity = (uint32_t)capacity;
	return 0;
}

static_assert(POLICY_PRIORITY_MAX * 2 + 1 < 1 << 12 && POLICY_GROUP_RULES_MAX <= 1 << 20,
	"rank, group and index fit 64 bits");

static uint64_t rule_order(const struct rule *r)
{
	return (uint64_t)r->spec.rank << 52 | (uint64_t)r->group << 20 | r->next_index;
}

static int ranked_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct ranked_rule *)a)->order,
		 y = ((const struct ranked_rule *)b)->order;

	return (x > y) - (x < y);
}

/* Fills b->ranked, best first. */
static void rank_rules(struct table_builder *b, struct rule *const *rules, uint32_t n)
{
	bool sorted = true;

	for (uint32_t i = 0; i < n; i++) {
		b->ranked[i] = (struct ranked_rule){rule_order(rules[i]), rules[i]};
		if (i > 0 && b->ranked[i].order < b->ranked[i - 1].order)
			sorted = false;
	}
	if (!sorted)
		qsort(b->ranked, n, sizeof(*b->ranked), ranked_compare);
}

/* Inserts into the n ascending bounds unless it is there; returns the new n. */
static uint32_t bounds_insert(uint32_t *bounds, uint32_t n, uint32_t bound)
{
	uint32_t at = n;

	while (at > 0 && bounds[at - 1] > bound)
		at--;
	if (at > 0 && bounds[at - 1] == bound)
		return n;
	memmove(&bounds[at + 1], &bounds[at], (n - at) * sizeof(*bounds));
	bounds[at] = bound;
	return n + 1;
}

/* Where ranges of the class begin and end among the first n ranked rules, ascending, each once. */
static uint32_t collect_bounds(
	struct table_builder *b, uint32_t n, unsigned int class, uint32_t members)
{
	uint64_t bitmap[SPACE / 64];
	uint32_t n_bounds = 0;

	if (members > BOUNDS_INSERTION)
		memset(bitmap, 0, sizeof(bitmap));
	for (uint32_t i = 0; i < n; i++) {
		const struct rule_spec *spec = &b->ranked[i].rule->spec;
		uint32_t edge[2] = {spec->first, spec->last + 1u};
		if (spec->class != class)
			continue;
		for (int e = 0; e < 2; e++) {
			if (edge[e] == SPACE)
				continue;
			if (members > BOUNDS_INSERTION)
				bitmap[edge[e] / 64] |= UINT64_C(1) << edge[e] % 64;
			else
				n_bounds = bounds_insert(b->bounds, n_bounds, edge[e]);
		}
	}
	if (members <= BOUNDS_INSERTION)
		return n_bounds;
	for (uint32_t word = 0; word < SPACE / 64; word++)
		for (uint64_t bits = bitmap[word]; bits; bits &= bits - 1)
			b->bounds[n_bounds++] = word * 64 + (uint32_t)__builtin_ctzll(bits);
	return n_bounds;
}

/* The place of a bound that is there. */
static uint32_t bounds_find(const uint32_t *bounds, uint32_t n, uint32_t bound)
{
	uint32_t lo = 0;

	while (n > 1) {
		uint32_t half = n / 2;
		lo += bounds[lo + half] <= bound ? half : 0;
		n -= half;
	}
	return lo;
}

/* First unpainted segment from i on; skip[i] leads towards it. */
static uint32_t unpainted(uint32_t *skip, uint32_t i)
{
	while (skip[i] != i) {
		skip[i] = skip[skip[i]];
		i = skip[i];
	}
	return i;
}

/* Paints the class's rules among the first n ranked ones onto the segments between bounds. */
static void paint(struct table_builder *b, uint32_t n, unsigned int class, uint32_t n_bounds)
{
	for (uint32_t i = 0; i < n_bounds; i++) {
		b->skip[i] = i;
		b->winner[i] = NULL;
	}
	b->skip[n_bounds] = n_bounds;
	for (uint32_t i = 0; i < n; i++) {
		const struct rule *r = b->ranked[i].rule;
		if (r->spec.class != class)
			continue;
		uint32_t end = r->spec.last + 1u == SPACE
				       ? n_bounds
				       : bounds_find(b->bounds, n_bounds, r->spec.last + 1u);
		uint32_t s = unpainted(b->skip, bounds_find(b->bounds, n_bounds, r->spec.first));
		for (; s < end; s = unpainted(b->skip, s)) {
			b->winner[s] = r;
			b->skip[s] = s + 1;
		}
	}
}

/* Appends the pieces of a class; `any` (may be NULL) decides where none of the first n ranked rules
 * does. Returns the new number of pieces. */
static uint32_t cut_class(struct table_builder *b, uint32_t n, unsigned int class, uint32_t members,
	const struct rule *any, uint32_t n_pieces)
{
	uint32_t n_bounds = collect_bounds(b, n, class, members);
	const struct rule *before = any;

	paint(b, n, class, n_bounds);
	if (n_bounds == 0 || b->bounds[0] > 0)
		b->pieces[n_pieces++] = (struct piece){0, any};
	for (uint32_t i = 0; i < n_bounds; i++) {
		const struct rule *r = b->winner[i] ? b->winner[i] : any;
		if (r != before || b->bounds[i] == 0)
			b->pieces[n_pieces++] = (struct piece){(uint16_t)b->bounds[i], r};
		before = r;
	}
	return n_pieces;
}

/* Fills the header's ranges and b->pieces from the first n ranked rules, those better than `any`. */
static void cut_classes(
	struct table_builder *b, uint32_t n, const struct rule *any, struct table *header)
{
	uint32_t members[CLASS_COUNT] = {0};

	for (uint32_t i = 0; i < n; i++)
		members[b->ranked[i].rule->spec.class]++;
	b->pieces[0] = (struct piece){0, any};
	header->n_pieces = 1;
	for (unsigned int class = 0; class < CLASS_COUNT; class ++) {
		uint32_t first = header->n_pieces;
		header->n[class] = 1;
		if (members[class] == 0)
			continue;
		header->n_pieces = cut_class(b, n, class, members[class], any, first);
		header->first[class] = first;
		header->n[class] = header->n_pieces - first;
	}
}

struct table *table_new(struct table_builder *b, struct rule *const *rules, uint32_t n)
{
	struct table header = {.refs = 1}, *t;
	const struct rule *any = NULL;
	uint32_t better = 0;

	if (builder_reserve(b, n))
		return NULL;
	rank_rules(b, rules, n);
	/* The best rule for any protocol covers everything: no rule after it matters. */
	while (better < n && b->ranked[better].rule->spec.class != CLASS_ANY)
		better++;
	if (better < n)
		any = b->ranked[better].rule;
	cut_classes(b, better, any, &header);
	t = malloc(table_size(header.n_pieces));
	if (!t)
		return NULL;
	*t = header;
	for (uint32_t i = 0; i < t->n_pieces; i++) {
		const struct rule *r = b->pieces[i].rule;
		table_keys(t)[i] = b->pieces[i].key;
		table_ranks(t)[i] = r ? r->spec.rank : RANK_NONE;
		table_rules(t)[i] = r;
	}
	return t;
}

struct table *table_ref(struct table *t)
{
	t->refs++;
	return t;
}

void table_put(struct table *t)
{
	if (--t->refs > 0)
		return;
	for (struct source **p = t->parents; p && *p; p++)
		source_put(*p);
	free(t->parents);
	free(t);
}
