/* SPDX-License-Identifier: Apache-2.0 */
/* Policies against a plain linear reference: random rules, lists and edits in transactions, some of them aborted, some
 * with memory running out; deferred frees run late. What a query finds must equal what scanning all rules finds, down to
 * the rule that is named, so a policy edited a thousand times equals one freshly built.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "random.h"

#define GROUPS 6
#define RULES_MAX 60
#define LISTS 4
#define LIST_MAX 80 /* beyond what policies hold themselves */
#define POLICIES 8

/* ---- memory that runs out: the linker sends the code's own allocations here ---- */

static uint64_t allocations_left = UINT64_MAX;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool memory_is_left(void)
{
	if (allocations_left == 0)
		return false;
	allocations_left--;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return memory_is_left() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return memory_is_left() ? __real_calloc(n, size) : NULL;
}

/* ---- frees that wait, as under RCU ---- */

static struct {
	void (*fn)(void *);
	void *arg;
} deferred[4096];
static uint32_t n_deferred;

static void run_deferred(void)
{
	for (uint32_t i = 0; i < n_deferred; i++)
		deferred[i].fn(deferred[i].arg);
	n_deferred = 0;
}

static void defer_free(void (*fn)(void *), void *arg)
{
	assert_in_range(n_deferred, 0, 4095);
	deferred[n_deferred].fn = fn;
	deferred[n_deferred].arg = arg;
	n_deferred++;
}

/* ---- the reference ---- */

struct model {
	uint32_t n_rules[GROUPS];
	struct policy_rule rules[GROUPS][RULES_MAX];
	uint32_t n_prefixes[LISTS];
	struct ip_prefix prefixes[LISTS][LIST_MAX];
};

static bool remote_matches(
	const struct model *m, const struct policy_rule *r, const struct policy_query *q)
{
	switch (r->remote) {
	case POLICY_REMOTE_ANY:
		return true;
	case POLICY_REMOTE_PREFIX:
		return ip_prefix_contains(&r->remote_prefix, &q->remote);
	case POLICY_REMOTE_GROUP:
		for (uint32_t i = 0; i < q->remote_group_count; i++)
			if (q->remote_groups[i] == r->remote_id)
				return true;
		return false;
	case POLICY_REMOTE_PREFIX_LIST:
		for (uint32_t i = 0; i < m->n_prefixes[r->remote_id]; i++)
			if (ip_prefix_contains(&m->prefixes[r->remote_id][i], &q->remote))
				return true;
		return false;
	}
	return false;
}

static bool rule_matches(
	const struct model *m, const struct policy_rule *r, const struct policy_query *q)
{
	bool v4 = ip_addr_is_v4(&q->remote);
	uint16_t port = ntohs(q->dst_port);

	if (r->direction != q->direction || !remote_matches(m, r, q))
		return false;
	if (r->protocol == POLICY_ANY)
		return true;
	if (r->protocol != q->protocol)
		return false;
	switch (r->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return r->port_first <= port && port <= r->port_last;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return v4 == (r->protocol == IPPROTO_ICMP) &&
		       (r->icmp_type == POLICY_ANY || r->icmp_type == q->icmp_type) &&
		       (r->icmp_code == POLICY_ANY || r->icmp_code == q->icmp_code);
	default:
		return true;
	}
}

static bool rule_wins(const struct policy_rule *r, const struct policy_rule *over)
{
	if (!over || r->priority != over->priority)
		return !over || r->priority < over->priority;
	return r->action == POLICY_DENY && over->action == POLICY_ALLOW;
}

/* groups ascend, so does the index: the first of equals is kept. */
static struct policy_verdict reference(
	const struct model *m, const uint32_t *groups, uint32_t n, const struct policy_query *q)
{
	struct policy_verdict v = {
		.allow = q->direction == POLICY_EGRESS, .group = POLICY_GROUP_NONE};
	const struct policy_rule *best = NULL;

	for (uint32_t g = 0; g < n; g++) {
		for (uint32_t i = 0; i < m->n_rules[groups[g]]; i++) {
			const struct policy_rule *r = &m->rules[groups[g]][i];
			if (!rule_matches(m, r, q) || !rule_wins(r, best))
				continue;
			best = r;
			v = (struct policy_verdict){
				r->action == POLICY_ALLOW, r->priority, groups[g], i};
		}
	}
	return v;
}

/* ---- random things, from few values so that they meet ---- */

static struct ip_addr random_remote(void)
{
	struct ip_addr v6 = {.bytes = {0xfd}};

