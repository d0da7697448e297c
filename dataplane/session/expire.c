/* SPDX-License-Identifier: Apache-2.0 */
/* The clock hand: idle times, and sessions whose verdict grew old in silence. */
#include <netinet/in.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#include "core/rcu.h"
#include "session/busiest.h"
#include "session/index.h"
#include "session/memory.h"
#include "session/session.h"
#include "session/tcp.h"

/* RFC 5382 REQ-5 (TCP), RFC 4787 REQ-5 (UDP), RFC 5508 REQ-1 (ICMP). A reset ends a connection only for who
 * accepts it, so what follows still finds its session for a while. */
struct session_timeouts session_timeouts = {
	.tcp_s =
		{
			[TCP_SYN_SENT] = 30,
			[TCP_SYN_RECEIVED] = 240,
			[TCP_ESTABLISHED] = 7440,
			[TCP_FIN_WAIT] = 240,
			[TCP_CLOSE_WAIT] = 240,
			[TCP_LAST_ACK] = 240,
			[TCP_TIME_WAIT] = 120,
			[TCP_CLOSED] = 30,
		},
	.udp_s = 300,
	.udp_unanswered_s = 60,
	.icmp_s = 60,
	.other_s = 600,
	.full_unanswered_s = 5,
};

/* Taken in such pieces until there is enough, or the control thread has done so for long enough. */
#define POPULATE_PIECE (1u << 14)
#define POPULATE_MS 2u

static uint32_t hand;

static bool answered(uint32_t index)
{
	return atomic_load_explicit(&session_hots[1][index].packets, memory_order_relaxed) != 0;
}

/* The node's own, by what the session's state is. */
static uint32_t timeout_of_node(uint8_t proto, enum tcp_state state, bool open)
{
	switch (proto) {
	case IPPROTO_TCP:
		return session_timeouts.tcp_s[state];
	case IPPROTO_UDP:
		return open ? session_timeouts.udp_s : session_timeouts.udp_unanswered_s;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return session_timeouts.icmp_s;
	default:
		return session_timeouts.other_s;
	}
}

/* Timeout while there is room, and whether somebody has answered. */
static uint32_t timeout_of(uint32_t index, bool *open)
{
	uint8_t proto = session_key_proto(&session_dirs[index << 1].key);
	struct session_hold hold = session_hold_of(index);
	enum tcp_state state = TCP_SYN_SENT;
	uint32_t timeout_s = 0;

	*open = answered(index);
	if (proto == IPPROTO_TCP) {
		state = tcp_state_of(index);
		if (state == TCP_ESTABLISHED && tcp_is_one_sided(index))
			state = TCP_SYN_RECEIVED;
		*open = state != TCP_SYN_SENT && state != TCP_SYN_RECEIVED;
	}
	if (unlikely(session_hold_any(&hold)))
		timeout_s = session_hold_timeout_s(&hold, proto, (uint8_t)state, *open);
	return timeout_s != 0 ? timeout_s : timeout_of_node(proto, state, *open);
}

static bool crowded(void)
{
	return session_used() >= session_capacity() - session_capacity() / 10;
}

static uint32_t timeout_when(uint32_t index, bool full)
{
	bool open;
	uint32_t timeout_s = timeout_of(index, &open);

	return !open && (full || index_share_crowded(index))
		       ? RTE_MIN(timeout_s, session_timeouts.full_unanswered_s)
		       : timeout_s;
}

uint32_t session_timeout_s(uint32_t index)
{
	return timeout_when(index, crowded());
}

uint32_t session_idle_ms(uint32_t index, uint32_t now_ms)
{
	uint32_t seen[2];

	for (unsigned int d = 0; d < 2; d++)
		seen[d] =
			atomic_load_explicit(&session_hots[d][index].seen_ms, memory_order_relaxed);
	/* A worker's clock may be ahead of the caller's. */
	return (uint32_t)RTE_MAX(
		RTE_MIN((int32_t)(now_ms - seen[0]), (int32_t)(now_ms - seen[1])), 0);
}

