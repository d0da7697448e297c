// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON-RPC server over socket pairs and Unix sockets: the specification's examples,
 * identifiers, rubbish, late answers, dying clients, slow ones, limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/jsonrpc_server.h"
#include "lib/log.h"
#include "random.h"

#define HELD_MAX 64
#define PATIENCE_S 20

#define OK_TEXT(id) "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":" id "}\n"
#define CALL_TEXT(id) "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":" id "}"

struct fixture {
	struct event_base *base;
	struct jsonrpc_server *server;
	int fd; /* the client's end */
	struct jsonrpc_conn *conn;
	struct jsonrpc_call *held[HELD_MAX];
	unsigned held_count;
	unsigned calls; /* handlers run */
	unsigned calls_before_echo;
	unsigned ask_at_call; /* this call of `big` sends an `echo` from f->fd */
	unsigned opened, closed;
	char *in; /* what the client has read */
	size_t in_len;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Methods ---- */

static void do_echo(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	f->calls_before_echo = f->calls++;
	jsonrpc_reply(call, json_incref(params));
}

static void do_fail(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	((struct fixture *)ctx)->calls++;
	jsonrpc_failf(
		call, ERROR_CONFLICT, json_pack("{s:i}", "revision", 7), "stale %s", "revision");
}

static void do_hold(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	(void)params;
	f->calls++;
	assert_true(f->held_count < HELD_MAX);
	f->held[f->held_count++] = call;
}

/* {bytes}: a string that long */
static void do_big(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	size_t len = (size_t)json_integer_value(json_object_get(params, "bytes"));
	char *text = malloc(len + 1);
	struct fixture *f = ctx;

	if (++f->calls == f->ask_at_call)
		assert_int_equal(send(f->fd, CALL_TEXT("1"), strlen(CALL_TEXT("1")), 0),
			strlen(CALL_TEXT("1")));
	memset(text, 'x', len);
	jsonrpc_reply(call, json_stringn(text, len));
	free(text);
}

static void do_peer(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const struct jsonrpc_peer *p = jsonrpc_call_peer(call);

	(void)params;
	(void)ctx;
	jsonrpc_reply(call, json_pack("{s:i, s:i, s:i, s:s, s:b}", "pid", (int)p->pid, "uid",
				    (int)p->uid, "gid", (int)p->gid, "name", p->name, "conn",
				    jsonrpc_call_conn(call) != NULL));
}

static void do_hang_up(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	jsonrpc_conn_close(jsonrpc_call_conn(call));
	jsonrpc_reply(call, json_true());
}

/* The examples' "subtract" and "sum". */
static void do_subtract(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *a = json_is_array(params) ? json_array_get(params, 0)
					  : json_object_get(params, "minuend");
	json_t *b = json_is_array(params) ? json_array_get(params, 1)
					  : json_object_get(params, "subtrahend");

	(void)ctx;
	jsonrpc_reply(call, json_integer(json_integer_value(a) - json_integer_value(b)));
}

static void do_sum(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_int_t sum = 0;
	json_t *number;
	size_t i;

	(void)ctx;
	json_array_foreach (params, i, number)
		sum += json_integer_value(number);
	jsonrpc_reply(call, json_integer(sum));
}

static void do_get_data(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	jsonrpc_reply(call, json_pack("[s, i]", "hello", 5));
}

static const struct jsonrpc_method methods[] = {
	{"echo", do_echo},
	{"fail", do_fail},
	{"hold", do_hold},
	{"big", do_big},
	{"peer", do_peer},
	{"hang_up", do_hang_up},
	{"subtract", do_subtract},
	{"sum", do_sum},
	{"get_data", do_get_data},
	{"update", do_echo},
	{"notify_hello", do_echo},
	{"notify_sum", do_echo},
	{NULL, NULL},
};

static bool dispatch(struct jsonrpc_call *call, const char *method, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	if (strcmp(method, "dispatched") != 0)
		return false;
	jsonrpc_reply(call, json_string(jsonrpc_call_method(call)));
	return true;
}

static void on_opened(struct jsonrpc_conn *conn, void *ctx)
{
	struct fixture *f = ctx;

	f->conn = conn;
	f->opened++;
	jsonrpc_conn_set_data(conn, f);
}

static void on_closed(struct jsonrpc_conn *conn, void *ctx)
{
	struct fixture *f = ctx;

	assert_ptr_equal(jsonrpc_conn_data(conn), f);
	if (f->conn == conn)
		f->conn = NULL;
	f->closed++;
}

/* ---- Fixture ---- */

static struct jsonrpc_server_options options_of(struct fixture *f)
{
	return (struct jsonrpc_server_options){
		.methods = methods,
		.dispatch = dispatch,
		.opened = on_opened,
		.closed = on_closed,
		.ctx = f,
	};
}

/* A client's socket whose other end the server serves; -1: refused. */
static int add_client(struct fixture *f)
{
	int fds[2];
	int small = 32 << 10;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	jsonrpc_server_adopt(
		f->server, bufferevent_socket_new(f->base, fds[1], BEV_OPT_CLOSE_ON_FREE), NULL);
	return fds[0];
}

static struct fixture *start(const struct jsonrpc_limits *limits, bool positional)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct jsonrpc_server_options options = options_of(f);

