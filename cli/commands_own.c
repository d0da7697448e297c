// SPDX-License-Identifier: Apache-2.0
/* The commands that are more than one call of a method. */
#include "cli/apply.h"
#include "cli/backup.h"
#include "cli/capture.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/describe.h"
#include "cli/export.h"
#include "cli/help.h"
#include "cli/hook.h"
#include "cli/output.h"
#include "cli/plot.h"
#include "cli/top.h"

static const struct field none[] = {{}};

/* ---- version ---- */

static int version_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *status = client_quietly(cli, "status", NULL, 2000);
	const char *server = resource_text(status, "version");
	json_t *versions = json_pack("{s:s, s:s?}", "client", VPC_VERSION, "controller", server);

	(void)command;
	(void)params;
	if (cli->options.format == FORMAT_JSON || cli->options.format == FORMAT_YAML)
		output_value(cli, NULL, versions);
	else
		printf("vpcctl %s\ncontroller %s\n", VPC_VERSION, server ? server : "not reached");
	json_decref(versions);
	json_decref(status);
	return CLI_OK;
}

/* ---- All of them ---- */

#define EXAMPLES(...)                                                                              \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

const struct command commands_own[] = {
	{.noun = "apply",
		.help = "Makes the resources of files so, in one transaction: all or nothing.",
		.args = none,
		.flags = apply_flags,
		.examples = EXAMPLES("apply -f network.yaml --wait", "export | vpcctl apply -f -"),
		.run = apply_run},
	{.noun = "diff",
		.help = "Shows what apply would change.",
		.args = none,
		.flags = diff_flags,
		.examples = EXAMPLES("diff -f network.yaml --exit-code"),
		.run = diff_run},
	{.noun = "delete",
		.help = "Deletes the resources that files name, those first that refer to "
			"others; of each kind all or none.",
		.args = none,
		.flags = delete_flags,
		.examples = EXAMPLES("delete -f network.yaml"),
		.run = delete_run},
	{.noun = "get",
		.verb = "all",
		.help = "Shows every object.",
		.args = none,
		.flags = none,
		.examples = EXAMPLES("get all -o wide"),
		.run = get_all_run},
	{.noun = "describe",
		.help = "Shows an object, what is inside it, who refers to it, its drops, sessions "
			"and events.",
		.args = describe_args,
		.flags = none,
		.examples = EXAMPLES("describe vpc prod", "describe port web1"),
		.run = describe_run},
	{.noun = "backup",
		.help = "Writes everything the controller has stored to a file, only for its "
			"owner.",
		.args = backup_args,
		.flags = none,
		.examples = EXAMPLES("backup network.backup"),
		.run = backup_run},
	{.noun = "restore",
		.help = "Makes the network again what a backup says, in one transaction: all or "
			"nothing.",
		.args = backup_args,
		.flags = restore_flags,
		.examples = EXAMPLES("restore network.backup --dry-run",
			"restore network.backup --prune --wait"),
		.run = restore_run},
	{.noun = "top",
		.help = "Shows live what ports, flows, VPCs and nodes carry and drop; keys are "
			"told by ?. Without a terminal, or with -o, it prints.",
		.args = top_args,
		.flags = top_flags,
		.examples = EXAMPLES("top", "top flows --interval 1", "top drops -n 1 -o json"),
		.run = top_run},
	{.noun = "capture",
		.help = "Shows packets as they come: a line each, or as pcapng for Wireshark and "
			"tcpdump; interrupt it to end it.",
		.args = capture_args,
		.flags = capture_flags,
		.examples = EXAMPLES("capture --port web1 tcp port 443", "capture --drops -c 10",
			"capture --vpc prod -w prod.pcapng",
			"capture --port web1 -w - | wireshark -k -i -"),
		.run = capture_run},
	{.noun = "capture",
		.verb = "stop",
		.help = "Ends a capture, whoever's it is.",
		.args = capture_stop_args,
		.flags = none,
		.examples = EXAMPLES("capture stop 7"),
		.run = capture_stop_run},
	{.noun = "trace",
		.help = "Shows the way of packets that a port sends through its node's graph, "
			"with cycle counts, and what became of them.",
		.args = trace_args,
		.flags = trace_flags,
		.examples = EXAMPLES("trace web1 tcp port 443 -c 3"),
		.run = trace_run},
	{.noun = "plot",
		.help = "Draws the rate of a counter of ports over time, as a line of bars, and as "
			"an SVG.",
		.args = plot_args,
		.flags = plot_flags,
		.examples = EXAMPLES("plot tx_bytes", "plot drops --port web1 --svg drops.svg"),
		.run = plot_run},
	{.noun = "hook",
		.verb = "attach",
		.help = "Puts a program of yours (eBPF) into the path of ports' packets.",
		.args = hook_attach_args,
		.flags = hook_attach_flags,
		.examples = EXAMPLES("hook attach no-telnet --vpc prod --role filter no_telnet.o",
			"hook attach hello --port web1 --role sample --mirror tap tls_hello.o"),
		.run = hook_attach_run},
	{.noun = "hook",
		.verb = "detach",
		.help = "Takes it out again, for good.",
		.args = hook_detach_args,
		.flags = none,
		.examples = EXAMPLES("hook detach no-telnet"),
		.run = hook_detach_run},
	{.noun = "completion",
		.help = "Prints what makes a shell complete commands, flags, values and names.",
		.args = completion_args,
		.flags = none,
		.examples = EXAMPLES(
			"completion bash > ~/.local/share/bash-completion/completions/vpcctl"),
		.run = completion_run},
	{.noun = "version",
		.help = "Shows the versions of vpcctl and of the controller.",
		.args = none,
		.flags = none,
		.run = version_run},
	{.noun = "help",
		.help = "Says how to use a command.",
		.args = help_args,
		.flags = none,
		.examples = EXAMPLES("help port", "help port create"),
		.run = help_run},
	{},
};
