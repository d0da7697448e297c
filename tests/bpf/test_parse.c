/* SPDX-License-Identifier: Apache-2.0 */
/* Every parser, by every entry point: what is well-formed, cut at every byte, or a lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/bpf.h>

#include "fixture.h"

#define V4 "10.0.0.1", "10.0.0.2"
#define V6 "fd00::1", "fd00::2"

static const struct row {
	const char *what;
	struct frame_spec spec;
	uint16_t source_port, destination_port; /* expected */
} rows[] = {
	{"tcp", {V4, 6, 40000, 443, .tcp_flags = SIGHT_SYN}, 40000, 443},
	{"tcp with data", {V4, 6, 40000, 443, .tcp_flags = SIGHT_ACK, .payload_len = 33}, 40000,
		443},
	{"udp", {V4, 17, 5353, 53, .payload_len = 12}, 5353, 53},
	{"empty udp", {V4, 17, 1, 65535}, 1, 65535},
	{"echo request", {V4, 1, 77, .icmp_type = 8, .payload_len = 56}, 77, 0},
	{"echo reply", {V4, 1, 77, .icmp_type = 0}, 0, 77},
	{"unreachable", {V4, 1, .icmp_type = 3, .payload_len = 28}, 0, 0},
	{"sctp", {V4, 132, .payload_len = 40}, 0, 0},
	{"tcp over v6", {V6, 6, 40000, 22, .tcp_flags = SIGHT_SYN | SIGHT_ACK}, 40000, 22},
	{"udp over v6", {V6, 17, 40000, 4789, .payload_len = 100}, 40000, 4789},
	{"v6 echo request", {V6, 58, 99, .icmp_type = 128}, 99, 0},
	{"v6 echo reply", {V6, 58, 99, .icmp_type = 129}, 0, 99},
	{"no next header", {V6, 59}, 0, 0},
};

static void expect_row(const struct row *row, const struct sight_record *r)
{
	const struct sight_packet *p = &r->packet;

	assert_int_not_equal(r->sequence, 0);
	assert_int_equal(p->parsed, SIGHT_PARSED);
	assert_true(fixture_is(&p->source, row->spec.source) &&
		    fixture_is(&p->destination, row->spec.destination));
	assert_int_equal(p->protocol, row->spec.protocol);
	assert_int_equal(p->family, strchr(row->spec.source, ':') != NULL ? 6 : 4);
	assert_int_equal(p->source_port, row->source_port);
	assert_int_equal(p->destination_port, row->destination_port);
	assert_int_equal(p->tcp_flags, row->spec.tcp_flags);
	assert_int_equal(p->payload, row->spec.payload_len);
	assert_int_equal(p->vni, FIXTURE_VNI);
}

static void test_well_formed(void **state)
{
	struct fixture *f = *state;
	struct frame inner, fed;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_reset(f, 0);
		frame_make(&inner, &rows[i].spec);
		fed = inner;
		frame_feed(&fed, &(struct frame_feed){FIXTURE_VNI, 12, SIGHT_OUTSIDE, 0x0503});
		for (enum fixture_entry entry = FEED_XDP; entry <= FEED_TC; entry++) {
			assert_int_equal(
				fixture_run(f, entry, &fed), entry == FEED_XDP ? XDP_DROP : 2);
			expect_row(&rows[i], fixture_last(f));
			assert_int_equal(fixture_last(f)->packet.sender, 12);
			assert_int_equal(fixture_last(f)->packet.receiver, SIGHT_OUTSIDE);
			assert_int_equal(
				fixture_last(f)->packet.feed, SIGHT_FEED_DENIED | SIGHT_FEED_FIRST);
			assert_int_equal(fixture_last(f)->packet.reason, 5);
			assert_int_equal(fixture_last(f)->packet.captured, inner.len);
			assert_memory_equal(fixture_last(f)->frame, inner.bytes, inner.len);
		}
	}
}

/* Interfaces of ports: VNI and port by ifindex, the frame goes on. */
static void test_port_entries(void **state)
{
	struct fixture *f = *state;
	struct sight_interface interface = {.vni = FIXTURE_VNI, .port = 3};
	struct frame frame;

	frame_make(&frame, &rows[0].spec);
	for (enum fixture_entry entry = PORT_XDP; entry <= PORT_TC_OUT; entry++) {
		const struct sight_packet *p;

		fixture_reset(f, 0);
		assert_int_equal(fixture_run(f, entry, &frame), entry == PORT_XDP ? XDP_PASS : -1);
		assert_int_equal(fixture_counter(f, SIGHT_COUNT_FOREIGN), 1);
		/* bpf_prog_test_run's packets come from the loopback device or none */
		for (uint32_t ifindex = 0; ifindex <= 1; ifindex++)
			fixture_set_interface(f, ifindex, &interface);
		assert_int_equal(fixture_run(f, entry, &frame), entry == PORT_XDP ? XDP_PASS : -1);
		p = &fixture_last(f)->packet;
		expect_row(&rows[0], fixture_last(f));
		assert_int_equal(p->sender, entry == PORT_TC_OUT ? SIGHT_OUTSIDE : 3);
		assert_int_equal(p->receiver, entry == PORT_TC_OUT ? 3 : SIGHT_OUTSIDE);
	}
}

