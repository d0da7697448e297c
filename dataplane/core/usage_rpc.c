/* SPDX-License-Identifier: Apache-2.0 */
/* usage.read {done: [instances]}: what there is, without the ended ones whose figures the controller has on its disk. */
#include <stdlib.h>

#include "core/rpc.h"
#include "core/usage.h"
#include "lib/log.h"

static void add(const struct usage_entry *e, void *arg)
{
	json_array_append_new(
		arg, json_pack("[s, s, I, I, I, I, I, I]", e->kind, e->name,
			     (json_int_t)e->instance, (json_int_t)e->revision,
			     (json_int_t)e->figures.rx_packets, (json_int_t)e->figures.rx_bytes,
			     (json_int_t)e->figures.tx_packets, (json_int_t)e->figures.tx_bytes));
}

static void forget(const json_t *done)
{
	size_t count = json_array_size(done);
	uint64_t *instances = calloc(count + 1, sizeof(*instances));

	if (instances == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		instances[i] = (uint64_t)json_integer_value(json_array_get(done, i));
	usage_forget(instances, count);
	free(instances);
}

static void usage_read(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *live = json_array(), *ended = json_array();

	(void)ctx;
	if (usage_lost != 0)
		log_warn("usage that no controller has asked for is lost",
			LOG_UINT("objects", usage_lost));
	usage_lost = 0;
	forget(json_object_get(params, "done"));
	usage_each_live(add, live);
	usage_each_ended(add, ended);
	jsonrpc_reply(call, json_pack("{s:o, s:o}", "items", live, "ended", ended));
}
RPC_METHOD(usage_method, "usage.read", usage_read)
