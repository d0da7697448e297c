/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_state.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/epoch.h"
#include "core/rcu.h"
#include "core/state.h"
#include "lib/southbound.h"

/*
 * Names and handles. Groups and prefix lists have handles of their own each. A page of names stays where
 * it is, so that workers may read it.
 */
#define PAGE_SIZE 1024u
#define PAGES_MAX 1024u

struct handle {
	char *name; /* first: compared by the tree */
	uint32_t id;
	_Atomic uint64_t revision;
};

struct handles {
	void *tree;
	uint32_t n;
	struct handle *_Atomic *_Atomic pages[PAGES_MAX];
};

static struct handles groups, lists;

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct handle *handle_at(const struct handles *h, uint32_t id)
{
	struct handle *_Atomic *page =
		id / PAGE_SIZE < PAGES_MAX ? rcu_ptr_get(h->pages[id / PAGE_SIZE]) : NULL;

	return page != NULL ? rcu_ptr_get(page[id % PAGE_SIZE]) : NULL;
}

static struct handle *handle_new(struct handles *h, const char *name)
{
	struct handle *_Atomic *page;
	struct handle *handle;

	if (h->n / PAGE_SIZE >= PAGES_MAX)
		return NULL;
	page = h->pages[h->n / PAGE_SIZE];
	if (page == NULL)
		page = calloc(PAGE_SIZE, sizeof(*page));
	if (page == NULL)
		return NULL;
	rcu_ptr_set(h->pages[h->n / PAGE_SIZE], page);
	handle = calloc(1, sizeof(*handle));
	if (handle == NULL || (handle->name = strdup(name)) == NULL) {
		free(handle);
		return NULL;
	}
	if (tsearch(handle, &h->tree, compare) == NULL) {
		free(handle->name);
		free(handle);
		return NULL;
	}
	handle->id = h->n++;
	rcu_ptr_set(page[handle->id % PAGE_SIZE], handle);
	return handle;
}

static struct handle *handle_of(struct handles *h, const char *name)
{
	struct handle **at = tfind(&name, &h->tree, compare);

	return at != NULL ? *at : handle_new(h, name);
}

uint32_t policy_group_id(const char *name)
{
	struct handle *handle = handle_of(&groups, name);

	return handle != NULL ? handle->id : POLICY_GROUP_NONE;
}

const char *policy_group_name(uint32_t id)
{
	struct handle *handle = handle_at(&groups, id);

	return handle != NULL ? handle->name : "";
}

uint64_t policy_group_revision(uint32_t id)
{
	struct handle *handle = handle_at(&groups, id);

	return handle != NULL ? handle->revision : 0;
}

const struct group_set *policy_groups_of(const json_t *names)
{
	size_t n = json_array_size(names), i;
	uint32_t few[16], *ids = n <= RTE_DIM(few) ? few : calloc(n, sizeof(*ids));
	const struct group_set *set = NULL;
	const json_t *name;
	bool ok = ids != NULL;

	json_array_foreach (names, i, name) {
		if (!ok)
			break;
		ids[i] = policy_group_id(json_string_value(name));
		ok = ids[i] != POLICY_GROUP_NONE;
	}
	if (ok)
		set = group_set_get(ids, (uint32_t)n);
	if (ids != few)
		free(ids);
	return set;
}

/*
 * The database and its epochs.
 */

static int policy_created(void *arg, struct policy *policy)
{
	epoch_slot_t slot = epoch_take();

	(void)arg;
	policy_tag_set(policy, slot);
	return slot != EPOCH_NO_SLOT ? 0 : -ENOSPC;
}

static void policy_changed(void *arg, struct policy *policy)
{
	(void)arg;
	epoch_bump(policy_tag(policy));
}

static void policy_freed(void *arg, struct policy *policy)
{
	(void)arg;
	if (policy_tag(policy) != EPOCH_NO_SLOT)
		epoch_free(policy_tag(policy));
}

static struct policy_db *db(void)
{
	static const struct policy_hooks hooks = {
		.created = policy_created,
		.changed = policy_changed,
		.freed = policy_freed,
		.defer = rcu_defer,
	};
	static struct policy_db *the_db;

	if (the_db == NULL)
		the_db = policy_db_new(&hooks);
	return the_db;
}

struct policy *policy_of(const struct group_set *set)
{
	return policy_get(db(), set->ids, set->n);
}

void policy_release(struct policy *policy)
{
	policy_put(db(), policy);
}

void policy_publish(void)
{
	policy_db_commit(db());
}

static int fail(struct state_error *err, int rc)
{
	err->exhausted = rc == -ENOMEM;
	return state_fail(err, rc, "%s", rc == -ENOMEM ? "out of memory" : policy_db_error(db()));
}

/*
 * Items.
 */

enum column { NAME = 1, CONTENT, REVISION };

struct change {
	struct handle *handle;
	uint64_t revision;
	bool deleted;
};

static int change_new(struct handles *handles, const json_t *item, const json_t *old,
	struct change **change, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	struct change *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->handle = handle_of(handles, json_string_value(json_array_get(any, NAME)));
	if (c == NULL || c->handle == NULL || db() == NULL) {
		free(c);
		return fail(err, -ENOMEM);
	}
	c->deleted = item == NULL;
	c->revision = (uint64_t)json_integer_value(json_array_get(any, REVISION));
	*change = c;
	return 0;
}

