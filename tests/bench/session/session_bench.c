/* SPDX-License-Identifier: Apache-2.0 */
/* Cycles of the session table: look-ups, set-up and removal, TCP tracking, the clock hand; and memory.
 *
 *   session_bench [SESSIONS ...]        default: 10000 100000 1000000
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_cycles.h>

#include "core/rcu.h"
#include "session/session.h"
#include "session/tcp.h"

#define BURST 32u
#define TCP_FLOW UINT32_MAX

static uint32_t n_live;
static __thread uint64_t random_state = 88172645463325252ull;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Flow i: clients behind one port each to a few servers. */
static void flow_keys(uint32_t i, struct session_key key[2])
{
	rte_be32_t client = rte_cpu_to_be_32(0x0a000000u + i / 251),
		   server = rte_cpu_to_be_32(0x0b000000u + i % 17);
	uint8_t proto = i == TCP_FLOW ? IPPROTO_TCP : IPPROTO_UDP;
	rte_be16_t sport = rte_cpu_to_be_16((uint16_t)(1024 + i % 50000)), dport = RTE_BE16(443);

	key[0] = session_key_v4(7, proto, client, server, sport, dport);
	key[1] = session_key_v4(7, proto, server, client, dport, sport);
}

static uint32_t add(uint32_t i)
{
	struct session_new new;
	struct session_key key[2];
	uint32_t ref;

	memset(&new, 0, sizeof(new));
	flow_keys(i, key);
	new.dir[0].key = key[0];
	new.dir[1].key = key[1];
	new.vpc_index = 7;
	return session_insert(&new, &ref) == 0 ? ref : SESSION_NONE;
}

#define SAMPLES (1u << 16)

/* Cycles of bursts; the median, since the machine may be shared. */
static __thread uint32_t samples[SAMPLES];
static __thread uint32_t n_samples;

static void sample(uint64_t start)
{
	uint64_t cycles = rte_rdtsc() - start;

	samples[n_samples++ % SAMPLES] = (uint32_t)RTE_MIN(cycles, (uint64_t)UINT32_MAX);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Cycles of one of the BURST things in a sample. */
static double median(void)
{
	uint32_t n = RTE_MIN(n_samples, SAMPLES), middle = n / 2;

	qsort(samples, n, sizeof(*samples), by_size);
	n_samples = 0;
	return n > 0 ? (double)samples[middle] / BURST : 0;
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* Which packets a worker has: of all flows, of every other flow, or of one direction of all. */
enum part { ALL, FLOWS, DIRECTION };

static void draw_key(uint32_t first, enum part part, struct session_key *key)
{
	uint32_t flow = first + (uint32_t)(draw() % n_live), worker = rcu_thread - 1;
	struct session_key both[2];

	if (part == FLOWS)
		flow = (flow & ~1u) | worker;
	flow_keys(flow, both);
	*key = both[part == DIRECTION ? worker : draw() & 1];
}

/* `first`: of flows that exist, or beyond them (misses). `use`: count on the records as the fast path does. */
static double lookups(uint32_t first, bool use, enum part part)
{
	struct session_key keys[BURST];
	uint32_t hashes[BURST], refs[BURST];

	for (uint32_t round = 0; round < SAMPLES; round++) {
		uint64_t start;

		for (unsigned int i = 0; i < BURST; i++)
			draw_key(first, part, &keys[i]);
		start = rte_rdtsc();
		for (unsigned int i = 0; i < BURST; i++)
			hashes[i] = session_hash(&keys[i]);
		session_lookup_bulk(keys, hashes, NULL, 0, refs, BURST);
		for (unsigned int i = 0; use && i < BURST; i++)
			session_count(session_hot_of(refs[i]), 60, round >> 3);
		sample(start);
		for (unsigned int i = 0; i < BURST; i++)
			check((refs[i] != SESSION_NONE) == (first == 0),
				"a key too many or too few");
		rcu_worker_quiescent();
	}
	return median();
}

static double fill(uint32_t *refs)
{
	for (uint32_t i = 0; i < n_live; i += BURST) {
		uint64_t start = rte_rdtsc();

		for (uint32_t k = i; k < RTE_MIN(i + BURST, n_live); k++)
			refs[k] = add(k);
		sample(start);
		session_populate(BURST); /* as the control thread does meanwhile */
	}
	return median();
}

/* The oldest go, as the clock hand removes them, and new ones come, known a burst before as the
 * road node knows them. Cycles of a pair. */
static double churn(uint32_t *refs, uint32_t n, uint32_t next)
{
	uint32_t at = 0;

	for (uint32_t round = 0; round < SAMPLES; round++) {
		uint32_t old[BURST];
		uint64_t start = rte_rdtsc();

		for (unsigned int i = 0; i < BURST; i++)
			old[i] = refs[(at + i) % n] >> 1;
		session_remove_bulk(old, BURST);
		for (unsigned int i = 0; i < BURST; i++) {
			struct session_key key[2];

			flow_keys(next + i, key);
			session_prefetch(&key[0]);
			session_prefetch(&key[1]);
		}
		for (unsigned int i = 0; i < BURST; i++) {
			/* Indexes wait for a worker that has lost its CPU. */
			while ((refs[at] = add(next)) == SESSION_NONE)
				rcu_worker_quiescent();
			next++;
			at = at + 1 == n ? 0 : at + 1;
		}
		rcu_worker_quiescent();
		sample(start);
	}
	return median();
}

static double tcp_cycles(void)
{
	struct rte_tcp_hdr h = {
		.data_off = 5 << 4, .rx_win = RTE_BE16(5000), .tcp_flags = RTE_TCP_SYN_FLAG};
	uint32_t ref = add(TCP_FLOW), bad = 0, sent = 0;

	tcp_start(ref, &h, 20, false);
	h.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
	h.recv_ack = RTE_BE32(1);
	tcp_track(ref ^ 1, &h, 20);
	h.tcp_flags = RTE_TCP_ACK_FLAG;
	for (uint32_t round = 0; round < SAMPLES; round++) {
		uint64_t start = rte_rdtsc();

		for (unsigned int i = 0; i < BURST; i += 2) {
			h.sent_seq = rte_cpu_to_be_32(1 + sent);
			h.recv_ack = RTE_BE32(1);
			bad += tcp_track_inline(ref, &h, 120) != DROP_NONE;
			sent += 100;
			h.sent_seq = RTE_BE32(1);
			h.recv_ack = rte_cpu_to_be_32(1 + sent);
			bad += tcp_track_inline(ref ^ 1, &h, 20) != DROP_NONE;
		}
		sample(start);
	}
	session_remove(ref >> 1);
	check(bad == 0, "segments refused");
	return median();
}

static double sweep_cycles(void)
{
	for (uint32_t i = 0; i < session_high_water(); i += 4096) {
		uint64_t start = rte_rdtsc();

		session_sweep(4096, 1000, NULL);
		sample(start);
	}
	return median() * BURST / 4096;
}

static uint64_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double tsc_hz(void)
{
	struct timespec a, b;
	uint64_t start = rte_rdtsc(), end;

	clock_gettime(CLOCK_MONOTONIC, &a);
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
		end = rte_rdtsc();
	} while ((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < 100000000l);
	return (double)(end - start) /
	       ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9);
}

static void bench(uint32_t sessions, double hz)
{
	uint32_t *refs = calloc(sessions, sizeof(*refs));
	double first, pair;

	check(refs != NULL && session_init(sessions + sessions / 20 + 64) == 0, "no memory");
	n_live = sessions;
	first = fill(refs);
	printf("%9u sessions: look-up %5.1f, with counters %5.1f, miss %5.1f cycles a key; ",
		sessions, lookups(0, false, ALL), lookups(0, true, ALL),
		lookups(sessions, false, ALL));
	pair = churn(refs, sessions, sessions);
	printf("first insert %.0f, insert + remove %.0f (%.2f M/s); sweep %.1f a record\n", first,
		pair, hz / pair / 1e6, sweep_cycles());
	session_fini();
	free(refs);
}

struct worker {
	unsigned int id;
	uint32_t *refs;
	double flows, direction, pair;
	pthread_t thread;
};

static pthread_barrier_t barrier;

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t half = n_live / 2;

	rcu_worker_online(w->id);
	random_state += w->id;
	pthread_barrier_wait(&barrier);
	w->flows = lookups(0, true, FLOWS);
	pthread_barrier_wait(&barrier);
	w->direction = lookups(0, true, DIRECTION);
	pthread_barrier_wait(&barrier);
	w->pair = churn(w->refs + w->id * half, half, n_live * (1 + 8 * w->id));
	rcu_worker_offline();
	return NULL;
}

