/* SPDX-License-Identifier: Apache-2.0 */
/* The module of docs/add-a-module.md (tests/node/example) in the real graph.
 *
 * lib/southbound_kinds.c has no row for its items, so this test plays the part of core/state.c: it catches the registrations of
 * the module's kind and method at start (--wrap) and calls them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>

#include "core/node.h"
#include "core/rpc.h"
#include "core/state.h"
#include "example/curfew.h"
#include "frame.h"
#include "graph.h"
#include "lib/resource.h"
#include "session/session.h"

extern const struct kind kind_curfew;

static struct state_kind *curfew_kind;
static struct rpc_method *curfew_list;

void __real_state_kind_register(struct state_kind *kind);
void __wrap_state_kind_register(struct state_kind *kind);
void __real_rpc_method_register(struct rpc_method *method);
void __wrap_rpc_method_register(struct rpc_method *method);
void __real_node_attach_classify(struct classify_attachment *attachment);
void __wrap_node_attach_classify(struct classify_attachment *attachment);

/* The example's node takes the place of the dataplane's own. */
void __wrap_node_attach_classify(struct classify_attachment *attachment)
{
	if (strcmp(attachment->node, "dhcp6") != 0)
		__real_node_attach_classify(attachment);
}

void __wrap_state_kind_register(struct state_kind *kind)
{
	if (strcmp(kind->name, "curfew") == 0)
		curfew_kind = kind;
	else
		__real_state_kind_register(kind);
}

void __wrap_rpc_method_register(struct rpc_method *method)
{
	if (strcmp(method->name, "curfew.list") == 0)
		curfew_list = method;
	__real_rpc_method_register(method);
}

static const char cloud[] =
	"[[\"vpc\", 100, \"prod\", \"default\", 1450, \"02:00:00:00:00:64\", [\"10.0.0.0/16\"], "
	"[], 1],"
	"[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], 1],"
	"[\"group\", \"any\", 1], [\"rules\", \"any\", 0, [\"i a 1000 -1 0 65535 -1 -1 any\"]],"
	"[\"port\", \"a\", 100, \"web\", \"02:aa:00:00:00:01\", [\"10.0.1.10\"], [\"any\"], true, "
	"[], true, null, "
	"{\"type\": \"stub\"}, 1],"
	"[\"port\", \"b\", 100, \"web\", \"02:aa:00:00:00:02\", [\"10.0.1.11\"], [\"any\"], true, "
	"[], true, null, "
	"{\"type\": \"stub\"}, 1]]";