	options.positional_params = positional;
	if (limits != NULL)
		options.limits = *limits;
	f->base = event_base_new();
	f->server = jsonrpc_server_new(f->base, &options);
	assert_non_null(f->server);
	f->fd = add_client(f);
	return f;
}

static void stop(struct fixture *f)
{
	jsonrpc_server_free(f->server);
	assert_int_equal(f->opened, f->closed);
	if (f->fd >= 0)
		close(f->fd);
	event_base_free(f->base);
	free(f->in);
	free(f);
}

/* Lets the server run until nothing is left to do at once. */
static void spin(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Reads what is there; false: end of the stream. */
static bool client_read(struct fixture *f)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(f->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		f->in = realloc(f->in, f->in_len + (size_t)n + 1);
		memcpy(f->in + f->in_len, bytes, (size_t)n);
		f->in_len += (size_t)n;
		f->in[f->in_len] = '\0';
	}
	return n != 0 && (errno == EAGAIN || errno == EINTR);
}

static unsigned lines(const struct fixture *f)
{
	unsigned count = 0;

	for (size_t i = 0; i < f->in_len; i++)
		count += f->in[i] == '\n';
	return count;
}

/* Waits for so many lines in all; false when the stream ended before. */
static bool expect_lines(struct fixture *f, unsigned count)
{
	uint64_t deadline = now_ms() + PATIENCE_S * 1000;

	while (lines(f) < count) {
		struct pollfd p = {.fd = f->fd, .events = POLLIN};

		assert_true(now_ms() < deadline);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		if (!client_read(f))
			return lines(f) >= count;
		poll(&p, 1, 1);
	}
	return true;
}

static void expect_end(struct fixture *f)
{
	uint64_t deadline = now_ms() + PATIENCE_S * 1000;

	while (client_read(f)) {
		assert_true(now_ms() < deadline);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
}

static void forget_input(struct fixture *f)
{
	f->in_len = 0;
	if (f->in != NULL)
		f->in[0] = '\0';
}

/* Writes all, letting the server read meanwhile. */
static void client_send(struct fixture *f, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(f->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			event_base_loop(f->base, EVLOOP_NONBLOCK);
			continue;
		}
		text += n;
		len -= (size_t)n;
	}
}

static void send_text(struct fixture *f, const char *text)
{
	client_send(f, text, strlen(text));
}

/* Sends a text and a last call, and returns what came before the answer of the latter. */
static char *exchange(struct fixture *f, const char *text, size_t len)
{
	static const char last[] = "\n{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":\"last\"}\n";
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":\"last\"}\n";
	char *at;

	forget_input(f);
	client_send(f, text, len);
	client_send(f, last, sizeof(last) - 1);
	for (unsigned n = 1; f->in_len == 0 || strstr(f->in, answer) == NULL; n++)
		assert_true(expect_lines(f, n));
	at = strstr(f->in, answer);
	*at = '\0';
	return f->in;
}

static void assert_json_equal(const char *text, const char *expected)
{
	json_t *a = json_loads(text, JSON_DECODE_ANY, NULL);
	json_t *b = json_loads(expected, JSON_DECODE_ANY, NULL);

	if (a == NULL || b == NULL || !json_equal(a, b))
		fail_msg("%s\nis not\n%s", text, expected);
	json_decref(a);
	json_decref(b);
}

/* ---- Tests ---- */

#define ERROR_TEXT(code, message, id)                                                              \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" #code ",\"message\":\"" message                \
	"\"},\"id\":" id "}"

