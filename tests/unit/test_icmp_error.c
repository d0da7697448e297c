/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors: when none may be sent, what they look like, how many there are a second. */
#include "vpc_fixture.h"

#include <netinet/in.h>
#include <string.h>

#include "vpc/icmp6.h"
#include "vpc/icmp_error.h"

static uint8_t packet[2000] __attribute__((aligned(8)));
static uint8_t out[ICMP_ERROR_FRAME_MAX] __attribute__((aligned(8)));

static struct rte_ipv4_hdr *ip4(const char *src, const char *dst, uint8_t proto, uint16_t len)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)packet;
	struct ip_addr s = ip(src), d = ip(dst);

	for (unsigned int n = 0; n < sizeof(packet); n++)
		packet[n] = (uint8_t)n;
	*h = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 1,
		.next_proto_id = proto,
		.src_addr = ip_addr_v4(&s),
		.dst_addr = ip_addr_v4(&d)};
	packet[20] = 8; /* ICMP: echo */
	return h;
}

static struct rte_ipv6_hdr *ip6(const char *src, const char *dst, uint8_t proto, uint16_t len)
{
	struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)packet;
	struct ip_addr s = ip(src), d = ip(dst);

	for (unsigned int n = 0; n < sizeof(packet); n++)
		packet[n] = (uint8_t)n;
	*h = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(6u << 28),
		.proto = proto,
		.hop_limits = 1,
		.payload_len = rte_cpu_to_be_16((uint16_t)(len - 40))};
	memcpy(h->src_addr, &s, 16);
	memcpy(h->dst_addr, &d, 16);
	packet[40] = ICMP6_ECHO;
	return h;
}

