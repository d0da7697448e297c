/* SPDX-License-Identifier: Apache-2.0 */
/* 64,000 connections at once on one outside address, begun by two workers that run against each other; then all ports of it and some
 * flows more, their rest, and nothing left. For both mappings; endpoint-dependent again as many to a second destination.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_cycles.h>
#include <rte_lcore.h>

#include "core/rcu.h"
#include "core/worker.h"
#include "nat/nat_table.h"
#include "nat_cloud.h"
#include "port/port.h"
#include "session/session.h"

#define MANY 64000u
#define PORTS 64511u /* from 1024 on, without 4789 */
#define FLOWS 70000u /* of a destination, at most */

/* Flow i is begun by a (even) or b, from a port of its own, to the server's port `destination`. */
static uint16_t inside_port(uint32_t i)
{
	return (uint16_t)(1024 + i / 2);
}

static _Atomic uint32_t next_out[2], next_in; /* flows begun, answered */
static _Atomic uint32_t end_out, end_in;      /* up to there */
static _Atomic bool working;
static uint16_t destination;
static _Atomic uint16_t outside_of[FLOWS]; /* of flow i, 0: none seen */
static _Atomic uint32_t seen_out, seen_in, errors;
static _Atomic uint32_t told; /* ICMP errors */

static struct rte_mbuf *packet(uint32_t i, bool out)
{
	bool from_a = i % 2 == 0;
	struct frame_spec s = {FROM(from_a ? MAC_A : MAC_B, from_a ? A4 : B4), TO(GW, SERVER),
		.sport = inside_port(i), .dport = destination, .payload = 4};
	struct frame f;
	struct rte_mbuf *m;

	if (!out) {
		s = (struct frame_spec){FROM(HOP_MAC, SERVER), TO(EXT_MAC, E50),
			.sport = destination, .dport = outside_of[i], .payload = 4};
	}
	/* Which flow it is, where the test finds it again; UDP without a checksum (RFC 768). */
	frame_build(&f, &s);
	memcpy(f.bytes + 42, &i, sizeof(i));
	memset(f.bytes + 40, 0, 2);
	m = graph_mbuf(f.bytes, f.len);
	return m;
}

static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t side = strcmp(port->name, "b") == 0, i;
	uint16_t got = 0;

	if (strcmp(port->name, EXT) == 0) {
		while (got < n && atomic_load(&next_in) < atomic_load(&end_in) &&
			(i = atomic_fetch_add(&next_in, 1)) < atomic_load(&end_in))
			if (outside_of[i] != 0)
				pkts[got++] = packet(i, false);
		return got;
	}
	if (strcmp(port->name, "a") != 0 && side == 0)
		return 0;
	while (got < n && atomic_load(&next_out[side]) < atomic_load(&end_out) &&
		(i = atomic_fetch_add(&next_out[side], 2)) < atomic_load(&end_out))
		pkts[got++] = packet(i, true);
	return got;
}

static void check_out(const uint8_t *f)
{
	uint16_t port = (uint16_t)(f[34] << 8 | f[35]), before = 0;
	uint32_t i;

	memcpy(&i, f + 42, sizeof(i));
	if (memcmp(f + 26, "\xcb\x00\x71\x32", 4) != 0 || port < 1024 || i >= FLOWS ||
		!atomic_compare_exchange_strong(&outside_of[i], &before, port))
		atomic_fetch_add(&errors, 1);
	atomic_fetch_add(&seen_out, 1);
}

static void check_in(const uint8_t *f, bool at_a)
{
	uint16_t port = (uint16_t)(f[36] << 8 | f[37]);
	uint32_t i;

	memcpy(&i, f + 42, sizeof(i));
	if (i >= FLOWS || at_a != (i % 2 == 0) || port != inside_port(i))
		atomic_fetch_add(&errors, 1);
	atomic_fetch_add(&seen_in, 1);
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (f[12] == 0x08 && f[13] == 0x00 && f[23] == IPPROTO_ICMP)
		atomic_fetch_add(&told, 1);
	else if (strcmp(port->name, EXT) == 0)
		check_out(f);
	else
		check_in(f, strcmp(port->name, "a") == 0);
	rte_pktmbuf_free(m);
}

static bool go_on(void)
{
	return atomic_load(&working);
}

static void *worker(void *arg)
{
	/* As an lcore it has packet buffers of its own at hand, and need not wait for the other's. */
	if (rte_thread_register() != 0)
		abort();
	graph_work((unsigned int)(uintptr_t)arg, go_on);
	rte_thread_unregister();
	return NULL;
}

static uint64_t dropped_of(enum drop_reason reason)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		n += __atomic_load_n(&workers[i].count.dropped[reason], __ATOMIC_RELAXED);
	return n;
}

/* Packets that came or were made, less those that left or were dropped. */
static int64_t under_way(void)
{
	int64_t n = 0;

	for (unsigned int i = 0; i < worker_count; i++) {
		const struct worker_counters *c = &workers[i].count;

		n += (int64_t)(__atomic_load_n(&c->received, __ATOMIC_RELAXED) +
			       __atomic_load_n(&c->generated, __ATOMIC_RELAXED) -
			       __atomic_load_n(&c->sent, __ATOMIC_RELAXED));
	}
	for (unsigned int r = 1; r < DROP_MAX; r++)
		n -= (int64_t)dropped_of((enum drop_reason)r);
	return n;
}

