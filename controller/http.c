/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "controller.h"
#include "fan_out.h"
#include "flow_log.h"
#include "http_guard.h"
#include "lib/jsonrpc_server.h"
#include "lib/log.h"
#include "lib/openrpc.h"
#include "mem.h"
#include "metrics.h"
#include "metrics_service.h"
#include "node.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX (16 << 20)
#define HEADERS_MAX (16 << 10)
#define TIMEOUT_S 30
#define METRICS_TIMEOUT_MS 1000

struct http {
	struct controller *c;
	struct evhttp *server;
	char *host; /* that we listen on, without port and brackets */
	struct http_tokens *tokens;
};

/* A request whose answer comes later; it may be gone by then. */
struct exchange {
	struct http *http;
	struct evhttp_request *request; /* NULL: the client has gone */
};

/* ---- Answers ---- */

static void answer(
	struct evhttp_request *request, int code, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_send_reply(request, code, NULL, body);
}

static void answer_text(
	struct evhttp_request *request, int code, const char *type, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, text, strlen(text));
	answer(request, code, type, body);
	evbuffer_free(body);
}

static void refuse(struct evhttp_request *request, int code, const char *why)
{
	char *text = mem_printf("%s\n", why);

	answer_text(request, code, "text/plain; charset=utf-8", text);
	free(text);
}

static void on_gone(struct evhttp_connection *connection, void *arg)
{
	struct exchange *x = arg;

	(void)connection;
	x->request = NULL;
}

static struct exchange *exchange_new(struct http *http, struct evhttp_request *request)
{
	struct exchange *x = mem_calloc(1, sizeof(*x));

	*x = (struct exchange){.http = http, .request = request};
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_gone, x);
	return x;
}

/* The request if it is still there; the exchange ends. */
static struct evhttp_request *exchange_end(struct exchange *x)
{
	struct evhttp_request *request = x->request;

	if (request != NULL)
		evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
	free(x);
	return request;
}

/* ---- Who may ---- */

/* False after having refused a page of somebody else's that a browser was made to fetch (DNS rebinding). */
static bool host_ok(struct http *http, struct evhttp_request *request)
{
	const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");

	if (http_host_is_ours(host, http->host))
		return true;
	refuse(request, 403, "this Host is not served here");
	return false;
}

static bool method_ok(struct evhttp_request *request, enum evhttp_cmd_type allowed)
{
	if (evhttp_request_get_command(request) == allowed)
		return true;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow",
		allowed == EVHTTP_REQ_GET ? "GET" : "POST");
	refuse(request, HTTP_BADMETHOD, "method not allowed");
	return false;
}

/* A page of somebody else's can make a browser send other types without asking us first. Browsers name the page's origin; who sends no
 * origin is none, and may call it what its library does. */
static bool content_type_ok(struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *type = evhttp_find_header(headers, "Content-Type");
	size_t len = type != NULL ? strcspn(type, "; \t") : 0;

	if (evhttp_find_header(headers, "Origin") == NULL)
		return true;
	if (len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0)
		return true;
	refuse(request, 415, "Content-Type must be application/json");
	return false;
}

/* Fills the peer; false after having refused a wrong token. Without any it may read. */
static bool token_ok(struct http *http, struct evhttp_request *request, struct jsonrpc_peer *peer)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *authorization = evhttp_find_header(headers, "Authorization");

	*peer = (struct jsonrpc_peer){.uid = (uid_t)-1, .gid = (gid_t)-1, .read_only = true};
	if (authorization == NULL)
		return true;
	if (http_tokens_check(http->tokens, authorization, peer->name, sizeof(peer->name))) {
		peer->read_only = false;
		return true;
	}
	evhttp_add_header(evhttp_request_get_output_headers(request), "WWW-Authenticate",
		"Bearer realm=\"vpc-controller\"");
	refuse(request, 401, "this token is not known");
	return false;
}

/* ---- Pages ---- */

static void on_rpc_answer(json_t *result, void *arg)
{
	struct evhttp_request *request = exchange_end(arg);
	char *text;
	size_t len;

	if (request == NULL)
		return;
	if (result == NULL) { /* notifications alone */
		evhttp_send_reply(request, HTTP_NOCONTENT, NULL, NULL);
		return;
	}
	text = jsonrpc_text(result, &len);
	answer_text(request, HTTP_OK, "application/json", text != NULL ? text : "");
	free(text);
}

