/* SPDX-License-Identifier: Apache-2.0 */
/* The session table: look-up, insertion, removal, shares, expiry, listing. With no worker, or sleeping ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rcu.h"
#include "random.h"
#include "session/bucket.h"
#include "session/tcp.h"
#include "session_flows.h"

/* Fails the test that called it. */
static uint32_t insert(uint32_t flow)
{
	uint32_t ref;

	assert_int_equal(flow_insert(flow, &ref), 0);
	assert_int_equal(ref & 1, 0);
	return ref;
}

static uint32_t insert_new(const struct session_new *new)
{
	uint32_t ref;

	assert_int_equal(session_insert(new, &ref), 0);
	return ref;
}

static void remove_all(void)
{
	for (uint32_t i = 0; i < session_high_water(); i++)
		session_remove(i);
	assert_int_equal(session_used(), 0);
}

static void test_both_directions(void **state)
{
	uint32_t ref = insert(1), other = insert(2);

	(void)state;
	assert_int_not_equal(ref, other);
	assert_int_equal(flow_lookup(1, 0), ref);
	assert_int_equal(flow_lookup(1, 1), ref | 1);
	assert_int_equal(flow_lookup(3, 0), SESSION_NONE);
	assert_int_equal(session_used(), 2);
	session_remove(ref >> 1);
	session_remove(ref >> 1);
	assert_int_equal(session_used(), 1);
	assert_int_equal(flow_lookup(1, 0), SESSION_NONE);
	assert_int_equal(flow_lookup(1, 1), SESSION_NONE);
	assert_int_equal(flow_lookup(2, 1), other | 1);
	remove_all();
}

/* A key differs in any field: another flow. */
static void test_key_fields(void **state)
{
	const struct session_key base = session_key_v4(5, IPPROTO_UDP, 1, 2, 3, 4);
	const struct session_key others[] = {
		session_key_v4(6, IPPROTO_UDP, 1, 2, 3, 4),
		session_key_v4(5, IPPROTO_TCP, 1, 2, 3, 4),
		session_key_v4(5, IPPROTO_UDP, 9, 2, 3, 4),
		session_key_v4(5, IPPROTO_UDP, 1, 9, 3, 4),
		session_key_v4(5, IPPROTO_UDP, 1, 2, 9, 4),
		session_key_v4(5, IPPROTO_UDP, 1, 2, 3, 9),
	};
	struct session_new new;

	(void)state;
	flow_new(&new, 0, IPPROTO_UDP);
	new.dir[0].key = base;
	insert_new(&new);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(session_lookup(&others[i], session_hash(&others[i]), NULL, NULL),
			SESSION_NONE);
	assert_int_equal(session_key_vpc(&base), 5);
	assert_int_equal(session_key_proto(&base), IPPROTO_UDP);
	remove_all();
}

static struct ip_addr address(uint8_t last)
{
	return (struct ip_addr){.bytes = {0x20, 1, 0xd, 0xb8, [15] = last}};
}

static void new_v6(struct session_new *new, uint8_t src, uint8_t dst)
{
	memset(new, 0, sizeof(*new));
	for (unsigned int d = 0; d < 2; d++) {
		new->src[d] = address(d == 0 ? src : dst);
		new->dst[d] = address(d == 0 ? dst : src);
		new->dir[d].key = session_key_v6(9, IPPROTO_UDP, &new->src[d], &new->dst[d], 5, 5);
	}
	new->vpc_index = 9;
}

