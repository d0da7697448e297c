/* SPDX-License-Identifier: Apache-2.0 */
/* Checks on another thread while transactions are committed: each verdict is one of the list before or the list after,
 * never of a mixture, and nothing is read after it was freed (run it under ASan or TSan).
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "random.h"

/* ---- a grace period: the reader has begun another round since ---- */

static _Atomic uint64_t rounds;
static _Atomic bool stop;
static bool reading;

static void defer_free(void (*fn)(void *), void *arg)
{
	uint64_t now = atomic_load(&rounds);

	while (reading && atomic_load(&rounds) < now + 2)
		sched_yield();
	fn(arg);
}

static const struct ip_addr inside = {.bytes = {0xfd, 1}}, outside = {.bytes = {0xfd, 2}};

struct reader {
	const struct policy *policy;
	uint64_t inside_denied, outside_allowed, outside_denied;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct policy_query q = {.direction = POLICY_INGRESS, .protocol = 6};
	struct policy_verdict v;

	while (!atomic_load(&stop)) {
		q.remote = inside;
		r->inside_denied += !policy_check(r->policy, &q, &v);
		q.remote = outside;
		if (policy_check(r->policy, &q, &v))
			r->outside_allowed++;
		else
			r->outside_denied++;
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

/* Either everyone is allowed, or everyone is denied but a prefix: `inside` is allowed by both, and only a mixture of
 * the two denies it. Rules that do not match change the shape and the numbers meanwhile. */
static uint32_t make_rules(struct policy_rule *rules, bool open)
{
	uint32_t n = 0, others = random_below(20);

	for (; n < others; n++) {
		struct policy_rule r = POLICY_RULE_INIT;
		struct ip_addr a = {.bytes = {0xfc, (uint8_t)random_below(16)}};
		r.remote = POLICY_REMOTE_PREFIX;
		r.remote_prefix = ip_prefix_of(&a, 16);
		r.priority = (uint16_t)(1 + random_below(1000));
		rules[n] = r;
	}
	rules[n] = (struct policy_rule)POLICY_RULE_INIT;
	rules[n].priority = 100;
	rules[n++].action = open ? POLICY_ALLOW : POLICY_DENY;
	if (!open) {
		rules[n] = (struct policy_rule)POLICY_RULE_INIT;
		rules[n].priority = 50;
		rules[n].remote = POLICY_REMOTE_PREFIX;
		rules[n++].remote_prefix = ip_prefix_of(&inside, 16);
	}
	return n;
}

static void test_readers(void **state)
{
	(void)state;
	struct policy_db *db = policy_db_new(&(struct policy_hooks){.defer = defer_free});
	struct policy *p = policy_get(db, (uint32_t[]){1}, 1);
	struct policy_rule rules[32];
	struct reader r = {.policy = p};
	uint32_t changes = test_size(2000, 50000);
	pthread_t thread;

	for (uint32_t i = 0; i < changes; i++) {
		assert_int_equal(policy_group_set(db, 1, rules, make_rules(rules, i % 2)), 0);
		assert_int_equal(policy_db_prepare(db), 0);
		policy_db_commit(db);
		if (i > 0)
			continue;
		assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
		reading = true;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	reading = false;
	assert_int_equal(r.inside_denied, 0);
	assert_true(r.outside_allowed > 0 && r.outside_denied > 0);
	policy_put(db, p);
	policy_db_free(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers)};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
