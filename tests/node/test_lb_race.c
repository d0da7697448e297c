/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry balanced flows while the control thread puts balancers, listeners and back ends in and out, fails and revives them,
 * and lets them drain. In the end nobody has a connection left, and whatever went is gone.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "balancer.h"
#include "cloud.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "graph.h"
#include "lb/lb_internal.h"
#include "port/port.h"
#include "session/session.h"
#include "tests/unit/random.h"

#define FLOWS 64
#define KINDS 5
#define CHANGES test_size(20000, 500000)
#define SENT_MIN 50000

static struct {
	const char *port;
	struct frame frame;
} frames[FLOWS * KINDS];
static _Atomic bool sending, working;

static void make_frames(void)
{
	for (unsigned int i = 0; i < FLOWS; i++) {
		uint16_t port = (uint16_t)(1 + i);
		const struct frame_spec specs[KINDS] = {
			{.smac = MAC_A,
				.dmac = GW,
				.src = "10.0.1.10",
				.dst = VIP,
				.sport = port,
				.dport = 80},
			{.smac = MAC_C,
				.dmac = GW,
				.src = "10.0.2.10",
				.dst = VIP,
				.sport = port,
				.dport = 80},
			{.smac = MAC_B,
				.dmac = MAC_A,
				.src = "10.0.1.11",
				.dst = "10.0.1.10",
				.sport = 8080,
				.dport = port},
			{.smac = MAC_C,
				.dmac = GW,
				.src = "10.0.2.10",
				.dst = "10.0.1.10",
				.sport = 8080,
				.dport = port},
			{.smac = MAC_A,
				.dmac = GW,
				.src = "10.0.1.10",
				.dst = VIP,
				.sport = port,
				.dport = 80,
				.proto = IPPROTO_TCP},
		};
		static const char *const ports[KINDS] = {"a", "c", "b", "c", "a"};

		for (unsigned int k = 0; k < KINDS; k++) {
			frames[i * KINDS + k].port = ports[k];
			frame_build(&frames[i * KINDS + k].frame, &specs[k]);
		}
	}
}

static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	static __thread unsigned int at;
	uint16_t got = 0;

	if (!atomic_load(&sending))
		return 0;
	for (unsigned int tries = 0; tries < 16 && got < n; tries++) {
		at = (at + 7) % (FLOWS * KINDS);
		if (strcmp(frames[at].port, port->name) == 0)
			pkts[got++] = graph_mbuf(frames[at].frame.bytes, frames[at].frame.len);
	}
	return got;
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	(void)port;
	rte_pktmbuf_free(m);
}

static bool go_on(void)
{
	return atomic_load(&working);
}

static void *worker(void *arg)
{
	graph_work((unsigned int)(uintptr_t)arg, go_on);
	return NULL;
}

static void ask_again(uint32_t index)
{
	verdict_refresh(index);
}

#define UDP(scheduler, persistence, drain, open)                                                   \
	LISTENER("lb", "17", "80", scheduler, persistence, "", "0", drain, open, CHECK)
#define TCP(scheduler) LISTENER("lb", "6", "80", scheduler, "0", "", "0", "1", "false", CHECK)
#define TCP_B BACKEND("lb", "6", "80", "10.0.1.11", "8080", "2")
#define TCP_C BACKEND("lb", "6", "80", "10.0.2.10", "8080", "1")
#define ALL_KEYS                                                                                   \
	"[" KEY_B "," KEY_C                                                                        \
	", [\"backend\", \"lb\", 6, 80, \"10.0.1.11\", 8080], [\"backend\", \"lb\", 6, 80, "       \
	"\"10.0.2.10\", 8080], [\"listener\", \"lb\", 17, 80], [\"listener\", \"lb\", 6, 80], "    \
	"[\"load_balancer\", \"lb\"]]"
