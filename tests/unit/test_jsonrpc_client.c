// SPDX-License-Identifier: Apache-2.0
/*
 * Both JSON-RPC clients against our server, and the asynchronous one against peers that refuse, vanish
 * or talk rubbish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/jsonrpc_client.h"
#include "lib/jsonrpc_server.h"
#include "lib/jsonrpc_sync.h"
#include "lib/log.h"

#define PATIENCE_S 20

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct jsonrpc_server *server;
	struct jsonrpc_client *client;
	struct jsonrpc_call *held;
	unsigned connected, disconnected, notified, done;
	char reason[128];
	int status; /* of the last outcome */
	int code;
	char text[256]; /* its result or data, the last notification */
	bool free_client;
	bool reconnect;
};

/* ---- Server ---- */

static void do_echo(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	jsonrpc_reply(call, json_incref(params));
}

static void do_fail(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	(void)params;
	jsonrpc_fail(call, ERROR_IN_USE, "in use", json_pack("[i]", 7));
}

static void do_hold(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)params;
	((struct fixture *)ctx)->held = call;
}

/* {count}: so many notifications, then the answer */
static void do_watch(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	int count = (int)json_integer_value(json_object_get(params, "count"));

	(void)ctx;
	for (int i = 0; i < count; i++)
		jsonrpc_conn_notify(
			jsonrpc_call_conn(call), "event", json_pack("{s:i}", "revision", i));
	jsonrpc_reply(call, json_object());
}

static void do_hang_up(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	(void)params;
	jsonrpc_conn_close(jsonrpc_call_conn(call));
	jsonrpc_reply(call, json_true());
}

/* Answers what is held, then ends the loop of a server in a thread once that is written. */
static void do_quit(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct timeval soon = {.tv_usec = 10000};
	struct fixture *f = ctx;

	(void)params;
	jsonrpc_reply(f->held, json_string("late"));
	jsonrpc_reply(call, json_string("in time"));
	event_base_loopexit(f->base, &soon);
}

static const struct jsonrpc_method methods[] = {
	{"echo", do_echo},
	{"fail", do_fail},
	{"hold", do_hold},
	{"watch", do_watch},
	{"hang_up", do_hang_up},
	{"quit", do_quit},
	{NULL, NULL},
};

/* ---- Client ---- */

static void on_connected(struct jsonrpc_client *client, void *ctx)
{
	struct fixture *f = ctx;

	assert_true(jsonrpc_client_is_connected(client));
	f->connected++;
	if (f->free_client) {
		jsonrpc_client_free(client);
		f->client = NULL;
	}
}

static void on_disconnected(struct jsonrpc_client *client, const char *reason, void *ctx)
{
	struct fixture *f = ctx;

	assert_false(jsonrpc_client_is_connected(client));
	assert_int_equal(jsonrpc_client_pending(client), 0);
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
	f->disconnected++;
	if (f->reconnect) {
		f->reconnect = false;
		assert_int_equal(jsonrpc_client_connect(client, f->path), 0);
	}
	if (f->free_client) {
		jsonrpc_client_free(client);
		f->client = NULL;
	}
}

static void on_notification(
	struct jsonrpc_client *client, const char *method, json_t *params, void *ctx)
{
	struct fixture *f = ctx;
	char *text = json_dumps(params, JSON_COMPACT);

	(void)client;
	snprintf(f->text, sizeof(f->text), "%s %s", method, text);
	free(text);
	f->notified++;
}

static void on_done(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct fixture *f = arg;
	json_t *json = outcome->status == 0 ? outcome->result : outcome->data;
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	assert_non_null(outcome->message);
	f->done++;
	f->status = outcome->status;
	f->code = outcome->code;
	snprintf(f->text, sizeof(f->text), "%s", text != NULL ? text : "");
	free(text);
	if (f->free_client && f->client != NULL) {
		struct jsonrpc_client *client = f->client;

		f->client = NULL;
		jsonrpc_client_free(client);
	}
}

