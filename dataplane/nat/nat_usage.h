/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_USAGE_H
#define NAT_NAT_USAGE_H
/* What gateways of this node have carried, for bills (core/usage.h): an account that their sessions are billed to. Control thread. */
#include "nat/nat_gateway.h"

/* The gateway is here from now on. */
void nat_usage_begin(struct nat_gateway *gw);
/* It is not, or no more: its flows end or go elsewhere, and its epoch slot has been bumped. */
void nat_usage_end(struct nat_gateway *gw);

#endif
