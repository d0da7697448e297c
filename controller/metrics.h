/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_METRICS_H
#define CONTROLLER_METRICS_H
/* What GET /metrics shows, in the text format of Prometheus. */
#include "lib/methods.h"

struct controller;
struct metrics;
struct fan_out;
struct evbuffer;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
void metrics_call(
	struct metrics *metrics, const struct method *method, uint64_t took_us, bool failed);
/* `fan` holds the nodes' answers to `status`, and to what metrics_service_ask() asked. */
void metrics_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out);

#endif
