/* SPDX-License-Identifier: Apache-2.0 */
/* vpc-inspectd: loads the inspection's programs, and tells the dataplane what they detect. */
#include <stdlib.h>
#include <sys/capability.h>

#include "inspectd.h"
#include "lib/config.h"
#include "lib/daemon.h"
#include "lib/jsonrpc_server.h"
#include "lib/privileges.h"

/* The unit has the same list (configs/vpc-inspectd.service.in). */
static const int capabilities[] = {
	CAP_BPF,       /* programs, maps */
	CAP_NET_ADMIN, /* … on interfaces */
	CAP_PERFMON,   /* … whose loops over headers are verified in acceptable time */
};

static int give_up_privileges(void)
{
	privileges_join(JSONRPC_GROUP);
	return privileges_keep(capabilities, sizeof(capabilities) / sizeof(capabilities[0]));
}

static int run(struct daemon *d, struct inspectd *inspectd)
{
	int status = 1;

	if (give_up_privileges() < 0 || daemon_init(d) < 0)
		return 1;
	if (inspectd_start(inspectd, d->base) == 0)
		status = daemon_run(d);
	inspectd_stop(inspectd);
	daemon_fini(d);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon d = {.name = "vpc-inspectd",
		.summary = "detects in traffic what a VPC is inspected for (eBPF)"};
	struct inspectd *inspectd;
	int status;

	if (!daemon_options(&d, argc, argv, &status))
		return status;
	inspectd = calloc(1, sizeof(*inspectd));
	if (inspectd == NULL)
		return 1;
	status = CONFIG_EXIT;
	if (inspectd_config_load(&inspectd->config, d.config_path) == 0)
		status = d.check ? 0 : run(&d, inspectd);
	inspectd_config_free(&inspectd->config);
	free(inspectd);
	return status;
}
