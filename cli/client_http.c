// SPDX-License-Identifier: Apache-2.0
#include "cli/client_http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "lib/errors.h"
#include "lib/jsonrpc.h"

#define DEFAULT_PORT 9470
#define TOKEN_SIZE 512

struct client_http {
	struct event_base *base;
	struct evhttp_connection *connection;
	char *host; /* as the Host header has it */
	char token[TOKEN_SIZE];
};

/* What became of a request. */
struct exchange {
	struct event_base *base;
	int code; /* HTTP status; 0: no answer */
	char *body;
	size_t length;
};

/* ---- Making one ---- */

static bool read_token(const char *path, char *token, char *why, size_t size)
{
	char line[2 * TOKEN_SIZE], first[TOKEN_SIZE], second[TOKEN_SIZE];
	FILE *file = fopen(path, "re");

	if (!file) {
		snprintf(why, size, "--token-file %s: %s", path, strerrordesc_np(errno));
		return false;
	}
	*token = '\0';
	while (!*token && fgets(line, sizeof(line), file)) {
		int words = sscanf(line, "%511s %511s", first, second);

		if (words > 0 && *first != '#')
			snprintf(token, TOKEN_SIZE, "%s", words == 2 ? second : first);
	}
	fclose(file);
	explicit_bzero(line, sizeof(line));
	if (!*token)
		snprintf(why, size, "--token-file %s: there is no token in it", path);
	return *token;
}

/* NULL: not one that we can call. */
static struct evhttp_uri *parse_url(const char *url)
{
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;
	const char *host = uri ? evhttp_uri_get_host(uri) : NULL;

	if (scheme && host && *host && !strcmp(scheme, "http") && evhttp_uri_get_port(uri) <= 65535)
		return uri;
	if (uri)
		evhttp_uri_free(uri);
	return NULL;
}

bool client_http_is_url(const char *url)
{
	struct evhttp_uri *uri = parse_url(url);

	if (uri)
		evhttp_uri_free(uri);
	return uri != NULL;
}

static bool connect_to(struct client_http *http, const char *url, char *why, size_t size)
{
	struct evhttp_uri *uri = parse_url(url);

	if (uri) {
		const char *host = evhttp_uri_get_host(uri);
		int port = evhttp_uri_get_port(uri);
		const bool v6 = strchr(host, ':') && *host != '[';
		char *bare = must(strdup(*host == '[' ? host + 1 : host));

		bare[strcspn(bare, "]")] = '\0';
		if (port < 0)
			port = DEFAULT_PORT;
		http->host = text_printf(v6 ? "[%s]:%d" : "%s:%d", host, port);
		http->connection =
			evhttp_connection_base_new(http->base, NULL, bare, (unsigned short)port);
		free(bare);
		evhttp_uri_free(uri);
	} else {
		snprintf(why, size, "it must be http://host:port");
	}
	return http->connection != NULL;
}

struct client_http *client_http_open(
	const char *url, const char *token_file, char *why, size_t size)
{
	struct client_http *http = must(calloc(1, sizeof(*http)));
	const char *token = getenv("VPC_TOKEN");

	http->base = must(event_base_new());
	if (token)
		snprintf(http->token, sizeof(http->token), "%s", token);
	if ((token_file && !read_token(token_file, http->token, why, size)) ||
		!connect_to(http, url, why, size)) {
		client_http_free(http);
		return NULL;
	}
	return http;
}

void client_http_free(struct client_http *http)
{
	if (!http)
		return;
	if (http->connection)
		evhttp_connection_free(http->connection);
	event_base_free(http->base);
	free(http->host);
	explicit_bzero(http->token, sizeof(http->token));
	free(http);
}

/* ---- Calls ---- */

static void on_answer(struct evhttp_request *request, void *arg)
{
	struct exchange *x = arg;

	if (request) {
		struct evbuffer *body = evhttp_request_get_input_buffer(request);

		x->code = evhttp_request_get_response_code(request);
		x->length = evbuffer_get_length(body);
		x->body = must(calloc(1, x->length + 1));
		evbuffer_copyout(body, x->body, x->length);
	}
	event_base_loopbreak(x->base);
}

static bool post(
	struct client_http *http, const json_t *message, int timeout_ms, struct exchange *x)
{
	struct evhttp_request *request = must(evhttp_request_new(on_answer, x));
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	const struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	size_t length;
	char *text = must(jsonrpc_text(message, &length));

	evhttp_add_header(headers, "Host", http->host);
	evhttp_add_header(headers, "Content-Type", "application/json");
	if (*http->token) {
		char *bearer = text_printf("Bearer %s", http->token);

		evhttp_add_header(headers, "Authorization", bearer);
		explicit_bzero(bearer, strlen(bearer));
		free(bearer);
	}
	evbuffer_add(evhttp_request_get_output_buffer(request), text, length);
	free(text);
	evhttp_connection_set_timeout_tv(http->connection, &timeout);
	if (evhttp_make_request(http->connection, request, EVHTTP_REQ_POST, "/rpc") < 0)
		return false;
	event_base_dispatch(http->base);
	return x->code != 0;
}

/* An answer that is no JSON-RPC: the server's own words as an error. */
static int http_error(const struct exchange *x, json_t **error, char *why, size_t size)
{
	char *line = text_printf("HTTP %d: %.*s", x->code, (int)strcspn(x->body, "\r\n"), x->body);
	int status = CLI_NO_SERVER;

	if (x->code == 401 || x->code == 403 || x->code == 413) {
		*error = json_pack("{s:i, s:s}", "code", ERROR_DENIED, "message", line);
		status = CLI_REFUSED;
	}
	snprintf(why, size, "%s", line);
	free(line);
	return status;
}

int client_http_call(struct client_http *http, const char *method, json_t *params, int timeout_ms,
	json_t **result, json_t **error, char *why, size_t size)
{
	json_t *message = jsonrpc_make_request(method, params, json_integer(1)), *answer = NULL;
	struct exchange x = {.base = http->base};
	int status;

	snprintf(why, size, "nobody answers");
	if (!post(http, message, timeout_ms, &x)) {
		status = CLI_NO_SERVER;
	} else if (x.code != HTTP_OK) {
		status = http_error(&x, error, why, size);
	} else {
		answer = jsonrpc_parse(x.body, x.length, why, size);
		*result = json_incref(json_object_get(answer, "result"));
		*error = json_incref(json_object_get(answer, "error"));
		status = *error ? CLI_REFUSED : *result ? CLI_OK : CLI_NO_SERVER;
	}
	json_decref(message);
	json_decref(answer);
	free(x.body);
	return status;
}
