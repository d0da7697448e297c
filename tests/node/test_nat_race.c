/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers begin and answer flows through a NAT gateway while the control thread changes everything about it, ends sessions and asks
 * them again. Nothing may be left of them. For sanitizers above all.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_lcore.h>

#include "core/rcu.h"
#include "core/worker.h"
#include "forward/verdict.h"
#include "nat_cloud.h"
#include "port/port.h"
#include "session/session.h"
#include "tests/unit/random.h"

#define CHANGES test_size(400, 3000)
#define SEEN 1024u
#define SENT_MIN 2000u

static _Atomic bool sending, working;
static _Atomic uint32_t seen[SEEN]; /* outside port << 16 | the server's, of what has left */

static uint64_t next_random(void)
{
	static __thread uint64_t s;

	if (s == 0)
		s = 0x9e3779b97f4a7c15 ^ (uintptr_t)&s;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s * 0x2545f4914f6cdd1d;
}

/* Few ports and destinations, so that flows meet. */
static void flow_out(struct frame *f, bool from_a)
{
	uint64_t r = next_random();
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
	const char *dst = r & 1 ? SERVER : r & 2 ? E50 : OTHER_SERVER;
	struct frame_spec s = {FROM(from_a ? MAC_A : MAC_B, from_a ? A4 : B4), TO(GW, dst),
		.proto = protos[r >> 8 & 3], .sport = (uint16_t)(5000 + (r >> 16) % 200),
		.dport = (uint16_t)(80 + (r >> 32) % 8), .icmp_type = 8,
		.icmp_id = (uint16_t)(r >> 40), .seq = 1};

	if (r >> 4 & 1 && from_a) { /* IPv6, some of it to IPv4 */
		s.src = A6;
		s.dst = r & 1 ? SERVER6 : "64:ff9b::c633:6409";
		s.icmp_type = 128;
		s.proto = s.proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : s.proto;
	}
	frame_build(f, &s);
}

static void flow_in(struct frame *f)
{
	uint64_t r = next_random();
	uint32_t what = atomic_load(&seen[r % SEEN]);
	struct frame_spec s = {FROM(HOP_MAC, r >> 20 & 1 ? SERVER : OTHER_SERVER), TO(EXT_MAC, E50),
		.sport = (uint16_t)what, .dport = (uint16_t)(what >> 16)};

	if (r >> 21 & 1) /* to a forward */
		s.dport = (uint16_t)(8000 + (r >> 32) % 16);
	frame_build(f, &s);
}

static uint16_t rx(struct port *port, struct rte_mbuf **pkts, uint16_t n)
{
	bool is_out = strcmp(port->name, EXT) == 0;
	uint16_t got;

	if (!atomic_load(&sending) ||
		(!is_out && strcmp(port->name, "a") != 0 && strcmp(port->name, "b") != 0))
		return 0;
	for (got = 0; got < n && got < 8; got++) {
		struct frame f;

		if (is_out)
			flow_in(&f);
		else
			flow_out(&f, port->name[0] == 'a');
		pkts[got] = graph_mbuf(f.bytes, f.len);
	}
	return got;
}

static void tx(struct port *port, struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (strcmp(port->name, EXT) == 0 && f[12] == 0x08)
		atomic_store(&seen[next_random() % SEEN],
			(uint32_t)f[34] << 24 | (uint32_t)(f[35] << 16 | f[36] << 8 | f[37]));
	rte_pktmbuf_free(m);
}

static bool go_on(void)
{
	return atomic_load(&working);
}

static void *worker(void *arg)
{
	if (rte_thread_register() != 0)
		abort();
	graph_work((unsigned int)(uintptr_t)arg, go_on);
	rte_thread_unregister();
	return NULL;
}

static void ask_again(uint32_t index)
{
	verdict_refresh(index);
}

static void change(void)
{
	static const char *const filters[] = {
		"address_and_port", "address", "endpoint_independent"};
	static const char *const logs[] = {"none", "block", "session"};
	static const char *const addresses[] = {"\"e50\", \"e50-6\"", "\"e51\", \"e50\"", "\"e52\"",
		"\"e50\", \"e51\", \"e52\", \"e50-6\""};
	static const char *const forwards[] = {"",
		DNAT_ITEM("0", "e50", "17", "8000", "8009", A4, "5000"),
		DNAT_ITEM("0", "e50", "17", "8005", "8020", B4, "5000")
			DNAT_ITEM("1", "e50", "6", "80", "80", A4, "5001")};

	switch (random_below(12)) {
	case 0:
		json_decref(graph_rpc("session.flush", json_object()));
		break;
	case 1:
		(void)graph_try("[]", "[[\"snat\", \"nat\", 1]]");
		break;
	case 2:
		(void)graph_try("[]",
			"[[\"dnat\", \"nat\", 0], [\"dnat\", \"nat\", 1], [\"snat\", \"nat\", 0], "
			"[\"snat\", \"nat\", 1], [\"nat_gateway\", \"nat\"]]");
		break;
	default:
		NAT(.dependent = random_one_in(2), .filtering = filters[random_below(3)],
			.block = random_one_in(3) ? 64 << random_below(3) : 0,
			.per_port = random_one_in(5) ? 50 : 0,
			.quarantine_s = random_one_in(2) ? NAT_NO_REST : 1,
			.no_hairpin = random_one_in(3), .nat64 = random_one_in(2),
			.log = logs[random_below(3)], .addresses = addresses[random_below(4)],
			.dnat = forwards[random_below(3)]);
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
	NAT(.dependent = false);
	worker_self = NULL; /* this is the control thread */
	atomic_store(&sending, true);
	atomic_store(&working, true);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	/* Also on a computer that lets the workers run little. */
	for (uint32_t n = 0, changes = CHANGES; n < changes || sent_by_all() <= SENT_MIN; n++) {
		change();
		nat_tick();
		session_sweep(session_high_water(), clock_ms(), ask_again);
	}
	atomic_store(&sending, false);
	rcu_synchronize();
	rcu_synchronize();
	atomic_store(&working, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	worker_self = &workers[0];
	graph_forget_drops();
}

static int start(void **state)
{
	graph_set_wire(&(struct graph_wire){.workers = 2, .rx = rx, .tx = tx});
	graph_set_sessions(16384);
	return nat_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_race, nat_setup, nat_teardown),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
