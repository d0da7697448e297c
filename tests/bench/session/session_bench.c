/* SPDX-License-Identifier: Apache-2.0 */
/* Cycles of the session table: look-ups, set-up and removal, TCP tracking, the clock hand; and memory.
 *
 *   session_bench [SESSIONS ...]        default: 10000 100000 1000000
 */
#include <netinet/in.h>
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
#define ROUNDS 5
#define TCP_FLOW UINT32_MAX
#define LOOKUPS (1u << 22)

static uint32_t n_live;
static uint64_t random_state = 88172645463325252ull;

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

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The machine may be shared. */
static double best(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_size);
	return v[0];
}

/* `first`: of flows that exist, or beyond them (misses). `use`: count on the records as the fast path does. */
static double lookup_round(uint32_t first, bool use, uint32_t expect)
{
	struct session_key keys[BURST];
	uint32_t hashes[BURST], refs[BURST], found = 0;
	uint64_t cycles = 0;

	for (uint32_t done = 0; done < LOOKUPS; done += BURST) {
		for (unsigned int i = 0; i < BURST; i++) {
			struct session_key both[2];

			flow_keys(first + (uint32_t)(draw() % n_live), both);
			keys[i] = both[draw() & 1];
		}
		uint64_t start = rte_rdtsc();

		for (unsigned int i = 0; i < BURST; i++)
			hashes[i] = session_hash(&keys[i]);
		session_lookup_bulk(keys, hashes, NULL, 0, refs, BURST);
		for (unsigned int i = 0; use && i < BURST; i++)
			session_count(session_hot_of(refs[i]), 60, done >> 8);
		cycles += rte_rdtsc() - start;
		for (unsigned int i = 0; i < BURST; i++)
			found += refs[i] != SESSION_NONE;
		rcu_worker_quiescent();
	}
	if (found != expect) {
		fprintf(stderr, "found %u of %u\n", found, expect);
		exit(1);
	}
	return (double)cycles / LOOKUPS;
}

static double lookups(uint32_t first, bool use, uint32_t expect)
{
	double v[ROUNDS];

	for (unsigned int r = 0; r < ROUNDS; r++)
		v[r] = lookup_round(first, use, expect);
	return best(v);
}

/* The oldest go, as the clock hand removes them, and new ones come, known a burst before as the
 * road node knows them. Cycles of a pair. */
static double churn(uint32_t *refs)
{
	const uint32_t pairs = 1u << 20;
	double v[ROUNDS];
	uint32_t at = 0, next = n_live;

	for (unsigned int r = 0; r < ROUNDS; r++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t done = 0; done < pairs; done += BURST) {
			uint32_t old[BURST];

			for (unsigned int i = 0; i < BURST; i++)
				old[i] = refs[(at + i) % n_live] >> 1;
			session_remove_bulk(old, BURST);
			for (unsigned int i = 0; i < BURST; i++) {
				struct session_key key[2];

				flow_keys(next + i, key);
				session_prefetch(&key[0]);
				session_prefetch(&key[1]);
			}
			for (unsigned int i = 0; i < BURST; i++) {
				refs[at] = add(next++);
				if (refs[at] == SESSION_NONE)
					exit((fprintf(stderr, "no room\n"), 1));
				at = at + 1 == n_live ? 0 : at + 1;
			}
			rcu_worker_quiescent();
		}
		v[r] = (double)(rte_rdtsc() - start) / pairs;
	}
	return best(v);
}

static double tcp_cycles(void)
{
	struct rte_tcp_hdr h = {
		.data_off = 5 << 4, .rx_win = RTE_BE16(5000), .tcp_flags = RTE_TCP_SYN_FLAG};
	const uint32_t n = 1u << 22;
	uint32_t ref = add(TCP_FLOW), bad = 0;
	uint64_t start;

	tcp_start(ref, &h, 20, false);
	h.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
	h.recv_ack = RTE_BE32(1);
	tcp_track(ref ^ 1, &h, 20);
	h.tcp_flags = RTE_TCP_ACK_FLAG;
	start = rte_rdtsc();
	for (uint32_t i = 0; i < n; i++) {
		h.sent_seq = rte_cpu_to_be_32(1 + i * 100);
		h.recv_ack = rte_cpu_to_be_32(1);
		bad += tcp_track_inline(ref, &h, 120) != DROP_NONE;
		h.sent_seq = rte_cpu_to_be_32(1);
		h.recv_ack = rte_cpu_to_be_32(1 + (i + 1) * 100);
		bad += tcp_track_inline(ref ^ 1, &h, 20) != DROP_NONE;
	}
	start = rte_rdtsc() - start;
	session_remove(ref >> 1);
	if (bad > 0)
		exit((fprintf(stderr, "%u segments refused\n", bad), 1));
	return (double)start / (2 * n);
}

static double sweep_cycles(void)
{
	uint32_t turn = session_high_water();
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < turn; i += 4096)
		session_sweep(4096, 1000, NULL);
	return (double)(rte_rdtsc() - start) / turn;
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
	uint32_t *refs = malloc(sessions * sizeof(*refs));
	uint64_t before = resident(), start;
	double fill, pair;

	if (refs == NULL || session_init(sessions + sessions / 20 + 64) != 0)
		exit(1);
	n_live = sessions;
	memset(refs, 0, sessions * sizeof(*refs));
	start = rte_rdtsc();
	for (uint32_t i = 0; i < sessions; i++)
		refs[i] = add(i);
	fill = (double)(rte_rdtsc() - start) / sessions;
	printf("%9u sessions: look-up %5.1f, with counters %5.1f, miss %5.1f cycles a key;",
		sessions, lookups(0, false, LOOKUPS), lookups(0, true, LOOKUPS),
		lookups(sessions, false, 0));
	pair = churn(refs);
	printf(" first insert %4.0f, insert + remove %4.0f (%.2f M/s); sweep %4.1f a record\n",
		fill, pair, hz / pair / 1e6, sweep_cycles());
	printf("                    memory %.1f B a session in the tables at capacity %u, resident "
	       "+ %.1f MB\n",
		(double)session_bytes() / session_capacity(), session_capacity(),
		(double)(resident() - before) / 1e6);
	if (sessions == 10000)
		printf("                    tcp_track_inline %.1f cycles\n", tcp_cycles());
	session_fini();
	free(refs);
}

/* Every IPv4 session of a full table, all in. */
static void memory_full(void)
{
	const uint32_t capacity = 1u << 20;
	uint64_t before = resident();
	uint32_t n = 0;

	if (session_init(capacity) != 0)
		exit(1);
	while (add(n) != SESSION_NONE)
		n++;
	printf("full at %u of %u; %.1f B a session computed, %.1f B resident\n", n, capacity,
		(double)session_bytes() / capacity, (double)(resident() - before) / n);
	session_fini();
}

int main(int argc, char **argv)
{
	double hz = tsc_hz();

	if (rcu_init(1) != 0)
		return 1;
	rcu_worker_online(0);
	printf("TSC %.3f GHz, bursts of %u, best of %d\n", hz / 1e9, BURST, ROUNDS);
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			bench((uint32_t)strtoul(argv[i], NULL, 10), hz);
	} else {
		bench(10000, hz);
		bench(100000, hz);
		bench(1000000, hz);
	}
	memory_full();
	return 0;
}
