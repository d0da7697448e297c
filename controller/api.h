/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_API_H
#define CONTROLLER_API_H
/*
 * The northbound API: from a call to its handler and back. Handlers get validated params and answer
 * exactly once, now or later.
 */
#include "controller.h"
#include "lib/jsonrpc_server.h"
#include "lib/methods.h"
#include "txn.h"

struct api_call {
	struct controller *c;
	struct jsonrpc_call *rpc;
	const struct method *method;
	json_t *params; /* valid, canonical; owned */
	struct method_control control;
	uint64_t started_us;
	uint64_t
		unchanged; /* revision of the newest object that was found as the call wants it; 0: none */
	json_t *result;  /* prepared, for those that answer later; owned */
	json_t *touched; /* for the audit log: [{kind, name}] of what is changed; owned */
};

/* For jsonrpc_server_options; ctx is the controller. */
bool api_dispatch(struct jsonrpc_call *rpc, const char *method, json_t *params, void *ctx);

/* Each ends the call. `result` and `data` are taken. */
void api_reply(struct api_call *call, json_t *result);
void api_fail(struct api_call *call, int code, json_t *data, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void api_fail_error(struct api_call *call, struct txn_error *error);

/* Of the call's kind by params.name; NULL after having answered not_found. */
struct object *api_object(struct api_call *call);

/*
 * Runs a transaction, stores it, and answers: with call->result if it is set, else with the object of the
 * first change (`shown` names it when the transaction may be empty).
 */
void api_commit(struct api_call *call, struct txn *txn, const char *shown);

/* The same with a result made from the transaction once it has run. */
typedef json_t *(*api_result_fn)(const struct txn *txn, size_t arg);
void api_commit_with(struct api_call *call, struct txn *txn, api_result_fn result, size_t arg);

/* A commit_done_fn: answers with call->result, waiting for the nodes if the call says so. */
void api_stored(int rc, const struct txn *txn, void *call);

typedef void (*api_handler_fn)(struct api_call *call);
void api_create(struct api_call *call);
void api_get(struct api_call *call);
void api_list(struct api_call *call);
void api_update(struct api_call *call);
void api_delete(struct api_call *call);
void api_apply(struct api_call *call);
void api_export(struct api_call *call);
void api_backup(struct api_call *call);
void api_restore(struct api_call *call);
void api_watch(struct api_call *call);
void api_capture(struct api_call *call);
void api_capture_stop(struct api_call *call);
void api_capture_list(struct api_call *call);
void api_status(struct api_call *call);
void api_explain(struct api_call *call);
void api_session_list(struct api_call *call);
void api_session_top(struct api_call *call);
void api_session_flush(struct api_call *call);
void api_drops_list(struct api_call *call);
void api_node_perf(struct api_call *call);
void api_usage_list(struct api_call *call);
void api_event_list(struct api_call *call);
void api_discover(struct api_call *call);
void api_add_rules(struct api_call *call);
void api_remove_rules(struct api_call *call);
void api_attach(struct api_call *call);
void api_detach(struct api_call *call);
void api_accept(struct api_call *call);
void api_bind(struct api_call *call);
void api_unbind(struct api_call *call);
void api_release(struct api_call *call);

#endif