static int parsed(struct fixture *f, const struct frame *inner)
{
	struct frame fed = *inner;

	frame_feed(&fed, &(struct frame_feed){FIXTURE_VNI, 1, 2, 0});
	assert_int_equal(fixture_run(f, FEED_XDP, &fed), XDP_DROP);
	return fixture_last(f)->packet.parsed;
}

/* Headers end where the frame ends, at each byte: never parsed, until all are there. */
static void test_cut_everywhere(void **state)
{
	struct fixture *f = *state;
	struct frame whole, cut;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t headers;

		fixture_reset(f, 0);
		frame_make(&whole, &rows[i].spec);
		assert_int_equal(parsed(f, &whole), SIGHT_PARSED);
		headers = fixture_last(f)->packet.payload_offset;
		assert_int_equal(headers, whole.len - rows[i].spec.payload_len);
		for (size_t len = 1; len <= whole.len; len++) {
			cut = whole;
			cut.len = len;
			assert_int_equal(
				parsed(f, &cut), len < headers ? SIGHT_TRUNCATED : SIGHT_PARSED);
		}
		assert_int_equal(fixture_counter(f, SIGHT_COUNT_TRUNCATED), headers - 1);
	}
}

/* The feed itself cut, or something else on its interface. */
static void test_not_feed(void **state)
{
	struct fixture *f = *state;
	static const struct {
		size_t offset;
		uint8_t value;
	} lies[] = {{12, 0x86}, {13, 6}, {14, 0x46}, {14, 0x65}, {23, 6}, {26, 10}, {30, 1},
		{37, 53}, {42, 0}};
	struct frame good, bad;

	fixture_reset(f, 0);
	frame_make(&good, &rows[0].spec);
	frame_feed(&good, &f->feed);
	assert_int_equal(fixture_run(f, FEED_XDP, &good), XDP_DROP);
	assert_int_equal(f->state->cursor, 1);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		bad = good;
		bad.bytes[lies[i].offset] = lies[i].value;
		assert_int_equal(fixture_run(f, FEED_XDP, &bad), XDP_DROP);
		assert_int_equal(fixture_counter(f, SIGHT_COUNT_NOT_FEED), i + 1);
	}
	for (size_t len = 14; len < FEED_BYTES; len++) {
		bad = good;
		bad.len = len;
		assert_int_equal(fixture_run(f, FEED_XDP, &bad), XDP_DROP);
	}
	assert_int_equal(fixture_counter(f, SIGHT_COUNT_NOT_FEED),
		sizeof(lies) / sizeof(lies[0]) + FEED_BYTES - 14);
	assert_int_equal(f->state->cursor, 1);
	good.bytes[48]++;
	assert_int_equal(fixture_run(f, FEED_XDP, &good), XDP_DROP);
	assert_int_equal(fixture_counter(f, SIGHT_COUNT_FOREIGN), 1);
}

/* One byte of a good frame changed: a header that contradicts itself is never believed. */
static void test_lies(void **state)
{
	struct fixture *f = *state;
	static const struct {
		size_t row, offset;
		uint8_t value;
		enum sight_parsed parsed;
	} lies[] = {
		{0, 12, 0x99, SIGHT_NOT_IP}, {0, 14, 0x44, SIGHT_BAD}, /* IHL 16 */
		{0, 14, 0x40, SIGHT_BAD},                              /* IHL 0 */
		{0, 14, 0x65, SIGHT_BAD},      /* version 6 in an IPv4 frame */
		{0, 14, 0x4f, SIGHT_BAD},      /* options longer than the packet */
		{0, 17, 19, SIGHT_BAD},        /* total length below the header's */
		{0, 17, 39, SIGHT_BAD},        /* no room for TCP */
		{0, 20, 0x00, SIGHT_PARSED},   /* flags only */
		{0, 21, 0x01, SIGHT_FRAGMENT}, /* an offset */
		{0, 20, 0x3f, SIGHT_FRAGMENT}, /* more fragments, and an offset */
		{0, 20, 0x20, SIGHT_PARSED},   /* the first fragment */
		{0, 46, 0x40, SIGHT_BAD},      /* data offset 16 */
		{0, 46, 0xf0, SIGHT_BAD},      /* data offset 60 */
		{2, 39, 7, SIGHT_BAD},         /* UDP length below its header's */
		{2, 38, 0xff, SIGHT_BAD},      /* … above IP's */
		{3, 39, 0, SIGHT_PARSED},      /* … unknown */
		{4, 17, 27, SIGHT_BAD},        /* no room for ICMP */
		{8, 14, 0x40, SIGHT_BAD},      /* version 4 in an IPv6 frame */
		{8, 19, 19, SIGHT_BAD},        /* no room for TCP */
		{8, 20, 0, SIGHT_BAD},         /* TCP taken for hop-by-hop options: too long */
		{8, 20, 44, SIGHT_FRAGMENT},   /* … for a fragment header, with an offset */
	};
	struct frame frame;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fixture_reset(f, 0);
		frame_make(&frame, &rows[lies[i].row].spec);
		frame.bytes[lies[i].offset] = lies[i].value;
		if (lies[i].row == 8 && lies[i].value == 0)
			frame.bytes[55] = 200;
		if (parsed(f, &frame) != (int)lies[i].parsed)
			fail_msg("lie %zu: %d", i, fixture_last(f)->packet.parsed);
	}
}

