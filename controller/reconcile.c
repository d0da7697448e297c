/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing: what does the node have? */
#include "reconcile.h"

#include "controller.h"
#include "lib/log.h"
#include "mem.h"
#include "move.h"
#include "push.h"
#include "wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_A_PAGE 10000
#define CALL_TIMEOUT_MS 10000

static void ask_keys(struct node *node, json_t *buckets, const char *cursor);

struct key_page {
	struct node *node;
	json_t *buckets;
};

static void synced(struct node *node)
{
	/* The queue follows `known`, which has just been learnt. */
	wanted_settle_all(node);
	node->state = NODE_SYNCED;
	log_info("node compared", LOG_STR("node", node->name),
		LOG_UINT("items", node->wanted_count));
	push_start(node);
	move_look(node->c);
}

/* [kind, key columns..., "hash"] */
static void learn_key(struct node *node, const json_t *entry)
{
	const char *hash = json_string_value(json_array_get(entry, json_array_size(entry) - 1));
	char *key = sb_item_key(entry);

	if (key != NULL && hash != NULL)
		item_set_known(wanted_get(node, key), true, strtoull(hash, NULL, 16));
	free(key);
}

static void on_keys(const struct jsonrpc_outcome *outcome, void *arg)
{
	struct key_page *page = arg;
	struct node *node = page->node;
	const char *cursor;
	json_t *entry;
	size_t i;

	if (outcome->status == -ECANCELED || outcome->status == -ECONNRESET) {
		json_decref(page->buckets);
		free(page);
		return;
	}
	if (outcome->status < 0) {
		node_link_fail(node, "state.keys: %s", outcome->message);
		json_decref(page->buckets);
		free(page);
		return;
	}
	json_array_foreach (json_object_get(outcome->result, "items"), i, entry)
		learn_key(node, entry);
	cursor = json_string_value(json_object_get(outcome->result, "cursor"));
	if (cursor != NULL)
		ask_keys(node, page->buckets, cursor);
	else
		synced(node);
	json_decref(page->buckets);
	free(page);
}

static void ask_keys(struct node *node, json_t *buckets, const char *cursor)
{
	struct key_page *page = mem_calloc(1, sizeof(*page));
	json_t *params = json_pack("{s:O, s:i}", "buckets", buckets, "limit", KEYS_A_PAGE);

	if (cursor != NULL)
		json_object_set_new(params, "cursor", json_string(cursor));
	*page = (struct key_page){.node = node, .buckets = json_incref(buckets)};
	if (jsonrpc_client_call(
		    node->client, "state.keys", params, CALL_TIMEOUT_MS, on_keys, page) != 0)
		return;
	json_decref(page->buckets);
	free(page);
}

void reconcile_begin(struct node *node)
{
	const json_t *digest = json_object_get(node->hello, "digest");
	json_t *buckets = mem_json(json_array());
	bool differs[SB_BUCKETS];

	for (size_t b = 0; b < SB_BUCKETS; b++) {
		const char *theirs = json_string_value(json_array_get(digest, b));

		differs[b] = theirs == NULL || strtoull(theirs, NULL, 16) != node->digest[b];
		if (differs[b])
			json_array_append_new(buckets, json_integer((json_int_t)b));
	}
	STRMAP_FOREACH(&node->items, slot)
	{
		struct item *item = slot->value;

		item_set_known(
			item, item->wanted != NULL && !differs[sb_bucket(item->key)], item->hash);
	}
	node->state = NODE_COMPARING;
	if (json_array_size(buckets) > 0) {
		node->applied = 0; /* it may have come back without anything */
		ask_keys(node, buckets, NULL);
	} else {
		synced(node);
	}
	json_decref(buckets);
}

void reconcile_end(struct node *node)
{
	push_stop(node);
}

void reconcile_push(struct node *node)
{
	if (node->state == NODE_SYNCED)
		push_start(node);
}

bool reconcile_is_settled(const struct node *node)
{
	return node->applied >= node->desired;
}

const char *reconcile_rejection(const struct node *node, const char *kind, const char *name)
{
	const struct item *item = wanted_of(node, kind, name);

	return item != NULL ? item->rejected : NULL;
}
