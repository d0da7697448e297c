// SPDX-License-Identifier: Apache-2.0
/* Whole objects: updates, immutable fields, automatic ones, differences, export, filters, references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/kinds.h"
#include "lib/resource_list.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static json_t *make(const char *kind, const char *text)
{
	json_t *in = parse(text), *out;
	struct resource_error error;

	if (!resource_validate(kind_find(kind), RESOURCE_CREATE, in, &out, &error))
		fail_msg("%s: %s: %s", text, error.path, error.reason);
	json_decref(in);
	return out;
}

static void assert_json(const json_t *got, const char *expected)
{
	json_t *want = parse(expected);

	if (!got || !json_equal(got, want))
		fail_msg("got %s, not %s", got ? json_dumps(got, JSON_ENCODE_ANY) : "nothing",
			expected);
	json_decref(want);
}

#define PORT                                                                                       \
	"{\"name\":\"p\",\"subnet\":\"s\",\"node\":\"n\",\"mac\":\"02:00:00:00:00:01\","           \
	"\"addresses\":[\"10.0.0.5\"],\"description\":\"old\",\"rate\":{\"ingress_mbps\":7},"      \
	"\"attachment\":{\"type\":\"tap\",\"ifname\":\"t0\",\"netns\":\"a\"},"                     \
	"\"security_groups\":[\"a\",\"b\"]}"

/* ---- Update ---- */

static bool update(const char *kind_name, const json_t *old, const char *text, json_t **out,
	struct resource_error *error)
{
	const struct kind *kind = kind_find(kind_name);
	json_t *in = parse(text), *changes;
	bool ok;

	*out = NULL;
	ok = resource_validate(kind, RESOURCE_UPDATE, in, &changes, error) &&
	     resource_merge(kind, old, changes, out, error);
	json_decref(changes);
	json_decref(in);
	return ok;
}

static void test_update_good(void **state)
{
	static const struct {
		const char *changes, *field, *expected; /* expected NULL: absent */
	} cases[] = {
		{"{\"name\":\"p\"}", "description", "\"old\""},
		{"{\"name\":\"p\",\"description\":\"new\"}", "description", "\"new\""},
		{"{\"name\":\"p\",\"description\":null}", "description", "\"\""},
		{"{\"name\":\"p\",\"security_groups\":[\"c\"]}", "security_groups", "[\"c\"]"},
		{"{\"name\":\"p\",\"security_groups\":null}", "security_groups", "[]"},
		{"{\"name\":\"p\",\"rate\":{\"egress_mbps\":9}}", "rate",
			"{\"ingress_mbps\":7,\"egress_mbps\":9,\"ingress_pps\":0,\"egress_pps\":"
			"0}"},
		{"{\"name\":\"p\",\"rate\":{\"ingress_mbps\":null}}", "rate",
			"{\"ingress_mbps\":0,\"egress_mbps\":0,\"ingress_pps\":0,\"egress_pps\":"
			"0}"},
		{"{\"name\":\"p\",\"rate\":null}", "rate",
			"{\"ingress_mbps\":0,\"egress_mbps\":0,\"ingress_pps\":0,\"egress_pps\":"
			"0}"},
		{"{\"name\":\"p\",\"attachment\":{\"type\":\"tap\",\"ifname\":\"t1\"}}",
			"attachment", "{\"type\":\"tap\",\"ifname\":\"t1\",\"configure\":false}"},
		{"{\"name\":\"p\",\"attachment\":null}", "attachment", "{\"type\":\"none\"}"},
		{"{\"name\":\"p\",\"mac\":null}", "mac", NULL},
		{"{\"name\":\"p\",\"subnet\":\"s\"}", "subnet", "\"s\""},
		{"{\"name\":\"p\",\"revision\":4}", "revision", "4"},
		{"{\"name\":\"p\",\"revision\":null}", "revision", "4"},
		{"{\"name\":\"p\",\"node\":\"m\"}", "status", "{\"state\":\"active\"}"},
	};
	json_t *old = make("port", PORT), *before, *out;
	struct resource_error error;

	(void)state;
	json_object_set_new(old, "revision", json_integer(4));
	json_object_set_new(old, "status", parse("{\"state\":\"active\"}"));
	before = json_deep_copy(old);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const json_t *value;

		if (!update("port", old, cases[i].changes, &out, &error))
			fail_msg("%s: %s: %s", cases[i].changes, error.path, error.reason);
		value = json_object_get(out, cases[i].field);
		if (cases[i].expected)
			assert_json(value, cases[i].expected);
		else
			assert_null(value);
		json_decref(out);
		assert_true(json_equal(old, before));
	}
	json_decref(old);
	json_decref(before);
}

