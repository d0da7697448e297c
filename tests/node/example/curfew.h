/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CURFEW_CURFEW_H
#define CURFEW_CURFEW_H
/* The module of docs/add-a-module.md: a VPC under curfew has no traffic. New flows are refused, running ones are cut,
 * and the gateway's services go on.
 *
 * The control thread changes it, by items; workers read.
 */
#include <stdbool.h>
#include <stdint.h>

#include "vpc/vpc.h"

/* Worker-safe. */
bool curfew_is_on(uint32_t vpc_index);
/* Control thread. Running flows of the VPC are asked again. */
void curfew_set(const struct vpc *vpc, bool on);

#endif
