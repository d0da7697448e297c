/* SPDX-License-Identifier: Apache-2.0 */
#include "push.h"

#include "controller.h"
#include "events.h"
#include "lib/errors.h"
#include "lib/log.h"
#include "mem.h"
#include "move.h"
#include "wait.h"
#include "wanted.h"
#include "wave.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000
#define CHUNK_BYTES (1u << 20) /* about; a node takes no message of more than 64 MiB */
#define CALL_TIMEOUT_MS 30000
#define AGAIN_MIN_S 5
#define AGAIN_MAX_S 300

/* What of an item is being sent. */
struct push_item {
	struct item *item;
	json_t *json; /* as wanted when sent; NULL: deletion */
	uint64_t hash;
};

struct push {
	struct push_item *items;
	size_t count;
	uint64_t revision;
	unsigned pending; /* calls not answered */
	bool whole;       /* nothing was left in the queue */
	bool broken;      /* one of them failed */
	char *bad_key;    /* the item to blame, if the node said */
	char reason[256];
};

static void push_free(struct push *push)
{
	for (size_t i = 0; i < push->count; i++)
		json_decref(push->items[i].json);
	free(push->items);
	free(push->bad_key);
	free(push);
}

/* ---- Trying again what was refused ---- */

static void try_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	wanted_settle_all(arg);
	push_start(arg);
}

static void again_after(struct node *node, unsigned seconds)
{
	const struct timeval delay = {.tv_sec = seconds};

	if (node->again == NULL)
		node->again = evtimer_new(node->c->base, try_again, node);
	node->again_s = seconds;
	evtimer_add(node->again, &delay);
}

/* As long as nothing gets better, less and less often. */
static void again_later(struct node *node)
{
	unsigned next = node->again_s == 0 ? AGAIN_MIN_S : node->again_s * 2;

	if (node->again == NULL || !evtimer_pending(node->again, NULL))
		again_after(node, next < AGAIN_MAX_S ? next : AGAIN_MAX_S);
}

/* Something went: there may be room now. */
static void again_soon(struct node *node)
{
	if (node->rejected_count > 0 && node->again_s > AGAIN_MIN_S)
		again_after(node, AGAIN_MIN_S);
}

/* ---- The outcome ---- */

static void land(struct node *node)
{
	struct push *push = node->push;
	bool something_went = false;

	node->push = NULL;
	for (size_t i = 0; i < push->count; i++) {
		struct item *item = push->items[i].item;

		item->in_flight = false;
		something_went |= push->items[i].json == NULL;
		item_set_known(item, push->items[i].json != NULL, push->items[i].hash);
		item_tell(item, NULL);
		item_settle(node, item);
	}
	if (something_went)
		again_soon(node);
	node->batch_limit = 0;
	if (push->whole)
		node->applied = push->revision > node->applied ? push->revision : node->applied;
	push_free(push);
	wait_look(node->c);
}

/* An item of a kind that users know: the object is to blame. */
static void report(struct node *node, struct item *item, const char *reason)
{
	const char *kind = item->source != NULL ? item->source->kind->name : NULL;
	const char *name = item->source != NULL ? item->source->name : item->key;

	/* Calls that wait for this change need not wait longer; those for others are not concerned. */
	if (item->revision > node->rejected_revision)
		node->rejected_revision = item->revision;
	snprintf(node->rejection, sizeof(node->rejection), "%s `%s`: %s",
		kind != NULL ? kind : "item", name, reason);
	if (item_tell(item, reason))
		events_add(node->c->events, EVENT_ERROR, node->name, kind,
			kind != NULL ? name : NULL, "rejected", reason);
}

static void reject(struct node *node, struct item *item, const char *reason, bool tell)
{
	if (tell)
		report(node, item, reason);
	item_reject(node, item, reason);
	again_later(node);
}

struct missing {
	const struct node *node;
	const char *name; /* of the item that is needed and not there */
	char key[640];
};

static bool is_there(const char *kind, const char *name, void *arg)
{
	struct missing *m = arg;
	const struct item *item;

	snprintf(m->key, sizeof(m->key), "%s\x1f%s", kind, name);
	item = wanted_find(m->node, m->key);
	return item == NULL || item->known || item->rejected == NULL;
}

/* What needs a refused item cannot go either: find that out here rather than from the node, one by one. */
static void reject_dependants(struct node *node, struct push *push)
{
	for (bool found = true; found;) {
		found = false;
		for (size_t i = 0; i < push->count; i++) {
			struct item *item = push->items[i].item;
			struct missing m = {.node = node};

			if (push->items[i].json == NULL || item->rejected != NULL ||
				item_refs(push->items[i].json, is_there, &m))
				continue;
			for (char *c = m.key; *c != '\0'; c++)
				if (*c == '\x1f')
					*c = ' ';
			snprintf(push->reason, sizeof(push->reason), "needs %.200s", m.key);
			reject(node, item, push->reason, false);
			found = true;
		}
	}
}

