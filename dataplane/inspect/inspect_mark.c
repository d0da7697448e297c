/* SPDX-License-Identifier: Apache-2.0 */
/* Which sessions are fed, and in which form: as the side that inspects them knows the flow. */
#include "inspect/inspect_internal.h"
#include "underlay/underlay.h"

/* Another node of ours has seen it. */
static bool seen_elsewhere(loc_t in)
{
	const struct vtep *vtep = loc_is_tunnel(in) ? vtep_get(loc_index(in)) : NULL;

	return vtep != NULL && !vtep_is_foreign(vtep);
}

static bool is_on(const struct vpc *vpc)
{
	return vpc != NULL &&
	       atomic_load_explicit(&inspect_vpcs[vpc->index], memory_order_relaxed) != 0;
}

static uint16_t after(const struct session_dir *d)
{
	return d->flags & (SESSION_F_SRC | SESSION_F_DST) ? SESSION_F_INSPECT_AFTER
							  : SESSION_F_INSPECT;
}

void inspect_mark(struct session_dir d[2], const struct flow *f)
{
	if (seen_elsewhere(f->in))
		return;
	/* The initiator's VPC knows the flow by the addresses that it used, the receiver's by those of the receiver. */
	if (is_on(f->vpc)) {
		d[0].flags |= SESSION_F_INSPECT;
		d[1].flags |= after(&d[1]);
	} else if (is_on(f->dst_vpc)) {
		d[0].flags |= after(&d[0]);
		d[1].flags |= SESSION_F_INSPECT;
	}
}
