/* SPDX-License-Identifier: Apache-2.0 */
#include "core/road.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/flow_trace.h"

static struct road_stage *stages;

void road_stage_register(struct road_stage *stage)
{
	struct road_stage **at = &stages;

	while (*at != NULL && (*at)->order <= stage->order)
		at = &(*at)->next;
	stage->next = *at;
	*at = stage;
}

static struct road_foresight *foresights;

void road_foresight_register(struct road_foresight *foresight)
{
	foresight->next = foresights;
	foresights = foresight;
}

bool road_foresee(const struct flow *f, struct road_foreseen *seen, unsigned int step)
{
	if (step > 0)
		return seen->by->foresee(f, seen, step);
	for (const struct road_foresight *s = foresights; s != NULL; s = s->next)
		if (s->foresee(f, seen, 0)) {
			seen->by = s;
			return true;
		}
	return false;
}

static void flow_reset_verdict(struct flow *f)
{
	f->vpc = f->dst_vpc = NULL;
	f->in_port = NULL;
	f->src_ep = f->dst_ep = NULL;
	f->out = LOC_NONE;
	f->out_vni = 0;
	f->out_vpc_index = f->vpc_index;
	f->reply_vni = 0;
	f->mtu = 0;
	f->routed = f->reply_routed = f->gateway = false;
	f->out_v6 = f->v6;
	f->service = NULL;
	f->leave = NULL;
	f->leave_object = f->leave_detail = NULL;
	f->exit_name = NULL;
	memset(&f->hold, 0, sizeof(f->hold));
	f->new_src = f->src;
	f->new_dst = f->dst;
	f->new_sport = f->sport;
	f->new_dport = f->dport;
	memset(f->meters, 0, sizeof(f->meters));
	memset(f->accounts, 0, sizeof(f->accounts));
	memset(f->deps, 0, sizeof(f->deps));
	f->n_deps = 0;
	f->reason = DROP_NONE;
	f->object = (struct flow_object){NULL, NULL, -1};
}

bool road_walk_before(struct flow *f, int order)
{
	flow_reset_verdict(f);
	for (const struct road_stage *s = stages; s != NULL && s->order < order; s = s->next) {
		if (f->trace != NULL)
			f->trace->stage = s->name;
		if (!s->decide(f))
			return false;
	}
	return true;
}

bool road_walk(struct flow *f)
{
	if (!road_walk_before(f, INT_MAX))
		return false;
	if (f->out == LOC_NONE)
		return flow_drop(f, DROP_NO_ROUTE, "vpc", NULL, -1);
	return true;
}

void flow_trace_step(
	struct flow *f, const char *kind, const char *name, int32_t rule, const char *fmt, ...)
{
	struct flow_trace *t = f->trace;
	struct flow_trace_entry *e;
	va_list ap;

	if (t->n == FLOW_TRACE_MAX)
		return;
	e = &t->entries[t->n++];
	e->stage = t->stage;
	e->kind = kind;
	snprintf(e->name, sizeof(e->name), "%s", name != NULL ? name : "");
	e->rule = rule;
	va_start(ap, fmt);
	vsnprintf(e->decision, sizeof(e->decision), fmt, ap);
	va_end(ap);
}
