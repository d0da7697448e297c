/* SPDX-License-Identifier: Apache-2.0 */
/* Policies, interned by their groups, and the transactions that change them. */
#include <errno.h>
#include <stdlib.h>

#include "policy/group_set.h"
#include "policy/policy_internal.h"

struct policy_db *policy_db_new(const struct policy_hooks *hooks)
{
	struct policy_db *db = calloc(1, sizeof(*db));

	if (!db)
		goto fail;
	db->hooks = *hooks;
	if (hash_table_init(&db->groups) || hash_table_init(&db->prefix_lists) ||
		hash_table_init(&db->policies))
		goto fail;
	return db;
fail:
	if (db) {
		hash_table_fini(&db->groups);
		hash_table_fini(&db->prefix_lists);
		free(db);
	}
	errno = ENOMEM;
	return NULL;
}

void policy_db_free(struct policy_db *db)
{
	struct hash_node *node, *next;

	if (!db)
		return;
	policy_db_abort(db);
	for (node = hash_table_next(&db->groups, NULL); node; node = next) {
		struct group *g = HASH_OBJECT(node, struct group, node);
		next = hash_table_next(&db->groups, node);
		group_version_free(g->live);
		free(g);
	}
	for (node = hash_table_next(&db->prefix_lists, NULL); node; node = next) {
		next = hash_table_next(&db->prefix_lists, node);
		prefix_list_free(HASH_OBJECT(node, struct prefix_list, node));
	}
	hash_table_fini(&db->groups);
	hash_table_fini(&db->prefix_lists);
	hash_table_fini(&db->policies);
	table_builder_fini(&db->builder);
	free(db);
}

const char *policy_db_error(const struct policy_db *db)
{
	return db->error;
}

static void defer(struct policy_db *db, void (*fn)(void *), void *arg)
{
	if (db->hooks.defer)
		db->hooks.defer(fn, arg);
	else
		fn(arg);
}

/* ---- policies ---- */

void policy_tag_set(struct policy *policy, uint32_t tag)
{
	policy->tag = tag;
}

uint32_t policy_tag(const struct policy *policy)
{
	return policy->tag;
}

static bool policy_is_of(const struct policy *p, const uint32_t *ids, uint32_t n)
{
	if (p->n_groups != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (p->groups[i]->id != ids[i])
			return false;
	return true;
}

static struct policy *policy_find(const struct policy_db *db, const uint32_t *ids, uint32_t n)
{
	struct hash_node *node = hash_table_find(&db->policies, group_ids_hash(ids, n));

	for (; node; node = hash_node_same(node)) {
		struct policy *p = HASH_OBJECT(node, struct policy, node);
		if (policy_is_of(p, ids, n))
			return p;
	}
	return NULL;
}

static void policy_release_groups(struct policy *p)
{
	for (uint32_t i = 0; i < p->n_groups; i++) {
		p->groups[i]->holders--;
		group_release(p->db, p->groups[i]);
	}
}

static void policy_unstage(struct policy *p)
{
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		policy_dir_free(p->next[d]);
		p->next[d] = NULL;
		p->staged[d] = false;
	}
}

/* A new policy of these groups; errno says why not. */
static struct policy *policy_new(struct policy_db *db, const uint32_t *ids, uint32_t n)
{
	struct policy *p = calloc(1, sizeof(*p) + n * sizeof(struct group *));
	int rc = -ENOMEM;

	if (!p)
		goto fail;
	p->db = db;
	p->refs = 1;
	p->fresh = true;
	for (; p->n_groups < n; p->n_groups++) {
		struct group *g = group_take(db, ids[p->n_groups]);
		if (!g)
			goto fail;
		g->holders++;
		p->groups[p->n_groups] = g;
	}
	rc = db->hooks.created ? db->hooks.created(db->hooks.arg, p) : 0;
	if (rc)
		goto fail;
	hash_table_insert(&db->policies, &p->node, group_ids_hash(ids, n));
	return p;
fail:
	if (p)
		policy_release_groups(p);
	free(p);
	errno = -rc;
	return NULL;
}