static void test_update_bad(void **state)
{
	static const struct {
		const char *kind, *old, *changes, *path, *reason;
		enum error_code code;
	} cases[] = {
		{"port", PORT, "{\"description\":\"x\"}", "/name", "is required", ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"subnet\":\"other\"}", "/subnet",
			"cannot be changed", ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"subnet\":null}", "/subnet", "cannot be null",
			ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"tenant\":\"other\"}", "/tenant",
			"cannot be changed", ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"revision\":3}", "/revision", "at revision 4",
			ERROR_CONFLICT},
		{"port", PORT, "{\"name\":\"p\",\"revision\":\"4\"}", "/revision",
			"must be a number", ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"status\":{}}", "/status", "read-only",
			ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"rate\":{\"x\":1}}", "/rate/x", "unknown field",
			ERROR_INVALID},
		{"port", PORT, "{\"name\":\"p\",\"attachment\":{\"ifname\":\"t1\"}}",
			"/attachment/type", "is required", ERROR_INVALID},
		{"vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/16\"],\"vni\":7,\"mtu\":1000}",
			"{\"name\":\"v\",\"cidrs\":[\"fd00::/48\"]}", "/mtu", "at least 1280",
			ERROR_INVALID},
		{"vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/16\"],\"vni\":7,\"mtu\":1000}",
			"{\"name\":\"v\",\"mtu\":1400}", "/mtu", "cannot be changed",
			ERROR_INVALID},
		{"vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/16\"],\"vni\":7}",
			"{\"name\":\"v\",\"vni\":null}", "/vni", "cannot be changed",
			ERROR_INVALID},
		{"node", "{\"name\":\"n\",\"vtep\":\"192.0.2.1\"}",
			"{\"name\":\"n\",\"vtep\":null}", "/rpc", "needs rpc", ERROR_INVALID},
		{"subnet", "{\"name\":\"s\",\"vpc\":\"v\",\"cidr\":\"10.0.0.0/24\"}",
			"{\"name\":\"s\",\"cidr\":\"10.0.1.0/24\"}", "/cidr", "cannot be changed",
			ERROR_INVALID},
		{"security_group", "{\"name\":\"g\"}",
			"{\"name\":\"g\",\"rules\":[{\"direction\":\"ingress\",\"ports\":\"1\"}]}",
			"/rules/0/ports", "only with", ERROR_INVALID},
	};
	struct resource_error error;
	json_t *out;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *old = make(cases[i].kind, cases[i].old);

		json_object_set_new(old, "revision", json_integer(4));
		if (update(cases[i].kind, old, cases[i].changes, &out, &error))
			fail_msg("%s must be refused", cases[i].changes);
		assert_null(out);
		if (error.code != cases[i].code || strcmp(error.path, cases[i].path) ||
			!strstr(error.reason, cases[i].reason))
			fail_msg("%s: got %d %s: %s", cases[i].changes, error.code, error.path,
				error.reason);
		json_decref(old);
	}
}

/* ---- apply ---- */

static void test_apply_mode(void **state)
{
	const struct kind *kind = kind_find("port");
	struct resource_error error;
	json_t *in =
		parse("{\"kind\":\"port\",\"name\":\"p\",\"subnet\":\"s\",\"revision\":\"any\","
		      "\"status\":7}");
	json_t *out;

	(void)state;
	assert_true(resource_validate(kind, RESOURCE_APPLY, in, &out, &error));
	assert_null(json_object_get(out, "kind"));
	assert_null(json_object_get(out, "revision"));
	assert_null(json_object_get(out, "status"));
	json_decref(out);
	assert_false(resource_validate(kind, RESOURCE_CREATE, in, &out, &error));
	assert_string_equal(error.path, "/kind");
	json_decref(in);
}

static void test_keep_automatic(void **state)
{
	const struct kind *kind = kind_find("port");
	json_t *old = make("port", PORT);
	json_t *new = make("port", "{\"name\":\"p\",\"subnet\":\"s\",\"node\":\"m\"}");

	(void)state;
	json_object_set_new(old, "tenant", json_string("acme"));
	resource_keep_automatic(kind, old, new);
	assert_json(json_object_get(new, "mac"), "\"02:00:00:00:00:01\"");
	assert_json(json_object_get(new, "addresses"), "[\"10.0.0.5\"]");
	assert_json(json_object_get(new, "tenant"), "\"acme\"");
	assert_json(json_object_get(new, "node"), "\"m\"");
	assert_json(json_object_get(new, "description"), "\"\"");
	json_decref(old);
	json_decref(new);
}

