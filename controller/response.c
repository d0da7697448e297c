/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include "alert.h"
#include "commit.h"
#include "controller.h"
#include "emission.h"
#include "events.h"
#include "mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

struct response {
	LIST_ENTRY(response) link;
	char *alert;
	char *port;
	char *target; /* quarantine: the group, NULL: everything is denied; mirror: its name */
	bool mirror;
	int64_t until_ms; /* since 1970: it outlives a restart */
};

/* One controller a process. */
static struct {
	LIST_HEAD(, response) all;
	struct strmap quarantines; /* port → response */
	struct event *timer;
} responses;

static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

json_t *response_sealed_rules(void)
{
	return json_pack("[s, s, i, [s, s]]", "rules", RESPONSE_SEALED, 1,
		"i d 1 -1 0 65535 -1 -1 any", "e d 1 -1 0 65535 -1 -1 any");
}

/* ---- What holds ---- */

static const char *status_text(const json_t *alert, const char *member)
{
	return resource_text(json_object_get(alert, "status"), member);
}

static bool has_state(const json_t *alert, const char *wanted)
{
	const char *state = status_text(alert, "state");

	return state != NULL && strcmp(state, wanted) == 0;
}

bool response_is_active(const json_t *alert)
{
	return has_state(alert, "active");
}

static int64_t until_of(const json_t *alert)
{
	const char *text = status_text(alert, "until");
	int64_t ms = 0;
	bool finer;

	return text != NULL && time_text_parse(text, &ms, &finer) ? ms : 0;
}

static struct response *response_by_alert(const char *alert)
{
	struct response *r;

	LIST_FOREACH (r, &responses.all, link)
		if (strcmp(r->alert, alert) == 0)
			return r;
	return NULL;
}

static void response_free(struct response *r)
{
	LIST_REMOVE(r, link);
	if (!r->mirror && strmap_get(&responses.quarantines, r->port) == r)
		strmap_take(&responses.quarantines, r->port);
	free(r->alert);
	free(r->port);
	free(r->target);
	free(r);
}

/* `answer` says what the inspection named at the time, and no group any more once that is deleted: then nothing passes. */
static void hold(const struct controller *c, const struct object *alert)
{
	const char *target = object_text(alert, "answer");
	struct response *r = mem_calloc(1, sizeof(*r));

	r->alert = mem_strdup(alert->name);
	r->port = mem_strdup(object_text(alert, "port"));
	r->mirror = strcmp(object_text(alert, "action_taken"), "mirror") == 0;
	if (target != NULL && (r->mirror || model_get(&c->model, "security_group", target) != NULL))
		r->target = mem_strdup(target);
	r->until_ms = until_of(alert->json);
	LIST_INSERT_HEAD(&responses.all, r, link);
	if (!r->mirror)
		strmap_put(&responses.quarantines, r->port, r);
}

json_t *response_groups(const struct object *port)
{
	const struct response *r = strmap_get(&responses.quarantines, port->name);

	if (r == NULL)
		return json_incref(json_object_get(port->json, "security_groups"));
	return mem_json(json_pack("[s]", r->target != NULL ? r->target : RESPONSE_SEALED));
}

const char *response_quarantine_of(const char *port)
{
	const struct response *r = strmap_get(&responses.quarantines, port);

	return r != NULL ? r->alert : NULL;
}

json_t *response_mirrored(const char *mirror)
{
	json_t *ports = mem_json(json_array());
	const struct response *r;

	LIST_FOREACH (r, &responses.all, link)
		if (r->mirror && strcmp(r->target, mirror) == 0)
			json_array_append_new(ports, json_string(r->port));
	return ports;
}

