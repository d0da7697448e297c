/* SPDX-License-Identifier: Apache-2.0 */
/* What rules mean, case by case; test_policy_random.c compares with a linear reference. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "policy/group_set.h"
#include "policy/policy.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static unsigned int changes;

static void count_change(void *arg, struct policy *policy)
{
	(void)arg;
	(void)policy;
	changes++;
}

static struct policy_db *db_new(void)
{
	struct policy_db *db = policy_db_new(&(struct policy_hooks){.changed = count_change});

	assert_non_null(db);
	changes = 0;
	return db;
}

static void apply(struct policy_db *db)
{
	assert_int_equal(policy_db_prepare(db), 0);
	policy_db_commit(db);
}

static struct ip_addr addr(const char *text)
{
	struct in6_addr in6;
	struct in_addr in4;

	if (inet_pton(AF_INET, text, &in4) == 1)
		return ip_addr_from_v4(in4.s_addr);
	assert_int_equal(inet_pton(AF_INET6, text, &in6), 1);
	return ip_addr_from_v6(in6.s6_addr);
}

static struct ip_prefix prefix(const char *text, uint8_t len)
{
	struct ip_addr a = addr(text);

	return ip_prefix_of(&a, (uint8_t)(ip_addr_is_v4(&a) ? IP_V4_BITS + len : len));
}

/* Unsaid fields match everything. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define RULE(...)                                                                                  \
	((struct policy_rule){.action = POLICY_ALLOW,                                              \
		.priority = 1000,                                                                  \
		.protocol = POLICY_ANY,                                                            \
		.port_last = UINT16_MAX,                                                           \
		.icmp_type = POLICY_ANY,                                                           \
		.icmp_code = POLICY_ANY,                                                           \
		__VA_ARGS__})

static struct policy_query tcp_to(uint16_t port, const char *remote)
{
	return (struct policy_query){.direction = POLICY_INGRESS,
		.protocol = IPPROTO_TCP,
		.dst_port = htons(port),
		.remote = addr(remote)};
}

static bool allowed(const struct policy *p, struct policy_query q)
{
	struct policy_verdict v;

	return policy_check(p, &q, &v);
}

/* The rule's index, or -1 for the default. */
static int decided_by(const struct policy *p, struct policy_query q)
{
	struct policy_verdict v;

	policy_check(p, &q, &v);
	return v.group == POLICY_GROUP_NONE ? -1 : (int)v.rule;
}

static void test_defaults(void **state)
{
	(void)state;
	struct policy_db *db = db_new();
	struct policy *none = policy_get(db, NULL, 0);
	struct policy *unknown = policy_get(db, (uint32_t[]){7}, 1);
	struct policy_query q = tcp_to(80, "10.0.0.1");
	struct policy_verdict v;

	apply(db);
	for (int i = 0; i < 2; i++) {
		const struct policy *p = i ? unknown : none;
		q.direction = POLICY_INGRESS;
		assert_false(policy_check(p, &q, &v));
		assert_int_equal(v.group, POLICY_GROUP_NONE);
		q.direction = POLICY_EGRESS;
		assert_true(policy_check(p, &q, &v));
		assert_int_equal(v.group, POLICY_GROUP_NONE);
	}
	policy_put(db, none);
	policy_put(db, unknown);
	policy_db_free(db);
}

static void test_order(void **state)
{
	(void)state;
	/* The rules, and which of them decides TCP port 443 from 10.0.0.1. */
	static const struct {
		struct policy_rule rules[3];
		int decides;
		bool allow;
	} t[] = {
		{{RULE(.priority = 20), RULE(.priority = 10, .action = POLICY_DENY),
			 RULE(.priority = 15)},
			1, false},
		{{RULE(.priority = 10), RULE(.priority = 10, .action = POLICY_DENY),
			 RULE(.priority = 10)},
			1, false},
		{{RULE(.priority = 10), RULE(.priority = 10), RULE(.priority = 11)}, 0, true},
		{{RULE(.priority = 5, .protocol = IPPROTO_UDP), RULE(.priority = 1000),
			 RULE(.priority = 9, .protocol = IPPROTO_TCP, .port_first = 444,
				 .port_last = 500)},
			1, true},
		{{RULE(.priority = 5, .direction = POLICY_EGRESS),
			 RULE(.priority = 6, .protocol = IPPROTO_TCP, .port_first = 443,
				 .port_last = 443),
			 RULE(.priority = 6, .protocol = IPPROTO_TCP)},
			1, true},
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct policy_db *db = db_new();
		struct policy *p = policy_get(db, (uint32_t[]){1}, 1);
		struct policy_query q = tcp_to(443, "10.0.0.1");

		print_message("case %zu\n", i);
		assert_int_equal(policy_group_set(db, 1, t[i].rules, 3), 0);
		apply(db);
		assert_int_equal(decided_by(p, q), t[i].decides);
		assert_int_equal(allowed(p, q), t[i].allow);
		policy_put(db, p);
		policy_db_free(db);
	}
}

