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
#include "policy/group_parts.h"

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
	/* Of groups; control thread. */
	struct group_parts parts;
	struct handle *next_touched; /* by the transaction that is being prepared */
	bool is_touched;
	bool is_going; /* it deletes the group */
};

struct handles {
	void *tree;
	uint32_t n;
	struct handle *_Atomic *_Atomic pages[PAGES_MAX];
};

static struct handles groups, lists;
static struct handle *touched_groups;

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

/* Columns; the first one of each is the name. */
enum group_column { GROUP_REVISION = 2 };
enum rules_column { RULES_PART = 2, RULES_LIST };
enum list_column { LIST_CIDRS = 2 };

static struct handle *item_handle(
	struct handles *handles, const json_t *item, struct state_error *err)
{
	struct handle *handle =
		db() != NULL ? handle_of(handles, json_string_value(json_array_get(item, 1)))
			     : NULL;

	if (handle == NULL)
		fail(err, -ENOMEM);
	return handle;
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

struct group_change {
	struct handle *handle;
	uint64_t revision;
};

static int group_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	struct handle *handle = item_handle(&groups, any, err);
	struct group_change *c = handle != NULL ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL)
		return fail(err, -ENOMEM);
	c->handle = handle;
	c->revision = (uint64_t)json_integer_value(json_array_get(any, GROUP_REVISION));
	handle->is_going = item == NULL;
	*staged = c;
	return 0;
}

/* Deletions are staged when they commit: until the ports have moved to other policies the group's rules
 * must hold, and afterwards nobody asks for them, so that compiling them away may even wait. */
static void group_commit(void *staged)
{
	struct group_change *c = staged;

	policy_publish();
	if (c->handle->is_going)
		policy_group_del(db(), c->handle->id);
	c->handle->is_going = false;
	c->handle->revision = c->revision;
	free(c);
}

static void group_abort(void *staged)
{
	struct group_change *c = staged;

	c->handle->is_going = false;
	free(c);
}

STATE_KIND(group_kind, .name = "group", .order = 50, .prepare = group_prepare,
	.commit = group_commit, .abort = group_abort);

/*
 * A group's rules come in parts. What a transaction changes of them is gathered at the handle; when all is
 * prepared the hook gives each touched group's whole list to the compiler, which looks for what is new.
 */

static int parse_part(struct group_part *part, const json_t *list, struct state_error *err)
{
	char reason[128];
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		if (!parse_rule(entry, &part->rules[i]))
			return state_fail(err, -EINVAL, "rule %zu of the part: bad remote", i);
		if (policy_rule_check(&part->rules[i], reason, sizeof(reason)) != 0)
			return state_fail(err, -EINVAL, "rule %zu of the part: %s", i, reason);
	}
	return 0;
}

static int part_of(const json_t *item, struct group_part **part, struct state_error *err)
{
	const json_t *list = json_array_get(item, RULES_LIST);
	uint64_t number = (uint64_t)json_integer_value(json_array_get(item, RULES_PART));
	int rc;

	if (json_array_size(list) > SB_PART_RULES)
		return state_fail(
			err, -EINVAL, "a part has at most %u rules", (unsigned int)SB_PART_RULES);
	*part = group_part_new(number, (uint32_t)json_array_size(list));
	if (*part == NULL)
		return fail(err, -ENOMEM);
	rc = parse_part(*part, list, err);
	if (rc != 0)
		free(*part);
	return rc;
}

static void touch(struct handle *handle)
{
	if (handle->is_touched)
		return;
	handle->is_touched = true;
	handle->next_touched = touched_groups;
	touched_groups = handle;
}

static int rules_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	struct handle *handle = item_handle(&groups, any, err);
	struct group_part *part = NULL;
	int rc = handle != NULL ? 0 : -ENOMEM;

	if (rc == 0 && item != NULL)
		rc = part_of(item, &part, err);
	if (rc != 0)
		return rc;
	if (group_parts_stage(&handle->parts,
		    (uint64_t)json_integer_value(json_array_get(any, RULES_PART)), part) != 0) {
		free(part);
		return fail(err, -ENOMEM);
	}
	touch(handle);
	*staged = handle;
	return 0;
}

/* The first of a group's parts commits all of them. */
static void rules_commit(void *staged)
{
	struct handle *handle = staged;

	policy_publish();
	group_parts_commit(&handle->parts);
}

/* Aborted by the hook, for all parts at once. */
STATE_KIND(
	rules_kind, .name = "rules", .order = 51, .prepare = rules_prepare, .commit = rules_commit);

static int compile_group(struct handle *handle)
{
	struct policy_rule *rules = NULL;
	uint32_t n;
	int rc = group_parts_merge(&handle->parts, &rules, &n);

	/* What a group that goes says holds to the end: see group_commit(). */
	if (rc == 0 && !handle->is_going)
		rc = policy_group_set(db(), handle->id, rules, n);
	free(rules);
	return rc;
}

static void forget_touched(bool aborted)
{
	while (touched_groups != NULL) {
		struct handle *handle = touched_groups;

		touched_groups = handle->next_touched;
		handle->next_touched = NULL;
		handle->is_touched = false;
		if (aborted)
			group_parts_abort(&handle->parts);
	}
}

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

struct list_change {
	struct handle *handle;
	bool deleted;
};

static int list_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct handle *handle = item_handle(&lists, item != NULL ? item : old, err);
	struct list_change *c = handle != NULL ? calloc(1, sizeof(*c)) : NULL;
	int rc = c != NULL ? 0 : fail(err, -ENOMEM);

	if (rc == 0 && item != NULL)
		rc = stage_list(handle->id, json_array_get(item, LIST_CIDRS), err);
	if (rc != 0) {
		free(c);
		return rc;
	}
	*c = (struct list_change){handle, item == NULL};
	*staged = c;
	return 0;
}

static void list_commit(void *staged)
{
	struct list_change *c = staged;

	policy_publish();
	if (c->deleted)
		policy_prefix_list_del(db(), c->handle->id);
	free(c);
}

STATE_KIND(list_kind, .name = "prefix_list", .order = 40, .prepare = list_prepare,
	.commit = list_commit, .abort = free);

static int hook_prepare(struct state_error *err)
{
	int rc = db() != NULL ? 0 : -ENOMEM;

	for (struct handle *g = touched_groups; g != NULL && rc == 0; g = g->next_touched)
		rc = compile_group(g);
	if (rc == 0)
		rc = policy_db_prepare(db());
	return rc == 0 ? 0 : fail(err, rc);
}

static void hook_abort(void)
{
	forget_touched(true);
	if (db() != NULL)
		policy_db_abort(db());
}

static void hook_after_commit(void)
{
	forget_touched(false);
	if (db() != NULL && policy_db_prepare(db()) == 0)
		policy_db_commit(db());
}

STATE_HOOK(policy_hook, .order = 10, .prepare = hook_prepare, .abort = hook_abort,
	.after_commit = hook_after_commit);
