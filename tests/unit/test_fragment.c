/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments find their first one's ports: in any order, bounded, never overlapping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_ip.h>

#include "fragment/fragment.h"

static uint32_t now = 1000;
static struct fragment_freed freed;
static const struct fragment_flow udp = {.sport = 0x1111, .dport = 0x2222, .proto = 17};

static struct fragment_id id_of(uint32_t vpc, uint32_t id)
{
	struct fragment_id i;

	memset(&i, 0, sizeof(i));
	i.vpc = vpc;
	i.in = 3;
	i.id = id;
	i.proto = 17;
	return i;
}

static struct fragment_piece piece(uint32_t start, uint32_t end, bool more)
{
	return (struct fragment_piece){start, end, more};
}

static enum drop_reason first(uint32_t id, uint32_t end, enum drop_reason denied)
{
	struct fragment_id i = id_of(1, id);
	struct fragment_piece p = piece(0, end, true);

	return fragment_first(&i, &p, &udp, denied, now, &freed);
}

static enum drop_reason why;

/* `frame` is any number. */
static enum fragment_verdict later(
	uint32_t id, uint32_t start, uint32_t end, bool more, uintptr_t frame)
{
	struct fragment_id i = id_of(1, id);
	struct fragment_piece p = piece(start, end, more);
	struct fragment_flow flow = {0};
	enum fragment_verdict v;

	v = fragment_later(&i, &p, (void *)frame, now, &flow, &why, &freed);
	if (v == FRAGMENT_GO)
		assert_memory_equal(&flow, &udp, sizeof(flow));
	return v;
}

static int empty(void **context)
{
	uint32_t cursor = 0;

	(void)context;
	now += 10 * FRAGMENT_TIMEOUT_MS;
	for (unsigned int n = 0; n < FRAGMENT_DATAGRAMS; n++)
		while (fragment_expire(&cursor, now, &freed))
			continue;
	return fragment_held() != 0 || fragment_known() != 0;
}

static void in_order(void **context)
{
	(void)context;
	assert_int_equal(first(1, 1448, DROP_NONE), DROP_NONE);
	assert_int_equal(later(1, 1448, 2896, true, 1), FRAGMENT_GO);
	assert_int_equal(fragment_known(), 1);
	assert_int_equal(later(1, 2896, 3000, false, 2), FRAGMENT_GO);
	assert_int_equal(fragment_known(), 0); /* complete: the id may come again at once */
	assert_int_equal(first(1, 1448, DROP_NONE), DROP_NONE);
}

static void any_order(void **context)
{
	static const uint32_t starts[] = {0, 1448, 2896, 4344};
	unsigned int perm[4], held = 0;

	(void)context;
	for (unsigned int code = 0; code < 256; code++) {
		unsigned int seen = 0, got = 0;

		for (unsigned int n = 0; n < 4; n++)
			seen |= 1u << (perm[n] = code >> 2 * n & 3);
		if (seen != 15)
			continue;
		for (unsigned int n = 0; n < 4; n++) {
			unsigned int k = perm[n];

			if (k == 0) {
				assert_int_equal(first(code, 1448, DROP_NONE), DROP_NONE);
				assert_int_equal(freed.n, held);
				assert_int_equal(
					freed.reason, held != 0 ? DROP_NONE : freed.reason);
				got += 1 + freed.n;
				held = 0;
			} else if (later(code, starts[k], k == 3 ? 5000 : starts[k] + 1448, k != 3,
					   k) == FRAGMENT_HELD) {
				held++;
				assert_int_equal(fragment_held(), held);
			} else {
				got++;
			}
		}
		assert_int_equal(got, 4);
		assert_int_equal(held, 0);
		assert_int_equal(fragment_held(), 0);
		assert_int_equal(fragment_known(), 0);
	}
}

