/* SPDX-License-Identifier: Apache-2.0 */
/* restore: lines come in, and in the end become the network, all or nothing. */
#include "api.h"
#include "backup.h"
#include "commit.h"
#include "events.h"
#include "mem.h"
#include "usage.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_S 60
#define CHANGES_SHOWN 10000

struct upload {
	struct upload **at;
	char token[24];
	struct digest *digest;
	struct event *timer;
	size_t lines;
	bool ended;
	json_int_t revision; /* of the network that was backed up */
	json_t *objects;     /* [[kind, object]…] */
	json_t *usage, *events;
};

void upload_free(struct upload *upload)
{
	if (upload == NULL)
		return;
	*upload->at = NULL;
	digest_free(upload->digest);
	event_free(upload->timer);
	json_decref(upload->objects);
	json_decref(upload->usage);
	json_decref(upload->events);
	mem_trim(upload->lines);
	free(upload);
}

static void on_forgotten(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	upload_free(arg);
}

static struct upload *upload_new(struct controller *c)
{
	struct upload *upload = mem_calloc(1, sizeof(*upload));
	static unsigned last;

	upload->at = backups_upload(c);
	*upload->at = upload;
	snprintf(upload->token, sizeof(upload->token), "%u", ++last);
	upload->digest = digest_new();
	upload->timer = evtimer_new(c->base, on_forgotten, upload);
	upload->objects = mem_json(json_array());
	upload->usage = mem_json(json_array());
	upload->events = mem_json(json_array());
	return upload;
}

/* ---- Reading lines ---- */

static bool fail_line(struct resource_error *error, const struct upload *upload, const char *what)
{
	return resource_fail(error, "/lines", "line %zu of the backup %s", upload->lines, what);
}

static bool take_header(struct upload *upload, const json_t *line, struct resource_error *error)
{
	const char *format = resource_text(line, "format");
	json_int_t version = resource_integer(line, "version", 0);

	if (format == NULL || strcmp(format, BACKUP_FORMAT) != 0)
		return resource_fail(error, "/lines", "is no backup of vpcctl");
	if (version != BACKUP_VERSION)
		return resource_fail(error, "/lines",
			"the backup has format %lld, written by version %s; this is version %s, "
			"which reads format %d",
			(long long)version, resource_text(line, "software"), VPC_VERSION,
			BACKUP_VERSION);
	upload->revision = resource_integer(line, "revision", 0);
	return true;
}

static bool take_end(struct upload *upload, const json_t *line, struct resource_error *error)
{
	const char *sum = resource_text(line, "sha256");
	char ours[DIGEST_TEXT] = "";

	digest_end(upload->digest, ours);
	upload->ended = true;
	if (resource_integer(line, "lines", 0) != (json_int_t)upload->lines || sum == NULL ||
		strcmp(sum, ours) != 0)
		return resource_fail(
			error, "/lines", "the backup is damaged: it is not what its checksum says");
	return true;
}

static bool take_object(struct upload *upload, const json_t *line, struct resource_error *error)
{
	const char *kind = resource_text(line, "kind");
	json_t *object = json_object_get(line, "object");

	if (kind_find(kind) == NULL)
		return resource_fail(error, "/lines",
			"the backup has objects of kind `%s`, which this version does not know",
			kind != NULL ? kind : "");
	if (!json_is_object(object))
		return fail_line(error, upload, "is damaged");
	json_array_append_new(upload->objects, json_pack("[s, O]", kind, object));
	return true;
}

static bool take_record(
	struct upload *upload, const char *text, const json_t *line, struct resource_error *error)
{
	const char *record = resource_text(line, "record");

	if ((upload->lines == 1) != (record != NULL && strcmp(record, "header") == 0))
		return upload->lines == 1 ? resource_fail(error, "/lines", "is no backup of vpcctl")
					  : fail_line(error, upload, "is damaged");
	if (record == NULL || upload->ended)
		return fail_line(error, upload, "is damaged");
	if (strcmp(record, "end") == 0)
		return take_end(upload, line, error);
	digest_line(upload->digest, text);
	if (strcmp(record, "header") == 0)
		return take_header(upload, line, error);
	if (strcmp(record, "object") == 0)
		return take_object(upload, line, error);
	if (strcmp(record, "usage") == 0)
		json_array_append(upload->usage, (json_t *)line);
	else if (strcmp(record, "event") == 0)
		json_array_append(upload->events, json_object_get(line, "event"));
	else
		return fail_line(error, upload, "is of a kind that this version does not know");
	return true;
}

