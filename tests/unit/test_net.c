// SPDX-License-Identifier: Apache-2.0
/* Addresses, prefixes, MACs, ports: text, ranges, order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_addr addr(const char *text)
{
	struct net_addr result;

	if (!net_addr_parse(text, &result))
		fail_msg("%s does not parse", text);
	return result;
}

static struct net_prefix prefix(const char *text)
{
	struct net_prefix result;

	if (!net_prefix_parse(text, &result))
		fail_msg("%s does not parse", text);
	return result;
}

static void assert_addr(struct net_addr got, const char *expected)
{
	char text[NET_ADDR_TEXT];

	assert_string_equal(net_addr_format(&got, text), expected);
}

/* RFC 5952 section 4 and the examples of sections 1 and 2. */
static void test_addr_canonical(void **state)
{
	static const char *const cases[][2] = {
		{"10.0.0.1", "10.0.0.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"0.0.0.0", "0.0.0.0"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:db8::0:1", "2001:db8::1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"0:0:1:0:0:0:0:0", "0:0:1::"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"},
		{"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
		{"::1:2", "::1:2"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"::ffff:c000:201", "::ffff:192.0.2.1"},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
		{"fe80:0:0:0:0:0:0:abcd", "fe80::abcd"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_addr(addr(cases[i][0]), cases[i][1]);
}

static void test_addr_bad(void **state)
{
	static const char *const cases[] = {"", " ", "10.0.0", "10.0.0.0.1", "10.0.0.256",
		"010.0.0.1", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1/8", "0x0a.0.0.1", "1.2.3.-4", ":",
		":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"12345::", "g::", "fe80::1%eth0", "::1 ", "[::1]", "::256.0.0.1", "localhost"};
	struct net_addr result;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (net_addr_parse(cases[i], &result))
			fail_msg("\"%s\" must not parse", cases[i]);
}

static void test_prefix_text(void **state)
{
	static const struct {
		const char *text, *canonical, *masked;
	} good[] = {
		{"10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"},
		{"10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0"},
		{"255.255.255.255/0", "255.255.255.255/0", "0.0.0.0/0"},
		{"192.0.2.129/25", "192.0.2.129/25", "192.0.2.128/25"},
		{"192.0.2.1/32", "192.0.2.1/32", "192.0.2.1/32"},
		{"2001:DB8::/32", "2001:db8::/32", "2001:db8::/32"},
		{"2001:db8:ffff::/33", "2001:db8:ffff::/33", "2001:db8:8000::/33"},
		{"::1/128", "::1/128", "::1/128"},
		{"ffff::/1", "ffff::/1", "8000::/1"},
	};
	static const char *const bad[] = {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8", "/8", "::/129", "::/",
		"10.0.0.0/255.0.0.0", "10.0.0.0/99999999999999999999", "10.0.0.0/8x"};
	char text[NET_PREFIX_TEXT];
	struct net_prefix result;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct net_prefix p = prefix(good[i].text), masked = net_prefix_masked(&p);

		assert_string_equal(net_prefix_format(&p, text), good[i].canonical);
		assert_string_equal(net_prefix_format(&masked, text), good[i].masked);
		assert_int_equal(net_prefix_has_host_bits(&p),
			strcmp(good[i].canonical, good[i].masked) != 0);
		assert_false(net_prefix_has_host_bits(&masked));
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (net_prefix_parse(bad[i], &result))
			fail_msg("\"%s\" must not parse", bad[i]);
}

static void test_prefix_any(void **state)
{
	struct net_prefix p;

	(void)state;
	assert_true(net_prefix_parse_any("10.0.0.1", &p));
	assert_int_equal(p.length, 32);
	assert_true(net_prefix_parse_any("fd00::1", &p));
	assert_int_equal(p.length, 128);
	assert_true(net_prefix_parse_any("10.0.0.0/8", &p));
	assert_int_equal(p.length, 8);
	assert_false(net_prefix_parse_any("10.0.0", &p));
	assert_false(net_prefix_parse_any("10.0.0.1/", &p));
}

static void test_mac(void **state)
{
	static const char *const bad[] = {"", "02:00:5e:10:00", "02:00:5e:10:00:01:02",
		"02:00:5e:10:00:0g", "02-00:5e:10:00:01", "0200.5e10.0001", "02005e100001",
		" 2:00:5e:10:00:01", "02:00:5e:10:00:1", "02:00:5e:10:00:01 "};
	char text[NET_MAC_TEXT];
	struct net_mac mac;

	(void)state;
	assert_true(net_mac_parse("02:00:5E:10:00:aB", &mac));
	assert_string_equal(net_mac_format(&mac, text), "02:00:5e:10:00:ab");
	assert_false(net_mac_is_multicast(&mac));
	assert_true(net_mac_parse("01-00-5e-00-00-01", &mac));
	assert_true(net_mac_is_multicast(&mac));
	assert_true(net_mac_parse("00:00:00:00:00:00", &mac));
	assert_true(net_mac_is_zero(&mac));
	for (size_t i = 0; i < COUNT(bad); i++)
		if (net_mac_parse(bad[i], &mac))
			fail_msg("\"%s\" must not parse", bad[i]);
}

static void test_ports(void **state)
{
	static const char *const bad[] = {"", "-", "1-", "-1", "65536", "2-1", "1-65536", "1-2-3",
		"01", "1 ", " 1", "a", "1-a", "1,2"};
	struct net_ports ports;

	(void)state;
	assert_true(net_ports_parse("443", &ports));
	assert_int_equal(ports.first, 443);
	assert_int_equal(ports.last, 443);
	assert_true(net_ports_parse("0-65535", &ports));
	assert_int_equal(ports.first, 0);
	assert_int_equal(ports.last, 65535);
	assert_true(net_ports_parse("7-7", &ports));
	for (size_t i = 0; i < COUNT(bad); i++)
		if (net_ports_parse(bad[i], &ports))
			fail_msg("\"%s\" must not parse", bad[i]);
}

static void test_add_and_distance(void **state)
{
	static const struct {
		const char *from, *to;
		uint64_t count;
		bool fits;
	} cases[] = {
		{"10.0.0.1", "10.0.0.2", 1, true},
		{"10.0.0.255", "10.0.1.0", 1, true},
		{"10.255.255.255", "11.0.0.0", 1, true},
		{"0.0.0.0", "255.255.255.255", UINT32_MAX, true},
		{"255.255.255.255", "0.0.0.0", 1, false},
		{"0.0.0.0", "0.0.0.0", UINT64_C(1) << 32, false},
		{"::", "::1", 1, true},
		{"::ffff:ffff:ffff:ffff", "0:0:0:1::", 1, true},
		{"::", "::ffff:ffff:ffff:fffe", UINT64_MAX - 1, true},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", 1, false},
		{"2001:db8::ff", "2001:db8::100", 1, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_addr from = addr(cases[i].from), sum = from;

		assert_int_equal(net_addr_add(&sum, cases[i].count), cases[i].fits);
		assert_addr(sum, cases[i].to);
		if (cases[i].fits)
			assert_true(net_addr_distance(&from, &sum) == cases[i].count);
	}
}

static void test_distance_limits(void **state)
{
	struct net_addr a = addr("10.0.0.2"), b = addr("10.0.0.1"), v6 = addr("::"),
			far = addr("0:0:0:1::");

	(void)state;
	assert_true(net_addr_distance(&a, &b) == UINT64_MAX);
	assert_true(net_addr_distance(&a, &v6) == UINT64_MAX);
	assert_true(net_addr_distance(&v6, &far) == UINT64_MAX);
	assert_true(net_addr_distance(&a, &a) == 0);
}

static void test_order(void **state)
{
	static const char *const sorted[] = {"0.0.0.0", "9.255.255.255", "10.0.0.0", "10.0.0.1",
		"255.255.255.255", "::", "::1", "1::", "fd00::", "ffff::"};

	(void)state;
	for (size_t i = 0; i < COUNT(sorted); i++)
		for (size_t j = 0; j < COUNT(sorted); j++) {
			struct net_addr a = addr(sorted[i]), b = addr(sorted[j]);
			int order = net_addr_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
			assert_int_equal(net_addr_equal(&a, &b), i == j);
		}
}

static void test_prefix_order(void **state)
{
	struct net_prefix wide = prefix("10.0.0.0/8"), narrow = prefix("10.0.0.0/16"),
			  later = prefix("10.1.0.0/16");

	(void)state;
	assert_true(net_prefix_compare(&wide, &narrow) < 0);
	assert_true(net_prefix_compare(&narrow, &later) < 0);
	assert_int_equal(net_prefix_compare(&wide, &wide), 0);
}

static void test_contains(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool contains;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::", false},
		{"::/0", "10.0.0.1", false},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"192.0.2.1/32", "192.0.2.0", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"fd00::1/128", "fd00::1", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_prefix p = prefix(cases[i].prefix);
		struct net_addr a = addr(cases[i].addr);

		assert_int_equal(net_prefix_contains(&p, &a), cases[i].contains);
	}
}

static void test_covers_and_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool covers, overlaps;
	} cases[] = {
		{"10.0.0.0/8", "10.1.0.0/16", true, true},
		{"10.1.0.0/16", "10.0.0.0/8", false, true},
		{"10.0.0.0/8", "10.0.0.0/8", true, true},
		{"10.0.0.0/9", "10.128.0.0/9", false, false},
		{"0.0.0.0/0", "::/0", false, false},
		{"::/0", "fd00::/8", true, true},
		{"10.0.0.0/30", "10.0.0.4/30", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_prefix a = prefix(cases[i].a), b = prefix(cases[i].b);

		assert_int_equal(net_prefix_covers(&a, &b), cases[i].covers);
		assert_int_equal(net_prefix_overlaps(&a, &b), cases[i].overlaps);
		assert_int_equal(net_prefix_overlaps(&b, &a), cases[i].overlaps);
	}
}

/* RFC 3021 (/31), RFC 4291 2.6.1 (subnet-router anycast), RFC 6164 (/127). */
static void test_hosts(void **state)
{
	static const struct {
		const char *prefix, *first, *last, *first_host, *last_host;
	} cases[] = {
		{"10.0.0.0/24", "10.0.0.0", "10.0.0.255", "10.0.0.1", "10.0.0.254"},
		{"10.0.0.7/24", "10.0.0.0", "10.0.0.255", "10.0.0.1", "10.0.0.254"},
		{"10.0.0.0/30", "10.0.0.0", "10.0.0.3", "10.0.0.1", "10.0.0.2"},
		{"10.0.0.0/31", "10.0.0.0", "10.0.0.1", "10.0.0.0", "10.0.0.1"},
		{"10.0.0.9/32", "10.0.0.9", "10.0.0.9", "10.0.0.9", "10.0.0.9"},
		{"fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff", "fd00::1",
			"fd00::ffff:ffff:ffff:ffff"},
		{"fd00::/127", "fd00::", "fd00::1", "fd00::", "fd00::1"},
		{"fd00::8/128", "fd00::8", "fd00::8", "fd00::8", "fd00::8"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_prefix p = prefix(cases[i].prefix);
		struct net_addr first = net_prefix_first(&p), last = net_prefix_last(&p);
		struct net_addr host = net_prefix_first_host(&p);

		assert_addr(first, cases[i].first);
		assert_addr(last, cases[i].last);
		assert_addr(host, cases[i].first_host);
		assert_addr(net_prefix_last_host(&p), cases[i].last_host);
		assert_true(net_prefix_is_host(&p, &host));
		assert_int_equal(net_prefix_is_host(&p, &first),
			!strcmp(cases[i].first, cases[i].first_host));
		assert_int_equal(
			net_prefix_is_host(&p, &last), !strcmp(cases[i].last, cases[i].last_host));
	}
}

static void test_classes(void **state)
{
	static const struct {
		const char *addr;
		bool unicast, loopback, multicast, link_local, unspecified;
	} cases[] = {
		{"10.0.0.1", true, false, false, false, false},
		{"0.0.0.0", false, false, false, false, true},
		{"0.1.2.3", false, false, false, false, false},
		{"127.0.0.1", false, true, false, false, false},
		{"169.254.1.1", true, false, false, true, false},
		{"224.0.0.1", false, false, true, false, false},
		{"239.255.255.255", false, false, true, false, false},
		{"240.0.0.1", false, false, false, false, false},
		{"255.255.255.255", false, false, false, false, false},
		{"fd00::1", true, false, false, false, false},
		{"::", false, false, false, false, true},
		{"::1", false, true, false, false, false},
		{"fe80::1", true, false, false, true, false},
		{"febf::1", true, false, false, true, false},
		{"fec0::1", true, false, false, false, false},
		{"ff02::1", false, false, true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct net_addr a = addr(cases[i].addr);

		assert_int_equal(net_addr_is_unicast(&a), cases[i].unicast);
		assert_int_equal(net_addr_is_loopback(&a), cases[i].loopback);
		assert_int_equal(net_addr_is_multicast(&a), cases[i].multicast);
		assert_int_equal(net_addr_is_link_local(&a), cases[i].link_local);
		assert_int_equal(net_addr_is_unspecified(&a), cases[i].unspecified);
	}
}

static void test_ipv4_numbers(void **state)
{
	struct net_addr a = net_addr_from_ipv4(0x0a000102), v6 = addr("fd00::1");

	(void)state;
	assert_addr(a, "10.0.1.2");
	assert_int_equal(net_addr_to_ipv4(&a), 0x0a000102);
	assert_int_equal(net_addr_to_ipv4(&v6), 0);
}

/* RFC 4291 appendix A. */
static void test_eui64(void **state)
{
	struct net_prefix p = prefix("fd00:10::/64"), narrow = prefix("fd00:10::/65"),
			  v4 = prefix("10.0.0.0/24");
	struct net_addr result;
	struct net_mac mac;

	(void)state;
	net_mac_parse("02:00:5e:10:00:01", &mac);
	assert_true(net_addr_from_eui64(&p, &mac, &result));
	assert_addr(result, "fd00:10::5eff:fe10:1");
	assert_false(net_addr_from_eui64(&narrow, &mac, &result));
	assert_false(net_addr_from_eui64(&v4, &mac, &result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_canonical),
		cmocka_unit_test(test_addr_bad),
		cmocka_unit_test(test_prefix_text),
		cmocka_unit_test(test_prefix_any),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_add_and_distance),
		cmocka_unit_test(test_distance_limits),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_prefix_order),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_covers_and_overlaps),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_ipv4_numbers),
		cmocka_unit_test(test_eui64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