/* JSON-RPC 2.0, section 7, in its order; NULL: nothing is answered. Messages of errors are ours. */
static const struct {
	const char *request, *answer;
} examples[] = {
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42, 23], \"id\": 1}",
		"{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 1}"},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [23, 42], \"id\": 2}",
		"{\"jsonrpc\": \"2.0\", \"result\": -19, \"id\": 2}"},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": {\"subtrahend\": 23, "
	 "\"minuend\": 42}, \"id\": 3}",
		"{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 3}"},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"update\", \"params\": [1,2,3,4,5]}", NULL},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}", NULL},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar\", \"id\": \"1\"}",
		ERROR_TEXT(-32601, "no such method: foobar", "\"1\"")},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]",
		ERROR_TEXT(-32700, "parse error: this is not JSON", "null")},
	{"{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}",
		ERROR_TEXT(-32600, "invalid request: method must be a string", "null")},
	{"[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"}, "
	 "{\"jsonrpc\": \"2.0\", \"method\" ]",
		ERROR_TEXT(-32700, "parse error: this is not JSON", "null")},
	{"[]", ERROR_TEXT(-32600, "invalid request: a batch must not be empty", "null")},
	{"[1]", "[" ERROR_TEXT(-32600, "invalid request: a request is an object", "null") "]"},
	{"[1,2,3]",
		"[" ERROR_TEXT(-32600, "invalid request: a request is an object",
			"null") "," ERROR_TEXT(-32600, "invalid request: a request is an object",
			"null") "," ERROR_TEXT(-32600, "invalid request: a request is an object",
			"null") "]"},
	{"[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
	 "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]},"
	 "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42,23], \"id\": \"2\"},"
	 "{\"foo\": \"boo\"},"
	 "{\"jsonrpc\": \"2.0\", \"method\": \"foo.get\", \"params\": {\"name\": \"myself\"}, "
	 "\"id\": \"5\"},"
	 "{\"jsonrpc\": \"2.0\", \"method\": \"get_data\", \"id\": \"9\"}]",
		"[{\"jsonrpc\": \"2.0\", \"result\": 7, \"id\": \"1\"},"
		"{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": \"2\"}," ERROR_TEXT(-32600,
			"invalid request: jsonrpc must be \\\"2.0\\\"",
			"null") "," ERROR_TEXT(-32601, "no such method: foo.get",
			"\"5\"") ","
				 "{\"jsonrpc\": \"2.0\", \"result\": [\"hello\", 5], \"id\": "
				 "\"9\"}]"},
	{"[{\"jsonrpc\": \"2.0\", \"method\": \"notify_sum\", \"params\": [1,2,4]},"
	 "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]}]",
		NULL},
};

static void test_examples_of_the_specification(void **state)
{
	struct fixture *f = start(NULL, true);

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const char *answer = exchange(f, examples[i].request, strlen(examples[i].request));

		if (examples[i].answer == NULL)
			assert_string_equal(answer, "");
		else
			assert_json_equal(answer, examples[i].answer);
	}
	stop(f);
}

static void test_ids_keep_their_type(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{CALL_TEXT("1"), OK_TEXT("1")},
		{CALL_TEXT("0"), OK_TEXT("0")},
		{CALL_TEXT("-9223372036854775808"), OK_TEXT("-9223372036854775808")},
		{CALL_TEXT("1.5"), OK_TEXT("1.5")},
		{CALL_TEXT("\"1\""), OK_TEXT("\"1\"")},
		{CALL_TEXT("\"\""), OK_TEXT("\"\"")},
		{CALL_TEXT("\"\xc3\xa4\""), OK_TEXT("\"\xc3\xa4\"")},
		{CALL_TEXT("null"), OK_TEXT("null")},
		{CALL_TEXT("true"),
			ERROR_TEXT(-32600, "invalid request: id must be a string, a number or null",
				"null") "\n"},
		{CALL_TEXT("[1]"),
			ERROR_TEXT(-32600, "invalid request: id must be a string, a number or null",
				"null") "\n"},
		{CALL_TEXT("{}"),
			ERROR_TEXT(-32600, "invalid request: id must be a string, a number or null",
				"null") "\n"},
		/* An error keeps it too. */
		{"{\"jsonrpc\":\"2.0\",\"method\":7,\"id\":\"x\"}",
			ERROR_TEXT(
				-32600, "invalid request: method must be a string", "\"x\"") "\n"},
		{"{\"jsonrpc\":\"1.0\",\"method\":\"echo\",\"id\":3}",
			ERROR_TEXT(
				-32600, "invalid request: jsonrpc must be \\\"2.0\\\"", "3") "\n"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":1,\"id\":3}",
			ERROR_TEXT(-32600, "invalid request: params must be an object or an array",
				"3") "\n"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[1],\"id\":3}",
			ERROR_TEXT(-32602, "params must be an object", "3") "\n"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[],\"id\":3}", OK_TEXT("3")},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"id\":3}",
			"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":4,\"message\":\"stale revision\","
			"\"data\":{\"revision\":7}},\"id\":3}\n"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"dispatched\",\"id\":3}",
			"{\"jsonrpc\":\"2.0\",\"result\":\"dispatched\",\"id\":3}\n"},
	};
	struct fixture *f = start(NULL, false);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			exchange(f, cases[i].request, strlen(cases[i].request)), cases[i].answer);
	stop(f);
}

