/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `curfew`: [kind, vni, reason]. A VPC that has one is under curfew. */
#include <errno.h>
#include <stdlib.h>

#include "core/state.h"
#include "curfew.h"
#include "vpc/item.h"

enum column { VNI = 1, REASON };

struct change {
	uint32_t vni;
	bool on;
};

/* May fail, and changes nothing that others see. The item was checked by type; `old` is the applied one of its key. */
static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return item_no_memory(err);
	if (item != NULL && item_text(item, REASON)[0] == '\0') {
		free(c);
		return state_fail(err, -EINVAL, "a curfew needs a reason");
	}
	c->vni = (uint32_t)item_uint(item != NULL ? item : old, VNI);
	c->on = item != NULL;
	*staged = c;
	return 0;
}

/* Can not fail. The VPC is there: it commits before us, and is deleted after us (order). */
static void commit(void *staged)
{
	struct change *c = staged;

	curfew_set(vpc_by_vni(c->vni), c->on);
	free(c);
}

STATE_KIND(curfew_kind, .name = "curfew", .order = 30, .prepare = prepare, .commit = commit,
	.abort = free)