static void test_ipv6(void **state)
{
	struct ip_addr addrs[3][2];
	struct session_key keys[3];
	uint32_t hashes[3], refs[3], ref[2];
	struct session_new new;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		new_v6(&new, 1, (uint8_t)(2 + i));
		ref[i] = insert_new(&new);
		keys[i] = new.dir[1].key;
		hashes[i] = session_hash(&keys[i]);
		addrs[i][0] = new.src[1];
		addrs[i][1] = new.dst[1];
		assert_int_equal(session_lookup(&keys[i], hashes[i], &addrs[i][0], &addrs[i][1]),
			ref[i] | 1);
	}
	keys[2] = flow_key(insert(1) * 0 + 1, 0);
	hashes[2] = session_hash(&keys[2]);
	session_lookup_bulk(keys, hashes, addrs, 3, refs, 3);
	assert_int_equal(refs[0], ref[0] | 1);
	assert_int_equal(refs[1], ref[1] | 1);
	assert_int_equal(refs[2], flow_lookup(1, 0));
	remove_all();
}

/* Addresses whose folds are equal are still different flows. */
static void test_ipv6_equal_folds(void **state)
{
	struct session_new a, b;
	uint32_t ref_a, ref_b, ref;
	uint32_t hash;

	(void)state;
	new_v6(&a, 1, 2);
	new_v6(&b, 3, 4);
	for (unsigned int d = 0; d < 2; d++)
		b.dir[d].key = a.dir[d].key;
	hash = session_hash(&a.dir[0].key);
	ref_a = insert_new(&a);
	assert_int_equal(session_lookup(&a.dir[0].key, hash, &b.src[0], &b.dst[0]), SESSION_NONE);
	ref_b = insert_new(&b);
	for (unsigned int i = 0; i < 2; i++) {
		const struct session_new *n = i == 0 ? &a : &b;
		struct ip_addr addrs[1][2] = {{n->src[0], n->dst[0]}};

		assert_int_equal(session_lookup(&n->dir[0].key, hash, &n->src[0], &n->dst[0]),
			i == 0 ? ref_a : ref_b);
		session_lookup_bulk(&n->dir[0].key, &hash, addrs, 1, &ref, 1);
		assert_int_equal(ref, i == 0 ? ref_a : ref_b);
	}
	assert_int_equal(session_insert(&b, &ref), -EEXIST);
	assert_int_equal(ref, ref_b);
	remove_all();
}

static void test_exists(void **state)
{
	uint32_t ref = insert(1), found;
	struct session_new new;

	(void)state;
	assert_int_equal(flow_insert(1, &found), -EEXIST);
	assert_int_equal(found, ref);
	/* The answers' key belongs to another flow: nothing is inserted, the holder is told with its direction. */
	flow_new(&new, 2, IPPROTO_UDP);
	new.dir[1].key = flow_key(1, 1);
	assert_int_equal(session_insert(&new, &found), -EEXIST);
	assert_int_equal(found, ref | 1);
	assert_int_equal(flow_lookup(2, 0), SESSION_NONE);
	/* Opened from the other side. */
	new.dir[0].key = flow_key(1, 1);
	new.dir[1].key = flow_key(1, 0);
	assert_int_equal(session_insert(&new, &found), -EEXIST);
	assert_int_equal(session_used(), 1);
	/* No index is lost by it. */
	for (unsigned int i = 0; i < 100000; i++)
		assert_int_equal(flow_insert(1, &found), -EEXIST);
	assert_true(session_high_water() < 200);
	remove_all();
}

/* To itself: one key. */
static void test_same_keys(void **state)
{
	struct session_new new;
	uint32_t ref;

	(void)state;
	flow_new(&new, 1, IPPROTO_UDP);
	new.dir[1].key = new.dir[0].key;
	ref = insert_new(&new);
	assert_int_equal(flow_lookup(1, 0), ref);
	session_remove(ref >> 1);
	assert_int_equal(flow_lookup(1, 0), SESSION_NONE);
	assert_int_equal(session_used(), 0);
}

static void test_bulk(void **state)
{
	struct session_key keys[SESSION_BULK];
	uint32_t hashes[SESSION_BULK], refs[SESSION_BULK];

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		insert(2 * i); /* odd ones miss */
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int n = random_below(SESSION_BULK + 1);

		for (unsigned int i = 0; i < n; i++) {
			keys[i] = flow_key(random_below(1000), random_below(2));
			hashes[i] = session_hash(&keys[i]);
		}
		session_lookup_bulk(keys, hashes, NULL, 0, refs, n);
		for (unsigned int i = 0; i < n; i++)
			assert_int_equal(refs[i], session_lookup(&keys[i], hashes[i], NULL, NULL));
	}
	remove_all();
}

