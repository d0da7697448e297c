/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound item `flow_log`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_log/flow_log_internal.h"
#include "vpc/item.h"

enum column {
	NAME = 1,
	VNI,
	SUBNET,
	PORT,
	COLLECTOR,
	FORMAT,
	INTERVAL,
	SAMPLE,
	VERDICTS,
	BIFLOW,
	NAT_EVENTS,
	REVISION
};

struct staged {
	char deleted[PORT_NAME_MAX]; /* "": `log` is put */
	struct flow_log *log;
};

static int parse_scope(const json_t *item, struct flow_log *log, struct state_error *err)
{
	bool subnet = *item_text(item, SUBNET) != '\0', port = *item_text(item, PORT) != '\0';

	log->scope = port ? FLOW_SCOPE_PORT : subnet ? FLOW_SCOPE_SUBNET : FLOW_SCOPE_VPC;
	if (subnet && port)
		return state_fail(err, -EINVAL, "a flow log is of a subnet or of a port");
	return subnet || port ? item_name(item, port ? PORT : SUBNET, log->scope_name, err) : 0;
}

static int parse(const json_t *item, struct flow_log *log, struct state_error *err)
{
	const char *format = item_text(item, FORMAT), *verdicts = item_text(item, VERDICTS);
	uint64_t interval_s = item_uint(item, INTERVAL), sample = item_uint(item, SAMPLE);
	int rc = item_name(item, NAME, log->name, err);

	if (rc == 0)
		rc = parse_scope(item, log, err);
	if (rc != 0)
		return rc;
	if ((size_t)snprintf(log->collector, sizeof(log->collector), "%s",
		    item_text(item, COLLECTOR)) >= sizeof(log->collector))
		return state_fail(err, -EINVAL, "the collector's address is too long");
	if (strcmp(format, "ipfix") != 0 && strcmp(format, "json") != 0)
		return state_fail(err, -EINVAL, "the format `%s` is unknown", format);
	if (interval_s == 0 || interval_s > 86400 || sample == 0 || sample > UINT32_MAX)
		return state_fail(err, -EINVAL, "interval_s is 1 to 86400, sample at least 1");
	log->vni = (uint32_t)item_uint(item, VNI);
	log->json = strcmp(format, "json") == 0;
	log->interval_ms = (uint32_t)interval_s * 1000;
	log->sample = (uint32_t)sample;
	log->accepted = strcmp(verdicts, "denied") != 0;
	log->denied = strcmp(verdicts, "accepted") != 0;
	log->biflow = item_bool(item, BIFLOW);
	log->nat_events = item_bool(item, NAT_EVENTS);
	log->revision = item_uint(item, REVISION);
	return 0;
}

static void free_staged(void *staged)
{
	struct staged *s = staged;

	if (s->log != NULL)
		flow_log_free(s->log);
	free(s);
}

static int prepare_log(const json_t *item, struct staged *s, struct state_error *err)
{
	const char *wrong;
	int rc;

	s->log = calloc(1, sizeof(*s->log));
	if (s->log == NULL)
		return item_no_memory(err);
	rc = parse(item, s->log, err);
	if (rc != 0)
		return rc;
	wrong = flow_log_prepare(s->log, flow_log_find(s->log->name));
	return wrong != NULL ? state_fail(err, -ENOSPC, "%s", wrong) : 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct staged *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return item_no_memory(err);
	rc = item != NULL ? prepare_log(item, s, err) : item_name(old, NAME, s->deleted, err);
	if (rc != 0)
		free_staged(s);
	else
		*staged = s;
	return rc;
}

static void commit(void *staged)
{
	struct staged *s = staged;

	if (s->log != NULL)
		flow_log_put(s->log);
	else
		flow_log_remove(s->deleted);
	free(s);
}

STATE_KIND(flow_log_kind, .name = "flow_log", .order = 200, .prepare = prepare, .commit = commit,
	.abort = free_staged);

/* A VPC may have come or gone too. */
STATE_HOOK(flow_log_hook, .order = 200, .after_commit = flow_log_settle);