	if (random_one_in(2))
		return ip_addr_from_v4(htonl(0x0a000000 | random_below(4) << 16 |
					     random_below(4) << 8 | random_below(4)));
	v6.bytes[1] = (uint8_t)random_below(3);
	v6.bytes[8] = (uint8_t)random_below(3);
	v6.bytes[15] = (uint8_t)random_below(3);
	return v6;
}

static struct ip_prefix random_prefix(void)
{
	static const uint8_t lens[2][6] = {{0, 8, 9, 16, 64, 128}, {96, 104, 112, 119, 120, 128}};
	struct ip_addr a = random_remote();

	return ip_prefix_of(&a, lens[ip_addr_is_v4(&a)][random_below(6)]);
}

static struct policy_rule random_rule(void)
{
	static const int16_t protocols[] = {POLICY_ANY, 6, 6, 6, 17, 17, 1, 58, 47, 132};
	struct policy_rule r = POLICY_RULE_INIT;

	r.direction = random_one_in(3) ? POLICY_EGRESS : POLICY_INGRESS;
	r.action = random_one_in(3) ? POLICY_DENY : POLICY_ALLOW;
	r.priority = (uint16_t)(1 + random_below(random_one_in(2) ? 4 : 1000));
	r.protocol = protocols[random_below(10)];
	if (r.protocol == 6 || r.protocol == 17) {
		r.port_first = (uint16_t)random_below(random_one_in(4) ? 65536 : 20);
		r.port_last = random_one_in(8) ? 65535 : (uint16_t)(r.port_first + random_below(6));
		if (r.port_last < r.port_first)
			r.port_last = 65535;
	}
	if ((r.protocol == 1 || r.protocol == 58) && !random_one_in(3)) {
		r.icmp_type = (int16_t)(random_one_in(2) ? 255 : random_below(4));
		if (random_one_in(2))
			r.icmp_code = (int16_t)(random_one_in(3) ? 255 : random_below(3));
	}
	r.remote = (enum policy_remote)random_below(4);
	if (r.remote == POLICY_REMOTE_PREFIX)
		r.remote_prefix = random_prefix();
	else
		r.remote_id = random_below(LISTS);
	return r;
}

static struct policy_query random_query(uint32_t *groups)
{
	static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 58, 47, 132, 99};
	struct policy_query q = {
		.remote = random_remote(),
		.remote_groups = groups,
		.remote_group_count = random_below(4),
		.direction = random_one_in(3) ? POLICY_EGRESS : POLICY_INGRESS,
		.protocol = protocols[random_below(10)],
		.dst_port = htons((uint16_t)random_below(random_one_in(4) ? 65536 : 26)),
		.icmp_type = (uint8_t)(random_one_in(3) ? 255 : random_below(5)),
		.icmp_code = (uint8_t)(random_one_in(3) ? 255 : random_below(4)),
	};

	for (uint32_t i = 0; i < q.remote_group_count; i++)
		groups[i] = random_below(GROUPS);
	return q;
}

/* ---- edits, made to the reference ---- */

static void edit_group(struct model *m, uint32_t g)
{
	struct policy_rule *rules = m->rules[g];
	uint32_t n = m->n_rules[g], at = random_below(n + 1), other;

	switch (random_below(8)) {
	case 0: /* a new list */
		m->n_rules[g] = random_below(RULES_MAX + 1);
		for (uint32_t i = 0; i < m->n_rules[g]; i++)
			rules[i] = random_rule();
		break;
	case 1:
	case 2: /* insert */
		if (n == RULES_MAX)
			break;
		memmove(&rules[at + 1], &rules[at], (n - at) * sizeof(*rules));
		rules[at] = random_one_in(4) && n > 0 ? rules[random_below(n)] : random_rule();
		m->n_rules[g]++;
		break;
	case 3:
	case 4: /* remove */
		if (at == n)
			break;
		memmove(&rules[at], &rules[at + 1], (n - at - 1) * sizeof(*rules));
		m->n_rules[g]--;
		break;
	case 5:
	case 6: /* replace */
		if (at < n)
			rules[at] = random_rule();
		break;
	case 7: /* swap */
		if (at == n)
			break;
		other = random_below(n);
		struct policy_rule r = rules[at];
		rules[at] = rules[other];
		rules[other] = r;
		break;
	}
}

static void edit_list(struct model *m, uint32_t l)
{
	if (random_one_in(2))
		m->n_prefixes[l] = random_below(random_one_in(2) ? 8 : LIST_MAX + 1);
	for (uint32_t i = 0; i < m->n_prefixes[l]; i++)
		if (random_one_in(3) || m->prefixes[l][i].len == 0)
			m->prefixes[l][i] = random_prefix();
}

/* ---- the subject ---- */