static bool take_lines(struct upload *upload, const json_t *lines, struct resource_error *error)
{
	json_t *text;
	size_t i;

	json_array_foreach ((json_t *)lines, i, text) {
		json_t *line =
			json_loadb(json_string_value(text), json_string_length(text), 0, NULL);
		bool ok;

		upload->lines++;
		ok = json_is_object(line)
			     ? take_record(upload, json_string_value(text), line, error)
		     : upload->lines == 1 ? resource_fail(error, "/lines", "is no backup of vpcctl")
					  : fail_line(error, upload, "is damaged");
		json_decref(line);
		if (!ok)
			return false;
	}
	return true;
}

/* ---- The transaction ---- */

/* What the configuration says of its nodes is nothing that a backup changes. */
static bool is_configured(const struct controller *c, const struct kind *kind, const char *name)
{
	json_t *node;
	size_t i;

	if (strcmp(kind->name, "node") != 0)
		return false;
	json_array_foreach (c->config->nodes, i, node)
		if (strcmp(resource_text(node, "name"), name) == 0)
			return true;
	return false;
}

/* Of what only the server writes, the parts that are stored: whether a peering was accepted. */
static void keep_stored(const struct kind *kind, const json_t *saved, json_t *object)
{
	json_t *status = json_object_get(saved, "status");

	if (status != NULL && field_find(kind->fields, "status") != NULL)
		json_object_set(object, "status", status);
}

static bool same_status(const json_t *a, const json_t *b)
{
	const json_t *x = json_object_get(a, "status"), *y = json_object_get(b, "status");

	return x == y || json_equal(x, y);
}

struct gather {
	struct controller *c;
	struct txn *txn;
	struct strmap named; /* "kind\x1fname" → the key */
	size_t unchanged;
};

static bool take_known(struct gather *g, struct object *known, json_t *object, size_t index,
	struct resource_error *error)
{
	if (!resource_check_immutable(known->kind, known->json, object, error))
		return false;
	resource_keep_automatic(known->kind, known->json, object);
	if (resource_equal(known->kind, known->json, object) && same_status(known->json, object))
		g->unchanged++;
	else
		txn_update(g->txn, known, json_incref(object), index);
	return true;
}

static bool gather_object(struct gather *g, const struct kind *kind, const json_t *saved,
	size_t index, struct resource_error *error)
{
	struct object *known;
	json_t *object;
	bool ok = true;
	char *key;

	if (!resource_validate(kind, RESOURCE_APPLY, saved, &object, error))
		return false;
	keep_stored(kind, saved, object);
	known = model_find(&g->c->model, kind, resource_text(object, "name"));
	key = mem_printf("%s\x1f%s", kind->name, resource_text(object, "name"));
	if (strmap_get(&g->named, key) != NULL) {
		ok = resource_fail(error, "", "it is there twice");
		free(key);
	} else {
		strmap_put(&g->named, key, key);
		if (is_configured(g->c, kind, resource_text(object, "name")) && known != NULL)
			g->unchanged++;
		else if (known != NULL)
			ok = take_known(g, known, object, index, error);
		else
			txn_create(g->txn, kind, json_incref(object), index);
	}
	json_decref(object);
	return ok;
}

static void prune(struct gather *g)
{
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		if (kind->flags & KIND_SERVER_MADE)
			continue;
		MODEL_FOREACH(&g->c->model, kind, object)
		{
			char *key = mem_printf("%s\x1f%s", kind->name, object->name);

			if (strmap_get(&g->named, key) == NULL &&
				!is_configured(g->c, kind, object->name))
				txn_delete(g->txn, object, 0);
			free(key);
		}
	}
}

static bool gather(struct gather *g, const struct upload *upload, bool with_prune,
	struct resource_error *error)
{
	json_t *entry;
	size_t i;
	bool ok = true;

	json_array_foreach (upload->objects, i, entry) {
		const char *kind = json_string_value(json_array_get(entry, 0));
		const json_t *saved = json_array_get(entry, 1);

		ok = gather_object(g, kind_find(kind), saved, i, error);
		if (!ok) {
			const char *name = resource_text(saved, "name");

			resource_error_prefix(error, "/%s/%s", kind, name != NULL ? name : "");
			break;
		}
	}
	if (ok && with_prune)
		prune(g);
	STRMAP_FOREACH(&g->named, slot)
	free(slot->value);
	strmap_fini(&g->named);
	return ok;
}