static void denied_first_takes_all_with_it(void **context)
{
	(void)context;
	assert_int_equal(later(1, 1448, 2896, true, 77), FRAGMENT_HELD);
	assert_int_equal(first(1, 1448, DROP_POLICY_INGRESS), DROP_POLICY_INGRESS);
	assert_int_equal(freed.n, 1);
	assert_ptr_equal(freed.frames[0], (void *)77);
	assert_int_equal(freed.reason, DROP_POLICY_INGRESS);
	assert_int_equal(later(1, 2896, 3000, false, 78), FRAGMENT_DROP);
	assert_int_equal(why, DROP_POLICY_INGRESS);
}

static void overlaps_spoil_the_datagram(void **context)
{
	static const struct {
		uint32_t start, end;
		bool more;
	} bad[] = {
		{1440, 2888, true},                     /* into what is there */
		{1448, 2896, true},                     /* the same again */
		{8, 16, true},                          /* inside the first: RFC 1858 */
		{2888, 4000, true}, {2896, 2904, true}, /* behind the last: see below */
	};

	(void)context;
	for (uint32_t n = 0; n < RTE_DIM(bad); n++) {
		bool last = n == RTE_DIM(bad) - 1;

		assert_int_equal(first(n, 1448, DROP_NONE), DROP_NONE);
		if (last) /* with a hole, so that it is not complete */
			assert_int_equal(later(n, 2000, 2800, false, 1), FRAGMENT_GO);
		else
			assert_int_equal(later(n, 1448, 2896, true, 1), FRAGMENT_GO);
		assert_int_equal(later(n, bad[n].start, bad[n].end, bad[n].more, 2), FRAGMENT_DROP);
		assert_int_equal(why, DROP_FRAGMENT);
		assert_int_equal(later(n, 8000, 8008, true, 3), FRAGMENT_DROP); /* and stays so */
		assert_int_equal(first(n, 1448, DROP_NONE), DROP_FRAGMENT);
	}
	/* A second first one with other ports: the first stays the only one. */
	assert_int_equal(first(100, 1448, DROP_NONE), DROP_NONE);
	assert_int_equal(first(100, 1448, DROP_NONE), DROP_FRAGMENT);
	/* Held ones are given back. */
	assert_int_equal(later(101, 1448, 2896, true, 5), FRAGMENT_HELD);
	assert_int_equal(later(101, 1456, 2904, true, 6), FRAGMENT_DROP);
	assert_int_equal(freed.n, 1);
	assert_int_equal(freed.reason, DROP_FRAGMENT);
	assert_int_equal(fragment_held(), 0);
}

static void waiting_ends(void **context)
{
	uint32_t cursor = 0, dropped = 0;

	(void)context;
	assert_int_equal(later(1, 1448, 2896, true, 5), FRAGMENT_HELD);
	assert_int_equal(later(1, 2896, 3000, false, 6), FRAGMENT_HELD);
	now += FRAGMENT_TIMEOUT_MS - 1;
	for (unsigned int n = 0; n < 100; n++)
		assert_false(fragment_expire(&cursor, now, &freed));
	now++;
	for (unsigned int n = 0; n < 100; n++)
		if (fragment_expire(&cursor, now, &freed))
			dropped += freed.n;
	assert_int_equal(dropped, 2);
	assert_int_equal(fragment_held(), 0);
	assert_int_equal(first(1, 1448, DROP_NONE), DROP_NONE);
	assert_int_equal(freed.n, 0);
}

static void memory_is_bounded(void **context)
{
	unsigned int held = 0, given_back = 0, refused = 0;

	(void)context;
	for (uint32_t n = 1; n <= FRAGMENT_HELD_EACH + 1; n++) {
		enum fragment_verdict v = later(1, n * 1448, n * 1448 + 1448, true, n);

		assert_int_equal(v, n <= FRAGMENT_HELD_EACH ? FRAGMENT_HELD : FRAGMENT_DROP);
	}
	assert_int_equal(freed.n, FRAGMENT_HELD_EACH);
	for (uint32_t id = 10; id < 30000; id++) {
		if (later(id, 8, 16, true, id) == FRAGMENT_HELD)
			held++;
		else
			refused++;
		given_back += freed.n;
		assert_int_equal(fragment_held(), held - given_back);
		assert_true(fragment_held() <= FRAGMENT_HELD_MAX);
	}
	assert_true(refused != 0 && fragment_known() <= FRAGMENT_DATAGRAMS);
}

