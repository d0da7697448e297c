/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks that were too slow are remembered, one line "NAME REVISION" each, until they are changed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rpc.h"
#include "hook/hook.h"
#include "lib/log.h"

struct entry {
	char name[PORT_NAME_MAX];
	uint64_t revision;
};

static char path[4200]; /* "": nowhere */
static struct entry entries[HOOKS_MAX];
static unsigned int n_entries;
static _Atomic bool overrun;

/* Beside the old file and then in its place. */
static int write_file(void)
{
	char fresh[sizeof(path) + 8];
	int fd, rc = 0;
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		return -errno;
	for (unsigned int i = 0; i < n_entries && rc == 0; i++)
		if (fprintf(f, "%s %" PRIu64 "\n", entries[i].name, entries[i].revision) < 0)
			rc = -EIO;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc == 0 && rename(fresh, path) != 0 ? -errno : rc;
}

static void save(void)
{
	int rc = path[0] != '\0' ? write_file() : 0;

	if (rc != 0)
		log_error("detached hooks are not kept on disk", LOG_STR("path", path),
			LOG_ERRNO(rc));
}

void hook_start(const char *state)
{
	FILE *f;

	if (state == NULL)
		return;
	snprintf(path, sizeof(path), "%s.hooks", state);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	n_entries = 0;
	while (n_entries < HOOKS_MAX && fscanf(f, "%63s %" SCNu64 "\n", entries[n_entries].name,
						&entries[n_entries].revision) == 2)
		n_entries++;
	fclose(f);
}

void hook_stop(void)
{
	hook_turn();
	path[0] = '\0';
	n_entries = 0;
}

bool hook_was_detached(const char *name, uint64_t revision)
{
	for (unsigned int i = 0; i < n_entries; i++)
		if (entries[i].revision == revision && strcmp(entries[i].name, name) == 0)
			return true;
	return false;
}

void hook_forget(const char *name, uint64_t but_revision)
{
	for (unsigned int i = 0; i < n_entries; i++) {
		if (entries[i].revision == but_revision || strcmp(entries[i].name, name) != 0)
			continue;
		entries[i] = entries[--n_entries];
		save();
		return;
	}
}

static void remember(const struct hook *h)
{
	if (n_entries == HOOKS_MAX) /* of hooks that have gone while we were away */
		memmove(entries, &entries[1], --n_entries * sizeof(entries[0]));
	entries[n_entries].revision = h->revision;
	memcpy(entries[n_entries++].name, h->name, sizeof(h->name));
	save();
}

static void tell(struct hook *h)
{
	struct hook_tally t = hook_sum(h);

	h->told = true;
	remember(h);
	rpc_event("warning", "hook", h->name, "hook.detached",
		"hook %s took more than its budget of %u cycles a packet again and again (%" PRIu64
		" on average) and does not run here any more; an update attaches it again",
		h->name, h->budget, t.runs != 0 ? t.cycles / t.runs : 0);
}

void hook_turn(void)
{
	if (!atomic_exchange_explicit(&overrun, false, memory_order_acquire))
		return;
	for (struct hook *h = hook_next(NULL); h != NULL; h = hook_next(h))
		if (!h->told && atomic_load_explicit(&h->detached, memory_order_acquire))
			tell(h);
}

void hook_overrun(void)
{
	atomic_store_explicit(&overrun, true, memory_order_release);
}