static json_t *result_of(const struct txn *txn, size_t unchanged)
{
	json_t *changes = mem_json(json_array());
	json_int_t counts[3] = {0};

	for (size_t i = 0; i < txn->count; i++) {
		const struct change *ch = &txn->changes[i];

		if (counts[0] + counts[1] + counts[2] < CHANGES_SHOWN)
			json_array_append_new(changes,
				json_pack("{s:s, s:s, s:s, s:o}", "op", change_op_name(ch->op),
					"kind", ch->object->kind->name, "name", ch->object->name,
					"diff",
					ch->op == CHANGE_UPDATE
						? resource_diff(ch->object->kind, ch->old, ch->new)
						: json_object()));
		counts[ch->op]++;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "created", counts[CHANGE_CREATE], "updated",
		counts[CHANGE_UPDATE], "deleted", counts[CHANGE_DELETE], "unchanged",
		(json_int_t)unchanged, "changes", changes);
}

/* ---- The call ---- */

struct restoring {
	struct api_call *call;
	json_t *usage, *events;
};

/* The network is stored: its history is made whole, and joins this turn's next commit. */
static void stored(int rc, const struct txn *txn, void *arg)
{
	struct restoring *r = arg;

	if (rc == 0) {
		usage_merge(r->call->c->usage, r->usage);
		events_merge(r->call->c->events, r->events);
	}
	api_stored(rc, txn, r->call);
	json_decref(r->usage);
	json_decref(r->events);
	free(r);
}

static void make_so(struct api_call *call, struct upload *upload, struct gather *g)
{
	struct model *model = &call->c->model;
	uint64_t revision = model->revision;
	struct txn_error error = {0};
	struct restoring *r;

	/* Who has seen revisions of the network that was lost sees them go on. */
	if (model->revision < (uint64_t)upload->revision)
		model->revision = (uint64_t)upload->revision;
	if (!txn_run(g->txn, &error)) {
		model->revision = revision;
		api_fail_error(call, &error);
		return;
	}
	call->result = result_of(g->txn, g->unchanged);
	if (resource_boolean(call->params, "dry_run", false)) {
		txn_undo(g->txn);
		model->revision = revision;
		api_reply(call, json_incref(call->result));
		return;
	}
	r = mem_calloc(1, sizeof(*r));
	*r = (struct restoring){call, json_incref(upload->usage), json_incref(upload->events)};
	commit_submit(call->c, g->txn, stored, r);
}

static void finish(struct api_call *call, struct upload *upload)
{
	struct txn_error error = {0};
	struct txn txn;
	struct gather g = {.c = call->c, .txn = &txn};

	if (!upload->ended) {
		resource_fail(&error.base, "/lines", "the backup is cut off: its end is missing");
		api_fail_error(call, &error);
		return;
	}
	txn_init(&txn, &call->c->model);
	if (gather(&g, upload, resource_boolean(call->params, "prune", false), &error.base)) {
		make_so(call, upload, &g);
		return;
	}
	txn_discard(&txn);
	api_fail_error(call, &error);
}

void api_restore(struct api_call *call)
{
	const struct timeval delay = {.tv_sec = KEEP_S};
	const char *token = resource_text(call->params, "upload");
	struct upload *upload = *backups_upload(call->c);
	bool commit = resource_boolean(call->params, "commit", false), ok;
	struct txn_error error = {0};

	if (token != NULL && (upload == NULL || strcmp(token, upload->token) != 0)) {
		resource_fail(&error.base, "/upload",
			"it is not there any more: begin again, without upload");
		api_fail_error(call, &error);
		return;
	}
	if (token == NULL) {
		upload_free(upload);
		upload = upload_new(call->c);
	}
	evtimer_add(upload->timer, &delay);
	ok = take_lines(upload, json_object_get(call->params, "lines"), &error.base);
	json_object_del(call->params, "lines"); /* the audit log needs the call, not the network */
	if (!ok)
		api_fail_error(call, &error);
	else if (commit)
		finish(call, upload);
	else
		api_reply(call, json_pack("{s:s}", "upload", upload->token));
	if (!ok || commit)
		upload_free(upload);
}
