/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_METRICS_SERVICE_H
#define CONTROLLER_METRICS_SERVICE_H
/*
 * Figures of gateway services. How many there are is the tenants' choice, and each series costs a monitoring system
 * something for ever: of each kind the first METRICS_SHOWN by name have series of their own; all are in vpc_objects and vpc_eips.
 */
struct controller;
struct evbuffer;
struct fan_out;
struct node;

#define METRICS_SHOWN 1000

/* Adds questions to those that are asked before metrics_service_write(). */
void metrics_service_ask(struct fan_out *fan, struct node *node);
void metrics_service_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out);

/* metrics.c: what comes before a metric's figures. */
void metrics_head(struct evbuffer *out, const char *name, const char *type, const char *help);

#endif
