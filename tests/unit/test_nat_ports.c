/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of an external address: choice, exhaustion, rest, blocks, sharing, several threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/nat_ports.h"
#include "random.h"

#define REST_MS 120000u
#define HIGH (NAT_PORTS - NAT_PORTS_LOW)

static int take(struct nat_ports *p, uint16_t wish)
{
	struct nat_grant g;

	return nat_ports_take(p, NULL, 0, wish, random_u64(), &g) ? g.port : -1;
}

/* RFC 4787 REQ-3a and REQ-4: ports below 1024 stay below, others above; parity is kept. */
static void test_side_and_parity(void **state)
{
	struct nat_ports *p = nat_ports_new(0, false);

	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		uint16_t wish = (uint16_t)random_u64();
		int port = take(p, wish);

		assert_true(port > 0);
		assert_int_equal(port & 1, wish & 1);
		assert_int_equal(port < 1024, wish < 1024);
	}
	nat_ports_free(p);
}

/* Where no port of the wish's kind is left, another one is better than none (REQ-4: "where possible"). */
static void test_side_and_parity_give_way(void **state)
{
	struct nat_ports *p = nat_ports_new(0, false);
	unsigned int low = 0, odd = 0;

	(void)state;
	for (unsigned int i = 0; i < 1023 + 10; i++)
		low += take(p, 80) < 1024;
	assert_int_equal(low, 1023);
	for (unsigned int i = 0; i < HIGH - 10; i++)
		odd += (unsigned int)take(p, 2000) & 1;
	assert_int_equal(odd, HIGH / 2);
	assert_int_equal(take(p, 2000), -1);
	assert_int_equal(take(p, 80), -1);
	assert_int_equal(nat_ports_use(p).used, 65535);
	nat_ports_free(p);
}

/* Every port above 1023 once, none of the reserved ones, then none; ICMP has all ids. */
static void test_exhaustion(void **state)
{
	static bool seen[NAT_PORTS];

	(void)state;
	for (unsigned int ids = 0; ids < 2; ids++) {
		struct nat_ports *p = nat_ports_new(0, ids);
		unsigned int n = 0;
		int port;

		memset(seen, 0, sizeof(seen));
		nat_ports_reserve(p, 4789, 4789);
		nat_ports_reserve(p, 8000, 8010);
		nat_ports_reserve(p, 8010, 8020);
		nat_ports_release(p, 8000, 8010);
		while ((port = take(p, 5001)) >= 0) {
			assert_false(seen[port]);
			seen[port] = true;
			n++;
		}
		assert_int_equal(n, (ids ? NAT_PORTS : HIGH) - 12);
		assert_false(seen[4789] || seen[8010] || seen[8020]);
		assert_true(seen[8000]);
		nat_ports_put(p, 8000, false);
		assert_int_equal(take(p, 5001), 8000);
		nat_ports_free(p);
	}
}

/* RFC 6056: what is handed out can not be told from what was before. */
static void test_choice_is_random(void **state)
{
	struct nat_ports *p = nat_ports_new(0, false);
	unsigned int near = 0, in_half = 0;
	int last = take(p, 2000);

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		int port = take(p, 2000);

		near += abs(port - last) < 64;
		in_half += port >= 33280;
		last = port;
	}
	assert_in_range(near, 0, 20);
	assert_in_range(in_half, 900, 1100);
	nat_ports_free(p);
}

/* RFC 6888 REQ-8: a freed port is not handed out again for 120 s; an eighth more at most. */
static void test_rest(void **state)
{
	struct nat_ports *p = nat_ports_new(0, false);
	uint32_t now = UINT32_MAX - 60000; /* over the wrap */
	unsigned int n;

	(void)state;
	nat_ports_turn(p, now, REST_MS);
	for (n = 0; take(p, 2000) >= 0; n++)
		;
	assert_int_equal(n, HIGH);
	nat_ports_put(p, 2000, true);
	now += 30000;
	nat_ports_turn(p, now, REST_MS);
	nat_ports_put(p, 2001, true);
	assert_int_equal(nat_ports_use(p).resting, 2);
	assert_int_equal(nat_ports_use(p).used, HIGH - 2);
	for (uint32_t t = 0; t < REST_MS - 30000; t += 10) {
		nat_ports_turn(p, now += 10, REST_MS);
		assert_int_equal(nat_ports_use(p).resting, 2);
	}
	assert_int_equal(take(p, 2000), -1);
	for (uint32_t t = 0; t < 30000 + REST_MS / 8 + 20; t += 10)
		nat_ports_turn(p, now += 10, REST_MS);
	assert_int_equal(nat_ports_use(p).resting, 0);
	assert_int_equal(take(p, 2000), 2000);
	assert_int_equal(take(p, 2000), 2001);
	nat_ports_free(p);
}