/* Rubbish gets one error with a null id, and the connection goes on. */
static void test_rubbish(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		int code;
	} cases[] = {
		{"hello", 0, ERROR_PARSE},
		{"GET / HTTP/1.1", 0, ERROR_PARSE},
		{"1", 0, ERROR_INVALID_REQUEST},
		{"\"text\"", 0, ERROR_INVALID_REQUEST},
		{"null", 0, ERROR_INVALID_REQUEST},
		{"{}", 0, ERROR_INVALID_REQUEST},
		{"{\"a\":1,\"a\":2}", 0, ERROR_PARSE},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1,\"id\":2}", 0, ERROR_PARSE},
		{"{\"method\":\"\xff\"}", 0, ERROR_PARSE},
		{"{\"method\":\"\xc0\x80\"}", 0, ERROR_PARSE},
		{"{\"method\":\"\xed\xa0\x80\"}", 0, ERROR_PARSE},
		{"{\"method\":\"\\ud800\"}", 0, ERROR_PARSE},
		{"{\"method\":\"\\u0000\"}", 0, ERROR_PARSE},
		{"{\"\\u0000\":1}", 0, ERROR_PARSE},
		{"{\"id\":1e99999}", 0, ERROR_PARSE},
		{"{\"id\":123456789012345678901234567890}", 0, ERROR_PARSE},
		{"{\"id\":01}", 0, ERROR_PARSE},
		{"{\"id\":tru}", 0, ERROR_PARSE},
		{"{\"id\":1", 0, ERROR_PARSE}, /* given up: the next line starts anew */
		{"\0", 1, ERROR_PARSE},
		{"{\"id\":\0}", 8, ERROR_PARSE},
		{"\xef\xbb\xbf{}", 0, ERROR_PARSE},
	};
	struct fixture *f = start(NULL, false);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len > 0 ? cases[i].len : strlen(cases[i].text);
		json_t *answer = json_loads(exchange(f, cases[i].text, len), 0, NULL);
		json_t *error = json_object_get(answer, "error");

		if (json_integer_value(json_object_get(error, "code")) != cases[i].code)
			fail_msg("case %zu, %s: %s", i, cases[i].text, f->in);
		assert_true(json_is_string(json_object_get(error, "message")));
		assert_true(json_is_null(json_object_get(answer, "id")));
		assert_null(json_object_get(answer, "result"));
		assert_int_equal(json_object_size(answer), 3);
		json_decref(answer);
	}
	stop(f);
}

/* Valid JSON, but nothing of ours holds it: the text says what to take out, and where. */
static void test_nul(void **state)
{
	static const char *const cases[] = {
		"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"a\\u0000b\"],\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":{\"a\\u0000b\":1},\"id\":1}",
	};
	struct fixture *f = start(NULL, false);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *answer = json_loads(exchange(f, cases[i], strlen(cases[i])), 0, NULL);
		json_t *error = json_object_get(answer, "error");
		const char *message = json_string_value(json_object_get(error, "message"));

		assert_int_equal(json_integer_value(json_object_get(error, "code")), ERROR_PARSE);
		assert_non_null(strstr(message, "a string contains \\u0000"));
		assert_non_null(strstr(message, "(line 1, byte "));
		json_decref(answer);
	}
	stop(f);
}

static void test_depth_and_size(void **state)
{
	struct jsonrpc_limits limits = {.message_bytes = 100000};
	struct fixture *f = start(&limits, false);
	char *big = malloc(200001);
	char deep[1024] = "";

	(void)state;
	for (int i = 0; i < 65; i++)
		strcat(deep, "[");
	assert_json_equal(exchange(f, deep, 65),
		ERROR_TEXT(-32700, "parse error: nested deeper than 64 levels", "null"));
	memset(big, 'x', 200000);
	big[0] = '"';
	assert_json_equal(exchange(f, big, 200000),
		ERROR_TEXT(-32600, "invalid request: larger than 100000 bytes", "null"));
	free(big);
	stop(f);
}

