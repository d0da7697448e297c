// SPDX-License-Identifier: Apache-2.0
/*
 * Cuts a byte stream into top-level JSON values without parsing them: a state machine over strings,
 * escapes and brackets that looks at each byte once. A message may span lines and several may share
 * one; white space between them is skipped. What does not start with a bracket or a quote ends with
 * its line.
 *
 * A message that can not become valid any more (a bracket that does not match, a control byte
 * inside a string, too deep, too big) is reported at once, and the rest of its line is skipped.
 */
#ifndef LIB_JSON_STREAM_H
#define LIB_JSON_STREAM_H

#include <stdbool.h>
#include <stddef.h>

enum json_stream_event {
	JSON_STREAM_MORE,     /* nothing complete: feed more */
	JSON_STREAM_MESSAGE,  /* text and len are set */
	JSON_STREAM_BROKEN,   /* this line is no JSON; going on after it */
	JSON_STREAM_TOO_DEEP, /* as broken, for nesting above the limit */
	JSON_STREAM_TOO_BIG,  /* as broken, for a message above the size limit */
};

struct json_stream;

struct json_stream *json_stream_new(size_t max_size, unsigned max_depth);
void json_stream_free(struct json_stream *stream);

/* Appends bytes. 0, or -ENOMEM. */
int json_stream_feed(struct json_stream *stream, const void *data, size_t len);

/*
 * Next message of what was fed. The text belongs to the stream, is valid until the next feed or
 * next call, and is not terminated.
 */
enum json_stream_event json_stream_next(struct json_stream *stream, const char **text, size_t *len);

/*
 * The peer sends no more: a last scalar or broken line that lacked its newline ends here. Call
 * json_stream_next() after it; what is then still partial was cut off.
 */
void json_stream_end(struct json_stream *stream);

/* A message has begun and its end has not been seen yet (all complete ones have been taken). */
bool json_stream_partial(const struct json_stream *stream);

/* Bytes fed and not yet looked at by json_stream_next(). */
size_t json_stream_unread(const struct json_stream *stream);

#endif
