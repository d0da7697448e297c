/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNDERLAY_VTEP_TABLE_H
#define UNDERLAY_VTEP_TABLE_H
/* Changes of the table of VTEPs. Control thread; workers follow under RCU. */
#include "underlay/underlay.h"

/* Makes room for `more` vtep_add() and vtep_replace(), which can not fail then. -ENOSPC, -ENOMEM. */
int vtep_reserve(uint32_t more);
/* Takes `v` (calloc'd; name, addr and gateway set). */
void vtep_add(struct vtep *v, uint32_t now_ms);
/* The same in the place of `old`, which is freed: the index stays, so whoever points to it goes on. */
void vtep_replace(struct vtep *old, struct vtep *v, uint32_t now_ms);
void vtep_remove(struct vtep *v);

#endif