static void test_protocols(void **state)
{
	(void)state;
	static const struct {
		struct policy_rule rule;
		struct {
			const char *remote;
			uint8_t protocol;
			uint16_t port;
			uint8_t type, code;
			bool match;
		} q[6];
	} t[] = {
		{RULE(.protocol = IPPROTO_ICMP),
			{{"10.0.0.1", IPPROTO_ICMP, 0, 8, 0, true},
				{"10.0.0.1", IPPROTO_ICMPV6, 0, 8, 0, false},
				{"fd00::1", IPPROTO_ICMP, 0, 8, 0, false},
				{"10.0.0.1", IPPROTO_TCP, 1, 0, 0, false}}},
		{RULE(.protocol = IPPROTO_ICMP, .icmp_type = 8),
			{{"10.0.0.1", IPPROTO_ICMP, 0, 8, 0, true},
				{"10.0.0.1", IPPROTO_ICMP, 0, 8, 255, true},
				{"10.0.0.1", IPPROTO_ICMP, 0, 9, 0, false},
				{"10.0.0.1", IPPROTO_ICMP, 0, 7, 255, false}}},
		{RULE(.protocol = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4),
			{{"10.0.0.1", IPPROTO_ICMP, 0, 3, 4, true},
				{"10.0.0.1", IPPROTO_ICMP, 0, 3, 3, false},
				{"10.0.0.1", IPPROTO_ICMP, 0, 4, 3, false}}},
		{RULE(.protocol = IPPROTO_ICMPV6, .icmp_type = 128),
			{{"fd00::1", IPPROTO_ICMPV6, 0, 128, 0, true},
				{"fd00::1", IPPROTO_ICMPV6, 0, 129, 0, false},
				{"10.0.0.1", IPPROTO_ICMPV6, 0, 128, 0, false}}},
		{RULE(.protocol = 47),
			{{"10.0.0.1", 47, 0, 0, 0, true}, {"fd00::1", 47, 0, 0, 0, true},
				{"10.0.0.1", 46, 0, 0, 0, false},
				{"10.0.0.1", 48, 0, 0, 0, false}}},
		{RULE(.protocol = 0),
			{{"10.0.0.1", 0, 0, 0, 0, true}, {"10.0.0.1", 1, 0, 0, 0, false}}},
		{RULE(.protocol = 255),
			{{"10.0.0.1", 255, 0, 0, 0, true}, {"10.0.0.1", 254, 0, 0, 0, false}}},
		{RULE(.protocol = IPPROTO_UDP, .port_first = 0, .port_last = 0),
			{{"10.0.0.1", IPPROTO_UDP, 0, 0, 0, true},
				{"10.0.0.1", IPPROTO_UDP, 1, 0, 0, false},
				{"10.0.0.1", IPPROTO_TCP, 0, 0, 0, false}}},
		{RULE(.protocol = IPPROTO_TCP, .port_first = 65535),
			{{"10.0.0.1", IPPROTO_TCP, 65535, 0, 0, true},
				{"10.0.0.1", IPPROTO_TCP, 65534, 0, 0, false}}},
		{RULE(.protocol = IPPROTO_TCP, .port_first = 80, .port_last = 90),
			{{"fd00::1", IPPROTO_TCP, 80, 0, 0, true},
				{"fd00::1", IPPROTO_TCP, 90, 0, 0, true},
				{"fd00::1", IPPROTO_TCP, 79, 0, 0, false},
				{"fd00::1", IPPROTO_TCP, 91, 0, 0, false}}},
		{RULE(.protocol = POLICY_ANY), {{"10.0.0.1", IPPROTO_TCP, 1, 0, 0, true},
						       {"fd00::1", IPPROTO_UDP, 9, 0, 0, true},
						       {"10.0.0.1", IPPROTO_ICMP, 0, 8, 0, true},
						       {"fd00::1", IPPROTO_ICMPV6, 0, 1, 0, true},
						       {"10.0.0.1", 132, 0, 0, 0, true},
						       {"fd00::1", IPPROTO_ICMP, 0, 1, 0, true}}},
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct policy_db *db = db_new();
		struct policy *p = policy_get(db, (uint32_t[]){1}, 1);

		assert_int_equal(policy_group_set(db, 1, &t[i].rule, 1), 0);
		apply(db);
		for (size_t j = 0; j < COUNT(t[i].q) && t[i].q[j].remote; j++) {
			print_message("rule %zu query %zu\n", i, j);
			struct policy_query q = {.direction = POLICY_INGRESS,
				.remote = addr(t[i].q[j].remote),
				.protocol = t[i].q[j].protocol,
				.dst_port = htons(t[i].q[j].port),
				.icmp_type = t[i].q[j].type,
				.icmp_code = t[i].q[j].code};
			assert_int_equal(allowed(p, q), t[i].q[j].match);
		}
		policy_put(db, p);
		policy_db_free(db);
	}
}

