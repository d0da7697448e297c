/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.status: what mirrors of this node have copied, and what has come here of others' copies. */
#include <string.h>

#include "core/rpc.h"
#include "mirror/mirror_in.h"

/* Of either, or both ends of a mirror. */
static json_t *status_of(const struct mirror *m, const struct mirror_in *in)
{
	struct observe_counters c = {.packets = 0};
	char reason[MIRROR_REASON_MAX] = "";

	if (m != NULL) {
		mirror_trouble(m, reason);
		c = mirror_counters(m);
	}
	if (in != NULL) {
		c.lost += mirror_in_lost(in);
		if (reason[0] == '\0')
			mirror_port_trouble(in->where, reason);
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "mirror", m != NULL ? m->name : in->name,
		"reason", reason, "ports",
		(json_int_t)(m != NULL ? observer_ports(m->observer) : 0), "packets",
		(json_int_t)c.packets, "bytes", (json_int_t)c.bytes, "lost", (json_int_t)c.lost);
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
			json_array_append_new(items, status_of(m, mirror_in_by_name(m->name)));
	for (struct mirror_in *in = mirror_in_next(NULL); in != NULL; in = mirror_in_next(in))
		if (mirror_by_name(in->name) == NULL && is_wanted(names, in->name))
			json_array_append_new(items, status_of(NULL, in));
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}

RPC_METHOD(mirror_status, "mirror.status", status)
