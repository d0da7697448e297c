/* SPDX-License-Identifier: Apache-2.0 */
/* Security groups: versions of their lists of rules.
 *
 * A new version keeps the rules that stay (rule_diff) and, of every remote that neither lost nor
 * gained a rule, the source with its table. So one changed rule among thousands compiles one table,
 * and places that shift in the list compile none: a table names rules, and a rule knows its place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy_internal.h"

static uint32_t group_hash(uint32_t id)
{
	return hash_fold(hash_mix(0, id));
}

static struct group *group_find(const struct policy_db *db, uint32_t id)
{
	struct hash_node *node = hash_table_find(&db->groups, group_hash(id));

	for (; node; node = hash_node_same(node)) {
		struct group *g = HASH_OBJECT(node, struct group, node);
		if (g->id == id)
			return g;
	}
	return NULL;
}

struct group *group_take(struct policy_db *db, uint32_t id)
{
	struct group *g = group_find(db, id);

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->id = id;
	hash_table_insert(&db->groups, &g->node, group_hash(id));
	return g;
}

void group_release(struct policy_db *db, struct group *g)
{
	if (g->holders > 0 || g->live || g->staged)
		return;
	hash_table_remove(&db->groups, &g->node);
	free(g);
}

/* ---- versions ---- */

static struct group_version *version_alloc(uint32_t n_rules, uint32_t max_sources)
{
	uint32_t mask = 1;

	while (mask < max_sources * 3 / 2)
		mask = mask * 2 + 1;
	struct group_version *v =
		calloc(1, sizeof(*v) + ((size_t)mask + 1) * sizeof(v->sources[0]));
	if (!v)
		return NULL;
	v->mask = mask;
	v->n_rules = n_rules;
	v->rules = calloc(n_rules, sizeof(struct rule *));
	if (!v->rules) {
		free(v);
		return NULL;
	}
	return v;
}

void source_put(struct source *s)
{
	if (--s->refs > 0)
		return;
	if (s->table)
		table_put(s->table);
	free(s);
}

void group_version_free(struct group_version *v)
{
	if (!v)
		return;
	for (uint32_t i = 0; i <= v->mask; i++)
		if (v->sources[i])
			source_put(v->sources[i]);
	for (uint32_t i = 0; i < v->n_rules; i++)
		if (v->rules[i] && --v->rules[i]->refs == 0)
			free(v->rules[i]);
	free(v->rules);
	free(v);
}

/* Where the key's source is or belongs. */
static uint32_t version_slot(const struct group_version *v, const struct remote_key *key)
{
	uint32_t i = remote_key_hash(key) & v->mask;

	while (v->sources[i] && !remote_key_equal(&v->sources[i]->key, key))
		i = (i + 1) & v->mask;
	return i;
}

const struct source *group_version_find(const struct group_version *v, const struct remote_key *key)
{
	return v ? v->sources[version_slot(v, key)] : NULL;
}

/* ---- staging ---- */

/* A remote that lost or gained rules, and the rules it has now. */
struct touched {
	const struct remote_key *key;
	uint32_t n;
	struct source *source; /* its new one; NULL while n is 0 */
};

struct touched_set {
	uint32_t mask;
	uint32_t n;
	struct touched slots[];
};

static struct touched *touched_find(struct touched_set *set, const struct remote_key *key)
{
	uint32_t i = remote_key_hash(key) & set->mask;

	while (set->slots[i].key && !remote_key_equal(set->slots[i].key, key))
		i = (i + 1) & set->mask;
	return &set->slots[i];
}

static struct touched_set *touched_alloc(uint32_t max)
{
	uint32_t mask = 1;

	while (mask < max * 3 / 2)
		mask = mask * 2 + 1;
	struct touched_set *set =
		calloc(1, sizeof(*set) + ((size_t)mask + 1) * sizeof(set->slots[0]));
	if (set)
		set->mask = mask;
	return set;
}

static void touch(struct touched_set *set, struct group *g, const struct rule *r)
{
	struct touched *t = touched_find(set, &r->spec.key);

	if (!t->key) {
		t->key = &r->spec.key;
		set->n++;
	}
	g->touched[r->spec.key.direction] = true;
}

