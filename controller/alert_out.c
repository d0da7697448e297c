/* SPDX-License-Identifier: Apache-2.0 */
#include "alert_out.h"

#include "lib/daemon.h"
#include "lib/log.h"
#include "lib/resource.h"
#include "lib/time_text.h"
#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* RFC 5424 6.2.1: facility 4 (security), severity 4 (warning) or 2 (critical, when a machine is cut off). */
#define PRI_WARNING (4 * 8 + 4)
#define PRI_CRITICAL (4 * 8 + 2)
/* The number that RFC 5612 keeps for documentation: we have none of our own. */
#define SD_ID "alert@32473"
/* RFC 5426 3.2: receivers take 2048 bytes as a rule. */
#define MESSAGE_MAX 2048

struct alert_out {
	char *path; /* NULL: no file */
	int file;
	struct event *hup;

	bool syslog;
	int socket;
	struct sockaddr_storage peer;
	int peer_len;
	char host[DAEMON_HOST_NAME];
	bool complained;
	uint64_t lost;
};

/* ---- The file ---- */

static int open_file(const char *path)
{
	char *copy = mem_strdup(path);

	if (mkdir(dirname(copy), 0750) < 0 && errno != EEXIST)
		log_warn("cannot make the directory of the alerts", LOG_STR("path", path),
			LOG_ERRNO(errno));
	free(copy);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* For those who rotate it. */
static void on_hup(evutil_socket_t signal, short what, void *arg)
{
	struct alert_out *out = arg;
	int fd = open_file(out->path);

	(void)signal;
	(void)what;
	if (fd < 0) {
		log_error("cannot open the file of the alerts anew", LOG_STR("path", out->path),
			LOG_ERRNO(errno));
		return;
	}
	close(out->file);
	out->file = fd;
}

static void write_line(struct alert_out *out, const json_t *alert)
{
	char *text = json_dumps(alert, JSON_COMPACT), *line = mem_printf("%s\n", text);
	size_t len = strlen(line);

	free(text);
	/* One write: lines of two processes do not mix. */
	if (write(out->file, line, len) != (ssize_t)len) {
		log_error("cannot write an alert", LOG_STR("path", out->path), LOG_ERRNO(errno));
		out->lost++;
	}
	free(line);
}

/* ---- Syslog ---- */

static bool parse_peer(const char *text, struct sockaddr_storage *peer, int *len)
{
	struct sockaddr_un *un = (struct sockaddr_un *)peer;

	memset(peer, 0, sizeof(*peer));
	*len = sizeof(*peer);
	if (strncmp(text, "unix:/", 6) == 0 && strlen(text + 5) < sizeof(un->sun_path)) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
		*len = sizeof(*un);
		return true;
	}
	if (strncmp(text, "udp://", 6) != 0 ||
		evutil_parse_sockaddr_port(text + 6, (struct sockaddr *)peer, len) != 0)
		return false;
	return peer->ss_family == AF_INET ? ((struct sockaddr_in *)peer)->sin_port != 0
					  : ((struct sockaddr_in6 *)peer)->sin6_port != 0;
}

bool alert_out_syslog_valid(const char *text)
{
	struct sockaddr_storage peer;
	int len;

	return parse_peer(text, &peer, &len);
}

/* RFC 5424 6.3.3: what ends a value, or begins an escape, is escaped. */
static size_t add_param(char *at, size_t room, const char *name, const char *value)
{
	size_t n = (size_t)snprintf(at, room, " %s=\"", name);

	for (; *value != '\0' && n + 4 < room; value++) {
		if (strchr("\"\\]", *value) != NULL)
			at[n++] = '\\';
		at[n++] = *value;
	}
	if (n + 2 >= room)
		return 0;
	at[n++] = '"';
	at[n] = '\0';
	return n;
}