const char *response_objection(
	const struct model *model, const struct object *inspection, const struct object *port)
{
	const char *action = object_text(inspection, "action");
	int64_t now = wall_ms();

	if (port == NULL)
		return "the source is no port of ours";
	if (strcmp(object_tenant(port), object_tenant(inspection)) != 0)
		return "the port is another tenant's";
	MODEL_FOREACH(model, kind_find("alert"), alert)
	{
		const char *its = object_text(alert, "port");

		if (its == NULL || strcmp(its, port->name) != 0 ||
			strcmp(object_text(alert, "action_taken"), action) != 0)
			continue;
		if (response_is_active(alert->json))
			return "it holds already, by an earlier alert";
		if (has_state(alert->json, "ended") && until_of(alert->json) > now &&
			strcmp(object_text(alert, "inspection"), inspection->name) == 0)
			return "the operator ended the last one before its time";
	}
	return NULL;
}

/* ---- Its end ---- */

static const json_t *groups_of(const json_t *port)
{
	return json_object_get(port, "security_groups");
}

/* Why a change of a port ends what alerts do to it; NULL: it does not. */
static const char *end_of(const struct change *ch, bool mirror)
{
	if (ch->old == NULL || strcmp(ch->object->kind->name, "port") != 0)
		return NULL;
	if (ch->op == CHANGE_DELETE)
		return "the port was deleted";
	return mirror || json_equal(groups_of(ch->old), groups_of(ch->new))
		       ? NULL
		       : "the operator gave the port other groups";
}

static bool is_group_deletion(const struct change *ch)
{
	return ch->op == CHANGE_DELETE && strcmp(ch->object->kind->name, "security_group") == 0;
}

/* Its group is deleted: the alert says from now on that nothing passes. One that gets the same name later is another. */
static void seal_joined(struct txn *txn, struct object *alert, size_t count)
{
	const char *group = object_text(alert, "answer");
	json_t *new;

	if (group == NULL || strcmp(object_text(alert, "action_taken"), "quarantine") != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!is_group_deletion(&txn->changes[i]) ||
			strcmp(group, txn->changes[i].object->name) != 0)
			continue;
		new = mem_json(json_copy(alert->json));
		json_object_del(new, "answer");
		txn_update(txn, alert, new, SIZE_MAX);
		return;
	}
}

/* In the model, not in the list above: an alert may be on its way to the store. True: it ends. */
static bool end_joined(struct txn *txn, struct object *alert, size_t count)
{
	bool mirror = strcmp(object_text(alert, "action_taken"), "mirror") == 0;

	for (size_t i = 0; i < count; i++) {
		const char *reason = end_of(&txn->changes[i], mirror);

		if (reason == NULL ||
			strcmp(object_text(alert, "port"), txn->changes[i].object->name) != 0)
			continue;
		alert_set_status(txn, alert, "ended", status_text(alert->json, "until"), reason);
		return true;
	}
	return false;
}

void response_join(struct txn *txn)
{
	size_t count = txn->count;
	bool any = false;

	for (size_t i = 0; i < count && !any; i++)
		any = end_of(&txn->changes[i], false) != NULL ||
		      is_group_deletion(&txn->changes[i]);
	if (!any)
		return;
	MODEL_FOREACH(txn->model, kind_find("alert"), alert)
	{
		if (response_is_active(alert->json) && !end_joined(txn, alert, count))
			seal_joined(txn, alert, count);
	}
}

/* Ends that can not be stored are tried again after that. */
#define RETRY_MS 1000

/* When the next one ends, but not before `pause_ms`. One whose end is on its way to the store is not waited for: stored() looks again. */
static void arm(const struct controller *c, int64_t pause_ms)
{
	int64_t now = wall_ms(), first = INT64_MAX;
	struct timeval delay;
	struct response *r;

	if (responses.timer == NULL)
		return;
	evtimer_del(responses.timer);
	LIST_FOREACH (r, &responses.all, link) {
		const struct object *alert = model_get(&c->model, "alert", r->alert);

		if (alert != NULL && response_is_active(alert->json) && r->until_ms < first)
			first = r->until_ms;
	}
	if (first == INT64_MAX)
		return;
	first = first > now + pause_ms ? first - now : pause_ms;
	/* The clock may be set meanwhile: look again within a minute. */
	if (first > 60000)
		first = 60000;
	delay = (struct timeval){.tv_sec = first / 1000, .tv_usec = first % 1000 * 1000 + 500};
	evtimer_add(responses.timer, &delay);
}

