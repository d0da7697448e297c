/* SPDX-License-Identifier: Apache-2.0 */
/* eip.status {names: [..] | omitted}: those whose gateway is this node, and whether their network is there. */
#include <string.h>

#include "core/rpc.h"
#include "eip/eip_record.h"

static void add(json_t *items, const struct eip_record *r)
{
	const struct external *ext = r->eip.ext;

	if (!r->life->here)
		return;
	json_array_append_new(items,
		ext != NULL ? json_pack("{s:s, s:s, s:s}", "name", r->eip.name, "state", "active",
				      "external", ext->name)
			    : json_pack("{s:s, s:s, s:s}", "name", r->eip.name, "state", "inactive",
				      "reason", "its network is not on this node"));
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *items = json_array(), *names = json_object_get(params, "names"), *name;
	size_t i;

	(void)ctx;
	if (names == NULL) {
		for (const struct eip_record *r = eip_record_next(NULL); r != NULL;
			r = eip_record_next(r))
			add(items, r);
	}
	json_array_foreach (names, i, name) {
		const char *text = json_string_value(name);
		const struct eip_record *r = text != NULL ? eip_record_by_name(text) : NULL;

		if (r != NULL)
			add(items, r);
	}
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(status_method, "eip.status", status)
