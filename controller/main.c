/* SPDX-License-Identifier: Apache-2.0 */
#include "controller.h"
#include "lib/config.h"
#include "lib/daemon.h"
#include "lib/jsonrpc_server.h"
#include "lib/privileges.h"

/* Whoever started it, it needs none: its sockets and files are those of its user and group. */
static int give_up_privileges(void)
{
	privileges_join(JSONRPC_GROUP);
	return privileges_keep(NULL, 0);
}

static void reload(void *controller)
{
	controller_reload(controller);
}

int main(int argc, char **argv)
{
	struct daemon d = {.name = "vpc-controller",
		.summary = "keeps the desired network and programs the dataplanes"};
	struct controller_config config;
	struct controller controller;
	int status;

	if (!daemon_options(&d, argc, argv, &status))
		return status;
	if (controller_config_load(&config, d.config_path) < 0) {
		controller_config_free(&config);
		return CONFIG_EXIT;
	}
	status = 0;
	if (!d.check) {
		status = 1;
		d.reload = reload;
		d.reload_arg = &controller;
		if (give_up_privileges() == 0 && daemon_init(&d) == 0 &&
			controller_start(&controller, d.base, &config) == 0) {
			status = daemon_run(&d);
			controller_stop(&controller);
		}
		daemon_fini(&d);
	}
	controller_config_free(&config);
	return status;
}
