/* SPDX-License-Identifier: Apache-2.0 */
/* The sight thread between observers of which one has more than the thread can hand on: the others get all of theirs, and soon; they
 * end; each loses its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud.h"
#include "graph.h"
#include "observe/observe.h"

/* Far more than a slow one hands on in the time of a test. */
#define SLOW_US 5000
#define LIGHT 200u
/* What a packet of the light one waits at most, however busy the machine is: with all that the slow one has in front of it, that would be
 * the length of a ring, 2500 records of SLOW_US. */
#define WAIT_US 2000000u

struct looker {
	struct observer *o;
	_Atomic unsigned int pause_us, flush_us;
	_Atomic uint64_t seen, flushed;
	_Atomic bool closed;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void pause_for(unsigned int us)
{
	if (us > 0)
		usleep(us);
}

static void record(struct observer *o, const struct observe_meta *meta, const uint8_t *data)
{
	struct looker *l = observer_context(o);

	(void)meta;
	(void)data;
	pause_for(l->pause_us);
	atomic_fetch_add(&l->seen, 1);
}

static void flush(struct observer *o)
{
	struct looker *l = observer_context(o);

	pause_for(l->flush_us);
	atomic_store(&l->flushed, atomic_load(&l->seen));
}

static void closed(struct observer *o)
{
	struct looker *l = observer_context(o);

	atomic_store(&l->closed, true);
}

static const struct observe_sink sink = {.record = record, .flush = flush, .close = closed};

/* Looks at what port a sends to that port. */
static void look(struct looker *l, const char *expression)
{
	struct observe_scope scope = {.kind = OBSERVE_PORT, .name = "a"};
	struct observer_spec spec = {.scopes = &scope,
		.n_scopes = 1,
		.directions = OBSERVE_SENT,
		.sink = &sink,
		.context = l};
	char reason[160];

	assert_int_equal(packet_filter_new(expression, &spec.filter, reason, sizeof(reason)), 0);
	l->o = observer_new(&spec);
	assert_non_null(l->o);
}

static void send_to(uint16_t port, unsigned int n)
{
	const struct frame *f = FRAME(.smac = MAC_A, .dmac = GW, .src = "10.0.1.10",
		.dst = "10.0.2.10", .sport = 7, .dport = port, .payload = 1400);

	for (; n > 0; n--) {
		graph_send("a", f->bytes, f->len);
		graph_run();
		graph_discard_sent("c");
	}
}

/* More than it can take, all the time. */
static void fill(void)
{
	send_to(8, 30);
}

static void wait_closed(struct looker *l, bool under_load)
{
	uint64_t until = now_us() + 60000000u;

	while (!atomic_load(&l->closed)) {
		assert_true(now_us() < until);
		if (under_load)
			fill();
		graph_settle();
		usleep(1000);
	}
}

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

/* Its ring is full: it loses packets. */
static void saturate(struct looker *hog)
{
	for (unsigned int n = 0; observer_counters(hog->o).lost == 0; n++) {
		assert_true(n < 1000);
		fill();
	}
}

static void between(struct looker *hog, struct looker *light)
{
	struct observe_counters hogs, lights;
	uint64_t slowest = 0;

	look(hog, "udp port 8");
	look(light, "udp port 9");
	saturate(hog);
	for (unsigned int n = 0; n < LIGHT; n++) {
		uint64_t began = now_us(), took = 0;

		send_to(9, 1);
		fill();
		while (n % 20 == 0 && atomic_load(&light->flushed) <= n) {
			took = now_us() - began;
			assert_true(took < WAIT_US);
		}
		slowest = took > slowest ? took : slowest;
	}
	print_message("the slowest took %lu us\n", (unsigned long)slowest);
	saturate(hog);
	lights = observer_counters(light->o);
	assert_int_equal(lights.packets, LIGHT);
	assert_int_equal(lights.lost, 0);
	/* The light one ends while the other has its hands full; and that says of each packet what became of it. */
	observer_free(light->o);
	wait_closed(light, true);
	assert_int_equal(atomic_load(&light->seen), LIGHT);
	assert_int_equal(atomic_load(&light->flushed), LIGHT);
	hogs = observer_counters(hog->o);
	assert_true(hogs.lost > 0);
	hog->pause_us = hog->flush_us = 0;
	observer_free(hog->o);
	wait_closed(hog, false);
	assert_int_equal(atomic_load(&hog->seen) + hogs.lost, hogs.packets);
}

static void test_one_with_too_much(void **state)
{
	struct looker hog = {.pause_us = SLOW_US}, light = {.pause_us = 0};

	(void)state;
	between(&hog, &light);
}

/* Each record and each flush waits for a disk: the light one waits for one of them. */
static void test_one_whose_flush_is_slow(void **state)
{
	struct looker hog = {.pause_us = SLOW_US, .flush_us = 20 * SLOW_US},
		      light = {.pause_us = 0};

	(void)state;
	between(&hog, &light);
}

/* Both want more than there is: both get some of it. */
static void test_two_with_too_much(void **state)
{
	struct looker one = {.pause_us = SLOW_US}, other = {.pause_us = SLOW_US / 4};
	uint64_t until = now_us() + 60000000u;

	(void)state;
	look(&one, "udp port 8");
	look(&other, "udp");
	while (atomic_load(&one.seen) < 50 || atomic_load(&other.seen) < 50) {
		assert_true(now_us() < until);
		fill();
	}
	one.pause_us = other.pause_us = 0;
	observer_free(one.o);
	observer_free(other.o);
	wait_closed(&one, false);
	wait_closed(&other, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_with_too_much, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_whose_flush_is_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_with_too_much, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
