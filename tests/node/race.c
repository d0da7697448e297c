/* SPDX-License-Identifier: Apache-2.0 */
#include "race.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_cycles.h>

#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "fragment/fragment.h"
#include "graph.h"
#include "port/port.h"
#include "session/session.h"

#define FRAMES_MAX 4096u
#define WORKERS 2u

static struct {
	const char *port;
	uint16_t len;
	uint8_t *bytes;
} frames[FRAMES_MAX];
static unsigned int n_frames;

static _Atomic bool sending, working;

/* A worker's own buffers: two that ask one pool wait for each other, and long on a computer that lets them run little. */
#define STASH 64
static __thread struct rte_mbuf *stash[STASH];
static __thread unsigned int n_stash;

static struct rte_mbuf *filled(unsigned int frame)
{
	struct rte_mbuf *m;

	if (n_stash == 0)
		return graph_mbuf(frames[frame].bytes, frames[frame].len);
	m = stash[n_stash - 1];
	rte_pktmbuf_reset(m);
	if (rte_pktmbuf_tailroom(m) < frames[frame].len)
		return graph_mbuf(frames[frame].bytes, frames[frame].len);
	n_stash--;
	memcpy(rte_pktmbuf_append(m, frames[frame].len), frames[frame].bytes, frames[frame].len);
	return m;
}

/* Each worker turns its own wheel over the frames; a port takes those that are its. */
static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	static __thread unsigned int at;
	uint16_t got = 0;

	if (!atomic_load(&sending))
		return 0;
	for (unsigned int tries = 0; tries < 16 && got < n; tries++) {
		at = (at + 7) % n_frames;
		if (strcmp(frames[at].port, port->name) == 0)
			pkts[got++] = filled(at);
	}
	return got;
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	(void)port;
	if (n_stash < STASH && RTE_MBUF_DIRECT(m) && m->next == NULL &&
		rte_mbuf_refcnt_read(m) == 1)
		stash[n_stash++] = m;
	else
		rte_pktmbuf_free(m);
}

void race_start(void)
{
	graph_set_wire(&(struct graph_wire){.workers = WORKERS, .rx = rx, .tx = tx});
	graph_start();
}

void race_frame(const char *port, const void *bytes, uint16_t len)
{
	assert_true(n_frames < FRAMES_MAX);
	frames[n_frames].port = port;
	frames[n_frames].len = len;
	frames[n_frames].bytes = malloc(len);
	assert_non_null(frames[n_frames].bytes);
	memcpy(frames[n_frames].bytes, bytes, len);
	n_frames++;
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

void race_ask_again(void)
{
	session_sweep(session_high_water(), clock_ms(), ask_again);
}

static uint64_t sent_by_all(void)
{
	uint64_t sent = 0;

	for (unsigned int i = 0; i < worker_count; i++)
		sent += __atomic_load_n(&workers[i].count.sent, __ATOMIC_RELAXED);
	return sent;
}

/* What is under way has arrived after two grace periods; it may have been a fragment that waits, until held ones time out. */
static void rest(void)
{
	for (unsigned int n = 0; n < 1000; n++) {
		rcu_synchronize();
		rcu_synchronize();
		if (fragment_held() == 0)
			return;
		rte_delay_us_sleep(10000);
	}
}

void race_run(uint32_t changes, uint64_t sent_min, uint32_t sweep_every, bool (*change)(uint32_t n))
{
	pthread_t threads[WORKERS];
	bool enough = false;

	worker_self = NULL; /* this is the control thread */
	atomic_store(&sending, true);
	atomic_store(&working, true);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	for (uint32_t n = 0; n < changes || !enough || sent_by_all() <= sent_min; n++) {
		enough = change(n);
		rcu_poll();
		if (n % sweep_every != 0)
			continue;
		race_ask_again();
		/* Workers that are kept off their CPUs keep each other waiting. */
		rte_delay_us_sleep(1);
	}
	atomic_store(&sending, false);
	rest();
	rest();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	graph_check_conservation();
	while (n_frames > 0)
		free(frames[--n_frames].bytes);
}
