/* SPDX-License-Identifier: Apache-2.0 */
/* Records of translation: found by key, counted, used again; by several threads at once. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rcu.h"
#include "nat/nat_table.h"
#include "random.h"

#define CAPACITY 4000u

static int setup(void **state)
{
	(void)state;
	return nat_table_init(CAPACITY);
}

static int teardown(void **state)
{
	(void)state;
	nat_table_fini();
	return 0;
}

static struct nat_record key_of(uint16_t port, uint8_t space)
{
	return (struct nat_record){.kind = NAT_MAPPING,
		.gateway = 3,
		.space = space,
		.port = rte_cpu_to_be_16(port),
		.addr = ip_addr_from_v4(RTE_BE32(0x0a000105))};
}

static uint32_t make(const struct nat_record *key)
{
	uint32_t index = nat_record_new();

	assert_int_not_equal(index, 0);
	*nat_record_of(index) = *key;
	nat_record_of(index)->refs = 1;
	return index;
}

static void drop(uint32_t index)
{
	if (nat_record_put(index))
		nat_record_free(index);
}

/* Spaces of TCP, UDP and ICMP are apart (RFC 6888); gateways are; another one's key finds nothing. */
static void test_keys(void **state)
{
	struct nat_record k[3] = {key_of(80, NAT_TCP), key_of(80, NAT_UDP), key_of(81, NAT_TCP)};
	struct nat_record other = key_of(80, NAT_TCP);
	uint32_t index[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		index[i] = make(&k[i]);
		assert_int_equal(nat_table_add(index[i]), index[i]);
	}
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(nat_table_find(&k[i]), index[i]);
		drop(index[i]);
		assert_ptr_equal(nat_table_look(&k[i]), nat_record_of(index[i]));
	}
	other.gateway = 4;
	assert_int_equal(nat_table_find(&other), 0);
	for (unsigned int i = 0; i < 3; i++) {
		drop(index[i]);
		assert_null(nat_table_look(&k[i]));
	}
}

/* Filter sets: the same mapping with two outside addresses. */
static void test_remotes(void **state)
{
	struct nat_record a = {.kind = NAT_REMOTE,
				  .parent = 7,
				  .remote = ip_addr_from_v4(RTE_BE32(0xc6336401))},
			  b = a;
	uint32_t index = make(&a);

	(void)state;
	b.remote = ip_addr_from_v4(RTE_BE32(0xc6336402));
	assert_int_equal(nat_table_add(index), index);
	assert_non_null(nat_table_look(&a));
	assert_null(nat_table_look(&b));
	b = a;
	b.parent = 8;
	assert_null(nat_table_look(&b));
	drop(index);
}

/* The second one to add a key gets the first one's record. */
static void test_adding_twice(void **state)
{
	struct nat_record k = key_of(80, NAT_TCP);
	uint32_t one = make(&k), two = make(&k);

	(void)state;
	assert_int_equal(nat_table_add(one), one);
	assert_int_equal(nat_table_add(two), one);
	assert_int_equal(atomic_load(&nat_record_of(one)->refs), 2);
	drop(two);
	drop(one);
	assert_non_null(nat_table_look(&k));
	drop(one);
	assert_null(nat_table_look(&k));
	assert_false(nat_record_get(one));
}

/* All records, none more, and all again once they are freed. */
static void test_capacity(void **state)
{
	static uint32_t all[CAPACITY];

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < CAPACITY; i++) {
			struct nat_record k = key_of((uint16_t)i, NAT_TCP);

			all[i] = make(&k);
			assert_int_equal(nat_table_add(all[i]), all[i]);
		}
		assert_int_equal(nat_record_new(), 0);
		assert_int_equal(nat_table_used(), CAPACITY);
		for (unsigned int i = 0; i < CAPACITY; i++)
			drop(all[i]);
		assert_int_equal(nat_record_new(), 0); /* not before a turn */
		nat_table_turn();
		nat_table_turn();
		assert_int_equal(nat_table_used(), 0);
	}
}

#define THREADS 4u
#define KEYS 1024u
static _Atomic uint32_t made, working;

/* As a worker: the mapping of a key is found or made, and never two of them live at once. */
static void *work(void *arg)
{
	uint64_t s = 77 + (uintptr_t)arg;
	uint32_t held[16] = {0};

	rcu_worker_online((unsigned int)(uintptr_t)arg);
	for (unsigned int i = 0; i < test_size(200000, 4000000); i++) {
		uint32_t slot, index;
		struct nat_record k;

		rcu_worker_quiescent();
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		slot = (uint32_t)(s >> 8) % 16;
		k = key_of((uint16_t)((s >> 16) % KEYS), NAT_UDP);
		if (held[slot] != 0) {
			drop(held[slot]);
			held[slot] = 0;
			continue;
		}
		index = nat_table_find(&k);
		if (index == 0 && (index = nat_record_new()) != 0) {
			uint32_t mine = index;

			nat_record_of(index)->kind = k.kind;
			nat_record_of(index)->gateway = k.gateway;
			nat_record_of(index)->space = k.space;
			nat_record_of(index)->port = k.port;
			nat_record_of(index)->addr = k.addr;
			index = nat_table_add(mine);
			if (index != mine)
				nat_record_free(mine);
			else
				atomic_fetch_add(&made, 1);
		}
		if (index == 0) { /* until the control thread has turned */
			sched_yield();
			i--;
			continue;
		}
		if (nat_record_of(index)->port != k.port)
			abort();
		held[slot] = index;
	}
	for (unsigned int i = 0; i < 16; i++)
		if (held[i] != 0)
			drop(held[i]);
	rcu_worker_offline();
	atomic_fetch_sub(&working, 1);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(rcu_init(THREADS), 0);
	atomic_store(&working, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	while (atomic_load(&working) != 0)
		nat_table_turn();
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < KEYS; i++) {
		struct nat_record k = key_of((uint16_t)i, NAT_UDP);

		assert_null(nat_table_look(&k));
	}
	nat_table_turn();
	nat_table_turn();
	assert_int_equal(nat_table_used(), 0);
	assert_true(atomic_load(&made) > 4 * CAPACITY); /* each was used again and again */
	rcu_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remotes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adding_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capacity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