#define EVERYTHING                                                                                 \
	"[" BALANCER("lb", VIP) "," UDP("maglev", "0", "1", "false") "," TCP("maglev") "," ON_B(   \
		"1") "," ON_C("3") "," TCP_B "," TCP_C "]"

static const struct {
	const char *items, *keys;
} changes[] = {
	{"[" UDP("round_robin", "0", "0", "false") "]", "[]"},
	{"[" UDP("least_connections", "1", "1", "true") "]", "[]"},
	{"[" UDP("source_hash", "0", "0", "true") "," TCP("weighted_round_robin") "]", "[]"},
	{"[" UDP("maglev", "5", "1", "false") "]", "[]"},
	{"[" ON_B("0") "]", "[]"},
	{"[" ON_B("7") "," ON_C("100") "]", "[]"},
	{"[]", "[" KEY_B "]"},
	{"[]", "[" KEY_C "]"},
	{"[" ON_B("1") "," ON_C("1") "," TCP_B "]", "[]"},
	{"[]", "[[\"backend\", \"lb\", 6, 80, \"10.0.1.11\", 8080]]"},
	{"[" BALANCER("lb", "10.0.1.101") "]", "[]"},
	{"[" BALANCER("lb", VIP) "]", "[]"},
	{"[]", ALL_KEYS},
	{EVERYTHING, "[]"},
	{EVERYTHING, "[]"},
};

static void fail_or_revive(struct lb_backend *b, void *arg)
{
	(void)arg;
	if (random_one_in(2))
		lb_health_set(b, (enum lb_health)random_below(3), "as it happens");
}

static void change(uint32_t now_ms)
{
	unsigned int n = random_below(4 * (unsigned int)RTE_DIM(changes));

	if (n < RTE_DIM(changes))
		(void)graph_try(changes[n].items, changes[n].keys);
	else if (n < 2 * RTE_DIM(changes))
		lb_each_backend(fail_or_revive, NULL);
	lb_turn(now_ms);
}

static uint64_t sent_by_all(void)
{
	uint64_t sent = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		sent += __atomic_load_n(&workers[i].count.sent, __ATOMIC_RELAXED);
	return sent;
}

/* All items of balancers gone, all that were draining, too. */
static void check_nothing_left(uint32_t now_ms)
{
	assert_true(graph_try("[]", ALL_KEYS));
	session_sweep(session_high_water(), clock_ms(), ask_again);
	session_sweep(session_high_water(), clock_ms() + 100000000, NULL);
	assert_int_equal(session_used(), 0);
	for (uint32_t id = 1; id < LB_BACKENDS_MAX; id++)
		if (lb_connections_of(id) != 0)
			fail_msg("id %u has %u connections left", id, lb_connections_of(id));
	lb_turn(now_ms + 1000000);
	rcu_synchronize();
	for (uint32_t id = 1; id < LB_BACKENDS_MAX; id++)
		assert_null(lb_backend_get(id));
	assert_null(lb_by_name("lb"));
}

static void test_race(void **state)
{
	pthread_t threads[2];
	uint32_t now_ms = 0;

	(void)state;
	random_start();
	make_frames();
	graph_items(CLOUD);
	graph_items(EVERYTHING);
	worker_self = NULL; /* this is the control thread */
	atomic_store(&sending, true);
	atomic_store(&working, true);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	/* Also on a computer that lets the workers run little. */
	for (uint32_t n = 0, all = CHANGES; n < all || sent_by_all() <= SENT_MIN; n++) {
		change(now_ms += 10);
		rcu_poll();
		if (n % 8 == 0)
			session_sweep(session_high_water(), clock_ms(), ask_again);
	}
	atomic_store(&sending, false);
	rcu_synchronize();
	rcu_synchronize();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	graph_check_conservation();
	check_nothing_left(now_ms);
	assert_int_equal(pool_in_use(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	graph_set_wire(&(struct graph_wire){.workers = 2, .rx = rx, .tx = tx});
	graph_start();
	return cmocka_run_group_tests_name("lb_race", tests, NULL, NULL);
}
