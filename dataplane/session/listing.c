/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions one after another, for people. */
#include <netinet/in.h>

#include "core/rcu.h"
#include "session/index.h"
#include "session/session.h"
#include "session/tcp.h"

static void view_addresses(struct session_view *view, unsigned int d)
{
	const struct session_key *key = &view->dir[d].key;

	if (session_key_is_v6(key)) {
		view->src[d] = session_exts[view->index].src[d];
		view->dst[d] = session_exts[view->index].dst[d];
	} else {
		view->src[d] = ip_addr_from_v4(key->src);
		view->dst[d] = ip_addr_from_v4(key->dst);
	}
}

static void view_of(struct session_view *view, uint32_t index, uint32_t now_ms)
{
	view->index = index;
	view->vpc_index = index_vpc(index);
	for (unsigned int d = 0; d < 2; d++) {
		const struct session_hot *hot = &session_hots[d][index];

		memcpy(&view->dir[d], &session_dirs[index << 1 | d], sizeof(view->dir[d]));
		view_addresses(view, d);
		view->packets[d] = atomic_load_explicit(&hot->packets, memory_order_relaxed);
		view->bytes[d] = atomic_load_explicit(&hot->bytes, memory_order_relaxed);
	}
	view->hold = session_hold_of(index);
	view->created_ms = session_colds[index].created_ms;
	view->idle_ms = session_idle_ms(index, now_ms);
	view->timeout_s = session_timeout_s(index);
	view->tcp_state = session_key_proto(&view->dir[0].key) == IPPROTO_TCP
				  ? (uint8_t)tcp_state_of(index)
				  : 0;
	view->answered = view->packets[1] != 0;
}

bool session_next(uint32_t *cursor, uint32_t now_ms, struct session_view *view)
{
	bool found = false;

	/* Inside, no index can be given to another session: alive before and after means the same one. */
	rcu_read_enter();
	while (!found && *cursor < index_high_water()) {
		uint32_t index = (*cursor)++;

		if (!index_alive(index))
			continue;
		view_of(view, index, now_ms);
		atomic_thread_fence(memory_order_acquire);
		found = index_alive(index);
	}
	rcu_read_leave();
	return found;
}