static int setup(void **state)
{
	(void)state;
	graph_items(cloud);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

static int prepare(const char *item, const char *old, void **staged, struct state_error *err)
{
	json_t *new_json = item != NULL ? json_loads(item, 0, NULL) : NULL;
	json_t *old_json = old != NULL ? json_loads(old, 0, NULL) : NULL;
	int rc = curfew_kind->prepare(new_json, old_json, staged, err);

	json_decref(new_json);
	json_decref(old_json);
	return rc;
}

/* As a transaction with one item would. */
static void apply(const char *item, const char *old)
{
	struct state_error err = {.item = NULL};
	void *staged = NULL;

	if (prepare(item, old, &staged, &err) != 0)
		fail_msg("%s", err.reason);
	curfew_kind->commit(staged);
}

#define CURFEW "[\"curfew\", 100, \"maintenance\"]"

/* One packet from a to b; does it arrive? */
static bool arrives(uint16_t sport)
{
	struct frame f;
	uint16_t len;

	f = *FRAME(FROM("02:aa:00:00:00:01", "10.0.1.10"), TO("02:aa:00:00:00:02", "10.0.1.11"),
		.sport = sport, .dport = 53);
	graph_send("a", f.bytes, f.len);
	graph_run();
	return graph_sent("b", &len) != NULL;
}

static void test_new_flows_are_refused(void **state)
{
	(void)state;
	assert_true(arrives(1));
	apply(CURFEW, NULL);
	assert_false(arrives(2));
	assert_int_equal(graph_dropped(DROP_BLACKHOLE), 1);
	apply(NULL, CURFEW);
	assert_true(arrives(3));
}

static void test_running_flows_are_cut(void **state)
{
	(void)state;
	assert_true(arrives(1));
	assert_int_equal(session_used(), 1);
	apply(CURFEW, NULL);
	assert_false(arrives(1));
	assert_int_equal(session_used(), 0);
	apply(NULL, CURFEW);
	assert_true(arrives(1));
}

static void test_silent_flows_are_cut(void **state)
{
	(void)state;
	assert_true(arrives(1));
	apply(CURFEW, NULL);
	graph_pass_time(1);
	assert_int_equal(session_used(), 0);
	apply(NULL, CURFEW);
}

static void test_bad_item_changes_nothing(void **state)
{
	struct state_error err = {.item = NULL};
	void *staged = NULL;

	(void)state;
	assert_int_equal(prepare("[\"curfew\", 100, \"\"]", NULL, &staged, &err), -EINVAL);
	assert_string_equal(err.reason, "a curfew needs a reason");
	assert_int_equal(prepare(CURFEW, NULL, &staged, &err), 0);
	curfew_kind->abort(staged);
	assert_true(arrives(1));
}

static void test_dhcp6_is_heard(void **state)
{
	struct frame f;

	(void)state;
	f = *FRAME(FROM("02:aa:00:00:00:01", "fe80::aa:ff:fe00:1"),
		TO("33:33:00:01:00:02", "ff02::1:2"), .sport = 546, .dport = 547);
	graph_send("a", f.bytes, f.len);
	graph_run();
	assert_int_equal(graph_dropped_any(), 0);
	assert_int_equal(graph_unfetched(), 0);
}

static void keep(json_t *answer, void *arg)
{
	*(json_t **)arg = json_deep_copy(answer);
}

static void expect_listed(struct jsonrpc_server *server, const char *items)
{
	json_t *answer = NULL, *want = json_loads(items, 0, NULL);
	json_t *request =
		json_pack("{s:s, s:i, s:s}", "jsonrpc", "2.0", "id", 1, "method", "curfew.list");
	struct jsonrpc_peer peer = {.name = "test"};

	jsonrpc_server_dispatch(server, request, &peer, keep, &answer);
	json_decref(request);
	assert_true(json_equal(json_object_get(json_object_get(answer, "result"), "items"), want));
	json_decref(answer);
	json_decref(want);
}

static void test_listed(void **state)
{
	const struct jsonrpc_method methods[] = {
		{"curfew.list", curfew_list->handler}, {NULL, NULL}};
	struct jsonrpc_server_options options = {.methods = methods};
	struct event_base *base = event_base_new();
	struct jsonrpc_server *server = jsonrpc_server_new(base, &options);

	(void)state;
	expect_listed(server, "[]");
	apply(CURFEW, NULL);
	expect_listed(server, "[100]");
	apply(NULL, CURFEW);
	expect_listed(server, "[]");
	jsonrpc_server_free(server);
	event_base_free(base);
}

static void test_resource(void **state)
{
	static const struct {
		const char *object, *bad_path;
	} cases[] = {
		{"{\"name\": \"night\", \"vpc\": \"prod\", \"reason\": \"maintenance\"}", NULL},
		{"{\"name\": \"night\", \"vpc\": \"prod\", \"reason\": \"\"}", "/reason"},
		{"{\"name\": \"night\", \"reason\": \"x\"}", "/vpc"},
		{"{\"name\": \"night\", \"vpc\": \"prod\", \"reason\": \"x\", \"until\": 6}",
			"/until"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *given = json_loads(cases[i].object, 0, NULL), *object = NULL;
		struct resource_error error;
		bool ok = resource_validate(&kind_curfew, RESOURCE_CREATE, given, &object, &error);

		assert_int_equal(ok, cases[i].bad_path == NULL);
		if (!ok)
			assert_string_equal(error.path, cases[i].bad_path);
		else
			json_decref(object);
		json_decref(given);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_flows_are_refused),
		T(test_running_flows_are_cut),
		T(test_silent_flows_are_cut),
		T(test_bad_item_changes_nothing),
		T(test_dhcp6_is_heard),
		T(test_listed),
		cmocka_unit_test(test_resource),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
