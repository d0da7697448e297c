/* SPDX-License-Identifier: Apache-2.0 */
/* What share of the connections each back end gets, by each scheduler, and whom a change moves; thousands of balancers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>

#include "balancer.h"
#include "base/ip_text.h"
#include "cloud.h"
#include "core/rcu.h"
#include "graph.h"
#include "lb/lb_internal.h"
#include "tests/unit/random.h"

#define CONNECTIONS 10000u
#define BACKENDS 10u

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_pass_time(10);
	graph_reset();
	return 0;
}

static char text[1u << 16];

/* A balancer of port 80, TCP, whose back ends are 10.0.9.1 and up. */
static void put_balancer(const char *scheduler, const uint8_t *weights, unsigned int n)
{
	size_t used = (size_t)snprintf(text, sizeof(text),
		"[" BALANCER("lb", VIP) ", [\"listener\", \"lb\", 6, 80, \"%s\", 0, [], 0, 0, "
					"false, " NO_CHECK "]",
		scheduler);

	for (unsigned int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			", [\"backend\", \"lb\", 6, 80, \"10.0.9.%u\", 8080, %u, \"\"]", i + 1,
			weights != NULL ? weights[i] : 1);
	snprintf(text + used, sizeof(text) - used, "]");
	graph_items(text);
}

static struct lb_listener *listener(void)
{
	return lb_listener_at(lb_by_name("lb"), IPPROTO_TCP, RTE_BE16(80));
}

static struct lb_client client(uint32_t n, bool dry)
{
	return (struct lb_client){.addr = ip_addr_from_v4(rte_cpu_to_be_32(0xc6336400 + n)),
		.vip = ip_addr_from_v4(RTE_BE32(0x0a000164)),
		.port = rte_cpu_to_be_16((uint16_t)(1024 + n)),
		.dry = dry};
}

/* Of 10.0.9.x: x - 1. */
static unsigned int place(const struct lb_backend *b)
{
	return b->addr.bytes[15] - 1u;
}

static struct lb_backend *at_place(unsigned int n)
{
	struct ip_addr addr = ip_addr_from_v4(rte_cpu_to_be_32(0x0a000901 + n));

	return lb_backend_find("lb", IPPROTO_TCP, RTE_BE16(80), &addr, RTE_BE16(8080));
}

/* New connections from as many clients, which last. */
static void connect_all(unsigned int had[BACKENDS])
{
	memset(had, 0, BACKENDS * sizeof(*had));
	for (uint32_t n = 0; n < CONNECTIONS; n++) {
		struct lb_client c = client(n, false);
		struct lb_backend *b = lb_pick(listener(), &c);

		assert_non_null(b);
		lb_connection_opened(b->id);
		had[place(b)]++;
	}
}

static void disconnect_all(const unsigned int had[BACKENDS])
{
	for (unsigned int i = 0; i < BACKENDS; i++)
		for (unsigned int n = 0; n < had[i]; n++)
			lb_connection_closed(at_place(i)->id);
}

/* Within 2 % of all connections of what the weights say; counted, of what each is given. */
static void check_shares(const char *scheduler, const uint8_t *weights, bool exact)
{
	unsigned int had[BACKENDS], total = 0;

	put_balancer(scheduler, weights, BACKENDS);
	for (unsigned int i = 0; i < BACKENDS; i++)
		total += weights != NULL ? weights[i] : 1;
	connect_all(had);
	for (unsigned int i = 0; i < BACKENDS; i++) {
		unsigned int want = CONNECTIONS * (weights != NULL ? weights[i] : 1) / total;
		unsigned int off = exact ? 1 + want / 50 : CONNECTIONS / 50;

		if (had[i] + off < want || had[i] > want + off)
			fail_msg("%s: back end %u has %u connections instead of %u", scheduler, i,
				had[i], want);
		assert_int_equal(lb_connections(at_place(i)), had[i]);
	}
	disconnect_all(had);
}

static const uint8_t uneven[BACKENDS] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 100};

static void test_shares(void **state)
{
	(void)state;
	check_shares("round_robin", NULL, true);
	check_shares("weighted_round_robin", NULL, true);
	check_shares("weighted_round_robin", uneven, true);
	check_shares("least_connections", NULL, true);
	check_shares("least_connections", uneven, true);
	check_shares("source_hash", NULL, false);
	check_shares("source_hash", uneven, false);
	check_shares("maglev", NULL, false);
	check_shares("maglev", uneven, false);
}

/* A client's address alone decides, or its port as well. */
static void test_what_is_hashed(void **state)
{
	struct lb_client c = client(5, true);
	const struct lb_backend *first;
	unsigned int others = 0;

	(void)state;
	put_balancer("source_hash", NULL, BACKENDS);
	first = lb_pick(listener(), &c);
	for (uint16_t port = 0; port < 100; port++) {
		c.port = port;
		assert_ptr_equal(lb_pick(listener(), &c), first);
	}
	put_balancer("maglev", NULL, BACKENDS);
	for (uint16_t port = 0; port < 100; port++) {
		c.port = port;
		others += lb_pick(listener(), &c) != first;
	}
	assert_true(others > 50);
}

