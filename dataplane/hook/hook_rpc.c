/* SPDX-License-Identifier: Apache-2.0 */
/* hook.status: what hooks of this node do. */
#include <stdio.h>

#include "core/rpc.h"
#include "hook/hook.h"

static const char *state_of(const struct hook *h)
{
	if (!hook_is_attached(h))
		return "detached";
	return h->reason[0] != '\0' ? "error" : "attached";
}

static json_t *status_of(const struct hook *h)
{
	bool detached = !hook_is_attached(h);
	struct hook_tally t = hook_sum(h);
	char slow[120];

	snprintf(slow, sizeof(slow),
		"took more than %u cycles a packet again and again; an update attaches it again",
		h->budget);
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "hook", h->name,
		"state", state_of(h), "reason", detached ? slow : h->reason, "jit", h->run != NULL,
		"ports", (json_int_t)h->n_ports, "runs", (json_int_t)t.runs, "dropped",
		(json_int_t)t.dropped, "sampled", (json_int_t)t.sampled, "cycles",
		(json_int_t)t.cycles, "mean_cycles",
		(json_int_t)(t.runs != 0 ? t.cycles / t.runs : 0));
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *items = json_array();

	(void)params;
	(void)ctx;
	for (struct hook *h = hook_next(NULL); h != NULL; h = hook_next(h))
		json_array_append_new(items, status_of(h));
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(hook_status, "hook.status", status)
