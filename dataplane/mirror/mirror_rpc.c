/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.status: what mirrors of this node have copied. */
#include <string.h>

#include "core/rpc.h"
#include "mirror/mirror.h"

static json_t *status_of(const struct mirror *m)
{
	struct observe_counters c = mirror_counters(m);
	char reason[MIRROR_REASON_MAX];

	mirror_trouble(m, reason);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "mirror", m->name, "reason", reason,
		"ports", (json_int_t)observer_ports(m->observer), "packets", (json_int_t)c.packets,
		"bytes", (json_int_t)c.bytes, "lost", (json_int_t)c.lost);
}

static bool is_wanted(const json_t *names, const char *name)
{
	const json_t *one;
	size_t i;

	if (names == NULL)
		return true;
	json_array_foreach (names, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

static void status(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *names = json_object_get(params, "names");
	json_t *items = json_array();

	(void)ctx;
	for (struct mirror *m = mirror_next(NULL); m != NULL; m = mirror_next(m))
		if (is_wanted(names, m->name))
			json_array_append_new(items, status_of(m));
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(mirror_status, "mirror.status", status)
