/* SPDX-License-Identifier: Apache-2.0 */
#include "alert.h"

#include "alert_out.h"
#include "api.h"
#include "commit.h"
#include "controller.h"
#include "emission.h"
#include "events.h"
#include "inspection.h"
#include "lib/log.h"
#include "lib/net.h"
#include "mem.h"
#include "node.h"
#include "response.h"
#include "rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Alerts that are kept; those whose answer holds beyond that. */
#define KEEP 1000
/* Of one VPC: so many at once, and so many a second. */
#define BURST 50
#define PER_S 20
#define TARGETS_MAX 256
#define EVIDENCE_MAX (1 << 18)

/* One controller a process. */
static uint64_t lost;

uint64_t alert_lost(void)
{
	return lost;
}

/* ---- Is it one? ---- */

struct report {
	const struct node *node;
	const struct object *vpc, *inspection;
	const struct object *port; /* NULL: the source is no port of ours */
	const char *detector, *source;
	const json_t *params;
};

static const struct object *vpc_by_vni(const struct node *node, json_int_t vni)
{
	MODEL_FOREACH(&node->c->model, kind_find("vpc"), vpc)
	{
		if ((json_int_t)vpc_vni(vpc) == vni)
			return emission_vpc_is_relevant(node, vpc) ? vpc : NULL;
	}
	return NULL;
}

/* Whose it is in the VPC. Only a port of another node is found so: of its own the node has said which one it is, and an
 * address could be somebody else's. */
static const struct object *port_by_address(const struct report *r)
{
	const struct vpc_state *state = r->vpc->state;
	const struct object *port = strmap_get(&state->taken, r->source);

	if (port == NULL || strcmp(port->kind->name, "port") != 0 ||
		object_target(port, kind_find("node")) == r->node->object)
		return NULL;
	return port;
}

static bool is_report(struct report *r)
{
	const struct model *model = &r->node->c->model;
	const char *port = resource_text(r->params, "port"), *name;
	struct net_addr source;

	r->vpc = vpc_by_vni(r->node, resource_integer(r->params, "vni", -1));
	r->detector = resource_text(r->params, "detector");
	r->source = resource_text(r->params, "source");
	name = resource_text(r->params, "inspection");
	r->inspection = name != NULL ? model_get(model, "inspection", name) : NULL;
	if (r->vpc == NULL || r->inspection == NULL || r->detector == NULL || r->source == NULL ||
		!net_addr_parse(r->source, &source) || !inspection_covers(r->inspection, r->vpc) ||
		!inspection_has(r->inspection, r->detector))
		return false;
	if (port == NULL || port[0] == '\0') {
		r->port = port_by_address(r);
		return true;
	}
	r->port = model_get(model, "port", port);
	return r->port != NULL && object_target(r->port, kind_find("node")) == r->node->object;
}

/* ---- Not too many of one VPC ---- */

/* Its share hangs on the VPC, and comes back with time. */
static bool has_share(const struct object *vpc)
{
	struct vpc_state *state = vpc->state;
	uint64_t now = now_ms(), back = (now - state->alerts_at_ms) * PER_S / 1000;

	if (state->alerts_at_ms == 0 || back >= state->alerts) {
		state->alerts = 0;
		state->alerts_at_ms = now;
	} else if (back > 0) {
		state->alerts -= (unsigned)back;
		state->alerts_at_ms += back * 1000 / PER_S;
	}
	if (state->alerts >= BURST)
		return false;
	state->alerts++;
	return true;
}

static void lose(const struct report *r)
{
	if (lost++ % 1000 == 0)
		events_add(r->node->c->events, EVENT_WARNING, r->node->name, "vpc", r->vpc->name,
			"alerts_lost", "more alerts than are taken of one VPC; the others count");
}

/* ---- What is stored of it ---- */

static json_t *targets_of(const json_t *params)
{
	json_t *targets = mem_json(json_array()), *target;
	size_t i;

	json_array_foreach (json_object_get(params, "targets"), i, target)
		if (i < TARGETS_MAX && json_is_string(target) && json_string_length(target) < 64)
			json_array_append(targets, target);
	return targets;
}

static json_int_t count_of(const json_t *params)
{
	json_int_t count = resource_integer(params, "count", 0);

	return count > 0 ? count : 0;
}

/* By its name or, as vpc-inspectd says it, by its number. NULL: by neither. */
static const char *protocol_name(const json_t *protocol, char text[16])
{
	json_int_t number = json_integer_value(protocol);

	if (!json_is_integer(protocol))
		return json_string_value(protocol);
	if (number == 6 || number == 17)
		return number == 6 ? "tcp" : "udp";
	if (number == 1 || number == 58)
		return number == 1 ? "icmp" : "icmpv6";
	snprintf(text, 16, "%d", (int)(number & 0xff));
	return text;
}

/* "tcp 10.0.1.10:4000 10.0.1.11:22", from its parts. */
static void flow_text(const json_t *flow, char *text, size_t size)
{
	char number[16];
	const char *protocol = protocol_name(json_object_get(flow, "protocol"), number),
		   *source = resource_text(flow, "source");
	const char *target = resource_text(flow, "target");

	text[0] = '\0';
	if (protocol == NULL || source == NULL || target == NULL || strlen(protocol) > 16 ||
		strlen(source) > NET_ADDR_TEXT || strlen(target) > NET_ADDR_TEXT)
		return;
	snprintf(text, size, strchr(source, ':') != NULL ? "%s [%s]:%d [%s]:%d" : "%s %s:%d %s:%d",
		protocol, source, (int)resource_integer(flow, "source_port", 0), target,
		(int)resource_integer(flow, "target_port", 0));
}