struct subject {
	struct policy_db *db;
	struct model model;
	struct policy *policies[POLICIES]; /* NULL: not held */
	uint32_t groups[POLICIES][GROUPS];
	uint32_t n_groups[POLICIES];
};

static void check(const struct subject *s, uint32_t queries)
{
	for (uint32_t i = 0; i < queries; i++) {
		uint32_t p = random_below(POLICIES), remote_groups[GROUPS];
		struct policy_query q = random_query(remote_groups);
		struct policy_verdict got, want;

		if (!s->policies[p])
			continue;
		want = reference(&s->model, s->groups[p], s->n_groups[p], &q);
		assert_int_equal(policy_check(s->policies[p], &q, &got), want.allow);
		assert_int_equal(got.allow, want.allow);
		assert_int_equal(got.group, want.group);
		assert_int_equal(got.rule, want.rule);
		assert_int_equal(got.priority, want.priority);
	}
}

static int stage(struct subject *s, const struct model *m, uint32_t groups, uint32_t lists)
{
	int rc = 0;

	for (uint32_t g = 0; g < GROUPS && !rc; g++)
		if (groups & 1u << g)
			rc = policy_group_set(s->db, g, m->rules[g], m->n_rules[g]);
	for (uint32_t l = 0; l < LISTS && !rc; l++)
		if (lists & 1u << l)
			rc = policy_prefix_list_set(s->db, l, m->prefixes[l], m->n_prefixes[l]);
	return rc ? rc : policy_db_prepare(s->db);
}

/* Lets go of one policy and takes another instead. */
static void exchange_policy(struct subject *s)
{
	uint32_t p = random_below(POLICIES);

	if (s->policies[p])
		policy_put(s->db, s->policies[p]);
	s->n_groups[p] = 0;
	for (uint32_t g = 0; g < GROUPS; g++)
		if (random_one_in(2))
			s->groups[p][s->n_groups[p]++] = g;
	s->policies[p] = policy_get(s->db, s->groups[p], s->n_groups[p]);
	assert_non_null(s->policies[p]);
}

/* One transaction; true if it was committed. */
static bool transact(struct subject *s, bool starve)
{
	struct model *m = __real_malloc(sizeof(*m));
	uint32_t groups = 0, lists = 0;
	int rc = -ENOMEM;

	*m = s->model;
	for (uint32_t i = random_below(4); i > 0; i--) {
		uint32_t g = random_below(GROUPS);
		edit_group(m, g);
		groups |= 1u << g;
	}
	if (random_one_in(3)) {
		uint32_t l = random_below(LISTS);
		edit_list(m, l);
		lists |= 1u << l;
	}
	if (random_one_in(4))
		exchange_policy(s);
	for (uint64_t budget = starve ? 0 : UINT64_MAX; rc == -ENOMEM; budget++) {
		allocations_left = budget;
		rc = stage(s, m, groups, lists);
		allocations_left = UINT64_MAX;
		if (rc)
			policy_db_abort(s->db);
	}
	assert_int_equal(rc, 0);
	bool commit = !random_one_in(8);
	if (commit) {
		allocations_left = 0;
		policy_db_commit(s->db);
		allocations_left = UINT64_MAX;
		s->model = *m;
	} else {
		policy_db_abort(s->db);
		/* Policies that are new have never been compiled. */
		assert_int_equal(policy_db_prepare(s->db), 0);
		policy_db_commit(s->db);
	}
	free(m);
	return commit;
}

static void run(uint32_t rounds, uint32_t queries, bool starve)
{
	struct subject *s = calloc(1, sizeof(*s));

	s->db = policy_db_new(&(struct policy_hooks){.defer = defer_free});
	assert_non_null(s->db);
	for (uint32_t i = 0; i < 2 * POLICIES; i++)
		exchange_policy(s);
	for (uint32_t i = 0; i < rounds; i++) {
		transact(s, starve);
		check(s, queries);
		if (random_one_in(5))
			run_deferred();
	}
	for (uint32_t i = 0; i < POLICIES; i++)
		if (s->policies[i])
			policy_put(s->db, s->policies[i]);
	run_deferred();
	policy_db_free(s->db);
	free(s);
}

static void test_edits(void **state)
{
	(void)state;
	run(test_size(500, 10000), 10, false);
}

static void test_many_queries(void **state)
{
	(void)state;
	run(40, test_size(500, 10000), false);
}

/* Each transaction is tried with one allocation more, until it succeeds; what fails leaves nothing behind. */
static void test_out_of_memory(void **state)
{
	(void)state;
	run(test_size(40, 400), 10, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_many_queries),
		cmocka_unit_test(test_out_of_memory),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
