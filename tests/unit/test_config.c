// SPDX-License-Identifier: Apache-2.0
/* A configuration file's mistakes: where they are and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config.h"

static const struct field memory_fields[] = {
	{.name = "size_mb", .type = FIELD_INTEGER, .min = 1, .max = 1024, .def = "512"},
	{.name = "hugepages", .type = FIELD_BOOLEAN, .def = "true"},
	{.type = FIELD_END},
};

static const struct field network_fields[] = {
	{.name = "name", .type = FIELD_NAME, .flags = FIELD_REQUIRED},
	{.name = "address", .type = FIELD_ADDRESS},
	{.type = FIELD_END},
};

static const struct field fields[] = {
	{.name = "node", .type = FIELD_NAME, .def = "\"here\""},
	{.name = "memory", .type = FIELD_OBJECT, .fields = memory_fields, .def = "{}"},
	{.name = "external",
		.type = FIELD_OBJECT,
		.flags = FIELD_LIST,
		.fields = network_fields,
		.def = "[]"},
	{.type = FIELD_END},
};

static char dir[64];
static char path[96];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_config.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/f.yaml", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* Loads and checks a text as f.yaml; what is said on stderr, without the directory. */
static const char *load(const char *text, struct config *config, int *status)
{
	static char said[4096];
	FILE *file = fopen(path, "w");
	FILE *capture = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;
	char *at;

	fputs(text, file);
	fclose(file);
	dup2(fileno(capture), STDERR_FILENO);
	*status = config_load(config, path);
	if (*status == 0)
		*status = config_check(config, fields);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(capture);
	n = fread(said, 1, sizeof(said) - 1, capture);
	said[n] = '\0';
	fclose(capture);
	at = strstr(said, "f.yaml");
	return at != NULL ? at : said;
}

static void test_good(void **state)
{
	static const char expected[] =
		"{\"node\":\"a\",\"memory\":{\"size_mb\":16,\"hugepages\":true},"
		"\"external\":[{\"name\":\"x\",\"address\":\"192.0.2.1\"}]}";
	struct config config;
	int status;
	char *json;

	(void)state;
	assert_string_equal(load("node: a\nmemory: {size_mb: 16}\nexternal:\n- name: x\n"
				 "  address: 192.0.2.1\n",
				    &config, &status),
		"");
	assert_int_equal(status, 0);
	json = json_dumps(config.root, JSON_COMPACT);
	assert_string_equal(json, expected);
	free(json);
	config_free(&config);
}

static void test_defaults(void **state)
{
	static const char *const texts[] = {"", "# nothing\n", "{}\n", "---\n"};
	struct config config;
	int status;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_string_equal(load(texts[i], &config, &status), "");
		assert_int_equal(status, 0);
		assert_string_equal(
			json_string_value(json_object_get(config.root, "node")), "here");
		config_free(&config);
	}
	assert_int_equal(config_load(&config, NULL), 0);
	assert_int_equal(json_object_size(config.root), 0);
	assert_int_equal(config_check(&config, fields), 0);
	assert_string_equal(json_string_value(json_object_get(config.root, "node")), "here");
	config_free(&config);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *yaml, *said;
	} cases[] = {
		{"node: a\n\nmemroy: {}\n", "f.yaml:3: memroy: unknown field"},
		{"memory:\n  size_mb: 4096\n", "f.yaml:2: memory.size_mb: "},
		{"memory:\n  size_mb: lots\n", "f.yaml:2: memory.size_mb: "},
		{"memory:\n  hugepages: yes\n", "f.yaml:2: memory.hugepages: "},
		{"memory: 5\n", "f.yaml:1: memory: "},
		{"external:\n- name: a\n- name: B!\n", "f.yaml:3: external[1].name: "},
		{"external:\n- name: a\n- address: 1.2.3\n  name: b\n",
			"f.yaml:3: external[1].address: "},
		{"external:\n- name: a\n-\n  address: 1.2.3.4\n", "f.yaml:4: external[1]"},
		{"node: a\nnode: b\n", "f.yaml:2: duplicate key \"node\""},
		{"node: [\n", "f.yaml:2: "},
		{"- a\n", "f.yaml:1: must be a mapping of keys to values"},
		{"text\n", "f.yaml:1: must be a mapping of keys to values"},
		{"node: a\n---\nnode: b\n", "f.yaml:3: one document only"},
	};
	struct config config;
	int status;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *said = load(cases[i].yaml, &config, &status);

		assert_int_equal(status, -EINVAL);
		if (strncmp(said, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("%s\nsays %s\nnot  %s", cases[i].yaml, said, cases[i].said);
		/* One line each. */
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		assert_int_equal(config.errors, 1);
		config_free(&config);
	}
}

static void test_no_file(void **state)
{
	struct config config;
	int saved = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY);
	int status;

	(void)state;
	dup2(null, STDERR_FILENO);
	status = config_load(&config, "/tmp/there/is/no/such.yaml");
	dup2(saved, STDERR_FILENO);
	assert_int_equal(status, -ENOENT);
	close(saved);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