static bool current(uint32_t index, uint32_t change)
{
	for (unsigned int d = 0; d < 2; d++)
		if (atomic_load_explicit(
			    &session_dirs[index << 1 | d].change, memory_order_relaxed) != change)
			return false;
	return true;
}

/* Old, but nothing that it depends on has changed: as a packet of either direction would find out. */
static bool stands(uint32_t index, uint32_t change)
{
	struct session_cold *cold = &session_colds[index];

	if (session_epoch_sum(index) !=
		atomic_load_explicit(&cold->epoch_sum, memory_order_acquire))
		return false;
	for (unsigned int d = 0; d < 2; d++)
		atomic_store_explicit(
			&session_dirs[index << 1 | d].change, change, memory_order_relaxed);
	return true;
}

/* What is due is collected, so that its removal overlaps its cache misses. */
struct sweep {
	uint32_t now_ms, change;
	bool full;
	const struct session_watcher *watcher;
	void (*stale)(uint32_t index);
	uint32_t due[SESSION_BULK];
	unsigned int n_due, removed;
};

static void remove_due(struct sweep *s)
{
	s->removed += session_expire_bulk(s->due, s->n_due);
	s->n_due = 0;
}

static void visit(struct sweep *s, uint32_t index)
{
	if (unlikely(busiest_on))
		busiest_visit(index, s->now_ms);
	if (session_dirs[index << 1].flags & SESSION_F_ACCOUNT)
		account_settle(index);
	if (unlikely(s->watcher != NULL))
		s->watcher->visit(index, s->now_ms);
	if (session_idle_ms(index, s->now_ms) >= (uint64_t)timeout_when(index, s->full) * 1000) {
		s->due[s->n_due++] = index;
		if (s->n_due == SESSION_BULK)
			remove_due(s);
	} else if (unlikely(!current(index, s->change)) && !stands(index, s->change) &&
		   s->stale != NULL) {
		s->stale(index);
	}
}

#define AHEAD 8

static inline void prefetch_ahead(uint32_t index, uint32_t end)
{
	if (index >= end || !index_alive(index))
		return;
	rte_prefetch0(&session_dirs[index << 1]);
	rte_prefetch0(&session_dirs[index << 1 | 1]);
	rte_prefetch0(&session_hots[0][index]);
	rte_prefetch0(&session_hots[1][index]);
}

static void visit_range(struct sweep *s, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++) {
		prefetch_ahead(i + AHEAD, end);
		if (index_alive(i))
			visit(s, i);
	}
}

static bool populate_piece(void)
{
	return session_populate(POPULATE_PIECE);
}

unsigned int session_sweep(uint32_t slice, uint32_t now_ms, void (*stale)(uint32_t index))
{
	struct sweep s = {
		.now_ms = now_ms, .change = epoch_change(), .full = crowded(), .stale = stale};
	uint32_t high = index_high_water(), from, end, turned = high == 0;

	memory_populate_for(POPULATE_MS, populate_piece);
	slice = RTE_MIN(slice, high);
	rcu_read_enter();
	s.watcher = session_watched();
	if (unlikely(s.watcher != NULL))
		s.watcher->begin();
	while (slice > 0) {
		from = hand < high ? hand : 0;
		end = RTE_MIN(from + slice, high);
		visit_range(&s, from, end);
		slice -= end - from;
		hand = end;
		if (unlikely(busiest_on) && end == high)
			busiest_turned(now_ms);
		if (unlikely(s.watcher != NULL) && end == high)
			s.watcher->turned(now_ms);
		turned += end == high;
	}
	remove_due(&s);
	rcu_read_leave();
	while (turned-- > 0)
		account_turned();
	return s.removed;
}

uint32_t session_high_water(void)
{
	return index_high_water();
}
