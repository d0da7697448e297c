/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions on applied state: all or nothing, order, references, digest. The kinds are the real
 * southbound ones with handlers of this file, which write down what they are told.
 *
 * `test_state N` stages and commits N endpoints instead and prints how long each part took.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/state.h"
#include "lib/southbound.h"

static char journal[4096];
static const char *refuse; /* prepare fails for the item with this name or number */
static int live;           /* prepared and neither committed nor aborted */
static int hook_rc;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *fmt, ...)
{
	size_t used = strlen(journal);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(journal + used, sizeof(journal) - used, fmt, ap);
	va_end(ap);
}

static int fake_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	const json_t *key = json_array_get(any, 1);
	char text[64];

	if (json_is_string(key))
		snprintf(text, sizeof(text), "%s", json_string_value(key));
	else
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(key));
	if (refuse != NULL && strcmp(refuse, text) == 0)
		return state_fail(err, -EINVAL, "refused %s", text);
	live++;
	asprintf((char **)staged, "%c%s ", item == NULL ? '-' : old == NULL ? '+' : '~', text);
	return 0;
}

static void fake_commit(void *staged)
{
	live--;
	note("%s", (char *)staged);
	free(staged);
}

static void fake_abort(void *staged)
{
	live--;
	free(staged);
}

static int nothing_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	(void)item;
	(void)old;
	(void)err;
	*staged = NULL;
	return 0;
}

STATE_KIND(endpoint, .name = "endpoint", .order = 70, .eager = true, .prepare = nothing_prepare);
STATE_KIND(subnet, .name = "subnet", .order = 30, .prepare = fake_prepare, .commit = fake_commit,
	.abort = fake_abort);
STATE_KIND(vtep, .name = "vtep", .order = 10, .prepare = fake_prepare, .commit = fake_commit,
	.abort = fake_abort);
STATE_KIND(vpc, .name = "vpc", .order = 20, .prepare = fake_prepare, .commit = fake_commit,
	.abort = fake_abort);

static int hook_prepare(struct state_error *err)
{
	note("| ");
	return hook_rc != 0 ? state_fail(err, hook_rc, "hook") : 0;
}

static void hook_abort(void)
{
	note("abort ");
}

static void hook_after(void)
{
	note(".");
}

STATE_HOOK(
	hook, .order = 1, .prepare = hook_prepare, .abort = hook_abort, .after_commit = hook_after);

static json_t *vtep_item(const char *name, bool gateway)
{
	return json_pack("[s, s, s, b]", "vtep", name, "192.0.2.1", gateway);
}

static json_t *vpc_item(int vni, int mtu)
{
	return json_pack("[s, i, s, s, i, s, [], [], i]", "vpc", vni, "name", "default", mtu,
		"02:00:00:00:00:01", 1);
}

static json_t *subnet_item(const char *name, int vni)
{
	return json_pack("[s, s, i, s, s, n, n, b, [], i]", "subnet", name, vni, "10.0.0.0/24",
		"10.0.0.1", 1, 1);
}

