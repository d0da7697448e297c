/* SPDX-License-Identifier: Apache-2.0 */
/* session.end: flows that the node at their other end has cut. */
#include <stdio.h>

#include "core/rcu.h"
#include "core/rpc.h"
#include "forward/cut.h"
#include "forward/recover.h"
#include "forward/verdict.h"
#include "session/session.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

static struct session_key key_of(const struct cut_flow *f, const struct vpc *vpc)
{
	if (!ip_addr_is_v4(&f->src))
		return session_key_v6(
			vpc->index, (uint8_t)f->proto, &f->src, &f->dst, f->sport, f->dport);
	return session_key_v4(vpc->index, (uint8_t)f->proto, ip_addr_v4(&f->src),
		ip_addr_v4(&f->dst), f->sport, f->dport);
}

/* A node speaks for its own flows only: one end is there. */
static bool ends_at(uint32_t index, loc_t tunnel)
{
	const struct session_dir *d = session_dir_of(index << 1);

	return d->in == tunnel || d->out == tunnel;
}

/* A gateway between two nodes, or between two flows of one: of its flow's other end nobody but we know. */
static void pass_on(uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1);
	struct flow f;

	if (!loc_is_tunnel(d->in) || !loc_is_tunnel(d->out))
		return;
	verdict_flow_of_session(&f, index);
	(void)cut_tell(index, &f);
}

static bool end_one(const struct cut_flow *f, loc_t tunnel)
{
	const struct vpc *vpc = vpc_by_vni(f->vni);
	struct session_key key;
	uint32_t ref;

	if (vpc == NULL)
		return false;
	key = key_of(f, vpc);
	ref = session_lookup(&key, session_hash(&key), &f->src, &f->dst);
	if (ref == SESSION_NONE || !ends_at(ref >> 1, tunnel))
		return false;
	/* Not to resume here either, should a rule return while connections are picked up. */
	for (unsigned int dir = 0; dir < 2 && recover_is_open(); dir++)
		recover_note_refused(&session_dir_of((ref & ~1u) | dir)->key);
	ref >>= 1;
	pass_on(ref);
	return session_remove_bulk(&ref, 1) != 0;
}

/* All of them or, with the answer, none. */
static bool read_flows(struct jsonrpc_call *call, const json_t *items, struct cut_flow *flows)
{
	const json_t *item;
	size_t n;

	if (!json_is_array(items) || json_array_size(items) > CUT_PAGE) {
		rpc_invalid(call, "/items", "must be a list of at most %u flows", CUT_PAGE);
		return false;
	}
	json_array_foreach (items, n, item) {
		const char *text = json_string_value(item);
		char path[32];

		if (text != NULL && cut_parse(text, &flows[n]))
			continue;
		snprintf(path, sizeof(path), "/items/%zu", n);
		rpc_invalid(call, path, "is no flow: VNI PROTO SRC SPORT DST DPORT");
		return false;
	}
	return true;
}

static void end(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	static struct cut_flow flows[CUT_PAGE];
	const char *node = json_string_value(json_object_get(params, "node"));
	const json_t *items = json_object_get(params, "items");
	const struct vtep *vtep;
	json_int_t ended = 0;

	(void)ctx;
	if (node == NULL) {
		rpc_invalid(call, "/node", "a node's name is missing");
		return;
	}
	if (!read_flows(call, items, flows))
		return;
	vtep = vtep_by_name(node);
	rcu_read_enter(); /* what is found is still the same session when it is removed */
	for (size_t i = 0; vtep != NULL && i < json_array_size(items); i++)
		ended += end_one(&flows[i], loc_tunnel(vtep->index));
	rcu_read_leave();
	jsonrpc_reply(call, json_pack("{s:I}", "ended", ended));
}
RPC_METHOD(session_end_method, "session.end", end)