static void test_remotes(void **state)
{
	(void)state;
	struct policy_db *db = db_new();
	struct policy *p = policy_get(db, (uint32_t[]){1}, 1);
	struct policy_rule rules[] = {
		RULE(.priority = 100, .remote = POLICY_REMOTE_PREFIX),
		RULE(.priority = 50, .remote = POLICY_REMOTE_PREFIX, .action = POLICY_DENY),
		RULE(.priority = 60, .remote = POLICY_REMOTE_GROUP, .remote_id = 9),
		RULE(.priority = 40, .remote = POLICY_REMOTE_PREFIX_LIST, .remote_id = 3),
		RULE(.priority = 200, .remote = POLICY_REMOTE_PREFIX),
	};
	struct ip_prefix list[] = {prefix("10.1.1.0", 24), prefix("fd00::", 16)};
	uint32_t groups[] = {8, 9};
	struct policy_query q;

	rules[0].remote_prefix = prefix("10.0.0.0", 8);
	rules[1].remote_prefix = prefix("10.1.0.0", 16);
	rules[4].remote_prefix = prefix("::", 0);
	assert_int_equal(policy_group_set(db, 1, rules, COUNT(rules)), 0);
	apply(db);
	assert_int_equal(decided_by(p, tcp_to(1, "10.2.0.1")), 0);
	assert_int_equal(decided_by(p, tcp_to(1, "10.1.2.1")), 1);
	assert_int_equal(decided_by(p, tcp_to(1, "10.1.1.1")), 1); /* the list is not there yet */
	assert_int_equal(decided_by(p, tcp_to(1, "11.0.0.1")), -1);
	assert_int_equal(decided_by(p, tcp_to(1, "fd00::1")), 4);
	q = tcp_to(1, "11.0.0.1");
	q.remote_groups = groups;
	q.remote_group_count = 1;
	assert_int_equal(decided_by(p, q), -1);
	q.remote_group_count = 2;
	assert_int_equal(decided_by(p, q), 2);

	assert_int_equal(policy_prefix_list_set(db, 3, list, COUNT(list)), 0);
	changes = 0;
	apply(db);
	assert_int_equal(changes, 1);
	assert_int_equal(decided_by(p, tcp_to(1, "10.1.1.1")), 3);
	assert_int_equal(decided_by(p, tcp_to(1, "fd00::1")), 3);
	assert_int_equal(policy_prefix_list_set(db, 3, NULL, 0), 0);
	apply(db);
	assert_int_equal(decided_by(p, tcp_to(1, "10.1.1.1")), 1);
	assert_int_equal(decided_by(p, tcp_to(1, "fd00::1")), 4);
	policy_put(db, p);
	policy_db_free(db);
}

static void test_refused(void **state)
{
	(void)state;
	struct policy_db *db = db_new();
	struct policy_rule bad[] = {
		RULE(.priority = 0),
		RULE(.priority = 1001),
		RULE(.protocol = 256),
		RULE(.protocol = -2),
		RULE(.protocol = IPPROTO_TCP, .port_first = 2, .port_last = 1),
		RULE(.port_first = 1),
		RULE(.protocol = 132, .port_last = 80),
		RULE(.protocol = IPPROTO_TCP, .icmp_type = 1),
		RULE(.protocol = IPPROTO_ICMP, .icmp_code = 1),
		RULE(.protocol = IPPROTO_ICMP, .icmp_type = 256),
		RULE(.remote = POLICY_REMOTE_PREFIX),
	};
	struct ip_prefix host_bits = {addr("10.0.0.1"), IP_V4_BITS + 8};

	bad[COUNT(bad) - 1].remote_prefix = host_bits;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct policy_rule rules[] = {RULE(.priority = 1), bad[i]};
		assert_int_equal(policy_group_set(db, 1, rules, 2), -EINVAL);
		print_message("%s\n", policy_db_error(db));
		assert_non_null(strstr(policy_db_error(db), "rule 1: "));
	}
	assert_int_equal(policy_prefix_list_set(db, 1, &host_bits, 1), -EINVAL);
	policy_db_free(db);
}

