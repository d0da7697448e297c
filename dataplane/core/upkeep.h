/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_UPKEEP_H
#define CORE_UPKEEP_H
/* What the control thread does by the clock: frees what RCU has released, turns the sessions' expiry hand, asks silent sessions again whose
 * verdict may be stale, looks at links, keeps the figures of usage. Costs next to nothing while there is nothing to do. */
struct event_base;

int upkeep_start(struct event_base *base);
void upkeep_stop(void);

#endif
