/* SPDX-License-Identifier: Apache-2.0 */
#include "controller.h"

#include "alert_out.h"
#include "api.h"
#include "audit.h"
#include "backup.h"
#include "capture.h"
#include "commit.h"
#include "emission.h"
#include "events.h"
#include "http.h"
#include "lib/daemon.h"
#include "lib/json_memo.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "mem.h"
#include "metrics.h"
#include "model_mtu.h"
#include "move.h"
#include "node.h"
#include "response.h"
#include "rules.h"
#include "txn.h"
#include "usage.h"
#include "wait.h"
#include "watch.h"
#include "wave.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCAL_RPC "/run/vpc/dataplane.sock"

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void)
{
	return now_us() / 1000;
}

char *now_text(char *text)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return time_text_format((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, text);
}

/* ---- What the store knows ---- */

static void restore_object(const char *kind_name, json_t *object, void *arg)
{
	struct controller *c = arg;
	const struct kind *kind = kind_find(kind_name);

	if (kind != NULL) {
		txn_restore(&c->model, kind, object);
		return;
	}
	log_warn("the store has objects of an unknown kind", LOG_STR("kind", kind_name));
	json_decref(object);
}

static int restore(struct controller *c)
{
	struct resource_error error;
	const char *which = "";
	char *revision;
	int rc = store_load(c->store, restore_object, c);

	if (rc < 0)
		return rc;
	revision = store_get(c->store, "revision");
	if (revision != NULL)
		c->model.revision = c->published = strtoull(revision, NULL, 10);
	free(revision);
	if (txn_restored(&c->model, &error, &which) < 0) {
		log_error("the store contradicts itself", LOG_STR("object", which),
			LOG_STR("path", error.path), LOG_STR("reason", error.reason));
		return -EINVAL;
	}
	model_mtu_restore(c);
	return 0;
}

/* ---- Nodes of the configuration ---- */

static json_t *default_nodes(const struct controller *c)
{
	char name[DAEMON_HOST_NAME];
	struct resource_error error;
	json_t *in, *node = NULL;

	if (c->config->nodes_given || model_count(&c->model, kind_find("node")) > 0)
		return json_incref(c->config->nodes);
	in = json_pack("{s:s, s:s}", "name", daemon_host_name(name), "rpc", LOCAL_RPC);
	resource_validate(kind_find("node"), RESOURCE_CREATE, in, &node, &error);
	json_decref(in);
	return json_pack("[o]", node);
}

static void configure_node(
	struct controller *c, struct txn *txn, const json_t *wanted, size_t index)
{
	const struct kind *kind = kind_find("node");
	struct object *known = model_find(&c->model, kind, resource_text(wanted, "name"));
	json_t *node = json_copy((json_t *)wanted);

	if (known == NULL) {
		txn_create(txn, kind, node, index);
		return;
	}
	resource_keep_automatic(kind, known->json, node);
	if (resource_equal(kind, known->json, node))
		json_decref(node);
	else
		txn_update(txn, known, node, index);
}

static void nodes_stored(int rc, const struct txn *txn, void *arg)
{
	(void)txn;
	*(int *)arg = rc;
}

/* One that got another name there, say, while ports still refer to the old one: both stay, and the operator is told. */
static void report_rivals(struct controller *c)
{
	const struct object *node, *rival;
	const char *field;
	json_t *given;
	char *text;
	size_t i;

	json_array_foreach (c->config->nodes, i, given) {
		node = model_get(&c->model, "node", resource_text(given, "name"));
		rival = node != NULL ? node_rival(&c->model, node, &field) : NULL;
		if (rival == NULL)
			continue;
		text = mem_printf("node `%s` of the configuration has the %s of the stored node "
				  "`%s`: move its ports and delete it",
			node->name, field, rival->name);
		log_warn("two nodes are one", LOG_STR("node", node->name),
			LOG_STR("other", rival->name), LOG_STR("field", field));
		events_add(
			c->events, EVENT_WARNING, NULL, "node", node->name, "node_conflict", text);
		free(text);
	}
}

static int configure_nodes(struct controller *c)
{
	json_t *nodes = default_nodes(c), *node;
	struct txn_error error = {0};
	struct txn txn;
	int result = 0;
	size_t i;

	txn_init(&txn, &c->model);
	json_array_foreach (nodes, i, node)
		configure_node(c, &txn, node, i);
	json_decref(nodes);
	c->model.configuring = true;
	if (!txn_run(&txn, &error)) {
		log_error("the nodes of the configuration do not fit the stored network",
			LOG_STR("path", error.base.path), LOG_STR("reason", error.base.reason));
		txn_error_fini(&error);
		return -EINVAL;
	}
	c->model.configuring = false;
	commit_submit(c, &txn, nodes_stored, &result);
	commit_now(c);
	if (result == 0)
		report_rivals(c);
	return result;
}

