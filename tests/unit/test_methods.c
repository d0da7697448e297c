// SPDX-License-Identifier: Apache-2.0
/* The registry of methods, the validation of their params, and what is made from both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/methods.h"
#include "lib/openrpc.h"
#include "lib/reference.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static void test_registry(void **state)
{
	static const char *const names[] = {"apply", "export", "watch", "status", "explain",
		"session.list", "session.flush", "drops.list", "usage.list", "event.list",
		"rpc.discover", "vpc.create", "vpc.get", "vpc.list", "vpc.update", "vpc.delete",
		"subnet.create", "port.attach", "port.detach", "peering.accept",
		"security_group.add_rules", "security_group.remove_rules", "prefix_list.update",
		"route.delete", "node.list", "tenant.get"};
	const struct method *method;
	size_t kinds = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		method = method_find(names[i]);
		assert_non_null(method);
		assert_string_equal(method->name, names[i]);
	}
	assert_null(method_find("vpc.explode"));
	assert_null(method_find("vpc"));
	assert_null(method_find(""));
	METHOD_FOREACH(method)
	{
		assert_ptr_equal(method_find(method->name), method);
		assert_non_null(method->help);
		assert_non_null(method->result);
		assert_non_null(method->params);
		if (method->kind)
			assert_ptr_equal(method_of(method->kind, method->verb_name), method);
		kinds += method->verb == METHOD_CREATE;
	}
	assert_int_equal(kinds, kind_count() - 1); /* alerts are made by the server */
	assert_null(method_of(kind_find("vpc"), "accept"));
}

static void test_examples(void **state)
{
	struct resource_error error;
	const struct method *method;

	(void)state;
	METHOD_FOREACH(method)
	{
		json_t *params, *out;

		if (!method->example)
			continue;
		params = parse(method->example);
		if (!method_validate(method, params, &out, NULL, &error))
			fail_msg("%s: %s: %s", method->name, error.path, error.reason);
		json_decref(params);
		json_decref(out);
	}
}

