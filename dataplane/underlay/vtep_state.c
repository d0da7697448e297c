/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items [vtep, name, address, gateway]. */
#include <errno.h>
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

static void commit(void *staged)
{
	struct change *c = staged;
	struct vtep *old = vtep_by_name(c->name);

	n_staged -= c->new != NULL;
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