struct policy *policy_get(struct policy_db *db, const uint32_t *groups, uint32_t n)
{
	uint32_t *ids = malloc((n + 1) * sizeof(*ids));
	struct policy *p;

	if (!ids) {
		errno = ENOMEM;
		return NULL;
	}
	if (n > 0)
		memcpy(ids, groups, n * sizeof(*ids));
	n = group_ids_normalise(ids, n);
	p = policy_find(db, ids, n);
	if (p)
		p->refs++;
	else
		p = policy_new(db, ids, n);
	free(ids);
	return p;
}

struct policy *policy_ref(struct policy *policy)
{
	policy->refs++;
	return policy;
}

static void policy_reclaim(void *arg)
{
	struct policy *p = arg;

	for (int d = 0; d < POLICY_DIRECTIONS; d++)
		policy_dir_free(atomic_load_explicit(&p->dir[d], memory_order_relaxed));
	free(p);
}

void policy_put(struct policy_db *db, struct policy *policy)
{
	if (--policy->refs > 0)
		return;
	hash_table_remove(&db->policies, &policy->node);
	policy_unstage(policy);
	policy_release_groups(policy);
	if (db->hooks.freed)
		db->hooks.freed(db->hooks.arg, policy);
	defer(db, policy_reclaim, policy);
}

/* ---- transactions ---- */

static struct policy *next_policy(const struct policy_db *db, const struct policy *p)
{
	struct hash_node *node = hash_table_next(&db->policies, p ? &p->node : NULL);

	return node ? HASH_OBJECT(node, struct policy, node) : NULL;
}

static bool groups_touch(const struct policy *p, int direction)
{
	for (uint32_t i = 0; i < p->n_groups; i++)
		if (p->groups[i]->touched[direction])
			return true;
	return false;
}

static bool any_list_staged(const struct policy_db *db)
{
	struct hash_node *node = hash_table_next(&db->prefix_lists, NULL);

	for (; node; node = hash_table_next(&db->prefix_lists, node))
		if (HASH_OBJECT(node, struct prefix_list, node)->staged)
			return true;
	return false;
}

/* A prefix list in use by this direction of p is about to change. */
static bool lists_touch(const struct policy_db *db, const struct policy *p, int direction)
{
	const struct policy_dir *d = atomic_load_explicit(&p->dir[direction], memory_order_relaxed);

	if (!d || d->shape->n_lists == 0)
		return false;
	for (uint32_t slot = 0; slot < d->shape->n; slot++) {
		const struct remote_key *key = &d->shape->keys[slot];
		if (key->kind == POLICY_REMOTE_PREFIX_LIST && prefix_list_is_staged(db, key->id))
			return true;
	}
	return false;
}

static int policy_prepare(struct policy_db *db, struct policy *p, bool lists)
{
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		bool reshape = lists && lists_touch(db, p, d);
		if (!reshape && !p->fresh && !groups_touch(p, d))
			continue;
		int rc = policy_dir_compile(db, p, d, reshape, &p->next[d]);
		if (rc)
			return rc;
		p->staged[d] = true;
	}
	return 0;
}

/* Drops what prepare made; what was staged stays. */
static void unprepare(struct policy_db *db)
{
	for (struct policy *p = next_policy(db, NULL); p; p = next_policy(db, p))
		policy_unstage(p);
	free(db->retired);
	db->retired = NULL;
}

int policy_db_prepare(struct policy_db *db)
{
	bool lists = any_list_staged(db);
	int rc = 0;

	db->error[0] = '\0';
	unprepare(db);
	db->retired = calloc(1, sizeof(*db->retired));
	if (!db->retired)
		return -ENOMEM;
	for (struct policy *p = next_policy(db, NULL); p && !rc; p = next_policy(db, p))
		rc = policy_prepare(db, p, lists);
	if (rc)
		unprepare(db);
	return rc;
}

