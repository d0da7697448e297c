/* SPDX-License-Identifier: Apache-2.0 */
#include "core/eal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "core/config.h"
#include "lib/log.h"

#define ARGS_MAX 128

struct arguments {
	char *v[ARGS_MAX + 1];
	int n;
};

static bool hugepages;

static void add(struct arguments *a, const char *text)
{
	if (a->n < ARGS_MAX)
		a->v[a->n++] = strdup(text);
}

/* Memory in hugepages of the default size that is free and promised to nobody, in MiB. */
static unsigned int free_huge_mb(void)
{
	unsigned long pages = 0, promised = 0, kb = 0, value;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "HugePages_Free: %lu", &value) == 1)
			pages = value;
		else if (sscanf(line, "HugePages_Rsvd: %lu", &value) == 1)
			promised = value;
		else if (sscanf(line, "Hugepagesize: %lu", &value) == 1)
			kb = value;
	}
	fclose(f);
	return (unsigned int)((pages - promised) * kb / 1024);
}

static bool hugetlbfs_mounted(void)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/mounts", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, " hugetlbfs ") != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

/* Those who start at the same time take turns from counting the pages to having them. EAL's own lock, of the directory of the pages,
 * is not held between the two. */
#define TURN_FILE "/run/lock/vpc-dataplane.hugepages"
static int turn_fd = -1;

static void take_turn(void)
{
	turn_fd = open(TURN_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (turn_fd >= 0)
		while (flock(turn_fd, LOCK_EX) < 0 && errno == EINTR)
			;
}

void eal_memory_taken(void)
{
	if (turn_fd >= 0)
		close(turn_fd);
	turn_fd = -1;
}

static void add_memory(struct arguments *a, const struct node_config *c)
{
	char text[64];

	hugepages = c->hugepages && hugetlbfs_mounted();
	if (hugepages) {
		take_turn();
		hugepages = free_huge_mb() >= c->size_mb;
	}
	snprintf(text, sizeof(text), "%u", c->size_mb);
	add(a, "-m");
	add(a, text);
	if (hugepages) {
		add(a, "--huge-unlink");
		log_info("memory in hugepages", LOG_UINT("mb", c->size_mb));
		return;
	}
	add(a, "--no-huge");
	if (c->hugepages)
		log_info("memory without hugepages: not enough of them are free",
			LOG_UINT("mb", c->size_mb), LOG_UINT("free_mb", free_huge_mb()));
	else
		log_info("memory without hugepages, as configured", LOG_UINT("mb", c->size_mb));
}

static void add_lcores(struct arguments *a, const struct node_config *c)
{
	char text[WORKER_MAX * 12 + 16];
	int used = snprintf(text, sizeof(text), "0@%u", c->main_cpu);

	for (unsigned int i = 0; i < c->n_workers; i++)
		used += snprintf(
			text + used, sizeof(text) - (size_t)used, ",%u@%u", i + 1, c->workers[i]);
	add(a, "--lcores");
	add(a, text);
	add(a, "--main-lcore");
	add(a, "0");
}

static bool mentions(const json_t *list, const char *option)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		if (strncmp(json_string_value(entry), option, strlen(option)) == 0)
			return true;
	return false;
}

int eal_start(const struct node_config *c)
{
	static struct arguments
		a; /* EAL keeps pointers into the texts, and re-orders its list of them */
	char *order[ARGS_MAX + 1] = {NULL};
	const json_t *entry;
	char prefix[64];
	size_t i;
	int n;

	add(&a, "vpc-dataplane");
	add_lcores(&a, c);
	add_memory(&a, c);
	add(&a, "--no-telemetry");
	add(&a, "--no-shconf");
	if (!mentions(c->eal, "--file-prefix")) {
		snprintf(prefix, sizeof(prefix), "--file-prefix=vpc-%d", getpid());
		add(&a, prefix);
	}
	if (!mentions(c->eal, "-a") && !mentions(c->eal, "--allow"))
		add(&a, "--no-pci"); /* devices are probed when a port or the underlay names them */
	if (!mentions(c->eal, "--log-level")) {
		add(&a, "--log-level=warning");
		/* It warns of each try to connect; ports say in their state who is away. */
		add(&a, "--log-level=lib.vhost.config:error");
	}
	json_array_foreach (c->eal, i, entry)
		add(&a, json_string_value(entry));
	memcpy(order, a.v, (size_t)a.n * sizeof(a.v[0]));
	n = rte_eal_init(a.n, order);
	if (n < 0) {
		eal_memory_taken();
		log_error("DPDK does not start", LOG_STR("reason", rte_strerror(rte_errno)));
		return -(rte_errno != 0 ? rte_errno : EINVAL);
	}
	return 0;
}

void eal_stop(void)
{
	rte_eal_cleanup();
}

bool eal_has_hugepages(void)
{
	return hugepages;
}