/* Connections to 0 take three times as long as those to 1: it gets a third as many. */
static void test_unequal_service_times(void **state)
{
	static const unsigned int lasts[2] = {300, 100};
	static unsigned int ends[2][CONNECTIONS + 300];
	unsigned int had[2] = {0};

	(void)state;
	put_balancer("least_connections", NULL, 2);
	memset(ends, 0, sizeof(ends));
	for (uint32_t n = 0; n < CONNECTIONS; n++) {
		struct lb_client c = client(n, false);
		struct lb_backend *b;
		uint32_t open[2];

		for (unsigned int i = 0; i < 2; i++)
			for (; ends[i][n] > 0; ends[i][n]--)
				lb_connection_closed(at_place(i)->id);
		for (unsigned int i = 0; i < 2; i++)
			open[i] = lb_connections(at_place(i));
		b = lb_pick(listener(), &c);
		assert_true(open[place(b)] <= open[1 - place(b)]);
		lb_connection_opened(b->id);
		ends[place(b)][n + lasts[place(b)]]++;
		had[place(b)]++;
	}
	for (unsigned int i = 0; i < 2; i++)
		for (uint32_t n = CONNECTIONS; n < CONNECTIONS + 300; n++)
			for (; ends[i][n] > 0; ends[i][n]--)
				lb_connection_closed(at_place(i)->id);
	/* 1 : 3, but for the first while, when both were empty. */
	assert_in_range(had[0], CONNECTIONS / 4, CONNECTIONS / 4 + CONNECTIONS / 50);
}

static void map_flows(uint8_t *map, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct lb_client c = client(i, true);
		const struct lb_backend *b = lb_pick(listener(), &c);

		map[i] = b != NULL ? (uint8_t)place(b) : 255;
	}
}

#define FLOWS 20000u

static uint32_t moved(const uint8_t *before, const uint8_t *after, uint8_t of)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FLOWS; i++)
		n += before[i] != after[i] && before[i] != of && after[i] != of;
	return n;
}

static void set_health(unsigned int n, enum lb_health health)
{
	lb_health_set(at_place(n), health, NULL);
	graph_pass_time(10);
}

/* A failure, a return, a removal, an addition: only flows of that back end are moved. */
static void test_disruption(void **state)
{
	static uint8_t before[FLOWS], after[FLOWS];

	(void)state;
	put_balancer("maglev", uneven, BACKENDS);
	map_flows(before, FLOWS);
	for (unsigned int n = 0; n < BACKENDS; n++) {
		set_health(n, LB_HEALTH_DOWN);
		map_flows(after, FLOWS);
		assert_int_equal(moved(before, after, (uint8_t)n), 0);
		assert_null(memchr(after, (int)n, FLOWS));
		set_health(n, LB_HEALTH_UP);
		map_flows(after, FLOWS);
		assert_memory_equal(before, after, FLOWS);
	}
	graph_delete("[[\"backend\", \"lb\", 6, 80, \"10.0.9.10\", 8080]]");
	map_flows(after, FLOWS);
	assert_int_equal(moved(before, after, 9), 0);
	memcpy(before, after, FLOWS);
	put_balancer("maglev", uneven, BACKENDS);
	map_flows(after, FLOWS);
	assert_int_equal(moved(before, after, 9), 0);
	/* The same from nothing: another start, another node. */
	graph_reset();
	graph_items(CLOUD);
	put_balancer("maglev", uneven, BACKENDS);
	map_flows(before, FLOWS);
	graph_reset();
	graph_items(CLOUD);
	put_balancer("maglev", uneven, BACKENDS);
	map_flows(after, FLOWS);
	assert_memory_equal(before, after, FLOWS);
}

/*
 * Two threads, as workers are.
 */

static _Atomic unsigned int had_by_threads[BACKENDS];

static void *connect_half(void *arg)
{
	rcu_thread = (unsigned int)(uintptr_t)arg;
	for (uint32_t n = 0; n < CONNECTIONS / 2; n++) {
		struct lb_client c = client(2 * n + rcu_thread, false);
		const struct lb_backend *b = lb_pick(listener(), &c);

		lb_connection_opened(b->id);
		had_by_threads[place(b)]++;
	}
	return NULL;
}

/* Each closes what any of them has opened. */
static void *disconnect_half(void *arg)
{
	rcu_thread = (unsigned int)(uintptr_t)arg;
	for (unsigned int i = 0; i < BACKENDS; i++)
		for (unsigned int n = rcu_thread; n < had_by_threads[i]; n += 2)
			lb_connection_closed(at_place(i)->id);
	return NULL;
}