static bool all_taken(void)
{
	return atomic_load(&next_out[0]) >= atomic_load(&end_out) &&
	       atomic_load(&next_out[1]) >= atomic_load(&end_out) &&
	       atomic_load(&next_in) >= atomic_load(&end_in);
}

/* Both workers, until all flows up to `out` are begun, and all up to `in` answered. */
static void run(uint32_t out, uint32_t in)
{
	pthread_t threads[2];

	atomic_store(&end_out, RTE_MAX(out, atomic_load(&end_out)));
	atomic_store(&end_in, RTE_MAX(in, atomic_load(&end_in)));
	atomic_store(&working, true);
	worker_self = NULL; /* this is the control thread */
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	while (!all_taken()) {
		nat_tick();
		rte_delay_us_sleep(1000); /* the CPUs are the workers' */
	}
	/* What a worker has taken from a port it has carried by its next quiescent state. */
	rcu_synchronize();
	rcu_synchronize();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	worker_self = &workers[0];
	assert_int_equal(under_way(), 0);
}

static void begin(uint16_t dport)
{
	destination = dport;
	atomic_store(&next_out[0], 0);
	atomic_store(&next_out[1], 1);
	atomic_store(&next_in, 0);
	atomic_store(&end_out, 0);
	atomic_store(&end_in, 0);
	atomic_store(&seen_out, 0);
	atomic_store(&seen_in, 0);
	atomic_store(&told, 0);
	for (uint32_t i = 0; i < FLOWS; i++)
		atomic_store(&outside_of[i], 0);
}

/* No two flows of one destination have one port. */
static void check_unique(void)
{
	static bool taken[65536];

	memset(taken, 0, sizeof(taken));
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint16_t port = outside_of[i];

		assert_false(port != 0 && taken[port]);
		taken[port] = port != 0;
	}
}

static void many(bool dependent)
{
	uint64_t refused = dropped_of(DROP_NAT_EXHAUSTED);
	uint32_t passed;

	NAT(.dependent = dependent);
	begin(53);
	run(MANY, 0);
	assert_int_equal(atomic_load(&seen_out), MANY);
	check_unique();
	assert_int_equal(session_used(), MANY);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), MANY);
	assert_int_equal(nat_events(), 0);
	/* Each is answered to who has begun it. */
	run(0, MANY);
	assert_int_equal(atomic_load(&seen_in), MANY);

	/* The last ports, and flows that find none: dropped, told, nobody else's taken. */
	run(PORTS + 300, 0);
	passed = atomic_load(&seen_out);
	check_unique();
	assert_int_equal(dropped_of(DROP_NAT_EXHAUSTED) - refused, PORTS + 300 - passed);
	assert_in_range(passed, dependent ? PORTS - 300 : PORTS, PORTS);
	assert_true(atomic_load(&told) > 0);
	nat_pass(1);
	assert_true(nat_events() >= 1); /* the test's time runs as fast as its loop */
	atomic_store(&next_in, 0);
	atomic_store(&seen_in, 0);
	run(0, PORTS + 300);
	assert_int_equal(atomic_load(&seen_in), passed);
	assert_int_equal(atomic_load(&errors), 0);
}

/* All end: their ports rest, then all are there again. */
static void end(bool dependent, uint32_t used)
{
	json_decref(graph_rpc("session.flush", json_object()));
	nat_pass(1);
	assert_int_equal(session_used(), 0);
	assert_int_equal(nat_figure(E50, "udp", "ports_used"), 0);
	assert_int_equal(nat_figure(E50, "udp", "quarantined"), dependent ? 0 : used);
	nat_pass(118);
	assert_int_equal(nat_figure(E50, "udp", "quarantined"), dependent ? 0 : used);
	nat_pass(20);
	assert_int_equal(nat_figure(E50, "udp", "quarantined"), 0);
	assert_int_equal(nat_table_used(), 0);
	begin(53);
	run(MANY, 0);
	assert_int_equal(atomic_load(&seen_out), MANY);
	assert_int_equal(atomic_load(&errors), 0);
}

static void test_endpoint_independent(void **state)
{
	(void)state;
	many(false);
	end(false, PORTS);
}

static void test_endpoint_dependent(void **state)
{
	(void)state;
	many(true);
	/* Another destination: the same ports once more. */
	begin(54);
	run(MANY, 0);
	assert_int_equal(atomic_load(&seen_out), MANY);
	check_unique();
	assert_true(session_used() > 2 * MANY);
	run(0, MANY);
	assert_int_equal(atomic_load(&seen_in), MANY);
	end(true, 0);
}

static int start(void **state)
{
	static const struct graph_wire wire = {.workers = 2, .rx = rx, .tx = tx};

	graph_set_wire(&wire);
	graph_set_sessions(262144);
	return nat_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_endpoint_independent, nat_setup, nat_teardown),
		cmocka_unit_test_setup_teardown(test_endpoint_dependent, nat_setup, nat_teardown),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
