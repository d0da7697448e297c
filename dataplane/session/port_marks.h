/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SESSION_PORT_MARKS_H
#define SESSION_PORT_MARKS_H
/* A set of ports of this node, by location. Changed by the control thread; asked by workers off the short road. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/location.h"

#define PORT_MARKS_MAX 65536u /* as capacity.ports at most */

struct port_marks {
	_Atomic uint32_t n;
	_Atomic uint64_t bits[PORT_MARKS_MAX / 64];
};

static inline bool port_marks_any(const struct port_marks *marks)
{
	return atomic_load_explicit(&marks->n, memory_order_acquire) != 0;
}

static inline bool port_marks_has(const struct port_marks *marks, loc_t loc)
{
	return loc < PORT_MARKS_MAX &&
	       (atomic_load_explicit(&marks->bits[loc / 64], memory_order_acquire) >> loc % 64 & 1);
}

static inline void port_marks_set(struct port_marks *marks, loc_t loc)
{
	if (loc >= PORT_MARKS_MAX || port_marks_has(marks, loc))
		return;
	atomic_fetch_or(&marks->bits[loc / 64], UINT64_C(1) << loc % 64);
	atomic_fetch_add(&marks->n, 1);
}

static inline void port_marks_clear(struct port_marks *marks, loc_t loc)
{
	if (!port_marks_has(marks, loc))
		return;
	atomic_fetch_and(&marks->bits[loc / 64], ~(UINT64_C(1) << loc % 64));
	atomic_fetch_sub(&marks->n, 1);
}

#endif