static json_t *endpoint_item(int vni, uint32_t n)
{
	char address[32], mac[24];

	snprintf(address, sizeof(address), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	snprintf(mac, sizeof(mac), "02:00:00:%02x:%02x:%02x", n >> 16 & 255, n >> 8 & 255, n & 255);
	return json_pack(
		"[s, i, s, s, s, s, s, [s]]", "endpoint", vni, address, mac, "b", "s1", "p", "web");
}

static void put(struct state_tx *tx, json_t *item)
{
	struct state_error err;

	if (state_put(tx, item, &err) != 0)
		fail_msg("%s", err.reason);
	json_decref(item);
}

static void del(struct state_tx *tx, json_t *key)
{
	struct state_error err;

	if (state_del(tx, key, &err) != 0)
		fail_msg("%s", err.reason);
	json_decref(key);
}

static void commit_ok(struct state_tx *tx, uint32_t want_changed)
{
	struct state_error err;
	uint32_t changed;
	int rc;

	while ((rc = state_commit_step(tx, 7, 2, &changed, &err)) == 1)
		continue;
	if (rc != 0)
		fail_msg("%s", err.reason);
	assert_int_equal(changed, want_changed);
	assert_int_equal(live, 0);
}

/* `item`: what the error must name, as text; NULL: none. */
static void commit_fails(struct state_tx *tx, const char *item, const char *reason)
{
	struct state_error err;
	uint32_t changed;
	char *text;

	assert_true(state_commit(tx, 7, &changed, &err) < 0);
	assert_non_null(strstr(err.reason, reason));
	text = err.item != NULL ? json_dumps(err.item, SB_CANONICAL) : NULL;
	if (item == NULL)
		assert_null(text);
	else
		assert_memory_equal(text, item, strlen(item));
	free(text);
	json_decref(err.item);
	assert_int_equal(live, 0);
}

static int collect_key(void *arg, const char *text, size_t size)
{
	json_t *item = json_loadb(text, size, 0, NULL);
	const struct sb_kind *kind = sb_kind_find(json_string_value(json_array_get(item, 0)));

	while (json_array_size(item) > kind->n_key + 1)
		json_array_remove(item, json_array_size(item) - 1);
	json_array_append_new(arg, item);
	return 0;
}

/* Each test starts with nothing applied. */
static int empty(void **context)
{
	struct state_tx *tx = state_begin();
	json_t *keys = json_array(), *key;
	struct state_error err;
	uint32_t changed;
	size_t n;

	(void)context;
	refuse = NULL;
	hook_rc = 0;
	state_each(collect_key, keys);
	json_array_foreach (keys, n, key)
		if (state_del(tx, key, &err) != 0)
			return -1;
	json_decref(keys);
	if (state_commit(tx, 0, &changed, &err) != 0 || state_count() != 0)
		return -1;
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		if (state_digest(b) != 0)
			return -1;
	journal[0] = '\0';
	return 0;
}

static void put_base(void)
{
	struct state_tx *tx = state_begin();

	put(tx, subnet_item("s1", 100));
	put(tx, vpc_item(100, 1450));
	put(tx, vtep_item("b", false));
	commit_ok(tx, 3);
}

static void order_is_by_kind_and_reversed_for_deletions(void **context)
{
	struct state_tx *tx;

	(void)context;
	put_base();
	assert_string_equal(journal, "| +b +100 +s1 .");
	assert_int_equal(state_count(), 3);
	assert_int_equal(state_revision(), 7);

	journal[0] = '\0';
	tx = state_begin();
	del(tx, json_pack("[s, i]", "vpc", 100));
	put(tx, vtep_item("b", true));
	del(tx, json_pack("[s, s]", "subnet", "s1"));
	put(tx, vpc_item(200, 1450));
	commit_ok(tx, 4);
	assert_string_equal(journal, "| ~b +200 -s1 -100 .");
}

static void unchanged_items_are_skipped(void **context)
{
	struct state_tx *tx;

	(void)context;
	put_base();
	journal[0] = '\0';
	tx = state_begin();
	put(tx, vtep_item("b", false));
	put(tx, vpc_item(100, 1500));
	del(tx, json_pack("[s, s]", "vtep", "nobody"));
	commit_ok(tx, 1);
	assert_string_equal(journal, "| ~100 .");
}

static void last_one_of_a_key_counts(void **context)
{
	struct state_tx *tx = state_begin();

	(void)context;
	put(tx, vtep_item("b", false));
	put(tx, vtep_item("c", false));
	put(tx, vtep_item("b", true));
	del(tx, json_pack("[s, s]", "vtep", "c"));
	commit_ok(tx, 1);
	assert_string_equal(journal, "| +b .");
}

static void failing_last_item_changes_nothing(void **context)
{
	uint64_t digest[SB_BUCKETS];
	struct state_tx *tx;

	(void)context;
	put_base();
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		digest[b] = state_digest(b);
	journal[0] = '\0';
	tx = state_begin();
	put(tx, vtep_item("b", true));
	put(tx, vpc_item(200, 1450));
	put(tx, subnet_item("bad", 200));
	refuse = "bad";
	commit_fails(tx, "[\"subnet\",\"bad\",200", "refused bad");
	assert_string_equal(journal, "abort ");
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		assert_int_equal(state_digest(b), digest[b]);
	/* References were not counted either: the VPC can go with its subnet. */
	refuse = NULL;
	tx = state_begin();
	del(tx, json_pack("[s, i]", "vpc", 100));
	del(tx, json_pack("[s, s]", "subnet", "s1"));
	commit_ok(tx, 2);
}

static void failing_hook_changes_nothing(void **context)
{
	struct state_tx *tx = state_begin();

	(void)context;
	put(tx, vtep_item("b", true));
	hook_rc = -ENOMEM;
	commit_fails(tx, NULL, "hook");
	assert_string_equal(journal, "| abort ");
	assert_int_equal(state_count(), 0);
}

static void references_must_hold(void **context)
{
	struct state_tx *tx;

	(void)context;
	put_base();
	tx = state_begin();
	put(tx, subnet_item("s2", 300));
	commit_fails(tx, "[\"subnet\",\"s2\"", "vpc 300");

	tx = state_begin();
	del(tx, json_pack("[s, i]", "vpc", 100));
	commit_fails(tx, "[\"vpc\",100]", "in use by [\"subnet\",\"s1\"]");

	tx = state_begin(); /* the referrer moves away in the same transaction */
	del(tx, json_pack("[s, i]", "vpc", 100));
	put(tx, vpc_item(200, 1450));
	put(tx, subnet_item("s1", 200));
	commit_ok(tx, 3);

	tx = state_begin(); /* deleted, and referred to by what is new */
	del(tx, json_pack("[s, i]", "vpc", 200));
	del(tx, json_pack("[s, s]", "subnet", "s1"));
	put(tx, subnet_item("s3", 200));
	commit_fails(tx, "[\"subnet\",\"s3\"", "vpc 200");

	tx = state_begin(); /* an eager kind is counted too */
	del(tx, json_pack("[s, s]", "vtep", "b"));
	put(tx, endpoint_item(200, 1));
	commit_fails(tx, "[\"endpoint\",200,\"10.0.0.1\"", "vtep `b`");
}

static void bad_items_are_refused_when_put(void **context)
{
	static const char *const bad[] = {
		"[]",
		"[\"nothing\", 1]",
		"[\"vtep\", \"b\"]",
		"[\"vtep\", \"b\", \"192.0.2\", true]",
		"{\"vtep\": 1}",
	};
	struct state_tx *tx = state_begin();

	(void)context;
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		json_t *item = json_loads(bad[n], 0, NULL);
		struct state_error err;

		assert_int_equal(state_put(tx, item, &err), -EINVAL);
		assert_ptr_equal(err.item, item);
		json_decref(err.item);
		json_decref(item);
	}
	put(tx, vtep_item("b", true));
	commit_ok(tx, 1);
}

