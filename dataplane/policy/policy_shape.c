/* SPDX-License-Identifier: Apache-2.0 */
/* From the sources of a policy's groups to what a check reads: which remotes occur and how to find
 * them (the shape), and the table of each. The shape is kept while the remotes stay the same, and
 * so is every table that no changed rule belongs to; a remote that several groups have rules for
 * gets a merged table of this policy's own.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/policy_internal.h"

/* A source of one of the policy's groups, and the others of the same remote. */
struct part {
	struct source *source;
	uint32_t slot;
	uint32_t next; /* part of the same slot, or PART_END */
};

#define PART_END UINT32_MAX

struct compilation {
	struct policy_db *db;
	const struct policy *policy;
	const struct policy_dir *old; /* NULL: none */
	struct part *parts;
	uint32_t n_parts;
	uint32_t *heads; /* first part by slot */
};

/* ---- shape ---- */

static void shape_put(struct shape *s)
{
	if (--s->refs > 0)
		return;
	prefix_map_free(s->prefixes);
	for (uint32_t i = 0; i < s->n_long_lists; i++)
		prefix_set_put(s->long_lists[i].set);
	free(s->long_lists);
	free(s->buckets);
	free(s);
}

static struct shape *shape_alloc(uint32_t max)
{
	uint32_t mask = 1;

	while (mask < max * 3 / 2)
		mask = mask * 2 + 1;
	struct shape *s = calloc(1, sizeof(*s) + max * sizeof(s->keys[0]));
	if (!s)
		return NULL;
	s->refs = 1;
	s->any = SLOT_NONE;
	s->mask = mask;
	s->buckets = malloc(((size_t)mask + 1) * sizeof(*s->buckets));
	if (!s->buckets) {
		free(s);
		return NULL;
	}
	memset(s->buckets, 0xff, ((size_t)mask + 1) * sizeof(*s->buckets));
	return s;
}

static void shape_add(struct shape *s, const struct remote_key *key)
{
	uint32_t i = remote_key_hash(key) & s->mask;

	for (; s->buckets[i] != SLOT_NONE; i = (i + 1) & s->mask)
		if (remote_key_equal(&s->keys[s->buckets[i]], key))
			return;
	s->buckets[i] = s->n;
	if (key->kind == POLICY_REMOTE_ANY)
		s->any = s->n;
	s->n_groups += key->kind == POLICY_REMOTE_GROUP;
	s->n_lists += key->kind == POLICY_REMOTE_PREFIX_LIST;
	s->keys[s->n++] = *key;
}

/* Prefixes that lead to slot; entries NULL: only counts. */
static uint32_t slot_prefixes(const struct policy_db *db, const struct remote_key *key,
	uint32_t slot, struct prefix_map_entry *entries)
{
	const struct prefix_set *set;

	if (key->kind == POLICY_REMOTE_PREFIX) {
		if (entries)
			*entries = (struct prefix_map_entry){{key->addr, key->prefix_len}, slot};
		return 1;
	}
	if (key->kind != POLICY_REMOTE_PREFIX_LIST)
		return 0;
	set = prefix_list_view(db, key->id);
	if (!set || set->map)
		return 0;
	for (uint32_t i = 0; entries && i < set->n; i++)
		entries[i] = (struct prefix_map_entry){set->prefixes[i], slot};
	return set->n;
}

static int shape_map_prefixes(struct shape *s, const struct policy_db *db)
{
	uint64_t n = 0;

	for (uint32_t slot = 0; slot < s->n; slot++)
		n += slot_prefixes(db, &s->keys[slot], slot, NULL);
	if (n == 0)
		return 0;
	if (n > PREFIX_MAP_MAX)
		return -ENOMEM;
	struct prefix_map_entry *entries = malloc(n * sizeof(*entries)), *at = entries;
	if (!entries)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < s->n; slot++)
		at += slot_prefixes(db, &s->keys[slot], slot, at);
	s->prefixes = prefix_map_new(entries, (uint32_t)n);
	free(entries);
	return s->prefixes ? 0 : -ENOMEM;
}

static int shape_take_lists(struct shape *s, const struct policy_db *db)
{
	if (s->n_lists == 0)
		return 0;
	s->long_lists = calloc(s->n_lists, sizeof(*s->long_lists));
	if (!s->long_lists)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < s->n; slot++) {
		struct prefix_set *set = NULL;
		if (s->keys[slot].kind == POLICY_REMOTE_PREFIX_LIST)
			set = prefix_list_view(db, s->keys[slot].id);
		if (!set || !set->map)
			continue;
		set->refs++;
		s->long_lists[s->n_long_lists++] = (struct shape_list){set, slot};
	}
	return 0;
}

static struct shape *shape_new(const struct compilation *c)
{
	struct shape *s = shape_alloc(c->n_parts);

	if (!s)
		return NULL;
	for (uint32_t i = 0; i < c->n_parts; i++)
		shape_add(s, &c->parts[i].source->key);
	if (shape_map_prefixes(s, c->db) || shape_take_lists(s, c->db)) {
		shape_put(s);
		return NULL;
	}
	return s;
}

/* ---- parts ---- */

