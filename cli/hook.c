// SPDX-License-Identifier: Apache-2.0
#include "cli/hook.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/output.h"
#include "lib/bytes.h"
#include "lib/hook_program.h"

static const struct field_value roles[] = {
	{"filter", "drops the packets for which it says 0"},
	{"sample", "has the packets copied for which it does not say 0"},
	{},
};

static const struct field_value directions[] = {
	{"both", "what the ports send, and what they are given"},
	{"egress", "what they send"},
	{"ingress", "what they are given"},
	{},
};

const struct field hook_attach_args[] = {
	{.name = "name", .type = FIELD_NAME, .flags = FIELD_REQUIRED, .help = "of the hook"},
	{.name = "file",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.help = "an object that clang -target bpf has made; - is standard input"},
	{},
};

const struct field hook_attach_flags[] = {
	{.name = "port",
		.type = FIELD_REF,
		.ref = "port",
		.flags = FIELD_LIST,
		.help = "ports whose packets it is asked about"},
	{.name = "subnet",
		.type = FIELD_REF,
		.ref = "subnet",
		.flags = FIELD_LIST,
		.help = "subnets whose ports' packets"},
	{.name = "vpc",
		.type = FIELD_REF,
		.ref = "vpc",
		.flags = FIELD_LIST,
		.help = "VPCs whose ports' packets"},
	{.name = "role",
		.type = FIELD_ENUM,
		.values = roles,
		.flags = FIELD_REQUIRED,
		.help = "what its answer is about"},
	{.name = "mirror",
		.type = FIELD_REF,
		.ref = "mirror",
		.help = "of a sampler: who gets the copies"},
	{.name = "direction",
		.type = FIELD_ENUM,
		.values = directions,
		.help = "which packets; when omitted: both"},
	{.name = "section",
		.type = FIELD_STRING,
		.help = "the section of the object that is the program; when omitted: the only "
			"one"},
	{.name = "tenant",
		.type = FIELD_NAME,
		.help = "whose it is, as what it looks at is; when omitted: default"},
	{.name = "budget",
		.type = FIELD_INTEGER,
		.min = 10,
		.max = 1000000,
		.unit = "cycles",
		.help = "a packet may take so long on average"},
	{},
};

const struct field hook_detach_args[] = {
	{.name = "name",
		.type = FIELD_REF,
		.ref = "hook",
		.flags = FIELD_REQUIRED,
		.help = "of the hook, which is deleted"},
	{},
};

/* In base64, malloc()ed; NULL: said on stderr. */
static char *read_object(const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *in = standard ? stdin : fopen(path, "re");
	uint8_t *data = malloc(HOOK_OBJECT_MAX + 1);
	size_t size = in && data ? fread(data, 1, HOOK_OBJECT_MAX + 1, in) : 0;
	int error = !data ? ENOMEM : !in || ferror(in) ? errno : 0;
	char *text = NULL;

	if (error != 0)
		cli_fail(CLI_USAGE, "%s: %s", path, strerrordesc_np(error));
	else if (size > HOOK_OBJECT_MAX)
		cli_fail(CLI_USAGE, "%s: has more than %u bytes: strip its debugging sections (%s)",
			path, HOOK_OBJECT_MAX, "llvm-strip -g");
	else
		text = base64_text(data, size);
	if (in && !standard)
		fclose(in);
	free(data);
	return text;
}

static void add_scopes(json_t *scope, const json_t *params, const char *kind)
{
	json_t *name;
	size_t i;

	json_array_foreach (json_object_get(params, kind), i, name)
		json_array_append_new(scope, json_pack("{s:O}", kind, name));
}

static void take_over(json_t *hook, const char *to, const json_t *params, const char *from)
{
	if (json_object_get(params, from))
		json_object_set(hook, to, json_object_get(params, from));
}

int hook_attach_run(struct cli *cli, const struct command *command, json_t *params)
{
	json_t *scope = json_array(), *hook, *result = NULL;
	char *program;
	int status;

	(void)command;
	add_scopes(scope, params, "port");
	add_scopes(scope, params, "subnet");
	add_scopes(scope, params, "vpc");
	if (json_array_size(scope) == 0) {
		json_decref(scope);
		return cli_fail(CLI_USAGE, "one of --port, --subnet and --vpc says where");
	}
	program = read_object(resource_text(params, "file"));
	if (!program) {
		json_decref(scope);
		return CLI_USAGE;
	}
	hook = json_pack("{s:O, s:O, s:o, s:s}", "name", json_object_get(params, "name"), "role",
		json_object_get(params, "role"), "scope", scope, "program", program);
	free(program);
	take_over(hook, "mirror", params, "mirror");
	take_over(hook, "direction", params, "direction");
	take_over(hook, "section", params, "section");
	take_over(hook, "tenant", params, "tenant");
	take_over(hook, "budget_cycles", params, "budget");
	status = client_call(cli, "hook.create", hook, &result);
	if (status == CLI_OK)
		status = output_value(cli, method_find("hook.create")->result, result);
	json_decref(result);
	return status;
}

int hook_detach_run(struct cli *cli, const struct command *command, json_t *params)
{
	const char *name = resource_text(params, "name");
	json_t *result = NULL;
	int status = client_call(cli, "hook.delete", json_pack("{s:s}", "name", name), &result);

	(void)command;
	if (status == CLI_OK &&
		(cli->options.format == FORMAT_JSON || cli->options.format == FORMAT_YAML))
		status = output_value(cli, method_find("hook.delete")->result, result);
	else if (status == CLI_OK)
		printf("detached hook %s\n", name);
	json_decref(result);
	return status;
}