/* The whole capacity can be used, again and again, and never more. */
static void test_full(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		uint32_t base = round * 100000, ref;

		for (uint32_t i = 0; i < session_capacity(); i++)
			insert(base + i);
		assert_int_equal(flow_insert(base + 50000, &ref), -ENOSPC);
		assert_int_equal(session_used(), session_capacity());
		for (uint32_t i = 0; i < session_capacity(); i++)
			assert_int_not_equal(flow_lookup(base + i, i & 1), SESSION_NONE);
		/* One goes, one comes. */
		session_remove(flow_lookup(base, 0) >> 1);
		insert(base + 50000);
		assert_int_equal(flow_insert(base, &ref), -ENOSPC);
		remove_all();
	}
}

/* 95 % of the slots, which only displacement reaches: the buckets are made fewer than session_init() made. */
static void test_displacement(void **state)
{
	uint32_t n = bucket_table.n, keys = session_capacity() * 2;

	(void)state;
	bucket_table.n = keys * 100 / 95 / BUCKET_SLOTS + 1;
	for (uint32_t i = 0; i < session_capacity(); i++) {
		insert(i);
		if (i % 64 == 0)
			for (uint32_t k = 0; k <= i; k++)
				assert_int_equal(session_dirs[flow_lookup(k, k & 1)].out_vni, k);
	}
	assert_true(atomic_load(&bucket_table.moves) > 0);
	/* Out again by halves, in again. */
	for (unsigned int round = 0; round < 20; round++) {
		for (uint32_t i = round & 1; i < session_capacity(); i += 2)
			session_remove(flow_lookup(i, 1) >> 1);
		for (uint32_t i = round & 1; i < session_capacity(); i += 2)
			insert(i);
		for (uint32_t i = 0; i < session_capacity(); i++)
			assert_int_equal(session_dirs[flow_lookup(i, 0)].out_vni, i);
	}
	remove_all();
	for (uint32_t b = 0; b < bucket_table.n; b++) {
		assert_int_equal(bucket_match(&bucket_table.buckets[b], 0), 0xff);
		assert_int_equal(bucket_table.buckets[b].overflow, 0);
		assert_int_equal(bucket_table.buckets[b].lock, 0);
	}
	bucket_table.n = n;
}

/* No room at all: the answer is -ENOSPC and everything stays as it was. */
static void test_no_bucket(void **state)
{
	uint32_t n = bucket_table.n, made = 0, ref;

	(void)state;
	bucket_table.n = 16;
	while (flow_insert(made, &ref) == 0)
		made++;
	assert_true(made > 16 * BUCKET_SLOTS / 2 * 9 / 10);
	assert_int_equal(flow_insert(made, &ref), -ENOSPC);
	assert_int_equal(session_used(), made);
	for (uint32_t i = 0; i < made; i++)
		assert_int_equal(session_dirs[flow_lookup(i, 1)].out_vni, i);
	remove_all();
	bucket_table.n = n;
}

static void test_shares(void **state)
{
	struct session_new new;
	uint32_t ref;

	(void)state;
	session_share_set(FLOW_VPC, 10);
	for (uint32_t i = 0; i < 10; i++)
		insert(i);
	assert_int_equal(flow_insert(10, &ref), -EDQUOT);
	flow_new(&new, 10, IPPROTO_UDP);
	new.vpc_index = FLOW_VPC + 1; /* others have room */
	insert_new(&new);
	assert_int_equal(session_vpc_used(FLOW_VPC), 10);
	assert_int_equal(session_vpc_used(FLOW_VPC + 1), 1);
	session_remove(flow_lookup(3, 0) >> 1);
	insert(11);
	assert_int_equal(flow_insert(12, &ref), -EDQUOT);
	session_share_set(FLOW_VPC, 0);
	insert(12);
	remove_all();
	assert_int_equal(session_vpc_used(FLOW_VPC), 0);
}