/* A stream of freed ports: none early, all in the end, also when the time is changed or turned off. */
static void test_rest_of_a_stream(void **state)
{
	static uint32_t freed[NAT_PORTS];
	struct nat_ports *p = nat_ports_new(0, false);
	uint32_t now = 1000;
	int port;

	(void)state;
	nat_ports_turn(p, now, 1000);
	for (unsigned int i = 0; i < 200000; i++) {
		now += random_below(3) == 0;
		nat_ports_turn(p, now, 1000);
		port = take(p, (uint16_t)random_u64());
		if (port < 0)
			continue;
		assert_true(freed[port] == 0 || now - freed[port] >= 1000);
		freed[port] = now;
		nat_ports_put(p, (uint16_t)port, true);
	}
	assert_true(nat_ports_use(p).resting > 1000);
	nat_ports_turn(p, now, 0);
	assert_int_equal(nat_ports_use(p).resting, 0);
	port = take(p, 2000);
	nat_ports_put(p, (uint16_t)port, true);
	assert_int_equal(nat_ports_use(p).resting, 0);
	nat_ports_free(p);
}

struct returned {
	unsigned int n;
	uint32_t owner;
	uint16_t from, to;
};

static void note_return(void *arg, uint32_t owner, uint16_t from, uint16_t to)
{
	struct returned *r = arg;

	r->n++;
	r->owner = owner;
	r->from = from;
	r->to = to;
}

/* RFC 6888 REQ-14, RFC 7422: a subscriber's ports come out of his own blocks; random inside (RFC 6056). */
static void test_blocks(void **state)
{
	struct nat_ports *p = nat_ports_new(500, false);
	struct nat_lease one = {0}, two = {0};
	struct returned back = {0};
	struct nat_grant g, first, other;
	bool seen[NAT_PORTS] = {false};

	(void)state;
	nat_ports_on_return(p, note_return, &back);
	nat_ports_turn(p, 0, REST_MS);
	assert_true(nat_ports_take(p, &one, 7, 2000, random_u64(), &first));
	assert_true(first.leased);
	assert_int_equal(first.block_to - first.block_from, 499);
	seen[first.port] = true;
	for (unsigned int i = 1; i < 500; i++) {
		assert_true(nat_ports_take(p, &one, 7, (uint16_t)(2000 + i), random_u64(), &g));
		assert_false(g.leased);
		assert_in_range(g.port, first.block_from, first.block_to);
		assert_false(seen[g.port]);
		seen[g.port] = true;
	}
	assert_true(nat_ports_take(p, &two, 8, 2000, random_u64(), &other));
	assert_true(other.leased && other.block_from != first.block_from);
	assert_true(nat_ports_take(p, &one, 7, 2000, random_u64(), &g));
	assert_true(g.leased && g.block_from != first.block_from);
	assert_int_equal(nat_ports_use(p).blocks_used, 3);
	/* Below 1024 there are blocks of their own: two here, 1 to 499 without port 0. */
	assert_true(nat_ports_take(p, &one, 7, 53, random_u64(), &g));
	assert_true(g.leased && g.port < 1024);
	assert_int_equal(nat_ports_use(p).blocks_total, 3 + 130);
	for (unsigned int port = first.block_from; port <= first.block_to; port++)
		nat_ports_put(p, (uint16_t)port, true);
	assert_int_equal(back.n, 0);
	for (uint32_t now = 0; now <= REST_MS + REST_MS / 8 + 1000; now += 100)
		nat_ports_turn(p, now, REST_MS);
	assert_int_equal(back.n, 1);
	assert_int_equal(back.owner, 7);
	assert_int_equal(back.from, first.block_from);
	assert_int_equal(nat_ports_use(p).blocks_used, 3);
	nat_ports_free(p);
}

/* One subscriber may have all blocks; then there is none for another. */
static void test_blocks_exhaustion(void **state)
{
	struct nat_ports *p = nat_ports_new(1000, false);
	struct nat_lease one = {0}, two = {0};
	struct nat_grant g;
	unsigned int n = 0;

	(void)state;
	while (nat_ports_take(p, &one, 1, 4000, random_u64(), &g))
		n++;
	assert_int_equal(n, HIGH);
	assert_false(nat_ports_take(p, &two, 2, 4000, random_u64(), &g));
	nat_ports_put(p, 5000, false);
	assert_false(nat_ports_take(p, &two, 2, 4000, random_u64(), &g)); /* his block */
	assert_true(nat_ports_take(p, &one, 1, 4000, random_u64(), &g));
	assert_int_equal(g.port, 5000);
	nat_ports_free(p);
}

