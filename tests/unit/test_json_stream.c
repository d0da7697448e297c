// SPDX-License-Identifier: Apache-2.0
/* The splitter: a corpus cut at every position, random bytes against jansson, limits, linear time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/json_stream.h"
#include "random.h"

#define MAX_SIZE 4096
#define MAX_DEPTH 8

/*
 * Events as text, one a line: the message itself, or "!broken", "!deep", "!big"; at the end
 * "!partial" when one was cut off.
 */
struct events {
	char text[65536];
	size_t len;
};

static void put(struct events *e, const char *text, size_t len)
{
	assert_true(e->len + len + 2 < sizeof(e->text));
	memcpy(e->text + e->len, text, len);
	e->len += len;
	e->text[e->len++] = '|';
	e->text[e->len] = '\0';
}

static void take(struct json_stream *js, struct events *e)
{
	for (;;) {
		const char *text;
		size_t len;

		switch (json_stream_next(js, &text, &len)) {
		case JSON_STREAM_MORE:
			assert_int_equal(json_stream_unread(js), 0);
			return;
		case JSON_STREAM_MESSAGE:
			put(e, text, len);
			break;
		case JSON_STREAM_BROKEN:
			put(e, "!broken", 7);
			break;
		case JSON_STREAM_TOO_DEEP:
			put(e, "!deep", 5);
			break;
		case JSON_STREAM_TOO_BIG:
			put(e, "!big", 4);
			break;
		}
	}
}

/* Feeds the input in pieces that end at the given positions. */
static void run(const char *in, size_t len, const size_t *cuts, size_t cut_count, struct events *e)
{
	struct json_stream *js = json_stream_new(MAX_SIZE, MAX_DEPTH);
	size_t from = 0;

	e->len = 0;
	e->text[0] = '\0';
	for (size_t i = 0; i <= cut_count; i++) {
		size_t to = i < cut_count ? cuts[i] : len;
		/* A copy of the exact size, so that reading beyond it is found by ASan. */
		char *piece = malloc(to - from + 1);

		memcpy(piece, in + from, to - from);
		assert_int_equal(json_stream_feed(js, piece, to - from), 0);
		free(piece);
		take(js, e);
		from = to;
	}
	json_stream_end(js);
	take(js, e);
	if (json_stream_partial(js))
		put(e, "!partial", 8);
	json_stream_free(js);
}

