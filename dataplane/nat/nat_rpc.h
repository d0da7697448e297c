/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_RPC_H
#define NAT_NAT_RPC_H
/* nat.status: how full gateways are. */
#include <stdint.h>

/* Measures how fast ports are used up. Control thread. */
void nat_rate_turn(uint32_t now_ms);

#endif