/* What a VPC may have without an answer; near its bounds those have little time. */
static void test_unanswered(void **state)
{
	uint32_t refs[20], ref;

	(void)state;
	session_share_default(20, 50);
	for (uint32_t i = 0; i < 10; i++)
		refs[i] = insert(i);
	assert_int_equal(session_vpc_unanswered(FLOW_VPC), 10);
	assert_int_equal(flow_insert(10, &ref), -EBUSY);
	assert_int_equal(session_timeout_s(refs[0] >> 1), session_timeouts.full_unanswered_s);
	session_answered(refs[3] >> 1);
	session_answered(refs[3] >> 1); /* once */
	assert_int_equal(session_vpc_unanswered(FLOW_VPC), 9);
	for (uint32_t i = 10; i < 20; i++) {
		refs[i] = insert(i);
		session_answered(refs[i] >> 1);
	}
	assert_int_equal(session_vpc_used(FLOW_VPC), 20);
	assert_int_equal(session_vpc_unanswered(FLOW_VPC), 9);
	assert_int_equal(flow_insert(20, &ref), -EDQUOT);
	session_remove(refs[3] >> 1);
	session_remove(refs[4] >> 1);
	assert_int_equal(session_vpc_unanswered(FLOW_VPC), 8);
	session_share_set(FLOW_VPC, 100); /* its own share instead of the default */
	for (uint32_t i = 100; i < 142; i++)
		insert(i);
	assert_int_equal(flow_insert(142, &ref), -EBUSY);
	session_share_set(FLOW_VPC, 0);
	session_share_default(0, 100);
	insert(142);
	remove_all();
	assert_int_equal(session_vpc_unanswered(FLOW_VPC), 0);
}

/* Index re-use waits for a worker that may still read. */
static void test_grace_period(void **state)
{
	uint32_t ref;

	(void)state;
	rcu_worker_online(1);
	rcu_thread = 0;
	for (unsigned int round = 0; round < 10; round++) {
		uint32_t base = round * 10000;

		for (uint32_t i = 0; i < session_capacity(); i++)
			if (flow_insert(base + i, &ref) != 0)
				assert_true(round > 0);
		if (round > 0)
			break;
		remove_all();
	}
	/* Everything but what the lists hold more than the capacity waits. */
	assert_true(session_used() < session_capacity() / 2);
	rcu_thread = 2;
	rcu_worker_quiescent();
	rcu_thread = 0;
	while (session_used() < session_capacity())
		insert(500000 + session_used());
	rcu_thread = 2;
	rcu_worker_offline();
	rcu_thread = 0;
	remove_all();
}

static void set_tcp(uint32_t ref, uint8_t client, uint8_t server)
{
	atomic_store(&session_hot_of(ref)->tcp_bits, client);
	atomic_store(&session_hot_of(ref ^ 1)->tcp_bits, server);
}

