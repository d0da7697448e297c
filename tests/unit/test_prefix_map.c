/* SPDX-License-Identifier: Apache-2.0 */
/* prefix_map and ip.h against a linear reference. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/prefix_map.h"
#include "random.h"

/* "10.0.0.0/8" or "fd00::/8" */
static struct ip_prefix prefix(const char *text)
{
	char addr[64];
	const char *slash = strchr(text, '/');
	struct in6_addr in6;
	struct in_addr in4;

	memcpy(addr, text, slash - text);
	addr[slash - text] = 0;
	if (inet_pton(AF_INET, addr, &in4) == 1)
		return ip_prefix_from_v4(in4.s_addr, (uint8_t)atoi(slash + 1));
	assert_int_equal(inet_pton(AF_INET6, addr, &in6), 1);
	struct ip_addr a = ip_addr_from_v6(in6.s6_addr);
	return ip_prefix_of(&a, (uint8_t)atoi(slash + 1));
}

static struct ip_addr address(const char *text)
{
	char with_len[80];

	snprintf(with_len, sizeof(with_len), "%s/%d", text, strchr(text, ':') ? 128 : 32);
	return prefix(with_len).addr;
}

static void test_ip(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *addr;
		bool contains;
	} t[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::", false},
		{"::/0", "10.0.0.1", false},
		{"::/0", "ffff::", true},
		{"::/64", "10.0.0.1", false},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"192.0.2.1/32", "192.0.2.2", false},
		{"2001:db8::/63", "2001:db8:0:1::1", true},
		{"2001:db8::/65", "2001:db8::8000:0:0:0", false},
		{"2001:db8::1/128", "2001:db8::1", true},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct ip_prefix p = prefix(t[i].prefix);
		struct ip_addr a = address(t[i].addr);

		print_message("%s %s\n", t[i].prefix, t[i].addr);
		assert_true(ip_prefix_is_valid(&p));
		assert_int_equal(ip_prefix_is_v4(&p), !strchr(t[i].prefix, ':'));
		assert_int_equal(ip_prefix_contains(&p, &a), t[i].contains);
	}
	struct ip_prefix host_bits = {address("10.0.0.1"), 96 + 8};
	assert_false(ip_prefix_is_valid(&host_bits));
	struct ip_prefix too_long = {address("10.0.0.1"), 129};
	assert_false(ip_prefix_is_valid(&too_long));
}

static void test_empty(void **state)
{
	(void)state;
	struct prefix_map *map = prefix_map_new(NULL, 0);
	struct ip_addr v4 = address("10.0.0.1"), v6 = address("fd00::1");

	assert_non_null(map);
	assert_null(prefix_map_find(map, &v4));
	assert_null(prefix_map_find(map, &v6));
	prefix_map_free(map);
}

static void test_host_bits_refused(void **state)
{
	(void)state;
	struct prefix_map_entry e = {{address("10.0.0.1"), IP_V4_BITS + 8}, 1};

	assert_null(prefix_map_new(&e, 1));
	assert_int_equal(errno, EINVAL);
}

static void test_small_map_is_small(void **state)
{
	(void)state;
	struct prefix_map_entry e[] = {
		{prefix("0.0.0.0/0"), 1},
		{prefix("10.0.0.0/16"), 2},
		{prefix("10.0.1.0/24"), 3},
		{prefix("10.0.2.0/24"), 4},
		{prefix("192.168.0.0/16"), 5},
	};
	struct prefix_map *map = prefix_map_new(e, 5);

	assert_non_null(map);
	assert_in_range(prefix_map_size(map), 1, 256);
	prefix_map_free(map);
}

/* Visits the longest first, equal prefixes in the order given. */
static void test_walk(void **state)
{
	(void)state;
	struct prefix_map_entry e[] = {
		{prefix("10.1.0.0/16"), 1},
		{prefix("0.0.0.0/0"), 2},
		{prefix("10.1.0.0/16"), 3},
		{prefix("10.0.0.0/8"), 4},
		{prefix("::/0"), 5},
		{prefix("10.1.0.0/16"), 6},
	};
	static const uint32_t want[] = {1, 3, 6, 4, 2};
	struct ip_addr a = address("10.1.2.3");
	struct prefix_map *map = prefix_map_new(e, 6);
	const struct prefix_match *m = prefix_map_find(map, &a);

	for (size_t i = 0; i < 5; i++, m = prefix_match_next(m)) {
		assert_non_null(m);
		assert_int_equal(m->value, want[i]);
	}
	assert_null(m);
	prefix_map_free(map);
}

/* Few distinct bits, so that prefixes nest, touch, repeat and reach both ends of the space. */
static struct ip_addr random_address(bool v4)
{
	static const uint8_t bytes[] = {0, 0, 0xff, 0xff, 0x80, 0x7f, 0x0a, 0x01};
	struct ip_addr a;

	for (int i = 0; i < 16; i++)
		a.bytes[i] = random_one_in(8) ? (uint8_t)random_u64() : bytes[random_below(8)];
	return v4 ? ip_addr_from_v4(a.w[3]) : a;
}

static struct ip_prefix random_prefix(void)
{
	bool v4 = random_one_in(2);
	struct ip_addr a = random_address(v4);
	struct ip_prefix p;

	do
		p = ip_prefix_of(&a, (uint8_t)(v4 ? 96 + random_below(33) : random_below(129)));
	while (!v4 && ip_prefix_is_v4(&p));
	return p;
}

/* An address at or right beside an edge of p, or anywhere. */
static struct ip_addr probe_for(const struct ip_prefix *p)
{
	struct ip_addr a = p->addr, mask = ip_mask(p->len);

	switch (random_below(4)) {
	case 0:
		return a;
	case 1:
		a.q[0] |= ~mask.q[0];
		a.q[1] |= ~mask.q[1];
		return a;
	case 2:
		a.bytes[15] ^= 1;
		return a;
	default:
		return random_address(random_one_in(2));
	}
}

static void check_against_reference(const struct prefix_map *map, const struct prefix_map_entry *e,
	uint32_t n, struct ip_addr a)
{
	const struct prefix_match *m = prefix_map_find(map, &a);

	for (int len = 128; len >= 0; len--) {
		for (uint32_t i = 0; i < n; i++) {
			if (e[i].prefix.len != len || !ip_prefix_contains(&e[i].prefix, &a))
				continue;
			assert_non_null(m);
			assert_int_equal(m->value, e[i].value);
			assert_int_equal(m->len, len);
			m = prefix_match_next(m);
		}
	}
	assert_null(m);
}

static void test_random(void **state)
{
	(void)state;
	struct prefix_map_entry e[300];
	uint32_t rounds = test_size(100, 2000);

	for (uint32_t r = 0; r < rounds; r++) {
		uint32_t n = random_below(random_one_in(2) ? 10 : 300);
		for (uint32_t i = 0; i < n; i++)
			e[i] = (struct prefix_map_entry){random_prefix(), i};
		struct prefix_map *map = prefix_map_new(e, n);
		assert_non_null(map);
		for (uint32_t i = 0; i < 50; i++)
			check_against_reference(map, e, n,
				n ? probe_for(&e[random_below(n)].prefix) : random_address(true));
		prefix_map_free(map);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_host_bits_refused),
		cmocka_unit_test(test_small_map_is_small),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_random),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
