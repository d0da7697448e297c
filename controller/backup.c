/* SPDX-License-Identifier: Apache-2.0 */
#include "backup.h"

#include "api.h"
#include "commit.h"
#include "events.h"
#include "mem.h"
#include "usage.h"

#include <event2/event.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES ((size_t)1 << 20)
#define SNAPSHOTS 4
#define KEEP_S 60

/* Objects are never changed, only replaced: a snapshot of them is a list of references. */
struct record {
	const struct kind *kind;
	json_t *json;
};

struct snapshot {
	struct backups *of;
	uint64_t token; /* 0: free */
	struct record *records;
	size_t count, room;
	json_t *others; /* records as they will be written */
	json_t *header;
	size_t next; /* line */
	struct digest *digest;
	struct event *timer;
};

struct backups {
	struct controller *c;
	struct snapshot snapshots[SNAPSHOTS];
	uint64_t last_token;
	struct upload *upload;
};

/* ---- Digest ---- */

struct digest {
	EVP_MD_CTX *ctx;
};

struct digest *digest_new(void)
{
	struct digest *digest = mem_calloc(1, sizeof(*digest));

	digest->ctx = EVP_MD_CTX_new();
	if (digest->ctx == NULL || EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1)
		abort();
	return digest;
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->ctx);
	free(digest);
}

void digest_line(struct digest *digest, const char *line)
{
	EVP_DigestUpdate(digest->ctx, line, strlen(line));
	EVP_DigestUpdate(digest->ctx, "\n", 1);
}

void digest_end(struct digest *digest, char *text)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	EVP_DigestFinal_ex(digest->ctx, bytes, &size);
	for (unsigned i = 0; i < size && 2 * i + 2 < DIGEST_TEXT; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- Snapshots ---- */

static void snapshot_end(struct snapshot *s)
{
	for (size_t i = 0; i < s->count; i++)
		json_decref(s->records[i].json);
	free(s->records);
	json_decref(s->others);
	json_decref(s->header);
	digest_free(s->digest);
	if (s->timer != NULL)
		event_free(s->timer);
	mem_trim(s->count);
	*s = (struct snapshot){.of = s->of};
}

static void on_forgotten(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	snapshot_end(arg);
}

static void keep(struct snapshot *s)
{
	const struct timeval delay = {.tv_sec = KEEP_S};

	evtimer_add(s->timer, &delay);
}

static void add_objects(struct snapshot *s, const struct model *model)
{
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		if (kind->flags & KIND_SERVER_MADE)
			continue;
		MODEL_FOREACH(model, kind, object)
		{
			MEM_GROW(s->records, s->count, s->room);
			s->records[s->count++] = (struct record){kind, json_incref(object->json)};
		}
	}
}

static void snapshot_begin(struct snapshot *s)
{
	struct controller *c = s->of->c;
	char time[NOW_TEXT];

	commit_now(c); /* what is in the model is on the disk */
	s->token = ++s->of->last_token;
	s->header = json_pack("{s:s, s:s, s:i, s:s, s:s, s:I}", "record", "header", "format",
		BACKUP_FORMAT, "version", BACKUP_VERSION, "software", VPC_VERSION, "time",
		now_text(time), "revision", (json_int_t)c->published);
	add_objects(s, &c->model);
	s->others = mem_json(json_array());
	usage_backup(c->usage, s->others);
	events_backup(c->events, s->others);
	s->digest = digest_new();
	s->timer = evtimer_new(c->base, on_forgotten, s);
}

static size_t line_count(const struct snapshot *s)
{
	return 2 + s->count + json_array_size(s->others);
}

static char *end_line(struct snapshot *s)
{
	char sum[DIGEST_TEXT];

	digest_end(s->digest, sum);
	return mem_printf(
		"{\"record\":\"end\",\"lines\":%zu,\"sha256\":\"%s\"}", line_count(s), sum);
}

static char *next_line(struct snapshot *s)
{
	size_t n = s->next++;
	json_t *line;
	char *text;

	if (n == line_count(s) - 1)
		return end_line(s);
	if (n == 0)
		line = json_incref(s->header);
	else if (n <= s->count)
		line = json_pack("{s:s, s:s, s:O}", "record", "object", "kind",
			s->records[n - 1].kind->name, "object", s->records[n - 1].json);
	else
		line = json_incref(json_array_get(s->others, n - 1 - s->count));
	text = json_dumps(line, JSON_COMPACT);
	json_decref(line);
	if (text == NULL)
		abort();
	digest_line(s->digest, text);
	return text;
}

static json_t *page(struct snapshot *s)
{
	json_t *lines = mem_json(json_array()), *cursor = json_null();
	size_t bytes = 0;

	while (s->next < line_count(s) && bytes < PAGE_BYTES) {
		char *line = next_line(s);

		bytes += strlen(line);
		json_array_append_new(lines, json_string(line));
		free(line);
	}
	if (s->next < line_count(s)) {
		char text[48];

		snprintf(text, sizeof(text), "%" PRIu64 ":%zu", s->token, s->next);
		cursor = json_string(text);
		keep(s);
	} else {
		snapshot_end(s);
	}
	return json_pack("{s:o, s:o}", "lines", lines, "cursor", cursor);
}

static struct snapshot *snapshot_of(struct backups *backups, const char *cursor)
{
	char *end;
	uint64_t token = cursor != NULL ? strtoull(cursor, &end, 10) : 0;

	for (size_t i = 0; i < SNAPSHOTS; i++) {
		struct snapshot *s = &backups->snapshots[i];

		if (s->token != token)
			continue;
		if (cursor == NULL || (*end == ':' && strtoull(end + 1, NULL, 10) == s->next))
			return s;
	}
	return NULL;
}

void api_backup(struct api_call *call)
{
	const char *cursor = resource_text(call->params, "cursor");
	struct snapshot *s = snapshot_of(call->c->backups, cursor);

	if (s == NULL && cursor == NULL) {
		api_fail(call, ERROR_UNAVAILABLE, NULL,
			"%d backups are being read already; one that is not read further is "
			"forgotten after %d s",
			SNAPSHOTS, KEEP_S);
		return;
	}
	if (s == NULL) {
		struct txn_error error = {0};

		resource_fail(&error.base, "/cursor",
			"that backup is not there any more: begin again, without cursor");
		api_fail_error(call, &error);
		return;
	}
	if (cursor == NULL)
		snapshot_begin(s);
	api_reply(call, page(s));
}

/* ---- Start and stop ---- */

struct backups *backups_new(struct controller *c)
{
	struct backups *backups = mem_calloc(1, sizeof(*backups));

	backups->c = c;
	for (size_t i = 0; i < SNAPSHOTS; i++)
		backups->snapshots[i].of = backups;
	return backups;
}

void backups_free(struct backups *backups)
{
	if (backups == NULL)
		return;
	for (size_t i = 0; i < SNAPSHOTS; i++)
		snapshot_end(&backups->snapshots[i]);
	upload_free(backups->upload);
	free(backups);
}

struct upload **backups_upload(struct controller *c)
{
	return &c->backups->upload;
}