static json_t *evidence_of(const json_t *params)
{
	const json_t *given = json_object_get(params, "evidence");
	const char *packets = resource_text(given, "packets"), *list = resource_text(given, "list");
	char flow[2 * NET_ADDR_TEXT + 64];
	json_t *evidence;

	flow_text(json_object_get(given, "flow"), flow, sizeof(flow));
	if (packets == NULL || strlen(packets) > EVIDENCE_MAX)
		packets = "";
	evidence = mem_json(json_pack("{s:s, s:b, s:s}", "flow", flow, "slow",
		resource_boolean(given, "slow", false), "packets", packets));
	if (list != NULL && strlen(list) <= RESOURCE_NAME_MAX)
		json_object_set_new(evidence, "list", json_string(list));
	return evidence;
}

/* Numbers go up over restarts: the newest alert is always there. */
static char *next_name(const struct model *model)
{
	static uint64_t last;

	if (last == 0)
		MODEL_FOREACH(model, kind_find("alert"), alert)
	last = strtoull(alert->name + 1, NULL, 10);
	return mem_printf("a%010" PRIu64, ++last);
}

static void later_text(json_int_t seconds, char text[TIME_TEXT])
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	time_text_format(((int64_t)t.tv_sec + seconds) * 1000 + t.tv_nsec / 1000000, text);
}

static json_t *status_of(const char *state, const char *until, const char *reason)
{
	return mem_json(
		json_pack("{s:s, s:s*, s:s}", "state", state, "until", until, "reason", reason));
}

/* What its inspection wants done, if that can be. */
static void answer(const struct report *r, json_t *alert)
{
	const json_t *inspection = r->inspection->json;
	const char *action = resource_text(inspection, "action"), *objection;
	bool mirror = strcmp(action, "mirror") == 0;
	const char *target = resource_text(inspection, mirror ? "mirror" : "quarantine_group");
	char until[TIME_TEXT];

	if (strcmp(action, "alert") == 0) {
		json_object_set_new(alert, "status", status_of("none", NULL, ""));
		return;
	}
	objection = response_objection(&r->node->c->model, r->inspection, r->port);
	if (objection != NULL) {
		json_object_set_new(alert, "status", status_of("none", NULL, objection));
		return;
	}
	later_text(resource_integer(inspection, "duration_s", 3600), until);
	json_object_set_new(alert, "action_taken", json_string(action));
	if (target != NULL)
		json_object_set_new(alert, "answer", json_string(target));
	json_object_set_new(alert, "status", status_of("active", until, ""));
}

static json_t *alert_of(const struct report *r)
{
	char time[NOW_TEXT], *name = next_name(&r->node->c->model);
	json_t *alert = mem_json(
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:o, s:s}",
			"name", name, "tenant", object_tenant(r->vpc), "description", "", "time",
			now_text(time), "inspection", r->inspection->name, "detector", r->detector,
			"vpc", r->vpc->name, "node", r->node->name, "source", r->source, "targets",
			targets_of(r->params), "count", count_of(r->params), "evidence",
			evidence_of(r->params), "action_taken", "alert"));

	free(name);
	if (r->port != NULL)
		json_object_set_new(alert, "port", json_string(r->port->name));
	answer(r, alert);
	return alert;
}

/* ---- Into the model ---- */

void alert_set_status(struct txn *txn, struct object *alert, const char *state, const char *until,
	const char *reason)
{
	json_t *new = mem_json(json_copy(alert->json));

	json_object_set_new(new, "status", status_of(state, until, reason));
	txn_update(txn, alert, new, SIZE_MAX);
}

/* The oldest make room, unless their answer holds. */
static void make_room(struct txn *txn, const struct model *model)
{
	const struct kind *kind = kind_find("alert");
	size_t count = model_count(model, kind);

	if (count < KEEP)
		return;
	MODEL_FOREACH(model, kind, alert)
	{
		const char *state = resource_text(json_object_get(alert->json, "status"), "state");

		if (count < KEEP)
			return;
		if (strcmp(state, "active") == 0)
			continue;
		txn_delete(txn, alert, txn->count);
		count--;
	}
}

static void on_stored(int rc, const struct txn *txn, void *arg)
{
	(void)arg;
	if (rc < 0)
		lost++;
	(void)txn;
}

void alert_heard(struct node *node, const json_t *params)
{
	struct controller *c = node->c;
	struct report r = {.node = node, .params = params};
	static struct log_limit limit = LOG_LIMIT(5, 60);
	struct txn_error error = {0};
	struct txn txn;

	if (!is_report(&r)) {
		log_warn_limited(&limit, "an alert about nothing that is inspected",
			LOG_STR("node", node->name),
			LOG_STR("inspection", resource_text(params, "inspection")));
		return;
	}
	if (!has_share(r.vpc)) {
		lose(&r);
		return;
	}
	txn_init(&txn, &c->model);
	txn_create(&txn, kind_find("alert"), alert_of(&r), 0);
	make_room(&txn, &c->model);
	if (txn_run(&txn, &error)) {
		commit_submit(c, &txn, on_stored, NULL);
		return;
	}
	log_error("an alert could not be kept", LOG_STR("reason", error.base.reason));
	txn_error_fini(&error);
	lost++;
}

/* ---- Its verb ---- */

void api_release(struct api_call *call)
{
	struct object *alert = api_object(call);
	const json_t *status;
	struct txn txn;

	if (alert == NULL)
		return;
	status = json_object_get(alert->json, "status");
	txn_init(&txn, &call->c->model);
	if (strcmp(resource_text(status, "state"), "active") == 0)
		alert_set_status(&txn, alert, "ended", resource_text(status, "until"), "released");
	api_commit(call, &txn, alert->name);
}
