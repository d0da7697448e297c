// SPDX-License-Identifier: Apache-2.0
/*
 * Log to stderr, one line a record: text for people or JSON for machines. The message is a constant
 * phrase; what varies comes as typed key-value pairs:
 *
 *	log_info("node connected", LOG_STR("node", name), LOG_INT("port", port));
 *
 * Thread-safe (one write() a record). Dataplane workers never log.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_type { LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_UINT, LOG_TYPE_REAL, LOG_TYPE_BOOL };

struct log_field {
	const char *key; /* NULL ends the list */
	enum log_type type;
	union {
		const char *str; /* NULL is written as null */
		int64_t i;
		uint64_t u;
		double real;
		bool b;
	};
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .str = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_INT, .i = (v)})
#define LOG_UINT(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_UINT, .u = (v)})
#define LOG_REAL(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_REAL, .real = (v)})
#define LOG_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_BOOL, .b = (v)})
/* The text of an errno, positive or negative, as "error". */
#define LOG_ERRNO(e) LOG_STR("error", log_strerror(e))

/* Level info, format text, until set. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
/* Where to write, for tests; stderr at the start. */
void log_set_fd(int fd);
bool log_enabled(enum log_level level);

/* "error", "warn", "info", "debug"; "text", "json". False: unknown name. */
bool log_level_parse(const char *name, enum log_level *level);
bool log_format_parse(const char *name, enum log_format *format);

/* Long-lived text of an errno value of either sign. */
const char *log_strerror(int error);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_AT(level, message, ...)                                                                \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_write(level, message,                                                  \
				(struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});    \
	} while (0)

#define log_error(message, ...) LOG_AT(LOG_LEVEL_ERROR, message, __VA_ARGS__)
#define log_warn(message, ...) LOG_AT(LOG_LEVEL_WARN, message, __VA_ARGS__)
#define log_info(message, ...) LOG_AT(LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_debug(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message, __VA_ARGS__)

/*
 * For what may repeat: at most `burst` records in each `interval_s`; the first of the next interval
 * carries the number left out as "suppressed". One thread each.
 *
 *	static struct log_limit limit = LOG_LIMIT(5, 60);
 *	log_warn_limited(&limit, "client refused", LOG_INT("uid", uid));
 */
struct log_limit {
	unsigned burst;
	unsigned interval_s;
	uint64_t window_start_ms;
	unsigned used;
	unsigned suppressed;
};
#define LOG_LIMIT(max, seconds)                                                                    \
	{                                                                                          \
		.burst = (max), .interval_s = (seconds)                                            \
	}

/* May this record be written? Sets *suppressed to the number left out since the last one. */
bool log_limit_pass(struct log_limit *limit, unsigned *suppressed);

#define LOG_LIMITED(level, limit, message, ...)                                                    \
	do {                                                                                       \
		unsigned log_suppressed_;                                                          \
		if (log_enabled(level) && log_limit_pass(limit, &log_suppressed_))                 \
			log_write(level, message,                                                  \
				(struct log_field[]){                                              \
					__VA_ARGS__ __VA_OPT__(, )(struct log_field){              \
						.key = log_suppressed_ ? "suppressed" : NULL,      \
						.type = LOG_TYPE_UINT,                             \
						.u = log_suppressed_},                             \
					{.key = NULL}});                                           \
	} while (0)

#define log_warn_limited(limit, message, ...)                                                      \
	LOG_LIMITED(LOG_LEVEL_WARN, limit, message, __VA_ARGS__)
#define log_error_limited(limit, message, ...)                                                     \
	LOG_LIMITED(LOG_LEVEL_ERROR, limit, message, __VA_ARGS__)

#endif