static bool fits_unless(void *arg, uint16_t port)
{
	bool *taken = arg;

	return !taken[port];
}

/* Endpoint-dependent: the same ports for each destination, nearly all of them. */
static void test_sharing(void **state)
{
	static bool taken[2][NAT_PORTS];
	struct nat_ports *p = nat_ports_new(0, false);
	struct nat_grant g;
	int own;

	(void)state;
	nat_ports_reserve(p, 4789, 4789);
	own = take(p, 3000);
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int i = 0; i < HIGH - 2; i++) {
			assert_true(nat_ports_share(p, NULL, 0, (uint16_t)(1024 + i % 60000),
				random_u64(), NAT_PORTS, fits_unless, taken[d], &g));
			assert_true(g.port != 4789 && g.port != own && g.port >= 1024);
			taken[d][g.port] = true;
		}
	assert_false(nat_ports_share(
		p, NULL, 0, 2000, random_u64(), NAT_PORTS, fits_unless, taken[0], &g));
	assert_int_equal(nat_ports_use(p).used, HIGH - 1);
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int port = 0; port < NAT_PORTS; port++)
			if (taken[d][port])
				nat_ports_unshare(p, (uint16_t)port);
	assert_int_equal(nat_ports_use(p).used, 1);
	nat_ports_put(p, (uint16_t)own, false);
	for (unsigned int n = 0; n < HIGH - 1; n++)
		assert_true(take(p, 2000) >= 0);
	nat_ports_free(p);
}

/* Looking takes nothing. */
static void test_look(void **state)
{
	struct nat_ports *p = nat_ports_new(64, false);
	uint16_t port;

	(void)state;
	assert_true(nat_ports_look(p, 2001, random_u64(), &port));
	assert_true(port >= 1024 && (port & 1));
	assert_int_equal(nat_ports_use(p).used, 0);
	assert_int_equal(nat_ports_use(p).blocks_used, 0);
	nat_ports_free(p);
}

#define THREADS 4u
#define HELD 12000u
static struct nat_ports *shared_ports;
static _Atomic uint32_t holders[NAT_PORTS];
static struct nat_lease leases[2]; /* two threads are one subscriber */

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s * 0x2545f4914f6cdd1d;
}

/* Takes and puts as fast as it goes; a port never has two holders. */
static void *hammer(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg, n = 0;
	struct nat_lease *lease = &leases[id / 2];
	uint64_t s = 12345 + id;
	uint16_t *held = malloc(HELD * sizeof(*held));

	for (unsigned int i = 0; i < test_size(300000, 3000000); i++) {
		struct nat_grant g;

		if (n < HELD && next_random(&s) % 3 != 0) {
			if (!nat_ports_take(shared_ports, lease, 1 + id / 2,
				    (uint16_t)next_random(&s), next_random(&s), &g))
				continue;
			if (atomic_fetch_add(&holders[g.port], 1) != 0)
				abort();
			held[n++] = g.port;
		} else if (n > 0) {
			unsigned int k = (unsigned int)(next_random(&s) % n);
			uint16_t port = held[k];

			held[k] = held[--n];
			atomic_fetch_sub(&holders[port], 1);
			nat_ports_put(shared_ports, port, next_random(&s) % 2);
		}
	}
	while (n > 0) {
		atomic_fetch_sub(&holders[held[--n]], 1);
		nat_ports_put(shared_ports, held[n], true);
	}
	free(held);
	return NULL;
}

static void hammer_all(uint32_t block)
{
	pthread_t threads[THREADS];
	uint32_t now = 0;

	memset(leases, 0, sizeof(leases));
	shared_ports = nat_ports_new(block, false);
	nat_ports_turn(shared_ports, now, 100);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (unsigned int i = 0; i < 1000; i++)
		nat_ports_turn(shared_ports, now += 10, 100);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	nat_ports_turn(shared_ports, now + 10, 0);
	assert_int_equal(nat_ports_use(shared_ports).used, 0);
	assert_int_equal(nat_ports_use(shared_ports).resting, 0);
	assert_int_equal(nat_ports_use(shared_ports).blocks_used, 0);
	for (unsigned int n = 0; n < HIGH; n++)
		assert_true(take(shared_ports, 2000) >= 0 || block != 0);
	nat_ports_free(shared_ports);
}

static void test_threads(void **state)
{
	(void)state;
	hammer_all(0);
}

static void test_threads_with_blocks(void **state)
{
	(void)state;
	hammer_all(256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_side_and_parity),
		cmocka_unit_test(test_side_and_parity_give_way),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_choice_is_random),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_rest_of_a_stream),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_blocks_exhaustion),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_threads_with_blocks),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