static void test_params_good(void **state)
{
	static const struct {
		const char *method, *params, *expected;
	} cases[] = {
		{"status", "null", "{}"},
		{"status", "{}", "{}"},
		{"vpc.get", "{\"name\":\"v\"}", "{\"name\":\"v\"}"},
		{"vpc.list", "{}", "{}"},
		{"vpc.list", "{\"limit\":5,\"cursor\":\"x\",\"tenant\":\"acme\"}",
			"{\"limit\":5,\"cursor\":\"x\",\"tenant\":\"acme\"}"},
		{"vpc.list", "{\"cidrs\":\"FD00::/48\"}", "{\"cidrs\":\"fd00::/48\"}"},
		{"port.list", "{\"vpc\":\"v\",\"addresses\":\"FD00::1\",\"enabled\":true}",
			"{\"vpc\":\"v\",\"addresses\":\"fd00::1\",\"enabled\":true}"},
		{"vpc.delete", "{\"name\":\"v\",\"wait\":true}", "{\"name\":\"v\"}"},
		{"vpc.delete", "{\"names\":[\"a\",\"b\"]}", "{\"names\":[\"a\",\"b\"]}"},
		{"vpc.update", "{\"name\":\"v\",\"description\":null,\"revision\":3}",
			"{\"name\":\"v\",\"description\":\"\",\"revision\":3}"},
		{"vpc.create", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\"],\"wait\":true}",
			"{\"name\":\"v\",\"description\":\"\",\"cidrs\":[\"10.0.0.0/8\"]}"},
		{"subnet.create", "{\"name\":\"s\",\"vpc\":\"v\",\"cidr6\":\"fd00::/64\"}",
			"{\"name\":\"s\",\"description\":\"\",\"vpc\":\"v\",\"cidr6\":\"fd00::/"
			"64\",\"gateway6\":\"fd00::1\",\"dhcp\":true,\"dns_servers\":[]}"},
		{"security_group.add_rules",
			"{\"name\":\"g\",\"rules\":[{\"direction\":\"egress\",\"protocol\":6}]}",
			"{\"name\":\"g\",\"rules\":[{\"direction\":\"egress\",\"action\":\"allow\","
			"\"priority\":1000,\"protocol\":\"tcp\"}]}"},
		{"apply",
			"{\"resources\":[{\"kind\":\"prefix_list\",\"name\":\"a\",\"revision\":7}]"
			"}",
			"{\"resources\":[{\"kind\":\"prefix_list\",\"name\":\"a\",\"description\":"
			"\"\",\"cidrs\":[]}],\"dry_run\":false,\"prune\":false}"},
		{"watch", "{}", "{\"kinds\":[]}"},
		{"event.list", "{\"since\":0}", "{\"since\":\"1970-01-01T00:00:00.000Z\"}"},
		{"event.list", "{\"since\":\"2026-01-31T12:00:00.25Z\"}",
			"{\"since\":\"2026-01-31T12:00:00.250Z\"}"},
		{"event.list", "{\"since\":\"2026-01-31T12:00:00.250700Z\"}",
			"{\"since\":\"2026-01-31T12:00:00.249Z\"}"},
		{"event.list", "{\"since\":\"2026-01-31T01:00:00+01:30\"}",
			"{\"since\":\"2026-01-30T23:30:00.000Z\"}"},
		{"event.list", "{\"since\":1.5}", "{\"since\":\"1970-01-01T00:00:01.499Z\"}"},
		{"explain", "{\"from\":\"p\",\"to\":\"FD00::1\"}",
			"{\"from\":\"p\",\"to\":\"fd00::1\"}"},
		{"explain",
			"{\"from\":\"external\",\"to\":\"10.0.0.1\",\"source_address\":\"1.1.1.1\","
			"\"protocol\":6,\"port\":80}",
			"{\"from\":\"external\",\"to\":\"10.0.0.1\",\"source_address\":\"1.1.1.1\","
			"\"protocol\":\"tcp\",\"port\":80}"},
	};
	struct resource_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *params = parse(cases[i].params), *out, *want = parse(cases[i].expected);

		if (!method_validate(method_find(cases[i].method), params, &out, NULL, &error))
			fail_msg("%s %s: %s: %s", cases[i].method, cases[i].params, error.path,
				error.reason);
		if (!json_equal(out, want))
			fail_msg("%s %s became %s", cases[i].method, cases[i].params,
				json_dumps(out, 0));
		json_decref(params);
		json_decref(out);
		json_decref(want);
	}
}

