/* SPDX-License-Identifier: Apache-2.0 */
/* curfew.list: the VNIs of all VPCs under curfew. */
#include "core/rpc.h"
#include "curfew.h"

static void list(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *vnis = json_array();

	(void)params;
	(void)ctx;
	for (uint32_t i = 1; i < VPC_INDEX_MAX; i++) {
		const struct vpc *vpc = vpc_get(i);

		if (vpc != NULL && curfew_is_on(i))
			json_array_append_new(vnis, json_integer(vpc->vni));
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", vnis));
}

RPC_METHOD(list_method, "curfew.list", list)
