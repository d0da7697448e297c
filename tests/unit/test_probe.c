/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: the state of a path under a simulated network, and their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <rte_ip.h>

#include "base/checksum.h"
#include "base/ip_text.h"
#include "probe/probe_path.h"
#include "probe/probe_wire.h"

#define MIN 74
#define TICK 100

/* A network that carries so much, and everything again when `mtu` is 0: nothing. */
static struct {
	struct probe_path path;
	uint32_t now_ms, sent, changes[3];
	uint16_t mtu, max;
	unsigned int lose; /* of a hundred */
	uint32_t random;
} net;

static void begin(bool quiet, uint16_t mtu)
{
	memset(&net, 0, sizeof(net));
	net.now_ms = 0xffffff00u; /* the clock wraps soon */
	net.mtu = mtu;
	net.max = 1600;
	net.random = 1;
	probe_path_start(&net.path, MIN, quiet, net.now_ms);
}

static void count(unsigned int change)
{
	for (unsigned int n = 0; n < 3; n++)
		net.changes[n] += change >> n & 1;
}

static void pass(uint32_t ms)
{
	for (uint32_t end = net.now_ms + ms; net.now_ms != end; net.now_ms += TICK) {
		unsigned int change;
		bool due = probe_path_due(&net.path, net.max, net.now_ms, &change);
		uint16_t size = net.path.size != 0 ? net.path.size : MIN;

		count(change);
		if (!due)
			continue;
		net.sent++;
		net.random = net.random * 1103515245u + 12345u;
		if (size <= net.mtu && net.random / 65536 % 100 >= net.lose)
			count(probe_path_answered(&net.path, 300, net.now_ms));
	}
}

static void comes_up_and_goes_down(void **context)
{
	(void)context;
	begin(false, 1600);
	pass(500);
	assert_int_equal(net.path.state, PROBE_UP);
	assert_int_equal(net.path.path_mtu, 1600);
	assert_int_equal(net.path.rtt_us, 300);
	net.sent = 0;
	pass(60000); /* a sign of life a second, the size every ten, and no more */
	assert_in_range(net.sent, 55, 75);
	net.mtu = 0;
	pass(2500);
	assert_int_equal(net.path.state, PROBE_UP);
	pass(2500);
	assert_int_equal(net.path.state, PROBE_DOWN);
	net.sent = 0;
	pass(10000);
	assert_in_range(net.sent, 9, 11);
	net.mtu = 1600;
	pass(1500);
	assert_int_equal(net.path.state, PROBE_UP);
	assert_int_equal(net.changes[0], 2);
	assert_int_equal(net.changes[1], 1);
}

/* Who never promised to answer is not down before it has answered once. */
static void silence_of_strangers(void **context)
{
	(void)context;
	begin(true, 0);
	pass(60000);
	assert_int_equal(net.path.state, PROBE_UNKNOWN);
	net.mtu = 1500;
	pass(2000);
	assert_int_equal(net.path.state, PROBE_UP);
	net.mtu = 0;
	pass(5000);
	assert_int_equal(net.path.state, PROBE_DOWN);
	begin(false, 0);
	pass(5000);
	assert_int_equal(net.path.state, PROBE_DOWN);
}

/* To the byte, whatever it is; also when it shrinks, and when it grows. */
static void path_mtu_is_found(void **context)
{
	static const uint16_t sizes[] = {
		1600, 1599, 1500, 1463, 1450, 1280, 576, 75, 74, 1000, 1600};

	(void)context;
	begin(false, 1600);
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		bool grows = sizes[n] > net.mtu;

		net.mtu = sizes[n];
		pass(grows ? PROBE_RAISE_MS + 40000 : PROBE_CONFIRM_MS + 40000);
		assert_int_equal(net.path.path_mtu, sizes[n]);
		assert_int_equal(net.path.state, PROBE_UP);
	}
	net.max = 1400; /* our own carries less now */
	pass(PROBE_RAISE_MS + 20000);
	assert_int_equal(net.path.path_mtu, 1400);
}