/* RFC 5382 REQ-5, RFC 4787 REQ-5, RFC 5508 REQ-1 */
static void test_timeouts(void **state)
{
	const uint8_t open = TCP_SYN | TCP_ACKED_SYN;
	const struct {
		uint8_t proto, answered, client, server;
		uint32_t timeout_s, crowded_s;
	} rows[] = {
		{IPPROTO_UDP, 0, 0, 0, 60, 5},
		{IPPROTO_UDP, 1, 0, 0, 300, 300},
		{IPPROTO_ICMP, 0, 0, 0, 60, 5},
		{IPPROTO_ICMP, 1, 0, 0, 60, 60},
		{IPPROTO_ICMPV6, 1, 0, 0, 60, 60},
		{IPPROTO_SCTP, 0, 0, 0, 600, 5},
		{IPPROTO_SCTP, 1, 0, 0, 600, 600},
		{IPPROTO_TCP, 0, TCP_SYN, 0, 30, 5},
		{IPPROTO_TCP, 1, TCP_SYN, open, 240, 5},
		{IPPROTO_TCP, 1, open, open, 7440, 7440},
		{IPPROTO_TCP, 1, open | TCP_FIN, open, 240, 240},
		{IPPROTO_TCP, 1, open | TCP_FIN, open | TCP_ACKED_FIN, 240, 240},
		{IPPROTO_TCP, 1, open | TCP_FIN, open | TCP_ACKED_FIN | TCP_FIN, 240, 240},
		{IPPROTO_TCP, 1, open | TCP_FIN | TCP_ACKED_FIN, open | TCP_ACKED_FIN | TCP_FIN,
			120, 120},
		{IPPROTO_TCP, 1, open | TCP_RST, open, 30, 30},
	};
	/* Clocks that wrap meanwhile, too. */
	const uint32_t starts[] = {0, 1000, UINT32_MAX - 3000, INT32_MAX - 3000u};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
			uint32_t now = starts[s], ref;
			struct session_new new;

			flow_new(&new, 1, rows[i].proto);
			new.now_ms = now;
			ref = insert_new(&new);
			set_tcp(ref, rows[i].client, rows[i].server);
			now += 1000;
			session_count(session_hot_of(ref | rows[i].answered), 100, now);
			assert_int_equal(session_timeout_s(ref >> 1), rows[i].timeout_s);
			assert_int_equal(
				session_sweep(UINT32_MAX, now + rows[i].timeout_s * 1000 - 1, NULL),
				0);
			assert_true(session_alive(ref >> 1));
			assert_int_equal(
				session_sweep(UINT32_MAX, now + rows[i].timeout_s * 1000, NULL), 1);
			assert_false(session_alive(ref >> 1));
			assert_int_equal(session_used(), 0);
		}
	}
	/* 90 % full */
	for (uint32_t k = 0; k < session_capacity() * 9 / 10; k++)
		insert(1000 + k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_new new;
		uint32_t ref;

		flow_new(&new, 1, rows[i].proto);
		ref = insert_new(&new);
		set_tcp(ref, rows[i].client, rows[i].server);
		session_count(session_hot_of(ref | rows[i].answered), 100, 0);
		assert_int_equal(session_timeout_s(ref >> 1), rows[i].crowded_s);
		session_remove(ref >> 1);
	}
	remove_all();
}

/* Full of unanswered flows, the table makes room for others within 5 s; an answered one stays. */
static void test_pressure(void **state)
{
	uint32_t kept, ref;

	(void)state;
	for (uint32_t i = 0; i < session_capacity(); i++)
		insert(i);
	kept = flow_lookup(17, 0);
	session_count(session_hot_of(kept | 1), 100, 0);
	assert_int_equal(flow_insert(100000, &ref), -ENOSPC);
	assert_int_equal(session_sweep(UINT32_MAX, 4999, NULL), 0);
	assert_int_equal(session_sweep(UINT32_MAX, 5000, NULL), session_capacity() - 1);
	assert_int_equal(session_used(), 1);
	assert_int_equal(flow_lookup(17, 0), kept);
	insert(100000);
	remove_all();
}

/* A turn of the hand visits each once, in slices; only what was ever used. */
static void test_slices(void **state)
{
	unsigned int removed = 0, calls = 0;

	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		insert(i);
	assert_true(session_high_water() >= 300 && session_high_water() < 400);
	while (session_used() > 0) {
		unsigned int n = session_sweep(10, 60000, NULL);

		assert_true(n <= 10);
		removed += n;
		calls++;
	}
	assert_int_equal(removed, 300);
	assert_true(calls <= session_high_water() / 10 + 1);
	assert_int_equal(session_sweep(0, 60000, NULL), 0);
}

