/* SPDX-License-Identifier: Apache-2.0 */
/* session/record: a session as text and back; nothing else than what it wrote is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "base/ip_text.h"
#include "session/record.h"

#define TCP4                                                                                       \
	"i 6 10.0.0.1 40000 10.0.0.2 80 0 02:00:00:00:00:02 02:00:00:00:00:01 host-b 5000 10 20 "  \
	"3 "                                                                                       \
	"400 2 300 3 7 502 1000 66000 3 8 600 2000 77000"
#define UDP6 "r 17 fd00::1 53 fd00::2 1000 1 02:00:00:00:00:64 02:00:00:00:00:01 - 9 9 9 1 2 3 4"

static void test_there_and_back(void **state)
{
	static const char *const texts[] = {TCP4, UDP6,
		"i 1 10.0.0.1 7 10.0.0.2 2048 0 02:00:00:00:00:02 02:00:00:00:00:01 - 0 0 0 "
		"9223372036854775807 0 0 0",
		"r 255 10.0.0.1 0 10.0.0.2 0 1 02:00:00:00:00:02 02:00:00:00:00:01 - 2147483647 "
		"2147483647 0 0 0 0 0"};
	char text[RECORD_TEXT_MAX];
	struct record r;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_null(record_parse(texts[i], &r));
		assert_int_equal(record_format(&r, text), strlen(texts[i]));
		assert_string_equal(text, texts[i]);
	}
}

static void test_columns(void **state)
{
	struct ip_addr src;
	struct record r;

	(void)state;
	assert_null(record_parse(TCP4, &r));
	assert_true(r.initiator);
	assert_false(r.crossing);
	assert_int_equal(r.proto, IPPROTO_TCP);
	assert_true(ip_addr_parse("10.0.0.1", &src) && ip_addr_equal(&r.src, &src));
	assert_int_equal(rte_be_to_cpu_16(r.sport), 40000);
	assert_int_equal(rte_be_to_cpu_16(r.dport), 80);
	assert_string_equal(r.far, "host-b");
	assert_int_equal(r.age_ms, 5000);
	assert_int_equal(r.side[1].idle_ms, 20);
	assert_int_equal(r.side[0].packets, 3);
	assert_int_equal(r.side[1].bytes, 300);
	assert_int_equal(r.side[0].wscale, 7);
	assert_int_equal(r.side[0].win, 502);
	assert_int_equal(r.side[1].end, 2000);
	assert_int_equal(r.side[1].edge, 77000);
	assert_null(record_parse(UDP6, &r));
	assert_false(r.initiator);
	assert_true(r.crossing);
	assert_string_equal(r.far, "");
}

/* `text` with its column `column` as `other`. */
static const char *with(char *buf, const char *text, unsigned int column, const char *other)
{
	const char *at = text, *end;

	for (unsigned int i = 0; i < column; i++)
		at = strchr(at, ' ') + 1;
	end = strchr(at, ' ');
	snprintf(buf, RECORD_TEXT_MAX + 600, "%.*s%s%s", (int)(at - text), text, other,
		end != NULL ? end : "");
	return buf;
}

static void test_wrong_columns(void **state)
{
	static const struct {
		unsigned int column;
		const char *other;
	} rows[] = {{0, "x"}, {0, "ii"}, {0, ""}, {1, "256"}, {1, "-6"}, {1, "+6"}, {1, "0x6"},
		{2, "10.0.0"}, {2, "fd00::1"}, {2, "::ffff:10.0.0.1"}, {3, "65536"}, {5, "a"},
		{5, ""}, {6, "2"}, {7, "02:00:00:00:00"}, {8, "x"}, {9, ""}, {10, "2147483648"},
		{11, "4294967296"}, {13, "9223372036854775808"}, {13, "18446744073709551616"},
		{17, "256"}, {18, "15"}, {19, "65536"}, {20, "4294967296"}, {26, "77000 1"},
		{26, "77000 "}, {26, ""}, {26, "7\t"}};
	char buf[RECORD_TEXT_MAX + 600], name[200];
	struct record r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (record_parse(with(buf, TCP4, rows[i].column, rows[i].other), &r) == NULL)
			fail_msg("taken: %s", buf);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(record_parse(with(buf, TCP4, 9, name), &r));
	name[RECORD_NAME_MAX - 1] = '\0';
	assert_null(record_parse(with(buf, TCP4, 9, name), &r));
	assert_non_null(record_parse(UDP6 " 0 0 0 0 0 0 0 0 0 0", &r));
}

/* Cut at any place it is none. */
static void test_cut_short(void **state)
{
	char buf[RECORD_TEXT_MAX];
	struct record r;

	(void)state;
	for (size_t len = 0; len < strlen(TCP4) - 4; len++) {
		memcpy(buf, TCP4, len);
		buf[len] = '\0';
		if (record_parse(buf, &r) == NULL)
			fail_msg("taken: %s", buf);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_wrong_columns),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