/* One packet of ten is lost: that is neither an end nor a small MTU. */
static void loss_is_borne(void **context)
{
	(void)context;
	begin(false, 1600);
	net.lose = 10;
	pass(3600u * 1000);
	assert_int_equal(net.path.path_mtu, 1600);
	assert_in_range(net.changes[2], 1, 3);
	assert_in_range(net.changes[1], 0, 12); /* about one of a thousand seconds */
}

static void answers_out_of_turn(void **context)
{
	unsigned int change;

	(void)context;
	begin(false, 0);
	assert_int_equal(probe_path_answered(&net.path, 1, net.now_ms), PROBE_SAME);
	assert_true(probe_path_due(&net.path, 1600, net.now_ms, &change));
	assert_false(probe_path_due(&net.path, 1600, net.now_ms + 10, &change));
	assert_int_equal(probe_path_answered(&net.path, 1, net.now_ms + 20), PROBE_CAME_UP);
	assert_int_equal(probe_path_answered(&net.path, 1, net.now_ms + 30), PROBE_SAME);
}

static void bytes_between_ours(void **context)
{
	uint8_t frame[2000];
	struct probe_message *msg;

	(void)context;
	assert_int_equal(probe_write(frame, false, 1600, 7, 9), 1600 - 36);
	assert_int_equal(probe_write(frame, true, 1600, 7, 9), 1600 - 56);
	assert_int_equal(probe_write(frame, true, PROBE_SIZE_MIN6, 7, 9), 14 + 24);
	assert_int_equal(probe_write(frame, false, PROBE_SIZE_MIN, 7, 9), 14 + 24);
	msg = probe_parse(frame, 38);
	assert_non_null(msg);
	assert_int_equal(msg->type, PROBE_REQUEST);
	assert_int_equal(msg->nonce, 7);
	assert_int_equal(msg->stamp, 9);
	assert_int_equal(rte_be_to_cpu_16(msg->size), PROBE_SIZE_MIN);
	assert_null(probe_parse(frame, 37));
	frame[12] = 8;
	assert_null(probe_parse(frame, 38));
}

static void bytes_of_an_echo(void **context)
{
	static const char *const ends[][2] = {
		{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}};
	uint64_t nonce, stamp;
	uint8_t f[2000];

	(void)context;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct probe_echo e = {.smac = {{2, 1}}, .dmac = {{2, 2}}, .sequence = 3};
		unsigned int at = v6 ? 54 : 34;
		uint32_t sum = 0;

		assert_true(
			ip_addr_parse(ends[v6][0], &e.own) && ip_addr_parse(ends[v6][1], &e.peer));
		assert_int_equal(probe_echo_write(f, &e, 1600, 7, 9), 1614);
		if (v6)
			sum = checksum_pseudo6(e.own.bytes, e.peer.bytes, 58, 1560);
		else
			assert_int_equal(checksum_fold(checksum_add(0, f + 14, 20)), 0xffff);
		assert_int_equal(checksum_fold(checksum_add(sum, f + at, 1614 - at)), 0xffff);
		assert_false(probe_echo_parse(f, 1614, &nonce, &stamp)); /* a request */
		f[at] = v6 ? 129 : 0;
		assert_true(probe_echo_parse(f, 1614, &nonce, &stamp));
		assert_int_equal(nonce, 7);
		assert_int_equal(stamp, 9);
		assert_false(probe_echo_parse(f, at + 23, &nonce, &stamp));
		f[v6 ? 20 : 20] |= v6 ? 1 : 0x20; /* another protocol; a fragment */
		assert_false(probe_echo_parse(f, 1614, &nonce, &stamp));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_and_goes_down),
		cmocka_unit_test(silence_of_strangers),
		cmocka_unit_test(path_mtu_is_found),
		cmocka_unit_test(loss_is_borne),
		cmocka_unit_test(answers_out_of_turn),
		cmocka_unit_test(bytes_between_ours),
		cmocka_unit_test(bytes_of_an_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