static bool parse_remote(const struct sb_rule *text, struct policy_rule *rule)
{
	struct handle *handle;

	switch (text->remote) {
	case SB_REMOTE_ANY:
		rule->remote = POLICY_REMOTE_ANY;
		return true;
	case SB_REMOTE_CIDR:
		rule->remote = POLICY_REMOTE_PREFIX;
		return ip_prefix_parse(text->name, &rule->remote_prefix);
	case SB_REMOTE_GROUP:
		rule->remote = POLICY_REMOTE_GROUP;
		handle = handle_of(&groups, text->name);
		break;
	default:
		rule->remote = POLICY_REMOTE_PREFIX_LIST;
		handle = handle_of(&lists, text->name);
		break;
	}
	rule->remote_id = handle != NULL ? handle->id : POLICY_GROUP_NONE;
	return handle != NULL;
}

/* The text is checked by lib/southbound.c. */
static bool parse_rule(const json_t *r, struct policy_rule *rule)
{
	struct sb_rule text;

	if (!sb_rule_parse(json_string_value(r), &text))
		return false;
	*rule = (struct policy_rule)POLICY_RULE_INIT;
	rule->direction = text.ingress ? POLICY_INGRESS : POLICY_EGRESS;
	rule->action = text.allow ? POLICY_ALLOW : POLICY_DENY;
	rule->priority = (uint16_t)text.priority;
	rule->protocol = (int16_t)text.protocol;
	rule->port_first = (uint16_t)text.port_from;
	rule->port_last = (uint16_t)text.port_to;
	rule->icmp_type = (int16_t)text.icmp_type;
	rule->icmp_code = (int16_t)text.icmp_code;
	return parse_remote(&text, rule);
}

static int stage_group(uint32_t id, const json_t *list, struct state_error *err)
{
	size_t n = json_array_size(list), i;
	struct policy_rule *rules = calloc(n + 1, sizeof(*rules));
	const json_t *entry;
	int rc = rules != NULL ? 0 : -ENOMEM;

	json_array_foreach (list, i, entry) {
		if (rc != 0)
			break;
		if (!parse_rule(entry, &rules[i]))
			rc = state_fail(err, -EINVAL, "rule %zu: bad remote", i);
	}
	if (rc == 0) {
		rc = policy_group_set(db(), id, rules, (uint32_t)n);
		if (rc != 0)
			fail(err, rc);
	}
	free(rules);
	return rc;
}

static int group_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c;
	int rc = change_new(&groups, item, old, &c, err);

	if (rc == 0 && item != NULL) {
		rc = stage_group(c->handle->id, json_array_get(item, CONTENT), err);
		if (rc != 0)
			free(c);
	}
	*staged = rc == 0 ? c : NULL;
	return rc;
}

/* Deletions are staged when they commit: until the ports have moved to other policies the group's rules
 * must hold, and afterwards nobody asks for them, so that compiling them away may even wait. */
static void group_commit(void *staged)
{
	struct change *c = staged;

	policy_publish();
	if (c->deleted)
		policy_group_del(db(), c->handle->id);
	c->handle->revision = c->revision;
	free(c);
}

STATE_KIND(group_kind, .name = "group", .order = 50, .prepare = group_prepare,
	.commit = group_commit, .abort = free);

static int stage_list(uint32_t id, const json_t *cidrs, struct state_error *err)
{
	size_t n = json_array_size(cidrs), i;
	struct ip_prefix *prefixes = calloc(n + 1, sizeof(*prefixes));
	const json_t *entry;
	int rc = prefixes != NULL ? 0 : fail(err, -ENOMEM);

	json_array_foreach (cidrs, i, entry) {
		if (rc != 0)
			break;
		if (!ip_prefix_parse(json_string_value(entry), &prefixes[i]))
			rc = state_fail(
				err, -EINVAL, "`%s` is no prefix", json_string_value(entry));
	}
	if (rc == 0) {
		rc = policy_prefix_list_set(db(), id, prefixes, (uint32_t)n);
		if (rc != 0)
			fail(err, rc);
	}
	free(prefixes);
	return rc;
}

static int list_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c;
	int rc = change_new(&lists, item, old, &c, err);

	if (rc == 0 && item != NULL) {
		rc = stage_list(c->handle->id, json_array_get(item, CONTENT), err);
		if (rc != 0)
			free(c);
	}
	*staged = rc == 0 ? c : NULL;
	return rc;
}

static void list_commit(void *staged)
{
	struct change *c = staged;

	policy_publish();
	if (c->deleted)
		policy_prefix_list_del(db(), c->handle->id);
	free(c);
}

STATE_KIND(list_kind, .name = "prefix_list", .order = 40, .prepare = list_prepare,
	.commit = list_commit, .abort = free);

static int hook_prepare(struct state_error *err)
{
	int rc = db() != NULL ? policy_db_prepare(db()) : -ENOMEM;

	return rc == 0 ? 0 : fail(err, rc);
}

static void hook_abort(void)
{
	if (db() != NULL)
		policy_db_abort(db());
}

static void hook_after_commit(void)
{
	if (db() != NULL && policy_db_prepare(db()) == 0)
		policy_db_commit(db());
}

STATE_HOOK(policy_hook, .order = 10, .prepare = hook_prepare, .abort = hook_abort,
	.after_commit = hook_after_commit);