/* Runs the loop until the counter has reached the value. */
static void run_until(struct fixture *f, const unsigned *counter, unsigned value)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (*counter < value) {
		struct timeval tick = {.tv_usec = 10000};

		event_base_loopexit(f->base, &tick);
		event_base_loop(f->base, EVLOOP_ONCE);
		clock_gettime(CLOCK_MONOTONIC, &now);
		assert_true(now.tv_sec - start.tv_sec < PATIENCE_S);
	}
}

static void spin(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void add_server(struct fixture *f)
{
	struct jsonrpc_server_options options = {.methods = methods, .ctx = f};

	f->server = jsonrpc_server_new(f->base, &options);
	assert_int_equal(jsonrpc_server_listen_unix(f->server, f->path), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct jsonrpc_client_options options = {
		.connected = on_connected,
		.disconnected = on_disconnected,
		.notification = on_notification,
		.ctx = f,
	};

	strcpy(f->dir, "/tmp/test_jsonrpc_client.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	f->base = event_base_new();
	add_server(f);
	f->client = jsonrpc_client_new(f->base, &options);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	jsonrpc_client_free(f->client);
	jsonrpc_server_free(f->server);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void connect_client(struct fixture *f)
{
	unsigned before = f->connected;

	assert_int_equal(jsonrpc_client_connect(f->client, f->path), 0);
	assert_int_equal(f->connected, before);
	run_until(f, &f->connected, before + 1);
}

static uint64_t call(struct fixture *f, const char *method, json_t *params, unsigned timeout_ms)
{
	unsigned before = f->done;
	uint64_t id = jsonrpc_client_call(f->client, method, params, timeout_ms, on_done, f);

	assert_int_equal(f->done, before);
	return id;
}

/* ---- Asynchronous client ---- */

static void test_calls(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	assert_int_not_equal(call(f, "echo", json_pack("{s:i}", "a", 1), 1000), 0);
	run_until(f, &f->done, 1);
	assert_int_equal(f->status, 0);
	assert_string_equal(f->text, "{\"a\":1}");

	call(f, "echo", NULL, 0);
	run_until(f, &f->done, 2);
	assert_string_equal(f->text, "{}");

	call(f, "fail", NULL, 0);
	run_until(f, &f->done, 3);
	assert_int_equal(f->status, -EREMOTEIO);
	assert_int_equal(f->code, ERROR_IN_USE);
	assert_string_equal(f->text, "[7]");

	call(f, "nonesuch", NULL, 0);
	run_until(f, &f->done, 4);
	assert_int_equal(f->code, ERROR_METHOD_NOT_FOUND);

	call(f, "watch", json_pack("{s:i}", "count", 3), 0);
	run_until(f, &f->done, 5);
	assert_int_equal(f->notified, 3);
	assert_int_equal(jsonrpc_client_notify(f->client, "echo", NULL), 0);
	for (int i = 0; i < 1000; i++)
		call(f, "echo", NULL, 1000);
	assert_int_equal(jsonrpc_client_pending(f->client), 1000);
	assert_true(jsonrpc_client_queued(f->client) > 1000);
	run_until(f, &f->done, 1005);
	assert_int_equal(jsonrpc_client_pending(f->client), 0);
	assert_int_equal(f->disconnected, 0);
}

static void test_timeout_and_forget(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	connect_client(f);
	call(f, "hold", NULL, 20);
	run_until(f, &f->done, 1);
	assert_int_equal(f->status, -ETIMEDOUT);
	/* The late answer hits nobody. */
	jsonrpc_reply(f->held, json_true());
	id = call(f, "hold", NULL, 1000);
	jsonrpc_client_forget(f->client, id);
	jsonrpc_client_forget(f->client, 12345);
	call(f, "echo", NULL, 1000);
	run_until(f, &f->done, 2);
	assert_int_equal(f->status, 0);
	jsonrpc_reply(f->held, json_true());
	spin(f);
	assert_int_equal(f->done, 2);
}

static void test_not_connected(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(call(f, "echo", json_object(), 0), 0);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(jsonrpc_client_notify(f->client, "echo", json_object()), -ENOTCONN);
	assert_int_equal(jsonrpc_client_connect(f->client, "nonsense"), -EINVAL);
	assert_int_equal(jsonrpc_client_connect(f->client, "tcp://127.0.0.1"), -EINVAL);
	assert_int_equal(jsonrpc_client_connect(f->client, "tcp://localhost:1"), -EINVAL);
	connect_client(f);
	assert_int_equal(jsonrpc_client_connect(f->client, f->path), -EISCONN);
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(jsonrpc_client_connect(f->client, "/tmp/there/is/no/such/socket"), 0);
	assert_int_equal(f->disconnected, 0);
	run_until(f, &f->disconnected, 1);
	assert_string_equal(f->reason, "No such file or directory");

	/* A socket nobody listens on; closing before the news takes it back. */
	jsonrpc_server_free(f->server);
	f->server = NULL;
	assert_int_equal(jsonrpc_client_connect(f->client, f->path), 0);
	jsonrpc_client_close(f->client);
	spin(f);
	assert_int_equal(f->disconnected, 1);
	assert_int_equal(f->connected, 0);

	/* From the callback one may try again at once. */
	add_server(f);
	f->reconnect = true;
	assert_int_equal(jsonrpc_client_connect(f->client, "unix:/tmp/no/such/socket"), 0);
	run_until(f, &f->connected, 1);
	assert_int_equal(f->disconnected, 2);
}

static void test_tcp_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char address[64];

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(jsonrpc_client_connect(f->client, address), 0);
	run_until(f, &f->disconnected, 1);
	assert_string_equal(f->reason, "Connection refused");

	assert_int_equal(listen(fd, 5), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(jsonrpc_server_listen_fd(f->server, fd), 0);
	assert_int_equal(jsonrpc_client_connect(f->client, address), 0);
	run_until(f, &f->connected, 1);
	call(f, "echo", NULL, 0);
	run_until(f, &f->done, 1);
	assert_int_equal(f->status, 0);
}

/* What a killed server leaves behind: a socket's file that refuses. */
static void test_stale_socket_refuses(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	jsonrpc_server_free(f->server);
	f->server = NULL;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
	unlink(f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	assert_int_equal(jsonrpc_client_connect(f->client, f->path), 0);
	assert_int_equal(f->disconnected, 0);
	run_until(f, &f->disconnected, 1);
	assert_string_equal(f->reason, "Connection refused");
}

static void test_server_goes_away(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	call(f, "hang_up", NULL, 0);
	call(f, "echo", NULL, 10000);
	run_until(f, &f->disconnected, 1);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->status, -ECONNRESET);
	assert_string_equal(f->reason, "closed by the server");
	connect_client(f);
	call(f, "echo", NULL, 0);
	run_until(f, &f->done, 3);
	assert_int_equal(f->status, 0);
}

static void test_close_with_calls_pending(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	call(f, "hold", NULL, 1000);
	spin(f);
	jsonrpc_client_close(f->client);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->status, -ECANCELED);
	spin(f);
	assert_int_equal(f->disconnected, 0);
	jsonrpc_reply(f->held, json_true());
	connect_client(f);
}

static void test_free_inside_callbacks(void **state)
{
	struct fixture *f = *state;
	struct jsonrpc_client_options options = {.connected = on_connected,
		.disconnected = on_disconnected,
		.notification = on_notification,
		.ctx = f};
	enum { CONNECTED, DONE, TIMEOUT, REFUSED, HANG_UP, COUNT };

	for (int where = CONNECTED; where < COUNT; where++) {
		if (f->client == NULL)
			f->client = jsonrpc_client_new(f->base, &options);
		f->free_client = where == CONNECTED;
		if (where == REFUSED) {
			f->free_client = true;
			jsonrpc_client_connect(f->client, "/tmp/no/such/socket");
		} else {
			jsonrpc_client_connect(f->client, f->path);
			run_until(f, &f->connected, f->connected + 1);
		}
		if (where == DONE || where == TIMEOUT) {
			f->free_client = true;
			call(f, where == DONE ? "echo" : "hold", NULL, where == DONE ? 0 : 10);
			call(f, "echo", NULL, 0);
		}
		if (where == HANG_UP) {
			call(f, "hang_up", NULL, 0);
			run_until(f, &f->done, f->done + 1);
			f->free_client = true;
		}
		for (unsigned never = 0; f->client != NULL;) {
			struct timeval tick = {.tv_usec = 10000};

			event_base_loopexit(f->base, &tick);
			event_base_loop(f->base, EVLOOP_ONCE);
			assert_true(never++ < 1000);
		}
		spin(f);
		if (f->held != NULL)
			jsonrpc_reply(f->held, json_true());
		f->held = NULL;
	}
}

/* A peer of our own making: what it says, and what the client makes of it. */
static void test_peers_that_talk_rubbish(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *says;
		bool fatal;
		int status;
	} cases[] = {
		{"hello\n", true, -EPROTO},
		{"{]\n", true, -EPROTO},
		{"[]", true, -EPROTO},
		{"{}", true, -EPROTO},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":1}", true, -EPROTO},
		{"{\"jsonrpc\":\"2.0\",\"id\":1}", false, -EPROTO},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}", false, -EREMOTEIO},
		{"{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":1}"
		 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"?\"}}"
		 "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"serve me\"}"
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}",
			false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jsonrpc_client_options options = {.disconnected = on_disconnected, .ctx = f};
		unsigned disconnected = f->disconnected;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		jsonrpc_client_free(f->client);
		f->client = jsonrpc_client_new(f->base, &options);
		assert_int_equal(
			jsonrpc_client_adopt(f->client,
				bufferevent_socket_new(f->base, fds[0], BEV_OPT_CLOSE_ON_FREE)),
			0);
		assert_int_equal(call(f, "echo", NULL, 0), 1);
		assert_int_equal(
			write(fds[1], cases[i].says, strlen(cases[i].says)), strlen(cases[i].says));
		run_until(f, &f->done, f->done + 1);
		assert_int_equal(f->status, cases[i].status);
		assert_int_equal(f->disconnected - disconnected, cases[i].fatal);
		close(fds[1]);
	}
}

