/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on the first packet of a flow. Any thread, under RCU. */
#include <netinet/in.h>

#include "policy/policy_internal.h"

/* Where in a table's spaces the answer is. */
struct probe {
	uint8_t class;
	uint16_t key;
};

struct best {
	const struct rule *rule;
	uint16_t rank;
};

static struct probe probe_make(const struct policy_query *q)
{
	uint16_t icmp = (uint16_t)(q->icmp_type << 8 | q->icmp_code);

	switch (q->protocol) {
	case IPPROTO_TCP:
		return (struct probe){CLASS_TCP, rte_be_to_cpu_16(q->dst_port)};
	case IPPROTO_UDP:
		return (struct probe){CLASS_UDP, rte_be_to_cpu_16(q->dst_port)};
	case IPPROTO_ICMP:
		if (ip_addr_is_v4(&q->remote))
			return (struct probe){CLASS_ICMP, icmp};
		break;
	case IPPROTO_ICMPV6:
		if (!ip_addr_is_v4(&q->remote))
			return (struct probe){CLASS_ICMP6, icmp};
		break;
	}
	/* ICMP of the wrong family is here too: no rule names it, those for any protocol match. */
	return (struct probe){CLASS_OTHER, q->protocol};
}

/* How many of the n ascending keys are <= key. No branch depends on what is compared. */
static uint32_t search(const uint16_t *keys, uint32_t n, uint16_t key)
{
	const uint16_t *at = keys;

	if (n == 0)
		return 0;
	while (n > 1) {
		uint32_t half = n / 2;
		at += at[half] <= key ? half : 0;
		n -= half;
	}
	return (uint32_t)(at - keys) + (*at <= key);
}

static bool named_before(const struct rule *a, const struct rule *b)
{
	if (a->group != b->group)
		return a->group < b->group;
	return atomic_load_explicit(&a->index, memory_order_relaxed) <
	       atomic_load_explicit(&b->index, memory_order_relaxed);
}

static void ask(const struct table *t, struct probe probe, struct best *best)
{
	const struct rule *rule = t->any;
	uint16_t rank = t->any_rank;

	if (t->best_rank > best->rank)
		return;
	uint32_t first = t->first[probe.class];
	uint32_t piece =
		search(table_keys(t) + first, t->first[probe.class + 1] - first, probe.key);
	if (piece > 0) {
		rule = table_rules(t)[first + piece - 1];
		rank = table_ranks(t)[first + piece - 1];
	}
	if (rank < best->rank || (rank == best->rank && rule && named_before(rule, best->rule)))
		*best = (struct best){rule, rank};
}

static void ask_groups(const struct policy_dir *d, const struct policy_query *q, struct probe probe,
	struct best *best)
{
	struct remote_key key = {.direction = (uint8_t)q->direction, .kind = POLICY_REMOTE_GROUP};

	for (uint32_t i = 0; i < q->remote_group_count; i++) {
		key.id = q->remote_groups[i];
		uint32_t slot = shape_find(d->shape, &key);
		if (slot != SLOT_NONE)
			ask(d->tables[slot], probe, best);
	}
}

static struct best best_rule(const struct policy_dir *d, const struct policy_query *q)
{
	struct best best = {NULL, RANK_NONE};
	const struct shape *shape = d->shape;
	struct probe probe = probe_make(q);
	const struct prefix_match *m;

	if (shape->any != SLOT_NONE)
		ask(d->tables[shape->any], probe, &best);
	if (shape->prefixes) {
		m = prefix_map_find(shape->prefixes, &q->remote);
		for (; m; m = prefix_match_next(m))
			ask(d->tables[m->value], probe, &best);
	}
	if (shape->n_groups > 0)
		ask_groups(d, q, probe, &best);
	return best;
}

bool policy_check(
	const struct policy *p, const struct policy_query *q, struct policy_verdict *verdict)
{
	const struct policy_dir *d =
		atomic_load_explicit(&p->dir[q->direction], memory_order_acquire);
	struct best best = {NULL, RANK_NONE};

	if (d)
		best = best_rule(d, q);
	if (!best.rule) {
		*verdict = (struct policy_verdict){
			.allow = q->direction == POLICY_EGRESS,
			.group = POLICY_GROUP_NONE,
		};
		return verdict->allow;
	}
	*verdict = (struct policy_verdict){
		.allow = best.rank & 1,
		.priority = best.rank / 2,
		.group = best.rule->group,
		.rule = atomic_load_explicit(&best.rule->index, memory_order_relaxed),
	};
	return verdict->allow;
}