static uint32_t stale_seen[8];
static unsigned int n_stale;

static void note_stale(uint32_t index)
{
	if (n_stale < 8)
		stale_seen[n_stale] = index;
	n_stale++;
}

static uint32_t insert_dependent(uint32_t flow, epoch_slot_t slot)
{
	struct session_new new;

	flow_new(&new, flow, IPPROTO_UDP);
	new.deps[0] = slot;
	new.epoch_sum = epoch_sum(new.deps);
	new.change = epoch_change();
	return insert_new(&new);
}

static void test_stale(void **state)
{
	epoch_slot_t a = epoch_take(), b = epoch_take();
	uint32_t x, y;

	(void)state;
	x = insert_dependent(1, a);
	y = insert_dependent(2, b);
	n_stale = 0;
	session_sweep(UINT32_MAX, 0, note_stale);
	assert_int_equal(n_stale, 0);
	epoch_bump(b);
	session_sweep(UINT32_MAX, 0, note_stale);
	assert_int_equal(n_stale, 1);
	assert_int_equal(stale_seen[0], y >> 1);
	/* The other one is validated, in both directions; the stale one stays so until somebody acts. */
	assert_int_equal(session_dir_of(x)->change, epoch_change());
	assert_int_equal(session_dir_of(x | 1)->change, epoch_change());
	assert_int_not_equal(session_dir_of(y)->change, epoch_change());
	session_sweep(UINT32_MAX, 0, note_stale);
	assert_int_equal(n_stale, 2);
	/* Cut from within the sweep. */
	session_sweep(UINT32_MAX, 0, session_remove);
	assert_false(session_alive(y >> 1));
	assert_true(session_alive(x >> 1));
	/* A slot that is freed and taken again still tells. */
	epoch_free(a);
	assert_int_equal(epoch_take(), a);
	n_stale = 0;
	session_sweep(UINT32_MAX, 0, note_stale);
	assert_int_equal(n_stale, 1);
	epoch_free(a);
	epoch_free(b);
	remove_all();
}

/* Of services a flow may depend on more than its record has room for: each of them tells, as many as there may be. */
static void test_many_dependencies(void **state)
{
	epoch_slot_t slots[EPOCH_DEPS];
	struct session_new new;

	(void)state;
	for (unsigned int i = 0; i < EPOCH_DEPS; i++)
		slots[i] = epoch_take();
	for (unsigned int n = 1; n <= EPOCH_DEPS; n++) {
		flow_new(&new, n, IPPROTO_UDP);
		memcpy(new.deps, slots, n * sizeof(slots[0]));
		new.epoch_sum = epoch_sum(new.deps);
		new.change = epoch_change();
		insert_new(&new);
	}
	for (unsigned int i = 0; i < EPOCH_DEPS; i++) {
		epoch_bump(slots[i]);
		n_stale = 0;
		session_sweep(UINT32_MAX, 0, note_stale);
		assert_int_equal(n_stale, EPOCH_DEPS - i); /* those with more than i of them */
		for (uint32_t index = 0; index < session_high_water(); index++)
			if (session_alive(index))
				atomic_store(
					&session_colds[index].epoch_sum, session_epoch_sum(index));
	}
	for (unsigned int i = 0; i < EPOCH_DEPS; i++)
		epoch_free(slots[i]);
	remove_all();
}

static void test_epoch_slots(void **state)
{
	epoch_slot_t slots[16];
	uint32_t change = epoch_change();

	(void)state;
	for (unsigned int i = 0; i < 16; i++) {
		slots[i] = epoch_take();
		assert_int_not_equal(slots[i], EPOCH_NO_SLOT);
		for (unsigned int k = 0; k < i; k++)
			assert_int_not_equal(slots[i], slots[k]);
	}
	assert_int_equal(epoch_take(), EPOCH_NO_SLOT);
	assert_int_equal(epoch_change(), change);
	epoch_bump(EPOCH_NO_SLOT);
	assert_int_equal(epoch_value(EPOCH_NO_SLOT), 0);
	for (unsigned int i = 0; i < 16; i++) {
		uint32_t value = epoch_value(slots[i]), any = epoch_value(EPOCH_ANY_SLOT);

		change = epoch_change();
		epoch_free(slots[i]);
		assert_int_not_equal(epoch_change(), change);
		assert_int_equal(epoch_value(slots[i]), value + 1);
		assert_int_equal(epoch_value(EPOCH_ANY_SLOT), any + 1);
	}
}

