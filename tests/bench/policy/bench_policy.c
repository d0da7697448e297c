/* SPDX-License-Identifier: Apache-2.0 */
/* What a verdict costs with 1 and with 10,000 rules, what changing one of them costs the control thread, and memory.
 *
 *   ninja -C build tests/bench/policy/bench_policy && taskset -c 1 build/tests/bench/policy/bench_policy
 *
 * A check is measured one after the other (each waits for the one before, as the first packet of a flow waits for its
 * verdict), over 4,096 random queries, half of which match; cycles of the TSC, median of 31 rounds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include <rte_cycles.h>

#include "base/prefix_map.h"
#include "policy/policy.h"
#include "unit/random.h"

#define RULES 10000
#define QUERIES 4096
#define ROUNDS 31

static double tsc_per_us;

static void calibrate(void)
{
	struct timespec a, b;
	uint64_t start = rte_rdtsc();

	clock_gettime(CLOCK_MONOTONIC, &a);
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < 50000000L);
	tsc_per_us = (double)(rte_rdtsc() - start) / 50000;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), compare);
	return samples[n / 2];
}

static uint32_t scattered(uint32_t i)
{
	return (uint32_t)((i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}

/* ---- rule sets: rule i, and a query that rule i alone matches, or none when it is moved aside ---- */

struct scenario {
	const char *name;
	uint32_t rules;
	struct policy_rule (*rule)(uint32_t i);
	struct policy_query (*query)(uint32_t i);
};

static struct policy_rule tcp_rule(uint16_t first, uint16_t last)
{
	struct policy_rule r = POLICY_RULE_INIT;

	r.protocol = IPPROTO_TCP;
	r.port_first = first;
	r.port_last = last;
	return r;
}

static struct policy_query tcp_query(struct ip_addr remote, uint16_t port)
{
	return (struct policy_query){
		.remote = remote, .protocol = IPPROTO_TCP, .dst_port = htons(port)};
}

static struct ip_addr v4_of(uint32_t i)
{
	return ip_addr_from_v4(htonl(0x0a000000 | scattered(i)));
}

static struct ip_addr v6_of(uint32_t i)
{
	struct ip_addr a = {.w = {RTE_BE32(0xfd000000), 0, 0, htonl(i)}};

	a.w[1] = htonl(scattered(i));
	return a;
}

static struct policy_rule any_rule(uint32_t i)
{
	return tcp_rule((uint16_t)(i * 5), (uint16_t)(i * 5 + 1));
}

static struct policy_query any_query(uint32_t i)
{
	return tcp_query(v4_of(i), (uint16_t)(i * 5));
}

static struct policy_rule same_prefix_rule(uint32_t i)
{
	struct policy_rule r = any_rule(i);

	r.remote = POLICY_REMOTE_PREFIX;
	r.remote_prefix = ip_prefix_from_v4(htonl(0x0a000000), 8);
	return r;
}

static struct policy_rule host_rule(uint32_t i)
{
	struct policy_rule r = tcp_rule(443, 443);

	r.remote = POLICY_REMOTE_PREFIX;
	r.remote_prefix = (struct ip_prefix){v4_of(i), 128};
	return r;
}

static struct policy_query host_query(uint32_t i)
{
	return tcp_query(v4_of(i), 443);
}

static struct policy_rule host6_rule(uint32_t i)
{
	struct policy_rule r = tcp_rule(443, 443);

	r.remote = POLICY_REMOTE_PREFIX;
	r.remote_prefix = (struct ip_prefix){v6_of(i), 128};
	return r;
}

static struct policy_query host6_query(uint32_t i)
{
	return tcp_query(v6_of(i), 443);
}

/* /8 to /32, some inside others. */
static struct policy_rule mixed_rule(uint32_t i)
{
	struct policy_rule r = tcp_rule((uint16_t)(i % 7 * 100), (uint16_t)(i % 7 * 100 + 500));
	struct ip_addr a = v4_of(i);

	r.priority = (uint16_t)(1 + i % 1000);
	r.remote = POLICY_REMOTE_PREFIX;
	r.remote_prefix = ip_prefix_of(&a, (uint8_t)(IP_V4_BITS + 8 + i % 25));
	return r;
}

static struct policy_query mixed_query(uint32_t i)
{
	return tcp_query(v4_of(i), (uint16_t)(i % 7 * 100));
}

static struct policy_rule group_rule(uint32_t i)
{
	struct policy_rule r = tcp_rule(443, 443);