static const struct {
	const char *in;
	const char *events;
} corpus[] = {
	{"", ""},
	{" \n\t\r\n ", ""},
	{"{}", "{}|"},
	{"[]", "[]|"},
	{"{}\n", "{}|"},
	{"{}{}[] {}", "{}|{}|[]|{}|"},
	{"{\"a\": [1, 2.5e-3, -0, true, null], \"b\": {\"c\": \"\"}}\n",
		"{\"a\": [1, 2.5e-3, -0, true, null], \"b\": {\"c\": \"\"}}|"},
	{"{\n \"a\"\n:\n1\n,\n\"b\"\n:[\n]\n}\n[1]", "{\n \"a\"\n:\n1\n,\n\"b\"\n:[\n]\n}|[1]|"},
	{"[\"}]\\\"\", \"\\\\\"]", "[\"}]\\\"\", \"\\\\\"]|"},
	{"[\"\\\\\\\"\"]x\n[]", "[\"\\\\\\\"\"]|x\n|[]|"},
	{"{\"\\\"\":\"\\u0022\"}", "{\"\\\"\":\"\\u0022\"}|"},
	{"\"text\" \"more\"[]", "\"text\"|\"more\"|[]|"},
	{"\"\\\"\"", "\"\\\"\"|"},
	{"12\n-3e4\ntrue", "12\n|-3e4\n|true\n|"},
	{"hello [world]\n{}", "hello [world]\n|{}|"},
	{"GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n|"},
	{"}\n{}", "}\n|{}|"},
	/* broken lines */
	{"{\"method\": \"foobar, \"params\": \"bar\", \"baz]\n{}", "!broken|{}|"},
	{"[{\"a\": 1}, {\"method\" ]\n[1]", "!broken|[1]|"},
	{"{]\n{}", "!broken|{}|"},
	{"[}\n{}", "!broken|{}|"},
	{"{,}\n{}", "!broken|{}|"},
	{"{\"a\"}\n{}", "!broken|{}|"},
	{"{\"a\":}\n{}", "!broken|{}|"},
	{"{\"a\":1,}\n{}", "!broken|{}|"},
	{"{1:2}\n{}", "!broken|{}|"},
	{"{\"a\" \"b\"}\n{}", "!broken|{}|"},
	{"[1 2]\n{}", "!broken|{}|"},
	{"[1,]\n{}", "!broken|{}|"},
	{"[\"a\": 1]\n{}", "!broken|{}|"},
	{"[1,,2]\n{}", "!broken|{}|"},
	{"['a']\n{}", "!broken|{}|"},
	{"[\"a\nb\"]\n{}", "!broken|b\"]\n|{}|"},
	{"[\"a\\\nb\"]\n{}", "!broken|b\"]\n|{}|"},
	{"[\"a\tb\"]\n{}", "!broken|{}|"},
	{"\"a\n{}", "!broken|{}|"},
	{"[#]", "!broken|"},
	/* a message given up, the next one on its own line */
	{"{\"a\": 1\n{\"b\": 2}\n", "!broken|{\"b\": 2}|"},
	{"{\"a\": 1\n  [2]\n", "!broken|[2]|"},
	{"[[1\n{\"b\": 2}\n{}", "!broken|{\"b\": 2}|{}|"},
	/* cut off */
	{"{\"a\": 1", "!partial|"},
	{"{} [", "{}|!partial|"},
	{"[\"a", "!broken|"},
	{"[1", "!partial|"},
	/* depth */
	{"[[[[[[[[]]]]]]]]", "[[[[[[[[]]]]]]]]|"},
	{"[[[[[[[[[]]]]]]]]]\n{}", "!deep|{}|"},
	{"{\"a\":[{\"a\":[{\"a\":[{\"a\":[{}]}]}]}]}\n{}", "!deep|{}|"},
};

static void test_corpus_every_cut(void **state)
{
	static struct events e;

	(void)state;
	for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
		const char *in = corpus[i].in;
		size_t len = strlen(in);
		size_t cuts[256];

		for (size_t a = 0; a <= len; a++) {
			for (size_t b = a; b <= len; b++) {
				cuts[0] = a;
				cuts[1] = b;
				run(in, len, cuts, 2, &e);
				assert_string_equal(e.text, corpus[i].events);
			}
		}
		assert_true(len < 256);
		for (size_t a = 0; a < len; a++)
			cuts[a] = a;
		run(in, len, cuts, len, &e);
		assert_string_equal(e.text, corpus[i].events);
	}
}

/* All pairs of the corpus, one after the other on lines of their own, cut where it hurts. */
static void test_corpus_pairs(void **state)
{
	static struct events whole, cut;
	char in[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
		for (size_t j = 0; j < sizeof(corpus) / sizeof(corpus[0]); j++) {
			size_t len = (size_t)snprintf(
				in, sizeof(in), "%s\n%s", corpus[i].in, corpus[j].in);

			run(in, len, NULL, 0, &whole);
			for (size_t a = 0; a <= len; a++) {
				run(in, len, &a, 1, &cut);
				assert_string_equal(cut.text, whole.text);
			}
		}
	}
}

static void test_nul_and_high_bytes(void **state)
{
	static struct events e;

	(void)state;
	run("[\0]\n{}", 6, NULL, 0, &e);
	assert_string_equal(e.text, "!broken|{}|");
	run("[\"\0\"]\n{}", 8, NULL, 0, &e);
	assert_string_equal(e.text, "!broken|{}|");
	run("\0\n{}", 4, NULL, 0, &e);
	assert_int_equal(e.len, 6);
	/* Encoding is the parser's business. */
	run("[\"\xff\xc3\"]", 6, NULL, 0, &e);
	assert_string_equal(e.text, "[\"\xff\xc3\"]|");
}