static void scopes_are_apart(void **context)
{
	struct fragment_id a = id_of(1, 7), b = id_of(2, 7), c = id_of(1, 7);
	struct fragment_piece f = piece(0, 1448, true), l = piece(1448, 1500, false);
	struct fragment_flow flow;

	(void)context;
	c.in = 4; /* another port of the same VPC */
	fragment_first(&a, &f, &udp, DROP_NONE, now, &freed);
	assert_int_equal(fragment_later(&b, &l, NULL, now, &flow, &why, &freed), FRAGMENT_HELD);
	assert_int_equal(fragment_later(&c, &l, NULL, now, &flow, &why, &freed), FRAGMENT_HELD);
	assert_int_equal(fragment_later(&a, &l, NULL, now, &flow, &why, &freed), FRAGMENT_GO);
}

static enum drop_reason parse4(uint16_t offset, bool more, uint16_t len, uint8_t proto)
{
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45, .next_proto_id = proto, .packet_id = 0x1234};
	struct fragment_id id;
	struct fragment_piece p;

	ip.fragment_offset = rte_cpu_to_be_16((uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	return fragment_parse((const uint8_t *)&ip, 20, len, &id, &p);
}

static void headers_are_checked(void **context)
{
	uint8_t v6[80] = {0x60, [6] = 0, [40] = 44, [41] = 0, [48] = 17, [50] = 0x05, [51] = 0xa9,
		[52] = 0xde, 0xad, 0xbe, 0xef};
	struct fragment_piece p;
	struct fragment_id id;

	(void)context;
	assert_int_equal(parse4(0, true, 20 + 1448, 17), DROP_NONE);
	assert_int_equal(parse4(1448, false, 20 + 3, 17), DROP_NONE);
	assert_int_equal(
		parse4(1448, true, 20 + 12, 17), DROP_FRAGMENT);      /* not in units of eight */
	assert_int_equal(parse4(1448, false, 20, 17), DROP_FRAGMENT); /* empty */
	assert_int_equal(parse4(65528, false, 20 + 8, 17), DROP_FRAGMENT); /* ping of death */
	assert_int_equal(parse4(0, true, 20 + 8, 17), DROP_NONE);
	assert_int_equal(parse4(0, true, 20 + 16, 6), DROP_FRAGMENT); /* RFC 1858 3: tiny */
	assert_int_equal(parse4(0, true, 20 + 24, 6), DROP_NONE);
	assert_int_equal(parse4(8, true, 20 + 24, 6), DROP_FRAGMENT); /* RFC 3128 */
	assert_int_equal(parse4(16, true, 20 + 24, 6), DROP_FRAGMENT);
	assert_int_equal(parse4(24, true, 20 + 24, 6), DROP_NONE);

	memset(&id, 0, sizeof(id));
	assert_int_equal(fragment_parse(v6, sizeof(v6), 40 + 8 + 8 + 24, &id, &p), DROP_NONE);
	assert_int_equal(p.start, 1448);
	assert_int_equal(p.end, 1472);
	assert_true(p.more);
	assert_memory_equal(&id.id, "\xde\xad\xbe\xef", 4);
	for (uint32_t room = 40; room < 56; room++)
		assert_int_equal(fragment_parse(v6, room, 80, &id, &p), DROP_FRAGMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_order, empty),
		cmocka_unit_test_setup(any_order, empty),
		cmocka_unit_test_setup(denied_first_takes_all_with_it, empty),
		cmocka_unit_test_setup(overlaps_spoil_the_datagram, empty),
		cmocka_unit_test_setup(waiting_ends, empty),
		cmocka_unit_test_setup(memory_is_bounded, empty),
		cmocka_unit_test_setup(scopes_are_apart, empty),
		cmocka_unit_test_setup(headers_are_checked, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
