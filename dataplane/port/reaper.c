/* SPDX-License-Identifier: Apache-2.0 */
#include "port/reaper.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel needs a grace period for each interface; those of as many threads coincide. */
#define THREADS_MAX 16

struct job {
	int fd;
	struct job *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_closed = PTHREAD_COND_INITIALIZER;
static struct job *jobs;
static unsigned int pending; /* not closed yet */
static unsigned int threads;

/* A thread lives as long as there is work. */
static void *run(void *arg)
{
	struct job *job;

	(void)arg;
	pthread_mutex_lock(&lock);
	while ((job = jobs) != NULL) {
		jobs = job->next;
		pthread_mutex_unlock(&lock);
		close(job->fd);
		free(job);
		pthread_mutex_lock(&lock);
		if (--pending == 0)
			pthread_cond_broadcast(&all_closed);
	}
	threads--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* With the lock held. False: nobody will do the work. */
static bool find_thread(void)
{
	pthread_t thread;

	if (threads == THREADS_MAX)
		return true;
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		return threads > 0;
	pthread_detach(thread);
	threads++;
	return true;
}

void reaper_close(int fd)
{
	struct job *job = malloc(sizeof(*job));
	bool found;

	pthread_mutex_lock(&lock);
	found = job != NULL && find_thread();
	if (found) {
		*job = (struct job){fd, jobs};
		jobs = job;
		pending++;
	}
	pthread_mutex_unlock(&lock);
	if (!found) {
		free(job);
		close(fd);
	}
}

bool reaper_busy(void)
{
	bool busy;

	pthread_mutex_lock(&lock);
	busy = pending > 0;
	pthread_mutex_unlock(&lock);
	return busy;
}

void reaper_wait(void)
{
	pthread_mutex_lock(&lock);
	while (pending > 0)
		pthread_cond_wait(&all_closed, &lock);
	pthread_mutex_unlock(&lock);
}
