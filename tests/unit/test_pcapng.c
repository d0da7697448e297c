// SPDX-License-Identifier: Apache-2.0
/* pcapng: what we write is what tshark and capinfos read, what we read is what we wrote, and damage harms nobody. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/pcapng.h"
#include "tests/unit/random.h"

/* 2026-01-31T12:00:00.123456789Z */
#define NOON 1769860800123456789u

/* An Ethernet frame of an unassigned type with `length` bytes in all. */
static void make_frame(uint8_t *frame, size_t length)
{
	for (size_t i = 0; i < length; i++)
		frame[i] = (uint8_t)i;
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

static void make_file(struct bytes *out)
{
	static uint8_t frame[64];

	make_frame(frame, sizeof(frame));
	pcapng_section(out, "test");
	pcapng_interface(out, &(struct pcapng_interface){.name = "host-a/web1",
				      .description = "port of prod",
				      .filter = "tcp port 80",
				      .link_type = PCAPNG_ETHERNET,
				      .snaplen = 256});
	pcapng_interface(
		out, &(struct pcapng_interface){.name = "host-a/db", .link_type = PCAPNG_ETHERNET});
	pcapng_packet(out, &(struct pcapng_packet){.interface = 0,
				   .time_ns = NOON,
				   .data = frame,
				   .captured = 61,
				   .length = 1500,
				   .direction = PCAPNG_INBOUND,
				   .verdict = PCAPNG_DROPPED,
				   .id = 0x1122334455667788,
				   .lost = 3,
				   .comment = "drop policy_egress"});
	pcapng_packet(out, &(struct pcapng_packet){.interface = 1,
				   .time_ns = NOON + 1,
				   .data = frame,
				   .captured = 60,
				   .length = 60,
				   .direction = PCAPNG_OUTBOUND,
				   .verdict = PCAPNG_FORWARDED});
	pcapng_packet(out, &(struct pcapng_packet){.interface = 1, .time_ns = NOON + 2});
	pcapng_statistics(out, &(struct pcapng_statistics){.interface = 0,
				       .time_ns = NOON + 5,
				       .start_ns = NOON,
				       .received = 10,
				       .accepted = 4,
				       .dropped = 3});
	assert_false(out->failed);
}

static void test_read_back(void **state)
{
	struct bytes file = {0};
	struct pcapng_block blocks[7];
	struct pcapng_record record;
	struct pcapng_statistics statistics;
	size_t offset = 0;
	char name[8];

	(void)state;
	make_file(&file);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(pcapng_next(file.data, file.length, &offset, &blocks[i]), 1);
	assert_int_equal(offset, file.length);
	assert_int_equal(pcapng_next(file.data, file.length, &offset, &blocks[0]), 0);

	assert_true(pcapng_read_interface(&blocks[2], name, sizeof(name)));
	assert_string_equal(name, "host-a/");
	assert_true(pcapng_read_packet(&blocks[3], &record));
	assert_int_equal(record.packet.time_ns, NOON);
	assert_int_equal(record.packet.captured, 61);
	assert_int_equal(record.packet.length, 1500);
	assert_int_equal(record.packet.direction, PCAPNG_INBOUND);
	assert_int_equal(record.packet.verdict, PCAPNG_DROPPED);
	assert_int_equal(record.packet.id, 0x1122334455667788);
	assert_int_equal(record.packet.lost, 3);
	assert_int_equal(record.comment_length, strlen("drop policy_egress"));
	assert_memory_equal(record.comment, "drop policy_egress", record.comment_length);
	assert_true(pcapng_read_packet(&blocks[4], &record));
	assert_int_equal(record.packet.interface, 1);
	assert_int_equal(record.packet.verdict, PCAPNG_FORWARDED);
	assert_int_equal(record.packet.direction, PCAPNG_OUTBOUND);
	assert_null(record.comment);
	assert_true(pcapng_read_packet(&blocks[5], &record));
	assert_int_equal(record.packet.captured, 0);
	assert_int_equal(record.packet.verdict, PCAPNG_NO_VERDICT);
	assert_true(pcapng_read_statistics(&blocks[6], &statistics));
	assert_int_equal(statistics.time_ns, NOON + 5);
	assert_int_equal(statistics.start_ns, NOON);
	assert_int_equal(statistics.received, 10);
	assert_int_equal(statistics.accepted, 4);
	assert_int_equal(statistics.dropped, 3);
	assert_false(pcapng_read_packet(&blocks[6], &record));
	bytes_free(&file);
}

static void test_interface_changed(void **state)
{
	struct bytes file = {0};
	struct pcapng_block block;
	size_t offset = 0;
	uint32_t interface;
	unsigned changed = 0;

	(void)state;
	make_file(&file);
	while (pcapng_next(file.data, file.length, &offset, &block) == 1) {
		if (!pcapng_block_interface(&block, &interface))
			continue;
		pcapng_set_interface(file.data + (block.data - file.data), interface + 7);
		assert_true(pcapng_block_interface(&block, &interface));
		assert_in_range(interface, 7, 8);
		changed++;
	}
	assert_int_equal(changed, 4);
	bytes_free(&file);
}

/* Whatever is there, only whole blocks are believed, and nothing beyond the bytes is read (ASan sees to it). */
static void read_all(const uint8_t *data, size_t length)
{
	uint8_t *exact = malloc(length ? length : 1);
	struct pcapng_block block;
	size_t offset = 0, sum = 0;

	memcpy(exact, data, length);
	while (pcapng_next(exact, length, &offset, &block) == 1) {
		struct pcapng_record record;
		struct pcapng_statistics statistics;
		char name[16];

		assert_true(block.length >= 12 && offset <= length);
		if (pcapng_read_packet(&block, &record)) {
			for (size_t i = 0; i < record.packet.captured; i++)
				sum += ((const uint8_t *)record.packet.data)[i];
			for (size_t i = 0; i < record.comment_length; i++)
				sum += (uint8_t)record.comment[i];
		}
		pcapng_read_interface(&block, name, sizeof(name));
		pcapng_read_statistics(&block, &statistics);
	}
	assert_true(sum < SIZE_MAX);
	free(exact);
}

static void test_damage(void **state)
{
	struct bytes file = {0};
	(void)state;
	random_start();
	make_file(&file);
	for (size_t length = 0; length <= file.length; length++)
		read_all(file.data, length);
	for (unsigned round = 0; round < 20000; round++) {
		size_t at = random_below((uint32_t)file.length);
		uint8_t was = file.data[at];

		file.data[at] = (uint8_t)random_u64();
		read_all(file.data, file.length);
		file.data[at] = was;
	}
	bytes_free(&file);
}

static void test_no_block(void **state)
{
	static const struct {
		uint32_t words[4];
		int result;
	} cases[] = {
		{{6, 16, 0, 16}, 1},
		{{6, 20, 0, 0}, 0},        /* not whole */
		{{6, 16, 0, 12}, -EINVAL}, /* lengths differ */
		{{6, 8, 0, 8}, -EINVAL},
		{{6, 14, 0, 14}, -EINVAL},
		{{6, 0, 0, 0}, -EINVAL},
		{{6, 0xfffffffc, 0, 0}, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pcapng_block block;
		size_t offset = 0;

		assert_int_equal(
			pcapng_next(cases[i].words, sizeof(cases[i].words), &offset, &block),
			cases[i].result);
		assert_int_equal(offset, cases[i].result == 1 ? 16 : 0);
	}
}

/* What a program of others says about the file: its lines, or skips the test when it is not installed. */
static void check_output(const char *program, const char *arguments, const char *expected)
{
	char command[256], output[1024];
	FILE *pipe;
	size_t length;

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (system(command) != 0) {
		print_message("%s is not installed\n", program);
		skip();
	}
	snprintf(command, sizeof(command), "%s %s 2>/dev/null", program, arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	pclose(pipe);
	assert_string_equal(output, expected);
}

static void write_file(char *path)
{
	struct bytes file = {0};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	make_file(&file);
	assert_int_equal(write(fd, file.data, file.length), (ssize_t)file.length);
	close(fd);
	bytes_free(&file);
}

static void test_tshark(void **state)
{
	char path[] = "/tmp/test_pcapng_XXXXXX", arguments[256];

	(void)state;
	write_file(path);
	snprintf(arguments, sizeof(arguments),
		"-r %s -T fields -E separator='|' -e frame.interface_name -e frame.time_epoch "
		"-e frame.cap_len -e frame.len -e frame.comment -e frame.packet_flags_direction "
		"-e frame.packet_id -e frame.drop_count",
		path);
	check_output("tshark", arguments,
		"host-a/web1|1769860800.123456789|61|1500|drop policy_egress|0x00000001|"
		"1234605616436508552|3\n"
		"host-a/db|1769860800.123456790|60|60||0x00000002||\n"
		"host-a/db|1769860800.123456791|0|0||||\n");
	unlink(path);
}

static void test_capinfos(void **state)
{
	char path[] = "/tmp/test_pcapng_XXXXXX", arguments[256];

	(void)state;
	write_file(path);
	snprintf(arguments, sizeof(arguments),
		"-I %s | grep -E 'Capture length|Name|Filter string|precision|drops|Number of "
		"packets' | tr -d ' '",
		path);
	check_output("capinfos", arguments,
		"Name=host-a/web1\nCapturelength=256\nTimeprecision=nanoseconds(9)\n"
		"Filterstring=tcpport80\nNumberofpackets=1\n"
		"Name=host-a/db\nCapturelength=0\nTimeprecision=nanoseconds(9)\n"
		"Numberofpackets=2\n");
	unlink(path);
}

static void test_base64(void **state)
{
	static const struct {
		const char *bytes, *text;
	} good[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"\xff\xfe\xfd", "//79"},
		{"\xfb\xef\xbe", "++++"},
	};
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zh==", "=Zg=", "Zg==Zg==", "Zm 9",
		"Zm9v\n", "====", "Z===", "Zm9\xff"};
	struct bytes bytes = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t length = strlen(good[i].bytes);
		char *text = base64_text(good[i].bytes, length);

		assert_string_equal(text, good[i].text);
		free(text);
		bytes_clear(&bytes);
		assert_true(base64_append(&bytes, good[i].text, strlen(good[i].text)));
		assert_int_equal(bytes.length, length);
		if (length)
			assert_memory_equal(bytes.data, good[i].bytes, length);
	}
	bytes_clear(&bytes);
	bytes_append(&bytes, "kept", 4);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(base64_append(&bytes, bad[i], strlen(bad[i])));
		assert_int_equal(bytes.length, 4);
	}
	bytes_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_interface_changed),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_no_block),
		cmocka_unit_test(test_tshark),
		cmocka_unit_test(test_capinfos),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
