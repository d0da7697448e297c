/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rpc_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/config.h"
#include "core/rpc.h"
#include "core/state.h"
#include "external/external.h"
#include "lib/log.h"
#include "lib/southbound.h"
#include "port/reaper.h"
#include "underlay/underlay.h"

/* Items a commit works on before other events get their turn: well under 5 ms. */
#define COMMIT_SLICE 2000
#define PUT_MAX 1000
#define KEYS_MAX 10000

/* A connection has at most one open transaction. */
struct transaction {
	json_int_t id;
	struct state_tx *tx;       /* NULL: none open */
	struct jsonrpc_call *call; /* of the commit that runs */
	struct jsonrpc_call *next; /* a begin that waits for its end */
	json_int_t revision;
	uint32_t changed;
	bool committed; /* what is left is for old devices to go */
	bool orphan;    /* the connection went while it was committing */
};

static json_int_t next_id;

static struct transaction *transaction_of(struct jsonrpc_call *call)
{
	struct jsonrpc_conn *conn = jsonrpc_call_conn(call);
	struct transaction *t;

	if (conn == NULL)
		return NULL;
	t = jsonrpc_conn_data(conn);
	if (t == NULL) {
		t = calloc(1, sizeof(*t));
		jsonrpc_conn_set_data(conn, t);
	}
	return t;
}

/* The open transaction that the params name, or NULL after an answer. */
static struct transaction *named(struct jsonrpc_call *call, json_t *params)
{
	struct transaction *t = transaction_of(call);

	if (t != NULL && t->tx != NULL && t->call == NULL &&
		json_integer_value(json_object_get(params, "transaction")) == t->id)
		return t;
	jsonrpc_fail(call, ERROR_NOT_FOUND, "no such transaction is open on this connection", NULL);
	return NULL;
}

static void fail_state(struct jsonrpc_call *call, int err, struct state_error *e)
{
	json_t *data = json_pack(
		"{s:s, s:o?}", e->exhausted ? "what" : "reason", e->reason, "item", e->item);

	jsonrpc_failf(call,
		e->exhausted     ? ERROR_EXHAUSTED
		: err == -ENOMEM ? ERROR_UNAVAILABLE
				 : ERROR_INVALID,
		data, "%s", e->reason);
}

static json_t *digest(void)
{
	json_t *list = json_array();
	char text[17];

	for (unsigned int i = 0; i < SB_BUCKETS; i++) {
		snprintf(text, sizeof(text), "%016" PRIx64, state_digest(i));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* The network's own addresses and those of its gateways, which no EIP can have. */
static json_t *addresses_of(const struct external *ext)
{
	json_t *list = json_array(), *entry;
	size_t i;

	json_array_foreach (node_config.external, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name == NULL || strcmp(name, ext->name) != 0)
			continue;
		json_array_append(list, json_object_get(entry, "address"));
		json_array_extend(list, json_object_get(entry, "gateway"));
	}
	return list;
}

/* Outside networks with the families that they have. */
static json_t *externals(void)
{
	json_t *list = json_array(), *families;
	const struct external *ext;

	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++) {
		families = json_array();
		for (unsigned int v6 = 0; v6 < 2; v6++)
			if (external_has(ext, v6))
				json_array_append_new(families, json_integer(v6 ? 6 : 4));
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o}", "name", ext->name, "families", families,
				      "addresses", addresses_of(ext)));
	}
	return list;
}

static void hello(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_int_t version = json_integer_value(json_object_get(params, "api_version"));
	json_t *reply;

	(void)ctx;
	if (version != 1) {
		rpc_invalid(call, "/api_version", "this dataplane speaks version 1");
		return;
	}
	reply = json_pack("{s:i, s:s, s:s, s:[s], s:I, s:I, s:o, s:{s:I, s:I, s:I}}", "api_version",
		1, "node", node_config.node, "version", VPC_VERSION, "features", "ipv6", "items",
		(json_int_t)state_count(), "revision", (json_int_t)state_revision(), "digest",
		digest(), "capacity", "sessions", (json_int_t)node_config.sessions, "endpoints",
		(json_int_t)node_config.endpoints, "ports", (json_int_t)node_config.ports);
	/* A VTEP of both families is asked for by what costs more room. */
	if (underlay_port() != NULL)
		json_object_set_new(reply, "underlay",
			json_pack("{s:i, s:i}", "mtu", underlay_mtu(), "family",
				underlay_address(true) != NULL ? 6 : 4));
	json_object_set_new(reply, "externals", externals());
	jsonrpc_reply(call, reply);
}
RPC_METHOD(hello_method, "hello", hello)