static void test_listing(void **state)
{
	bool seen[100] = {false};
	struct session_view view;
	struct session_new v6;
	uint32_t cursor = 0, n = 0, ref;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct session_new new;

		flow_new(&new, i, IPPROTO_UDP);
		new.now_ms = 1000;
		ref = insert_new(&new);
		session_count(session_hot_of(ref), i, 2000);
	}
	session_count(session_hot_of(flow_lookup(50, 1)), 77, 3000);
	session_remove(flow_lookup(60, 0) >> 1);
	while (session_next(&cursor, 5000, &view)) {
		uint32_t i = flow_of(&view.dir[0].key, 0);

		assert_true(i < 100 && !seen[i]);
		seen[i] = true;
		n++;
		assert_int_equal(flow_of(&view.dir[1].key, 1), i);
		assert_int_equal(flow_lookup(i, 0), view.index << 1);
		assert_int_equal(view.vpc_index, FLOW_VPC);
		assert_int_equal(view.created_ms, 1000);
		assert_int_equal(view.packets[0], 1);
		assert_int_equal(view.bytes[0], i);
		assert_int_equal(view.answered, i == 50);
		assert_int_equal(view.bytes[1], i == 50 ? 77 : 0);
		assert_int_equal(view.idle_ms, i == 50 ? 2000 : 3000);
		assert_int_equal(view.timeout_s, i == 50 ? 300 : 60);
		assert_int_equal(ip_addr_v4(&view.src[0]), view.dir[0].key.src);
		assert_int_equal(ip_addr_v4(&view.dst[1]), view.dir[1].key.dst);
	}
	assert_int_equal(n, 99);
	assert_false(seen[60]);
	remove_all();
	new_v6(&v6, 1, 2);
	insert_new(&v6);
	cursor = 0;
	assert_true(session_next(&cursor, 0, &view));
	assert_true(
		ip_addr_equal(&view.src[0], &v6.src[0]) && ip_addr_equal(&view.dst[1], &v6.dst[1]));
	assert_false(session_next(&cursor, 0, &view));
	remove_all();
}

static void test_count(void **state)
{
	uint32_t ref = insert(1);
	struct session_hot *hot = session_hot_of(ref);

	(void)state;
	session_count(hot, 60, SESSION_SEEN_STEP_MS - 1);
	assert_int_equal(hot->seen_ms, 0); /* not worth a dirty word */
	session_count(hot, 1500, SESSION_SEEN_STEP_MS);
	assert_int_equal(hot->seen_ms, SESSION_SEEN_STEP_MS);
	assert_int_equal(hot->packets, 2);
	assert_int_equal(hot->bytes, 1560);
	/* A clock behind the last one's, of another worker: no idle time. */
	assert_int_equal(session_idle_ms(ref >> 1, 10), 0);
	remove_all();
}

