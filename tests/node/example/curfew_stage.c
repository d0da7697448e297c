/* SPDX-License-Identifier: Apache-2.0 */
/* Stage `curfew` of the readable road: behind `spoof` (100), which finds the VPC, before `route` (200). */
#include "core/road.h"
#include "curfew.h"

static bool decide(struct flow *f)
{
	/* Said in either case: a flow that is allowed now is to be asked again when a curfew begins. */
	flow_depend(f, f->vpc->epoch);
	if (!curfew_is_on(f->vpc_index))
		return true;
	flow_step(f, "vpc", f->vpc->name, -1, "is under curfew");
	return flow_drop(f, DROP_BLACKHOLE, "vpc", f->vpc->name, -1);
}

ROAD_STAGE(curfew_stage, 150, "curfew", decide)
