// SPDX-License-Identifier: Apache-2.0
/* What a capture says of a packet beside its bytes. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/capture.h"

void packet_plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

bool packet_word(const struct pcapng_record *record, const char *key, char *value, size_t size)
{
	const char *at = record->comment, *end = at + record->comment_length;
	size_t length = strlen(key);

	while (at && at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		const char *stop = space ? space : end;

		if ((size_t)(stop - at) > length && !memcmp(at, key, length) && at[length] == '=') {
			snprintf(value, size, "%.*s", (int)(stop - at - (ptrdiff_t)length - 1),
				at + length + 1);
			packet_plain(value);
			return true;
		}
		at = stop + 1;
	}
	return false;
}

char *packet_time(uint64_t time_ns, char text[PACKET_TIME])
{
	const time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;

	localtime_r(&seconds, &tm);
	snprintf(text, PACKET_TIME, "%02u:%02u:%02u.%06u", (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
		(unsigned)(time_ns % 1000000000 / 1000));
	return text;
}
