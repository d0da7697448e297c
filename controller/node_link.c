/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to a node's dataplane: connect, greet, try again. */
#include "alert.h"
#include "capture.h"
#include "claims.h"
#include "controller.h"
#include "events.h"
#include "gateway.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "mem.h"
#include "model_mtu.h"
#include "node.h"
#include "reconcile.h"
#include "wave.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 1
#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 500
#define HELLO_TIMEOUT_MS 5000
/* A new reason in the same absence is told no sooner. */
#define COMPLAINT_MS 10000

static void try_connect(struct node *node);

static void retry_later(struct node *node)
{
	struct timeval delay;

	node->backoff_ms = node->backoff_ms == 0 ? BACKOFF_MIN_MS : node->backoff_ms * 2;
	if (node->backoff_ms > BACKOFF_MAX_MS)
		node->backoff_ms = BACKOFF_MAX_MS;
	delay = (struct timeval){.tv_sec = 0, .tv_usec = node->backoff_ms * 1000};
	evtimer_add(node->retry, &delay);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	try_connect(arg);
}

static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

/* Says it once per absence, and again when it is for another reason. */
static void complain(struct node *node)
{
	uint64_t complaint = hash_text(node->reason), now = now_ms();

	if (node->complained &&
		(complaint == node->complaint || now - node->complaint_ms < COMPLAINT_MS))
		return;
	node->complained = true;
	node->complaint = complaint;
	node->complaint_ms = now;
	events_add(node->c->events, EVENT_WARNING, node->name, "node", node->name, "node_away",
		node->reason);
}

static void gone(struct node *node, const char *reason)
{
	snprintf(node->reason, sizeof(node->reason), "%s", reason);
	node->state = NODE_AWAY;
	reconcile_end(node);
	capture_node_gone(node);
	wave_look(node->c);
	complain(node);
	retry_later(node);
}

static void on_disconnected(struct jsonrpc_client *client, const char *reason, void *ctx)
{
	struct node *node = ctx;
	char text[sizeof(node->reason)];

	(void)client;
	snprintf(text, sizeof(text), "%s: %s", node->rpc, reason);
	gone(node, text);
}

