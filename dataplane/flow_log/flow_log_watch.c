/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions as the clock hand passes them, and as they end. */
#include <netinet/in.h>
#include <string.h>

#include "core/rcu.h"
#include "flow_log/flow_log_internal.h"
#include "session/session.h"
#include "session/tcp.h"

/* When the last two turns of the hand began. A session from before the earlier one that has no mark was not made here, but came from
 * another node or into the scope: what it carried before is not ours to report. */
static uint32_t turn_ms, last_turn_ms, turns;

static bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* ---- A session's record as plain data ---- */

static uint64_t bits_of(uint32_t index)
{
	return flow_log_bits(session_key_vpc(&session_dir_of(index << 1)->key)) |
	       flow_log_bits(session_key_vpc(&session_dir_of(index << 1 | 1)->key));
}

static bool is_outside(uint32_t vpc_index)
{
	const struct vpc *vpc = vpc_get(vpc_index);

	return vpc != NULL && vpc->external != NULL;
}

/* The tuple that the responder gets: that of the answers, turned round. */
static void fill_tuple(
	struct flow_told *t, const struct session_dir *d, const struct session_dir *r)
{
	bool icmp = t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6;

	t->src = session_src(t->index, 0);
	t->dst = session_dst(t->index, 0);
	t->post_src = session_dst(t->index, 1);
	t->post_dst = session_src(t->index, 1);
	t->sport = d->key.sport;
	t->dport = d->key.dport;
	t->post_sport = r->key.dport;
	t->post_dport = r->key.sport;
	t->translated = !ip_addr_equal(&t->src, &t->post_src) ||
			!ip_addr_equal(&t->dst, &t->post_dst) ||
			(!icmp && (t->sport != t->post_sport || t->dport != t->post_dport));
}

static void tell_of(struct flow_told *t, uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1),
				 *r = session_dir_of(index << 1 | 1);

	memset(t, 0, sizeof(*t));
	t->kind = FLOW_TOLD_SESSION;
	t->index = index;
	t->logs = bits_of(index);
	t->created_ms = session_colds[index].created_ms;
	t->proto = session_key_proto(&d->key);
	t->vpc[0] = session_key_vpc(&d->key);
	t->vpc[1] = session_key_vpc(&r->key);
	t->in = d->in;
	t->out = d->out;
	fill_tuple(t, d, r);
	t->nat = t->translated && (session_hold_of(index).id[HOLD_NAT] != 0 ||
					  is_outside(t->vpc[0]) || is_outside(t->vpc[1]));
	for (unsigned int i = 0; i < 2; i++) {
		const struct session_hot *hot = &session_hots[i][index];

		t->packets[i] = atomic_load_explicit(&hot->packets, memory_order_relaxed);
		t->bytes[i] = atomic_load_explicit(&hot->bytes, memory_order_relaxed);
		t->seen_ms[i] = atomic_load_explicit(&hot->seen_ms, memory_order_relaxed);
		t->tcp_bits[i] = atomic_load_explicit(&hot->tcp_bits, memory_order_relaxed);
	}
	t->closed = t->proto == IPPROTO_TCP && tcp_state_of(index) >= TCP_TIME_WAIT;
}

/* ---- Marks ---- */

static void ends_of(const struct flow_told *t, struct flow_end_of ends[2])
{
	ends[0] = (struct flow_end_of){t->vpc[0], t->in, t->src};
	ends[1] = (struct flow_end_of){t->vpc[1], t->out, t->post_dst};
}

/* Who reports it, as things are now: the initiator's node if the initiator is of the scope, else the responder's. Of an end that has
 * gone what was known of it stands. */
static void judge(const struct flow_log *log, struct flow_mark *m, const struct flow_told *t,
	const struct flow_end_of ends[2])
{
	bool has, first;

	for (unsigned int i = 0; i < 2; i++) {
		enum flow_scoped scoped = flow_scope_of(log, &ends[i]);

		if (scoped == FLOW_INSIDE)
			m->flags |= FLOW_MARK_SCOPE << i;
		else if (scoped == FLOW_OUTSIDE)
			m->flags &= ~(FLOW_MARK_SCOPE << i);
	}
	first = m->flags & FLOW_MARK_SCOPE;
	has = m->flags & (FLOW_MARK_SCOPE | FLOW_MARK_SCOPE << 1);
	m->flags &= ~FLOW_MARK_OURS;
	if (has && flow_end_is_here(&ends[first && !flow_end_is_foreign(&ends[0]) ? 0 : 1]))
		m->flags |= FLOW_MARK_OURS;
	m->in = t->in;
	m->out = t->out;
}

