/* SPDX-License-Identifier: Apache-2.0 */
/* base/checksum against a reference that does one 16-bit word at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_mbuf.h>

#include "base/checksum.h"

/* RFC 1071 section 4.1, with words as they lie in memory. */
static uint16_t reference(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		uint8_t pair[2] = {p[i], i + 1 < len ? p[i + 1] : 0};
		uint16_t word;

		memcpy(&word, pair, 2);
		sum += word;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static void fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(rand() % 8 == 0 ? 0xff : rand());
}

static void spans(void **state)
{
	static uint8_t data[70000], copy[70000];

	(void)state;
	fill(data, sizeof(data));
	for (size_t len = 0; len < 300; len++) {
		for (size_t off = 0; off < 9; off++) {
			assert_int_equal(checksum_fold(checksum_add(0, data + off, len)),
				reference(data + off, len));
			memset(copy, 0xa5, len + 1);
			assert_int_equal(checksum_fold(checksum_copy(0, copy, data + off, len)),
				reference(data + off, len));
			assert_memory_equal(copy, data + off, len);
			assert_int_equal(copy[len], 0xa5);
		}
	}
	memset(data, 0xff, sizeof(data));
	assert_int_equal(checksum_fold(checksum_add(0, data, 65536)), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(0xffffffff, data, 65536)), 0xffff);
}

/* RFC 1071 section 3: the example of the standard, 00 01 f2 03 f4 f5 f6 f7 → sum ddf2. */
static void standard_example(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, bytes, sizeof(bytes))), RTE_BE16(0xddf2));
	assert_int_equal(checksum_finish(checksum_add(0, bytes, sizeof(bytes))), RTE_BE16(0x220d));
}

/* Any cut of a span in two parts adds up, odd ones too. */
static void joined(void **state)
{
	uint8_t data[200];

	(void)state;
	fill(data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		uint32_t a = checksum_add(0, data, cut);
		uint32_t b = checksum_add(0, data + cut, sizeof(data) - cut);

		assert_int_equal(
			checksum_fold(checksum_join(a, b, cut)), reference(data, sizeof(data)));
	}
}

/* Chains of segments of odd and even lengths, any window. */
static void chains(void **state)
{
	static const uint16_t lengths[] = {1, 7, 64, 33, 2, 90};
	struct rte_mbuf segs[6];
	uint8_t data[197], copy[197];
	uint32_t pos = 0;

	(void)state;
	fill(data, sizeof(data));
	memset(segs, 0, sizeof(segs));
	for (int i = 0; i < 6; i++) {
		segs[i].buf_addr = data + pos;
		segs[i].data_len = lengths[i];
		segs[i].next = i < 5 ? &segs[i + 1] : NULL;
		pos += lengths[i];
	}
	assert_int_equal(pos, sizeof(data));
	for (uint32_t off = 0; off <= pos; off++) {
		for (uint32_t len = 0; off + len <= pos; len++) {
			uint16_t want = reference(data + off, len);

			assert_int_equal(checksum_fold(checksum_add_mbuf(0, segs, off, len)), want);
			assert_int_equal(
				checksum_fold(checksum_copy_mbuf(0, copy, segs, off, len)), want);
			assert_memory_equal(copy, data + off, len);
		}
	}
}

static void pseudo_headers(void **state)
{
	uint8_t v4[12] = {10, 0, 0, 1, 192, 0, 2, 255, 0, 17, 0x12, 0x34};
	uint8_t v6[40] = {
		0x20, 1, 0xd, 0xb8, [15] = 1, [16] = 0xfe, [31] = 9, 0, 1, 0x23, 0x45, 0, 0, 0, 6};
	rte_be32_t src, dst;

	(void)state;
	memcpy(&src, v4, 4);
	memcpy(&dst, v4 + 4, 4);
	assert_int_equal(checksum_pseudo4(src, dst, 17, 0x1234), reference(v4, sizeof(v4)));
	assert_int_equal(checksum_fold(checksum_pseudo6(v6, v6 + 16, 6, 0x12345)),
		reference(v6, sizeof(v6)));
	assert_int_equal(
		checksum_pseudo4(0xffffffff, 0xffffffff, 17, 0xffff), checksum_fold(RTE_BE16(17)));
}

