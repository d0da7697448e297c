/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/state.h"
#include "lib/log.h"

/* Lines of history beyond what is applied before the journal is made anew. */
#define HISTORY_MIN 10000u

static char *file_path;
static FILE *file;
static uint32_t lines; /* in the file */

/* Where the last complete transaction ends, and its revision. 0: there is none. */
static off_t find_end(FILE *f, uint64_t *revision)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	off_t end = 0;

	while ((len = getline(&line, &room, f)) > 0) {
		if (line[0] != '=' || line[len - 1] != '\n')
			continue;
		*revision = strtoull(line + 1, NULL, 10);
		end = ftello(f);
	}
	free(line);
	rewind(f);
	return end;
}

static int stage_line(struct state_tx *tx, const char *line, size_t len, struct state_error *err)
{
	bool deletion = line[0] == '-';
	json_t *item;
	int rc;

	*err = (struct state_error){0};
	if (line[0] == '=')
		return 0;
	item = json_loadb(line + deletion, len - deletion, 0, NULL);
	if (item == NULL)
		return state_fail(err, -EINVAL, "a line is no JSON");
	rc = deletion ? state_del(tx, item, err) : state_put(tx, item, err);
	json_decref(item);
	return rc;
}

static int stage_until(FILE *f, off_t end, struct state_tx *tx, struct state_error *err)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int rc = 0;

	while (rc == 0 && ftello(f) < end && (len = getline(&line, &room, f)) > 0)
		rc = stage_line(tx, line, (size_t)len, err);
	free(line);
	return rc;
}

/* All of it in one transaction: the last line of a key is what counts. */
static int restore(FILE *f)
{
	uint64_t revision = 0;
	off_t end = find_end(f, &revision);
	struct state_tx *tx = end != 0 ? state_begin() : NULL;
	struct state_error err = {0};
	uint32_t changed;
	int rc;

	if (tx == NULL)
		return end != 0 ? -ENOMEM : 0;
	rc = stage_until(f, end, tx, &err);
	if (rc == 0)
		rc = state_commit(tx, revision, &changed, &err);
	else
		state_abort(tx);
	json_decref(err.item);
	if (rc != 0)
		log_warn("the state kept on disk can not be used", LOG_STR("path", file_path),
			LOG_STR("reason", err.reason));
	else
		log_info("forwards by the state kept on disk", LOG_UINT("items", state_count()),
			LOG_UINT("revision", revision));
	return rc;
}

static int write_item(void *arg, const char *text, size_t size)
{
	FILE *f = arg;

	lines++;
	return fwrite(text, 1, size, f) == size && putc('\n', f) != EOF ? 0 : -EIO;
}

static int write_all(FILE *f)
{
	int rc;

	lines = 0;
	rc = state_each(write_item, f);
	if (rc == 0 && fprintf(f, "=%" PRIu64 "\n", state_revision()) < 0)
		rc = -EIO;
	return rc == 0 && fflush(f) != 0 ? -errno : rc;
}

/* The journal anew: what is applied, under the same name at once. */
static int rewrite(void)
{
	char tmp[4096];
	int rc, fd;
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", file_path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		return -errno;
	rc = write_all(f);
	if (rc == 0 && rename(tmp, file_path) != 0)
		rc = -errno;
	if (rc != 0) {
		fclose(f);
		unlink(tmp);
		return rc;
	}
	if (file != NULL)
		fclose(file);
	file = f;
	return 0;
}

/* Nothing is better than something old. */
static void give_up(int error)
{
	log_error("the state is not kept on disk any more", LOG_STR("path", file_path),
		LOG_ERRNO(error));
	state_file_stop();
	unlink(file_path);
}

static void journal_item(const char *text, size_t size, bool deletion)
{
	if (file == NULL)
		return;
	if (deletion)
		putc('-', file);
	write_item(file, text, size);
}

static void journal_end(uint64_t revision)
{
	int rc = 0;

	if (file == NULL)
		return;
	fprintf(file, "=%" PRIu64 "\n", revision);
	if (fflush(file) != 0 || ferror(file))
		rc = -EIO;
	else if (lines > 3 * state_count() + HISTORY_MIN)
		rc = rewrite();
	if (rc != 0)
		give_up(rc);
}

/* The last directory of `path`, for its owner only. */
static void make_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash != NULL && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;

	/* What can not be made is said when the file can not be either. */
	if (dir != NULL)
		(void)mkdir(dir, 0700);
	free(dir);
}

int state_file_start(const char *path)
{
	FILE *f = fopen(path, "re");
	char bad[4096];
	int rc;

	make_directory(path);
	file_path = strdup(path);
	if (file_path == NULL)
		return -ENOMEM;
	if (f != NULL && restore(f) != 0) {
		snprintf(bad, sizeof(bad), "%s.bad", path);
		rename(path, bad);
	}
	if (f != NULL)
		fclose(f);
	rc = rewrite();
	if (rc != 0)
		return rc;
	state_journal_set(journal_item, journal_end);
	return 0;
}

void state_file_stop(void)
{
	if (file != NULL)
		fclose(file);
	file = NULL;
}