/* A batch's answers come in its order, however late each is; other calls overtake it. */
static void test_late_answers(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "[{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1},"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"},"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":2}]"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":3}"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":4}");
	assert_true(expect_lines(f, 1));
	assert_string_equal(f->in, OK_TEXT("4"));
	assert_int_equal(f->held_count, 4);
	assert_true(jsonrpc_call_is_notification(f->held[1]));
	forget_input(f);
	jsonrpc_reply(f->held[3], json_integer(3));
	jsonrpc_fail(f->held[2], ERROR_DENIED, "no", NULL);
	jsonrpc_reply(f->held[0], json_integer(1));
	assert_true(expect_lines(f, 1));
	assert_string_equal(f->in, "{\"jsonrpc\":\"2.0\",\"result\":3,\"id\":3}\n");
	forget_input(f);
	jsonrpc_fail(f->held[1], ERROR_DENIED, "nobody hears it", json_object());
	assert_true(expect_lines(f, 1));
	assert_json_equal(f->in,
		"[{\"jsonrpc\":\"2.0\",\"result\":1,\"id\":1}," ERROR_TEXT(8, "no", "2") "]");
	stop(f);
}

static void test_client_dies_with_calls_pending(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1}"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":2}"
		     "[{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":3}]"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}");
	spin(f);
	assert_int_equal(f->held_count, 4);
	close(f->fd);
	f->fd = -1;
	spin(f);
	jsonrpc_reply(f->held[1], json_true());
	jsonrpc_reply(f->held[2], json_true());
	jsonrpc_reply(f->held[3], json_true());
	spin(f);
	assert_string_equal(jsonrpc_call_method(f->held[0]), "hold");
	jsonrpc_reply(f->held[0], json_true());
	spin(f);
	assert_int_equal(jsonrpc_server_clients(f->server), 0);
	assert_int_equal(f->closed, 1);
	stop(f);
}

/* A connection that breaks (reset) leaves its calls without one. */
static void test_broken_connection_orphans_calls(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1}"
		     "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":2}");
	spin(f);
	assert_ptr_equal(jsonrpc_call_conn(f->held[0]), f->conn);
	assert_int_equal(jsonrpc_conn_notify(f->conn, "event", json_object()), 0);
	spin(f);
	/* Closing with unread input resets a Unix stream. */
	close(f->fd);
	f->fd = -1;
	spin(f);
	assert_int_equal(jsonrpc_server_clients(f->server), 0);
	assert_null(jsonrpc_call_conn(f->held[0]));
	jsonrpc_reply(f->held[0], json_true());
	jsonrpc_fail(f->held[1], ERROR_DENIED, "too late", NULL);
	stop(f);
}

static void test_server_goes_with_calls_pending(void **state)
{
	struct fixture *f = start(NULL, false);
	struct jsonrpc_call *held[2];

	(void)state;
	send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1}"
		     "[{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":3}]");
	spin(f);
	assert_int_equal(f->held_count, 2);
	memcpy(held, f->held, sizeof(held));
	stop(f);
	assert_null(jsonrpc_call_conn(held[0]));
	jsonrpc_reply(held[0], json_true());
	jsonrpc_fail(held[1], ERROR_UNAVAILABLE, "stopped", NULL);
}

static void test_pending_limit_pauses(void **state)
{
	struct jsonrpc_limits limits = {.pending = 4};
	struct fixture *f = start(&limits, false);

	(void)state;
	for (int i = 0; i < 10; i++)
		send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1}\n");
	spin(f);
	assert_int_equal(f->held_count, 4);
	for (unsigned i = 0; i < 10; i++) {
		jsonrpc_reply(f->held[i], json_true());
		spin(f);
		assert_int_equal(f->held_count, i + 5 < 10 ? i + 5 : 10);
	}
	assert_true(expect_lines(f, 10));
	stop(f);
}

/* A client that asks without reading is not read either; it loses nothing when it does. */
static void test_slow_reader_is_paused(void **state)
{
	struct jsonrpc_limits limits = {.output_pause_bytes = 100000};
	struct fixture *f = start(&limits, false);

	(void)state;
	for (int i = 0; i < 200; i++)
		send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"big\","
			     "\"params\":{\"bytes\":20000},\"id\":1}\n");
	spin(f);
	assert_true(f->calls >= 5);
	assert_true(f->calls < 50);
	assert_true(jsonrpc_conn_queued(f->conn) < 200000);
	assert_true(expect_lines(f, 200));
	assert_int_equal(f->calls, 200);
	stop(f);
}

