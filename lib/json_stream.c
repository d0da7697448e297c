// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_stream.h"

/* What an idle stream keeps of its buffer after a large message. */
#define KEEP_BYTES ((size_t)256 << 10)
#define FIRST_BYTES ((size_t)4 << 10)
#define DEPTH_LIMIT 1024

enum state {
	BETWEEN,   /* white space between messages */
	STRUCTURE, /* inside brackets, outside tokens */
	SCALAR,    /* inside a number or a word inside brackets */
	STRING,
	ESCAPE, /* after a backslash in a string */
	LINE,   /* a top-level scalar, or rubbish: ends with the line */
	SKIP,   /* the rest of a broken line */
};

/* What may come next inside brackets. */
enum expect { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END };

struct json_stream {
	char *data;
	size_t capacity;
	size_t end;   /* bytes fed */
	size_t start; /* of the current message */
	size_t scan;  /* next byte to look at */
	size_t max_size;
	unsigned max_depth;
	unsigned depth;
	enum state state;
	enum expect expect;
	uint64_t is_object[DEPTH_LIMIT / 64]; /* a bit a level: braces, not brackets */
};

struct json_stream *json_stream_new(size_t max_size, unsigned max_depth)
{
	struct json_stream *js = calloc(1, sizeof(*js));

	if (js == NULL)
		return NULL;
	js->max_size = max_size;
	js->max_depth = max_depth < DEPTH_LIMIT ? max_depth : DEPTH_LIMIT;
	return js;
}

void json_stream_free(struct json_stream *js)
{
	if (js == NULL)
		return;
	free(js->data);
	free(js);
}

/* Forgets what was taken. Moves only when that is at least half: linear over the stream's life. */
static void compact(struct json_stream *js)
{
	size_t rest = js->end - js->start;

	if (js->start == 0 || rest > js->start)
		return;
	memmove(js->data, js->data + js->start, rest);
	js->scan -= js->start;
	js->end = rest;
	js->start = 0;
}

static int resize(struct json_stream *js, size_t capacity)
{
	char *data = realloc(js->data, capacity);

	if (data == NULL)
		return -ENOMEM;
	js->data = data;
	js->capacity = capacity;
	return 0;
}

int json_stream_feed(struct json_stream *js, const void *data, size_t len)
{
	size_t capacity = js->capacity > 0 ? js->capacity : FIRST_BYTES;

	compact(js);
	if (js->capacity > KEEP_BYTES && js->end + len <= KEEP_BYTES / 2)
		resize(js, KEEP_BYTES);
	while (capacity - js->end < len) {
		if (capacity > SIZE_MAX / 2)
			return -ENOMEM;
		capacity *= 2;
	}
	if (capacity > js->capacity && resize(js, capacity) < 0)
		return -ENOMEM;
	if (len > 0)
		memcpy(js->data + js->end, data, len);
	js->end += len;
	return 0;
}

void json_stream_end(struct json_stream *js)
{
	json_stream_feed(js, "\n", 1);
}

bool json_stream_partial(const struct json_stream *js)
{
	return js->state != BETWEEN && js->state != SKIP;
}

size_t json_stream_unread(const struct json_stream *js)
{
	return js->end - js->scan;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '+' || c == '.';
}

static bool in_object(const struct json_stream *js)
{
	return js->is_object[(js->depth - 1) / 64] >> ((js->depth - 1) % 64) & 1;
}

/*
 * The byte before `scan` can not be. When it opens a message on a line of its own, a client has
 * given up the message before: that one is lost, this one is not.
 */
static enum json_stream_event give_up(struct json_stream *js, enum json_stream_event why)
{
	char c = js->data[js->scan - 1];
	size_t i = js->scan - 1;

	js->state = c == '\n' ? BETWEEN : SKIP;
	if (why == JSON_STREAM_BROKEN && (c == '{' || c == '[')) {
		while (i > js->start && (js->data[i - 1] == ' ' || js->data[i - 1] == '\t'))
			i--;
		if (i > js->start && js->data[i - 1] == '\n') {
			js->state = BETWEEN;
			js->scan--;
		}
	}
	js->start = js->scan;
	return why;
}

static enum json_stream_event open_bracket(struct json_stream *js, char c)
{
	uint64_t bit;

	if (js->depth == js->max_depth)
		return give_up(js, JSON_STREAM_TOO_DEEP);
	bit = (uint64_t)1 << (js->depth % 64);
	if (c == '{')
		js->is_object[js->depth / 64] |= bit;
	else
		js->is_object[js->depth / 64] &= ~bit;
	js->depth++;
	js->state = STRUCTURE;
	js->expect = c == '{' ? KEY_OR_END : VALUE_OR_END;
	return JSON_STREAM_MORE;
}