static void several_open_one_commits(void **context)
{
	struct state_tx *first = state_begin(), *second = state_begin();
	struct state_error err;
	uint32_t changed;

	(void)context;
	for (int n = 0; n < 4; n++)
		put(first, vpc_item(100 + n, 1450));
	put(second, vpc_item(100, 9000));
	assert_int_equal(state_commit_step(first, 1, 1, &changed, &err), 1);
	assert_int_equal(state_commit(second, 2, &changed, &err), -EBUSY);
	commit_ok(first, 4);
	commit_ok(second, 1);
	assert_int_equal(state_count(), 4);
}

static void digest_does_not_depend_on_order(void **context)
{
	uint64_t digest[SB_BUCKETS];
	struct state_tx *tx;

	put_base();
	tx = state_begin();
	for (uint32_t n = 0; n < 5000; n++)
		put(tx, endpoint_item(100, n));
	commit_ok(tx, 5000);
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		digest[b] = state_digest(b);
	assert_int_equal(empty(context), 0);
	put_base();
	for (uint32_t part = 0; part < 5; part++) {
		tx = state_begin();
		for (uint32_t n = 0; n < 1000; n++)
			put(tx, endpoint_item(100, 4999 - (n * 5 + part)));
		commit_ok(tx, 1000);
	}
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		assert_int_equal(state_digest(b), digest[b]);
}