static void test_options_and_tags(void **state)
{
	struct fixture *f = *state;
	static const uint8_t tag[] = {0x81, 0, 0, 5}, outer_tag[] = {0x88, 0xa8, 0, 5},
			     options[40] = {1};
	static const uint8_t hop[8] = {60, 0}, destination[16] = {44, 1},
			     fragment[8] = {6, 0, 0, 1}, authentication[24] = {6, 4};
	struct frame frame;

	fixture_reset(f, 0);
	frame_make(&frame, &rows[1].spec);
	frame_splice(&frame, 34, 0, options, sizeof(options));
	frame.bytes[14] = 0x4f;
	frame_put16(frame.bytes + 16, (uint16_t)(frame.len - 14));
	assert_int_equal(parsed(f, &frame), SIGHT_PARSED);
	expect_row(&rows[1], fixture_last(f));
	frame_splice(&frame, 12, 0, tag, 4);
	assert_int_equal(parsed(f, &frame), SIGHT_PARSED);
	frame_splice(&frame, 12, 0, outer_tag, 4);
	assert_int_equal(parsed(f, &frame), SIGHT_PARSED);
	expect_row(&rows[1], fixture_last(f));
	frame_splice(&frame, 12, 0, outer_tag, 4);
	assert_int_equal(parsed(f, &frame), SIGHT_NOT_IP);

	frame_make(&frame, &rows[8].spec);
	frame_splice(&frame, 54, 0, fragment, 8);
	frame_splice(&frame, 54, 0, destination, 16);
	frame_splice(&frame, 54, 0, hop, 8);
	frame.bytes[20] = 0;
	frame_put16(frame.bytes + 18, (uint16_t)(frame.len - 54));
	assert_int_equal(parsed(f, &frame), SIGHT_PARSED);
	expect_row(&rows[8], fixture_last(f));

	frame_make(&frame, &rows[8].spec);
	frame_splice(&frame, 54, 0, authentication, 24);
	frame.bytes[20] = 51;
	frame_put16(frame.bytes + 18, (uint16_t)(frame.len - 54));
	assert_int_equal(parsed(f, &frame), SIGHT_PARSED);
	expect_row(&rows[8], fixture_last(f));
}

/* Extension headers without end: the parser ends. */
static void test_endless_extensions(void **state)
{
	struct fixture *f = *state;
	static const uint8_t hop[8] = {0};
	struct frame frame;

	for (int n = 1; n < 40; n++) {
		fixture_reset(f, 0);
		frame_make(&frame, &rows[12].spec);
		frame.bytes[20] = 0;
		for (int i = 0; i < n; i++)
			frame_splice(&frame, 54, 0, hop, 8);
		frame.bytes[frame.len - 8] = 59;
		frame_put16(frame.bytes + 18, (uint16_t)(frame.len - 54));
		assert_int_equal(parsed(f, &frame), n < 6 ? SIGHT_PARSED : SIGHT_BAD);
	}
}

/* Noise: whatever it is, it is counted once and the programs go on. */
static void test_noise(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint64_t sum = 0;

	fixture_reset(f, ~0U);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		frame_make(&frame, &rows[(size_t)rand() % (sizeof(rows) / sizeof(rows[0]))].spec);
		for (int k = rand() % 6; k >= 0; k--)
			frame.bytes[12 + (size_t)rand() % (frame.len - 12)] = (uint8_t)rand();
		frame.len = 1 + (size_t)rand() % (frame.len + 40);
		frame_feed(&frame, &f->feed);
		frame.len -= (size_t)rand() % 2 * ((size_t)rand() % (frame.len - 14));
		/* The kernel's test runner refuses cut IP headers of TC. */
		fixture_run(f, frame.len < 54 || rand() % 2 ? FEED_XDP : FEED_TC, &frame);
	}
	for (unsigned c = SIGHT_COUNT_PACKETS; c <= SIGHT_COUNT_NOT_FEED; c++)
		sum += fixture_counter(f, c);
	assert_in_range(sum, 19000, 20000); /* a frame that ends with the feed's headers is none */
	assert_int_equal(fixture_counter(f, SIGHT_COUNT_LOST), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed),
		cmocka_unit_test(test_port_entries),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_not_feed),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_options_and_tags),
		cmocka_unit_test(test_endless_extensions),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
