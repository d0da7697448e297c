/* SPDX-License-Identifier: Apache-2.0 */
#include "commit.h"

#include "controller.h"
#include "lib/log.h"
#include "mem.h"
#include "publish.h"
#include "usage.h"
#include "watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct commit {
	struct txn txn;
	commit_done_fn done;
	void *arg;
};

struct commits {
	struct controller *c;
	struct event *turn;
	struct commit *waiting;
	size_t count, room;
};

static void write_changes(struct store *store, const struct txn *txn)
{
	char revision[24];

	for (size_t i = 0; i < txn->count; i++) {
		const struct change *ch = &txn->changes[i];
		const struct object *o = ch->object;

		if (ch->op == CHANGE_DELETE)
			store_delete(store, o->kind->name, o->name);
		else
			store_put(store, o->kind->name, o->name, object_tenant(o), ch->revision,
				ch->new);
	}
	if (txn->count == 0)
		return;
	snprintf(revision, sizeof(revision), "%llu", (unsigned long long)txn->revision);
	store_set(store, "revision", revision);
}

static void give_up(struct commit *group, size_t count)
{
	for (size_t i = count; i-- > 0;)
		txn_undo(&group[i].txn);
	for (size_t i = 0; i < count; i++)
		group[i].done(-EIO, NULL, group[i].arg);
}

static void go_public(struct controller *c, struct commit *group, size_t count)
{
	for (size_t i = 0; i < count; i++)
		publish_changes(c, &group[i].txn);
	publish_flush(c);
	for (size_t i = 0; i < count; i++) {
		group[i].done(0, &group[i].txn, group[i].arg);
		txn_finish(&group[i].txn);
	}
}

static void commit_group(struct commits *commits)
{
	struct controller *c = commits->c;
	struct commit *group = commits->waiting;
	size_t count = commits->count;
	int rc = store_commit(c->store);

	commits->waiting = NULL;
	commits->count = commits->room = 0;
	if (rc < 0)
		give_up(group, count);
	else
		go_public(c, group, count);
	free(group);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	commit_group(arg);
}

struct commits *commits_new(struct controller *c)
{
	struct commits *commits = mem_calloc(1, sizeof(*commits));

	commits->c = c;
	commits->turn = event_new(c->base, -1, 0, on_turn, commits);
	return commits;
}

void commits_free(struct commits *commits)
{
	if (commits == NULL)
		return;
	commit_group(commits);
	event_free(commits->turn);
	free(commits);
}

void commit_submit(struct controller *c, struct txn *txn, commit_done_fn done, void *arg)
{
	struct commits *commits = c->commits;

	write_changes(c->store, txn);
	usage_prepare(c->usage, txn);
	watch_prepare(c, txn);
	MEM_GROW(commits->waiting, commits->count, commits->room);
	commits->waiting[commits->count++] = (struct commit){.txn = *txn, .done = done, .arg = arg};
	*txn = (struct txn){0};
	commit_soon(c);
}

void commit_now(struct controller *c)
{
	commit_group(c->commits);
}

void commit_soon(struct controller *c)
{
	if (c->commits != NULL)
		event_active(c->commits->turn, EV_TIMEOUT, 0);
}
