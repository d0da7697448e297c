/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LB_ORDER_H
#define LB_ORDER_H
/* The order in which back ends take turns, worked out beforehand: within one round each is in it as often as its weight says,
 * and its turns are spread as evenly as they can be.
 *
 * Pure C.
 */
#include <stdint.h>

#define LB_ORDER_MAX                                                                               \
	(1u << 14) /* turns of a round, unless there are more back ends; weights are rounded to fit */

/* Turns of a round for these weights, none of which is 0. */
uint32_t lb_order_length(const uint8_t *weights, uint32_t n);
/* Writes that many ids. -ENOMEM. */
int lb_order_make(
	uint16_t *order, uint32_t length, const uint16_t *ids, const uint8_t *weights, uint32_t n);

#endif
