/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that somebody sends to the controller's socket, against a whole controller with a store of its own (its nodes are
 * away for ever).
 *
 * Whatever it is: answers are well formed; calls that were all refused leave the revision as it was; what is exported can
 * be applied and changes nothing; and a controller that starts from the store exports the same.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "controller/controller.h"
#include "lib/connector.h"
#include "lib/errors.h"
#include "lib/jsonrpc_server.h"
#include "lib/log.h"
#include "rpc_text.h"

#define RESTART_EVERY 16

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Linked with --wrap: a mutated node must not be connected to. */
int __wrap_connector_start(struct connector **connector, struct event_base *base,
	const char *address, const struct connector_options *options);

int __wrap_connector_start(struct connector **connector, struct event_base *base,
	const char *address, const struct connector_options *options)
{
	(void)base;
	(void)address;
	(void)options;
	*connector = NULL;
	return -EHOSTUNREACH;
}

static const char base_resources[] =
	"[{\"kind\": \"node\", \"name\": \"a\", \"rpc\": \"/nowhere/a.sock\", \"vtep\": "
	"\"192.0.2.1\"},"
	" {\"kind\": \"node\", \"name\": \"b\", \"rpc\": \"/nowhere/b.sock\", \"vtep\": "
	"\"192.0.2.2\"},"
	" {\"kind\": \"vpc\", \"name\": \"v\", \"cidrs\": [\"10.0.0.0/16\", \"fd00:10::/48\"]},"
	" {\"kind\": \"vpc\", \"name\": \"w\", \"cidrs\": [\"10.1.0.0/16\"]},"
	" {\"kind\": \"prefix_list\", \"name\": \"l\", \"cidrs\": [\"198.51.100.0/24\"]},"
	" {\"kind\": \"security_group\", \"name\": \"g\", \"rules\": [{\"direction\": \"ingress\","
	"  \"protocol\": \"tcp\", \"ports\": \"443\", \"remote_prefix_list\": \"l\"}]},"
	" {\"kind\": \"subnet\", \"name\": \"s\", \"vpc\": \"v\", \"cidr\": \"10.0.1.0/24\","
	"  \"cidr6\": \"fd00:10:0:1::/64\"},"
	" {\"kind\": \"port\", \"name\": \"p\", \"subnet\": \"s\", \"node\": \"a\", "
	"\"security_groups\": "
	"[\"g\"]}]";

static char dir[] = "/dev/shm/vpc-fuzz-XXXXXX";
static struct event_base *base;
static struct controller controller;
static struct controller_config config;

static char *in_dir(const char *before, const char *name)
{
	char *text;

	if (asprintf(&text, "%s%s/%s", before, dir, name) < 0)
		abort();
	return text;
}

static void start(void)
{
	if (controller_start(&controller, base, &config) < 0)
		abort();
}

/* Asks as a client would, but is handed the answer. Takes `params`. */
static void take_answer(json_t *answer, void *arg)
{
	*(json_t **)arg = json_incref(answer);
}

static json_t *call(const char *method, json_t *params)
{
	const struct jsonrpc_peer peer = {.name = "fuzz"};
	json_t *request = jsonrpc_make_request(method, params, json_integer(1)), *answer = NULL;

	jsonrpc_server_dispatch(controller.server, request, &peer, take_answer, &answer);
	while (answer == NULL)
		event_base_loop(base, EVLOOP_ONCE);
	json_decref(request);
	return answer;
}

static json_t *resources(void)
{
	json_t *answer = call("export", json_object());
	json_t *list = json_incref(json_object_get(json_object_get(answer, "result"), "resources"));

	if (list == NULL)
		rpc_text_die("no export", answer);
	json_decref(answer);
	return list;
}

static void run(const char *format)
{
	char command[256];

	snprintf(command, sizeof(command), format, dir, dir, dir, dir);
	if (system(command) != 0)
		abort();
}

/* The store as it is with nothing but the base. */
static void make_base(void)
{
	json_t *answer;

	start();
	answer =
		call("apply", json_pack("{s:o}", "resources", json_loads(base_resources, 0, NULL)));
	if (json_object_get(answer, "result") == NULL)
		rpc_text_die("the base is refused", answer);
	json_decref(answer);
	controller_stop(&controller);
	run("mv %s/state.db %s/base.db");
}

static void start_afresh(void)
{
	run("rm -f %s/state.db-* %s/audit.jsonl && cp %s/base.db %s/state.db");
	start();
}

static void check_export(const json_t *list)
{
	json_t *answer = call("apply", json_pack("{s:O, s:b}", "resources", list, "dry_run", 1));
	const json_t *result = json_object_get(answer, "result");

	if (json_integer_value(json_object_get(result, "unchanged")) !=
		(json_int_t)json_array_size(list))
		rpc_text_die("an export that changes something", answer);
	json_decref(answer);
}

static void check_restart(const json_t *list)
{
	json_t *again;

	controller_stop(&controller);
	start();
	again = resources();
	if (!json_equal((json_t *)list, again)) {
		fprintf(stderr, "before: %s\n", json_dumps(list, 0));
		rpc_text_die("the store has something else", again);
	}
	json_decref(again);
}

static void at_exit(void)
{
	run("rm -rf %s");
}

static void set(char **text, char *value)
{
	free(*text);
	*text = value;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN); /* as daemon_init() does */
	if (mkdtemp(dir) == NULL)
		abort();
	atexit(at_exit);
	base = event_base_new();
	if (controller_config_load(&config, NULL) < 0)
		abort();
	set(&config.listen, in_dir("", "x.sock"));
	set(&config.store, in_dir("sqlite:", "state.db"));
	set(&config.audit_log, in_dir("", "audit.jsonl"));
	set(&config.http, strdup("127.0.0.1:0"));
	set(&config.http_token_file, NULL);
	config.nodes_given = true;
	make_base();
	start_afresh();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned changes;
	const char *text = (const char *)data;
	uint64_t before = controller.model.revision;
	json_t *messages = rpc_text_play(controller.server, base, text, size), *list;

	if (controller.model.revision != before) {
		if (rpc_text_is_requests(text, size) && rpc_text_results(messages) == 0 &&
			!rpc_text_has_error(messages, ERROR_UNAVAILABLE) &&
			json_array_size(messages) > 0)
			rpc_text_die("a change of which every part was refused", messages);
		list = resources();
		check_export(list);
		if (++changes % RESTART_EVERY == 0)
			check_restart(list);
		json_decref(list);
		controller_stop(&controller);
		start_afresh();
	}
	json_decref(messages);
	return 0;
}