/* Cycles a worker while two are at work: to compare with one, on a machine with two quiet CPUs. */
static void bench_two(uint32_t sessions)
{
	struct worker w[2];
	uint32_t *refs = calloc(sessions, sizeof(*refs));

	check(refs != NULL && session_init(sessions + sessions / 20 + 64) == 0, "no memory");
	n_live = sessions;
	fill(refs);
	rcu_worker_offline();
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned int i = 0; i < 2; i++) {
		w[i] = (struct worker){.id = i, .refs = refs};
		check(pthread_create(&w[i].thread, NULL, work, &w[i]) == 0, "no thread");
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	rcu_worker_online(0);
	printf("two workers, %u sessions: look-up with counters, flows shared out %.1f %.1f, a "
	       "direction each %.1f %.1f; "
	       "insert + remove %.0f %.0f\n",
		sessions, w[0].flows, w[1].flows, w[0].direction, w[1].direction, w[0].pair,
		w[1].pair);
	session_fini();
	free(refs);
}

static void bench_tcp(void)
{
	check(session_init(1000) == 0, "no memory");
	printf("tcp_track_inline %.1f cycles\n", tcp_cycles());
	session_fini();
}

/* Every IPv4 session of a full table, all in. */
static void memory_full(void)
{
	const uint32_t capacity = 1u << 20;
	uint64_t before = resident();
	uint32_t n = 0;

	check(session_init(capacity) == 0, "no memory");
	while (add(n) != SESSION_NONE)
		n++;
	printf("full at %u of %u; %.1f B a session computed, %.1f B resident\n", n, capacity,
		(double)session_bytes() / capacity, (double)(resident() - before) / n);
	session_fini();
}

int main(int argc, char **argv)
{
	double hz = tsc_hz();

	if (rcu_init(2) != 0)
		return 1;
	rcu_worker_online(0);
	printf("TSC %.3f GHz, medians of bursts of %u\n", hz / 1e9, BURST);
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			bench((uint32_t)strtoul(argv[i], NULL, 10), hz);
	} else {
		bench(10000, hz);
		bench(100000, hz);
		bench(1000000, hz);
	}
	bench_two(n_live);
	bench_tcp();
	memory_full();
	return 0;
}
