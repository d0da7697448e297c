/* SPDX-License-Identifier: Apache-2.0 */
/* The language between controller and dataplane: rules as text, checks, identities, digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/southbound.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void rules_that_are_good(void **state)
{
	static const char *const good[] = {
		"i a 1000 6 443 443 -1 -1 any",
		"e d 1 -1 0 65535 -1 -1 cidr 10.0.0.0/8",
		"i a 65535 255 1 2 255 255 group a-group",
		"i a 7 17 53 53 -1 -1 list offices",
		"e a 7 58 0 65535 128 0 cidr 2001:db8::/32",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char text[SB_RULE_TEXT];
		struct sb_rule rule;

		if (!sb_rule_parse(good[i], &rule))
			fail_msg("`%s` is refused", good[i]);
		assert_string_equal(sb_rule_format(&rule, text), good[i]);
	}
}

static void rules_that_are_bad(void **state)
{
	static const char *const bad[] = {"", "i", "i a", "x a 1000 6 443 443 -1 -1 any",
		"i x 1000 6 443 443 -1 -1 any", "i a 0 6 443 443 -1 -1 any",
		"i a 65536 6 443 443 -1 -1 any", "i a 1000 256 443 443 -1 -1 any",
		"i a 1000 -2 443 443 -1 -1 any", "i a 1000 6 65536 443 -1 -1 any",
		"i a 1000 6 443 -1 -1 -1 any", "i a 1000 6 443 443 256 -1 any",
		"i a 1000 6 443 443 -1 -2 any", "i a 1000 6 443 443 -1 -1 ",
		"i a 1000 6 443 443 -1 -1 any x", "i a 1000 6 443 443 -1 -1 cidr",
		"i a 1000 6 443 443 -1 -1 cidr ", "i a 1000 6 443 443 -1 -1 cidr 10.0.0.0/8 ",
		"i a 1000 6 443 443 -1 -1 group a b", "i a 1000 6 443 443 -1 -1 grou a",
		"i a 1000 6 443 443 -1 -1 groups a", "i  a 1000 6 443 443 -1 -1 any",
		"i a 1000 6 443 443 -1 any", "i a 99999999999 6 443 443 -1 -1 any",
		"i a -1000 6 443 443 -1 -1 any", "i a 1000 - 443 443 -1 -1 any"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sb_rule rule;

		if (sb_rule_parse(bad[i], &rule))
			fail_msg("`%s` is taken", bad[i]);
	}
	assert_false(sb_rule_parse(NULL, &(struct sb_rule){.name = ""}));
}

static json_t *parse(const char *text)
{
	json_t *item = json_loads(text, 0, NULL);

	assert_non_null(item);
	return item;
}

static void items_are_checked(void **state)
{
	static const struct {
		const char *item;
		bool key_only, good;
	} cases[] = {
		{"[\"vtep\", \"b\", \"192.0.2.2\", false]", false, true},
		{"[\"vtep\", \"b\", \"192.0.2.256\", false]", false, false},
		{"[\"vtep\", \"b\", \"192.0.2.2\"]", false, false},
		{"[\"vtep\", \"b\", \"192.0.2.2\", 0]", false, false},
		{"[\"vtep\", \"b\"]", true, true},
		{"[\"vtep\", 1]", true, false},
		{"[\"nothing\", \"b\"]", true, false},
		{"[]", true, false},
		{"{}", true, false},
		{"[\"group\", \"g\", 1]", false, true},
		{"[\"group\", \"g\", -1]", false, false},
		{"[\"rules\", \"g\", 1, [\"i a 1000 6 80 80 -1 -1 any\"]]", false, true},
		{"[\"rules\", \"g\", 1, [\"i a 1000 6 80 80 -1 -1 cidr 10.0.0.0/33\"]]", false,
			false},
		{"[\"rules\", \"g\", 1, [1]]", false, false},
		{"[\"rules\", \"g\", -1, []]", false, false},
		{"[\"rules\", \"g\", 1]", true, true},
		{"[\"rules\", \"g\"]", true, false},
		{"[\"prefix_list\", \"l\", [\"10.0.0.1\", \"fd00::/8\"], 1]", false, true},
		{"[\"prefix_list\", \"l\", \"10.0.0.1\", 1]", false, false},
		{"[\"eip\", \"e\", \"\", \"198.51.100.9\", null, \"none\", null, null, null, 0, 0, "
		 "[], false, 1]",
			false, true},
		{"[\"eip\", \"e\", \"\", \"198.51.100.9\", null, \"none\", null, null, null, 0, 0, "
		 "[], null, 1]",
			false, false},
		{"[\"listener\", \"l\", 6, 80]", true, true},
		{"[\"backend\", \"l\", 6, 80, \"10.0.0.1\", 80]", true, true},
		{"[\"backend\", \"l\", 6, 80, \"10.0.0.1\"]", true, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *item = parse(cases[i].item);
		char reason[256] = "";
		int rc = sb_item_check(item, cases[i].key_only, reason, sizeof(reason));

		if ((rc == 0) != cases[i].good)
			fail_msg("%s: %d %s", cases[i].item, rc, reason);
		assert_true(rc == 0 || reason[0] != '\0');
		json_decref(item);
	}
}

static void identity_is_kind_and_key(void **state)
{
	json_t *item = parse("[\"endpoint\", 100, \"10.0.0.1\", \"02:00:00:00:00:01\", \"b\", "
			     "null, \"p\", []]");
	json_t *key = parse("[\"endpoint\", 100, \"10.0.0.1\"]");
	char *a = sb_item_key(item), *b = sb_item_key(key);

	(void)state;
	assert_string_equal(a, "endpoint\x1f"
			       "100\x1f"
			       "10.0.0.1");
	assert_string_equal(a, b);
	assert_true(sb_bucket(a) < SB_BUCKETS);
	assert_true(sb_item_hash(item) != sb_item_hash(key));
	free(a);
	free(b);
	json_decref(item);
	json_decref(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_that_are_good),
		cmocka_unit_test(rules_that_are_bad),
		cmocka_unit_test(items_are_checked),
		cmocka_unit_test(identity_is_kind_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
