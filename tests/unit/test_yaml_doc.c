// SPDX-License-Identifier: Apache-2.0
/* YAML to JSON: types of scalars, lines of values, documents, bombs and mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/yaml_doc.h"
#include "random.h"

static struct yaml_doc *parse(const char *text, size_t *count)
{
	struct yaml_doc *docs;
	struct yaml_error error;

	if (yaml_docs_parse(text, strlen(text), &docs, count, &error) < 0)
		fail_msg("line %u: %s\n%s", error.line, error.message, text);
	return docs;
}

/* The only document, as compact JSON; free it. */
static char *to_json(const char *text)
{
	size_t count;
	struct yaml_doc *docs = parse(text, &count);
	char *json;

	assert_int_equal(count, 1);
	json = json_dumps(docs[0].root, JSON_COMPACT | JSON_ENCODE_ANY);
	yaml_docs_free(docs, count);
	return json;
}

static void test_scalars(void **state)
{
	static const struct {
		const char *yaml, *json;
	} cases[] = {
		{"~", "null"},
		{"null", "null"},
		{"NULL", "null"},
		{"nULL", "\"nULL\""},
		{"", "null"},
		{"true", "true"},
		{"False", "false"},
		{"yes", "\"yes\""},
		{"no", "\"no\""},
		{"on", "\"on\""},
		{"Off", "\"Off\""},
		{"y", "\"y\""},
		{"0", "0"},
		{"-0", "0"},
		{"42", "42"},
		{"-17", "-17"},
		{"+5", "5"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"007", "\"007\""},
		{"00", "\"00\""},
		{"-08", "\"-08\""},
		{"0x1F", "31"},
		{"0xg", "\"0xg\""},
		{"0x", "\"0x\""},
		{"0o17", "15"},
		{"0o18", "\"0o18\""},
		{"0b1", "\"0b1\""},
		{"1_000", "\"1_000\""},
		{"1.5", "1.5"},
		{"-.5", "-0.5"},
		{"1.", "1.0"},
		{"1e3", "1000.0"},
		{"1e", "\"1e\""},
		{".", "\".\""},
		{"-", "[null]"},
		{"-x", "\"-x\""},
		{"+", "\"+\""},
		{"1.2.3", "\"1.2.3\""},
		{".inf", "\".inf\""},
		{".nan", "\".nan\""},
		{"1:2", "\"1:2\""},
		{"12:30:45", "\"12:30:45\""},
		{"02:00:00:00:00:01", "\"02:00:00:00:00:01\""},
		{"fd00::1", "\"fd00::1\""},
		{"10.0.0.0/16", "\"10.0.0.0/16\""},
		{"192.0.2.1", "\"192.0.2.1\""},
		{"2001-12-14", "\"2001-12-14\""},
		{"'42'", "\"42\""},
		{"\"true\"", "\"true\""},
		{"''", "\"\""},
		{"!!str 42", "\"42\""},
		{"\"a\\u00e4\\n\"", "\"a\xc3\xa4\\n\""},
		{"|\n  a\n  b\n", "\"a\\nb\\n\""},
		{">-\n  a\n  b\n", "\"a b\""},
		{"\xef\xbb\xbfx", "\"x\""},
	};
	char text[256], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *json;

		snprintf(text, sizeof(text), "k: %s\n", cases[i].yaml);
		snprintf(expected, sizeof(expected), "{\"k\":%s}", cases[i].json);
		if (strcmp(cases[i].yaml, "-") == 0)
			strcpy(text, "k:\n -\n");
		if (strncmp(cases[i].yaml, "\xef", 1) == 0)
			strcpy(text, "\xef\xbb\xbfk: x\n");
		json = to_json(text);
		assert_string_equal(json, expected);
		free(json);
	}
}