/* A group obeyed without some of its rules would let in what those deny: its parts go together or not at all. */
static void reject_list(struct node *node, struct push *push, const struct item *part)
{
	static const char prefix[] = "rules\x1f";

	if (strncmp(part->key, prefix, sizeof(prefix) - 1) != 0)
		return;
	snprintf(push->reason, sizeof(push->reason), "a part of the group was refused");
	for (size_t i = 0; i < push->count; i++) {
		struct item *item = push->items[i].item;

		if (item != part && push->items[i].json != NULL && item->rejected == NULL &&
			item->source == part->source)
			reject(node, item, push->reason, false);
	}
}

static void learn_from_failure(struct node *node, struct push *push)
{
	struct item *bad = push->count == 1 ? push->items[0].item : NULL;

	for (size_t i = 0; push->bad_key != NULL && i < push->count; i++)
		if (strcmp(push->items[i].item->key, push->bad_key) == 0)
			bad = push->items[i].item;
	if (bad == NULL) {
		/* The node did not say which: half of them may go, and the search goes on with it. */
		node->batch_limit = push->count / 2;
		return;
	}
	if (bad->wanted == NULL) {
		/* A deletion that is refused: it is not there, or will be asked for again. */
		log_warn("node refuses a deletion", LOG_STR("node", node->name),
			LOG_STR("reason", push->reason));
		item_set_known(bad, false, 0);
		return;
	}
	reject(node, bad, push->reason, true);
	reject_list(node, push, bad);
	reject_dependants(node, push);
}

static void crash(struct node *node)
{
	struct push *push = node->push;

	node->push = NULL;
	for (size_t i = 0; i < push->count; i++)
		push->items[i].item->in_flight = false;
	learn_from_failure(node, push);
	for (size_t i = 0; i < push->count; i++) {
		struct item *item = push->items[i].item;

		/* Behind what waits already would be out of order: sorting puts it right. */
		item_settle(node, item);
	}
	if (TAILQ_EMPTY(&node->queue))
		node->applied = push->revision > node->applied ? push->revision : node->applied;
	push_free(push);
	wait_look(node->c);
}

static void note_failure(struct push *push, const struct jsonrpc_outcome *outcome)
{
	json_t *item = json_object_get(outcome->data, "item");
	const char *reason = json_string_value(json_object_get(outcome->data, "reason"));

	if (push->broken)
		return;
	push->broken = true;
	snprintf(push->reason, sizeof(push->reason), "%s",
		reason != NULL ? reason : outcome->message);
	if (item != NULL)
		push->bad_key = sb_item_key(item);
}

static void on_answer(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct node *node = arg;
	struct push *push = node->push;

	if (push == NULL)
		return;
	push->pending--;
	if (outcome->status == -EREMOTEIO) {
		note_failure(push, outcome);
	} else if (outcome->status < 0) {
		if (outcome->status == -ETIMEDOUT)
			node_link_fail(node, "no answer to a transaction");
		return; /* the connection is going: push_stop() follows */
	}
	if (push->pending > 0)
		return;
	if (push->broken)
		crash(node);
	else
		land(node);
	push_start(node);
	wave_look(node->c);
	move_look(node->c);
}

/* ---- Sending ---- */

static bool call(struct node *node, const char *method, json_t *params, jsonrpc_outcome_fn done)
{
	return jsonrpc_client_call(node->client, method, params, CALL_TIMEOUT_MS, done, node) != 0;
}

static void send_call(struct node *node, const char *method, json_t *params)
{
	if (call(node, method, params, on_answer))
		node->push->pending++;
}

/* Puts in the order of kinds, then deletions in the opposite one. */
static int compare_items(const void *pa, const void *pb)
{
	const struct item *a = *(struct item *const *)pa, *b = *(struct item *const *)pb;
	bool da = a->wanted == NULL, db = b->wanted == NULL;

	if (da != db)
		return da ? 1 : -1;
	if (a->rank != b->rank)
		return (a->rank < b->rank) == !da ? -1 : 1;
	return strcmp(a->key, b->key);
}

static struct item **sorted_queue(struct node *node, size_t *count)
{
	struct item **list = NULL, *item;
	size_t n = 0, room = 0;

