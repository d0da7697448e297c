/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "audit.h"
#include "mem.h"
#include "metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *method;
	api_handler_fn handler;
} handlers[] = {
	{"apply", api_apply},
	{"export", api_export},
	{"backup", api_backup},
	{"restore", api_restore},
	{"watch", api_watch},
	{"capture", api_capture},
	{"capture.stop", api_capture_stop},
	{"capture.list", api_capture_list},
	{"status", api_status},
	{"explain", api_explain},
	{"session.list", api_session_list},
	{"session.top", api_session_top},
	{"session.flush", api_session_flush},
	{"drops.list", api_drops_list},
	{"node.perf", api_node_perf},
	{"usage.list", api_usage_list},
	{"event.list", api_event_list},
	{"rpc.discover", api_discover},
	{"security_group.add_rules", api_add_rules},
	{"security_group.remove_rules", api_remove_rules},
	{"port.attach", api_attach},
	{"port.detach", api_detach},
	{"peering.accept", api_accept},
	{"eip.bind", api_bind},
	{"eip.unbind", api_unbind},
	{"alert.release", api_release},
};

static api_handler_fn handler_of(const struct method *method)
{
	switch (method->verb) {
	case METHOD_CREATE:
		return api_create;
	case METHOD_GET:
		return api_get;
	case METHOD_LIST:
		return api_list;
	case METHOD_UPDATE:
		return api_update;
	case METHOD_DELETE:
		return api_delete;
	case METHOD_GENERAL:
	case METHOD_EXTRA:
		break;
	}
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (strcmp(handlers[i].method, method->name) == 0)
			return handlers[i].handler;
	return NULL;
}

static void call_free(struct api_call *call)
{
	json_decref(call->params);
	json_decref(call->result);
	json_decref(call->touched);
	free(call);
}

static void call_over(struct api_call *call, int code)
{
	if (call->method->flags & METHOD_WRITES)
		audit_call(call->c->audit, call, code);
	metrics_call(call->c->metrics, call->method, now_us() - call->started_us, code != 0);
}

void api_reply(struct api_call *call, json_t *result)
{
	call_over(call, 0);
	jsonrpc_reply(call->rpc, result);
	call_free(call);
}

static void fail(struct api_call *call, int code, const char *message, json_t *data)
{
	call_over(call, code);
	jsonrpc_fail(call->rpc, code, message, data);
	call_free(call);
}

void api_fail(struct api_call *call, int code, json_t *data, const char *format, ...)
{
	char message[RESOURCE_PATH_MAX + RESOURCE_REASON_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	fail(call, code, message, data);
}

void api_fail_error(struct api_call *call, struct txn_error *error)
{
	char message[RESOURCE_PATH_MAX + RESOURCE_REASON_MAX];
	json_t *data = resource_error_data(&error->base);

	if (error->data != NULL)
		json_object_update(data, error->data);
	txn_error_fini(error);
	resource_error_message(&error->base, message, sizeof(message));
	fail(call, (int)error->base.code, message, data);
}

struct object *api_object(struct api_call *call)
{
	const char *name = resource_text(call->params, "name");
	struct object *object = model_find(&call->c->model, call->method->kind, name);
	struct txn_error error = {0};

	if (object != NULL)
		return object;
	resource_fail_code(&error.base, ERROR_NOT_FOUND, "/name", "there is no %s `%s`",
		call->method->kind->name, name);
	api_fail_error(call, &error);
	return NULL;
}

bool api_dispatch(struct jsonrpc_call *rpc, const char *name, json_t *params, void *ctx)
{
	const struct method *method = method_find(name);
	api_handler_fn handler = method != NULL ? handler_of(method) : NULL;
	struct txn_error error = {0};
	struct api_call *call;

	if (handler == NULL)
		return false;
	call = mem_calloc(1, sizeof(*call));
	*call = (struct api_call){.c = ctx, .rpc = rpc, .method = method, .started_us = now_us()};
	if (method->flags & METHOD_WRITES && jsonrpc_call_peer(rpc)->read_only) {
		api_fail(
			call, ERROR_DENIED, NULL, "%s changes something: that needs a token", name);
		return true;
	}
	if (method_validate(method, params, &call->params, &call->control, &error.base))
		handler(call);
	else
		api_fail_error(call, &error);
	return true;
}
