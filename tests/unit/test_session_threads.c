/* SPDX-License-Identifier: Apache-2.0 */
/* The session table under several threads: readers never miss what is there, no index is given twice, lists do not mix
 * sessions. Workers are plain threads with RCU ids. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "core/rcu.h"
#include "random.h"
#include "session/bucket.h"
#include "session_flows.h"

#define WORKERS 4u
#define CAPACITY 4000u

static pthread_barrier_t barrier;
static _Atomic bool stop;
static _Atomic uint32_t running;
static _Atomic uint32_t errors;

/* Threads may not fail a test themselves. */
static void expect(bool ok, const char *what, uint32_t flow)
{
	if (!ok && atomic_fetch_add(&errors, 1) < 5)
		printf("%s: flow %u\n", what, flow);
}

struct thread {
	unsigned int id;
	uint32_t rounds;
	uint32_t from, n; /* flows of its own */
	uint64_t seed;
	uint32_t done;
	pthread_t pthread;
};

static uint32_t draw(struct thread *t, uint32_t n)
{
	t->seed = t->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((t->seed >> 33) % n);
}

static void run(struct thread *threads, unsigned int n, void *(*const fn[])(void *))
{
	pthread_barrier_init(&barrier, NULL, n);
	atomic_store(&running, n);
	for (unsigned int i = 0; i < n; i++) {
		threads[i].id = i;
		threads[i].seed = random_u64();
		assert_int_equal(pthread_create(&threads[i].pthread, NULL, fn[i], &threads[i]), 0);
	}
}

static void join(struct thread *threads, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		pthread_join(threads[i].pthread, NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(atomic_load(&errors), 0);
}

static void begin(const struct thread *t)
{
	rcu_worker_online(t->id);
	pthread_barrier_wait(&barrier);
}

static void *end(struct thread *t)
{
	rcu_worker_offline();
	atomic_fetch_sub(&running, 1);
	return t;
}

/* Flows [0, n) are there all the time. */
static void *read_stable(void *arg)
{
	struct thread *t = arg;
	struct session_key keys[32];
	uint32_t hashes[32], refs[32], flows[32];

	begin(t);
	while (!atomic_load(&stop)) {
		for (unsigned int i = 0; i < 32; i++) {
			flows[i] = draw(t, t->n);
			keys[i] = flow_key(flows[i], i & 1);
			hashes[i] = session_hash(&keys[i]);
		}
		session_lookup_bulk(keys, hashes, NULL, 0, refs, 32);
		for (unsigned int i = 0; i < 32; i++)
			expect(refs[i] != SESSION_NONE &&
					session_dir_of(refs[i])->out_vni == flows[i] &&
					(refs[i] & 1) == (i & 1),
				"missed in bulk", flows[i]);
		for (unsigned int i = 0; i < 32; i++)
			expect(flow_lookup(flows[i], ~i & 1) == (refs[i] ^ 1), "missed alone",
				flows[i]);
		t->done += 64;
		rcu_worker_quiescent();
	}
	return end(t);
}

/* Flows of its own come and go. */
/* The control thread has seen some of it. It may have lost its CPU all the while. */
static _Atomic bool was_seen = true;

static void *churn(void *arg)
{
	struct thread *t = arg;
	uint32_t *refs = malloc(t->n * sizeof(*refs));

	memset(refs, 0xff, t->n * sizeof(*refs));
	begin(t);
	for (uint32_t i = 0; i < t->rounds || !atomic_load(&was_seen); i++) {
		uint32_t k = draw(t, t->n);

		if (refs[k] == SESSION_NONE) {
			int err = flow_insert(t->from + k, &refs[k]);

			/* Indexes may wait for a thread that has lost its CPU. */
			if (err == -ENOSPC)
				refs[k] = SESSION_NONE;
			expect(err == 0 || err == -ENOSPC, "not inserted", t->from + k);
			t->done += err == 0;
		} else {
			expect(flow_lookup(t->from + k, 1) == (refs[k] | 1), "own flow missed",
				t->from + k);
			session_remove(refs[k] >> 1);
			refs[k] = SESSION_NONE;
			expect(flow_lookup(t->from + k, 0) == SESSION_NONE, "still there",
				t->from + k);
		}
		if (i % 16 == 0)
			rcu_worker_quiescent();
		if (i % 1024 == 0) { /* sleeps for a moment */
			rcu_worker_offline();
			sched_yield();
			rcu_worker_online(t->id);
		}
	}
	for (uint32_t k = 0; k < t->n; k++)
		if (refs[k] != SESSION_NONE)
			session_remove(refs[k] >> 1);
	free(refs);
	return end(t);
}

/* Nearly full buckets, so that others are moved about all the time. */
static void test_readers_never_miss(void **state)
{
	const uint32_t stable = CAPACITY / 2, rounds = test_size(40000, 2000000);
	struct thread threads[WORKERS] = {
		{.n = stable},
		{.n = stable},
		{.rounds = rounds, .from = 1000000, .n = CAPACITY / 4},
		{.rounds = rounds, .from = 2000000, .n = CAPACITY / 4},
	};
	uint32_t n_buckets = bucket_table.n, ref, moves;

	(void)state;
	/* On average 3/4 of the capacity lives: 93 % of the slots; never all of it. */
	bucket_table.n = CAPACITY * 3 / 4 * 2 * 100 / 93 / BUCKET_SLOTS + 1;
	atomic_store(&stop, false);
	for (uint32_t i = 0; i < stable; i++)
		assert_int_equal(flow_insert(i, &ref), 0);
	moves = atomic_load(&bucket_table.moves);
	run(threads, WORKERS, (void *(*const[])(void *)){read_stable, read_stable, churn, churn});
	pthread_join(threads[2].pthread, NULL);
	pthread_join(threads[3].pthread, NULL);
	atomic_store(&stop, true);
	join(threads, 2);
	printf("%u moves, %u looks, %u flows\n", atomic_load(&bucket_table.moves) - moves,
		threads[0].done + threads[1].done, threads[2].done + threads[3].done);
	assert_true(atomic_load(&bucket_table.moves) > moves);
	assert_true(threads[0].done > 0 && threads[2].done > 0);
	assert_int_equal(session_used(), stable);
	for (uint32_t i = 0; i < stable; i++)
		session_remove(flow_lookup(i, 0) >> 1);
	assert_int_equal(session_used(), 0);
	for (uint32_t b = 0; b < bucket_table.n; b++) {
		assert_int_equal(bucket_match(&bucket_table.buckets[b], 0), 0xff);
		assert_int_equal(bucket_table.buckets[b].overflow, 0);
	}
	bucket_table.n = n_buckets;
}

/* All want the same few flows, opened from either side, and end them. */
static void *fight(void *arg)
{
	struct thread *t = arg;

	begin(t);
	for (uint32_t i = 0; i < t->rounds; i++) {
		uint32_t flow = draw(t, t->n), ref, found;
		struct session_new new;
		struct session_key key;

		flow_new(&new, flow, IPPROTO_UDP);
		if (draw(t, 2)) {
			key = new.dir[0].key;
			new.dir[0].key = new.dir[1].key;
			new.dir[1].key = key;
		}
		switch (session_insert(&new, &ref)) {
		case 0:
			t->done++;
			/* fall through */
		case -EEXIST:
			/* Whoever's it is, it is this flow's record. */
			expect(session_dir_of(ref)->out_vni == flow, "another flow's record", flow);
			break;
		default:
			break;
		}
		found = flow_lookup(flow, 0);
		if (found != SESSION_NONE) {
			expect(session_dir_of(found)->out_vni == flow, "found another flow", flow);
			if (draw(t, 2))
				session_remove(found >> 1);
		}
		if (i % 8 == 0)
			rcu_worker_quiescent();
	}
	return end(t);
}

static void test_same_flows(void **state)
{
	const uint32_t rounds = test_size(40000, 1000000);
	struct thread threads[WORKERS];
	uint32_t left = 0;

	(void)state;
	for (unsigned int i = 0; i < WORKERS; i++)
		threads[i] = (struct thread){.rounds = rounds, .n = 50};
	run(threads, WORKERS, (void *(*const[])(void *)){fight, fight, fight, fight});
	join(threads, WORKERS);
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t a = flow_lookup(i, 0), b = flow_lookup(i, 1);

		assert_int_equal(a == SESSION_NONE, b == SESSION_NONE);
		if (a == SESSION_NONE)
			continue;
		assert_int_equal(a ^ 1, b);
		left++;
	}
	assert_int_equal(session_used(), left);
	for (uint32_t i = 0; i < 50; i++)
		if (flow_lookup(i, 0) != SESSION_NONE)
			session_remove(flow_lookup(i, 0) >> 1);
	assert_int_equal(session_used(), 0);
}

