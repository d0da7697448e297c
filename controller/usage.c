/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the nodes, round after round. The list of a round's answer: usage_list.c. */
#include "usage.h"

#include "commit.h"
#include "controller.h"
#include "fan_out.h"
#include "mem.h"
#include "node.h"
#include "usage_internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_TIMEOUT_MS 3000
#define FRESH_MS 1000
/* Rows a turn of the event loop: changes of the network must not wait for bills. */
#define WRITES_A_TURN 500

int64_t usage_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Objects come and go ---- */

static bool is_accounted(const struct kind *kind)
{
	static const char *const kinds[] = {"port", "eip", "nat_gateway", "load_balancer"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind->name, kinds[i]) == 0)
			return true;
	return false;
}

/* NULL also when this version does not know the kind. */
static const struct object *find_object(
	const struct usage *usage, const char *kind, const char *name)
{
	const struct kind *known = kind_find(kind);

	return known != NULL ? model_find(&usage->c->model, known, name) : NULL;
}

static struct usage_row *row_there(const struct usage *usage, const struct object *object)
{
	struct usage_row *row = usage_row_newest(&usage->table, object->kind->name, object->name);

	return row != NULL && row->deleted_ms == 0 ? row : NULL;
}

/* Does a dataplane of ours count for it? Ports of a VTEP that somebody else runs are many, and nobody tells. */
static bool is_counted(const struct object *object)
{
	const struct object *node = object_target(object, kind_find("node"));

	return is_accounted(object->kind) && (node == NULL || object_text(node, "rpc") != NULL);
}

/* Is there a row to be made: for a new object, or one that is counted from this change on? */
static bool needs_row(const struct change *ch, const struct usage_row *row)
{
	return ch->op != CHANGE_DELETE && (row == NULL || ch->op == CHANGE_CREATE) &&
	       is_counted(ch->object);
}

void usage_prepare(struct usage *usage, const struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct change *ch = &txn->changes[i];
		struct usage_row *row, copy;

		if (!is_accounted(ch->object->kind))
			continue;
		row = row_there(usage, ch->object);
		if (ch->op == CHANGE_DELETE && row != NULL) {
			row->deleting_ms = usage_now_ms();
			copy = *row;
			copy.deleted_ms = row->deleting_ms;
		} else if (needs_row(ch, row)) {
			copy = (struct usage_row){.id = (int64_t)ch->revision,
				.kind = (char *)ch->object->kind->name,
				.name = ch->object->name,
				.tenant = (char *)object_tenant(ch->object)};
		} else {
			continue; /* also of one made in this very commit: see reconcile() */
		}
		usage_store_row(usage->store, &copy);
	}
}

void usage_published(struct usage *usage, const struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct change *ch = &txn->changes[i];
		struct usage_row *row;

		if (!is_accounted(ch->object->kind))
			continue;
		row = row_there(usage, ch->object);
		if (ch->op == CHANGE_DELETE && row != NULL)
			row->deleted_ms = row->deleting_ms != 0 ? row->deleting_ms : usage_now_ms();
		else if (needs_row(ch, row))
			row = usage_row_add(&usage->table, (int64_t)ch->revision,
				ch->object->kind->name, ch->object->name,
				object_tenant(ch->object));
		else
			continue;
		row->dirty = true;
	}
}

static void mark_deleted(struct usage_row *row)
{
	row->deleted_ms = usage_now_ms();
	row->dirty = true;
}

/* The store's rows and the model, should an end between two commits have parted them. */
static void reconcile(struct usage *usage)
{
	const struct model *model = &usage->c->model;
	struct usage_row *row;
	const struct kind *kind;

	TAILQ_FOREACH (row, &usage->table.rows, link) {
		const struct object *object = find_object(usage, row->kind, row->name);

		if (row->deleted_ms == 0 &&
			(object == NULL || strcmp(object_tenant(object), row->tenant) != 0))
			mark_deleted(row);
	}
	KIND_FOREACH(kind)
	{
		if (!is_accounted(kind))
			continue;
		MODEL_FOREACH(model, kind, object)
		{
			if (row_there(usage, object) == NULL && is_counted(object))
				usage_row_add(&usage->table, (int64_t)object_revision(object),
					kind->name, object->name, object_tenant(object))
					->dirty = true;
		}
	}
}

/* ---- The end of a round ---- */

static void again_later(struct usage *usage)
{
	const struct timeval delay = {.tv_sec = usage->c->config->usage_interval_s};

	evtimer_add(usage->timer, &delay);
}