	r.remote = POLICY_REMOTE_GROUP;
	r.remote_id = i;
	return r;
}

static struct policy_query group_query(uint32_t i)
{
	static uint32_t ids[RULES * 2];
	struct policy_query q = tcp_query(v4_of(i), 443);

	ids[i] = i;
	q.remote_groups = &ids[i];
	q.remote_group_count = 1;
	return q;
}

/* The worst case of one address: every prefix length around it, many ports each, the shortest prefix the best. */
static struct policy_rule nested_rule(uint32_t i)
{
	struct policy_rule r = tcp_rule((uint16_t)(i / 33 * 6), (uint16_t)(i / 33 * 6 + 3));
	struct ip_addr a = ip_addr_from_v4(htonl(0x0a010203));

	r.priority = (uint16_t)(1 + 10 * (i % 33));
	r.remote = POLICY_REMOTE_PREFIX;
	r.remote_prefix = ip_prefix_of(&a, (uint8_t)(128 - i % 33));
	return r;
}

/* Asks all 33 tables: ports that no rule names. */
static struct policy_query nested_query(uint32_t i)
{
	return tcp_query(ip_addr_from_v4(htonl(0x0a010203)), (uint16_t)(i * 6 + 5));
}

static const struct scenario scenarios[] = {
	{"anyone, 1 port", 1, any_rule, any_query},
	{"anyone, 10,000 port ranges", RULES, any_rule, any_query},
	{"one prefix, 1 port", 1, same_prefix_rule, any_query},
	{"one prefix, 10,000 port ranges", RULES, same_prefix_rule, any_query},
	{"1 IPv4 host", 1, host_rule, host_query},
	{"10,000 IPv4 hosts", RULES, host_rule, host_query},
	{"1 IPv6 host", 1, host6_rule, host6_query},
	{"10,000 IPv6 hosts", RULES, host6_rule, host6_query},
	{"1 IPv4 prefix", 1, mixed_rule, mixed_query},
	{"10,000 IPv4 prefixes /8 to /32", RULES, mixed_rule, mixed_query},
	{"1 remote group", 1, group_rule, group_query},
	{"10,000 remote groups", RULES, group_rule, group_query},
	{"33 nested prefixes, no match", RULES, nested_rule, nested_query},
};

/* ---- measuring ---- */

static uint64_t check_cycles(const struct policy *p, const struct scenario *sc)
{
	struct policy_query *queries = calloc(QUERIES, sizeof(*queries));
	uint64_t samples[ROUNDS];
	uint32_t sum = 0;

	for (uint32_t i = 0; i < QUERIES; i++) {
		queries[i] = sc->query(random_below(sc->rules));
		if (random_one_in(2))
			queries[i] = sc->query(random_below(sc->rules) + sc->rules);
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = rte_rdtsc_precise();
		for (uint32_t i = 0; i < QUERIES; i++) {
			struct policy_verdict v;
			/* The next query cannot start before this verdict is known. */
			policy_check(p, &queries[i ^ (sum & 1)], &v);
			sum = v.allow;
		}
		samples[round] = (rte_rdtsc_precise() - start) / QUERIES;
	}
	free(queries);
	return median(samples, ROUNDS);
}

static void set(struct policy_db *db, uint32_t id, const struct policy_rule *rules, uint32_t n)
{
	if (policy_group_set(db, id, rules, n) || policy_db_prepare(db)) {
		fprintf(stderr, "no memory or a bad rule: %s\n", policy_db_error(db));
		exit(1);
	}
	policy_db_commit(db);
}