/* Flows as tenants make them, neighbours in every field, spread evenly. */
static void test_hash(void **state)
{
	enum { BINS = 1024, EACH = 64 };
	static uint32_t high[BINS], low[BINS];
	uint32_t n = BINS * EACH;

	(void)state;
	for (unsigned int field = 0; field < 6; field++) {
		double chi_high = 0, chi_low = 0;

		memset(high, 0, sizeof(high));
		memset(low, 0, sizeof(low));
		for (uint32_t i = 0; i < n; i++) {
			uint32_t x = rte_cpu_to_be_32(i), a = field == 0 ? x : i % 7,
				 b = field == 1 ? x : 3, h;
			struct session_key key = session_key_v4(field == 2 ? i : 1, (uint8_t)6, a,
				b, (rte_be16_t)(field == 3 ? i : 1),
				(rte_be16_t)(field == 4   ? i
					     : field == 5 ? i * 256
							  : 2));

			if (field == 5)
				key.src = rte_cpu_to_be_32(i >> 8);
			key.dst ^= field >= 3 ? i >> 16 : 0;
			h = session_hash(&key);
			assert_int_not_equal(h, 0);
			if (field == 0 || field == 1 || field == 2 || i < 65536) {
				high[h >> 22]++;
				low[h & (BINS - 1)]++;
			}
		}
		for (unsigned int b = 0; b < BINS; b++) {
			chi_high += ((double)high[b] - EACH) * ((double)high[b] - EACH) / EACH;
			chi_low += ((double)low[b] - EACH) * ((double)low[b] - EACH) / EACH;
		}
		/* Chi squared of 1023 degrees: 1023 +- 45; 7 sigma. */
		assert_true(chi_high < 1023 + 320);
		assert_true(chi_low < 1023 + 320);
	}
}

static unsigned int deferred;

static void count_deferred(void *arg)
{
	deferred++;
	if (arg != NULL)
		rcu_defer(count_deferred, NULL);
}

static void test_rcu(void **state)
{
	uint64_t token;

	(void)state;
	deferred = 0;
	rcu_worker_online(0);
	rcu_thread = 0;
	token = rcu_token();
	assert_false(rcu_token_passed(token));
	for (unsigned int i = 0; i < 1000; i++)
		rcu_defer(count_deferred, i == 0 ? &deferred : NULL);
	assert_int_equal(rcu_poll(), 1000);
	assert_int_equal(deferred, 0);
	rcu_thread = 1;
	rcu_worker_quiescent();
	rcu_thread = 0;
	assert_true(rcu_token_passed(token));
	assert_int_equal(rcu_poll(), 1); /* what the first one deferred */
	assert_int_equal(deferred, 1000);
	rcu_thread = 1;
	rcu_worker_offline();
	rcu_thread = 0;
	rcu_synchronize();
	assert_int_equal(deferred, 1001);
	assert_int_equal(rcu_poll(), 0);
	/* The control thread holds back what it reads itself, and only then. */
	rcu_read_enter();
	rcu_read_enter();
	token = rcu_token();
	assert_false(rcu_token_passed(token));
	rcu_read_leave();
	assert_false(rcu_token_passed(token));
	rcu_read_leave();
	assert_true(rcu_token_passed(token));
}

static int set_up(void **state)
{
	(void)state;
	random_start();
	return rcu_init(3) != 0 || epoch_init(16) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	epoch_fini();
	rcu_fini();
	return 0;
}

static int table(void **state)
{
	(void)state;
	return session_init(4000);
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
		TABLE_TEST(test_both_directions),
		TABLE_TEST(test_key_fields),
		TABLE_TEST(test_ipv6),
		TABLE_TEST(test_ipv6_equal_folds),
		TABLE_TEST(test_exists),
		TABLE_TEST(test_same_keys),
		TABLE_TEST(test_bulk),
		TABLE_TEST(test_full),
		TABLE_TEST(test_displacement),
		TABLE_TEST(test_no_bucket),
		TABLE_TEST(test_shares),
		TABLE_TEST(test_unanswered),
		TABLE_TEST(test_grace_period),
		TABLE_TEST(test_timeouts),
		TABLE_TEST(test_pressure),
		TABLE_TEST(test_slices),
		TABLE_TEST(test_stale),
		TABLE_TEST(test_many_dependencies),
		cmocka_unit_test(test_epoch_slots),
		TABLE_TEST(test_listing),
		TABLE_TEST(test_count),
		TABLE_TEST(test_hash),
		cmocka_unit_test(test_rcu),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