static void round_over(struct usage *usage)
{
	struct usage_waiter *all = usage->waiters;
	size_t count = usage->waiter_count;

	usage->busy = false;
	usage->waiters = NULL;
	usage->waiter_count = usage->waiter_room = 0;
	for (size_t i = 0; i < count; i++)
		all[i].done(all[i].arg);
	free(all);
	if (!usage->stopped)
		again_later(usage);
}

static void stored(int rc, const struct txn *txn, void *arg)
{
	struct usage *usage = arg;
	struct usage_row *row;

	(void)txn;
	TAILQ_FOREACH (row, &usage->table.rows, link) {
		struct usage_life *life;

		if (rc == 0) {
			free(row->dropped);
			row->dropped = NULL;
			row->dropped_count = row->dropped_room = 0;
			continue;
		}
		/* None of it is on the disk: write all of it again. */
		row->dirty = true;
		LIST_FOREACH (life, &row->lives, of_row)
			life->dirty = true;
	}
	if (rc == 0)
		usage->fresh_ms = now_ms();
	round_over(usage);
}

/* An object's figures go together, or an end in between would count some twice. */
static unsigned write_row(struct usage *usage, struct usage_row *row)
{
	struct usage_life *life;
	unsigned count = 0;

	if (row->dirty || row->dropped_count > 0) {
		usage_store_row(usage->store, row);
		row->dirty = false;
		count++;
	}
	for (size_t i = 0; i < row->dropped_count; i++, count++)
		usage_store_drop_life(usage->store, row->dropped[i]);
	LIST_FOREACH (life, &row->lives, of_row) {
		if (!life->dirty)
			continue;
		usage_store_life(usage->store, life);
		life->dirty = false;
		count++;
	}
	return count;
}

static void write_some(evutil_socket_t fd, short what, void *arg)
{
	struct usage *usage = arg;
	struct txn none;
	unsigned count = 0;

	(void)fd;
	(void)what;
	while (usage->next != NULL && count < WRITES_A_TURN) {
		count += write_row(usage, usage->next);
		usage->next = TAILQ_NEXT(usage->next, link);
	}
	if (usage->next != NULL) {
		event_active(usage->writer, EV_TIMEOUT, 0);
		return;
	}
	txn_init(&none, &usage->c->model);
	commit_submit(usage->c, &none, stored, usage);
}

void usage_write_now(struct usage *usage)
{
	struct usage_row *row;

	TAILQ_FOREACH (row, &usage->table.rows, link)
		write_row(usage, row);
	commit_soon(usage->c);
}

static void trim(struct usage *usage)
{
	int64_t oldest = usage_now_ms() - (int64_t)usage->c->config->usage_keep_days * 86400000;
	struct usage_row *row = TAILQ_FIRST(&usage->table.rows), *next;

	for (; row != NULL; row = next) {
		next = TAILQ_NEXT(row, link);
		if (row->deleted_ms == 0 || row->deleted_ms > oldest)
			continue;
		usage_store_drop_row(usage->store, row);
		usage_row_drop(&usage->table, row);
	}
}

/* ---- Answers ---- */

static json_int_t number(const json_t *list, size_t index)
{
	return json_integer_value(json_array_get(list, index));
}

/* Of one that is counted since its node has got a dataplane. */
static struct usage_row *row_of_object(struct usage *usage, const char *kind, const char *name)
{
	const struct object *object = find_object(usage, kind, name);
	struct usage_row *row;

	if (object == NULL || !is_accounted(object->kind))
		return NULL;
	row = usage_row_add(
		&usage->table, (int64_t)object_revision(object), kind, name, object_tenant(object));
	row->dirty = true;
	return row;
}

/* [kind, name, instance, revision, figures...] */
static void take(struct usage *usage, const char *node, const json_t *entry, bool ended)
{
	struct usage_life *life = usage_life_get(&usage->table, number(entry, 2));
	const char *kind = json_string_value(json_array_get(entry, 0));
	const char *name = json_string_value(json_array_get(entry, 1));
	struct usage_figures figures;
	struct usage_row *row;

	if (kind == NULL || name == NULL || number(entry, 2) <= 0)
		return;
	if (life == NULL) {
		row = usage_row_at(&usage->table, kind, name, number(entry, 3));
		if (row == NULL)
			row = row_of_object(usage, kind, name);
		if (row == NULL)
			return; /* of an object that we never had */
		life = usage_life_add(&usage->table, row, number(entry, 2), node);
	}
	for (size_t i = 0; i < USAGE_FIGURES; i++)
		figures.v[i] = (uint64_t)number(entry, 4 + i);
	if (usage_raise(&life->figures, &figures)) {
		life->updated_ms = usage_now_ms();
		life->dirty = true;
	}
	life->round = usage->round;
	life->dirty |= ended && !life->ended;
	life->ended |= ended;
}

