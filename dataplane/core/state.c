/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state_table.h"

#define KINDS_MAX 32u

enum phase { PHASE_OPEN, PHASE_REFS, PHASE_CHECK, PHASE_PREPARE, PHASE_COMMIT, PHASE_DONE };

struct tx_list {
	struct state_item **items;
	uint32_t n, room;
};

struct state_tx {
	struct state_table staged;
	struct tx_list lists[KINDS_MAX]; /* by the kind's rank */
	enum phase phase;
	/* Where the walk of this phase is: puts by ascending rank, then deletions by descending. */
	unsigned int step; /* 0 .. 2 * kinds - 1 */
	uint32_t at;
	/* Items whose count of referrers the commit changes. */
	struct tx_list touched;
	uint32_t changed;
};

static struct state_kind *kinds;
static unsigned int n_kinds;
static struct state_hook *hooks;

static struct state_table applied;
static uint32_t applied_of_kind[KINDS_MAX]; /* items, by the kind's rank */
static uint64_t applied_revision;
static const struct state_tx *committing;
static void (*journal_item)(const char *text, size_t size, bool deletion);
static void (*journal_end)(uint64_t revision);
static uint32_t commit_mark;

void state_kind_register(struct state_kind *kind)
{
	struct state_kind **at = &kinds;

	while (*at != NULL && (*at)->order <= kind->order)
		at = &(*at)->next;
	kind->next = *at;
	*at = kind;
	n_kinds = 0;
	for (struct state_kind *k = kinds; k != NULL; k = k->next)
		k->rank = n_kinds++;
}

void state_hook_register(struct state_hook *hook)
{
	struct state_hook **at = &hooks;

	while (*at != NULL && (*at)->order <= hook->order)
		at = &(*at)->next;
	hook->next = *at;
	*at = hook;
}

void state_journal_set(
	void (*item)(const char *text, size_t size, bool deletion), void (*end)(uint64_t revision))
{
	journal_item = item;
	journal_end = end;
}

int state_fail(struct state_error *err, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof(err->reason), fmt, ap);
	va_end(ap);
	return error;
}

static int no_memory(struct state_error *err)
{
	err->exhausted = true;
	return state_fail(err, -ENOMEM, "out of memory");
}

static struct state_kind *kind_find(const char *name)
{
	for (struct state_kind *k = kinds; k != NULL; k = k->next)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static json_t *item_json(const struct state_item *i)
{
	return json_loadb(i->text, i->size, 0, NULL);
}

/* Makes room for one more. */
static int list_reserve(struct tx_list *list)
{
	uint32_t room = list->room != 0 ? 2 * list->room : 16;
	struct state_item **items;

	if (list->n < list->room)
		return 0;
	items = realloc(list->items, room * sizeof(struct state_item *));
	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	return 0;
}

/*
 * Staging.
 */

struct state_tx *state_begin(void)
{
	return calloc(1, sizeof(struct state_tx));
}

static void unprepare(struct state_item *i)
{
	if (i->is_prepared && i->kind->abort != NULL)
		i->kind->abort(i->prepared);
	i->is_prepared = false;
}

/* Files the item in the transaction, in place of an earlier one of its key. */
static int stage(struct state_tx *tx, struct state_item *item)
{
	struct tx_list *list = &tx->lists[item->kind->rank];
	struct state_item *earlier;

	if (state_table_reserve(&tx->staged, item->key_hash) != 0 || list_reserve(list) != 0)
		return -ENOMEM;
	earlier = state_table_insert(&tx->staged, item);
	item->pos = earlier != NULL ? earlier->pos : list->n++;
	list->items[item->pos] = item;
	if (earlier != NULL) {
		unprepare(earlier);
		free(earlier);
	}
	return 0;
}

static int stage_json(
	struct state_tx *tx, const json_t *json, bool deletion, struct state_error *err)
{
	char key[SB_KEY_MAX];
	size_t key_size;
	struct state_kind *kind;
	struct state_item *item;
	int rc;

