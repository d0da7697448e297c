/* SPDX-License-Identifier: Apache-2.0 */
/* Usage on disk: the figures of a process that was killed are lost from its last second on, and no more. The file is
 * written beside the old one and put in its place, without waiting for the disk: what a crash of the machine takes
 * away are the figures since the controller last asked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/usage.h"
#include "lib/log.h"

#define MAGIC 0x3165676173757076ull /* "vpusage1" */

struct header {
	uint64_t magic;
	uint64_t count; /* of entries, which follow */
};

static char path[4200]; /* "": nowhere */
static struct usage_entry *written;
static size_t written_count;

static void take_up(const struct usage_entry *entry)
{
	if (memchr(entry->kind, '\0', sizeof(entry->kind)) != NULL &&
		memchr(entry->name, '\0', sizeof(entry->name)) != NULL &&
		(int64_t)entry->instance > 0)
		usage_ended(entry);
}

static void load(void)
{
	FILE *f = fopen(path, "re");
	struct usage_entry entry;
	struct header h;

	if (f == NULL)
		return;
	if (fread(&h, sizeof(h), 1, f) == 1 && h.magic == MAGIC)
		while (h.count-- > 0 && fread(&entry, sizeof(entry), 1, f) == 1)
			take_up(&entry);
	fclose(f);
}

struct list {
	struct usage_entry *entries;
	size_t count, room;
};

static void add(const struct usage_entry *entry, void *arg)
{
	struct list *l = arg;

	if (l->count == l->room) {
		size_t room = l->room != 0 ? 2 * l->room : 64;
		struct usage_entry *more = realloc(l->entries, room * sizeof(*more));

		if (more == NULL)
			return;
		l->entries = more;
		l->room = room;
	}
	l->entries[l->count++] = *entry;
}

static bool is_written(const struct list *l)
{
	return l->count == written_count &&
	       (l->count == 0 || memcmp(l->entries, written, l->count * sizeof(*written)) == 0);
}

static int write_list(const struct list *l)
{
	struct header h = {.magic = MAGIC, .count = l->count};
	char tmp[sizeof(path) + 8];
	int fd, rc = 0;
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		return -errno;
	if (fwrite(&h, sizeof(h), 1, f) != 1 ||
		fwrite(l->entries, sizeof(*l->entries), l->count, f) != l->count)
		rc = -EIO;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc == 0 && rename(tmp, path) != 0 ? -errno : rc;
}

void usage_file_turn(void)
{
	struct list l = {.count = 0};
	int rc;

	if (path[0] == '\0')
		return;
	usage_each_live(add, &l);
	usage_each_ended(add, &l);
	if (is_written(&l)) {
		free(l.entries);
		return;
	}
	rc = write_list(&l);
	if (rc != 0) {
		log_error(
			"usage is not kept on disk any more", LOG_STR("path", path), LOG_ERRNO(rc));
		path[0] = '\0';
	}
	free(written);
	written = l.entries;
	written_count = l.count;
}

void usage_file_start(const char *file)
{
	if (file == NULL)
		return;
	snprintf(path, sizeof(path), "%s", file);
	load();
}

void usage_file_stop(void)
{
	usage_file_turn();
	free(written);
	written = NULL;
	written_count = 0;
	path[0] = '\0';
}