/* One rule of the list changes its action; from the list as an array to the end of the commit. */
static uint64_t change_us(
	struct policy_db *db, struct policy_rule *rules, uint32_t n, uint64_t *worst)
{
	uint64_t samples[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		struct policy_rule *r = &rules[random_below(n)];
		r->action = r->action == POLICY_ALLOW ? POLICY_DENY : POLICY_ALLOW;
		uint64_t start = rte_rdtsc();
		set(db, 1, rules, n);
		samples[round] = (uint64_t)((double)(rte_rdtsc() - start) / tsc_per_us);
	}
	uint64_t m = median(samples, ROUNDS);
	*worst = samples[ROUNDS - 1];
	return m;
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void run(const struct scenario *sc)
{
	struct policy_db *db = policy_db_new(&(struct policy_hooks){0});
	struct policy_rule *rules = calloc(sc->rules, sizeof(*rules));
	struct policy *p = policy_get(db, (uint32_t[]){1}, 1);
	size_t before = heap();
	uint64_t start, fresh, cycles, change, worst;

	for (uint32_t i = 0; i < sc->rules; i++)
		rules[i] = sc->rule(i);
	start = rte_rdtsc();
	set(db, 1, rules, sc->rules);
	fresh = (uint64_t)((double)(rte_rdtsc() - start) / tsc_per_us);
	size_t memory = heap() - before;
	cycles = check_cycles(p, sc);
	change = change_us(db, rules, sc->rules, &worst);
	printf("%-32s %6lu %10lu %10lu %10lu %10lu\n", sc->name, cycles, fresh, change, worst,
		memory / sc->rules);
	policy_put(db, p);
	policy_db_free(db);
	free(rules);
}

static void build_prefix_map(void)
{
	struct prefix_map_entry *entries = calloc(RULES, sizeof(*entries));
	uint64_t samples[ROUNDS];

	for (int v6 = 0; v6 < 2; v6++) {
		for (uint32_t i = 0; i < RULES; i++) {
			struct ip_addr a = v6 ? v6_of(i) : v4_of(i);
			entries[i].prefix = ip_prefix_of(
				&a, (uint8_t)(v6 ? 16 + i % 113 : IP_V4_BITS + 8 + i % 25));
		}
		for (int round = 0; round < ROUNDS; round++) {
			uint64_t start = rte_rdtsc();
			prefix_map_free(prefix_map_new(entries, RULES));
			samples[round] = (uint64_t)((double)(rte_rdtsc() - start) / tsc_per_us);
		}
		printf("prefix_map of 10,000 IPv%d prefixes built in %lu us\n", v6 ? 6 : 4,
			median(samples, ROUNDS));
	}
	free(entries);
}

/* A list of 10,000 prefixes that 1,000 policies use. */
static void long_list(void)
{
	struct policy_db *db = policy_db_new(&(struct policy_hooks){0});
	struct ip_prefix *prefixes = calloc(RULES, sizeof(*prefixes));
	struct policy_rule rule = tcp_rule(443, 443);
	const struct scenario sc = {"", RULES, NULL, host_query};
	struct policy *p = NULL;

	for (uint32_t i = 0; i < RULES; i++)
		prefixes[i] = host_rule(i).remote_prefix;
	rule.remote = POLICY_REMOTE_PREFIX_LIST;
	for (uint32_t g = 0; g < 1000; g++) {
		p = policy_get(db, &g, 1);
		set(db, g, &rule, 1);
	}
	uint64_t start = rte_rdtsc();
	if (policy_prefix_list_set(db, 0, prefixes, RULES) || policy_db_prepare(db))
		exit(1);
	policy_db_commit(db);
	printf("a list of 10,000 prefixes that 1,000 policies use changed in %.0f us, a check by "
	       "it: "
	       "%lu cycles\n",
		(double)(rte_rdtsc() - start) / tsc_per_us, check_cycles(p, &sc));
	free(prefixes);
}

/* A node's worth: 1,000 groups of 100 rules, 1,000 policies of one group each and one that all share. */
static void node_memory(void)
{
	struct policy_db *db = policy_db_new(&(struct policy_hooks){0});
	struct policy_rule rules[100];
	size_t before = heap();

	for (uint32_t g = 1; g <= 1000; g++) {
		for (uint32_t i = 0; i < 100; i++)
			rules[i] = i % 2 ? mixed_rule(g * 100 + i) : any_rule(g * 100 + i);
		policy_get(db, (uint32_t[]){0, g}, 2);
		if (policy_group_set(db, g, rules, 100))
			exit(1);
	}
	set(db, 0, rules, 10);
	printf("100,000 rules in 1,000 policies: %zu kB\n", (heap() - before) / 1024);
	uint64_t start = rte_rdtsc();
	set(db, 0, rules, 9);
	printf("a rule of a group that 1,000 policies hold changed in %.0f us\n",
		(double)(rte_rdtsc() - start) / tsc_per_us);
}

int main(void)
{
	random_start();
	calibrate();
	printf("%-32s %6s %10s %10s %10s %10s\n", "rules", "cycles", "fresh us", "change us",
		"worst us", "B/rule");
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		run(&scenarios[i]);
	build_prefix_map();
	node_memory();
	long_list();
	return 0;
}
