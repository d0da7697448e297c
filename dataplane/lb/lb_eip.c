/* SPDX-License-Identifier: Apache-2.0 */
/* Balancers that are reached by an elastic IP. */
#include "eip/eip.h"
#include "lb/lb_internal.h"

static bool arrive(struct flow *f, const struct eip *eip)
{
	const struct lb *lb = lb_by_eip(eip->name);

	eip_meter(f, eip, true);
	if (lb != NULL)
		return lb_serve(f, lb);
	flow_step(f, "eip", eip->name, -1, "its load balancer is not here");
	return flow_drop(f, DROP_LB_NO_LISTENER, "eip", eip->name, -1);
}

EIP_USE(lb_use, "lb", arrive)
