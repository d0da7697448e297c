/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers carry balanced flows while the control thread puts balancers, listeners and back ends in and out, fails and revives them,
 * and lets them drain. In the end nobody has a connection left, and whatever went is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "balancer.h"
#include "cloud.h"
#include "core/pool.h"
#include "core/rcu.h"
#include "graph.h"
#include "lb/lb_internal.h"
#include "race.h"
#include "session/session.h"
#include "tests/unit/random.h"

#define FLOWS 64
#define KINDS 5
#define CHANGES test_size(20000, 500000)
#define SENT_MIN 50000

static void make_frames(void)
{
	for (unsigned int i = 0; i < FLOWS; i++) {
		uint16_t port = (uint16_t)(1 + i);
		const struct frame_spec specs[KINDS] = {
			{FROM(MAC_A, "10.0.1.10"), TO(GW, VIP), .sport = port, .dport = 80},
			{FROM(MAC_C, "10.0.2.10"), TO(GW, VIP), .sport = port, .dport = 80},
			{FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 8080,
				.dport = port},
			{FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 8080,
				.dport = port},
			{FROM(MAC_A, "10.0.1.10"), TO(GW, VIP), .sport = port, .dport = 80,
				.proto = IPPROTO_TCP},
		};
		static const char *const ports[KINDS] = {"a", "c", "b", "c", "a"};

		for (unsigned int k = 0; k < KINDS; k++) {
			struct frame f;

			frame_build(&f, &specs[k]);
			race_frame(ports[k], f.bytes, f.len);
		}
	}
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

static uint32_t now_ms; /* of drains and persistence: 10 ms a change */

static bool change(uint32_t count)
{
	unsigned int n = random_below(4 * (unsigned int)RTE_DIM(changes));

	if (n < RTE_DIM(changes))
		(void)graph_try(changes[n].items, changes[n].keys);
	else if (n < 2 * RTE_DIM(changes))
		lb_each_backend(fail_or_revive, NULL);
	now_ms = 10 * (count + 1);
	lb_turn(now_ms);
	return true;
}

/* All items of balancers gone, all that were draining, too. */
static void check_nothing_left(void)
{
	assert_true(graph_try("[]", ALL_KEYS));
	race_ask_again();
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
	(void)state;
	random_start();
	make_frames();
	graph_items(CLOUD);
	graph_items(EVERYTHING);
	race_run(CHANGES, SENT_MIN, 8, change);
	check_nothing_left();
	assert_int_equal(pool_in_use(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	race_start();
	return cmocka_run_group_tests_name("lb_race", tests, NULL, NULL);
}
