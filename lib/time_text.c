// SPDX-License-Identifier: Apache-2.0
#include "lib/time_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ".25": to milliseconds. Returns what follows; the text itself when there is no fraction. */
static const char *parse_fraction(const char *text, int64_t *ms, bool *finer)
{
	int64_t unit = 100;

	*ms = 0;
	*finer = false;
	if (text[0] != '.' || !isdigit((unsigned char)text[1]))
		return text;
	for (text++; isdigit((unsigned char)*text); text++, unit /= 10) {
		*ms += (*text - '0') * unit;
		*finer |= unit == 0 && *text != '0';
	}
	return text;
}

/* "Z" or "+01:00", and nothing after it. */
static bool parse_offset(const char *text, int64_t *offset_ms)
{
	unsigned int hours, minutes;
	int length = 0;

	*offset_ms = 0;
	if (!strcmp(text, "Z") || !strcmp(text, "z"))
		return true;
	if ((*text != '+' && *text != '-') ||
		sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &length) != 2 || length != 5 ||
		text[6] != '\0' || hours > 23 || minutes > 59)
		return false;
	*offset_ms = (int64_t)(hours * 60 + minutes) * 60000 * (*text == '-' ? -1 : 1);
	return true;
}

bool time_text_parse(const char *text, int64_t *ms, bool *finer)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t fraction, offset;

	if (rest == NULL || !isdigit((unsigned char)*text))
		return false;
	rest = parse_fraction(rest, &fraction, finer);
	if (!parse_offset(rest, &offset))
		return false;
	*ms = (int64_t)timegm(&tm) * 1000 + fraction - offset;
	return *ms >= 0 && *ms <= TIME_TEXT_MAX_MS;
}

char *time_text_format(int64_t ms, char text[TIME_TEXT])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, TIME_TEXT - n, ".%03uZ", (unsigned int)(ms % 1000) % 1000);
	return text;
}
