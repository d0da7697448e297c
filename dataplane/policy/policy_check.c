/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on the first packet of a flow. Any thread, under RCU. */
#include <netinet/in.h>

#include <rte_prefetch.h>

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

/* Which of n >= 1 pieces holds the key. No branch depends on what is compared. */
static const uint16_t *search(const uint16_t *keys, uint32_t n, uint16_t key)
{
	while (n > 1) {
		uint32_t half = n / 2;
		keys += keys[half] <= key ? half : 0;
		n -= half;
	}
	return keys;
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
	const uint16_t *keys = table_keys(t);
	uint32_t piece =
		(uint32_t)(search(keys + t->first[probe.class], t->n[probe.class], probe.key) -
			   keys);
	const struct rule *rule = table_rules(t)[piece];
	uint16_t rank = table_ranks(t)[piece];

	if (__builtin_expect(rank == best->rank && rule && best->rule, 0) &&
		!named_before(rule, best->rule))
		return;
	/* The outcome is hard to predict: conditional moves, so that the next table is looked at meanwhile. */
	best->rule = rank <= best->rank ? rule : best->rule;
	best->rank = rank <= best->rank ? rank : best->rank;
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

/* Tables are fetched some matches ahead: a thousand of them do not stay in the cache. */
#define FETCH_AHEAD 16

static void ask_prefixes(const struct policy_dir *d, const struct policy_query *q,
	struct probe probe, struct best *best)
{
	const struct prefix_match *m = prefix_map_find(d->shape->prefixes, &q->remote);
	const struct table *tables[FETCH_AHEAD];

	while (m) {
		uint32_t n = 0;
		for (; m && n < FETCH_AHEAD; m = prefix_match_next(m)) {
			tables[n] = d->tables[m->value];
			rte_prefetch0(tables[n++]);
		}
		for (uint32_t i = 0; i < n; i++)
			ask(tables[i], probe, best);
	}
}

static void ask_lists(const struct policy_dir *d, const struct policy_query *q, struct probe probe,
	struct best *best)
{
	for (uint32_t i = 0; i < d->shape->n_long_lists; i++) {
		const struct shape_list *list = &d->shape->long_lists[i];
		if (prefix_map_find(list->set->map, &q->remote))
			ask(d->tables[list->slot], probe, best);
	}
}

static struct best best_rule(const struct policy_dir *d, const struct policy_query *q)
{
	struct best best = {NULL, RANK_NONE};
	const struct shape *shape = d->shape;
	struct probe probe = probe_make(q);

	if (shape->any != SLOT_NONE)
		ask(d->tables[shape->any], probe, &best);
	if (shape->prefixes)
		ask_prefixes(d, q, probe, &best);
	ask_lists(d, q, probe, &best);
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
