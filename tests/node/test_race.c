/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry a soup of frames while the control thread changes everything under them: ports close, VPCs go, sessions are
 * asked again by both and swept. For sanitizers; without one it still counts every frame and buffer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/pool.h"
#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "fragment/fragment.h"
#include "graph.h"
#include "port/port.h"
#include "session/session.h"
#include "soup.h"
#include "tests/unit/random.h"

#define FRAMES 2000
#define SENT_MIN 1000
#define CHANGES test_size(300, 10000)

static struct {
	const char *port;
	uint16_t len;
	uint8_t *bytes;
} frames[FRAMES];

static _Atomic bool sending, working;

static void cook_frames(void)
{
	struct frame f;

	for (unsigned int i = 0; i < FRAMES; i++) {
		uint8_t program[64];

		for (size_t k = 0; k < sizeof(program); k++)
			program[k] = (uint8_t)random_below(256);
		frames[i].port = soup_frame(program, sizeof(program), &f);
		frames[i].len = f.len;
		frames[i].bytes = malloc(f.len);
		memcpy(frames[i].bytes, f.bytes, f.len);
	}
}

/* Each worker turns its own wheel over the frames; a port takes those that are its. */
static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	static __thread unsigned int at;
	uint16_t got = 0;

	if (!atomic_load(&sending))
		return 0;
	for (unsigned int tries = 0; tries < 16 && got < n; tries++) {
		at = (at + 7) % FRAMES;
		if (strcmp(frames[at].port, port->name) != 0)
			continue;
		pkts[got] = graph_mbuf(frames[at].bytes, frames[at].len);
		got++;
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
	cook_frames();
	soup_items();
	worker_self = NULL; /* this is the control thread */
	atomic_store(&sending, true);
	atomic_store(&working, true);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	/* Also on a computer that lets the workers run little. */
	for (uint32_t n = 0, changes = CHANGES; n < changes || sent_by_all() <= SENT_MIN; n++) {
		soup_change(random_below(1000));
		rcu_poll();
		session_sweep(session_high_water(), clock_ms(), ask_again);
	}
	atomic_store(&sending, false);
	/* What is under way has arrived, then: it may have been a fragment that waits. */
	rcu_synchronize();
	rcu_synchronize();
	for (unsigned int n = 0; fragment_held() != 0 && n < 1000; n++)
		rte_delay_us_sleep(10000); /* until held ones time out */
	rcu_synchronize();
	rcu_synchronize();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	graph_check_conservation();
	assert_int_equal(pool_in_use(), 0);
	for (unsigned int i = 0; i < FRAMES; i++)
		free(frames[i].bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	graph_set_wire(&(struct graph_wire){.workers = 2, .rx = rx, .tx = tx});
	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