static void on_two_threads(void *(*fn)(void *))
{
	pthread_t threads[2];

	for (uintptr_t t = 0; t < 2; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, fn, (void *)t), 0);
	for (unsigned int t = 0; t < 2; t++)
		pthread_join(threads[t], NULL);
}

static void test_two_threads(void **state)
{
	static const char *const schedulers[] = {"round_robin", "weighted_round_robin",
		"least_connections", "source_hash", "maglev"};

	(void)state;
	for (unsigned int s = 0; s < 5; s++) {
		put_balancer(schedulers[s], NULL, BACKENDS);
		memset(had_by_threads, 0, sizeof(had_by_threads));
		on_two_threads(connect_half);
		for (unsigned int i = 0; i < BACKENDS; i++) {
			assert_in_range(
				had_by_threads[i], CONNECTIONS * 8 / 100, CONNECTIONS * 12 / 100);
			assert_int_equal(lb_connections(at_place(i)), had_by_threads[i]);
		}
		on_two_threads(disconnect_half);
		for (unsigned int i = 0; i < BACKENDS; i++)
			assert_int_equal(lb_connections(at_place(i)), 0);
	}
}

/*
 * Many.
 */

#define BALANCERS 1000

static json_t *balancer_items(unsigned int n, bool keys)
{
	static const char *const schedulers[] = {"round_robin", "weighted_round_robin",
		"least_connections", "source_hash", "maglev"};
	json_t *items = json_array();
	char name[16], address[32];

	snprintf(name, sizeof(name), "lb%u", n);
	snprintf(address, sizeof(address), "10.0.%u.%u", 100 + n / 200, 1 + n % 200);
	if (!keys) {
		json_array_append_new(items,
			json_pack("[s, s, i, s, n, n, i]", "load_balancer", name, 100, address, 1));
		json_array_append_new(
			items, json_pack("[s, s, i, i, s, i, [], i, i, b, {s:s}]", "listener", name,
				       6, 80, schedulers[n % 5], 0, 0, 0, 0, "type", "none"));
	}
	for (unsigned int b = 0; b < 10; b++) {
		snprintf(address, sizeof(address), "10.0.%u.%u", 10 + n % 64, 1 + b);
		json_array_append_new(
			items, keys ? json_pack("[s, s, i, i, s, i]", "backend", name, 6, 80,
					      address, 8080 + n / 64)
				    : json_pack("[s, s, i, i, s, i, i, s]", "backend", name, 6, 80,
					      address, 8080 + n / 64, 1 + b * 10, ""));
	}
	if (keys) {
		json_array_append_new(items, json_pack("[s, s, i, i]", "listener", name, 6, 80));
		json_array_append_new(items, json_pack("[s, s]", "load_balancer", name));
	}
	return items;
}

/* All of them through the socket. */
static void transact(bool deletion)
{
	json_t *answer = graph_rpc("state.begin", json_object());
	json_int_t tx = json_integer_value(json_object_get(answer, "transaction"));

	json_decref(answer);
	for (unsigned int n = 0; n < BALANCERS; n += 50) {
		json_t *items = json_array();

		for (unsigned int i = n; i < n + 50; i++) {
			json_t *some = balancer_items(i, deletion);

			json_array_extend(items, some);
			json_decref(some);
		}
		json_decref(graph_rpc(deletion ? "state.del" : "state.put",
			json_pack("{s:I, s:o}", "transaction", tx, deletion ? "keys" : "items",
				items)));
	}
	json_decref(graph_rpc(
		"state.commit", json_pack("{s:I, s:I}", "transaction", tx, "revision", tx + 1000)));
}

static void test_a_thousand_balancers(void **state)
{
	json_t *status;
	unsigned int n;

	(void)state;
	(void)graph_longest_turn_us();
	transact(false);
	n = (unsigned int)graph_longest_turn_us();
	printf("longest turn %u us\n", n);
	assert_true(n < 50000); /* of CPU time */
	while (!lb_choice_work(LB_WORK_TURN))
		;
	for (unsigned int i = 0; i < BALANCERS; i++) {
		char name[16];
		struct lb_client c = client(i, true);

		snprintf(name, sizeof(name), "lb%u", i);
		assert_non_null(
			lb_pick(lb_listener_at(lb_by_name(name), IPPROTO_TCP, RTE_BE16(80)), &c));
	}
	status = graph_rpc("lb.status", json_object());
	assert_int_equal(json_array_size(json_object_get(status, "items")), 10 * BALANCERS);
	json_decref(status);
	status = graph_rpc("lb.status", json_pack("{s:[s]}", "names", "lb7"));
	assert_int_equal(json_array_size(json_object_get(status, "items")), 10);
	json_decref(status);
	transact(true);
	graph_pass_time(10);
	assert_null(lb_by_name("lb7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_hashed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unequal_service_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disruption, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_thousand_balancers, setup, teardown),
	};

	random_start();
	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
