/* SPDX-License-Identifier: Apache-2.0 */
/* explain: programs are run on the frame of a packet that is only described. */
#include <rte_mbuf.h>

#include "core/flow_trace.h"
#include "hook/hook.h"
#include "vpc/vpc.h"

/* What a packet has behind its headers nobody has described. */
#define ASKED_WITH "asked about 16 zeros as payload"

static bool ask(struct flow *f, const struct hook *h, struct vpc_hook *context)
{
	bool yes;

	if (!hook_is_attached(h)) {
		flow_step(f, "hook", h->name, -1, "was too slow and is detached: it is not asked");
		return true;
	}
	yes = hook_says(h, context);
	if (h->role == HOOK_SAMPLE)
		flow_step(f, "hook", h->name, -1, "%s mirror %s, " ASKED_WITH,
			yes ? "picks it for" : "does not pick it for", h->mirror_name);
	else
		flow_step(f, "hook", h->name, -1, "its program %s it, " ASKED_WITH,
			yes ? "passes" : "drops");
	return yes || h->role == HOOK_SAMPLE || flow_drop(f, DROP_HOOK, "hook", h->name, -1);
}

static bool ask_all(struct flow *f, uint64_t mask, enum hook_role role, struct vpc_hook *context)
{
	for (; mask != 0; mask &= mask - 1) {
		const struct hook *h = rcu_ptr_get(hooks[__builtin_ctzll(mask)]);

		if (h != NULL && h->role == role && !ask(f, h, context))
			return false;
	}
	return true;
}

bool hook_explain(struct flow *f, struct port *port, enum observe_direction d, const uint8_t *frame,
	uint16_t len)
{
	struct rte_mbuf m = {.buf_addr = (void *)(uintptr_t)frame,
		.nb_segs = 1,
		.data_len = len,
		.pkt_len = len};
	const struct vpc *vpc = vpc_get(port->vpc_index);
	uint64_t mask = hook_mask(port, d);
	struct vpc_hook context;

	f->trace->stage = "hook";
	hook_describe(&context, &m, vpc != NULL ? vpc->vni : 0, d);
	if (d == OBSERVE_SENT)
		return ask_all(f, mask, HOOK_SAMPLE, &context) &&
		       ask_all(f, mask, HOOK_FILTER, &context);
	return ask_all(f, mask, HOOK_FILTER, &context) && ask_all(f, mask, HOOK_SAMPLE, &context);
}