static struct flow_mark *mark_of(const struct flow_log *log, uint32_t index, uint32_t created_ms)
{
	struct flow_mark *m = &log->marks[index];

	if (!(m->flags & FLOW_MARK_KNOWN) || m->created_ms != created_ms)
		m->flags = 0;
	return m;
}

static void mark_counters(struct flow_mark *m, const uint64_t packets[2], const uint64_t bytes[2])
{
	for (unsigned int d = 0; d < 2; d++) {
		m->packets[d] = (uint32_t)packets[d];
		m->bytes[d] = bytes[d];
	}
}

/* The first time that the log sees it. */
static void begin(const struct flow_log *log, struct flow_mark *m, const struct flow_told *t,
	const struct flow_end_of ends[2])
{
	static const uint64_t none[2];
	bool new =
		!is_after(log->since_ms, t->created_ms) && !is_after(last_turn_ms, t->created_ms);

	m->created_ms = t->created_ms;
	m->begun_ms = new ? t->created_ms : clock_ms();
	m->flags = FLOW_MARK_KNOWN | (new ? 0 : FLOW_MARK_NAT_TOLD);
	mark_counters(m, new ? none : t->packets, new ? none : t->bytes);
	judge(log, m, t, ends);
}

/* It goes on from what another one has carried. */
static void resume(const struct flow_log *log, const struct flow_told *t)
{
	struct flow_mark *m = &log->marks[t->index];
	struct flow_end_of ends[2];

	*m = (struct flow_mark){.created_ms = t->created_ms,
		.begun_ms = clock_ms(),
		.flags = FLOW_MARK_KNOWN | FLOW_MARK_FRESH};
	mark_counters(m, t->packets, t->bytes);
	ends_of(t, ends);
	judge(log, m, t, ends);
}

/* A mark that says more than there was is of a session that was never found. */
static bool is_behind(const struct flow_mark *m, const struct flow_told *t)
{
	return t->bytes[0] < m->bytes[0] || t->bytes[1] < m->bytes[1];
}

/* ---- Records ---- */

static void describe(const struct flow_log *log, struct flow_record *r, const struct flow_told *t,
	const struct flow_end_of ends[2])
{
	memset(r, 0, sizeof(*r));
	r->src = t->src;
	r->dst = t->dst;
	r->post_src = t->post_src;
	r->post_dst = t->post_dst;
	r->sport = t->sport;
	r->dport = t->dport;
	r->post_sport = t->post_sport;
	r->post_dport = t->post_dport;
	r->proto = t->proto;
	r->translated = t->translated;
	/* The same for all records of a session, and no other one's. */
	r->session = session_mix(((uint64_t)t->created_ms << 32 | t->index) ^ session_seed[3],
			     session_seed[0]) |
		     1;
	flow_scope_describe(log, r, ends);
}

static uint8_t tcp_flags(uint8_t bits)
{
	return (uint8_t)((bits & TCP_FIN ? 0x01 : 0) | (bits & TCP_SYN ? 0x02 : 0) |
			 (bits & TCP_RST ? 0x04 : 0) |
			 (bits & (TCP_ACKED_SYN | TCP_PICKED_UP) ? 0x10 : 0));
}

static void report_flow(const struct flow_log *log, const struct flow_mark *m,
	const struct flow_told *t, const struct flow_end_of ends[2])
{
	struct flow_record r;

	describe(log, &r, t, ends);
	if (!flow_log_is_sampled(log, &r))
		return;
	r.end = t->end;
	for (unsigned int d = 0; d < 2; d++) {
		r.packets[d] = (uint32_t)t->packets[d] - m->packets[d];
		r.bytes[d] = t->bytes[d] - m->bytes[d];
		r.start_ms[d] = flow_log_wall_ms(m->begun_ms);
		r.end_ms[d] = flow_log_wall_ms(
			is_after(t->seen_ms[d], m->begun_ms) ? t->seen_ms[d] : m->begun_ms);
		r.tcp_flags[d] = t->proto == IPPROTO_TCP ? tcp_flags(t->tcp_bits[d]) : 0;
	}
	flow_sink_put(log->sink, &r);
}

