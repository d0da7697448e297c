/* SPDX-License-Identifier: Apache-2.0 */
/* A frame in few words, wherever it is cut and whatever it says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet_text.h"
#include "tests/unit/random.h"

#define MACS "\x02\0\0\0\0\1\x02\0\0\0\0\2"
#define IPV4(protocol) "\x08\0\x45\0\0\x2c\0\1\0\0\x40" protocol "\0\0\x0a\0\1\x0a\x0a\0\2\x0a"
#define IPV6(next)                                                                                 \
	"\x86\xdd\x60\0\0\0\0\x14" next                                                            \
	"\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

static const struct {
	const char *text;
	size_t length;
	const char *frame;
} frames[] = {
#define FRAME(says, bytes)                                                                         \
	{                                                                                          \
		says, sizeof(bytes) - 1, bytes                                                     \
	}
	FRAME("cut", "\x02\0\0"),
	FRAME("ip, cut", MACS "\x08\0\x45\0"),
	FRAME("10.0.1.10.1024 > 10.0.2.10.443: tcp S.",
		MACS IPV4("\6") "\4\0\1\xbb\0\0\0\1\0\0\0\2\x50\x12\xff\xff\0\0\0\0"),
	FRAME("10.0.1.10.1024 > 10.0.2.10.443: tcp", MACS IPV4("\6") "\4\0\1\xbb\0\0\0\1"),
	FRAME("10.0.1.10 > 10.0.2.10: tcp", MACS IPV4("\6") "\4\0"),
	FRAME("10.0.1.10.1024 > 10.0.2.10.53: udp", MACS IPV4("\x11") "\4\0\0\x35\0\x8\0\0"),
	FRAME("10.0.1.10.1024 > 10.0.2.10.4789: udp vxlan 703710",
		MACS IPV4("\x11") "\4\0\x12\xb5\0\x10\0\0\x08\0\0\0\x0a\xbc\xde\0"),
	FRAME("10.0.1.10.1024 > 10.0.2.10.4789: udp",
		MACS IPV4("\x11") "\4\0\x12\xb5\0\x10\0\0\x08\0\0\0\x0a\xbc\xde"),
	FRAME("10.0.1.10 > 10.0.2.10: icmp echo request id 7 seq 1",
		MACS IPV4("\1") "\x08\0\0\0\0\7\0\1"),
	FRAME("10.0.1.10 > 10.0.2.10: icmp type 3 code 4", MACS IPV4("\1") "\3\4\0\0\0\0\0\0"),
	FRAME("vlan 7 10.0.1.10 > 10.0.2.10: protocol 132", MACS "\x81\0\0\7" IPV4("\x84")),
	FRAME("fd00::1.1024 > fd00::2.80: tcp F",
		MACS IPV6("\6") "\4\0\0\x50\0\0\0\1\0\0\0\2\x50\1\xff\xff\0\0\0\0"),
	FRAME("fd00::1 > fd00::2: fragment of protocol 44", MACS IPV6("\x2c") "\6\0\0\0\0\0\0\1"),
	FRAME("arp who-has 10.0.1.1 tell 10.0.1.10",
		MACS "\x08\6\0\1\x08\0\6\4\0\1\2\0\0\0\0\2\x0a\0\1\x0a\0\0\0\0\0\0\x0a\0\1\1"),
	FRAME("arp", MACS "\x08\6\0\1"),
	FRAME("ethertype 88b5", MACS "\x88\xb5"),
};

static void test_frames(void **state)
{
	char text[PACKET_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		assert_string_equal(
			packet_text((const uint8_t *)frames[i].frame, frames[i].length, text),
			frames[i].text);
}

/* In memory of just that size, so that a sanitizer sees every byte that is read behind it. */
static void check(const uint8_t *frame, size_t length)
{
	uint8_t *copy = malloc(length + 1);
	char text[PACKET_TEXT];

	assert_non_null(copy);
	memcpy(copy + 1, frame, length);
	memset(text, 'x', sizeof(text));
	assert_true(strlen(packet_text(copy + 1, length, text)) < sizeof(text));
	free(copy);
}

static void test_cut_and_damaged(void **state)
{
	uint8_t frame[128];

	(void)state;
	random_start();
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		for (size_t length = 0; length <= frames[i].length; length++)
			check((const uint8_t *)frames[i].frame, length);
		for (unsigned int turn = 0; turn < 200; turn++) {
			memcpy(frame, frames[i].frame, frames[i].length);
			frame[random_below((uint32_t)frames[i].length)] ^=
				(uint8_t)(1u << random_below(8));
			check(frame, frames[i].length);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_cut_and_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