/* ---- Blocking client ---- */

static void *serve(void *arg)
{
	struct fixture *f = arg;

	event_base_dispatch(f->base);
	return NULL;
}

static void test_sync(void **state)
{
	struct fixture *f = *state;
	struct jsonrpc_sync *s;
	json_t *result = NULL, *error = NULL;
	pthread_t thread;
	char why[128];

	assert_int_equal(pthread_create(&thread, NULL, serve, f), 0);
	s = jsonrpc_sync_open(f->path, 5000, why, sizeof(why));
	assert_non_null(s);
	assert_int_equal(
		jsonrpc_sync_call(s, "echo", json_pack("{s:s}", "a", "b"), 5000, &result, &error),
		0);
	assert_string_equal(json_string_value(json_object_get(result, "a")), "b");
	json_decref(result);
	assert_int_equal(jsonrpc_sync_call(s, "fail", NULL, -1, &result, &error), -EREMOTEIO);
	assert_int_equal(json_integer_value(json_object_get(error, "code")), ERROR_IN_USE);
	json_decref(error);
	assert_int_equal(jsonrpc_sync_call(s, "fail", NULL, -1, &result, NULL), -EREMOTEIO);

	/* Notifications between the calls are kept in order. */
	assert_int_equal(
		jsonrpc_sync_call(s, "watch", json_pack("{s:i}", "count", 5), 5000, &result, NULL),
		0);
	json_decref(result);
	for (int i = 0; i < 5; i++) {
		json_t *n;

		assert_int_equal(jsonrpc_sync_next(s, 5000, &n), 0);
		assert_int_equal(json_integer_value(
					 json_object_get(json_object_get(n, "params"), "revision")),
			i);
		json_decref(n);
	}
	assert_int_equal(jsonrpc_sync_next(s, 10, &result), -ETIMEDOUT);

	/* More than both sockets hold, in both directions. */
	json_t *big = json_object();
	char *text = malloc(8000001);

	memset(text, 'x', 8000000);
	text[8000000] = '\0';
	json_object_set_new(big, "text", json_string(text));
	free(text);
	assert_int_equal(jsonrpc_sync_call(s, "echo", json_incref(big), 20000, &result, NULL), 0);
	assert_true(json_equal(result, big));
	json_decref(result);
	json_decref(big);

	assert_int_equal(jsonrpc_sync_call(s, "hang_up", NULL, 5000, &result, NULL), 0);
	assert_int_equal(jsonrpc_sync_call(s, "echo", NULL, 5000, &result, NULL), -ECONNRESET);
	jsonrpc_sync_free(s);

	s = jsonrpc_sync_open(f->path, 5000, why, sizeof(why));
	assert_non_null(s);
	assert_int_equal(jsonrpc_sync_call(s, "hold", NULL, 20, &result, NULL), -ETIMEDOUT);
	/* A late answer is not taken for that of the next call. */
	assert_int_equal(jsonrpc_sync_call(s, "quit", NULL, 5000, &result, NULL), 0);
	assert_string_equal(json_string_value(result), "in time");
	json_decref(result);
	pthread_join(thread, NULL);
	jsonrpc_sync_free(s);
}