static void test_params_bad(void **state)
{
	static const struct {
		const char *method, *params, *path, *reason;
		enum error_code code;
	} cases[] = {
		{"status", "[]", "", "params must be an object", ERROR_INVALID_PARAMS},
		{"vpc.get", "\"v\"", "", "params must be an object", ERROR_INVALID_PARAMS},
		{"status", "{\"x\":1}", "/x", "unknown field", ERROR_INVALID},
		{"vpc.get", "{}", "/name", "is required", ERROR_INVALID},
		{"vpc.get", "{\"nmae\":\"v\"}", "/nmae", "did you mean \"name\"?", ERROR_INVALID},
		{"vpc.list", "{\"limit\":0}", "/limit", "1 to 10000", ERROR_INVALID},
		{"vpc.list", "{\"status\":{}}", "/status", "unknown field", ERROR_INVALID},
		{"port.list", "{\"addresses\":[\"10.0.0.1\"]}", "/addresses", "must be a string",
			ERROR_INVALID},
		{"vpc.delete", "{}", "/name", "give name or names", ERROR_INVALID},
		{"vpc.delete", "{\"name\":\"a\",\"names\":[\"b\"]}", "/names", "not both",
			ERROR_INVALID},
		{"vpc.delete", "{\"names\":[]}", "/names", "at least 1", ERROR_INVALID},
		{"vpc.delete", "{\"names\":[\"a\",\"a\"]}", "/names/1", "twice", ERROR_INVALID},
		{"vpc.create", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\"],\"wait\":\"yes\"}",
			"/wait", "must be true or false", ERROR_INVALID},
		{"vpc.create", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\"],\"wait_timeout_ms\":-1}",
			"/wait_timeout_ms", "out of range", ERROR_INVALID},
		{"vpc.create", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\",\"10.0.0.0/9\"]}",
			"/cidrs/1", "overlaps", ERROR_INVALID},
		{"vpc.create", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\"],\"status\":{}}",
			"/status", "read-only", ERROR_INVALID},
		{"subnet.create", "{\"name\":\"s\",\"vpc\":\"v\"}", "/cidr", "a subnet needs",
			ERROR_INVALID},
		{"port.attach", "{\"name\":\"p\"}", "/attachment", "is required", ERROR_INVALID},
		{"security_group.add_rules", "{\"name\":\"g\",\"rules\":[]}", "/rules",
			"at least 1", ERROR_INVALID},
		{"security_group.remove_rules",
			"{\"name\":\"g\",\"rules\":[{\"direction\":\"ingress\",\"ports\":\"1\"}]}",
			"/rules/0/ports", "only with", ERROR_INVALID},
		{"apply", "{}", "/resources", "is required", ERROR_INVALID},
		{"apply", "{\"resources\":[{}]}", "/resources/0/kind", "is required",
			ERROR_INVALID},
		{"apply", "{\"resources\":[{\"kind\":\"vcp\"}]}", "/resources/0/kind",
			"did you mean \"vpc\"?", ERROR_INVALID},
		{"apply", "{\"resources\":[{\"kind\":7}]}", "/resources/0/kind", "must be a string",
			ERROR_INVALID},
		{"apply", "{\"resources\":[7]}", "/resources/0", "must be an object",
			ERROR_INVALID},
		{"apply",
			"{\"resources\":[{\"kind\":\"vpc\",\"name\":\"a\",\"cidrs\":[\"10.0.0.0/"
			"8\"]},{\"kind\":\"vpc\",\"name\":\"b\",\"cidrs\":[\"10.0.0.1/8\"]}]}",
			"/resources/1/cidrs/0", "host bits", ERROR_INVALID},
		{"apply",
			"{\"resources\":[{\"kind\":\"prefix_list\",\"name\":\"a\"},{\"kind\":"
			"\"security_group\",\"name\":\"a\"},{\"kind\":\"prefix_list\",\"name\":"
			"\"a\"}]}",
			"/resources/2/name", "twice", ERROR_INVALID},
		{"apply", "{\"resources\":[],\"dry_run\":1}", "/dry_run", "must be true or false",
			ERROR_INVALID},
		{"watch", "{\"kinds\":[\"vpc\",\"nothing\"]}", "/kinds/1", "unknown kind",
			ERROR_INVALID},
		{"event.list", "{\"since\":\"yesterday\"}", "/since", "is no time", ERROR_INVALID},
		{"event.list", "{\"since\":\"2026-01-31T12:00:00+0100\"}", "/since", "is no time",
			ERROR_INVALID},
		{"event.list", "{\"severity\":\"bad\"}", "/severity", "info, warning, error",
			ERROR_INVALID},
		{"explain", "{\"to\":\"10.0.0.1\"}", "/from", "is required", ERROR_INVALID},
		{"explain", "{\"from\":\"p\",\"to\":\"10.0.0.1\",\"protocol\":\"tcp\"}", "/port",
			"is required with protocol tcp", ERROR_INVALID},
		{"explain", "{\"from\":\"p\",\"to\":\"10.0.0.1\",\"protocol\":\"icmp\",\"port\":1}",
			"/port", "only with", ERROR_INVALID},
		{"explain", "{\"from\":\"p\",\"to\":\"10.0.0.1\",\"protocol\":47,\"port\":1}",
			"/port", "only with", ERROR_INVALID},
		{"explain", "{\"from\":\"p\",\"to\":\"10.0.0.1\",\"protocol\":\"any\"}",
			"/protocol", "not any", ERROR_INVALID},
		{"explain", "{\"from\":\"external\",\"to\":\"10.0.0.1\"}", "/source_address",
			"is required", ERROR_INVALID},
		{"explain", "{\"from\":\"p\",\"to\":\"10.0.0.1\",\"source_address\":\"fd00::1\"}",
			"/source_address", "different families", ERROR_INVALID},
	};
	struct resource_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *params = parse(cases[i].params), *out;

		if (method_validate(method_find(cases[i].method), params, &out, NULL, &error))
			fail_msg("%s %s must be refused", cases[i].method, cases[i].params);
		assert_null(out);
		if (error.code != cases[i].code || strcmp(error.path, cases[i].path) ||
			!strstr(error.reason, cases[i].reason))
			fail_msg("%s %s: got %d %s: %s", cases[i].method, cases[i].params,
				error.code, error.path, error.reason);
		json_decref(params);
	}
}

