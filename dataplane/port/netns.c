/* SPDX-License-Identifier: Apache-2.0 */
#include "port/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct visit {
	int fd;
	int (*fn)(void *);
	void *arg;
	int result;
};

static void *visit_thread(void *arg)
{
	struct visit *v = arg;

	v->result = setns(v->fd, CLONE_NEWNET) < 0 ? -errno : v->fn(v->arg);
	return NULL;
}

static int netns_open(const char *netns)
{
	char path[PATH_MAX];

	if (strchr(netns, '/') != NULL)
		return open(netns, O_RDONLY | O_CLOEXEC);
	if (snprintf(path, sizeof(path), "/run/netns/%s", netns) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC);
}

int netns_run(const char *netns, int (*fn)(void *arg), void *arg)
{
	struct visit v = {.fn = fn, .arg = arg};
	pthread_t thread;
	int rc;

	if (netns == NULL)
		return fn(arg);
	v.fd = netns_open(netns);
	if (v.fd < 0)
		return -errno;
	rc = pthread_create(&thread, NULL, visit_thread, &v);
	if (rc == 0) {
		pthread_join(thread, NULL);
		rc = v.result;
	} else {
		rc = -rc;
	}
	close(v.fd);
	return rc;
}