void node_link_fail(struct node *node, const char *format, ...)
{
	char reason[sizeof(node->reason)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	jsonrpc_client_close(node->client);
	gone(node, reason);
}

/* The node has cut flows to another one, which is told. Only what ends at the teller's VTEP is ended there, so no node has more to
 * say about it than its own share. Who is away learns nothing: it has the sessions until they time out. */
static void pass_cut(const struct node *node, json_t *params)
{
	const char *name = resource_text(params, "node");
	struct node *other = name != NULL ? node_find(node->c, name) : NULL;
	json_t *items = json_object_get(params, "items");

	if (other == NULL || other == node || other->client == NULL || !json_is_array(items))
		return;
	jsonrpc_client_notify(other->client, "session.end",
		json_pack("{s:s, s:O}", "node", node->name, "items", items));
}

static void on_notification(
	struct jsonrpc_client *client, const char *method, json_t *params, void *ctx)
{
	struct node *node = ctx;
	const char *severity = resource_text(params, "severity");
	enum event_severity level = EVENT_INFO;

	(void)client;
	if (strcmp(method, "session.cut") == 0)
		pass_cut(node, params);
	if (strncmp(method, "capture.", strlen("capture.")) == 0)
		capture_heard(node, method, params);
	if (strcmp(method, "inspect.alert") == 0)
		alert_heard(node, params);
	if (strcmp(method, "event") != 0 || resource_text(params, "reason") == NULL)
		return;
	if (strcmp(resource_text(params, "reason"), "address_claimed") == 0 &&
		resource_text(params, "name") != NULL && resource_text(params, "message") != NULL)
		claims_heard(node, resource_text(params, "name"), resource_text(params, "message"));
	if (severity != NULL && strcmp(severity, "warning") == 0)
		level = EVENT_WARNING;
	else if (severity != NULL && strcmp(severity, "error") == 0)
		level = EVENT_ERROR;
	events_add(node->c->events, level, node->name, resource_text(params, "kind"),
		resource_text(params, "name"), resource_text(params, "reason"),
		resource_text(params, "message") != NULL ? resource_text(params, "message") : "");
}

/* NULL when the answer is one we can work with. */
static const char *objection(const struct node *node, const json_t *hello, char *text, size_t size)
{
	const char *name = resource_text(hello, "node");
	json_int_t version = resource_integer(hello, "api_version", 0);

	if (version != API_VERSION)
		snprintf(text, size, "its dataplane speaks version %" JSON_INTEGER_FORMAT ", we %d",
			version, API_VERSION);
	else if (name != NULL && strcmp(name, node->name) != 0)
		snprintf(text, size, "the dataplane at %s is node `%s`", node->rpc, name);
	else
		return NULL;
	return text;
}

static void on_hello(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct node *node = arg;
	char text[160];
	const char *wrong;

	if (outcome->status == -EREMOTEIO || outcome->status == -ETIMEDOUT)
		node_link_fail(node, "hello: %s", outcome->message);
	if (outcome->status < 0)
		return;
	wrong = objection(node, outcome->result, text, sizeof(text));
	if (wrong != NULL) {
		node_link_fail(node, "%s", wrong);
		return;
	}
	json_decref(node->hello);
	node->hello = json_incref(outcome->result);
	node->backoff_ms = 0;
	node->complained = false;
	node->reason[0] = '\0';
	if (node->object != NULL)
		gateway_learn(node->object, node->hello);
	model_mtu_learn(node->c, node->name, node->hello);
	events_add(node->c->events, EVENT_INFO, node->name, "node", node->name, "node_connected",
		"its dataplane is there");
	reconcile_begin(node);
}

static void on_connected(struct jsonrpc_client *client, void *ctx)
{
	struct node *node = ctx;

	node->state = NODE_GREETING;
	jsonrpc_client_call(client, "hello",
		json_pack("{s:i, s:s, s:s}", "api_version", API_VERSION, "controller", VPC_VERSION,
			"node", node->name),
		HELLO_TIMEOUT_MS, on_hello, node);
}

/* Who we are for a node by TLS. NULL: said in its reason. */
static struct tls *identity(struct node *node)
{
	struct tls_files files = tls_files_of(node->tls_files);
	struct tls_fault fault = {.field = "cert", .reason = "out of memory"};

	if (node->tls_files == NULL) {
		if (node->c->tls == NULL)
			snprintf(node->reason, sizeof(node->reason),
				"%s needs `tls` (cert, key, ca) in the controller's configuration",
				node->rpc);
		return node->c->tls;
	}
	if (node->tls == NULL)
		node->tls = tls_new(TLS_CLIENT, &files, &fault);
	if (node->tls == NULL)
		snprintf(node->reason, sizeof(node->reason), "tls.%s: %s", fault.field,
			fault.reason);
	return node->tls;
}

static bool start_connecting(struct node *node)
{
	struct tls *tls;
	int rc;

	if (strncmp(node->rpc, "tls://", 6) == 0) {
		tls = identity(node);
		if (tls == NULL)
			return false;
		jsonrpc_client_set_tls(node->client, tls, node->name);
	}
	rc = jsonrpc_client_connect(node->client, node->rpc);
	if (rc < 0)
		snprintf(node->reason, sizeof(node->reason), "cannot connect to %s: %s", node->rpc,
			log_strerror(rc));
	return rc == 0;
}

static void try_connect(struct node *node)
{
	if (start_connecting(node))
		return;
	complain(node);
	retry_later(node);
}

void node_link_reload(struct node *node)
{
	if (node->tls != NULL)
		tls_refresh(node->tls, true);
}

void node_link_start(struct node *node)
{
	const struct jsonrpc_client_options options = {
		.connected = on_connected,
		.disconnected = on_disconnected,
		.notification = on_notification,
		.ctx = node,
	};

	snprintf(node->reason, sizeof(node->reason), "not connected yet");
	node->client = jsonrpc_client_new(node->c->base, &options);
	node->retry = evtimer_new(node->c->base, on_retry, node);
	try_connect(node);
}

void node_link_stop(struct node *node)
{
	if (node->client == NULL)
		return;
	node->state = NODE_AWAY;
	jsonrpc_client_free(node->client);
	node->client = NULL;
	reconcile_end(node);
	event_free(node->retry);
}