	*err = (struct state_error){0};
	rc = sb_item_check(json, deletion, err->reason, sizeof(err->reason));
	if (rc != 0)
		return rc;
	kind = kind_find(json_string_value(json_array_get(json, 0)));
	if (kind == NULL || kind->rank >= KINDS_MAX)
		return state_fail(err, -EINVAL, "this node does not know items of that kind");
	key_size = sb_item_key_write(json, key, sizeof(key));
	if (key_size == 0)
		return state_fail(err, -EINVAL, "the key is too long");
	item = state_item_new(json, sb_key_hash(key, key_size), deletion);
	if (item == NULL)
		return no_memory(err);
	item->kind = kind;
	if (kind->eager && !deletion) {
		rc = kind->prepare(json, NULL, &item->prepared, err);
		item->is_prepared = rc == 0;
	}
	if (rc == 0 && stage(tx, item) != 0)
		rc = no_memory(err);
	if (rc != 0) {
		unprepare(item);
		free(item);
	}
	return rc;
}

static int stage_or_name(
	struct state_tx *tx, const json_t *json, bool deletion, struct state_error *err)
{
	int rc = tx->phase == PHASE_OPEN ? stage_json(tx, json, deletion, err)
					 : state_fail(err, -EBUSY, "the transaction is committing");

