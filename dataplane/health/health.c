/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "health/health_internal.h"
#include "lib/log.h"

static void stop(struct health_check *c)
{
	if (c->gateway != NULL) {
		health_gossip_leave(c);
	} else {
		health_check_stop(c);
		health_gossip_forget(c);
	}
}

static void removed(struct lb_backend *b)
{
	struct health_check *c = b->check;

	if (c == NULL)
		return;
	stop(c);
	b->check = NULL;
	free(c);
}

static int start(struct health_check *c, const char *gateway)
{
	if (gateway[0] != '\0')
		return health_gossip_follow(c, gateway);
	health_check_start(c);
	return 0;
}

/* New, or with other settings or another gateway: begins anew, with the state that it has. */
static void changed(struct lb_backend *b)
{
	const struct lb_config *config =
		atomic_load_explicit(&b->listener->config, memory_order_acquire);
	struct health_settings settings;
	struct health_check *c;

	removed(b);
	if (config == NULL || health_settings_read(config->health_check, &settings) < 0 ||
		settings.type == HEALTH_NONE)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		lb_health_set(b, LB_HEALTH_UNKNOWN, "not checked: out of memory");
		return;
	}
	c->backend = b;
	c->settings = settings;
	if (start(c, lb_gateway(b->listener->lb)) < 0) {
		free(c);
		lb_health_set(b, LB_HEALTH_UNKNOWN, "not heard of: out of memory");
		return;
	}
	b->check = c;
}

/* A socket for each question that is under way. */
static void raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int health_init(struct event_base *base)
{
	static const struct lb_watcher watcher = {.changed = changed, .removed = removed};
	int rc = health_check_init(base);

	if (rc == 0)
		rc = health_gossip_init(base);
	if (rc < 0) {
		log_error("health checks can not begin", LOG_ERRNO(-rc));
		return rc;
	}
	raise_files();
	lb_watch(&watcher);
	return 0;
}

static void forget(struct lb_backend *b, void *arg)
{
	(void)arg;
	removed(b);
}

void health_fini(void)
{
	lb_each_backend(forget, NULL);
	health_gossip_fini();
	health_check_fini();
}