static void keys_come_in_pages_and_match_the_digest(void **context)
{
	uint64_t digest[SB_BUCKETS] = {0};
	bool wanted[SB_BUCKETS];
	char next[STATE_CURSOR_MAX] = "";
	struct state_tx *tx;
	size_t total = 0;

	(void)context;
	put_base();
	tx = state_begin();
	for (uint32_t n = 0; n < 2000; n++)
		put(tx, endpoint_item(100, n));
	commit_ok(tx, 2000);
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		wanted[b] = b != 5;
	do {
		json_t *keys = state_keys(wanted, next[0] != '\0' ? next : NULL, 7, next), *key;
		size_t n;

		assert_true(json_array_size(keys) <= 7);
		json_array_foreach (keys, n, key) {
			size_t last = json_array_size(key) - 1;
			uint64_t hash =
				strtoull(json_string_value(json_array_get(key, last)), NULL, 16);
			char *text;

			json_array_remove(key, last);
			text = sb_item_key(key);
			digest[sb_bucket(text)] ^= hash;
			free(text);
			total++;
		}
		json_decref(keys);
	} while (next[0] != '\0');
	assert_int_equal(digest[5], 0);
	digest[5] = state_digest(5);
	assert_true(digest[5] != 0 && total < 2003);
	for (unsigned int b = 0; b < SB_BUCKETS; b++)
		assert_int_equal(digest[b], state_digest(b));
}

static void text_is_that_of_jansson(void **context)
{
	static const char *const items[] = {
		"[]",
		"[\"vtep\",\"b\",\"192.0.2.1\",true,false,null,[],[[]],0,9223372036854775807]",
		"[\"a\\\"b\",1]",
		"[\"tab\\t\",\"slash/\",\"back\\\\\",\"\\u0001\",\"del\\u007f\",\"\u00fc\u20ac\"]",
		"[-1,1.5,{\"b\":1,\"a\":[{}]}]",
		"[\"\",[1,[2,[3,\"x\"]]]]",
	};

	(void)context;
	for (size_t n = 0; n < sizeof(items) / sizeof(items[0]); n++) {
		json_t *item = json_loads(items[n], 0, NULL);
		char *want = json_dumps(item, SB_CANONICAL);
		size_t len = strlen(want);
		char buf[256];

		for (size_t size = 0; size < sizeof(buf); size++) {
			assert_int_equal(sb_item_text(item, buf, size), len);
			if (size >= len)
				assert_memory_equal(buf, want, len);
		}
		assert_int_equal(sb_text_hash(buf, len), sb_item_hash(item));
		free(want);
		json_decref(item);
	}
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f != NULL) {
		if (fscanf(f, "%*d %ld", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * 4;
}

static int measure(uint32_t n)
{
	struct state_tx *tx;
	struct state_error err;
	uint32_t changed;
	double parse = 0, stage = 0, start;
	long before;

	put_base();
	tx = state_begin();
	before = resident_kb();
	for (uint32_t i = 0; i < n; i++) {
		json_t *made = endpoint_item(100, i);
		char *text = json_dumps(made, JSON_COMPACT);
		json_t *item;
		double t0 = now_s(), t1;

		json_decref(made);
		item = json_loads(text, 0, NULL);
		t1 = now_s();
		put(tx, item);
		stage += now_s() - t1;
		parse += t1 - t0;
		free(text);
	}
	start = now_s();
	state_commit(tx, 1, &changed, &err);
	printf("%u endpoints: parse %.2f s, stage %.2f s, commit %.2f s, %ld bytes each\n", changed,
		parse, stage, now_s() - start, (resident_kb() - before) * 1024 / n);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_that_of_jansson),
		cmocka_unit_test_setup(order_is_by_kind_and_reversed_for_deletions, empty),
		cmocka_unit_test_setup(unchanged_items_are_skipped, empty),
		cmocka_unit_test_setup(last_one_of_a_key_counts, empty),
		cmocka_unit_test_setup(failing_last_item_changes_nothing, empty),
		cmocka_unit_test_setup(failing_hook_changes_nothing, empty),
		cmocka_unit_test_setup(references_must_hold, empty),
		cmocka_unit_test_setup(bad_items_are_refused_when_put, empty),
		cmocka_unit_test_setup(several_open_one_commits, empty),
		cmocka_unit_test_setup(digest_does_not_depend_on_order, empty),
		cmocka_unit_test_setup(keys_come_in_pages_and_match_the_digest, empty),
	};

	if (argc > 1)
		return measure((uint32_t)atoi(argv[1]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