static void test_slow_watcher_is_closed(void **state)
{
	struct jsonrpc_limits limits = {.output_close_bytes = 500000};
	struct fixture *f = start(&limits, false);
	int error = 0, count = 0;

	(void)state;
	for (; error == 0 && count < 100000; count++) {
		error = jsonrpc_conn_notify(
			f->conn, "event", json_pack("{s:i}", "revision", count));
		/* Still there, until control is back in the loop. */
		assert_int_equal(f->closed, 0);
	}
	assert_int_equal(error, -EPIPE);
	assert_true(count > 1000 && count < 20000);
	assert_int_equal(jsonrpc_conn_notify(f->conn, "event", NULL), -EPIPE);
	spin(f);
	assert_int_equal(f->closed, 1);
	expect_end(f);
	stop(f);
}

static void test_stalled_writer_is_closed(void **state)
{
	struct jsonrpc_limits limits = {.write_timeout_ms = 30};
	struct fixture *f = start(&limits, false);
	uint64_t deadline = now_ms() + PATIENCE_S * 1000;

	(void)state;
	send_text(f,
		"{\"jsonrpc\":\"2.0\",\"method\":\"big\",\"params\":{\"bytes\":2000000},\"id\":1}");
	while (f->closed == 0) {
		assert_true(now_ms() < deadline);
		event_base_loop(f->base, EVLOOP_ONCE);
	}
	stop(f);
}

static void test_notifications_of_the_server(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	assert_int_equal(
		jsonrpc_conn_notify(f->conn, "event", json_pack("{s:i}", "revision", 1)), 0);
	assert_int_equal(jsonrpc_conn_send_text(f->conn, "{\"x\":1}\n", 8), 0);
	assert_true(expect_lines(f, 2));
	assert_string_equal(f->in,
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"revision\":"
		"1}}\n{\"x\":1}\n");
	stop(f);
}

static void test_half_message_times_out(void **state)
{
	struct jsonrpc_limits limits = {.message_timeout_ms = 30};
	struct fixture *f = start(&limits, false);

	(void)state;
	/* Between messages nothing times out. */
	send_text(f, CALL_TEXT("1"));
	assert_true(expect_lines(f, 1));
	for (uint64_t until = now_ms() + 100; now_ms() < until;)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->closed, 0);
	forget_input(f);
	send_text(f, "{\"jsonrpc\":");
	expect_end(f);
	assert_json_equal(
		f->in, ERROR_TEXT(-32700, "parse error: the message did not end in time", "null"));
	assert_int_equal(f->closed, 1);
	stop(f);
}

/* A client may close its sending side and still wants its answers. */
static void test_half_close(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":1}" CALL_TEXT("2") "{\"id\"");
	shutdown(f->fd, SHUT_WR);
	assert_true(expect_lines(f, 2));
	assert_json_equal(strchr(f->in, '\n') + 1,
		ERROR_TEXT(-32700, "parse error: the message was cut off", "null"));
	assert_int_equal(f->closed, 0);
	forget_input(f);
	jsonrpc_reply(f->held[0], json_true());
	expect_end(f);
	assert_string_equal(f->in, "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":1}\n");
	assert_int_equal(f->closed, 1);
	stop(f);
}

static void test_scalar_at_the_end(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "17");
	shutdown(f->fd, SHUT_WR);
	expect_end(f);
	assert_json_equal(
		f->in, ERROR_TEXT(-32600, "invalid request: a request is an object", "null"));
	stop(f);
}

static void test_close_from_a_handler(void **state)
{
	struct fixture *f = start(NULL, false);

	(void)state;
	send_text(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hang_up\",\"id\":1}" CALL_TEXT("2"));
	expect_end(f);
	assert_string_equal(f->in, "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":1}\n");
	stop(f);
}

