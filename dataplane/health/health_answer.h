/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HEALTH_HEALTH_ANSWER_H
#define HEALTH_HEALTH_ANSWER_H
/* What is asked, and is the answer a good one? Pure.
 *
 * `expect` of http: a status or several ("200", "2xx", "200-299,401"), or else a text in the body of a 2xx answer, within its
 * first HEALTH_ANSWER_MAX bytes; "": any 2xx or 3xx. Of tcp: a text that the machine says first; "": a connection is enough. Of
 * udp: a text in the answer; "": no answer is fine as well, an ICMP error is not.
 */
#include <stdbool.h>
#include <stddef.h>

#include "health/health_settings.h"

#define HEALTH_ANSWER_MAX 16384u

enum health_verdict { HEALTH_MORE, HEALTH_GOOD, HEALTH_BAD };

/* The request; `host` as in a URL ("10.0.0.5:80", "[fd00::5]:80"). Its length, 0: too long. */
size_t health_http_request(
	const struct health_settings *s, const char *host, char *out, size_t size);
/* Does `expect` name statuses? Then the body is of no interest. */
bool health_expects_status(const char *expect);
/* Of what has come so far; `end`: there is no more. `reason`: what was answered, in words ("HTTP 503"). */
enum health_verdict health_http_answer(const struct health_settings *s, const char *data,
	size_t len, bool end, char *reason, size_t size);
/* The same of what a machine says first on a TCP connection. */
enum health_verdict health_tcp_answer(const struct health_settings *s, const char *data, size_t len,
	bool end, char *reason, size_t size);
bool health_udp_answer(const struct health_settings *s, const char *data, size_t len);

#endif
