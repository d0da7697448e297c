/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_VIEW_SERVICE_H
#define CONTROLLER_VIEW_SERVICE_H
/* EIPs, NAT gateways and load balancers as they are shown: their dataplanes are asked for use and health. */
#include "api.h"

/* Without asking. New reference. */
json_t *view_service_status(struct controller *c, const struct object *service);
/* As view_reply(), of these kinds. Takes result. */
void view_service_reply(struct api_call *call, json_t *result);

/* What a dataplane says of NAT gateways or load balancers: [{name, …}] of nat.status as they are shown. New reference. */
json_t *view_nat_addresses(const json_t *answer);

#endif
