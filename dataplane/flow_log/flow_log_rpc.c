/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log.status of this node. */
#include "core/rpc.h"
#include "flow_log/flow_log_internal.h"

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *items = json_array();

	(void)params;
	(void)ctx;
	for (unsigned int i = 0; i < FLOW_LOGS_MAX; i++) {
		const struct flow_log *log = flow_logs[i];
		struct flow_sink_figures f;

		if (log == NULL || log->leaving)
			continue;
		flow_sink_figures(log->sink, &f);
		json_array_append_new(items, json_pack("{s:s, s:I, s:I, s:s}", "name", log->name,
						     "records", (json_int_t)f.records, "lost",
						     (json_int_t)f.lost, "reason", f.reason));
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(flow_log_status, "flow_log.status", status)
