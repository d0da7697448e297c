/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VPC_ITEM_H
#define VPC_ITEM_H
/* Columns of a southbound item as values. The item is checked by type (lib/southbound.h); column 0 is its
 * kind. Functions that may still find a value impossible say so: false. */
#include <jansson.h>
#include <stdbool.h>

#include <rte_ether.h>

#include "base/ip.h"
#include "core/state.h"

/* "" for null. */
const char *item_text(const json_t *item, unsigned int column);
/* Copies a name; -EINVAL with `err` when it is longer than PORT_NAME_MAX - 1. */
int item_name(const json_t *item, unsigned int column, char *name, struct state_error *err);
uint64_t item_uint(const json_t *item, unsigned int column);
bool item_bool(const json_t *item, unsigned int column);
/* null: all zero. -EINVAL with `err` */
int item_addr(
	const json_t *item, unsigned int column, struct ip_addr *addr, struct state_error *err);
/* null: len IP_PREFIX_NONE. -EINVAL with `err` */
int item_prefix(
	const json_t *item, unsigned int column, struct ip_prefix *prefix, struct state_error *err);
/* A list of prefixes or addresses, malloc'd (NULL when there are none). -EINVAL, -ENOMEM with `err` */
int item_prefixes(const json_t *item, unsigned int column, struct ip_prefix **prefixes, uint32_t *n,
	struct state_error *err);
struct rte_ether_addr item_mac(const json_t *item, unsigned int column);

int item_no_memory(struct state_error *err);

#endif
