/* SPDX-License-Identifier: Apache-2.0 */
/* capture.start, capture.stop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"
#include "core/rpc.h"
#include "lib/packet_filter.h"
#include "lib/resource.h"
#include "vpc/vpc.h"

/* Which packets; false after having answered. */
static bool read_scope(struct jsonrpc_call *call, const json_t *params, struct capture *c)
{
	const char *scope = resource_text(params, "scope");
	const char *name = resource_text(params, "name");

	c->vni = (uint32_t)resource_integer(params, "vni", 0);
	if (scope == NULL || strcmp(scope, "all") == 0 || strcmp(scope, "node") == 0)
		return true;
	if (strcmp(scope, "port") == 0 && name != NULL && strlen(name) < sizeof(c->name)) {
		c->scope = CAPTURE_PORT;
		snprintf(c->name, sizeof(c->name), "%s", name);
		if (port_by_name(name) != NULL)
			return true;
		jsonrpc_failf(call, ERROR_NOT_FOUND, NULL, "port %s is not on this node", name);
		return false;
	}
	if (strcmp(scope, "vpc") == 0) {
		c->scope = CAPTURE_VPC;
		if (vpc_by_vni(c->vni) != NULL)
			return true;
		jsonrpc_failf(call, ERROR_NOT_FOUND, NULL, "VNI %u is not on this node", c->vni);
		return false;
	}
	rpc_invalid(call, "/scope", "there is no scope %s", scope);
	return false;
}

static void start(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const char *rewritten = resource_text(params, "rewritten");
	const char *expression = resource_text(params, "filter");
	struct capture like = {
		.drops = resource_boolean(params, "drops", false),
		.path = resource_boolean(params, "path", false),
		.before = rewritten == NULL || strcmp(rewritten, "after") != 0,
		.after = rewritten != NULL && strcmp(rewritten, "before") != 0,
		.id = resource_integer(params, "capture", 0),
		.conn = jsonrpc_call_conn(call),
		.limit = (uint64_t)resource_integer(params, "count", 0),
		.snaplen = (uint32_t)resource_integer(params, "snaplen", 0),
	};
	struct packet_filter *filter = NULL;
	char why[160];

	(void)ctx;
	if (!read_scope(call, params, &like))
		return;
	if (like.conn == NULL || like.id <= 0 || capture_find(like.conn, like.id) != NULL) {
		rpc_invalid(call, "/capture", "a number of its own is needed");
		return;
	}
	if (packet_filter_new(expression, &filter, why, sizeof(why)) != 0) {
		rpc_invalid(call, "/filter", "%s", why);
		return;
	}
	like.filter = expression != NULL ? strdup(expression) : NULL;
	if (capture_new(&like, filter) != NULL)
		jsonrpc_reply(call, json_object());
	else if (errno == ENOSPC)
		jsonrpc_fail(call, ERROR_EXHAUSTED, "too many captures and mirrors on this node",
			json_pack("{s:s}", "what", "observers"));
	else
		jsonrpc_fail(call, ERROR_INTERNAL, strerrordesc_np(errno), NULL);
}
RPC_METHOD(start_method, "capture.start", start)

static void stop(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct capture *c =
		capture_find(jsonrpc_call_conn(call), resource_integer(params, "capture", 0));

	(void)ctx;
	if (c == NULL || c->stop != NULL) {
		jsonrpc_reply(call, json_object()); /* it has ended by itself */
		return;
	}
	c->stop = call;
	capture_end(c);
}
RPC_METHOD(stop_method, "capture.stop", stop)