static int gather_parts(struct compilation *c, enum policy_direction direction)
{
	uint32_t max = 0;

	for (uint32_t g = 0; g < c->policy->n_groups; g++) {
		const struct group_version *v = group_view(c->policy->groups[g]);
		max += v ? v->n_sources : 0;
	}
	if (max == 0)
		return 0;
	c->parts = calloc(max, sizeof(*c->parts));
	c->heads = calloc(max, sizeof(*c->heads));
	if (!c->parts || !c->heads)
		return -ENOMEM;
	for (uint32_t g = 0; g < c->policy->n_groups; g++) {
		const struct group_version *v = group_view(c->policy->groups[g]);
		for (uint32_t i = 0; v && i <= v->mask; i++)
			if (v->sources[i] && v->sources[i]->key.direction == direction)
				c->parts[c->n_parts++].source = v->sources[i];
	}
	return 0;
}

/* Gives each part its slot. False if the shape has not exactly the parts' remotes. */
static bool assign_parts(struct compilation *c, const struct shape *s)
{
	uint32_t filled = 0;

	if (c->n_parts < s->n)
		return false;
	memset(c->heads, 0xff, s->n * sizeof(*c->heads));
	for (uint32_t i = c->n_parts; i-- > 0;) {
		struct part *part = &c->parts[i];
		part->slot = shape_find(s, &part->source->key);
		if (part->slot == SLOT_NONE)
			return false;
		part->next = c->heads[part->slot];
		filled += part->next == PART_END;
		c->heads[part->slot] = i;
	}
	return filled == s->n;
}

/* ---- tables ---- */

static bool same_parents(const struct compilation *c, uint32_t slot, const struct table *t)
{
	struct source **parent = t->parents;
	uint32_t i = c->heads[slot];

	if (!parent)
		return false;
	for (; i != PART_END && *parent == c->parts[i].source; i = c->parts[i].next)
		parent++;
	return i == PART_END && *parent == NULL;
}

/* The table merged for this remote before, if all its sources are the same. */
static struct table *merged_before(
	const struct compilation *c, const struct shape *shape, uint32_t slot)
{
	uint32_t at = slot;

	if (!c->old)
		return NULL;
	if (c->old->shape != shape)
		at = shape_find(c->old->shape, &shape->keys[slot]);
	if (at == SLOT_NONE || !same_parents(c, slot, c->old->tables[at]))
		return NULL;
	return table_ref(c->old->tables[at]);
}

static struct table *merge(const struct compilation *c, uint32_t slot)
{
	uint32_t n_rules = 0, n_parents = 0;

	for (uint32_t i = c->heads[slot]; i != PART_END; i = c->parts[i].next) {
		assert(c->parts[i].source);
		n_rules += c->parts[i].source->n;
		n_parents++;
	}
	assert(n_rules > 0); /* a slot has parts, a source has rules */
	struct rule **rules = malloc(n_rules * sizeof(struct rule *));
	struct source **parents = calloc(n_parents + 1, sizeof(struct source *));
	struct table *t = NULL;
	uint32_t rule = 0, parent = 0;
	if (rules && parents) {
		for (uint32_t i = c->heads[slot]; i != PART_END; i = c->parts[i].next) {
			struct source *s = c->parts[i].source;
			memcpy(&rules[rule], s->rules, s->n * sizeof(struct rule *));
			rule += s->n;
			parents[parent++] = s;
		}
		t = table_new(&c->db->builder, rules, n_rules);
	}
	free(rules);
	if (!t) {
		free(parents);
		return NULL;
	}
	for (parent = 0; parent < n_parents; parent++)
		parents[parent]->refs++;
	t->parents = parents;
	return t;
}

static struct table *slot_table(
	const struct compilation *c, const struct shape *shape, uint32_t slot)
{
	const struct part *part = &c->parts[c->heads[slot]];
	struct table *t;

	if (part->next == PART_END)
		return table_ref(part->source->table);
	t = merged_before(c, shape, slot);
	return t ? t : merge(c, slot);
}

void policy_dir_free(struct policy_dir *d)
{
	if (!d)
		return;
	for (uint32_t slot = 0; slot < d->shape->n; slot++)
		if (d->tables[slot])
			table_put(d->tables[slot]);
	shape_put(d->shape);
	free(d);
}

/* Takes over the reference to shape. */
static struct policy_dir *dir_new(const struct compilation *c, struct shape *shape)
{
	struct policy_dir *d = calloc(1, sizeof(*d) + shape->n * sizeof(struct table *));

	if (!d) {
		shape_put(shape);
		return NULL;
	}
	d->shape = shape;
	for (uint32_t slot = 0; slot < shape->n; slot++) {
		d->tables[slot] = slot_table(c, shape, slot);
		if (!d->tables[slot]) {
			policy_dir_free(d);
			return NULL;
		}
	}
	return d;
}

static int compile_parts(struct compilation *c, bool reshape, struct policy_dir **out)
{
	struct shape *shape;

	if (c->old && !reshape && assign_parts(c, c->old->shape)) {
		shape = c->old->shape;
		shape->refs++;
	} else {
		shape = shape_new(c);
		if (!shape)
			return -ENOMEM;
		assign_parts(c, shape);
	}
	*out = dir_new(c, shape);
	return *out ? 0 : -ENOMEM;
}

int policy_dir_compile(struct policy_db *db, const struct policy *p,
	enum policy_direction direction, bool reshape, struct policy_dir **out)
{
	struct compilation c = {
		.db = db,
		.policy = p,
		.old = atomic_load_explicit(&p->dir[direction], memory_order_relaxed),
	};
	int rc = gather_parts(&c, direction);

	*out = NULL;
	if (!rc && c.n_parts > 0)
		rc = compile_parts(&c, reshape, out);
	free(c.parts);
	free(c.heads);
	return rc;
}
