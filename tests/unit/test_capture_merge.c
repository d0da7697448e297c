/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of nodes become one section; a node that tells of interfaces without end is not believed, and costs a bounded amount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/capture.h"

static void interface(struct bytes *out, const char *name)
{
	pcapng_interface(
		out, &(struct pcapng_interface){.name = name, .link_type = PCAPNG_ETHERNET});
}

static void packet(struct bytes *out, uint32_t number)
{
	pcapng_packet(out, &(struct pcapng_packet){.interface = number,
				   .time_ns = 1,
				   .data = "0123456789abcdef",
				   .captured = 16,
				   .length = 16});
}

static bool merge(struct capture *capture, struct capture_leg *leg, struct bytes *blocks)
{
	bool good = capture_merge(capture, leg, blocks);

	bytes_clear(blocks);
	return good;
}

static void end(struct capture *capture, struct capture_leg *legs, size_t n, struct bytes *blocks)
{
	for (size_t i = 0; i < n; i++)
		free(legs[i].sources);
	bytes_free(&capture->out);
	bytes_free(blocks);
}

static void two_nodes(void **state)
{
	static const uint32_t want[] = {0, 2, 1};
	struct capture capture = {.limit = 0};
	struct capture_leg legs[2] = {{.node = NULL}, {.node = NULL}};
	struct bytes blocks = {0};
	struct pcapng_block block;
	size_t offset = 0;
	unsigned int n = 0;

	(void)state;
	interface(&blocks, "a/0");
	packet(&blocks, 0);
	packet(&blocks, 1); /* of none */
	assert_true(merge(&capture, &legs[0], &blocks));
	interface(&blocks, "b/0");
	assert_true(merge(&capture, &legs[1], &blocks));
	interface(&blocks, "a/1");
	packet(&blocks, 1);
	assert_true(merge(&capture, &legs[0], &blocks));
	packet(&blocks, 0);
	assert_true(merge(&capture, &legs[1], &blocks));
	while (pcapng_next(capture.out.data, capture.out.length, &offset, &block) == 1) {
		uint32_t number;

		if (block.type != PCAPNG_PACKET)
			continue;
		assert_true(pcapng_block_interface(&block, &number));
		assert_int_equal(number, want[n++]);
	}
	assert_int_equal(n, 3);
	assert_int_equal(capture.packets, 3);
	bytes_append(&blocks, "nonsense, which is no block", 28);
	assert_false(merge(&capture, &legs[0], &blocks));
	end(&capture, legs, 2, &blocks);
}

/* Nobody reads. */
static void interfaces_without_end(void **state)
{
	struct capture capture = {.limit = 0};
	struct capture_leg leg = {.node = NULL};
	struct bytes blocks = {0};
	char name[4000];
	size_t n = 0;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	do
		interface(&blocks, name);
	while (merge(&capture, &leg, &blocks) && ++n < 10000000);
	assert_in_range(n, 4096, 1 << 20);
	assert_true(capture.out.length < 6u << 20);
	assert_true(leg.room * sizeof(*leg.sources) < 4u << 20);
	/* What comes from one that nobody was told of is lost. */
	packet(&blocks, (uint32_t)leg.count - 1);
	assert_true(merge(&capture, &leg, &blocks));
	assert_int_equal(capture.packets, 0);
	assert_int_equal(capture.lost, 1);
	end(&capture, &leg, 1, &blocks);
}

static void a_block_that_is_too_long(void **state)
{
	struct capture capture = {.limit = 0};
	struct capture_leg leg = {.node = NULL};
	struct bytes blocks = {0};
	char *name = calloc(1, 60000);

	(void)state;
	memset(name, 'x', 59999);
	interface(&blocks, name);
	assert_false(merge(&capture, &leg, &blocks));
	assert_int_equal(capture.out.length, 0);
	free(name);
	end(&capture, &leg, 1, &blocks);
}

/* Figures of an interface come once. */
static void figures_without_end(void **state)
{
	struct capture capture = {.limit = 0};
	struct capture_leg leg = {.node = NULL};
	struct pcapng_statistics figures = {.interface = 0, .dropped = 7};
	struct bytes blocks = {0};
	size_t length;

	(void)state;
	interface(&blocks, "a/0");
	pcapng_statistics(&blocks, &figures);
	assert_true(merge(&capture, &leg, &blocks));
	length = capture.out.length;
	for (unsigned int n = 0; n < 1000; n++) {
		pcapng_statistics(&blocks, &figures);
		assert_true(merge(&capture, &leg, &blocks));
	}
	assert_int_equal(capture.out.length, length);
	assert_int_equal(capture.lost, 7);
	end(&capture, &leg, 1, &blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_nodes),
		cmocka_unit_test(interfaces_without_end),
		cmocka_unit_test(a_block_that_is_too_long),
		cmocka_unit_test(figures_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
