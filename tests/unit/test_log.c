// SPDX-License-Identifier: Apache-2.0
/* The log's lines in both formats: quoting, cutting, levels, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

static int ends[2];

/* What was written since the last time. */
static const char *written(void)
{
	static char text[1 << 16];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	assert_true(n >= 0 || errno == EAGAIN);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int setup(void **state)
{
	(void)state;
	if (pipe2(ends, O_NONBLOCK) < 0)
		return -1;
	log_set_fd(ends[1]);
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_TEXT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Behind the time stamp. */
static const char *text_line(void)
{
	const char *line = written();

	assert_true(strlen(line) > 25);
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	return line + 25;
}

static void test_text(void **state)
{
	(void)state;
	log_info("connected");
	assert_string_equal(text_line(), "info  connected\n");
	log_warn("a", LOG_STR("node", "host-a"), LOG_INT("i", -5), LOG_UINT("u", UINT64_MAX),
		LOG_REAL("r", 1.5), LOG_BOOL("b", true), LOG_STR("none", NULL), LOG_ERRNO(-ENOENT));
	assert_string_equal(text_line(),
		"warn  a node=host-a i=-5 u=18446744073709551615 r=1.5 b=true "
		"none=null error=\"No such file or directory\"\n");
	/* Nothing that a peer sends makes a second line or reaches the terminal raw. */
	log_error("x", LOG_STR("name", "a b\n\x1b[31m\"\\\xff\xc3\xa4="), LOG_STR("empty", ""));
	assert_string_equal(text_line(),
		"error x name=\"a b\\n\\u001b[31m\\\"\\\\\\ufffd\xc3\xa4=\" empty=\"\"\n");
}

static void test_json(void **state)
{
	json_t *line, *level;
	json_error_t error;

	(void)state;
	log_set_format(LOG_FORMAT_JSON);
	log_warn("it \"fell\"", LOG_STR("node", "a\nb\xff"), LOG_INT("i", -5), LOG_BOOL("b", false),
		LOG_STR("none", NULL), LOG_REAL("nan", __builtin_nan("")));
	line = json_loads(written(), 0, &error);
	assert_non_null(line);
	assert_int_equal(json_object_size(line), 8);
	level = json_object_get(line, "level");
	assert_string_equal(json_string_value(level), "warn");
	assert_string_equal(json_string_value(json_object_get(line, "message")), "it \"fell\"");
	assert_string_equal(json_string_value(json_object_get(line, "node")), "a\nb\xef\xbf\xbd");
	assert_int_equal(json_integer_value(json_object_get(line, "i")), -5);
	assert_true(json_is_null(json_object_get(line, "nan")));
	json_decref(line);
}

static void check_cut(const char *fill, size_t len, enum log_format format)
{
	char big[20000] = "";
	const char *line;

	for (size_t n = strlen(fill), at = 0; at + n <= len; at += n)
		strcpy(big + at, fill);
	log_set_format(format);
	log_info("m", LOG_INT("first", 1), LOG_STR("big", big), LOG_STR("last", "a b"));
	line = written();
	assert_in_range(strlen(line), 50, 4096);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	if (format == LOG_FORMAT_JSON) {
		json_t *json = json_loads(line, 0, NULL);

		assert_non_null(json);
		assert_int_equal(json_integer_value(json_object_get(json, "first")), 1);
		json_decref(json);
	}
}

/* A record that is too long is cut, wherever the end falls, and stays one line and valid. */
static void test_cut(void **state)
{
	static const char *const fills[] = {
		"x", "\"", "\n", "\x01", "\xff", "\xc3\xa4", "\xe2\x82\xac", "x y"};

	(void)state;
	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
		for (unsigned format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
			check_cut(fills[i], 15000, format);
			for (size_t len = 3950; len < 4100; len++)
				check_cut(fills[i], len, format);
			for (size_t len = 650; len < 690; len++)
				check_cut(fills[i], len, format);
		}
	}
}

static void test_levels(void **state)
{
	enum log_level level;
	enum log_format format;

	(void)state;
	log_debug("no");
	assert_string_equal(written(), "");
	assert_true(log_level_parse("debug", &level));
	log_set_level(level);
	log_debug("yes");
	assert_string_equal(text_line(), "debug yes\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("no");
	assert_string_equal(written(), "");
	assert_false(log_level_parse("verbose", &level));
	assert_false(log_level_parse("", &level));
	assert_true(log_format_parse("json", &format));
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_false(log_format_parse("xml", &format));
}

static void test_limit(void **state)
{
	struct log_limit limit = LOG_LIMIT(2, 60);

	(void)state;
	for (int i = 0; i < 5; i++)
		log_warn_limited(&limit, "full", LOG_INT("i", i));
	assert_non_null(strstr(written(), "full i=1\n"));
	/* As if the interval were over. */
	limit.window_start_ms -= 60000;
	log_warn_limited(&limit, "full");
	assert_string_equal(text_line(), "warn  full suppressed=3\n");
	log_warn_limited(&limit, "full", LOG_INT("i", 7));
	assert_string_equal(text_line(), "warn  full i=7\n");
	log_warn_limited(&limit, "full", LOG_INT("i", 8));
	assert_string_equal(written(), "");
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_info("line", LOG_STR("thread", arg));
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[2];
	const char *line;
	unsigned count = 0;

	(void)state;
	pthread_create(&threads[0], NULL, log_many, "a");
	pthread_create(&threads[1], NULL, log_many, "b");
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	for (line = written(); *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_memory_equal(line + 24, " info  line thread=", 19);
		assert_int_equal(line[44], '\n');
		count++;
	}
	assert_int_equal(count, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
