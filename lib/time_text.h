// SPDX-License-Identifier: Apache-2.0
/*
 * Points in time as RFC 3339 text: read in any offset and precision, written in UTC to the millisecond, so that
 * texts of this form order as the times do. Pure functions, for any thread.
 */
#ifndef LIB_TIME_TEXT_H
#define LIB_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Of the text, the terminating zero included. */
#define TIME_TEXT sizeof("2026-01-31T12:00:00.000Z")
/* 9999-12-31T23:59:59.999Z */
#define TIME_TEXT_MAX_MS INT64_C(253402300799999)

/*
 * "2026-01-31T12:00:00Z", "2026-01-31T13:00:00.25+01:00" … to milliseconds since 1970, digits behind them cut off;
 * *finer says that they were not all zero. False, with both unspecified, for what is no such time or out of
 * 1970 to 9999.
 */
bool time_text_parse(const char *text, int64_t *ms, bool *finer);

/* Returns `text`. ms is 0 to TIME_TEXT_MAX_MS. */
char *time_text_format(int64_t ms, char text[TIME_TEXT]);

#endif
