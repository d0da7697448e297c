/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of test_kinds.c: hooks. */

/* r0 = 1; exit, in an object without names. */
#define PROGRAM                                                                                    \
	"f0VMRgIBAQAAAAAAAAAAAAEA9wABAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAEAAAAAA"             \
	"AEAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"             \
	"AAAAAAAAAAAAAAAAAAAAAAAAAQAAAAYAAAAAAAAAAAAAAAAAAADAAAAAAAAAABAAAAAAAAAAAAAA"             \
	"AAAAAAAIAAAAAAAAAAAAAAAAAAAAtwAAAAEAAACVAAAAAAAAAA=="

static const struct good hook_good[] = {
	GOOD_COMMON,
	{"scope", "[{\"vpc\":\"a\"},{\"subnet\":\"b\"}]"},
	{"direction", "\"ingress\""},
	{"program", "\"" PROGRAM "\""},
	{"section", "\"\""},
	{"budget_cycles", "10"},
	{"budget_cycles", "1000000"},
	{"enabled", "false"},
	{"role", "\"filter\""},
	{NULL},
};

static const struct bad hook_bad[] = {
	BAD_COMMON,
	{"scope", "null", NULL, "is required"},
	{"scope", "[]", NULL, "at least 1"},
	{"scope", "[{}]", "/scope/0/port", "is required"},
	{"scope", "[{\"port\":\"a\",\"vpc\":\"b\"}]", "/scope/0", "not several"},
	{"direction", "\"up\"", NULL, "unknown value"},
	{"role", "null", NULL, "is required"},
	{"role", "\"count\"", NULL, "unknown value"},
	{"role", "\"sample\"", "/mirror", "is required for a sampler"},
	{"mirror", "\"tap\"", NULL, "only a sampler"},
	{"program", "null", NULL, "is required"},
	{"program", "\"\"", NULL, "must not be empty"},
	{"program", "\"no base64\"", NULL, "no base64"},
	{"program", "\"f0VMRg==\"", NULL, "no ELF"},
	{"section", "\"other\"", "/program", "no program in section `other`"},
	{"budget_cycles", "9", NULL, "10 to 1000000"},
	{"budget_cycles", "1000001", NULL, "10 to 1000000"},
	{"enabled", "1", NULL, "must be"},
	{NULL},
};

static const struct good hook_sample_good[] = {{"mirror", "\"other\""}, {NULL}};
static const struct bad hook_sample_bad[] = {{"mirror", "1", NULL, "must be"}, {NULL}};