static void take_answer(struct usage *usage, const char *node, const json_t *answer)
{
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(answer, "items"), i, entry)
		take(usage, node, entry, false);
	json_array_foreach (json_object_get(answer, "ended"), i, entry)
		take(usage, node, entry, true);
}

static void fold(struct usage *usage, struct usage_life *life)
{
	struct usage_row *row = life->row;

	MEM_GROW(row->dropped, row->dropped_count, row->dropped_room);
	row->dropped[row->dropped_count++] = life->instance;
	row->dirty = true;
	usage_life_fold(&usage->table, life);
}

/* What a node has answered without: it ended there, and is known to be stored. */
static void fold_unreported(struct usage *usage, const struct fan_out *fan)
{
	struct usage_row *row;

	TAILQ_FOREACH (row, &usage->table.rows, link) {
		struct usage_life *life = LIST_FIRST(&row->lives), *next;

		for (; life != NULL; life = next) {
			next = LIST_NEXT(life, of_row);
			if (life->round != usage->round && fan_out_result(fan, life->node) != NULL)
				fold(usage, life);
		}
	}
}

static void answered(struct fan_out *fan, void *arg)
{
	struct usage *usage = arg;

	if (usage->stopped)
		return;
	NODES_FOREACH(usage->c, node)
	{
		const json_t *answer = fan_out_result(fan, node->name);

		if (answer != NULL)
			take_answer(usage, node->name, answer);
	}
	fold_unreported(usage, fan);
	trim(usage);
	usage->next = TAILQ_FIRST(&usage->table.rows);
	write_some(-1, 0, usage);
}

/* ---- Questions ---- */

/* What has ended there and is on our disk. */
static json_t *done_at(const struct usage *usage, const struct node *node)
{
	json_t *done = mem_json(json_array());

	STRMAP_FOREACH(&usage->table.lives, slot)
	{
		const struct usage_life *life = slot->value;

		if (life->ended && !life->dirty && strcmp(life->node, node->name) == 0)
			json_array_append_new(done, json_integer(life->instance));
	}
	return done;
}

static void begin_round(struct usage *usage)
{
	struct fan_out *fan = fan_out_new(usage->c, ASK_TIMEOUT_MS, answered, usage);

	usage->busy = true;
	usage->round++;
	evtimer_del(usage->timer);
	NODES_FOREACH(usage->c, node)
	if (node_is_connected(node))
		fan_out_ask(
			fan, node, "usage.read", json_pack("{s:o}", "done", done_at(usage, node)));
	fan_out_wait(fan);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_round(arg);
}

void usage_refresh(struct usage *usage, usage_fn done, void *arg)
{
	if (usage->stopped ||
		(!usage->busy && usage->fresh_ms != 0 && now_ms() - usage->fresh_ms < FRESH_MS)) {
		done(arg);
		return;
	}
	MEM_GROW(usage->waiters, usage->waiter_count, usage->waiter_room);
	usage->waiters[usage->waiter_count++] = (struct usage_waiter){done, arg};
	if (!usage->busy)
		begin_round(usage);
}

/* ---- Start and stop ---- */

struct usage *usage_new(struct controller *c)
{
	struct usage *usage = mem_calloc(1, sizeof(*usage));

	usage->c = c;
	usage_table_init(&usage->table);
	usage->store = usage_store_open(c->store, &usage->table);
	if (usage->store == NULL) {
		usage_free(usage);
		return NULL;
	}
	usage->timer = evtimer_new(c->base, on_time, usage);
	usage->writer = event_new(c->base, -1, 0, write_some, usage);
	return usage;
}

void usage_start(struct usage *usage)
{
	reconcile(usage);
	again_later(usage);
}

void usage_stop(struct usage *usage)
{
	if (usage == NULL || usage->timer == NULL)
		return;
	usage->stopped = true;
	event_del(usage->timer);
	event_del(usage->writer);
	round_over(usage);
}

void usage_free(struct usage *usage)
{
	if (usage == NULL)
		return;
	if (usage->timer != NULL) {
		event_free(usage->timer);
		event_free(usage->writer);
	}
	usage_store_close(usage->store);
	usage_table_fini(&usage->table);
	free(usage->waiters);
	free(usage);
}
