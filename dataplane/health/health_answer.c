/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* HTTP/1.0: the answer ends with the connection and is not cut into chunks (RFC 9112 6.3). */
size_t health_http_request(
	const struct health_settings *s, const char *host, char *out, size_t size)
{
	int n = snprintf(out, size,
		"GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: vpc-health\r\nAccept: */*\r\n"
		"Connection: close\r\n\r\n",
		s->path, host);

	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* "200", "2xx" or "200-299" at `*at`, which then points behind it. */
static bool read_range(const char **at, int *from, int *to)
{
	const char *p = *at;

	if (p[0] < '1' || p[0] > '5')
		return false;
	if (p[1] == 'x' && p[2] == 'x') {
		*from = (p[0] - '0') * 100;
		*to = *from + 99;
		*at = p + 3;
		return true;
	}
	if (!isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]))
		return false;
	*from = *to = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	p += 3;
	if (p[0] == '-') {
		if (p[1] < '1' || p[1] > '5' || !isdigit((unsigned char)p[2]) ||
			!isdigit((unsigned char)p[3]))
			return false;
		*to = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
		p += 4;
	}
	*at = p;
	return true;
}

/* Is it a list of statuses, and is `status` among them? */
static bool read_statuses(const char *expect, int status, bool *among)
{
	*among = false;
	for (const char *p = expect;;) {
		int from, to;

		while (*p == ' ')
			p++;
		if (!read_range(&p, &from, &to))
			return false;
		*among |= status >= from && status <= to;
		while (*p == ' ')
			p++;
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

bool health_expects_status(const char *expect)
{
	bool among;

	return expect[0] == '\0' || read_statuses(expect, 0, &among);
}

/* "HTTP/1.1 200 OK": RFC 9112 4. Of what may still be on its way: 0; of something else: -1. */
static int read_status(const char *data, size_t len, bool end)
{
	static const char version[] = "HTTP/1.";
	size_t known = len < sizeof(version) - 1 ? len : sizeof(version) - 1;

	if (memcmp(data, version, known) != 0)
		return -1;
	if (len < 13) /* and what ends the status: a space, or the line */
		return end ? -1 : 0;
	if (!isdigit((unsigned char)data[7]) || data[8] != ' ' || data[9] < '1' || data[9] > '9' ||
		!isdigit((unsigned char)data[10]) || !isdigit((unsigned char)data[11]) ||
		isalnum((unsigned char)data[12]))
		return -1;
	return (data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0');
}

static bool body_has(const char *data, size_t len, const char *text)
{
	const char *body = memmem(data, len, "\r\n\r\n", 4);

	return body != NULL &&
	       memmem(body + 4, len - (size_t)(body + 4 - data), text, strlen(text)) != NULL;
}

enum health_verdict health_http_answer(const struct health_settings *s, const char *data,
	size_t len, bool end, char *reason, size_t size)
{
	int status = read_status(data, len, end);
	bool among = status >= 200 && status <= 399, text = false;

	if (status == 0)
		return HEALTH_MORE;
	if (status < 0) {
		snprintf(reason, size, "%s",
			len == 0 ? "closed without an answer" : "no HTTP answer");
		return HEALTH_BAD;
	}
	snprintf(reason, size, "HTTP %d", status);
	if (s->expect[0] != '\0')
		text = !read_statuses(s->expect, status, &among);
	if (!text)
		return among ? HEALTH_GOOD : HEALTH_BAD;
	if (status < 200 || status > 299)
		return HEALTH_BAD;
	if (body_has(data, len, s->expect))
		return HEALTH_GOOD;
	if (!end && len < HEALTH_ANSWER_MAX)
		return HEALTH_MORE;
	snprintf(reason, size, "HTTP %d without the expected text", status);
	return HEALTH_BAD;
}

static bool has(const char *data, size_t len, const char *text)
{
	return text[0] == '\0' || memmem(data, len, text, strlen(text)) != NULL;
}

enum health_verdict health_tcp_answer(const struct health_settings *s, const char *data, size_t len,
	bool end, char *reason, size_t size)
{
	bool good = has(data, len, s->expect);

	if (!good && !end)
		return HEALTH_MORE;
	snprintf(reason, size, "%s", good ? "answered" : "closed without the expected text");
	return good ? HEALTH_GOOD : HEALTH_BAD;
}

bool health_udp_answer(const struct health_settings *s, const char *data, size_t len)
{
	return has(data, len, s->expect);
}