static uint8_t event_of(const struct flow_told *t, bool created)
{
	bool v4 = ip_addr_is_v4(&t->src), post4 = ip_addr_is_v4(&t->post_src);

	if (v4 && post4)
		return created ? FLOW_NAT44_CREATED : FLOW_NAT44_DELETED;
	if (!v4 && post4)
		return created ? FLOW_NAT64_CREATED : FLOW_NAT64_DELETED;
	return FLOW_NAT_NONE;
}

static void report_event(const struct flow_log *log, const struct flow_told *t,
	const struct flow_end_of ends[2], bool created, uint32_t at_ms)
{
	uint8_t event = event_of(t, created);
	struct flow_record r;

	if (event == FLOW_NAT_NONE)
		return;
	describe(log, &r, t, ends);
	if (!flow_log_is_sampled(log, &r))
		return;
	r.nat_event = event;
	r.start_ms[0] = flow_log_wall_ms(at_ms);
	flow_sink_put(log->sink, &r);
}

/* ---- Both together ---- */

static bool has_moved(const struct flow_mark *m, const struct flow_told *t)
{
	return m->packets[0] != (uint32_t)t->packets[0] || m->packets[1] != (uint32_t)t->packets[1];
}

static void tell_nat(const struct flow_log *log, struct flow_mark *m, const struct flow_told *t,
	const struct flow_end_of ends[2], bool ended)
{
	if (!log->nat_events || !log->accepted || !t->nat ||
		!(m->flags & (FLOW_MARK_SCOPE | FLOW_MARK_SCOPE << 1)))
		return;
	if (!(m->flags & FLOW_MARK_NAT_TOLD))
		report_event(log, t, ends, true, m->begun_ms);
	m->flags |= FLOW_MARK_NAT_TOLD;
	if (ended)
		report_event(log, t, ends, false, clock_ms());
}

/* Of a log that leaves: nothing that began since, and nothing twice. */
static bool is_past(const struct flow_log *log, const struct flow_mark *m, uint32_t created_ms)
{
	if (!log->leaving)
		return false;
	return m->flags & FLOW_MARK_KNOWN ? m->flags & FLOW_MARK_LAST
					  : is_after(created_ms, log->left.ms);
}

/* What it has carried since it was last spoken of, if that was this node's to say; then who is to from now on. */
static void settle_flow(const struct flow_log *log, struct flow_mark *m, const struct flow_told *t,
	const struct flow_end_of ends[2])
{
	if (log->accepted && (m->flags & FLOW_MARK_OURS) && has_moved(m, t))
		report_flow(log, m, t, ends);
	judge(log, m, t, ends);
	mark_counters(m, t->packets, t->bytes);
	m->begun_ms = clock_ms();
	if (log->leaving)
		m->flags |= FLOW_MARK_LAST;
}

/* What a log has not said of a session yet. */
static void settle(const struct flow_log *log, const struct flow_told *t, bool due, bool ended)
{
	struct flow_mark *m = mark_of(log, t->index, t->created_ms);
	struct flow_end_of ends[2];

	if (is_past(log, m, t->created_ms))
		return;
	if (is_behind(m, t))
		m->flags = 0;
	ends_of(t, ends);
	if (!(m->flags & FLOW_MARK_KNOWN))
		begin(log, m, t, ends);
	m->flags &= ~FLOW_MARK_FRESH;
	tell_nat(log, m, t, ends, ended);
	if (due)
		settle_flow(log, m, t, ends);
	if (ended)
		m->flags = 0;
}

void flow_watch_told(const struct flow_told *t)
{
	struct flow_log *log;

	FLOW_LOGS_FOREACH(t->logs, log)
	settle(log, t, true, true);
}

void flow_watch_resumed(const struct flow_told *t)
{
	struct flow_log *log;

	FLOW_LOGS_FOREACH(t->logs, log)
	resume(log, t);
}

uint32_t flow_watch_turns(void)
{
	return turns;
}

/* ---- The hand ---- */

static bool counters_moved(const struct flow_mark *m, uint32_t index)
{
	for (unsigned int d = 0; d < 2; d++)
		if (m->packets[d] != (uint32_t)atomic_load_explicit(
					     &session_hots[d][index].packets, memory_order_relaxed))
			return true;
	return false;
}

static bool is_closed(uint32_t index)
{
	return session_key_proto(&session_dir_of(index << 1)->key) == IPPROTO_TCP &&
	       tcp_state_of(index) >= TCP_TIME_WAIT;
}