static void test_structures(void **state)
{
	static const struct {
		const char *yaml, *json;
	} cases[] = {
		{"a: {b: [1, {c: d}]}\nl:\n- x\n- y: 1\n  z: 2\n",
			"{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"l\":[\"x\",{\"y\":1,\"z\":2}]}"},
		/* JSON is YAML, also with tabs and odd spacing. */
		{"{\"a\":1,\"b\":[true,null,\"x\\/y\",-2.5e3],\"c\":{\"d\":\"\"}}",
			"{\"a\":1,\"b\":[true,null,\"x/y\",-2500.0],\"c\":{\"d\":\"\"}}"},
		{"{\n\t\"a\": [\n\t\t1,\n\t\t2\n\t]\n}\n", "{\"a\":[1,2]}"},
		{"{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xf0\x9f\x98\x80\"}"},
		{"{\"a\" : {}, \"b\":[]}", "{\"a\":{},\"b\":[]}"},
		/* Keys are strings whatever they look like. */
		{"80: http\ntrue: x\n", "{\"80\":\"http\",\"true\":\"x\"}"},
		{"\"a/b\": 1\n", "{\"a/b\":1}"},
		/* Aliases are copies. */
		{"a: &x {n: 1}\nb: *x\nc: [*x, *x]\n",
			"{\"a\":{\"n\":1},\"b\":{\"n\":1},\"c\":[{\"n\":1},{\"n\":1}]}"},
		{"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
		{"# nothing but\n[]\n# comments\n", "[]"},
		{"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *json = to_json(cases[i].yaml);

		assert_string_equal(json, cases[i].json);
		free(json);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *yaml;
		unsigned line;
		const char *message;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", 3, "duplicate key \"a\""},
		{"x: {b: 1,\n b: 2}\n", 2, "duplicate key \"b\""},
		{"a: 1\n? [x]\n: 2\n", 2, "a key must be a plain or quoted string"},
		{"a: *none\n", 1, "unknown alias \"none\""},
		{"a: &x [*x]\n", 1, "unknown alias \"x\""},
		{"---\na: &x 1\n---\na: *x\n", 4, "unknown alias \"x\""},
		{"a: 1\nb: !!binary aGk=\n", 2, "tag tag:yaml.org,2002:binary is not supported"},
		{"a: 1\nb: \"\\ud83d\"\n", 2, NULL},
		{"{\"b\": 1,\n\"a\": \"\\ud83d\"}\n", 2, NULL},
		{"a: !vault x\n", 1, "tag !vault is not supported"},
		{"a: !!set {x}\n", 1, "tag tag:yaml.org,2002:set is not supported"},
		{"a: 1\nb: 99999999999999999999\n", 2, "number out of range: 99999999999999999999"},
		{"a: 1e999\n", 1, "number out of range: 1e999"},
		{"a: 0xffffffffffffffffff\n", 1, "number out of range: 0xffffffffffffffffff"},
		{"a: \"x\\0y\"\n", 1, "a string must not contain a NUL byte"},
		{"\"a\\0\": 1\n", 1, "a key must not contain a NUL byte"},
		{"a: [1, 2\nb: 3\n", 2, NULL},
		{"a: b: c\n", 1, NULL},
		{"a:\n\t- x\n", 2, NULL},
		{"a: \"unclosed\n", 2, NULL},
		{"a: 1\n b: 2\n", 2, NULL},
		{"a: 1\n\nb: \xff\n", 3, NULL},
		{"a: 1\nb: \x01\n", 2, NULL},
		{"%YAML 3.0\n---\na: 1\n", 1, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct yaml_doc *docs;
		struct yaml_error error = {0};
		size_t count;

		assert_int_equal(yaml_docs_parse(cases[i].yaml, strlen(cases[i].yaml), &docs,
					 &count, &error),
			-EINVAL);
		if (error.line != cases[i].line)
			fail_msg("case %zu: line %u, %s", i, error.line, error.message);
		if (cases[i].message != NULL)
			assert_string_equal(error.message, cases[i].message);
		assert_true(strlen(error.message) > 5);
		assert_null(docs);
		assert_int_equal(count, 0);
	}
}

static void test_documents(void **state)
{
	size_t count;
	struct yaml_doc *docs = parse("# first\nkind: vpc\n---\n---\nkind: port\nx: 1\n...\n---\n"
				      "# empty\n---\n- 1\n- 2\n",
		&count);

	(void)state;
	assert_int_equal(count, 3);
	assert_string_equal(json_string_value(json_object_get(docs[0].root, "kind")), "vpc");
	assert_string_equal(json_string_value(json_object_get(docs[1].root, "kind")), "port");
	assert_int_equal(json_array_size(docs[2].root), 2);
	assert_int_equal(docs[0].line, 2);
	assert_int_equal(docs[1].line, 5);
	assert_int_equal(yaml_doc_line(&docs[1], "/x"), 6);
	assert_int_equal(yaml_doc_line(&docs[2], "/1"), 12);
	yaml_docs_free(docs, count);
	docs = parse("", &count);
	assert_int_equal(count, 0);
	yaml_docs_free(docs, count);
	docs = parse("# only a comment\n", &count);
	assert_int_equal(count, 0);
	yaml_docs_free(docs, count);
}

static void test_lines(void **state)
{
	static const char text[] = "node: host-a\n"         /* 1 */
				   "underlay:\n"            /* 2 */
				   "  ifname: eth0\n"       /* 3 */
				   "  address:\n"           /* 4 */
				   "    192.0.2.1/24\n"     /* 5 */
				   "external:\n"            /* 6 */
				   "  - {name: internet,\n" /* 7 */
				   "     vlan: 0}\n"        /* 8 */
				   "  - &anchor\n"          /* 9 */
				   "    name: other\n"      /* 10 */
				   "    nested: [[1],\n"    /* 11 */
				   "             [2, 3]]\n" /* 12 */
				   "\"a/b~c\": 1\n"         /* 13 */
				   "copy: *anchor\n"        /* 14 */
				   "10: ten\n"              /* 15 */
				   "\"\": empty\n";         /* 16 */
	static const struct {
		const char *pointer;
		unsigned line;
	} cases[] = {
		{"", 1},
		{"/node", 1},
		{"/underlay", 2},
		{"/underlay/ifname", 3},
		{"/underlay/address", 4},
		{"/underlay/missing", 2},
		{"/underlay/missing/deeper", 2},
		{"/external", 6},
		{"/external/0", 7},
		{"/external/0/name", 7},
		{"/external/0/vlan", 8},
		{"/external/1/name", 10},
		{"/external/1/nested/0/0", 11},
		{"/external/1/nested/1", 12},
		{"/external/1/nested/1/1", 12},
		{"/external/2", 6},
		{"/external/x", 6},
		{"/external/99999999999999999999", 6},
		{"/a~1b~0c", 13},
		{"/copy", 14},
		{"/copy/name", 14},
		{"/10", 15},
		{"/", 16},
		{"/none", 1},
		{"rubbish", 1},
	};
	size_t count;
	struct yaml_doc *docs = parse(text, &count);

	(void)state;
	assert_int_equal(count, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (yaml_doc_line(&docs[0], cases[i].pointer) != cases[i].line)
			fail_msg("%s: line %u", cases[i].pointer,
				yaml_doc_line(&docs[0], cases[i].pointer));
	}
	yaml_docs_free(docs, count);
}

static void test_paths(void **state)
{
	static const struct {
		const char *pointer, *path;
	} cases[] = {
		{"", ""},
		{"/node", "node"},
		{"/external/0/name", "external[0].name"},
		{"/a/1/2/b", "a[1][2].b"},
		{"/a~1b/c~0d", "a/b.c~d"},
		{"/0", "[0]"},
		{"/", ""},
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			yaml_pointer_path(cases[i].pointer, path, sizeof(path)), cases[i].path);
	for (size_t size = 1; size < 18; size++) {
		yaml_pointer_path("/external/0/name", path, size);
		assert_int_equal(strlen(path), size - 1 < 16 ? size - 1 : 16);
	}
}

/* Nine levels of nine aliases each: 387 million values from a kilobyte. */
static void test_alias_bombs(void **state)
{
	char text[2048] = "a0: &a0 [x]\n";
	struct yaml_doc *docs;
	struct yaml_error error = {0};
	char *big;
	size_t count, len;

	(void)state;
	for (int i = 1; i < 10; i++) {
		char line[128];

		snprintf(line, sizeof(line), "a%d: &a%d [", i, i);
		strcat(text, line);
		for (int k = 0; k < 9; k++) {
			snprintf(line, sizeof(line), "%s*a%d", k > 0 ? "," : "", i - 1);
			strcat(text, line);
		}
		strcat(text, "]\n");
	}
	assert_int_equal(yaml_docs_parse(text, strlen(text), &docs, &count, &error), -EINVAL);
	assert_string_equal(error.message, "aliases make the document too large");
	assert_in_range(error.line, 5, 7);

	/* One long string many times. */
	len = 1000000;
	big = malloc(len + 10000);
	memset(big, 'x', len);
	memcpy(big, "- &s '", 6);
	big[len - 1] = '\'';
	big[len] = '\0';
	for (int i = 0; i < 100; i++)
		strcat(big + len, "\n- *s");
	assert_int_equal(yaml_docs_parse(big, strlen(big), &docs, &count, &error), -EINVAL);
	assert_string_equal(error.message, "aliases make the document too large");
	free(big);
}

static void test_depth(void **state)
{
	struct yaml_doc *docs;
	struct yaml_error error = {0};
	char text[20001];
	size_t count;

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	docs = parse(text, &count);
	yaml_docs_free(docs, count);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_int_equal(yaml_docs_parse(text, 130, &docs, &count, &error), -EINVAL);
	assert_string_equal(error.message, "nested deeper than 64 levels");
	memset(text, '[', 20000);
	assert_int_equal(yaml_docs_parse(text, 20000, &docs, &count, &error), -EINVAL);
}

/* What went through YAML comes back; any bytes at all do no harm. */
static void test_random(void **state)
{
	static const char alphabet[] = "ab: -\n\n[]{},'\"&*#|>!?%@~01.\t\\\xc3\xa4";
	uint32_t rounds = test_size(50000, 1000000);

	(void)state;
	for (uint32_t r = 0; r < rounds; r++) {
		char text[48];
		size_t len = random_below(sizeof(text)), count;
		struct yaml_doc *docs;
		struct yaml_error error = {0};

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[random_below(sizeof(alphabet) - 1)];
		if (yaml_docs_parse(text, len, &docs, &count, &error) == 0) {
			for (size_t i = 0; i < count; i++) {
				char *json = json_dumps(docs[i].root, JSON_ENCODE_ANY);
				char *again = to_json(json);
				json_t *a = json_loads(json, JSON_DECODE_ANY, NULL);
				json_t *b = json_loads(again, JSON_DECODE_ANY, NULL);

				assert_true(json_equal(a, b));
				assert_true(yaml_doc_line(&docs[i], "/a/0") >= 1);
				json_decref(a);
				json_decref(b);
				free(json);
				free(again);
			}
			yaml_docs_free(docs, count);
		} else {
			assert_true(error.message[0] != '\0');
			assert_true(error.line >= 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_alias_bombs),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_random),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
