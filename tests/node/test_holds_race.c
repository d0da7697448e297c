/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry translated flows, both ways and between two machines of the gateway, while the control thread has them asked again,
 * refused, replaced and removed under their hands. What sessions hold is released once each (outside.c aborts else), and all of it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <rte_cycles.h>

#include "cloud.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "graph.h"
#include "outside.h"
#include "port/port.h"
#include "session/session.h"
#include "tests/unit/random.h"

#define FLOWS 48
#define KINDS 4
#define CHANGES test_size(2000, 500000)
#define SENT_MIN 1000
#define TAKEN_MIN (2 * FLOWS)

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
				.dst = SERVER,
				.sport = port,
				.dport = 53},
			{.smac = HOP_MAC,
				.dmac = EXT_MAC,
				.src = SERVER,
				.dst = SNAT,
				.sport = 53,
				.dport = (uint16_t)(1000 + port)},
			{.smac = MAC_A,
				.dmac = GW,
				.src = "10.0.1.10",
				.dst = EIP,
				.sport = port,
				.dport = 54},
			{.smac = MAC_B,
				.dmac = GW,
				.src = "10.0.1.11",
				.dst = SNAT,
				.sport = 54,
				.dport = (uint16_t)(1000 + port)},
		};
		static const char *const ports[KINDS] = {"a", EXT, "a", "b"};

		for (unsigned int k = 0; k < KINDS; k++) {
			frames[i * KINDS + k].port = ports[k];
			frame_build(&frames[i * KINDS + k].frame, &specs[k]);
		}
	}
}

/* A worker's own buffers: two that ask one pool wait for each other, and long on a computer that lets them run little. */
#define STASH 64
static __thread struct rte_mbuf *stash[STASH];
static __thread unsigned int n_stash;

static struct rte_mbuf *filled(const struct frame *f)
{
	struct rte_mbuf *m;

	if (n_stash == 0)
		return graph_mbuf(f->bytes, f->len);
	m = stash[--n_stash];
	rte_pktmbuf_reset(m);
	memcpy(rte_pktmbuf_append(m, f->len), f->bytes, f->len);
	return m;
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
			pkts[got++] = filled(&frames[at].frame);
	}
	return got;
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	(void)port;
	if (n_stash < STASH)
		stash[n_stash++] = m;
	else
		rte_pktmbuf_free(m);
}

static bool go_on(void)
{
	return atomic_load(&working);
}

static void *worker(void *arg)
{
	graph_work((unsigned int)(uintptr_t)arg, go_on);
	rte_pktmbuf_free_bulk(stash, n_stash);
	return NULL;
}

static void ask_again(uint32_t index)
{
	verdict_refresh(index);
}

static void remove_some(void)
{
	rcu_read_enter();
	for (unsigned int i = 0; i < 8; i++)
		session_remove((uint32_t)random_below(session_high_water() + 1));
	rcu_read_leave();
}

static void change(void)
{
	switch (random_below(8)) {
	case 0:
		outside.forgets = !outside.forgets;
		break;
	case 1:
		outside.refuses = random_below(4) == 0;
		break;
	case 2:
	case 3:
		remove_some();
		break;
	default:
		outside_bump();
		break;
	}
}

static uint64_t sent_by_all(void)
{
	uint64_t sent = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		sent += __atomic_load_n(&workers[i].count.sent, __ATOMIC_RELAXED);
	return sent;
}

static void test_race(void **state)
{
	pthread_t threads[2];

	(void)state;
	random_start();
	make_frames();
	graph_items(CLOUD);
	outside.holds = true;
	worker_self = NULL; /* this is the control thread */
	atomic_store(&sending, true);
	atomic_store(&working, true);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	/* Also on a computer that lets the workers run little. */
	for (uint32_t n = 0, changes = CHANGES;
		n < changes || sent_by_all() <= SENT_MIN || outside_taken <= TAKEN_MIN; n++) {
		change();
		rcu_poll();
		if (n % 16 != 0)
			continue;
		session_sweep(session_high_water(), clock_ms(), ask_again);
		rte_delay_us_sleep(
			1); /* workers that are kept off their CPUs keep each other waiting */
	}
	atomic_store(&sending, false);
	rcu_synchronize();
	rcu_synchronize();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	graph_check_conservation();
	session_sweep(session_high_water(), clock_ms() + 100000000, NULL);
	assert_int_equal(session_used(), 0);
	assert_int_equal(outside_taken, outside_released);
	assert_int_equal(pool_in_use(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	graph_set_wire(&(struct graph_wire){.workers = 2, .rx = rx, .tx = tx});
	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("holds_race", tests, NULL, NULL);
}
