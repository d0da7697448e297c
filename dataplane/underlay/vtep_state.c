/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items [vtep, name, address, gateway], and [foreign, vtep] for those that somebody else runs. */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/state.h"
#include "core/worker.h"
#include "underlay/vtep_table.h"

enum column { NAME = 1, ADDRESS, GATEWAY };

struct change {
	struct vtep *new; /* NULL: deletion */
	char name[PORT_NAME_MAX];
};

static uint32_t n_staged; /* additions and changes */

static int stage(struct change *c, const json_t *item, struct state_error *err)
{
	int rc;

	c->new = calloc(1, sizeof(*c->new));
	if (c->new == NULL)
		return state_fail(err, -ENOMEM, "out of memory");
	if (!ip_addr_parse(json_string_value(json_array_get(item, ADDRESS)), &c->new->addr))
		return state_fail(err, -EINVAL, "address: not an IP address");
	memcpy(c->new->name, c->name, sizeof(c->name));
	c->new->gateway = json_is_true(json_array_get(item, GATEWAY));
	rc = vtep_reserve(n_staged + 1);
	if (rc == -ENOSPC) {
		err->exhausted = true;
		return state_fail(err, rc, "no more than %u VTEPs", VTEPS_MAX);
	}
	return rc != 0 ? state_fail(err, rc, "out of memory") : 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const char *name = json_string_value(json_array_get(item != NULL ? item : old, NAME));
	struct change *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL)
		return state_fail(err, -ENOMEM, "out of memory");
	if (strlen(name) >= sizeof(c->name))
		rc = state_fail(
			err, -EINVAL, "name: longer than %zu characters", sizeof(c->name) - 1);
	else
		snprintf(c->name, sizeof(c->name), "%s", name);
	if (rc == 0 && item != NULL)
		rc = stage(c, item, err);
	if (rc != 0) {
		free(c->new);
		free(c);
		return rc;
	}
	n_staged += c->new != NULL;
	*staged = c;
	return 0;
}

static void abort_change(void *staged)
{
	struct change *c = staged;

	n_staged -= c->new != NULL;
	free(c->new);
	free(c);
}

static void *foreign; /* tsearch tree of names: whichever of a VTEP's two items comes first */

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* One that nothing but a route's address names is nobody's of ours either. */
static bool is_foreign(const char *name)
{
	return strncmp(name, "addr:", 5) == 0 || tfind(name, &foreign, compare_names) != NULL;
}

static void commit(void *staged)
{
	struct change *c = staged;
	struct vtep *old = vtep_by_name(c->name);

	n_staged -= c->new != NULL;
	if (c->new != NULL)
		atomic_store(&c->new->foreign, is_foreign(c->name));
	if (c->new != NULL && old != NULL)
		vtep_replace(old, c->new, clock_ms());
	else if (c->new != NULL)
		vtep_add(c->new, clock_ms());
	else if (old != NULL)
		vtep_remove(old);
	free(c);
}

/* Before what looks VTEPs up: endpoints, routes. */
STATE_KIND(vtep_kind, .name = "vtep", .order = 10, .prepare = prepare, .commit = commit,
	.abort = abort_change)

struct foreign_change {
	bool put;
	char name[PORT_NAME_MAX];
};

static int foreign_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const char *name = json_string_value(json_array_get(item != NULL ? item : old, NAME));
	struct foreign_change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return state_fail(err, -ENOMEM, "out of memory");
	if (strlen(name) >= sizeof(c->name)) {
		free(c);
		return state_fail(err, -EINVAL, "vtep: longer than a name");
	}
	c->put = item != NULL;
	strcpy(c->name, name);
	*staged = c;
	return 0;
}

static void foreign_commit(void *staged)
{
	struct foreign_change *c = staged;
	struct vtep *vtep = vtep_by_name(c->name);
	char **at = tfind(c->name, &foreign, compare_names), *name;

	if (c->put && at == NULL) {
		name = strdup(c->name);
		if (name == NULL || tsearch(name, &foreign, compare_names) == NULL)
			free(name); /* probed as ours: shown as down, and forwards all the same */
	} else if (!c->put && at != NULL) {
		name = *at;
		tdelete(name, &foreign, compare_names);
		free(name);
	}
	if (vtep != NULL && atomic_exchange(&vtep->foreign, is_foreign(c->name)) != c->put)
		epoch_bump(vtep->epoch);
	free(c);
}

STATE_KIND(foreign_kind, .name = "foreign", .order = 11, .prepare = foreign_prepare,
	.commit = foreign_commit, .abort = free)