static void test_sync_nobody_there(void **state)
{
	char why[128];

	(void)state;
	assert_null(jsonrpc_sync_open("/tmp/no/such/socket", 1000, why, sizeof(why)));
	assert_string_equal(why, "/tmp/no/such/socket: No such file or directory");
	assert_null(jsonrpc_sync_open("rubbish", 1000, why, sizeof(why)));
	assert_string_equal(why, "rubbish: Invalid argument");
}

static void test_addresses(void **state)
{
	struct sockaddr_storage a;
	socklen_t len;

	(void)state;
	assert_int_equal(jsonrpc_address("/run/x.sock", &a, &len), 0);
	assert_int_equal(a.ss_family, AF_UNIX);
	assert_string_equal(((struct sockaddr_un *)&a)->sun_path, "/run/x.sock");
	assert_int_equal(jsonrpc_address("unix:x.sock", &a, &len), 0);
	assert_string_equal(((struct sockaddr_un *)&a)->sun_path, "x.sock");
	assert_int_equal(jsonrpc_address("./x.sock", &a, &len), 0);
	assert_int_equal(jsonrpc_address("tcp://192.0.2.1:9471", &a, &len), 0);
	assert_int_equal(((struct sockaddr_in *)&a)->sin_port, htons(9471));
	assert_int_equal(jsonrpc_address("tcp://[2001:db8::1]:9471", &a, &len), 0);
	assert_int_equal(a.ss_family, AF_INET6);
	assert_int_equal(jsonrpc_address("unix:", &a, &len), -EINVAL);
	assert_int_equal(jsonrpc_address("", &a, &len), -EINVAL);
	assert_int_equal(jsonrpc_address("tcp://[2001:db8::1]", &a, &len), -EINVAL);
	assert_int_equal(jsonrpc_address("tls://192.0.2.1:1", &a, &len), 0);
	assert_int_equal(jsonrpc_address("tls://host-b:1", &a, &len), -EINVAL);
	assert_int_equal(jsonrpc_address("http://192.0.2.1:1", &a, &len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout_and_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_connected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_socket_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_goes_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_with_calls_pending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_inside_callbacks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers_that_talk_rubbish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync, setup, teardown),
		cmocka_unit_test(test_sync_nobody_there),
		cmocka_unit_test(test_addresses),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_fd(open("/dev/null", O_WRONLY));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
