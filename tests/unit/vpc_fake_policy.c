/* SPDX-License-Identifier: Apache-2.0 */
/* A policy database for tests of vpc/: every set of groups is one object, every policy says nothing. */
#include <stdlib.h>

#include "core/state.h"
#include "policy/policy_state.h"

static struct group_set the_set;
static char the_policy;

const struct group_set *policy_groups_of(const json_t *names)
{
	(void)names;
	return &the_set;
}

const struct group_set *group_set_ref(const struct group_set *set)
{
	return set;
}

void group_set_put(const struct group_set *set, void (*defer)(void (*fn)(void *), void *arg))
{
	(void)set;
	(void)defer;
}

struct policy *policy_of(const struct group_set *groups)
{
	(void)groups;
	return (struct policy *)&the_policy;
}

void policy_release(struct policy *policy)
{
	(void)policy;
}

uint32_t policy_tag(const struct policy *policy)
{
	(void)policy;
	return 0;
}

void policy_publish(void)
{
}

static int nothing_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	(void)item;
	(void)old;
	(void)err;
	*staged = NULL;
	return 0;
}

STATE_KIND(group_kind, .name = "group", .order = 50, .prepare = nothing_prepare);
