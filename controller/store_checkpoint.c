/* SPDX-License-Identifier: Apache-2.0 */
#include "store_checkpoint.h"

#include "lib/log.h"
#include "mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Pages of the log (4 kB) from which on it is copied, … */
#define COPY_PAGES 1000
/* … from which on the writer helps when few are left, … */
#define HELP_PAGES 4000
#define HELP_LEFT 64
/* … and from which on it copies all of them, so that the log stays on the disk it has. */
#define STOP_PAGES 32000
/* Between two rounds of the thread. */
#define PAUSE_MS 20

struct store_checkpointer {
	sqlite3 *writer, *db; /* theirs, and the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running;
	bool wanted, ending; /* under the lock */
	atomic_int copied;   /* pages of the log as it was at the last round */
};

/* ---- The thread ---- */

static void copy(struct store_checkpointer *cp)
{
	static struct log_limit limit = LOG_LIMIT(5, 60);
	int pages = 0, copied = 0;
	int rc =
		sqlite3_wal_checkpoint_v2(cp->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);

	if (rc == SQLITE_OK)
		atomic_store(&cp->copied, copied);
	else if (rc != SQLITE_BUSY)
		log_warn_limited(&limit, "the store's log stays as it is",
			LOG_STR("error", sqlite3_errmsg(cp->db)));
}

static void pause_under_lock(struct store_checkpointer *cp)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!cp->ending && pthread_cond_timedwait(&cp->wake, &cp->lock, &until) != ETIMEDOUT)
		;
}

static void *run(void *arg)
{
	struct store_checkpointer *cp = arg;

	pthread_mutex_lock(&cp->lock);
	while (!cp->ending) {
		if (!cp->wanted) {
			pthread_cond_wait(&cp->wake, &cp->lock);
			continue;
		}
		cp->wanted = false;
		pthread_mutex_unlock(&cp->lock);
		copy(cp);
		pthread_mutex_lock(&cp->lock);
		pause_under_lock(cp);
	}
	pthread_mutex_unlock(&cp->lock);
	return NULL;
}

/* ---- The writer ---- */

/* After each commit: the log has so many pages. */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store_checkpointer *cp = arg;
	int left = pages - atomic_load(&cp->copied);

	if (pages < COPY_PAGES) {
		atomic_store(&cp->copied, 0);
		return SQLITE_OK;
	}
	if (pages >= STOP_PAGES || (pages >= HELP_PAGES && left <= HELP_LEFT)) {
		sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		return SQLITE_OK;
	}
	pthread_mutex_lock(&cp->lock);
	cp->wanted = true;
	pthread_cond_signal(&cp->wake);
	pthread_mutex_unlock(&cp->lock);
	return SQLITE_OK;
}

/* ---- Start and end ---- */

static int open_own(struct store_checkpointer *cp, const char *path)
{
	/* The first look at the file tells the connection that there is a log. */
	if (sqlite3_open_v2(path, &cp->db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		sqlite3_exec(cp->db,
			"PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;"
			"SELECT count(*) FROM sqlite_master",
			NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	log_error(
		"cannot open the store for checkpoints", LOG_STR("error", sqlite3_errmsg(cp->db)));
	return -EIO;
}

/* Signals are for the main thread's event loop. */
static int start_thread(struct store_checkpointer *cp)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&cp->thread, NULL, run, cp);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		log_error("cannot start a thread", LOG_ERRNO(rc));
	else
		cp->running = true;
	return -rc;
}

struct store_checkpointer *store_checkpointer_new(sqlite3 *db, const char *path)
{
	struct store_checkpointer *cp = mem_calloc(1, sizeof(*cp));
	pthread_condattr_t attr;

	cp->writer = db;
	pthread_mutex_init(&cp->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cp->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (open_own(cp, path) < 0 || start_thread(cp) < 0) {
		store_checkpointer_free(cp);
		return NULL;
	}
	sqlite3_wal_hook(db, on_commit, cp);
	return cp;
}

void store_checkpointer_free(struct store_checkpointer *cp)
{
	if (cp == NULL)
		return;
	sqlite3_wal_hook(cp->writer, NULL, NULL);
	if (cp->running) {
		pthread_mutex_lock(&cp->lock);
		cp->ending = true;
		pthread_cond_signal(&cp->wake);
		pthread_mutex_unlock(&cp->lock);
		pthread_join(cp->thread, NULL);
	}
	sqlite3_close(cp->db);
	pthread_cond_destroy(&cp->wake);
	pthread_mutex_destroy(&cp->lock);
	free(cp);
}
