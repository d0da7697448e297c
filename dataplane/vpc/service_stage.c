/* SPDX-License-Identifier: Apache-2.0 */
/* Stages `service` and `leave`: what `route` found to be a service's is handed to it, between the sender's groups, which see the
 * packet as it was sent, and the receiver's, which see it as it arrives.
 */
#include "vpc/exit.h"
#include "vpc/vpc_internal.h"

static struct vpc_exit *exits;

void vpc_exit_register(struct vpc_exit *way)
{
	struct vpc_exit **at = &exits;

	while (*at != NULL && (*at)->order <= way->order)
		at = &(*at)->next;
	way->next = *at;
	*at = way;
}

bool vpc_exit_find(struct flow *f)
{
	for (const struct vpc_exit *way = exits; way != NULL; way = way->next)
		if (way->find(f))
			return true;
	return false;
}

static bool serve(struct flow *f)
{
	if (f->service == NULL || f->out != LOC_NONE)
		return true;
	return f->service->service->arrive(f, f->service);
}

static bool leave(struct flow *f)
{
	return f->leave == NULL || f->out != LOC_NONE || f->leave(f);
}

ROAD_STAGE(service_stage, ROAD_SERVICE, "service", serve)
ROAD_STAGE(leave_stage, ROAD_LEAVE, "leave", leave)