/* Only policies that say something else are reported; nothing is seen before commit or after abort. */
static void test_transactions(void **state)
{
	(void)state;
	struct policy_db *db = db_new();
	struct policy *one = policy_get(db, (uint32_t[]){1}, 1);
	struct policy *both = policy_get(db, (uint32_t[]){2, 1, 2}, 3);
	struct policy *two = policy_get(db, (uint32_t[]){2}, 1);
	struct policy_rule allow = RULE(.priority = 10),
			   deny = RULE(.priority = 9, .action = POLICY_DENY);
	struct policy_query q = tcp_to(80, "10.0.0.1");

	assert_ptr_equal(policy_get(db, (uint32_t[]){1, 2}, 2), both);
	policy_put(db, both);
	apply(db);
	assert_int_equal(policy_group_set(db, 1, &allow, 1), 0);
	assert_int_equal(policy_db_prepare(db), 0);
	assert_false(allowed(one, q));
	policy_db_abort(db);
	assert_false(allowed(one, q));
	assert_int_equal(changes, 0);

	assert_int_equal(policy_group_set(db, 1, &deny, 1), 0);
	assert_int_equal(policy_group_set(db, 1, &allow, 1), 0); /* the later one holds */
	apply(db);
	assert_int_equal(changes, 2);
	assert_true(allowed(one, q));
	assert_true(allowed(both, q));
	assert_false(allowed(two, q));

	changes = 0;
	assert_int_equal(policy_group_set(db, 1, &allow, 1), 0);
	apply(db);
	assert_int_equal(changes, 0);
	assert_int_equal(policy_group_set(db, 2, &deny, 1), 0);
	apply(db);
	assert_int_equal(changes, 2);
	assert_true(allowed(one, q));
	assert_false(allowed(both, q));
	assert_int_equal(policy_group_del(db, 2), 0);
	apply(db);
	assert_true(allowed(both, q));
	policy_put(db, one);
	policy_put(db, both);
	policy_put(db, two);
	policy_db_free(db);
}

/* A rule keeps its table but not its number when rules before it come and go. */
static void test_rule_numbers(void **state)
{
	(void)state;
	struct policy_db *db = db_new();
	struct policy *p = policy_get(db, (uint32_t[]){1}, 1);
	struct policy_rule rules[] = {
		RULE(.protocol = IPPROTO_TCP, .port_first = 1, .port_last = 1),
		RULE(.protocol = IPPROTO_TCP, .port_first = 2, .port_last = 2),
		RULE(.protocol = IPPROTO_TCP, .port_first = 3, .port_last = 3),
		RULE(.protocol = IPPROTO_TCP, .port_first = 2, .port_last = 2),
	};

	assert_int_equal(policy_group_set(db, 1, rules, 4), 0);
	apply(db);
	assert_int_equal(decided_by(p, tcp_to(2, "10.0.0.1")), 1);
	assert_int_equal(decided_by(p, tcp_to(3, "10.0.0.1")), 2);
	assert_int_equal(policy_group_set(db, 1, rules + 1, 3), 0);
	apply(db);
	assert_int_equal(decided_by(p, tcp_to(2, "10.0.0.1")), 0);
	assert_int_equal(decided_by(p, tcp_to(3, "10.0.0.1")), 1);
	assert_int_equal(policy_group_set(db, 1, rules + 2, 2), 0);
	apply(db);
	assert_int_equal(decided_by(p, tcp_to(2, "10.0.0.1")), 1);
	assert_int_equal(decided_by(p, tcp_to(3, "10.0.0.1")), 0);
	policy_put(db, p);
	policy_db_free(db);
}

static void test_group_sets(void **state)
{
	(void)state;
	const struct group_set *none = group_set_get(NULL, 0);
	const struct group_set *a = group_set_get((uint32_t[]){5, 1, 5}, 3);
	const struct group_set *b = group_set_get((uint32_t[]){1, 5}, 2);

	assert_non_null(none);
	assert_int_equal(none->n, 0);
	assert_ptr_equal(a, b);
	assert_int_equal(a->n, 2);
	assert_int_equal(a->ids[0], 1);
	assert_int_equal(a->ids[1], 5);
	group_set_put(none, NULL);
	group_set_put(a, NULL);
	assert_ptr_equal(group_set_get((uint32_t[]){1, 5}, 2), b);
	group_set_put(b, NULL);
	group_set_put(b, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_remotes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_rule_numbers),
		cmocka_unit_test(test_group_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