/* apply(export) is all unchanged. */
static void test_export_is_unchanged(void **state)
{
	struct resource_error error;
	const struct kind *kind;

	(void)state;
	KIND_FOREACH(kind)
	{
		json_t *object = make(kind->name, kind->example), *exported, *again;

		json_object_set_new(object, "revision", json_integer(9));
		json_object_set_new(object, "status", json_object());
		exported = resource_export(kind, object);
		assert_json(json_object_get(exported, "revision") ? json_true() : json_false(),
			"false");
		assert_string_equal(resource_text(exported, "kind"), kind->name);
		assert_true(resource_validate(kind, RESOURCE_APPLY, exported, &again, &error));
		resource_keep_automatic(kind, object, again);
		assert_true(resource_check_immutable(kind, object, again, &error));
		assert_true(resource_equal(kind, object, again));
		assert_int_equal(json_object_size(json_object_get(again, "diff")), 0);
		json_decref(object);
		json_decref(exported);
		json_decref(again);
	}
}

static void test_diff(void **state)
{
	const struct kind *kind = kind_find("vpc");
	json_t *a = make("vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/16\"]}");
	json_t *b = make("vpc", "{\"name\":\"v\",\"cidrs\":[\"10.1.0.0/16\"],\"vni\":7}");
	json_t *diff;

	(void)state;
	json_object_set_new(a, "revision", json_integer(1));
	json_object_set_new(b, "revision", json_integer(2));
	diff = resource_diff(kind, a, b);
	assert_json(diff, "{\"cidrs\":[[\"10.0.0.0/16\"],[\"10.1.0.0/16\"]],\"vni\":[null,7]}");
	json_decref(diff);
	diff = resource_diff(kind, a, a);
	assert_json(diff, "{}");
	json_decref(diff);
	diff = resource_diff(kind, NULL, a);
	assert_json(diff, "{\"name\":[null,\"v\"],\"description\":[null,\"\"],\"cidrs\":[null,["
			  "\"10.0.0.0/16\"]]}");
	json_decref(diff);
	diff = resource_diff(kind, a, NULL);
	assert_json(diff, "{\"name\":[\"v\",null],\"description\":[\"\",null],\"cidrs\":[[\"10."
			  "0.0.0/16\"],null]}");
	json_decref(diff);
	assert_false(resource_equal(kind, a, b));
	json_decref(a);
	json_decref(b);
}

static void test_matches(void **state)
{
	static const struct {
		const char *filters;
		bool matches;
	} cases[] = {
		{"{}", true},
		{"{\"subnet\":\"s\"}", true},
		{"{\"subnet\":\"t\"}", false},
		{"{\"security_groups\":\"b\"}", true},
		{"{\"security_groups\":\"c\"}", false},
		{"{\"addresses\":\"10.0.0.5\",\"node\":\"n\"}", true},
		{"{\"addresses\":\"10.0.0.5\",\"node\":\"m\"}", false},
		{"{\"enabled\":true}", true},
		{"{\"enabled\":false}", false},
		{"{\"limit\":1,\"vpc\":\"x\"}", true},
	};
	json_t *port = make("port", PORT);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *filters = parse(cases[i].filters);

		assert_int_equal(
			resource_matches(kind_find("port"), port, filters), cases[i].matches);
		json_decref(filters);
	}
	json_decref(port);
}

/* ---- References ---- */

static bool note_ref(const struct resource_ref *ref, void *arg)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s=%s:%s%s ", ref->path, ref->kind->name, ref->name,
		ref->any_tenant ? "*" : "");
	return true;
}

static bool stop_at_first(const struct resource_ref *ref, void *arg)
{
	(void)ref;
	++*(int *)arg;
	return false;
}

