/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_ALERT_OUT_H
#define CONTROLLER_ALERT_OUT_H
/*
 * Where alerts go beside `watch`: a file of JSON lines, and syslog by RFC 5424. Neither holds anything up: a collector that
 * is away loses them, counted.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct alert_out;

/* `file` and `syslog` may be NULL. syslog: "unix:PATH", such as unix:/dev/log, or "udp://ADDRESS:PORT". NULL when the
 * file cannot be opened (logged). */
struct alert_out *alert_out_new(struct event_base *base, const char *file, const char *syslog);
void alert_out_free(struct alert_out *out);

/* Is that text an address that `syslog` can be? */
bool alert_out_syslog_valid(const char *text);

/* An alert as `alert.get` shows it: it is new, or its answer has ended. */
void alert_out_tell(struct alert_out *out, const json_t *alert);
/* Lines that could not be written or sent. */
uint64_t alert_out_lost(const struct alert_out *out);

#endif