	if (rc != 0)
		err->item = json_incref((json_t *)json);
	return rc;
}

int state_put(struct state_tx *tx, const json_t *item, struct state_error *err)
{
	return stage_or_name(tx, item, false, err);
}

int state_del(struct state_tx *tx, const json_t *key, struct state_error *err)
{
	return stage_or_name(tx, key, true, err);
}

static void tx_free(struct state_tx *tx)
{
	if (committing == tx)
		committing = NULL;
	for (unsigned int r = 0; r < KINDS_MAX; r++)
		free(tx->lists[r].items);
	free(tx->touched.items);
	state_table_clear(&tx->staged, false);
	free(tx);
}

void state_abort(struct state_tx *tx)
{
	for (unsigned int r = 0; r < KINDS_MAX; r++) {
		for (uint32_t n = 0; n < tx->lists[r].n; n++) {
			struct state_item *i = tx->lists[r].items[n];

			if (i != NULL) /* else it is applied */
				unprepare(i);
			free(i);
		}
	}
	tx_free(tx);
}

/*
 * References.
 */

static int name_ref(void *arg, const char *kind, const json_t *value, uint64_t hash)
{
	struct {
		uint64_t hash;
		struct state_error *err;
	} *missing = arg;
	char text[128];

	if (hash != missing->hash)
		return 0;
	if (json_is_string(value))
		snprintf(text, sizeof(text), "`%s`", json_string_value(value));
	else
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return state_fail(
		missing->err, -EINVAL, "it refers to %s %s, which is not there", kind, text);
}

static int missing_ref(const struct state_item *i, uint64_t hash, struct state_error *err)
{
	struct {
		uint64_t hash;
		struct state_error *err;
	} missing = {hash, err};
	json_t *json = item_json(i);

	if (json == NULL)
		return no_memory(err);
	state_each_ref(json, sb_kind_find(i->kind->name), name_ref, &missing);
	json_decref(json);
	return -EINVAL;
}

static int count_refs(
	struct state_tx *tx, const struct state_item *i, int delta, struct state_error *err)
{
	for (unsigned int r = 0; r < i->n_refs; r++) {
		uint64_t hash = i->ref_hashes[r];
		struct state_item *now = state_table_find_hash(&applied, hash);
		struct state_item *then = state_table_find_hash(&tx->staged, hash);

		if (delta > 0 && (then != NULL ? then->deletion : now == NULL))
			return missing_ref(i, hash, err);
		if (now == NULL)
			now = then;
		if (now->mark != commit_mark) {
			if (list_reserve(&tx->touched) != 0)
				return no_memory(err);
			tx->touched.items[tx->touched.n++] = now;
			now->mark = commit_mark;
			now->delta = 0;
		}
		now->delta += delta;
	}
	return 0;
}

static int phase_refs(struct state_tx *tx, struct state_item *i, struct state_error *err)
{
	int rc = 0;

	i->old = state_table_find(&applied, i->key_hash, i->text, i->key_size);
	i->skip = i->deletion ? i->old == NULL : i->old != NULL && i->old->hash == i->hash;
	if (i->skip)
		return 0;
	if (i->old != NULL)
		rc = count_refs(tx, i->old, -1, err);
	if (rc == 0 && !i->deletion)
		rc = count_refs(tx, i, 1, err);
	return rc;
}

static bool refers(const struct state_item *i, uint64_t hash)
{
	for (unsigned int r = 0; r < i->n_refs; r++)
		if (i->ref_hashes[r] == hash)
			return true;
	return false;
}

/* An item that will still refer to `target`; off the usual way, so a search through everything. */
static const struct state_item *find_referrer(
	const struct state_tx *tx, const struct state_item *target)
{
	for (unsigned int b = 0; b < 2 * SB_BUCKETS; b++) {
		const struct state_table *t = b < SB_BUCKETS ? &tx->staged : &applied;

		for (struct state_item *i = state_table_seek(t, b % SB_BUCKETS, 0); i != NULL;
			i = state_table_next(t, i)) {
			bool replaced = t == &applied && state_table_find(&tx->staged, i->key_hash,
								 i->text, i->key_size) != NULL;

			if (!replaced && refers(i, target->key_hash))
				return i;
		}
	}
	return NULL;
}

static int phase_check(struct state_tx *tx, struct state_item *i, struct state_error *err)
{
	const struct state_item *user, *old = i->old;
	int64_t refs = i->deletion ? (int64_t)old->refs : 0;

	if (i->deletion && old->mark == commit_mark)
		refs += old->delta;
	if (refs == 0)
		return 0;
	user = find_referrer(tx, i);
	return state_fail(err, -EINVAL, "it is in use by %.*s]", user != NULL ? user->key_size : 1,
		user != NULL ? user->text : "[");
}

/*
 * Prepare and commit.
 */

static int phase_prepare(struct state_tx *tx, struct state_item *i, struct state_error *err)
{
	json_t *json = NULL, *old = NULL;
	int rc;

	(void)tx;
	if (state_table_reserve(&applied, i->key_hash) != 0)
		return no_memory(err);
	if (i->is_prepared) /* eager */
		return 0;
	if ((!i->deletion && (json = item_json(i)) == NULL) ||
		(i->old != NULL && (old = item_json(i->old)) == NULL))
		rc = no_memory(err);
	else
		rc = i->kind->prepare(json, old, &i->prepared, err);
	i->is_prepared = rc == 0;
	json_decref(json);
	json_decref(old);
	return rc;
}

static int phase_commit(struct state_tx *tx, struct state_item *i, struct state_error *err)
{
	(void)err;
	if (i->kind->commit != NULL)
		i->kind->commit(i->prepared);
	i->is_prepared = false;
	if (journal_item != NULL)
		journal_item(i->text, i->size, i->deletion);
	tx->lists[i->kind->rank].items[i->pos] = NULL;
	if (i->deletion) {
		state_table_remove(&applied, i->old);
		applied_of_kind[i->kind->rank]--;
		free(i->old);
		free(i);
		return 0;
	}
	if (i->old != NULL)
		i->refs = i->old->refs;
	state_table_reserve(&applied, i->key_hash);
	applied_of_kind[i->kind->rank] += state_table_insert(&applied, i) == NULL;
	free(i->old);
	i->old = NULL;
	return 0;
}

/* The next item of the walk, or NULL at its end. */
static struct state_item *walk_next(struct state_tx *tx)
{
	for (; tx->step < 2 * n_kinds; tx->step++, tx->at = 0) {
		bool deletions = tx->step >= n_kinds;
		unsigned int rank = deletions ? 2 * n_kinds - 1 - tx->step : tx->step;
		const struct tx_list *list = &tx->lists[rank];

		while (tx->at < list->n) {
			struct state_item *i = list->items[tx->at++];

			if (i != NULL && i->deletion == deletions && !i->skip)
				return i;
		}
	}
	return NULL;
}

/* Between two phases: what concerns the transaction as a whole. */
static int phase_end(struct state_tx *tx, struct state_error *err)
{
	int rc = 0;

	if (tx->phase == PHASE_PREPARE) {
		for (struct state_hook *h = hooks; h != NULL && rc == 0; h = h->next)
			rc = h->prepare != NULL ? h->prepare(err) : 0;
		if (rc != 0)
			return rc;
		for (uint32_t n = 0; n < tx->touched.n; n++)
			tx->touched.items[n]->refs += (uint32_t)tx->touched.items[n]->delta;
		/* From here the lists own the items: their links serve the applied table. */
		state_table_clear(&tx->staged, false);
	}
	tx->phase++;
	tx->step = 0;
	tx->at = 0;
	return 0;
}

static int fail(struct state_tx *tx, const struct state_item *i, int rc, struct state_error *err)
{
	for (struct state_hook *h = hooks; h != NULL; h = h->next)
		if (h->abort != NULL)
			h->abort();
	err->item = i != NULL ? json_loadb(i->text, i->size, 0, NULL) : NULL;
	state_abort(tx);
	return rc;
}

static void done(struct state_tx *tx, uint64_t revision, uint32_t *changed)
{
	*changed = tx->changed;
	applied_revision = revision;
	if (journal_end != NULL)
		journal_end(revision);
	for (struct state_hook *h = hooks; h != NULL; h = h->next)
		if (h->after_commit != NULL)
			h->after_commit();
	state_abort(tx); /* frees what was skipped */
}

int state_commit_step(struct state_tx *tx, uint64_t revision, unsigned int max_items,
	uint32_t *changed, struct state_error *err)
{
	static int (*const phases[])(
		struct state_tx *, struct state_item *, struct state_error *) = {
		[PHASE_REFS] = phase_refs,
		[PHASE_CHECK] = phase_check,
		[PHASE_PREPARE] = phase_prepare,
		[PHASE_COMMIT] = phase_commit,
	};
	unsigned int n = 0, weight;
	int rc;

	*err = (struct state_error){0};
	if (committing != NULL && committing != tx)
		return state_fail(err, -EBUSY, "another transaction is committing");
	if (tx->phase == PHASE_OPEN) {
		committing = tx;
		commit_mark++;
		tx->phase = PHASE_REFS;
	}
	while (tx->phase != PHASE_DONE) {
		struct state_item *i = walk_next(tx);

		if (i == NULL) {
			rc = phase_end(tx, err);
			if (rc != 0)
				return fail(tx, NULL, rc, err);
			continue;
		}
		weight = tx->phase == PHASE_COMMIT && i->kind->weight != 0 ? i->kind->weight : 1;
		rc = phases[tx->phase](tx, i, err);
		if (rc != 0)
			return fail(tx, i, rc, err);
		tx->changed += tx->phase == PHASE_COMMIT;
		n += weight;
		if (n >= max_items)
			return 1;
	}
	done(tx, revision, changed);
	return 0;
}

int state_commit(struct state_tx *tx, uint64_t revision, uint32_t *changed, struct state_error *err)
{
	int rc;

	do
		rc = state_commit_step(tx, revision, UINT32_MAX, changed, err);
	while (rc == 1);
	return rc;
}

/*
 * What is applied.
 */

uint64_t state_revision(void)
{
	return applied_revision;
}

uint32_t state_count(void)
{
	return applied.n_items;
}

uint64_t state_digest(unsigned int bucket)
{
	return applied.buckets[bucket % SB_BUCKETS].digest;
}

static json_t *key_with_hash(const struct state_item *i)
{
	json_t *json = item_json(i);
	const struct sb_kind *kind = sb_kind_find(i->kind->name);
	char hex[17];

	while (json != NULL && json_array_size(json) > kind->n_key + 1)
		json_array_remove(json, json_array_size(json) - 1);
	snprintf(hex, sizeof(hex), "%016" PRIx64, i->hash);
	if (json != NULL && json_array_append_new(json, json_string(hex)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

json_t *state_keys(const bool wanted[SB_BUCKETS], const char *cursor, unsigned int limit,
	char next[STATE_CURSOR_MAX])
{
	json_t *keys = json_array();
	unsigned int bucket = 0;
	uint64_t from = 0;

	if (cursor != NULL && sscanf(cursor, "%2x.%16" SCNx64, &bucket, &from) != 2)
		bucket = SB_BUCKETS;
	next[0] = '\0';
	for (; keys != NULL && bucket < SB_BUCKETS; bucket++, from = 0) {
		struct state_item *i =
			wanted[bucket] ? state_table_seek(&applied, bucket, from) : NULL;

		for (; i != NULL; i = state_table_next(&applied, i)) {
			if (json_array_size(keys) >= limit) {
				snprintf(next, STATE_CURSOR_MAX, "%02x.%016" PRIx64, bucket,
					i->key_hash);
				return keys;
			}
			if (json_array_append_new(keys, key_with_hash(i)) != 0) {
				json_decref(keys);
				return NULL;
			}
		}
	}
	return keys;
}

static int each_of_kind(
	const struct state_kind *k, int (*fn)(void *arg, const char *text, size_t size), void *arg)
{
	uint32_t left = applied_of_kind[k->rank];
	int rc = 0;

	for (unsigned int b = 0; b < SB_BUCKETS && left != 0 && rc == 0; b++) {
		for (struct state_item *i = state_table_seek(&applied, b, 0); i != NULL && rc == 0;
			i = state_table_next(&applied, i)) {
			if (i->kind != k)
				continue;
			rc = fn(arg, i->text, i->size);
			left--;
		}
	}
	return rc;
}

int state_each(int (*fn)(void *arg, const char *text, size_t size), void *arg)
{
	int rc = 0;

	for (struct state_kind *k = kinds; k != NULL && rc == 0; k = k->next)
		rc = each_of_kind(k, fn, arg);
	return rc;
}
