/* SPDX-License-Identifier: Apache-2.0 */
/* Denied flows: each worker adds them up in a small table of its own.
 *
 * An entry is a flow that was refused lately. Another flow of the same place takes it over, and the entry's figures go to the control
 * thread by the ring; so a flood of flows costs a bounded table and a bounded ring, and what is too much for the ring is lost and
 * counted. The control thread reads the entries that stay, a part of them each tick: `generation` is odd while the worker
 * changes whose entry it is, and differs from what it was when it has.
 */
#include <errno.h>
#include <string.h>

#include "flow_log/flow_log_internal.h"
#include "forward/parse.h"
#include "port/port.h"
#include "session/memory.h"
#include "session/session.h"

#define ENTRIES 2048u
/* Refused again after so long, it is another flow. */
#define SILENT_MS 60000u
/* The control thread has looked at all entries after so many turns of flow_denied_turn(): about a second. */
#define TURNS 100u

struct entry {
	_Atomic uint32_t generation; /* 0: never used */
	_Atomic uint32_t last_ms;
	_Atomic uint64_t packets, bytes;
	struct ip_addr src, dst;
	loc_t in, out;
	uint32_t vpc_index, receiver; /* the VPCs of who sent and who would have got it */
	uint32_t first_ms;
	rte_be16_t sport, dport;
	uint8_t proto, reason;
} __rte_cache_aligned;

static struct entry *_Atomic tables; /* [worker][ENTRIES], from the first log on */
static uint32_t turns;

size_t flow_denied_entries(void)
{
	return (size_t)worker_count * ENTRIES;
}

int flow_denied_init(void)
{
	struct entry *made = rcu_ptr_get(tables);

	if (made != NULL)
		return 0;
	made = memory_map(flow_denied_entries() * sizeof(*made), false);
	rcu_ptr_set(tables, made);
	return made != NULL ? 0 : -ENOMEM;
}

/* ---- Workers ---- */

/* What is refused by rules or for want of a way, not what is broken or the node's own fault. */
static bool is_denial(enum drop_reason reason)
{
	switch (reason) {
	case DROP_SPOOFED:
	case DROP_NO_ROUTE:
	case DROP_BLACKHOLE:
	case DROP_WRONG_VTEP:
	case DROP_POLICY_INGRESS:
	case DROP_POLICY_EGRESS:
	case DROP_NO_SESSION:
	case DROP_SESSION_TABLE_FULL:
	case DROP_SESSION_SHARE:
	case DROP_SESSION_UNANSWERED:
	case DROP_RATE_LIMITED:
	case DROP_NAT_EXHAUSTED:
	case DROP_NAT_FILTERED:
	case DROP_EIP_DENIED:
	case DROP_LB_NOT_ALLOWED:
	case DROP_LB_NO_BACKEND:
	case DROP_LB_NO_LISTENER:
		return true;
	default:
		return false;
	}
}

/* Where the receiver's rules refused it: the port that would have got it, and its VPC. */
static void set_receiver(struct entry *e, const struct pkt *p)
{
	const struct port *port =
		p->reason == DROP_POLICY_INGRESS && p->out != LOC_NONE && loc_is_port(p->out)
			? port_get(loc_index(p->out))
			: NULL;

	e->out = port != NULL ? p->out : LOC_NONE;
	e->receiver = port != NULL ? port->vpc_index : p->vpc;
}

static uint64_t logs_of(uint32_t vpc_index, uint32_t receiver)
{
	return flow_log_bits(vpc_index) | flow_log_bits(receiver);
}

static void told_of(
	const struct entry *e, unsigned int at, uint32_t generation, struct flow_told *t)
{
	*t = (struct flow_told){.kind = FLOW_TOLD_DENIED,
		.worker = (uint8_t)(at / ENTRIES),
		.index = at % ENTRIES,
		.created_ms = generation,
		.vpc = {e->vpc_index, e->receiver},
		.in = e->in,
		.out = e->out,
		.first_ms = e->first_ms,
		.src = e->src,
		.dst = e->dst,
		.post_src = e->src,
		.post_dst = e->dst,
		.sport = e->sport,
		.dport = e->dport,
		.post_sport = e->sport,
		.post_dport = e->dport,
		.proto = e->proto,
		.reason = e->reason};
	t->packets[0] = atomic_load_explicit(&e->packets, memory_order_relaxed);
	t->bytes[0] = atomic_load_explicit(&e->bytes, memory_order_relaxed);
	t->seen_ms[0] = atomic_load_explicit(&e->last_ms, memory_order_relaxed);
	t->logs = logs_of(t->vpc[0], t->vpc[1]);
}

