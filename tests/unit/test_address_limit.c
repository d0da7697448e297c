// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "lib/address_limit.h"

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	assert_true(net_addr_parse(text, &a));
	return a;
}

static struct address_limit_entry *enter(
	struct address_limit *l, const char *text, uint64_t now_ms, const char *refused)
{
	struct net_addr a = addr(text);
	const char *why = NULL;
	struct address_limit_entry *e = address_limit_enter(l, &a, now_ms, &why);

	if (refused == NULL)
		assert_non_null(e);
	else {
		assert_null(e);
		assert_string_equal(why, refused);
	}
	return e;
}

static void test_connections(void **state)
{
	static const char full[] = "too many connections of this address";
	struct address_limit *l = address_limit_new(2, 1000, 1000);
	struct address_limit_entry *one, *two, *other;

	(void)state;
	one = enter(l, "192.0.2.1", 0, NULL);
	two = enter(l, "192.0.2.1", 0, NULL);
	enter(l, "192.0.2.1", 0, full);
	other = enter(l, "192.0.2.2", 0, NULL);
	address_limit_leave(one);
	one = enter(l, "192.0.2.1", 0, NULL);
	enter(l, "192.0.2.1", 0, full);
	address_limit_leave(one);
	address_limit_leave(two);
	address_limit_leave(other);
	address_limit_free(l);
}

static void test_rate(void **state)
{
	static const char fast[] = "too many new connections of this address";
	struct address_limit *l = address_limit_new(10, 2, 3);

	(void)state;
	for (int i = 0; i < 3; i++)
		address_limit_leave(enter(l, "192.0.2.1", 100, NULL));
	enter(l, "192.0.2.1", 100, fast);
	enter(l, "192.0.2.1", 599, fast);
	address_limit_leave(enter(l, "192.0.2.1", 600, NULL)); /* two a second */
	enter(l, "192.0.2.1", 600, fast);
	address_limit_leave(enter(l, "192.0.2.2", 600, NULL));
	for (int i = 0; i < 3; i++) /* never more than the burst */
		address_limit_leave(enter(l, "192.0.2.1", 1000000, NULL));
	enter(l, "192.0.2.1", 1000000, fast);
	address_limit_free(l);
}

/* One machine can have all addresses of an IPv6 /64. */
static void test_ipv6(void **state)
{
	struct address_limit *l = address_limit_new(1, 1000, 1000);
	struct address_limit_entry *one, *two;

	(void)state;
	one = enter(l, "2001:db8:0:1::1", 0, NULL);
	enter(l, "2001:db8:0:1:ffff::2", 0, "too many connections of this address");
	two = enter(l, "2001:db8:0:2::1", 0, NULL);
	address_limit_leave(one);
	address_limit_leave(two);
	address_limit_free(l);
}

/* Ever new addresses: those that ask nothing any more make room, those with connections stay. */
static void test_memory_is_bounded(void **state)
{
	struct address_limit *l = address_limit_new(1, 1, 1);
	struct address_limit_entry *stays = enter(l, "192.0.2.1", 0, NULL);
	unsigned refused = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		struct net_addr a = net_addr_from_ipv4(0x0a000000 + i);
		const char *why;
		struct address_limit_entry *e = address_limit_enter(l, &a, 0, &why);

		if (e == NULL) {
			assert_string_equal(why, "too many addresses at once");
			refused++;
		} else {
			address_limit_leave(e);
		}
	}
	assert_int_equal(refused, 10000 - 4095);
	address_limit_leave(enter(l, "198.51.100.1", 1000, NULL));
	enter(l, "192.0.2.1", 1000, "too many connections of this address");
	address_limit_leave(stays);
	address_limit_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
