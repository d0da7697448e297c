// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/text.h"

/* What is wrong, and where to read more. */
static int bad_usage(const struct arguments *a, const char *why)
{
	char words[ARGUMENTS_WORD_MAX] = "";

	cli_fail(0, "%s", why);
	if (a->command)
		command_words(a->command, words, sizeof(words));
	else if (command_is_noun(a->noun))
		snprintf(words, sizeof(words), "%s", a->noun);
	fprintf(stderr, "try: vpcctl %s%s--help\n", words, *words ? " " : "");
	return CLI_USAGE;
}

static int show_help(const struct arguments *a)
{
	if (a->command)
		help_command(stdout, a->command);
	else if (*a->noun && command_is_noun(a->noun))
		help_noun(stdout, a->noun);
	else
		help_top(stdout);
	return CLI_OK;
}

static bool asks_for_help(const struct arguments *a)
{
	return resource_boolean(a->options, "help", false) ||
	       (a->pending && a->pending_is_option && !strcmp(a->pending->name, "help"));
}

static int run(struct cli *cli, struct arguments *a)
{
	char why[256] = "";
	bool ended;

	if (asks_for_help(a))
		return show_help(a);
	ended = arguments_end(a);
	if (!options_take(&cli->options, a->options, why, sizeof(why)))
		return bad_usage(a, why);
	if (cli->options.version) {
		printf("vpcctl %s\n", VPC_VERSION);
		return CLI_OK;
	}
	if (!ended)
		return bad_usage(a, a->error);
	if (!a->command) {
		help_top(stderr);
		return CLI_USAGE;
	}
	return a->command->run(cli, a->command, a->params);
}

/* A full disk must not look like success. */
static int finish(int status)
{
	if (ferror(stdout) || fflush(stdout))
		return errno == EPIPE ? status : cli_fail(CLI_REFUSED, "output: %m");
	return status;
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct cli cli = {0};
	bool ok = true;
	int status;

	signal(SIGPIPE, SIG_DFL);
	text_init();
	if (argc > 1 && !strcmp(argv[1], COMPLETE_WORD))
		return complete_words(argc - 2, argv + 2);
	arguments_init(&a);
	for (int i = 1; ok && i < argc; i++)
		ok = arguments_word(&a, argv[i]);
	status = ok || asks_for_help(&a) ? run(&cli, &a) : bad_usage(&a, a.error);
	status = finish(status);
	client_free(cli.client);
	json_decref(a.params);
	json_decref(a.options);
	return status;
}