static void hand_over(const struct entry *e, unsigned int at, uint32_t generation)
{
	struct flow_told t;

	told_of(e, at, generation, &t);
	if (t.logs != 0 && !flow_ring_put(&t))
		flow_ring_count_lost(t.logs);
}

static bool is_of(const struct entry *e, const struct entry *wanted)
{
	return e->in == wanted->in && e->vpc_index == wanted->vpc_index &&
	       e->proto == wanted->proto && e->reason == wanted->reason &&
	       e->sport == wanted->sport && e->dport == wanted->dport &&
	       ip_addr_equal(&e->src, &wanted->src) && ip_addr_equal(&e->dst, &wanted->dst);
}

static void take_over(
	struct entry *e, unsigned int at, const struct entry *wanted, uint32_t generation)
{
	if (generation != 0)
		hand_over(e, at, generation);
	atomic_store_explicit(&e->generation, generation + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	e->src = wanted->src;
	e->dst = wanted->dst;
	e->in = wanted->in;
	e->out = wanted->out;
	e->vpc_index = wanted->vpc_index;
	e->receiver = wanted->receiver;
	e->first_ms = worker_self->now_ms;
	e->sport = wanted->sport;
	e->dport = wanted->dport;
	e->proto = wanted->proto;
	e->reason = wanted->reason;
	atomic_store_explicit(&e->packets, 0, memory_order_relaxed);
	atomic_store_explicit(&e->bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&e->last_ms, worker_self->now_ms, memory_order_relaxed);
	atomic_store_explicit(
		&e->generation, generation + 2 != 0 ? generation + 2 : 2, memory_order_release);
}

/* ICMP's type and code are where a session's key has them. */
static void set_ports(struct entry *e, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp;

	if (!(p->flags & PKT_F_L4))
		return;
	e->sport = p->sport;
	e->dport = p->dport;
	if (p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6)
		return;
	icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	e->dport = rte_cpu_to_be_16((uint16_t)(icmp[0] << 8 | icmp[1]));
}

/* ARP, too, may come above a rate. */
static bool is_ip(const struct rte_mbuf *m)
{
	rte_be16_t type = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->ether_type;

	return type == RTE_BE16(RTE_ETHER_TYPE_IPV4) || type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

void flow_log_denied(const struct rte_mbuf *m, const struct pkt *p)
{
	struct entry wanted = {
		.in = p->in, .vpc_index = p->vpc, .proto = p->proto, .reason = p->reason};
	struct entry *table = rcu_ptr_get(tables), *e;
	uint32_t generation;
	unsigned int at;
	uint64_t hash;

	if (table == NULL || !is_denial((enum drop_reason)p->reason) || !is_ip(m) ||
		(p->flags & (PKT_F_LATER | PKT_F_ICMP_ERROR)))
		return;
	set_receiver(&wanted, p);
	if (logs_of(wanted.vpc_index, wanted.receiver) == 0)
		return;
	parse_addrs(m, p, &wanted.src, &wanted.dst);
	set_ports(&wanted, m, p);
	hash = session_mix(wanted.src.q[1] ^ session_seed[0] ^ wanted.src.q[0],
		wanted.dst.q[1] ^ session_seed[1] ^ wanted.dst.q[0] ^
			((uint64_t)wanted.sport << 40 | (uint64_t)wanted.dport << 16 |
				wanted.proto));
	at = worker_self->id * ENTRIES + (unsigned int)(hash % ENTRIES);
	e = &table[at];
	generation = atomic_load_explicit(&e->generation, memory_order_relaxed);
	if (generation == 0 || !is_of(e, &wanted) ||
		worker_self->now_ms - atomic_load_explicit(&e->last_ms, memory_order_relaxed) >=
			SILENT_MS)
		take_over(e, at, &wanted, generation);
	atomic_store_explicit(&e->bytes,
		atomic_load_explicit(&e->bytes, memory_order_relaxed) + p->l3_len,
		memory_order_relaxed);
	atomic_store_explicit(&e->last_ms, worker_self->now_ms, memory_order_relaxed);
	atomic_store_explicit(&e->packets,
		atomic_load_explicit(&e->packets, memory_order_relaxed) + 1, memory_order_release);
}

/* ---- The control thread ---- */

static void report(
	const struct flow_log *log, const struct flow_told *t, const struct flow_denied_mark *m)
{
	struct flow_end_of ends[2] = {{t->vpc[0], t->in, t->src}, {t->vpc[1], t->out, t->dst}};
	bool sent = flow_end_is_here(&ends[0]) && flow_scope_of(log, &ends[0]) == FLOW_INSIDE;
	bool meant = flow_end_is_here(&ends[1]) && flow_scope_of(log, &ends[1]) == FLOW_INSIDE;
	struct flow_record r = {.proto = t->proto, .reason = t->reason};

	if (!sent && !meant)
		return;
	r.src = r.post_src = t->src;
	r.dst = r.post_dst = t->dst;
	r.sport = r.post_sport = t->sport;
	r.dport = r.post_dport = t->dport;
	flow_scope_describe(log, &r, ends);
	if (!flow_log_is_sampled(log, &r))
		return;
	r.packets[0] = t->packets[0] - m->packets;
	r.bytes[0] = t->bytes[0] - m->bytes;
	r.start_ms[0] = flow_log_wall_ms(m->begun_ms);
	r.end_ms[0] = flow_log_wall_ms(
		(int32_t)(t->seen_ms[0] - m->begun_ms) > 0 ? t->seen_ms[0] : m->begun_ms);
	flow_sink_put(log->sink, &r);
}

/* One whose port, or whose log, goes is told a last time. */
static bool is_last(const struct flow_log *log, const struct flow_told *t)
{
	struct flow_end_of ends[2] = {{.where = t->in}, {.where = t->out}};

	return log->leaving || flow_end_has_left(&ends[0]) || flow_end_has_left(&ends[1]);
}

/* `ended`: the entry is another flow's by now. What was read before that was told says less than is known already. */
static void settle(struct flow_log *log, const struct flow_told *t, bool ended, uint32_t now_ms)
{
	struct flow_denied_mark *m = &log->denied_marks[t->worker * ENTRIES + t->index];

	if (m->generation != t->created_ms) {
		if (log->leaving && (int32_t)(t->first_ms - log->left.ms) > 0)
			return;
		*m = (struct flow_denied_mark){
			.generation = t->created_ms, .begun_ms = t->first_ms};
		/* From before the log was made, or somewhere in between: it counts from now on. */
		if ((int32_t)(log->since_ms - t->first_ms) > 0) {
			m->packets = t->packets[0];
			m->bytes = t->bytes[0];
		}
	}
	if (!ended && (int32_t)(now_ms - m->begun_ms) < (int32_t)log->interval_ms &&
		!is_last(log, t))
		return;
	if ((int64_t)(t->packets[0] - m->packets) <= 0) {
		m->begun_ms = now_ms;
		return;
	}
	if (log->denied)
		report(log, t, m);
	m->packets = t->packets[0];
	m->bytes = t->bytes[0];
	m->begun_ms = now_ms;
}

void flow_denied_told(const struct flow_told *t)
{
	struct flow_log *log;

	FLOW_LOGS_FOREACH(t->logs, log)
	settle(log, t, true, clock_ms());
}

/* The entry as it stands; false: it changes, is nobody's, or of no log. */
static bool read_entry(const struct entry *e, unsigned int at, struct flow_told *t)
{
	uint32_t generation = atomic_load_explicit(&e->generation, memory_order_acquire);

	if (generation == 0 || generation % 2 != 0)
		return false;
	(void)atomic_load_explicit(&e->packets, memory_order_acquire);
	told_of(e, at, generation, t);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&e->generation, memory_order_relaxed) == generation &&
	       t->logs != 0 && t->packets[0] != 0;
}

void flow_denied_turn(uint32_t now_ms, bool all)
{
	static size_t at;
	struct entry *table = rcu_ptr_get(tables);
	size_t n = flow_denied_entries(), slice = all ? n : n / TURNS + 1;
	struct flow_log *log;
	struct flow_told t;

	if (table == NULL)
		return;
	for (; slice > 0; slice--, at = (at + 1) % n) {
		turns += at == 0;
		if (!read_entry(&table[at], (unsigned int)at, &t))
			continue;
		/* Whose entry it was before has been told by the ring, and must be heard first; whose it may be since then, later. */
		flow_ring_drain();
		if (atomic_load_explicit(&table[at].generation, memory_order_acquire) !=
			t.created_ms)
			continue;
		FLOW_LOGS_FOREACH(t.logs, log)
		settle(log, &t, all, now_ms);
	}
}

uint32_t flow_denied_turns(void)
{
	return turns;
}