/* Touches the remotes of all rules that only one of the two versions has. */
static struct touched_set *touched_make(struct group *g, const uint32_t *match, uint32_t added)
{
	const struct group_version *live = g->live, *next = g->next;
	uint32_t n_live = live ? live->n_rules : 0, kept = next->n_rules - added, at = 0;
	struct touched_set *set = touched_alloc(added + n_live - kept);

	if (!set)
		return NULL;
	for (uint32_t i = 0; i < next->n_rules; i++) {
		if (match[i] == RULE_NEW) {
			touch(set, g, next->rules[i]);
			continue;
		}
		/* Matches ascend: what they skip is gone. */
		for (; at < match[i]; at++)
			touch(set, g, live->rules[at]);
		at++;
	}
	for (; at < n_live; at++)
		touch(set, g, live->rules[at]);
	return set;
}

/* Makes the new sources of what is touched, with their tables. */
static int touched_compile(
	struct policy_db *db, struct touched_set *set, const struct group_version *next)
{
	for (uint32_t i = 0; i < next->n_rules; i++) {
		struct touched *t = touched_find(set, &next->rules[i]->spec.key);
		t->n += t->key != NULL;
	}
	for (uint32_t i = 0; i <= set->mask; i++) {
		struct touched *t = &set->slots[i];
		if (t->n == 0)
			continue;
		t->source = calloc(1, sizeof(*t->source) + t->n * sizeof(struct rule *));
		if (!t->source)
			return -ENOMEM;
		t->source->key = *t->key;
		t->source->refs = 1;
	}
	for (uint32_t i = 0; i < next->n_rules; i++) {
		struct touched *t = touched_find(set, &next->rules[i]->spec.key);
		if (t->key)
			t->source->rules[t->source->n++] = next->rules[i];
	}
	for (uint32_t i = 0; i <= set->mask; i++) {
		struct source *s = set->slots[i].source;
		if (!s)
			continue;
		s->table = table_new(&db->builder, s->rules, s->n);
		if (!s->table)
			return -ENOMEM;
	}
	return 0;
}

static void touched_free(struct touched_set *set)
{
	for (uint32_t i = 0; set && i <= set->mask; i++)
		if (set->slots[i].source)
			source_put(set->slots[i].source);
	free(set);
}

static void version_add(struct group_version *v, struct source *s)
{
	v->sources[version_slot(v, &s->key)] = s;
	s->refs++;
	v->n_sources++;
}

/* The sources of next: the new ones, and those of live that nothing touched. */
static void version_link(
	struct group_version *next, const struct group_version *live, struct touched_set *set)
{
	for (uint32_t i = 0; i <= set->mask; i++)
		if (set->slots[i].source)
			version_add(next, set->slots[i].source);
	for (uint32_t i = 0; live && i <= live->mask; i++)
		if (live->sources[i] && !touched_find(set, &live->sources[i]->key)->key)
			version_add(next, live->sources[i]);
}

static struct rule *rule_new(const struct rule_spec *spec, uint32_t group, uint32_t index)
{
	struct rule *r = malloc(sizeof(*r));

	if (r)
		*r = (struct rule){.spec = *spec, .group = group, .index = index};
	return r;
}

/* Fills next's list: rules of live where match says so, else new ones. */
static int version_fill(struct group_version *next, const struct group_version *live,
	const struct rule_spec *specs, const uint32_t *match, uint32_t group)
{
	for (uint32_t i = 0; i < next->n_rules; i++) {
		struct rule *r = !live || match[i] == RULE_NEW ? rule_new(&specs[i], group, i)
							       : live->rules[match[i]];
		if (!r)
			return -ENOMEM;
		r->next_index = i;
		r->refs++;
		next->rules[i] = r;
	}
	return 0;
}

static void reset_next_indexes(struct group_version *live)
{
	for (uint32_t i = 0; live && i < live->n_rules; i++)
		live->rules[i]->next_index = i;
}

