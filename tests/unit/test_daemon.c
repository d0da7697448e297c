// SPDX-License-Identifier: Apache-2.0
/* The daemons' common frame: command line, signals, systemd's readiness protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/log.h"

#define ARGS_MAX 6

static const struct {
	const char *args[ARGS_MAX];
	bool go_on;
	int status; /* when not going on */
	const char *config;
	bool check;
} command_lines[] = {
	{{NULL}, true, 0, NULL, false},
	{{"-c", "x.yaml", NULL}, true, 0, "x.yaml", false},
	{{"--config=x.yaml", "--check", NULL}, true, 0, "x.yaml", true},
	{{"--log-level", "debug", "--log-format", "json", NULL}, true, 0, NULL, false},
	{{"--help", NULL}, false, 0, NULL, false},
	{{"--version", NULL}, false, 0, NULL, false},
	{{"--help", "--nonsense", NULL}, false, 0, NULL, false},
	{{"--nonsense", NULL}, false, 2, NULL, false},
	{{"-x", NULL}, false, 2, NULL, false},
	{{"-c", NULL}, false, 2, NULL, false},
	{{"argument", NULL}, false, 2, NULL, false},
	{{"--check", "--", "-c", NULL}, false, 2, NULL, false},
	{{"--log-level", "loud", NULL}, false, 2, NULL, false},
	{{"--log-format", "xml", NULL}, false, 2, NULL, false},
};

/* Keeps a test's own output clean. */
static void silence(int saved[2])
{
	int null = open("/dev/null", O_WRONLY);

	fflush(stdout);
	saved[0] = dup(STDOUT_FILENO);
	saved[1] = dup(STDERR_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void restore(const int saved[2])
{
	fflush(stdout);
	dup2(saved[0], STDOUT_FILENO);
	dup2(saved[1], STDERR_FILENO);
	close(saved[0]);
	close(saved[1]);
}

static void test_command_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(command_lines) / sizeof(command_lines[0]); i++) {
		struct daemon d = {.name = "test", .summary = "tests"};
		char *argv[ARGS_MAX + 2] = {(char *)"test"};
		int argc = 1, status = -1, saved[2];
		bool go_on;

		for (; command_lines[i].args[argc - 1] != NULL; argc++)
			argv[argc] = (char *)command_lines[i].args[argc - 1];
		silence(saved);
		go_on = daemon_options(&d, argc, argv, &status);
		restore(saved);
		assert_int_equal(go_on, command_lines[i].go_on);
		if (!go_on) {
			assert_int_equal(status, command_lines[i].status);
			continue;
		}
		assert_int_equal(d.check, command_lines[i].check);
		if (command_lines[i].config != NULL)
			assert_string_equal(d.config_path, command_lines[i].config);
		else
			assert_null(d.config_path);
	}
	log_set_level(LOG_LEVEL_ERROR);
	log_set_format(LOG_FORMAT_TEXT);
}

static void send_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	kill(getpid(), *(int *)arg);
}

static void stop_after_reload(void *arg)
{
	struct daemon *d = arg;

	daemon_stop(d, 7);
}

/* It goes on; without anything to read again, too. */
static void test_hangup_reloads(void **state)
{
	struct daemon d = {.name = "test", .summary = "tests"};
	struct timeval at_once = {0}, soon = {.tv_usec = 1000};
	int hangup = SIGHUP, end = SIGTERM;

	(void)state;
	d.reload = stop_after_reload;
	d.reload_arg = &d;
	assert_int_equal(daemon_init(&d), 0);
	event_base_once(d.base, -1, EV_TIMEOUT, send_signal, &hangup, &at_once);
	assert_int_equal(daemon_run(&d), 7);
	d.reload = NULL;
	d.status = 0;
	event_base_once(d.base, -1, EV_TIMEOUT, send_signal, &hangup, &at_once);
	event_base_once(d.base, -1, EV_TIMEOUT, send_signal, &end, &soon);
	assert_int_equal(daemon_run(&d), 0);
	daemon_fini(&d);
}

static void test_signals_stop_it(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct daemon d = {.name = "test", .summary = "tests"};
		struct timeval at_once = {0};
		int number = signals[i];

		assert_int_equal(daemon_init(&d), 0);
		event_base_once(d.base, -1, EV_TIMEOUT, send_signal, &number, &at_once);
		assert_int_equal(daemon_run(&d), 0);
		/* A second stop asks for nothing more. */
		daemon_fini(&d);
		daemon_fini(&d);
	}
}

static void give_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	daemon_stop(arg, 3);
}

static void test_status_of_a_stop(void **state)
{
	struct daemon d = {.name = "test", .summary = "tests"};
	struct timeval at_once = {0};

	(void)state;
	assert_int_equal(daemon_init(&d), 0);
	event_base_once(d.base, -1, EV_TIMEOUT, give_up, &d, &at_once);
	assert_int_equal(daemon_run(&d), 3);
	daemon_fini(&d);
}

static void check_notify(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	struct daemon d = {.name = "test", .summary = "tests"};
	struct timeval at_once = {0};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[64] = "";

	strcpy(address.sun_path, name);
	if (*name == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(daemon_init(&d), 0);
	event_base_once(d.base, -1, EV_TIMEOUT, give_up, &d, &at_once);
	daemon_run(&d);
	daemon_fini(&d);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 7);
	assert_memory_equal(text, "READY=1", 7);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 10);
	assert_memory_equal(text, "STOPPING=1", 10);
	close(fd);
}

static void test_systemd(void **state)
{
	char name[64];

	(void)state;
	assert_int_equal(daemon_notify("READY=1"), 0);
	snprintf(name, sizeof(name), "/tmp/test_daemon.%d", (int)getpid());
	check_notify(name);
	unlink(name);
	snprintf(name, sizeof(name), "@test_daemon.%d", (int)getpid());
	check_notify(name);
	/* A manager that is gone is no reason to stop. */
	setenv("NOTIFY_SOCKET", "/tmp/no/such/socket", 1);
	assert_true(daemon_notify("READY=1") < 0);
	setenv("NOTIFY_SOCKET", "rubbish", 1);
	assert_int_equal(daemon_notify("READY=1"), 0);
	unsetenv("NOTIFY_SOCKET");
}

/* Controller and dataplane must find the same name for a host that nobody has named. */
static void test_name_of_a_host(void **state)
{
	static const char *const cases[][2] = {
		{"host-a", "host-a"},
		{"Host-A.Example.COM", "host-a"},
		{"db_1", "db-1"},
		{"-x--", "x"},
		{"", "localhost"},
		{"...", "localhost"},
		{"\xc3\xa9", "localhost"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};
	char name[DAEMON_HOST_NAME];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(daemon_name_of_host(cases[i][0], name), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_signals_stop_it),
		cmocka_unit_test(test_hangup_reloads),
		cmocka_unit_test(test_status_of_a_stop),
		cmocka_unit_test(test_systemd),
		cmocka_unit_test(test_name_of_a_host),
	};

	unsetenv("NOTIFY_SOCKET");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