static void keys(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *buckets = json_object_get(params, "buckets"), *b;
	const char *cursor = json_string_value(json_object_get(params, "cursor"));
	bool wanted[SB_BUCKETS] = {false};
	char next[STATE_CURSOR_MAX] = "";
	json_t *items;
	size_t i;

	(void)ctx;
	json_array_foreach (buckets, i, b)
		if (json_is_integer(b) && json_integer_value(b) >= 0 &&
			json_integer_value(b) < SB_BUCKETS)
			wanted[json_integer_value(b)] = true;
	items = state_keys(wanted, cursor, KEYS_MAX, next);
	if (items == NULL) {
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "out of memory", NULL);
		return;
	}
	jsonrpc_reply(call, json_pack("{s:o, s:o}", "items", items, "cursor",
				    next[0] != '\0' ? json_string(next) : json_null()));
}
RPC_METHOD(keys_method, "state.keys", keys)

static void open_transaction(struct transaction *t, struct jsonrpc_call *call)
{
	t->tx = state_begin();
	if (t->tx == NULL) {
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "out of memory", NULL);
		return;
	}
	t->id = ++next_id;
	jsonrpc_reply(call, json_pack("{s:I}", "transaction", t->id));
}

static void begin(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct transaction *t = transaction_of(call);

	(void)params;
	(void)ctx;
	if (t != NULL && t->call != NULL && t->next == NULL)
		t->next = call; /* it came behind a commit that still runs */
	else if (t == NULL || t->tx != NULL || t->call != NULL)
		jsonrpc_fail(call, ERROR_CONFLICT, "this connection has an open transaction", NULL);
	else
		open_transaction(t, call);
}
RPC_METHOD(begin_method, "state.begin", begin)

static void stage(struct jsonrpc_call *call, json_t *params, const char *member,
	int (*fn)(struct state_tx *, const json_t *, struct state_error *))
{
	struct transaction *t = named(call, params);
	const json_t *items = json_object_get(params, member), *item;
	struct state_error e = {.item = NULL};
	size_t i;

	if (t == NULL)
		return;
	if (json_array_size(items) > PUT_MAX) {
		rpc_invalid(call, "/items", "at most %d in a call", PUT_MAX);
		return;
	}
	json_array_foreach (items, i, item) {
		int err = fn(t->tx, item, &e);

		if (err != 0) {
			/* The puts and the commit behind this one are on their way already. */
			fail_state(call, err, &e);
			state_abort(t->tx);
			t->tx = NULL;
			return;
		}
	}
	jsonrpc_reply(call, json_object());
}

static void put(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	stage(call, params, "items", state_put);
}
RPC_METHOD(put_method, "state.put", put)

static void del(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	stage(call, params, "keys", state_del);
}
RPC_METHOD(del_method, "state.del", del)

/* As state_commit_step(); -EBUSY also until the interfaces that went are gone: who hears of it may use their names. */
static int commit_step(struct transaction *t, struct state_error *e)
{
	int r = 0;

	if (!t->committed)
		r = state_commit_step(t->tx, (uint64_t)t->revision, COMMIT_SLICE, &t->changed, e);
	if (r == 1 || r < 0)
		return r;
	t->committed = true;
	t->tx = NULL;
	return reaper_busy() ? -EBUSY : 0;
}

static void commit_some(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = {0, 0}, soon = {0, 1000};
	struct transaction *t = arg;
	struct state_error e = {.item = NULL};
	struct jsonrpc_call *call = t->call;
	int r = commit_step(t, &e);

	(void)fd;
	(void)what;
	if (r == 1 || r == -EBUSY) {
		event_base_once(rpc_base(), -1, EV_TIMEOUT, commit_some, t, r == 1 ? &now : &soon);
		return;
	}
	t->tx = NULL;
	t->call = NULL;
	if (r == 0)
		jsonrpc_reply(call, json_pack("{s:I, s:I}", "revision", t->revision, "changed",
					    (json_int_t)t->changed));
	else
		fail_state(call, r, &e);
	call = t->next;
	t->next = NULL;
	if (t->orphan) {
		if (call != NULL)
			jsonrpc_fail(call, ERROR_UNAVAILABLE, "the connection is closed", NULL);
		free(t);
	} else if (call != NULL) {
		open_transaction(t, call);
	}
}

static void commit(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct transaction *t = named(call, params);

	(void)ctx;
	if (t == NULL)
		return;
	t->revision = json_integer_value(json_object_get(params, "revision"));
	t->changed = 0;
	t->committed = false;
	t->call = call;
	commit_some(-1, 0, t);
}
RPC_METHOD(commit_method, "state.commit", commit)

static void abort_call(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct transaction *t = named(call, params);

	(void)ctx;
	if (t == NULL)
		return;
	state_abort(t->tx);
	t->tx = NULL;
	jsonrpc_reply(call, json_object());
}
RPC_METHOD(abort_method, "state.abort", abort_call)

void rpc_state_closed(struct jsonrpc_conn *conn)
{
	struct transaction *t = jsonrpc_conn_data(conn);

	if (t == NULL)
		return;
	jsonrpc_conn_set_data(conn, NULL);
	if (t->call != NULL) { /* it commits by steps: let it end */
		t->orphan = true;
		return;
	}
	if (t->tx != NULL)
		state_abort(t->tx);
	free(t);
}