static void test_refs(void **state)
{
	static const struct {
		const char *kind, *object, *expected;
	} cases[] = {
		{"port", PORT,
			"/subnet=subnet:s /node=node:n* /security_groups/0=security_group:a "
			"/security_groups/1=security_group:b "},
		{"peering", "{\"name\":\"p\",\"vpcs\":[\"a\",\"b\"]}",
			"/vpcs/0=vpc:a* /vpcs/1=vpc:b* "},
		{"route",
			"{\"name\":\"r\",\"vpc\":\"v\",\"destination\":\"::/"
			"0\",\"next_hop\":{\"kind\":\"port\",\"name\":\"fw\"}}",
			"/vpc=vpc:v /next_hop/name=port:fw "},
		{"route",
			"{\"name\":\"r\",\"vpc\":\"v\",\"destination\":\"::/"
			"0\",\"next_hop\":{\"kind\":\"peering\",\"name\":\"x\"}}",
			"/vpc=vpc:v /next_hop/name=peering:x* "},
		{"route",
			"{\"name\":\"r\",\"vpc\":\"v\",\"destination\":\"::/"
			"0\",\"next_hop\":{\"kind\":\"blackhole\"}}",
			"/vpc=vpc:v "},
		{"security_group",
			"{\"name\":\"g\",\"rules\":[{\"direction\":\"ingress\"},{\"direction\":"
			"\"egress\",\"remote_group\":\"g\"},{\"direction\":\"egress\",\"remote_"
			"prefix_list\":\"l\"}]}",
			"/rules/1/remote_group=security_group:g "
			"/rules/2/remote_prefix_list=prefix_list:l "},
		{"vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/8\"]}", ""},
	};
	int calls = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *object = make(cases[i].kind, cases[i].object);
		const struct kind *kind = kind_find(cases[i].kind);
		char text[512] = "";

		assert_true(resource_refs(kind, object, note_ref, text));
		assert_string_equal(text, cases[i].expected);
		if (*text) {
			calls = 0;
			assert_false(resource_refs(kind, object, stop_at_first, &calls));
			assert_int_equal(calls, 1);
		}
		json_decref(object);
	}
}

/* ---- Errors ---- */

static void test_error_text(void **state)
{
	struct resource_error error;
	char text[128];
	json_t *data;

	(void)state;
	assert_false(resource_fail(&error, "/cidrs/0", "%s is bad", "x"));
	assert_int_equal(error.code, ERROR_INVALID);
	resource_error_prefix(&error, "/resources/%d", 17);
	resource_error_message(&error, text, sizeof(text));
	assert_string_equal(text, "/resources/17/cidrs/0: x is bad");
	data = resource_error_data(&error);
	assert_json(data, "{\"path\":\"/resources/17/cidrs/0\",\"reason\":\"x is bad\"}");
	json_decref(data);
	resource_fail_code(&error, ERROR_CONFLICT, "", "taken");
	resource_error_message(&error, text, sizeof(text));
	assert_string_equal(text, "taken");
	assert_string_equal(error_name(ERROR_IN_USE), "in_use");
	assert_string_equal(error_name(12345), "error");
}

/* A pointer that does not fit is cut, never written past its end. */
static void test_long_pointer(void **state)
{
	struct resource_error error;
	char key[2000];
	json_t *in, *out;

	(void)state;
	memset(key, '~', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	in = json_object();
	json_object_set_new(in, key, json_true());
	assert_false(resource_validate(kind_find("vpc"), RESOURCE_CREATE, in, &out, &error));
	assert_true(strlen(error.path) < RESOURCE_PATH_MAX);
	assert_memory_equal(error.path, "/~0~0", 5);
	json_decref(in);
}

/* ---- Size: the work grows with the number of items, not its square ---- */

static double seconds_for(size_t rules)
{
	const struct kind *kind = kind_find("security_group");
	json_t *in = parse("{\"name\":\"g\"}"), *list = json_array(), *out;
	struct resource_error error;
	struct timespec start, end;
	char text[512] = "";

	for (size_t i = 0; i < rules; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "direction", "ingress",
						    "protocol", "tcp", "ports", (int)(i & 0x7fff)));
	json_object_set_new(in, "rules", list);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_true(resource_validate(kind, RESOURCE_CREATE, in, &out, &error));
	resource_refs(kind, out, note_ref, text);
	assert_true(resource_equal(kind, out, out));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	json_decref(in);
	json_decref(out);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

static void test_linear(void **state)
{
	double small = seconds_for(2000), large = seconds_for(40000);

	(void)state;
	print_message("2,000 rules %.4f s, 40,000 rules %.4f s\n", small, large);
	assert_true(large < 100 * (small > 0.001 ? small : 0.001)); /* 20 if linear, 400 if not */
}

static void test_set_of_many(void **state)
{
	json_t *in = parse("{\"name\":\"p\",\"subnet\":\"s\"}"), *list = json_array(), *out;
	const struct kind *kind = kind_find("port");
	struct resource_error error;
	char text[NET_ADDR_TEXT];

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct net_addr addr = net_addr_from_ipv4(0x0a000000 + i);

		json_array_append_new(list, json_string(net_addr_format(&addr, text)));
	}
	json_object_set_new(in, "allowed_addresses", list);
	assert_true(resource_validate(kind, RESOURCE_CREATE, in, &out, &error));
	json_decref(out);
	json_array_append_new(list, json_string("10.0.0.77"));
	assert_false(resource_validate(kind, RESOURCE_CREATE, in, &out, &error));
	assert_string_equal(error.path, "/allowed_addresses/1000");
	json_decref(in);
}