void group_unstage(struct group *g)
{
	if (!g->staged)
		return;
	group_version_free(g->next);
	reset_next_indexes(g->live);
	g->next = NULL;
	g->staged = false;
	memset(g->touched, 0, sizeof(g->touched));
}

/* Builds g->next, which is NULL, from specs. */
static int stage_version(struct policy_db *db, struct group *g, const struct rule_spec *specs,
	const uint32_t *match, uint32_t n)
{
	uint32_t live_sources = g->live ? g->live->n_sources : 0, added = 0;
	struct touched_set *set = NULL;
	int rc;

	for (uint32_t i = 0; i < n; i++)
		added += match[i] == RULE_NEW;
	g->next = version_alloc(n, live_sources + added);
	if (!g->next)
		return -ENOMEM;
	rc = version_fill(g->next, g->live, specs, match, g->id);
	if (!rc && !(set = touched_make(g, match, added)))
		rc = -ENOMEM;
	if (!rc)
		rc = touched_compile(db, set, g->next);
	if (!rc)
		version_link(g->next, g->live, set);
	touched_free(set);
	return rc;
}

static bool nothing_changes(const struct group *g, const uint32_t *match, uint32_t n)
{
	if (!g->live || g->live->n_rules != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (match[i] != i)
			return false;
	return true;
}

static int stage_rules(
	struct policy_db *db, struct group *g, const struct rule_spec *specs, uint32_t n)
{
	struct rule **old = g->live ? g->live->rules : NULL;
	uint32_t n_old = g->live ? g->live->n_rules : 0;
	uint32_t *match = malloc(n * sizeof(*match));
	int rc = match ? rule_diff(old, n_old, specs, n, match) : -ENOMEM;

	if (!rc && !nothing_changes(g, match, n)) {
		g->staged = true;
		rc = stage_version(db, g, specs, match, n);
		if (rc)
			group_unstage(g);
	}
	free(match);
	return rc;
}

/* Stages that the group has no rules. */
static void stage_empty(struct group *g)
{
	if (!g->live)
		return;
	g->staged = true;
	for (uint32_t i = 0; i < g->live->n_rules; i++)
		g->touched[g->live->rules[i]->spec.key.direction] = true;
}

static int specs_make(
	struct policy_db *db, struct rule_spec *specs, const struct policy_rule *rules, uint32_t n)
{
	char reason[128];

	for (uint32_t i = 0; i < n; i++) {
		if (rule_spec_make(&specs[i], &rules[i], reason, sizeof(reason)) == 0)
			continue;
		snprintf(db->error, sizeof(db->error), "rule %u: %s", i, reason);
		return -EINVAL;
	}
	return 0;
}

int policy_group_set(struct policy_db *db, uint32_t id, const struct policy_rule *rules, uint32_t n)
{
	db->error[0] = '\0';
	if (n == 0)
		return policy_group_del(db, id);
	if (id == POLICY_GROUP_NONE || n > POLICY_GROUP_RULES_MAX) {
		snprintf(db->error, sizeof(db->error), "%s",
			n > POLICY_GROUP_RULES_MAX ? "too many rules" : "no valid group");
		return -EINVAL;
	}
	struct rule_spec *specs = malloc(n * sizeof(*specs));
	int rc = specs ? specs_make(db, specs, rules, n) : -ENOMEM;
	struct group *g = rc ? NULL : group_take(db, id);
	if (!rc && !g)
		rc = -ENOMEM;
	if (!rc) {
		group_unstage(g);
		rc = stage_rules(db, g, specs, n);
		group_release(db, g);
	}
	free(specs);
	return rc;
}

int policy_group_del(struct policy_db *db, uint32_t id)
{
	struct group *g = group_find(db, id);

	db->error[0] = '\0';
	if (!g)
		return 0;
	group_unstage(g);
	stage_empty(g);
	group_release(db, g);
	return 0;
}

void group_commit(struct group *g)
{
	for (uint32_t i = 0; g->next && i < g->next->n_rules; i++)
		atomic_store_explicit(&g->next->rules[i]->index, i, memory_order_relaxed);
	g->live = g->next;
	g->next = NULL;
	g->staged = false;
	memset(g->touched, 0, sizeof(g->touched));
}
