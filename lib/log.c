// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

/* Longer records are cut; one write() of this size is atomic enough for pipes and terminals. */
#define RECORD_MAX 4096

/* Room for the end of a record (quote, brace, newline) stays free. */
#define BODY_MAX (RECORD_MAX - 4)

struct record {
	size_t len;
	bool cut; /* something did not fit; nothing is added to the body any more */
	char text[RECORD_MAX];
};

static enum log_level log_level = LOG_LEVEL_INFO;
static enum log_format log_format = LOG_FORMAT_TEXT;
static int log_fd = STDERR_FILENO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *const format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

void log_set_format(enum log_format format)
{
	__atomic_store_n(&log_format, format, __ATOMIC_RELAXED);
}

void log_set_fd(int fd)
{
	__atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
	return level <= __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

static bool name_find(const char *const *names, size_t count, const char *name, unsigned *index)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0) {
			*index = i;
			return true;
		}
	}
	return false;
}

bool log_level_parse(const char *name, enum log_level *level)
{
	unsigned index;

	if (!name_find(level_names, sizeof(level_names) / sizeof(level_names[0]), name, &index))
		return false;
	*level = (enum log_level)index;
	return true;
}

bool log_format_parse(const char *name, enum log_format *format)
{
	unsigned index;

	if (!name_find(format_names, sizeof(format_names) / sizeof(format_names[0]), name, &index))
		return false;
	*format = (enum log_format)index;
	return true;
}

const char *log_strerror(int error)
{
	const char *text = strerrordesc_np(abs(error));

	return text != NULL ? text : "unknown error";
}

static void put_bytes(struct record *r, const char *bytes, size_t len)
{
	size_t room = r->len < BODY_MAX ? BODY_MAX - r->len : 0;

	if (r->cut)
		return;
	if (len > room) {
		len = room;
		r->cut = true;
	}
	memcpy(r->text + r->len, bytes, len);
	r->len += len;
}

static void put_str(struct record *r, const char *text)
{
	put_bytes(r, text, strlen(text));
}

static void put_format(struct record *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put_format(struct record *r, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_str(r, text);
}

/* Length of the valid UTF-8 sequence at s, or 0. RFC 3629, section 4. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* As a JSON string: whatever a peer sent can neither start a new record nor reach the terminal. */
static void put_quoted(struct record *r, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	put_str(r, "\"");
	while (*s != '\0' && !r->cut) {
		size_t n = utf8_len(s);

		if (n == 0) {
			put_str(r, "\\ufffd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			put_format(r, "\\%c", *s);
		} else if (*s == '\n') {
			put_str(r, "\\n");
		} else if (*s < 0x20 || *s == 0x7f) {
			put_format(r, "\\u%04x", *s);
		} else if (r->len + n <= BODY_MAX) {
			put_bytes(r, (const char *)s, n);
		} else {
			r->cut = true; /* no half characters */
		}
		s += n;
	}
	/* It must fit even when the record was cut; the callers then go no further. */
	r->text[r->len++] = '"';
}

static bool is_plain(const char *text)
{
	if (*text == '\0')
		return false;
	for (const char *s = text; *s != '\0'; s++) {
		if (*s <= ' ' || *s > '~' || *s == '"' || *s == '\\' || *s == '=')
			return false;
	}
	return true;
}

static void put_value(struct record *r, const struct log_field *f, enum log_format format)
{
	switch (f->type) {
	case LOG_TYPE_STR:
		if (f->str == NULL)
			put_str(r, "null");
		else if (format == LOG_FORMAT_TEXT && is_plain(f->str))
			put_str(r, f->str);
		else
			put_quoted(r, f->str);
		break;
	case LOG_TYPE_INT:
		put_format(r, "%" PRId64, f->i);
		break;
	case LOG_TYPE_UINT:
		put_format(r, "%" PRIu64, f->u);
		break;
	case LOG_TYPE_REAL:
		if (isfinite(f->real))
			put_format(r, "%.6g", f->real);
		else
			put_str(r, "null");
		break;
	case LOG_TYPE_BOOL:
		put_str(r, f->b ? "true" : "false");
		break;
	}
}

static void put_time(struct record *r)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	put_format(r, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

static void put_text(
	struct record *r, enum log_level level, const char *message, const struct log_field *fields)
{
	put_time(r);
	put_format(r, " %-5s ", level_names[level]);
	put_str(r, message);
	for (const struct log_field *f = fields; f->key != NULL && !r->cut; f++) {
		put_str(r, " ");
		put_str(r, f->key);
		put_str(r, "=");
		put_value(r, f, LOG_FORMAT_TEXT);
	}
}

/* A field that does not fit whole is left out with all after it, so the record stays valid JSON. */
static void put_json(
	struct record *r, enum log_level level, const char *message, const struct log_field *fields)
{
	put_str(r, "{\"time\":\"");
	put_time(r);
	put_str(r, "\",\"level\":\"");
	put_str(r, level_names[level]);
	put_str(r, "\",\"message\":");
	put_quoted(r, message);
	for (const struct log_field *f = fields; f->key != NULL && !r->cut; f++) {
		size_t before = r->len;

		put_str(r, ",");
		put_quoted(r, f->key);
		put_str(r, ":");
		put_value(r, f, LOG_FORMAT_JSON);
		if (r->cut) {
			r->len = before;
			break;
		}
	}
	r->text[r->len++] = '}';
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
	struct record r;
	ssize_t written;

	r.len = 0;
	r.cut = false;
	if (__atomic_load_n(&log_format, __ATOMIC_RELAXED) == LOG_FORMAT_JSON)
		put_json(&r, level, message, fields);
	else
		put_text(&r, level, message, fields);
	r.text[r.len++] = '\n';
	/* A log that can not be written is no reason to stop. */
	written = write(__atomic_load_n(&log_fd, __ATOMIC_RELAXED), r.text, r.len);
	(void)written;
}

bool log_limit_pass(struct log_limit *limit, unsigned *suppressed)
{
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (limit->window_start_ms == 0 ||
		now_ms - limit->window_start_ms >= (uint64_t)limit->interval_s * 1000) {
		limit->window_start_ms = now_ms;
		limit->used = 0;
	}
	if (limit->used >= limit->burst) {
		limit->suppressed++;
		return false;
	}
	limit->used++;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