	TAILQ_FOREACH (item, &node->queue, link) {
		MEM_GROW(list, n, room);
		list[n++] = item;
	}
	qsort(list, n, sizeof(*list), compare_items);
	*count = n;
	return list;
}

static struct push *put_together(struct node *node)
{
	struct push *push = mem_calloc(1, sizeof(*push));
	size_t count;
	struct item **list = sorted_queue(node, &count);

	push->whole = node->batch_limit == 0 || count <= node->batch_limit;
	if (!push->whole)
		count = node->batch_limit;
	push->revision = node->desired;
	push->items = mem_calloc(count, sizeof(*push->items));
	push->count = count;
	for (size_t i = 0; i < count; i++) {
		struct item *item = list[i];

		push->items[i] = (struct push_item){
			.item = item, .json = json_incref(item->wanted), .hash = item->hash};
		item->in_flight = true;
		TAILQ_REMOVE(&node->queue, item, link);
		item->queued = false;
	}
	free(list);
	return push;
}

/* The key columns alone. */
static json_t *key_array(const char *key)
{
	char *copy = mem_strdup(key), *rest = copy, *part = strsep(&rest, "\x1f");
	const struct sb_kind *kind = sb_kind_find(part);
	json_t *array = json_pack("[s]", part);

	for (unsigned i = 0; (part = strsep(&rest, "\x1f")) != NULL; i++)
		json_array_append_new(array, kind->columns[i].type == SB_UINT
						     ? json_integer(strtoll(part, NULL, 10))
						     : json_string(part));
	free(copy);
	return array;
}

static void send_chunk(struct node *node, bool deletion, json_t *list)
{
	if (json_array_size(list) == 0) {
		json_decref(list);
		return;
	}
	send_call(node, deletion ? "state.del" : "state.put",
		json_pack("{s:O, s:o}", "transaction", node->transaction,
			deletion ? "keys" : "items", list));
}

/* About the bytes of its text. Objects in items are small. */
static size_t size_of(const json_t *value)
{
	json_t *entry;
	size_t size = 24, i;

	if (json_is_string(value))
		return json_string_length(value) + 4;
	json_array_foreach ((json_t *)value, i, entry)
		size += size_of(entry);
	return size;
}

static void send_all(struct node *node)
{
	struct push *push = node->push = put_together(node);
	json_t *list = mem_json(json_array());
	bool deletion = false;
	size_t bytes = 0;

	for (size_t i = 0; i < push->count; i++) {
		const struct push_item *p = &push->items[i];
		bool is_deletion = p->json == NULL;

		if (is_deletion != deletion || json_array_size(list) == CHUNK ||
			bytes >= CHUNK_BYTES) {
			send_chunk(node, deletion, list);
			list = mem_json(json_array());
			deletion = is_deletion;
			bytes = 0;
		}
		bytes += size_of(p->json);
		if (is_deletion)
			json_array_append_new(list, key_array(p->item->key));
		else
			json_array_append(list, p->json);
	}
	send_chunk(node, deletion, list);
	send_call(node, "state.commit",
		json_pack("{s:o, s:I}", "transaction", node->transaction, "revision",
			(json_int_t)push->revision));
	node->transaction = NULL;
}

static void on_begin(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct node *node = arg;

	node->beginning = false;
	if (outcome->status == 0) {
		node->transaction = json_incref(json_object_get(outcome->result, "transaction"));
		push_start(node);
	} else if (outcome->status == -EREMOTEIO || outcome->status == -ETIMEDOUT) {
		node_link_fail(node, "state.begin: %s", outcome->message);
	}
}

void push_start(struct node *node)
{
	if (node->state != NODE_SYNCED || node->push != NULL || node->held)
		return;
	if (TAILQ_EMPTY(&node->queue) && node->applied < node->desired) {
		/* All changes since cancelled out, or were there already. */
		node->applied = node->desired;
		wait_look(node->c);
	}
	if (node->transaction != NULL && !TAILQ_EMPTY(&node->queue))
		send_all(node);
	if (node->transaction == NULL && !node->beginning)
		node->beginning = call(node, "state.begin", mem_json(json_object()), on_begin);
}

void push_stop(struct node *node)
{
	struct push *push = node->push;

	node->push = NULL;
	node->beginning = false;
	node->held = false;
	node->batch_limit = 0;
	json_decref(node->transaction);
	node->transaction = NULL;
	if (node->again != NULL)
		evtimer_del(node->again);
	node->again_s = 0;
	if (push == NULL)
		return;
	for (size_t i = 0; i < push->count; i++) {
		push->items[i].item->in_flight = false;
		item_settle(node, push->items[i].item);
	}
	push_free(push);
}
