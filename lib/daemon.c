// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/log.h"

#define EXIT_USAGE 2

enum option_id {
	OPT_CONFIG = 'c',
	OPT_HELP = 'h',
	OPT_VERSION = 'V',
	OPT_CHECK = 256,
	OPT_LEVEL,
	OPT_FORMAT
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"check", no_argument, NULL, OPT_CHECK},
	{"log-level", required_argument, NULL, OPT_LEVEL},
	{"log-format", required_argument, NULL, OPT_FORMAT},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static void print_help(const struct daemon *d)
{
	printf("Usage: %s [OPTION]...\n"
	       "%s.\n\n"
	       "  -c, --config FILE        read the configuration (YAML); without it: defaults\n"
	       "      --check              only check the configuration\n"
	       "      --log-level LEVEL    error, warn, info (default) or debug\n"
	       "      --log-format FORMAT  text (default) or json, on stderr\n"
	       "  -h, --help               print this and exit\n"
	       "  -V, --version            print the version and exit\n\n"
	       "Exit status: 0 after SIGTERM or SIGINT, 1 when it cannot run, 2 for bad usage or a "
	       "bad\n"
	       "configuration.\n",
		d->name, d->summary);
}

/* Says what is wrong with the command line. */
static bool usage(const struct daemon *d, int *status, const char *what, const char *argument)
{
	fprintf(stderr, "%s: %s%s%s%s\nTry '%s --help'.\n", d->name, what,
		argument != NULL ? " '" : "", argument != NULL ? argument : "",
		argument != NULL ? "'" : "", d->name);
	*status = EXIT_USAGE;
	return false;
}

/* Acts on one option; false: the program ends with *status. */
static bool take_option(struct daemon *d, int option, int *status)
{
	enum log_level level;
	enum log_format format;

	switch (option) {
	case OPT_CONFIG:
		d->config_path = optarg;
		return true;
	case OPT_CHECK:
		d->check = true;
		return true;
	case OPT_LEVEL:
		if (!log_level_parse(optarg, &level))
			return usage(d, status, "no such log level", optarg);
		log_set_level(level);
		return true;
	case OPT_FORMAT:
		if (!log_format_parse(optarg, &format))
			return usage(d, status, "no such log format", optarg);
		log_set_format(format);
		return true;
	case OPT_HELP:
		print_help(d);
		*status = EXIT_SUCCESS;
		return false;
	case OPT_VERSION:
		printf("%s %s\n", d->name, VPC_VERSION);
		*status = EXIT_SUCCESS;
		return false;
	default: /* getopt_long() has said what is wrong */
		fprintf(stderr, "Try '%s --help'.\n", d->name);
		*status = EXIT_USAGE;
		return false;
	}
}

bool daemon_options(struct daemon *d, int argc, char **argv, int *status)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (!take_option(d, option, status))
			return false;
	}
	if (optind < argc)
		return usage(d, status, "unexpected argument", argv[optind]);
	return true;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	log_info("stopping", LOG_STR("signal", sigabbrev_np((int)number)));
	daemon_stop(arg, EXIT_SUCCESS);
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)number;
	(void)what;
	log_info("reloading", LOG_STR("signal", "HUP"));
	if (d->reload != NULL)
		d->reload(d->reload_arg);
}

int daemon_init(struct daemon *d)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	d->base = event_base_new();
	if (d->base == NULL) {
		log_error("cannot make an event base");
		return -ENOMEM;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		d->signals[i] = evsignal_new(
			d->base, numbers[i], numbers[i] == SIGHUP ? on_reload : on_signal, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) < 0) {
			log_error("cannot handle signals");
			daemon_fini(d);
			return -ENOMEM;
		}
	}
	return 0;
}

int daemon_run(struct daemon *d)
{
	daemon_notify("READY=1");
	log_info("ready", LOG_STR("version", VPC_VERSION));
	if (event_base_dispatch(d->base) < 0) {
		log_error("the event loop failed");
		d->status = EXIT_FAILURE;
	}
	daemon_notify("STOPPING=1");
	return d->status;
}

void daemon_stop(struct daemon *d, int status)
{
	d->status = status;
	event_base_loopexit(d->base, NULL);
}

void daemon_fini(struct daemon *d)
{
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++) {
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
		d->signals[i] = NULL;
	}
	if (d->base != NULL)
		event_base_free(d->base);
	d->base = NULL;
}

int daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len;
	ssize_t sent;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') || path[1] == '\0')
		return 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0'; /* abstract: not terminated */
	else
		len++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
	close(fd);
	return sent < 0 ? -errno : 0;
}

char *daemon_name_of_host(const char *host, char name[DAEMON_HOST_NAME])
{
	size_t length = strcspn(host, "."), used = 0;

	for (size_t i = 0; i < length && used < DAEMON_HOST_NAME - 1; i++) {
		bool plain = isalnum((unsigned char)host[i]);

		if (plain || used > 0) /* a name begins and ends with a letter or digit */
			name[used++] = plain ? (char)tolower((unsigned char)host[i]) : '-';
	}
	while (used > 0 && name[used - 1] == '-')
		used--;
	name[used] = '\0';
	if (used == 0)
		snprintf(name, DAEMON_HOST_NAME, "localhost");
	return name;
}

char *daemon_host_name(char name[DAEMON_HOST_NAME])
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	return daemon_name_of_host(host, name);
}