/* One client's flood does not keep another waiting until it is done. */
static void test_turns(void **state)
{
	struct fixture *f = start(NULL, false);
	static const char big[] = "{\"jsonrpc\":\"2.0\",\"method\":\"big\","
				  "\"params\":{\"bytes\":1000000}}\n";
	int flood = f->fd;

	(void)state;
	/* All in the socket's buffer before the server looks. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(send(flood, big, strlen(big), MSG_DONTWAIT), strlen(big));
	f->fd = add_client(f);
	f->ask_at_call = 3;
	assert_true(expect_lines(f, 1));
	assert_in_range(f->calls_before_echo, 3, 40);
	close(f->fd);
	f->fd = flood;
	send_text(f, "\n" CALL_TEXT("1"));
	forget_input(f);
	assert_true(expect_lines(f, 1));
	stop(f);
}

static void test_too_many_clients(void **state)
{
	struct jsonrpc_limits limits = {.clients = 2};
	struct fixture *f = start(&limits, false);
	int first = f->fd;
	int second = add_client(f);

	(void)state;
	f->fd = add_client(f);
	expect_end(f);
	assert_json_equal(f->in,
		"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":6,\"message\":\"too many "
		"clients\",\"data\":{\"what\":\"clients\"}},\"id\":null}");
	close(f->fd);
	close(second);
	spin(f);
	f->fd = add_client(f);
	assert_string_equal(exchange(f, CALL_TEXT("1"), strlen(CALL_TEXT("1"))), OK_TEXT("1"));
	close(first);
	stop(f);
}

/* Good messages with random damage, sent in random pieces: whatever happens, the server still answers. */
static void test_random_damage(void **state)
{
	static const char bytes[] = "{}[]\",:\\ \n01-e.tfn\x01\xc3\xff";
	static const char *const good[] = {
		CALL_TEXT("1"),
		"[" CALL_TEXT("1") "," CALL_TEXT("\"x\"") ",{},[]]",
		"{\"jsonrpc\":\"2.0\",\"method\":\"fail\",\"params\":{\"a\":[1,{\"b\":null}]},"
		"\"id\":null}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"nonesuch\",\"params\":[1.5e3,true]}",
	};
	uint32_t rounds = test_size(3000, 100000);
	struct fixture *f = start(NULL, false);

	(void)state;
	for (uint32_t r = 0; r < rounds; r++) {
		char text[256];
		size_t len = strlen(strcpy(text, good[random_below(4)]));

		for (uint32_t n = random_below(4); n > 0; n--) {
			size_t at = random_below((uint32_t)len);

			if (random_one_in(3))
				memmove(text + at, text + at + 1, --len - at);
			else
				text[at] = bytes[random_below(sizeof(bytes) - 1)];
		}
		for (size_t at = 0; at < len;) {
			size_t n = 1 + random_below((uint32_t)(len - at));

			client_send(f, text + at, n);
			event_base_loop(f->base, EVLOOP_NONBLOCK);
			at += n;
		}
		if (r % 50 != 0)
			continue;
		/* A bracket that was lost may keep a message open: this closes any. */
		forget_input(f);
		send_text(f, "\n\x01\n" CALL_TEXT("\"done\"") "\n");
		while (f->in_len == 0 || strstr(f->in, "\"done\"") == NULL)
			assert_true(expect_lines(f, lines(f) + 1));
	}
	stop(f);
}

/* ---- Dispatch by other means ---- */

struct done {
	unsigned count;
	char *text;
};

static void on_done(json_t *answer, void *arg)
{
	struct done *done = arg;

	done->count++;
	free(done->text);
	done->text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
}

static void test_dispatch(void **state)
{
	struct fixture *f = start(NULL, false);
	struct jsonrpc_peer peer = {.uid = 77, .name = "token-a"};
	struct done done = {0};
	static const char hold[] = "{\"jsonrpc\":\"2.0\",\"method\":\"hold\",\"id\":5}";
	static const struct {
		const char *text, *answer;
	} cases[] = {
		{CALL_TEXT("1"), "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}"},
		{" " CALL_TEXT("1") "\n\n", "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"peer\",\"id\":1}",
			"{\"jsonrpc\":\"2.0\",\"result\":{\"pid\":0,\"uid\":77,\"gid\":0,\"name\":"
			"\"token-a\",\"conn\":false},\"id\":1}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}", NULL},
		{"", ERROR_TEXT(-32700, "parse error: the body must be one JSON message", "null")},
		{"{} {}", ERROR_TEXT(-32700, "parse error: the body must be one JSON message",
				  "null")},
		{"{} {", ERROR_TEXT(
				 -32700, "parse error: the body must be one JSON message", "null")},
		{"{\"a", ERROR_TEXT(
				 -32700, "parse error: the body must be one JSON message", "null")},
		{"[]", ERROR_TEXT(-32600, "invalid request: a batch must not be empty", "null")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		jsonrpc_server_dispatch_text(
			f->server, cases[i].text, strlen(cases[i].text), &peer, on_done, &done);
		assert_int_equal(done.count, i + 1);
		if (cases[i].answer == NULL)
			assert_null(done.text);
		else
			assert_json_equal(done.text, cases[i].answer);
	}
	done.count = 0;
	jsonrpc_server_dispatch_text(f->server, hold, strlen(hold), &peer, on_done, &done);
	assert_int_equal(done.count, 0);
	jsonrpc_reply(f->held[0], json_true());
	assert_int_equal(done.count, 1);
	assert_string_equal(done.text, "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":5}");
	free(done.text);
	stop(f);
}

static void test_batch_limit(void **state)
{
	struct jsonrpc_limits limits = {.batch = 2};
	struct fixture *f = start(&limits, false);

	(void)state;
	assert_json_equal(exchange(f, "[1,2]", 5),
		"[" ERROR_TEXT(-32600, "invalid request: a request is an object",
			"null") "," ERROR_TEXT(-32600, "invalid request: a request is an object",
			"null") "]");
	assert_json_equal(exchange(f, "[1,2,3]", 7),
		ERROR_TEXT(-32600, "invalid request: too many requests in a batch", "null"));
	stop(f);
}

/* ---- Unix sockets ---- */

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_jsonrpc.XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void test_unix_socket(void **state)
{
	struct fixture *f = start(NULL, false);
	struct jsonrpc_server_options options = options_of(f);
	struct event_base *base = event_base_new();
	struct jsonrpc_server *second = jsonrpc_server_new(base, &options);
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"peer\",\"id\":1}";
	char path[128], expected[256];
	struct stat st;
	int left;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/rpc.sock", dir);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);

	close(f->fd);
	f->fd = connect_to(path);
	assert_true(f->fd >= 0);
	snprintf(expected, sizeof(expected),
		"{\"jsonrpc\":\"2.0\",\"result\":{\"pid\":%d,\"uid\":%d,\"gid\":%d,\"name\":"
		"\"unix\","
		"\"conn\":true},\"id\":1}\n",
		(int)getpid(), (int)getuid(), (int)getgid());
	assert_string_equal(exchange(f, ask, strlen(ask)), expected);

	/* Somebody answers there. */
	assert_int_equal(jsonrpc_server_listen_unix(second, path), -EADDRINUSE);
	jsonrpc_server_free(second);
	assert_int_equal(stat(path, &st), 0);

	/* A socket nobody listens on is replaced; other files are not. */
	stop(f);
	assert_int_equal(stat(path, &st), -1);
	left = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	assert_int_equal(bind(left, (struct sockaddr *)&address, sizeof(address)), 0);
	close(left);
	f = start(NULL, false);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), 0);
	left = connect_to(path);
	assert_true(left >= 0);
	close(left);
	spin(f);

	/* The successor's socket stays when the old server goes. */
	unlink(path);
	second = jsonrpc_server_new(base, &options);
	assert_int_equal(jsonrpc_server_listen_unix(second, path), 0);
	stop(f);
	assert_int_equal(stat(path, &st), 0);
	jsonrpc_server_free(second);
	event_base_free(base);
	assert_int_equal(stat(path, &st), -1);
}

static void test_unix_socket_refusals(void **state)
{
	struct fixture *f = start(NULL, false);
	char path[256];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/file/x.sock", dir);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/%0110d", dir, 0);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s", dir);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, path), -EEXIST);
	stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_specification),
		cmocka_unit_test(test_ids_keep_their_type),
		cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_depth_and_size),
		cmocka_unit_test(test_late_answers),
		cmocka_unit_test(test_client_dies_with_calls_pending),
		cmocka_unit_test(test_broken_connection_orphans_calls),
		cmocka_unit_test(test_server_goes_with_calls_pending),
		cmocka_unit_test(test_pending_limit_pauses),
		cmocka_unit_test(test_slow_reader_is_paused),
		cmocka_unit_test(test_slow_watcher_is_closed),
		cmocka_unit_test(test_stalled_writer_is_closed),
		cmocka_unit_test(test_notifications_of_the_server),
		cmocka_unit_test(test_half_message_times_out),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_scalar_at_the_end),
		cmocka_unit_test(test_close_from_a_handler),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_too_many_clients),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_batch_limit),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_unix_socket_refusals),
	};
	int null = open("/dev/null", O_WRONLY);

	signal(SIGPIPE, SIG_IGN);
	log_set_fd(null);
	random_start();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