static size_t structured(const json_t *alert, char *text, size_t room)
{
	static const char *const params[] = {
		"name", "inspection", "detector", "vpc", "port", "source", "action_taken"};
	size_t n = (size_t)snprintf(text, room, "[" SD_ID);
	char count[24];

	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		const char *value = resource_text(alert, params[i]);

		if (value != NULL)
			n += add_param(text + n, room - n - 32, params[i], value);
	}
	snprintf(count, sizeof(count), "%lld", (long long)resource_integer(alert, "count", 0));
	n += add_param(text + n, room - n, "count", count);
	return n + (size_t)snprintf(text + n, room - n, "]");
}

/* <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG */
static size_t format(const struct alert_out *out, const json_t *alert, char *text)
{
	const json_t *status = json_object_get(alert, "status");
	const char *action = resource_text(alert, "action_taken"),
		   *state = resource_text(status, "state");
	const char *port = resource_text(alert, "port");
	bool active = strcmp(state, "active") == 0, ended = strcmp(state, "ended") == 0;
	size_t n = (size_t)snprintf(text, MESSAGE_MAX, "<%d>1 %s %s vpc-controller %d %s ",
		active && strcmp(action, "quarantine") == 0 ? PRI_CRITICAL : PRI_WARNING,
		resource_text(alert, "time"), out->host, (int)getpid(), ended ? "ended" : "alert");

	n += structured(alert, text + n, MESSAGE_MAX - 512 - n);
	n += (size_t)snprintf(text + n, MESSAGE_MAX - n,
		" %s from %s%s%s in VPC %s, %lld counted: %s%s%s", resource_text(alert, "detector"),
		resource_text(alert, "source"), port != NULL ? ", port " : "",
		port != NULL ? port : "", resource_text(alert, "vpc"),
		(long long)resource_integer(alert, "count", 0), action, ended ? " ended: " : "",
		ended ? resource_text(status, "reason") : "");
	return n < MESSAGE_MAX ? n : MESSAGE_MAX - 1;
}

static bool ready(struct alert_out *out)
{
	if (out->socket < 0)
		out->socket =
			socket(out->peer.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return out->socket >= 0;
}

/* Unconnected: a collector that comes back under the same name is found again, and an old refusal is no new one's. */
static void send_message(struct alert_out *out, const json_t *alert)
{
	char text[MESSAGE_MAX];
	size_t len = format(out, alert, text);
	bool sent = ready(out) && sendto(out->socket, text, len, MSG_NOSIGNAL,
					  (const struct sockaddr *)&out->peer,
					  (socklen_t)out->peer_len) == (ssize_t)len;

	if (!sent) {
		out->lost++;
		if (!out->complained)
			log_warn("an alert could not be sent to syslog", LOG_ERRNO(errno));
	}
	out->complained = !sent;
}

/* ---- Both ---- */

struct alert_out *alert_out_new(struct event_base *base, const char *file, const char *syslog)
{
	struct alert_out *out = mem_calloc(1, sizeof(*out));

	out->file = out->socket = -1;
	daemon_host_name(out->host);
	out->syslog = syslog != NULL && parse_peer(syslog, &out->peer, &out->peer_len);
	if (file == NULL)
		return out;
	out->path = mem_strdup(file);
	out->file = open_file(file);
	if (out->file < 0) {
		log_error("cannot open the file of the alerts", LOG_STR("path", file),
			LOG_ERRNO(errno));
		alert_out_free(out);
		return NULL;
	}
	out->hup = evsignal_new(base, SIGHUP, on_hup, out);
	event_add(out->hup, NULL);
	return out;
}

void alert_out_free(struct alert_out *out)
{
	if (out == NULL)
		return;
	if (out->hup != NULL)
		event_free(out->hup);
	if (out->file >= 0)
		close(out->file);
	if (out->socket >= 0)
		close(out->socket);
	free(out->path);
	free(out);
}

void alert_out_tell(struct alert_out *out, const json_t *alert)
{
	if (out->file >= 0)
		write_line(out, alert);
	if (out->syslog)
		send_message(out, alert);
}

uint64_t alert_out_lost(const struct alert_out *out)
{
	return out->lost;
}