static void retired_reclaim(void *arg)
{
	struct retired *retired = arg;

	while (retired->dirs) {
		struct policy_dir *d = retired->dirs;
		retired->dirs = d->retired;
		policy_dir_free(d);
	}
	while (retired->versions) {
		struct group_version *v = retired->versions;
		retired->versions = v->retired;
		group_version_free(v);
	}
	free(retired);
}

/* Swaps what was compiled for the policy. */
static void policy_publish(struct policy *p, struct retired *retired)
{
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		if (!p->staged[d])
			continue;
		struct policy_dir *old = atomic_load_explicit(&p->dir[d], memory_order_relaxed);
		atomic_store_explicit(&p->dir[d], p->next[d], memory_order_release);
		p->next[d] = NULL;
		if (old) {
			old->retired = retired->dirs;
			retired->dirs = old;
		}
	}
}

static void groups_commit(struct policy_db *db, struct retired *retired)
{
	struct hash_node *node, *next;

	for (node = hash_table_next(&db->groups, NULL); node; node = next) {
		struct group *g = HASH_OBJECT(node, struct group, node);
		next = hash_table_next(&db->groups, node);
		if (!g->staged)
			continue;
		if (g->live) {
			g->live->retired = retired->versions;
			retired->versions = g->live;
		}
		group_commit(g);
		group_release(db, g);
	}
}

static void prefix_lists_commit(struct policy_db *db)
{
	struct hash_node *node, *next;

	for (node = hash_table_next(&db->prefix_lists, NULL); node; node = next) {
		struct prefix_list *l = HASH_OBJECT(node, struct prefix_list, node);
		next = hash_table_next(&db->prefix_lists, node);
		if (l->staged)
			prefix_list_commit(db, l);
	}
}

void policy_db_commit(struct policy_db *db)
{
	struct retired *retired = db->retired;

	if (!retired)
		return;
	db->retired = NULL;
	for (struct policy *p = next_policy(db, NULL); p; p = next_policy(db, p))
		policy_publish(p, retired);
	groups_commit(db, retired);
	prefix_lists_commit(db);
	for (struct policy *p = next_policy(db, NULL); p; p = next_policy(db, p)) {
		bool changed = p->staged[POLICY_INGRESS] || p->staged[POLICY_EGRESS];
		bool was_in_use = !p->fresh;
		p->staged[POLICY_INGRESS] = p->staged[POLICY_EGRESS] = p->fresh = false;
		if (changed && was_in_use && db->hooks.changed)
			db->hooks.changed(db->hooks.arg, p);
	}
	defer(db, retired_reclaim, retired);
}

void policy_db_abort(struct policy_db *db)
{
	struct hash_node *node, *next;

	unprepare(db);
	for (node = hash_table_next(&db->groups, NULL); node; node = next) {
		struct group *g = HASH_OBJECT(node, struct group, node);
		next = hash_table_next(&db->groups, node);
		group_unstage(g);
		group_release(db, g);
	}
	for (node = hash_table_next(&db->prefix_lists, NULL); node; node = next) {
		next = hash_table_next(&db->prefix_lists, node);
		prefix_list_unstage(db, HASH_OBJECT(node, struct prefix_list, node));
	}
}

void policy_db_stats(const struct policy_db *db, struct policy_stats *stats)
{
	*stats = (struct policy_stats){
		.groups = db->groups.n,
		.prefix_lists = db->prefix_lists.n,
		.policies = db->policies.n,
	};
	struct hash_node *node = hash_table_next(&db->groups, NULL);
	for (; node; node = hash_table_next(&db->groups, node)) {
		const struct group *g = HASH_OBJECT(node, struct group, node);
		stats->rules += g->live ? g->live->n_rules : 0;
	}
}
