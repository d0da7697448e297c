/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `inspection` and `indicator_list`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/rpc.h"
#include "inspect/inspect_internal.h"
#include "vpc/item.h"

struct inspection *inspections;
json_t *inspect_indicators;

static bool dirty;
static uint64_t networks_told; /* vpc_networks_changed */

/* ---- inspection ---- */

enum { I_NAME = 1, I_VNI, I_DETECTORS, I_LISTS, I_FIRST, I_SAMPLE, I_SNAPLEN };

struct change {
	char name[PORT_NAME_MAX];
	uint32_t vni;
	struct inspection *new; /* NULL: deletion */
};

static void inspection_free(struct inspection *i)
{
	if (i == NULL)
		return;
	json_decref(i->detectors);
	json_decref(i->lists);
	free(i);
}

static void undo(void *staged)
{
	struct change *c = staged;

	inspection_free(c->new);
	free(c);
}

static int check_detectors(const json_t *detectors, struct state_error *err)
{
	const char *type;
	json_t *d;

	json_object_foreach ((json_t *)detectors, type, d)
		if (!json_is_integer(json_object_get(d, "threshold")) ||
			!json_is_integer(json_object_get(d, "window_s")))
			return state_fail(
				err, -EINVAL, "detector %s needs threshold and window_s", type);
		else if (json_object_get(d, "learn_s") != NULL &&
			 !json_is_integer(json_object_get(d, "learn_s")))
			return state_fail(err, -EINVAL, "detector %s: learn_s is a number", type);
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *key = item != NULL ? item : old;
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	c->vni = (uint32_t)item_uint(key, I_VNI);
	rc = item_name(key, I_NAME, c->name, err);
	if (rc == 0 && item != NULL)
		rc = check_detectors(json_array_get(item, I_DETECTORS), err);
	if (rc == 0 && item != NULL) {
		c->new = calloc(1, sizeof(*c->new));
		rc = c->new != NULL ? 0 : item_no_memory(err);
	}
	if (rc != 0) {
		undo(c);
		return rc;
	}
	if (item != NULL) {
		*c->new = (struct inspection){.vni = c->vni,
			.first_packets = (uint32_t)item_uint(item, I_FIRST),
			.sample = (uint32_t)item_uint(item, I_SAMPLE),
			.snaplen = (uint32_t)item_uint(item, I_SNAPLEN),
			.detectors = json_incref(json_array_get(item, I_DETECTORS)),
			.lists = json_incref(json_array_get(item, I_LISTS))};
		memcpy(c->new->name, c->name, sizeof(c->name));
	}
	*staged = c;
	return 0;
}

static void commit(void *staged)
{
	struct change *c = staged;
	struct inspection **link = &inspections, *old;

	while (*link != NULL && ((*link)->vni != c->vni || strcmp((*link)->name, c->name) != 0))
		link = &(*link)->next;
	old = *link;
	if (c->new != NULL) {
		c->new->next = old != NULL ? old->next : NULL;
		*link = c->new;
	} else if (old != NULL) {
		*link = old->next;
	}
	inspection_free(old);
	free(c);
	dirty = true;
}

STATE_KIND(inspection_kind, .name = "inspection", .order = 95, .prepare = prepare, .commit = commit,
	.abort = undo)

/* ---- indicator_list ---- */

struct list_change {
	char name[PORT_NAME_MAX];
	json_t *entries; /* NULL: deletion */
};

static void list_undo(void *staged)
{
	struct list_change *c = staged;

	json_decref(c->entries);
	free(c);
}

static int list_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct list_change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, 1, c->name, err);
	if (rc != 0) {
		free(c);
		return rc;
	}
	c->entries = item != NULL ? json_incref(json_array_get(item, 2)) : NULL;
	*staged = c;
	return 0;
}

static void list_commit(void *staged)
{
	struct list_change *c = staged;

	if (inspect_indicators == NULL)
		inspect_indicators = json_object();
	if (c->entries != NULL)
		json_object_set(inspect_indicators, c->name, c->entries);
	else
		json_object_del(inspect_indicators, c->name);
	list_undo(c);
	dirty = true;
}

STATE_KIND(list_kind, .name = "indicator_list", .order = 94, .prepare = list_prepare,
	.commit = list_commit, .abort = list_undo)

/* ---- What workers read ---- */

static uint64_t words[VPC_INDEX_MAX];
static uint32_t first, sample, snaplen;

static void add_up(void)
{
	memset(words, 0, sizeof(words));
	first = 0;
	sample = UINT32_MAX;
	snaplen = 64;
	for (const struct inspection *i = inspections; i != NULL; i = i->next) {
		const struct vpc *vpc = vpc_by_vni(i->vni);
		uint64_t *word;

		if (vpc == NULL)
			continue;
		word = &words[vpc->index];
		*word = (uint64_t)i->vni << 32 | (*word & INSPECT_SAMPLED_BIT) |
			(i->sample != 0 ? INSPECT_SAMPLED_BIT : 0) |
			RTE_MAX(INSPECT_PACKETS(*word), i->first_packets);
		first = RTE_MAX(first, i->first_packets);
		snaplen = RTE_MAX(snaplen, i->snaplen);
		if (i->sample != 0)
			sample = RTE_MIN(sample, i->sample);
	}
	snaplen = RTE_MIN(snaplen, INSPECT_SNAP_MAX);
}

/* Flows of a VPC that comes under inspection, or out of it, are asked again, and marked. */
static void publish(void)
{
	__atomic_store_n(&inspect_sample, sample, __ATOMIC_RELAXED);
	atomic_store(&inspect_snaplen, snaplen);
	__atomic_store_n(&inspect_first, first, __ATOMIC_RELAXED);
	__atomic_store_n(&inspect_any, first != 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < VPC_INDEX_MAX; i++) {
		uint64_t old = atomic_load_explicit(&inspect_vpcs[i], memory_order_relaxed);
		const struct vpc *vpc;

		if (old == words[i])
			continue;
		atomic_store_explicit(&inspect_vpcs[i], words[i], memory_order_release);
		vpc = vpc_get(i);
		if (vpc != NULL && (old == 0) != (words[i] == 0))
			epoch_bump(vpc->epoch);
	}
}

/* The first transaction is one even if it says nothing: until then vpc-inspectd goes on with what it was told before. */
static bool is_news(void)
{
	bool news = dirty || networks_told == 0 ||
		    (inspections != NULL && networks_told != vpc_networks_changed);

	dirty = false;
	networks_told = vpc_networks_changed;
	return news;
}

static void after_commit(void)
{
	if (!is_news())
		return;
	add_up();
	if (first == 0)
		inspect_feed_stop();
	else if (inspect_tap_open() == 0 && inspect_feed_start() != 0)
		rpc_event("error", "node", node_config.node, "inspect_feed",
			"too many look at packets: nothing is inspected");
	publish();
	inspect_rpc_changed();
}

STATE_HOOK(inspect_hook, .order = 95, .after_commit = after_commit)