static void start_nodes(struct controller *c)
{
	MODEL_FOREACH(&c->model, kind_find("node"), object)
	node_update(c, object);
	emission_flush(c);
}

/* ---- Start and stop ---- */

static int start_tls(struct controller *c)
{
	struct tls_files files = tls_files_of(c->config->tls);
	struct tls_fault fault = {.field = "", .reason = "out of memory"};

	if (c->config->tls == NULL)
		return 0;
	c->tls = tls_new(TLS_CLIENT, &files, &fault);
	if (c->tls == NULL)
		log_error("certificates cannot be used", LOG_STR("field", fault.field),
			LOG_STR("reason", fault.reason));
	return c->tls != NULL ? 0 : -EINVAL;
}

static void client_gone(struct jsonrpc_conn *conn, void *ctx)
{
	watch_closed(conn, ctx);
	capture_client_gone(ctx, conn);
}

static int start_parts(struct controller *c)
{
	const struct jsonrpc_server_options options = {
		.dispatch = api_dispatch, .closed = client_gone, .ctx = c};
	int rc = store_open(&c->store, c->config->store);

	if (rc < 0)
		return rc;
	c->commits = commits_new(c);
	c->watches = watches_new();
	c->captures = captures_new();
	c->waits = waits_new(c);
	c->waves = waves_new(c);
	c->moves = moves_new(c);
	c->nodes = nodes_new();
	c->metrics = metrics_new();
	c->events = events_new(c);
	c->audit = audit_new(c->base, c->config->audit_log);
	c->alert_out = alert_out_new(c->base, c->config->alerts_file, c->config->alerts_syslog);
	c->usage = usage_new(c);
	c->backups = backups_new(c);
	if (c->events == NULL || c->audit == NULL || c->alert_out == NULL || c->usage == NULL)
		return -EIO;
	rc = restore(c);
	if (rc == 0)
		rc = configure_nodes(c);
	if (rc < 0)
		return rc;
	c->server = jsonrpc_server_new(c->base, &options);
	return c->server != NULL ? 0 : -ENOMEM;
}

int controller_start(
	struct controller *c, struct event_base *base, const struct controller_config *config)
{
	uint64_t began = now_ms();
	int rc;

	*c = (struct controller){.base = base, .config = config};
	model_init(&c->model);
	c->model.vni_first = config->vni_first;
	c->model.vni_last = config->vni_last;
	rc = start_tls(c);
	if (rc == 0)
		rc = start_parts(c);
	if (rc == 0)
		rc = http_start(c);
	if (rc == 0)
		rc = jsonrpc_server_listen_unix(c->server, config->listen);
	if (rc < 0) {
		controller_stop(c);
		return rc;
	}
	response_start(c);
	start_nodes(c);
	usage_start(c->usage);
	log_info("ready", LOG_STR("listen", config->listen), LOG_STR("http", config->http),
		LOG_UINT("revision", c->published), LOG_UINT("took_ms", now_ms() - began));
	return 0;
}

void controller_stop(struct controller *c)
{
	usage_stop(c->usage);
	/* What is acknowledged is stored; what is not yet, is stored and answered first. */
	commits_free(c->commits);
	c->commits = NULL;
	waits_free(c->waits);
	c->waits = NULL;
	waves_free(c->waves);
	c->waves = NULL;
	nodes_free(c->nodes); /* calls that ask them are answered now */
	moves_free(c->moves);
	c->moves = NULL;
	http_stop(c->http);
	if (c->server != NULL)
		jsonrpc_server_free(c->server);
	response_stop(c);
	alert_out_free(c->alert_out);
	watches_free(c->watches);
	captures_free(c->captures);
	events_free(c->events);
	usage_free(c->usage);
	backups_free(c->backups);
	audit_free(c->audit);
	metrics_free(c->metrics);
	model_fini(&c->model);
	store_close(c->store);
	json_memo_clear();
	tls_free(c->tls);
}

void controller_reload(struct controller *c)
{
	if (c->tls != NULL)
		tls_refresh(c->tls, true);
	NODES_FOREACH(c, node)
	node_link_reload(node);
}
