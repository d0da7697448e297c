/* SPDX-License-Identifier: Apache-2.0 */
#include "store_file.h"

#include "lib/log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100
#define PAUSE_MS 20

static int make_directories(const char *path)
{
	char *copy = mem_strdup(path), *dir = dirname(copy);
	int rc = 0;

	for (char *p = dir + 1; rc == 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(dir, 0750) < 0 && errno != EEXIST)
			rc = -errno;
		*p = c;
		if (c == '\0')
			break;
	}
	free(copy);
	return rc;
}

/* Not a lock on the store itself: closing any descriptor of that file would take SQLite's own locks away. */
static int lock(const char *path)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	char *name = mem_printf("%s.lock", path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640),
	    rc = fd < 0 ? -errno : -EWOULDBLOCK;

	free(name);
	for (unsigned i = 0; fd >= 0 && rc == -EWOULDBLOCK && i < TRIES; i++) {
		rc = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (rc == -EWOULDBLOCK)
			nanosleep(&pause, NULL);
	}
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* SQLite would let everybody read it. What it puts beside the store gets the store's mode. */
static void make_private(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

int store_file_claim(const char *path)
{
	int rc = make_directories(path);

	if (rc < 0) {
		log_error(
			"cannot make the store's directory", LOG_STR("path", path), LOG_ERRNO(rc));
		return rc;
	}
	rc = lock(path);
	if (rc == -EWOULDBLOCK)
		log_error("the store is locked by another process", LOG_STR("path", path));
	else if (rc < 0)
		log_error("cannot lock the store", LOG_STR("path", path), LOG_ERRNO(rc));
	else
		make_private(path);
	return rc;
}
