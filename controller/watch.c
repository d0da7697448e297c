/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "api.h"
#include "mem.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct watch {
	LIST_ENTRY(watch) link;
	struct jsonrpc_conn *conn;
	uint64_t since; /* changes up to this revision were there when it began */
	bool *kinds;    /* by index; NULL: all */
};

struct watches {
	LIST_HEAD(, watch) list;
};

struct watches *watches_new(void)
{
	struct watches *watches = mem_calloc(1, sizeof(*watches));

	LIST_INIT(&watches->list);
	return watches;
}

static void watch_free(struct watch *w)
{
	LIST_REMOVE(w, link);
	free(w->kinds);
	free(w);
}

void watches_free(struct watches *watches)
{
	if (watches == NULL)
		return;
	while (!LIST_EMPTY(&watches->list))
		watch_free(LIST_FIRST(&watches->list));
	free(watches);
}

void watch_closed(struct jsonrpc_conn *conn, void *ctx)
{
	struct watch *w = jsonrpc_conn_data(conn);

	(void)ctx;
	if (w == NULL)
		return;
	jsonrpc_conn_set_data(conn, NULL);
	watch_free(w);
}

/* The deleted object is shown as it was last; with the revision of its deletion beside it. */
void watch_prepare(struct controller *c, struct txn *txn)
{
	for (size_t i = 0; i < txn->count && !LIST_EMPTY(&c->watches->list); i++) {
		struct change *ch = &txn->changes[i];

		ch->shown =
			ch->op == CHANGE_DELETE ? json_incref(ch->old) : view_object(c, ch->object);
	}
}

static json_t *message_of(const struct change *ch)
{
	return jsonrpc_make_request("event",
		json_pack("{s:s, s:s, s:O, s:I}", "op", change_op_name(ch->op), "kind",
			ch->object->kind->name, "object", ch->shown, "revision",
			(json_int_t)ch->revision),
		NULL);
}

void watch_tell(struct controller *c, const struct change *change)
{
	struct watch *w, *next;
	char *text = NULL;
	size_t len = 0;

	for (w = LIST_FIRST(&c->watches->list); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (change->shown == NULL || change->revision <= w->since ||
			(w->kinds != NULL && !w->kinds[change->object->kind_index]))
			continue;
		if (text == NULL) {
			json_t *message = message_of(change);

			text = jsonrpc_text(message, &len);
			json_decref(message);
		}
		jsonrpc_conn_send_text(w->conn, text, len);
	}
	free(text);
}

void api_watch(struct api_call *call)
{
	const json_t *kinds = json_object_get(call->params, "kinds"), *kind;
	struct jsonrpc_conn *conn = jsonrpc_call_conn(call->rpc);
	struct watch *w;
	size_t i;

	if (conn == NULL) {
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"watch needs a connection of its own: the Unix socket");
		return;
	}
	watch_closed(conn, call->c); /* a second call replaces the first */
	w = mem_calloc(1, sizeof(*w));
	w->conn = conn;
	w->since = call->c->model.revision;
	json_array_foreach ((json_t *)kinds, i, kind) {
		if (w->kinds == NULL)
			w->kinds = mem_calloc(kind_count(), sizeof(*w->kinds));
		w->kinds[kind_index(kind_find(json_string_value(kind)))] = true;
	}
	LIST_INSERT_HEAD(&call->c->watches->list, w, link);
	jsonrpc_conn_set_data(conn, w);
	api_reply(call, json_pack("{s:I}", "revision", (json_int_t)w->since));
}