static void some_packets_are_never_answered(void **context)
{
	struct rte_ipv4_hdr *h;
	struct rte_ipv6_hdr *h6;

	(void)context;
	ip4("10.0.1.5", "10.0.2.5", IPPROTO_UDP, 100);
	assert_true(icmp_error_allowed(packet, 100));
	ip4("10.0.1.5", "10.0.2.5", IPPROTO_ICMP, 100);
	assert_true(icmp_error_allowed(packet, 100));
	/* RFC 1812 4.3.2.7: errors and redirects, later fragments, many senders or receivers. */
	for (unsigned int type = 0; type < 256; type++) {
		packet[20] = (uint8_t)type;
		assert_int_equal(icmp_error_allowed(packet, 100),
			type == 0 || type == 8 || type == 13 || type == 14);
	}
	assert_false(icmp_error_allowed(packet, 20));
	h = ip4("10.0.1.5", "10.0.2.5", IPPROTO_UDP, 100);
	h->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
	assert_true(icmp_error_allowed(packet, 100));
	h->fragment_offset = RTE_BE16(1);
	assert_false(icmp_error_allowed(packet, 100));
	ip4("10.0.1.5", "224.0.0.1", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	ip4("10.0.1.5", "255.255.255.255", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	ip4("0.0.0.0", "10.0.2.5", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	ip4("127.0.0.1", "10.0.2.5", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	for (uint16_t len = 0; len < 20; len++)
		assert_false(icmp_error_allowed(packet, len));

	/* RFC 4443 2.4 (e) */
	ip6("fd00::5", "fd00::6", IPPROTO_ICMPV6, 100);
	for (unsigned int type = 0; type < 256; type++) {
		packet[40] = (uint8_t)type;
		assert_int_equal(
			icmp_error_allowed(packet, 100), type >= 128 && type != ICMP6_REDIRECT);
	}
	ip6("::", "fd00::6", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	ip6("fd00::5", "ff02::1", IPPROTO_UDP, 100);
	assert_false(icmp_error_allowed(packet, 100));
	h6 = ip6("fd00::5", "fd00::6", IPPROTO_FRAGMENT, 100);
	memcpy(h6 + 1, "\x3a\0\0\x01\0\0\0\x01\x80", 9); /* first fragment of an echo */
	assert_true(icmp_error_allowed(packet, 100));
	memcpy(h6 + 1, "\x3a\0\0\x09\0\0\0\x01\x80", 9);
	assert_false(icmp_error_allowed(packet, 100));
	memcpy(h6 + 1, "\x3a\0\0\x01\0\0\0\x01\x01", 9); /* first fragment of an error */
	assert_false(icmp_error_allowed(packet, 100));
	h6->proto = IPPROTO_HOPOPTS; /* chain that never ends inside the packet */
	memset(h6 + 1, 0xff, 60);
	icmp_error_allowed(packet, 100);
}

static const struct icmp_error *error_of(enum icmp_error_kind kind, const char *gateway)
{
	static struct icmp_error e;

	e = (struct icmp_error){.kind = kind,
		.mtu = 1400,
		.src = ip(gateway),
		.smac = ether(RED_GW),
		.dmac = ether("02:00:00:00:01:11")};
	return &e;
}

static void errors_of_ipv4(void **context)
{
	const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(out + 14);
	const uint8_t *icmp = out + 34;
	struct ip_addr gateway = ip("10.0.1.1"), sender = ip("10.0.1.5");
	uint16_t len;

	(void)context;
	ip4("10.0.1.5", "10.0.2.5", IPPROTO_UDP, 1500);
	len = icmp_error_build(out, error_of(ICMP_ERROR_TOO_BIG, "10.0.1.1"), packet, 1232);
	assert_int_equal(len, 14 + 576); /* RFC 1812 4.3.2.3 */
	assert_int_equal(rte_be_to_cpu_16(h->total_length), 576);
	assert_int_equal(checksum_finish(checksum_add(0, h, 20)), 0);
	assert_int_equal(h->src_addr, ip_addr_v4(&gateway));
	assert_int_equal(h->dst_addr, ip_addr_v4(&sender));
	assert_memory_equal(icmp, "\x03\x04", 2);
	assert_memory_equal(icmp + 4, "\0\0\x05\x78", 4); /* RFC 1191 4 */
	assert_int_equal(checksum_finish(checksum_add(0, icmp, 556)), 0);
	assert_memory_equal(icmp + 8, packet, 548);
	assert_memory_equal(out, "\x02\0\0\0\x01\x11\x02\0\0\0\x01\0\x08\0", 14);

	ip4("10.0.1.5", "10.0.2.5", IPPROTO_UDP, 33);
	len = icmp_error_build(
		out, error_of(ICMP_ERROR_TTL, "10.0.1.1"), packet, 60); /* padded frame */
	assert_int_equal(len, 14 + 20 + 8 + 33);
	assert_memory_equal(icmp, "\x0b\0", 2);
	assert_memory_equal(icmp + 4, "\0\0\0\0", 4);
	assert_int_equal(checksum_finish(checksum_add(0, icmp, 41)), 0);
	icmp_error_build(out, error_of(ICMP_ERROR_PROHIBITED, "10.0.1.1"), packet, 33);
	assert_memory_equal(icmp, "\x03\x0d", 2);
	icmp_error_build(out, error_of(ICMP_ERROR_NO_ROUTE, "10.0.1.1"), packet, 33);
	assert_memory_equal(icmp, "\x03\0", 2);
	assert_memory_equal(icmp + 4, "\0\0\0\0", 4);
	assert_int_equal(checksum_finish(checksum_add(0, icmp, 41)), 0);
}

static void errors_of_ipv6(void **context)
{
	const struct icmp6_frame *f = (const struct icmp6_frame *)out;
	struct ip_addr gateway = ip("fd00::1"), sender = ip("fd00::5");
	uint16_t len;

	(void)context;
	ip6("fd00::5", "fd00::6", IPPROTO_UDP, 1500);
	len = icmp_error_build(out, error_of(ICMP_ERROR_TOO_BIG, "fd00::1"), packet, 1400);
	assert_int_equal(len, 14 + 1280); /* RFC 4443 2.4 (c) */
	assert_int_equal(f->icmp.type, 2);
	assert_int_equal(rte_be_to_cpu_32(f->icmp.body), 1400);
	assert_int_equal(icmp6_checksum(f, icmp6_len(f, len)), 0);
	assert_memory_equal(f->ip.src_addr, &gateway, 16);
	assert_memory_equal(f->ip.dst_addr, &sender, 16);
	assert_memory_equal(f + 1, packet, 1232);
	len = icmp_error_build(out, error_of(ICMP_ERROR_TTL, "fd00::1"), packet, 100);
	assert_int_equal(len, 14 + 40 + 8 + 100);
	assert_int_equal(f->icmp.type, 3);
	assert_int_equal(f->icmp.code, 0);
	len = icmp_error_build(out, error_of(ICMP_ERROR_NO_ROUTE, "fd00::1"), packet, 100);
	assert_int_equal(len, 14 + 40 + 8 + 100);
	assert_int_equal(f->icmp.type, 1);
	assert_int_equal(f->icmp.code, 0);
	assert_int_equal(f->icmp.body, 0);
	assert_int_equal(icmp6_checksum(f, icmp6_len(f, len)), 0);
}

static unsigned int passed(loc_t to, uint32_t from_ms, uint32_t to_ms)
{
	unsigned int n = 0;

	for (uint32_t ms = from_ms; ms != to_ms; ms++)
		for (unsigned int i = 0; i < 5; i++)
			n += icmp_error_pass(to, ms);
	return n;
}

static void errors_are_limited(void **context)
{
	unsigned int n;

	(void)context;
	n = passed(loc_port(7), 1000, 2000);
	assert_in_range(
		n, ICMP_ERROR_RATE + ICMP_ERROR_BURST - 2, ICMP_ERROR_RATE + ICMP_ERROR_BURST + 2);
	assert_true(icmp_error_pass(loc_port(8), 2000)); /* others have their own */
	assert_true(icmp_error_pass(loc_tunnel(7), 2000));
	/* Half the clock later, and across its end. */
	assert_true(icmp_error_pass(loc_port(7), 2000 + 0x80000000u));
	assert_in_range(passed(loc_port(7), 0xffffff00u, 0x300), 120, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_packets_are_never_answered),
		cmocka_unit_test(errors_of_ipv4),
		cmocka_unit_test(errors_of_ipv6),
		cmocka_unit_test(errors_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