/* The control thread lists, sweeps and flushes while workers set up and end. */
static void test_control_thread(void **state)
{
	const uint32_t rounds = test_size(40000, 1000000);
	struct thread threads[2] = {
		{.rounds = rounds, .from = 1000000, .n = CAPACITY / 2},
		{.rounds = rounds, .from = 2000000, .n = CAPACITY / 2},
	};
	uint32_t listed = 0, lists = 0;
	struct session_view view;

	(void)state;
	atomic_store(&was_seen, false);
	run(threads, 2, (void *(*const[])(void *)){churn, churn});
	for (; atomic_load(&running) > 0; lists++) {
		uint32_t cursor = 0;

		while (session_next(&cursor, 0, &view)) {
			uint32_t flow = flow_of(&view.dir[0].key, 0);

			if (flow != flow_of(&view.dir[1].key, 1) || flow != view.dir[0].out_vni ||
				flow != view.dir[1].out_vni)
				expect(false, "mixed view", flow);
			listed++;
			atomic_store(&was_seen, true);
		}
		session_sweep(CAPACITY / 3, 0, NULL);
	}
	join(threads, 2);
	printf("%u listed in %u turns\n", listed, lists);
	assert_true(listed > 0);
	assert_int_equal(session_used(), 0);
	/* Every index has come back: the whole capacity can be used by one thread. */
	for (uint32_t i = 0; i < CAPACITY; i++) {
		uint32_t ref;

		assert_int_equal(flow_insert(i, &ref), 0);
		assert_int_equal(session_dir_of(ref)->out_vni, i);
	}
	for (uint32_t i = 0; i < CAPACITY; i++)
		assert_int_equal(session_dirs[flow_lookup(i, 1)].out_vni, i);
	for (uint32_t i = 0; i < session_high_water(); i++)
		session_remove(i);
	assert_int_equal(session_used(), 0);
}

static int set_up(void **state)
{
	(void)state;
	random_start();
	return rcu_init(WORKERS);
}

static int tear_down(void **state)
{
	(void)state;
	rcu_fini();
	return 0;
}

static int table(void **state)
{
	(void)state;
	return session_init(CAPACITY);
}

static int no_table(void **state)
{
	(void)state;
	session_fini();
	return 0;
}

#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, table, no_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(test_readers_never_miss),
		TABLE_TEST(test_same_flows),
		TABLE_TEST(test_control_thread),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