/* A value has ended: at the top that is the message. */
static enum json_stream_event close_value(struct json_stream *js)
{
	js->state = js->depth > 0 ? STRUCTURE : BETWEEN;
	js->expect = COMMA_OR_END;
	return js->depth > 0 ? JSON_STREAM_MORE : JSON_STREAM_MESSAGE;
}

static bool may_start_value(enum expect expect)
{
	return expect == VALUE || expect == VALUE_OR_END;
}

/* One byte between tokens inside brackets. */
static enum json_stream_event step_structure(struct json_stream *js, char c)
{
	enum expect expect = js->expect;

	if (is_space(c))
		return JSON_STREAM_MORE;
	if (c == '"' && expect != COLON && expect != COMMA_OR_END) {
		js->state = STRING;
		return JSON_STREAM_MORE;
	}
	if (is_scalar(c) && may_start_value(expect)) {
		js->state = SCALAR;
		return JSON_STREAM_MORE;
	}
	if ((c == '{' || c == '[') && may_start_value(expect))
		return open_bracket(js, c);
	if (c == ':' && expect == COLON) {
		js->expect = VALUE;
		return JSON_STREAM_MORE;
	}
	if (c == ',' && expect == COMMA_OR_END) {
		js->expect = in_object(js) ? KEY : VALUE;
		return JSON_STREAM_MORE;
	}
	if ((c == '}' && in_object(js) && (expect == COMMA_OR_END || expect == KEY_OR_END)) ||
		(c == ']' && !in_object(js) &&
			(expect == COMMA_OR_END || expect == VALUE_OR_END))) {
		js->depth--;
		return close_value(js);
	}
	return give_up(js, JSON_STREAM_BROKEN);
}

static enum json_stream_event step_string(struct json_stream *js, char c)
{
	if (c == '\\') {
		js->state = ESCAPE;
		return JSON_STREAM_MORE;
	}
	if ((unsigned char)c < 0x20)
		return give_up(js, JSON_STREAM_BROKEN);
	if (c != '"')
		return JSON_STREAM_MORE;
	if (js->depth > 0 && (js->expect == KEY || js->expect == KEY_OR_END)) {
		js->state = STRUCTURE;
		js->expect = COLON;
		return JSON_STREAM_MORE;
	}
	return close_value(js);
}

static enum json_stream_event step_between(struct json_stream *js, char c)
{
	if (is_space(c)) {
		js->start = js->scan;
		return JSON_STREAM_MORE;
	}
	js->start = js->scan - 1;
	js->depth = 0;
	js->expect = VALUE;
	if (c == '{' || c == '[')
		return open_bracket(js, c);
	js->state = c == '"' ? STRING : LINE;
	return JSON_STREAM_MORE;
}

/* Looks at the byte before `scan`. */
static enum json_stream_event step(struct json_stream *js, char c)
{
	switch (js->state) {
	case BETWEEN:
		return step_between(js, c);
	case STRING:
		return step_string(js, c);
	case ESCAPE:
		if ((unsigned char)c < 0x20)
			return give_up(js, JSON_STREAM_BROKEN);
		js->state = STRING;
		return JSON_STREAM_MORE;
	case SCALAR:
		if (is_scalar(c))
			return JSON_STREAM_MORE;
		js->state = STRUCTURE;
		js->expect = COMMA_OR_END;
		return step_structure(js, c);
	case STRUCTURE:
		return step_structure(js, c);
	case LINE:
		if (c != '\n')
			return JSON_STREAM_MORE;
		js->state = BETWEEN;
		return JSON_STREAM_MESSAGE;
	case SKIP:
		js->start = js->scan;
		if (c == '\n')
			js->state = BETWEEN;
		return JSON_STREAM_MORE;
	}
	return JSON_STREAM_MORE;
}

/* Most bytes are inside strings, and most of these mean nothing here. */
static void skip_plain(struct json_stream *js)
{
	const char *data = js->data;
	size_t scan = js->scan;

	while (scan < js->end && data[scan] != '"' && data[scan] != '\\' &&
		(unsigned char)data[scan] >= 0x20)
		scan++;
	js->scan = scan;
}

enum json_stream_event json_stream_next(struct json_stream *js, const char **text, size_t *len)
{
	enum json_stream_event event = JSON_STREAM_MORE;

	while (event == JSON_STREAM_MORE && js->scan < js->end) {
		if (js->state == STRING) {
			skip_plain(js);
			if (js->scan - js->start > js->max_size)
				return give_up(js, JSON_STREAM_TOO_BIG);
			if (js->scan == js->end)
				break;
		}
		event = step(js, js->data[js->scan++]);
		if (js->scan - js->start > js->max_size && event != JSON_STREAM_BROKEN)
			return give_up(js, JSON_STREAM_TOO_BIG);
	}
	if (event == JSON_STREAM_MESSAGE) {
		*text = js->data + js->start;
		*len = js->scan - js->start;
		js->start = js->scan;
	}
	return event;
}