static bool has_changed_place(const struct flow_mark *m, uint32_t index)
{
	const struct session_dir *d = session_dir_of(index << 1);

	return d->in != m->in || d->out != m->out;
}

enum look { LOOK_NOTHING, LOOK_FIRST, LOOK_DUE };

/* Is there anything to say of a session? Most often there is not. */
static enum look look_at(const struct flow_log *log, uint32_t index, uint32_t now_ms)
{
	uint32_t created_ms = session_colds[index].created_ms;
	struct flow_mark *m = mark_of(log, index, created_ms);
	bool due;

	if (!(m->flags & FLOW_MARK_KNOWN)) {
		flow_ring_drain(); /* who made it may have said what it goes on from */
		mark_of(log, index, created_ms);
	}
	if (is_past(log, m, created_ms))
		return LOOK_NOTHING;
	if (!(m->flags & FLOW_MARK_KNOWN))
		return log->leaving ? LOOK_DUE : LOOK_FIRST;
	if (has_changed_place(m, index))
		return LOOK_DUE;
	if (m->flags & FLOW_MARK_FRESH)
		return LOOK_FIRST;
	due = log->leaving || (int32_t)(now_ms - m->begun_ms) >= (int32_t)log->interval_ms;
	if (!due && !is_closed(index))
		return LOOK_NOTHING;
	if (counters_moved(m, index))
		return LOOK_DUE;
	m->begun_ms = due ? now_ms : m->begun_ms;
	return LOOK_NOTHING;
}

static void visit(uint32_t index, uint32_t now_ms)
{
	uint64_t bits = bits_of(index);
	struct flow_log *log;
	struct flow_told t;
	bool told = false;

	FLOW_LOGS_FOREACH(bits, log)
	{
		enum look look = look_at(log, index, now_ms);

		if (look == LOOK_NOTHING)
			continue;
		if (!told)
			tell_of(&t, index);
		told = true;
		t.end = t.closed       ? FLOW_END_DETECTED
			: log->leaving ? FLOW_END_FORCED
				       : FLOW_END_ACTIVE;
		settle(log, &t, look == LOOK_DUE || t.closed, false);
	}
}

static void turned(uint32_t now_ms)
{
	turns++;
	last_turn_ms = turn_ms;
	turn_ms = now_ms;
}

static void tell_end_of(struct flow_told *t, uint32_t index, bool timed_out)
{
	tell_of(t, index);
	t->end = t->closed ? FLOW_END_DETECTED : timed_out ? FLOW_END_IDLE : FLOW_END_FORCED;
}

static void ended(uint32_t index, bool timed_out)
{
	struct flow_told t;

	if (bits_of(index) == 0)
		return;
	tell_end_of(&t, index, timed_out);
	if (worker_self == NULL)
		flow_watch_told(&t);
	else if (!flow_ring_put(&t))
		flow_ring_count_lost(t.logs);
}

/* The other one tells what it has carried so far. On a worker this goes the same way as that, and behind it. */
static void resumed(uint32_t index)
{
	struct flow_told t;

	if (bits_of(index) == 0)
		return;
	tell_of(&t, index);
	t.kind = FLOW_TOLD_RESUMED;
	if (worker_self != NULL) {
		(void)flow_ring_put(&t); /* without room begin() takes it for a new one */
		return;
	}
	flow_ring_drain(); /* what the index's last session had to say */
	flow_watch_resumed(&t);
}

static const struct session_watcher watcher = {
	.begin = flow_ring_drain,
	.visit = visit,
	.turned = turned,
	.end = ended,
	.resumed = resumed,
};

void flow_watch_start(void)
{
	if (session_watched() != NULL)
		return;
	turn_ms = last_turn_ms = clock_ms();
	vnic_on_removal(flow_scope_left);
	atomic_store_explicit(&session_watcher, &watcher, memory_order_release);
}

void flow_watch_tell_all(void)
{
	struct flow_told t;

	rcu_read_enter();
	flow_ring_drain();
	for (uint32_t i = 0; i < session_high_water(); i++) {
		if (!session_alive(i) || bits_of(i) == 0)
			continue;
		tell_end_of(&t, i, false);
		flow_watch_told(&t);
	}
	rcu_read_leave();
}

void flow_watch_stop(void)
{
	atomic_store_explicit(&session_watcher, NULL, memory_order_release);
}
