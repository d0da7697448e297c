/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_FLOW_LOG_H
#define CONTROLLER_FLOW_LOG_H
/* Flow logs: what nodes are told of them, and what nodes say. */
#include "api.h"

struct node;
struct fan_out;
struct evbuffer;

/* The VPC whose flows it logs, or some of them. */
struct object *flow_log_vpc(const struct object *log);
/* emission_flow_log.c: its item for a node, appended to `out`. Pure. */
void flow_log_items(const struct node *node, const struct object *log, json_t *out);
/* Whether the VPC concerns the node has changed: so may whether its logs do. */
void flow_log_touch_vpc(struct node *node, const struct object *vpc);

/* metrics_flow_log.c */
void flow_log_metrics_ask(struct fan_out *fan, struct node *node);
void flow_log_metrics_write(struct controller *c, const struct fan_out *fan, struct evbuffer *out);

#endif
