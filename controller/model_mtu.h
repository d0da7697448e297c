/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_MODEL_MTU_H
#define CONTROLLER_MODEL_MTU_H
/* The MTU of a new VPC: what the smallest known underlay carries without the VXLAN header. */
#include <jansson.h>

struct controller;

/* From a dataplane's hello: underlay {mtu, family}; remembered in the store. */
void model_mtu_learn(struct controller *c, const char *node, const json_t *hello);
/* At the start, from the store. */
void model_mtu_restore(struct controller *c);

#endif