static void on_rpc(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	struct http *http = arg;
	struct jsonrpc_peer peer;

	if (!host_ok(http, request) || !method_ok(request, EVHTTP_REQ_POST) ||
		!content_type_ok(request) || !token_ok(http, request, &peer))
		return;
	jsonrpc_server_dispatch_text(http->c->server, (const char *)evbuffer_pullup(body, -1),
		evbuffer_get_length(body), &peer, on_rpc_answer, exchange_new(http, request));
}

static void on_metrics_ready(struct fan_out *fan, void *arg)
{
	struct http *http = ((struct exchange *)arg)->http;
	struct evhttp_request *request = exchange_end(arg);
	struct evbuffer *body;

	if (request == NULL)
		return;
	body = evbuffer_new();
	metrics_write(http->c, fan, body);
	answer(request, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body);
	evbuffer_free(body);
}

static void on_metrics(struct evhttp_request *request, void *arg)
{
	struct http *http = arg;
	struct fan_out *fan;

	if (!host_ok(http, request) || !method_ok(request, EVHTTP_REQ_GET))
		return;
	fan = fan_out_new(
		http->c, METRICS_TIMEOUT_MS, on_metrics_ready, exchange_new(http, request));
	NODES_FOREACH(http->c, node)
	{
		if (!node_is_connected(node))
			continue;
		fan_out_ask(fan, node, "status", mem_json(json_object()));
		metrics_service_ask(fan, node);
		flow_log_metrics_ask(fan, node);
	}
	fan_out_wait(fan);
}

static void on_openrpc(struct evhttp_request *request, void *arg)
{
	json_t *document;
	char *text;

	if (!host_ok(arg, request) || !method_ok(request, EVHTTP_REQ_GET))
		return;
	document = openrpc_document();
	text = json_dumps(document, JSON_INDENT(2));
	answer_text(request, HTTP_OK, "application/json", text);
	free(text);
	json_decref(document);
}

static void on_healthz(struct evhttp_request *request, void *arg)
{
	if (host_ok(arg, request) && method_ok(request, EVHTTP_REQ_GET))
		answer_text(request, HTTP_OK, "text/plain; charset=utf-8", "ok\n");
}

static void on_other(struct evhttp_request *request, void *arg)
{
	if (host_ok(arg, request))
		refuse(request, HTTP_NOTFOUND,
			"there is nothing here: see /metrics, /openrpc.json, "
			"/healthz and POST /rpc");
}

/* ---- Start ---- */

static int listen_at(struct http *http, const char *address)
{
	const char *colon = strrchr(address, ':');
	char *host = mem_strdup(address);

	host[colon - address] = '\0';
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	http->host = host;
	if (evhttp_bind_socket(http->server, host, (ev_uint16_t)atoi(colon + 1)) == 0)
		return 0;
	log_error("cannot listen for HTTP", LOG_STR("http", address), LOG_ERRNO(errno));
	return errno != 0 ? -errno : -EIO;
}

int http_start(struct controller *c)
{
	struct http *http = mem_calloc(1, sizeof(*http));
	int rc;

	c->http = http;
	http->c = c;
	rc = http_tokens_load(&http->tokens, c->config->http_token_file);
	if (rc < 0)
		return rc;
	http->server = evhttp_new(c->base);
	evhttp_set_max_body_size(http->server, BODY_MAX);
	evhttp_set_max_headers_size(http->server, HEADERS_MAX);
	evhttp_set_timeout(http->server, TIMEOUT_S);
	evhttp_set_allowed_methods(
		http->server, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
				      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_cb(http->server, "/rpc", on_rpc, http);
	evhttp_set_cb(http->server, "/metrics", on_metrics, http);
	evhttp_set_cb(http->server, "/openrpc.json", on_openrpc, http);
	evhttp_set_cb(http->server, "/healthz", on_healthz, http);
	evhttp_set_gencb(http->server, on_other, http);
	return listen_at(http, c->config->http);
}

void http_stop(struct http *http)
{
	if (http == NULL)
		return;
	if (http->server != NULL)
		evhttp_free(http->server);
	http_tokens_free(http->tokens);
	free(http->host);
	free(http);
}