static void test_control(void **state)
{
	static const struct {
		const char *params;
		bool wait;
		uint32_t timeout;
	} cases[] = {
		{"{\"name\":\"v\"}", false, 5000},
		{"{\"name\":\"v\",\"wait\":true}", true, 5000},
		{"{\"name\":\"v\",\"wait\":true,\"wait_timeout_ms\":0}", true, 0},
		{"{\"name\":\"v\",\"wait_timeout_ms\":100}", false, 100},
	};
	static const char *const methods[] = {"vpc.update", "vpc.delete"};
	struct method_control control;
	struct resource_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t j = 0; j < COUNT(methods); j++) {
			json_t *params = parse(cases[i].params), *out;

			assert_true(method_validate(
				method_find(methods[j]), params, &out, &control, &error));
			assert_int_equal(control.wait, cases[i].wait);
			assert_int_equal(control.wait_timeout_ms, cases[i].timeout);
			assert_int_equal(json_object_size(out), 1);
			json_decref(params);
			json_decref(out);
		}
}

static void test_requires(void **state)
{
	const struct method *create = method_find("vpc.create"),
			    *update = method_find("vpc.update");

	(void)state;
	assert_true(method_requires(create, field_find(create->params, "cidrs")));
	assert_false(method_requires(update, field_find(update->params, "cidrs")));
	assert_true(method_requires(update, field_find(update->params, "name")));
	assert_false(method_requires(create, field_find(create->params, "vni")));
}

/* ---- What is made from the tables ---- */

static void check_refs(const json_t *document, const json_t *value)
{
	const char *key, *ref;
	json_t *item;
	size_t index;

	ref = json_is_object(value) ? resource_text(value, "$ref") : NULL;
	if (ref) {
		const json_t *target = document;
		char copy[128], *step, *rest = NULL;

		snprintf(copy, sizeof(copy), "%s", ref + 2);
		for (step = strtok_r(copy, "/", &rest); step; step = strtok_r(NULL, "/", &rest))
			target = json_object_get(target, step);
		if (!target)
			fail_msg("%s leads nowhere", ref);
	}
	json_object_foreach ((json_t *)value, key, item)
		check_refs(document, item);
	json_array_foreach ((json_t *)value, index, item)
		check_refs(document, item);
}

static void test_openrpc(void **state)
{
	json_t *document = openrpc_document(), *methods = json_object_get(document, "methods");
	const struct kind *kind;

	(void)state;
	assert_string_equal(resource_text(document, "openrpc"), "1.2.6");
	assert_int_equal(json_array_size(methods), method_count());
	for (size_t i = 0; i < method_count(); i++) {
		const json_t *method = json_array_get(methods, i);
		const json_t *result = json_object_get(method, "result");

		assert_string_equal(resource_text(method, "name"), method_at(i)->name);
		assert_non_null(json_object_get(result, "schema"));
		assert_true(json_is_array(json_object_get(method, "params")));
	}
	KIND_FOREACH(kind)
	assert_non_null(json_object_get(
		json_object_get(json_object_get(document, "components"), "schemas"), kind->name));
	check_refs(document, document);
	json_decref(document);
}

static void assert_mentions_everything(void (*print)(FILE *out))
{
	const struct kind *kind;
	const struct field *field;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(out);
	fclose(out);
	KIND_FOREACH(kind)
	FIELD_FOREACH(field, kind->fields)
	{
		assert_non_null(strstr(text, kind->name));
		assert_non_null(strstr(text, field->name));
	}
	assert_non_null(strstr(text, "exhausted"));
	free(text);
}

static void test_reference(void **state)
{
	(void)state;
	assert_mentions_everything(reference_markdown);
	assert_mentions_everything(reference_man);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_params_good),
		cmocka_unit_test(test_params_bad),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_requires),
		cmocka_unit_test(test_openrpc),
		cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