/* ---- Lists as sets ---- */

static void test_list_add_remove(void **state)
{
	static const struct {
		const char *list, *other, *added, *removed; /* removed NULL: one is missing */
		size_t missing;
	} cases[] = {
		{"[]", "[]", "[]", "[]", 0},
		{"[1,2]", "[3]", "[1,2,3]", NULL, 0},
		{"[1,2]", "[2]", "[1,2]", "[1]", 0},
		{"[1,2,1]", "[1]", "[1,2,1]", "[2]", 0},
		{"[1]", "[2,2]", "[1,2]", NULL, 0},
		{"[1,2,3]", "[3,9,1,8]", "[1,2,3,9,8]", NULL, 1},
		{"[{\"a\":1,\"b\":[2,{\"c\":null}]}]", "[{\"b\":[2,{\"c\":null}],\"a\":1}]",
			"[{\"a\":1,\"b\":[2,{\"c\":null}]}]", "[]", 0},
		{"[\"1\",1,true]", "[false]", "[\"1\",1,true,false]", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *list = parse(cases[i].list), *other = parse(cases[i].other), *out;
		size_t missing = 99;

		out = resource_list_add(list, other);
		assert_json(out, cases[i].added);
		json_decref(out);
		assert_int_equal(resource_list_remove(list, other, &out, &missing),
			cases[i].removed != NULL);
		if (cases[i].removed)
			assert_json(out, cases[i].removed);
		else
			assert_int_equal(missing, cases[i].missing);
		assert_json(list, cases[i].list);
		json_decref(out);
		json_decref(list);
		json_decref(other);
	}
}

static void test_list_share(void **state)
{
	static const struct {
		const char *old, *list;
		bool same;
		size_t before, behind; /* items that are the old list's afterwards */
	} cases[] = {
		{"[]", "[]", true, 0, 0},
		{"[]", "[\"a\"]", false, 0, 0},
		{"[\"a\",\"b\"]", "[\"a\",\"b\"]", true, 2, 0},
		{"[\"a\",\"b\"]", "[\"a\",\"b\",\"c\"]", false, 2, 0},
		{"[\"a\",\"b\"]", "[\"b\"]", false, 0, 1},
		{"[\"a\",\"b\",\"c\"]", "[\"a\",\"x\",\"c\"]", false, 1, 1},
		{"[\"a\",\"a\"]", "[\"a\",\"a\",\"a\"]", false, 2, 0},
		{"[{\"a\":1}]", "[\"x\",{\"a\":1}]", false, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *old = parse(cases[i].old), *list = parse(cases[i].list);
		size_t n_old = json_array_size(old), n = json_array_size(list);

		assert_int_equal(resource_list_share(old, list), cases[i].same);
		for (size_t k = 0; k < n; k++) {
			bool before = k < cases[i].before, behind = n - k <= cases[i].behind;
			const json_t *item = json_array_get(list, k);

			assert_int_equal(item == json_array_get(old, k) ||
						 item == json_array_get(old, n_old - n + k),
				before || behind);
		}
		assert_json(list, cases[i].list);
		json_decref(old);
		json_decref(list);
	}
}

/* Half of 20,000 rules removed and added again: quick, and the same afterwards. */
static void test_list_large(void **state)
{
	json_t *list = json_array(), *half = json_array(), *without, *again;
	size_t missing;

	(void)state;
	for (int i = 0; i < 20000; i++)
		json_array_append_new(i % 2 ? half : list,
			json_pack("{s:s, s:i}", "protocol", "tcp", "ports", i));
	again = resource_list_add(list, half);
	assert_int_equal(json_array_size(again), 20000);
	assert_int_equal(resource_list_duplicate(again), -1);
	assert_true(resource_list_remove(again, half, &without, &missing));
	assert_true(json_equal(without, list));
	json_decref(list);
	json_decref(half);
	json_decref(without);
	json_decref(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_update_good),
		cmocka_unit_test(test_update_bad),
		cmocka_unit_test(test_apply_mode),
		cmocka_unit_test(test_keep_automatic),
		cmocka_unit_test(test_export_is_unchanged),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_long_pointer),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_set_of_many),
		cmocka_unit_test(test_list_add_remove),
		cmocka_unit_test(test_list_share),
		cmocka_unit_test(test_list_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
