/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `hook`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook/hook.h"
#include "vpc/item.h"

enum column { NAME = 1, SCOPE, DIRECTION, ROLE, PROGRAM, SECTION, BUDGET, MIRROR, REVISION };

struct change {
	struct hook *hook; /* NULL: deletion */
	char name[PORT_NAME_MAX];
};

static int parse_scopes(struct hook *h, const json_t *scopes, struct state_error *err)
{
	const json_t *text;
	size_t i;

	h->scopes = calloc(json_array_size(scopes) + 1, sizeof(*h->scopes));
	if (h->scopes == NULL)
		return item_no_memory(err);
	json_array_foreach (scopes, i, text)
		if (!observe_scope_parse(&h->scopes[i], json_string_value(text)))
			return state_fail(
				err, -EINVAL, "`%s` is no scope", json_string_value(text));
	h->n_scopes = (unsigned int)json_array_size(scopes);
	return 0;
}

static int parse(struct hook *h, const json_t *item, struct state_error *err)
{
	const char *role = item_text(item, ROLE), *mirror = item_text(item, MIRROR);
	uint64_t budget = item_uint(item, BUDGET);
	int rc = item_name(item, NAME, h->name, err);

	if (rc == 0)
		rc = parse_scopes(h, json_array_get(item, SCOPE), err);
	if (rc != 0)
		return rc;
	if (strcmp(role, "filter") != 0 && strcmp(role, "sample") != 0)
		return state_fail(err, -EINVAL, "unknown role `%s`", role);
	h->role = strcmp(role, "sample") == 0 ? HOOK_SAMPLE : HOOK_FILTER;
	if ((h->role == HOOK_SAMPLE) != (*mirror != '\0') ||
		strlen(mirror) >= sizeof(h->mirror_name))
		return state_fail(err, -EINVAL, "a sampler has a mirror, a filter has none");
	strcpy(h->mirror_name, mirror);
	if (budget == 0 || budget > 1000000)
		return state_fail(err, -EINVAL, "the budget is out of range");
	h->budget = (uint32_t)budget;
	h->directions = observe_directions(item_text(item, DIRECTION));
	h->revision = item_uint(item, REVISION);
	return hook_load(h, item_text(item, PROGRAM), item_text(item, SECTION), err);
}

static int make(struct change *c, const json_t *item, const json_t *old, struct state_error *err)
{
	c->hook = hook_new(old != NULL);
	if (c->hook != NULL)
		return parse(c->hook, item, err);
	err->exhausted = errno == ENOSPC;
	return errno == ENOSPC ? state_fail(err, -ENOSPC,
					 "no more than %u hooks on a node at a time", HOOKS_MAX)
			       : item_no_memory(err);
}

static void undo(void *staged)
{
	struct change *c = staged;

	if (c->hook != NULL)
		hook_free(c->hook);
	free(c);
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, NAME, c->name, err);
	if (rc == 0 && item != NULL)
		rc = make(c, item, old, err);
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;

	if (c->hook != NULL)
		hook_put(c->hook);
	else
		hook_remove(c->name);
	free(c);
}

/* Behind ports and mirrors. */
STATE_KIND(
	hook_kind, .name = "hook", .order = 92, .prepare = prepare, .commit = commit, .abort = undo)