static void stored(int rc, const struct txn *txn, void *arg)
{
	(void)txn;
	arm(arg, rc < 0 ? RETRY_MS : 0);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct controller *c = arg;
	int64_t now = wall_ms();
	struct txn_error error = {0};
	struct response *r;
	struct txn txn;
	bool good = true;

	(void)fd;
	(void)what;
	txn_init(&txn, &c->model);
	LIST_FOREACH (r, &responses.all, link) {
		struct object *alert = model_get(&c->model, "alert", r->alert);

		if (r->until_ms <= now && alert != NULL && response_is_active(alert->json))
			alert_set_status(&txn, alert, "ended", status_text(alert->json, "until"),
				"its time is over");
	}
	if (txn.count == 0) {
		txn_discard(&txn);
	} else {
		good = txn_run(&txn, &error);
		if (good)
			commit_submit(c, &txn, stored, c);
		else
			txn_error_fini(&error);
	}
	arm(c, good ? 0 : RETRY_MS);
}

/* ---- Alerts come and change ---- */

static void touch(struct controller *c, const struct object *alert)
{
	bool mirror = strcmp(object_text(alert, "action_taken"), "mirror") == 0;

	if (!mirror)
		emission_touch(c, model_get(&c->model, "port", object_text(alert, "port")));
	else if (kind_find("mirror") != NULL && object_text(alert, "answer") != NULL)
		emission_touch(c, model_get(&c->model, "mirror", object_text(alert, "answer")));
}

static void tell(struct controller *c, const struct object *alert, bool begins)
{
	const char *action = object_text(alert, "action_taken"), *port = object_text(alert, "port");
	char *text =
		begins ? mem_printf("%s by alert %s (%s): until %s", action, alert->name,
				 object_text(alert, "detector"), status_text(alert->json, "until"))
		       : mem_printf("%s by alert %s ended: %s", action, alert->name,
				 status_text(alert->json, "reason"));

	events_add(c->events, begins ? EVENT_WARNING : EVENT_INFO, NULL, "port", port,
		begins ? "alert_answered" : "alert_answer_ended", text);
	free(text);
}

void response_published(struct controller *c, const struct change *ch)
{
	struct object *alert = ch->object;
	struct response *r = response_by_alert(alert->name);
	bool held = r != NULL, active = ch->op != CHANGE_DELETE && response_is_active(ch->new);

	if (!active && !held)
		return;
	if (held)
		response_free(r);
	if (active)
		hold(c, alert);
	touch(c, alert);
	if (active != held)
		tell(c, alert, active);
	arm(c, 0);
}

void response_port_changed(struct controller *c, const struct object *port)
{
	struct response *r;

	LIST_FOREACH (r, &responses.all, link)
		if (r->mirror && strcmp(r->port, port->name) == 0)
			emission_touch(c, model_get(&c->model, "mirror", r->target));
}

void response_start(struct controller *c)
{
	LIST_INIT(&responses.all);
	MODEL_FOREACH(&c->model, kind_find("alert"), alert)
	{
		if (response_is_active(alert->json))
			hold(c, alert);
	}
	responses.timer = evtimer_new(c->base, on_time, c);
	arm(c, 0);
}

void response_stop(struct controller *c)
{
	(void)c;
	while (!LIST_EMPTY(&responses.all))
		response_free(LIST_FIRST(&responses.all));
	strmap_fini(&responses.quarantines);
	responses.quarantines = (struct strmap){0};
	if (responses.timer != NULL)
		event_free(responses.timer);
	responses.timer = NULL;
}