/* What jansson takes whole comes out whole; nothing depends on how the input was cut. */
static void test_random(void **state)
{
	static const char alphabet[] = "{}[]{}[]\"\":,,\\ab1-. \n\n\x01\xc3";
	static struct events whole, cut;
	uint32_t rounds = test_size(200000, 5000000);
	unsigned valid = 0;

	(void)state;
	for (uint32_t r = 0; r < rounds; r++) {
		size_t len = 1 + random_below(24);
		size_t cuts[3];
		char in[32];
		json_t *json;

		for (size_t i = 0; i < len; i++)
			in[i] = alphabet[random_below(sizeof(alphabet) - 1)];
		cuts[0] = random_below((uint32_t)len + 1);
		cuts[1] = cuts[0] + random_below((uint32_t)(len - cuts[0]) + 1);
		cuts[2] = cuts[1] + random_below((uint32_t)(len - cuts[1]) + 1);
		run(in, len, NULL, 0, &whole);
		run(in, len, cuts, 3, &cut);
		assert_string_equal(cut.text, whole.text);
		json = json_loadb(in, len, 0, NULL);
		if (json != NULL) {
			size_t start = strspn(in, " \n");

			valid++;
			while (len > start && (in[len - 1] == ' ' || in[len - 1] == '\n'))
				len--;
			assert_int_equal(whole.len, len - start + 1);
			assert_memory_equal(whole.text, in + start, len - start);
			json_decref(json);
		}
	}
	assert_true(valid > 50);
}

static void test_size_limit(void **state)
{
	static struct events e;
	char in[3 * MAX_SIZE];
	size_t len = 0;

	(void)state;
	memset(in, 'x', sizeof(in));
	in[0] = '"';
	in[MAX_SIZE - 1] = '"';
	run(in, MAX_SIZE, NULL, 0, &e);
	assert_int_equal(e.len, MAX_SIZE + 1);

	in[MAX_SIZE - 1] = 'x';
	in[MAX_SIZE] = '"';
	memcpy(in + 2 * MAX_SIZE, "\n{}", sizeof("\n{}"));
	len = 2 * MAX_SIZE + 3;
	for (size_t cut = 0; cut <= len; cut += 7) {
		run(in, len, &cut, 1, &e);
		assert_string_equal(e.text, "!big|{}|");
	}
}

/* 48 MiB in pieces of 1 KiB: with any second look at old bytes this takes minutes. */
static void test_linear_time(void **state)
{
	size_t size = (size_t)48 << 20;
	struct json_stream *js = json_stream_new((size_t)64 << 20, MAX_DEPTH);
	const char *text;
	char piece[1024];
	size_t len = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	assert_int_equal(json_stream_feed(js, "[\"", 2), 0);
	for (size_t done = 0; done < size; done += sizeof(piece)) {
		assert_int_equal(json_stream_feed(js, piece, sizeof(piece)), 0);
		assert_int_equal(json_stream_next(js, &text, &len), JSON_STREAM_MORE);
		assert_true(json_stream_partial(js));
	}
	assert_int_equal(json_stream_feed(js, "\"]", 2), 0);
	assert_int_equal(json_stream_next(js, &text, &len), JSON_STREAM_MESSAGE);
	assert_int_equal(len, size + 4);
	assert_false(json_stream_partial(js));
	json_stream_free(js);
}

/* Many small messages in one piece, taken one by one while more is fed. */
static void test_backlog(void **state)
{
	struct json_stream *js = json_stream_new(MAX_SIZE, MAX_DEPTH);
	unsigned fed = 0, taken = 0;
	const char *text;
	char number[32];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = (size_t)snprintf(number, sizeof(number), "[%u]", fed++);

		assert_int_equal(json_stream_feed(js, number, n), 0);
		if (i % 3 != 0)
			continue;
		assert_int_equal(json_stream_next(js, &text, &len), JSON_STREAM_MESSAGE);
		n = (size_t)snprintf(number, sizeof(number), "[%u]", taken++);
		assert_int_equal(len, n);
		assert_memory_equal(text, number, n);
	}
	while (json_stream_next(js, &text, &len) == JSON_STREAM_MESSAGE)
		taken++;
	assert_int_equal(taken, fed);
	json_stream_free(js);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus_every_cut),
		cmocka_unit_test(test_corpus_pairs),
		cmocka_unit_test(test_nul_and_high_bytes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_linear_time),
		cmocka_unit_test(test_backlog),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
