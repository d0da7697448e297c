// SPDX-License-Identifier: Apache-2.0
/*
 * What every daemon here has in common: its options, its event base, a clean stop on SIGTERM and
 * SIGINT, reading files again on SIGHUP, and systemd's readiness protocol.
 *
 *	struct daemon d = {.name = "vpc-controller", .summary = "keeps the desired network"};
 *	int status;
 *
 *	if (!daemon_options(&d, argc, argv, &status))
 *		return status;
 *	… load the configuration from d.config_path; when d.check, return …
 *	if (daemon_init(&d) < 0)
 *		return 1;
 *	… make listeners on d.base …
 *	status = daemon_run(&d);
 *	… tear down …
 *	daemon_fini(&d);
 *	return status;
 */
#ifndef LIB_DAEMON_H
#define LIB_DAEMON_H

#include <stdbool.h>

struct event;
struct event_base;

struct daemon {
	/* set by the program */
	const char *name;    /* "vpc-dataplane" */
	const char *summary; /* one line for --help */
	/* set by daemon_options() */
	const char *config_path; /* -c FILE; NULL: run on defaults */
	bool check;              /* --check: validate the configuration, then exit */
	/* set by the program, may be NULL: called on SIGHUP, from the event loop */
	void (*reload)(void *arg);
	void *reload_arg;
	/* set by daemon_init() */
	struct event_base *base;
	struct event *signals[3];
	int status;
};

/*
 * Reads the command line and sets up the log. True: go on. False: exit with *status, 0 after --help
 * and
 * --version, 2 for bad usage (said on stderr).
 */
bool daemon_options(struct daemon *d, int argc, char **argv, int *status);

/* Makes the event base and the signal handlers; ignores SIGPIPE. 0 or -errno, logged. */
int daemon_init(struct daemon *d);
/* Tells systemd that the program is ready, then runs the event loop until it is stopped. */
int daemon_run(struct daemon *d);
/* Ends daemon_run() with an exit status, from the event loop's thread. */
void daemon_stop(struct daemon *d, int status);
void daemon_fini(struct daemon *d);

/* Buffer of a name, the terminating zero included. */
#define DAEMON_HOST_NAME 64
/* What this host is called where nobody has said it: by every daemon alike. Returns `name`. */
char *daemon_host_name(char name[DAEMON_HOST_NAME]);
/* A host's name ("Host-1.example.org") in the form of an object's ("host-1"). Returns `name`. */
char *daemon_name_of_host(const char *host, char name[DAEMON_HOST_NAME]);

/* Sends "READY=1" or the like to $NOTIFY_SOCKET, if any (sd_notify(3)). 0 or -errno. */
int daemon_notify(const char *state);

#endif
