// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/privileges.h"

#define GROUPS_MAX 256

void privileges_join(const char *name)
{
	const struct group *group = getgrnam(name);
	gid_t groups[GROUPS_MAX + 1];
	int n = getgroups(GROUPS_MAX, groups);

	if (group == NULL || n < 0)
		return;
	groups[n] = group->gr_gid;
	setgroups((size_t)n + 1, groups);
}

static bool is_kept(int capability, const int *capabilities, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (capabilities[i] == capability)
			return true;
	}
	return false;
}

/*
 * Out of the bounding set, so that no execve() brings them back. That takes CAP_SETPCAP: who has not got it cannot get
 * the others either (no_new_privs), and systemd has bounded its services before.
 */
static void drop_bounding(const int *capabilities, unsigned count)
{
	for (int c = 0; c < cap_max_bits(); c++) {
		if (!is_kept(c, capabilities, count) && cap_get_bound(c) == 1)
			cap_drop_bound(c);
	}
}

/* Of those to keep, the ones we have. */
static int keep(cap_t now, cap_t then, const int *capabilities, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		cap_value_t c = capabilities[i];
		cap_flag_value_t has;

		if (cap_get_flag(now, c, CAP_PERMITTED, &has) < 0)
			return -errno;
		if (has == CAP_SET &&
			(cap_set_flag(then, CAP_PERMITTED, 1, &c, CAP_SET) < 0 ||
				cap_set_flag(then, CAP_EFFECTIVE, 1, &c, CAP_SET) < 0))
			return -errno;
	}
	return cap_set_proc(then) < 0 ? -errno : 0;
}

static int apply(const int *capabilities, unsigned count)
{
	cap_t now = cap_get_proc(), then = cap_init();
	int error = -ENOMEM;

	if (now != NULL && then != NULL)
		error = keep(now, then, capabilities, count);
	cap_free(now);
	cap_free(then);
	return error;
}

int privileges_keep(const int *capabilities, unsigned count)
{
	int error = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = -errno;
	drop_bounding(capabilities, count);
	if (error == 0 && cap_reset_ambient() < 0)
		error = -errno;
	if (error == 0)
		error = apply(capabilities, count);
	if (error < 0)
		log_error("cannot give up privileges", LOG_ERRNO(error));
	return error;
}
