// SPDX-License-Identifier: Apache-2.0
/* Hooks: programs of users in the path of packets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "configs/hooks/vpc_hook.h"
#include "lib/bytes.h"
#include "lib/hook_program.h"
#include "lib/kinds.h"

/* HOOK_OBJECT_MAX in base64. */
#define PROGRAM_TEXT_MAX ((HOOK_OBJECT_MAX + 2) / 3 * 4)

/* The shortest object there is: r0 = 1; exit. Everything passes. */
#define EXAMPLE                                                                                    \
	"f0VMRgIBAQAAAAAAAAAAAAEA9wABAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAEAAAAAAAEAAAgAA"     \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"     \
	"AAAAAAAAAQAAAAYAAAAAAAAAAAAAAAAAAADAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAAAAAAAA"     \
	"AAAAtwAAAAEAAACVAAAAAAAAAA=="

static const struct field_value hook_states[] = {
	{"attached", "every node that has its ports runs it"},
	{"pending", "a node was not told yet, or is away"},
	{"detached", "a node does not run it any more; an update attaches it again"},
	{"error", "a node refuses it"},
	{"disabled", "nobody runs it, as `enabled` says"},
	{},
};

#define COUNT(field_name, text)                                                                    \
	{                                                                                          \
		.name = (field_name), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED,              \
		.help = (text)                                                                     \
	}

#define FIGURES                                                                                    \
	COUNT("ports", "ports it runs at"), COUNT("runs", "packets it was asked about"),           \
		COUNT("dropped", "of those: packets it dropped"),                                  \
		COUNT("sampled", "of those: packets it had copied"),                               \
		COUNT("mean_cycles", "cycles of the processor it took for a packet, so far")

static const struct field node_fields[] = {
	{.name = "node",
		.type = FIELD_REF,
		.ref = "node",
		.flags = FIELD_REQUIRED,
		.help = "a node that has ports of it"},
	{.name = "state",
		.type = FIELD_ENUM,
		.values = hook_states,
		.flags = FIELD_REQUIRED,
		.help = "whether it runs there"},
	{.name = "reason", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .help = "why not"},
	FIGURES,
	{},
};

static const struct field hook_status[] = {
	{.name = "state",
		.type = FIELD_ENUM,
		.values = hook_states,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "whether it runs"},
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_WIDE,
		.help = "why not, and on which node"},
	COUNT("ports", "ports it runs at, on all nodes"),
	{.name = "runs",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "packets it was asked about"},
	{.name = "dropped",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "of those: packets it dropped"},
	{.name = "sampled",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "of those: packets it had copied"},
	{.name = "mean_cycles",
		.type = FIELD_INTEGER,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "cycles of the processor it took for a packet, so far"},
	{.name = "nodes",
		.type = FIELD_OBJECT,
		.fields = node_fields,
		.flags = FIELD_REQUIRED | FIELD_LIST,
		.help = "what each node says"},
	{},
};

static const struct field_value hook_directions[] = {
	{"both", "what ports send, and what they are given"},
	{"egress", "what they send, before anything is done to it"},
	{"ingress", "what they are given, after everything was"},
	{},
};

static const struct field_value hook_roles[] = {
	{"filter", "drops the packets for which it says 0"},
	{"sample", "has those packets copied to its mirror for which it does not say 0"},
	{},
};

static const struct field hook_fields[] = {
	KIND_NAME("no-telnet"),
	KIND_TENANT("default; it must be that of its scope"),
	KIND_DESCRIPTION,
	{.name = "scope",
		.type = FIELD_OBJECT,
		.flags = FIELD_REQUIRED | FIELD_LIST | FIELD_SET,
		.fields = mirror_source_fields,
		.check = mirror_source_check,
		.min_items = 1,
		.max_items = 1024,
		.column = COLUMN_TABLE,
		.help = "the ports whose packets it is asked about",
		.example = "[{\"port\": \"web1\"}, {\"vpc\": \"prod\"}]"},
	{.name = "direction",
		.type = FIELD_ENUM,
		.values = hook_directions,
		.def = "\"both\"",
		.column = COLUMN_WIDE,
		.help = "which of their packets"},
	{.name = "role",
		.type = FIELD_ENUM,
		.values = hook_roles,
		.flags = FIELD_REQUIRED,
		.column = COLUMN_TABLE,
		.help = "what its answer is about"},
	{.name = "mirror",
		.type = FIELD_REF,
		.ref = "mirror",
		.column = COLUMN_WIDE,
		.help = "of a sampler: whose target gets the copies; its filter, sampling and "
			"length apply, its own sources do not matter",
		.example = "\"web-tap\""},
	{.name = "program",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.min = 1,
		.max = PROGRAM_TEXT_MAX,
		.help = "an ELF object of clang's target bpf in base64, at most 64 KiB"},
	{.name = "section",
		.type = FIELD_STRING,
		.max = 255,
		.def = "\"\"",
		.column = COLUMN_WIDE,
		.help = "the section of the object that is the program; empty: the only one",
		.example = "\"hook\""},
	{.name = "budget_cycles",
		.type = FIELD_INTEGER,
		.min = 10,
		.max = 1000000,
		.def = "4000",
		.unit = "cycles",
		.column = COLUMN_WIDE,
		.help = "a node stops running it when a packet takes longer than this, on average "
			"and repeatedly"},
	{.name = "enabled",
		.type = FIELD_BOOLEAN,
		.def = "true",
		.column = COLUMN_WIDE,
		.help = "whether it is to run"},
	KIND_SERVER_FIELDS(hook_status),
	{},
};

static bool program_check(const json_t *hook, struct resource_error *error)
{
	const json_t *text = json_object_get(hook, "program");
	struct bytes object = {.data = NULL};
	struct hook_program program = {.insns = NULL};
	char reason[HOOK_REASON_MAX];
	int rc;

	if (!base64_append(&object, json_string_value(text), json_string_length(text))) {
		bytes_free(&object);
		return resource_fail(error, "/program", "is no base64");
	}
	rc = hook_read(
		object.data, object.length, resource_text(hook, "section"), &program, reason);
	if (rc == 0)
		rc = hook_verify(&program, sizeof(struct vpc_hook), reason);
	free(program.insns);
	bytes_free(&object);
	return rc == 0 || resource_fail(error, "/program", "%s",
				  rc == -ENOMEM ? "no memory to look at it" : reason);
}

static bool hook_check(const json_t *hook, struct resource_error *error)
{
	bool sample = strcmp(resource_text(hook, "role"), "sample") == 0;
	bool mirror = json_object_get(hook, "mirror") != NULL;

	if (sample && !mirror)
		return resource_fail(error, "/mirror", "is required for a sampler");
	if (mirror && !sample)
		return resource_fail(error, "/mirror", "only a sampler has one");
	return program_check(hook, error);
}

const struct kind kind_hook = {
	.name = "hook",
	.plural = "hooks",
	.help = "A program of yours (eBPF) that ports' packets pass: it drops some, or picks some "
		"for a mirror. It is verified, and stopped when "
		"it takes too long.",
	.fields = hook_fields,
	.example =
		"{\"name\": \"no-telnet\", \"scope\": [{\"vpc\": \"prod\"}], \"role\": \"filter\", "
		"\"program\": \"" EXAMPLE "\"}",
	.check = hook_check,
};
