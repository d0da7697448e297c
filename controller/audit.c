/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include "api.h"
#include "lib/json_text.h"
#include "lib/log.h"
#include "mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_S 1
/* Larger params are told by size and hash. */
#define PARAMS_MAX 4096
/* Of the changes of one call. */
#define OBJECTS_MAX 1000

struct audit {
	char *path;
	int fd;
	bool dirty;
	struct event *sync, *hup;
};

static int open_log(const char *path)
{
	char *copy = mem_strdup(path);

	/* Its last directory is ours to make; those above are the system's. */
	if (mkdir(dirname(copy), 0750) < 0 && errno != EEXIST)
		log_warn("cannot make the audit log's directory", LOG_STR("path", path),
			LOG_ERRNO(errno));
	free(copy);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void on_sync(evutil_socket_t fd, short what, void *arg)
{
	struct audit *audit = arg;

	(void)fd;
	(void)what;
	if (audit->dirty)
		fdatasync(audit->fd);
	audit->dirty = false;
}

static void on_hup(evutil_socket_t signal, short what, void *arg)
{
	struct audit *audit = arg;
	int fd = open_log(audit->path);

	(void)signal;
	(void)what;
	if (fd < 0) {
		log_error("cannot open the audit log anew", LOG_STR("path", audit->path),
			LOG_ERRNO(errno));
		return;
	}
	on_sync(-1, 0, audit);
	close(audit->fd);
	audit->fd = fd;
}

struct audit *audit_new(struct event_base *base, const char *path)
{
	const struct timeval period = {.tv_sec = SYNC_S};
	struct audit *audit = mem_calloc(1, sizeof(*audit));

	audit->path = mem_strdup(path);
	audit->fd = open_log(path);
	if (audit->fd < 0) {
		log_error("cannot open the audit log", LOG_STR("path", path), LOG_ERRNO(errno));
		free(audit->path);
		free(audit);
		return NULL;
	}
	audit->sync = event_new(base, -1, EV_PERSIST, on_sync, audit);
	event_add(audit->sync, &period);
	audit->hup = evsignal_new(base, SIGHUP, on_hup, audit);
	event_add(audit->hup, NULL);
	return audit;
}

void audit_free(struct audit *audit)
{
	if (audit == NULL)
		return;
	on_sync(-1, 0, audit);
	close(audit->fd);
	event_free(audit->sync);
	event_free(audit->hup);
	free(audit->path);
	free(audit);
}

/* FNV-1a: tells two calls apart, no more. */
static json_t *digest_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;
	char hex[17];

	for (const char *c = text; *c != '\0'; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3ull;
	snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)h);
	return json_pack("{s:I, s:s}", "bytes", (json_int_t)strlen(text), "fnv1a", hex);
}

static json_t *params_of(const json_t *params)
{
	size_t len;
	char *text = json_text(params, 0, &len);
	json_t *shown;

	if (text == NULL)
		return json_null();
	shown = len > PARAMS_MAX ? digest_of(text) : json_deep_copy(params);
	free(text);
	return shown;
}

static json_t *who_of(const struct jsonrpc_peer *peer, bool over_http)
{
	json_t *who = json_object();

	json_object_set_new(who, "source", json_string(over_http ? "http" : "unix"));
	if (peer->uid != (uid_t)-1)
		json_object_set_new(who, "uid", json_integer(peer->uid));
	if (peer->pid != 0)
		json_object_set_new(who, "pid", json_integer(peer->pid));
	if (over_http)
		json_object_set_new(who, "token",
			peer->name[0] != '\0' ? json_string(peer->name) : json_null());
	return who;
}

static void write_line(struct audit *audit, const char *text)
{
	char *line = mem_printf("%s\n", text);
	size_t len = strlen(line), done = 0;

	while (done < len) {
		ssize_t n = write(audit->fd, line + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_error("cannot write the audit log", LOG_ERRNO(errno));
			break;
		}
		done += (size_t)n;
	}
	audit->dirty = true;
	free(line);
}

void audit_call(struct audit *audit, const struct api_call *call, int code)
{
	const struct jsonrpc_peer *peer = jsonrpc_call_peer(call->rpc);
	bool over_http = peer->uid == (uid_t)-1;
	char time[NOW_TEXT], *text;
	json_t *line = json_pack("{s:s, s:o, s:s, s:s, s:i}", "time", now_text(time), "who",
		who_of(peer, over_http), "method", call->method->name, "result",
		code == 0 ? "ok" : error_name(code), "code", code);

	if (json_array_size(call->touched) <= OBJECTS_MAX && call->touched != NULL)
		json_object_set(line, "objects", call->touched);
	json_object_set_new(line, "params",
		params_of(call->params != NULL ? call->params : jsonrpc_call_params(call->rpc)));
	json_object_set_new(line, "revision", json_integer((json_int_t)call->c->published));
	text = json_dumps(line, JSON_COMPACT);
	if (text != NULL)
		write_line(audit, text);
	free(text);
	json_decref(line);
}