static void ipv4_header(void **state)
{
	/* The field's old value does not matter. */
	uint8_t h[20] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xde, 0xad, 0xc0, 0xa8, 0, 1,
		0xc0, 0xa8, 0, 0xc7};

	(void)state;
	assert_int_equal(checksum_ipv4_header(h), RTE_BE16(0xb861));
	h[10] = h[11] = 0xff;
	assert_int_equal(checksum_ipv4_header(h), RTE_BE16(0xb861));
	h[10] = h[11] = 0;
	assert_int_equal(checksum_ipv4_header(h), RTE_BE16(0xb861));
}

/* RFC 1624 section 4: checksum dd2f, a word goes from 5555 to 3285; equation 3 gives 0000, where RFC 1141 gave
 * ffff. */
static void rfc1624_example(void **state)
{
	uint32_t delta = checksum_delta16(0, RTE_BE16(0x5555), RTE_BE16(0x3285));

	(void)state;
	assert_int_equal(checksum_apply(RTE_BE16(0xdd2f), delta), 0x0000);
	assert_int_equal(checksum_apply_udp(RTE_BE16(0xdd2f), delta), 0xffff);
}

/* What changes in a random header and its checksum over the whole agree; all 16-bit corners. */
static void updates(void **state)
{
	static const rte_be16_t corners[] = {0, 1, 0x00ff, 0x8000, 0xfffe, 0xffff};
	uint8_t data[40];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint32_t delta = 0, from, to;
		rte_be16_t check, old, new = corners[round % 6];

		fill(data, sizeof(data));
		if (round % 3 == 0)
			memset(data, round % 2 ? 0xff : 0, 38);
		data[39] |=
			1; /* not all zero: no real header is, and then 0 and ffff are told apart */
		check = checksum_finish(checksum_add(0, data, sizeof(data)));
		memcpy(&old, data + 4, 2);
		memcpy(data + 4, &new, 2);
		delta = checksum_delta16(delta, old, new);
		memcpy(&from, data + 8, 4);
		to = (uint32_t)rand();
		memcpy(data + 8, &to, 4);
		delta = checksum_delta32(delta, from, to);
		/* Kept in 16 bits in between, as a session does. */
		delta = checksum_fold(delta);
		assert_int_equal(checksum_apply(check, delta),
			checksum_finish(checksum_add(0, data, sizeof(data))));
	}
}

static void udp_zero(void **state)
{
	uint32_t delta = checksum_delta16(0, RTE_BE16(1), RTE_BE16(2));

	(void)state;
	assert_int_equal(checksum_apply_udp(0, delta), 0);
	for (uint32_t check = 1; check <= 0xffff; check++)
		assert_int_not_equal(checksum_apply_udp((rte_be16_t)check, delta), 0);
	assert_int_equal(checksum_finish_udp(0xffff), 0xffff);
	assert_int_equal(checksum_finish(0xffff), 0);
}

/* Rewriting before or after completion gives the same. */
static void partial(void **state)
{
	uint8_t payload[50];

	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint8_t old[16], new[16];
		uint32_t sum, delta;
		rte_be16_t before;

		fill(payload, sizeof(payload));
		fill(old, sizeof(old));
		fill(new, sizeof(new));
		before = checksum_fold(checksum_pseudo6(old, old, 6, sizeof(payload)));
		delta = checksum_delta128(checksum_delta128(0, old, new), old, new);
		sum = checksum_add(checksum_apply_partial(before, delta), payload, sizeof(payload));
		assert_int_equal(checksum_finish(sum),
			checksum_finish(checksum_add(checksum_pseudo6(new, new, 6, sizeof(payload)),
				payload, sizeof(payload))));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans),
		cmocka_unit_test(standard_example),
		cmocka_unit_test(joined),
		cmocka_unit_test(chains),
		cmocka_unit_test(pseudo_headers),
		cmocka_unit_test(ipv4_header),
		cmocka_unit_test(rfc1624_example),
		cmocka_unit_test(updates),
		cmocka_unit_test(udp_zero),
		cmocka_unit_test(partial),
	};

	srand(1071);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
