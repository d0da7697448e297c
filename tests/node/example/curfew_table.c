/* SPDX-License-Identifier: Apache-2.0 */
#include "curfew.h"

#include <stdatomic.h>

#include "core/epoch.h"

static _Atomic bool on_of[VPC_INDEX_MAX]; /* by VPC index. Written by the control thread */

bool curfew_is_on(uint32_t vpc_index)
{
	return atomic_load_explicit(&on_of[vpc_index], memory_order_acquire);
}

/* First the change, then the bump: whoever sees the new epoch sees the change. */
void curfew_set(const struct vpc *vpc, bool on)
{
	atomic_store_explicit(&on_of[vpc->index], on, memory_order_release);
	epoch_bump(vpc->epoch);
}
