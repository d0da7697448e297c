/* SPDX-License-Identifier: Apache-2.0 */
/* The uncommon segments: handshakes, ends, resets, and what does not fit. */
#include "session/tcp.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>

/* RFC 7323 2.3: larger shifts count as this. */
#define WSCALE_MAX 14
/* RFC 7413: a SYN may carry data, which its SYN-ACK need not acknowledge. */
#define SYN_DATA_MAX 9216u
#define UNSCALED_MAX 65535u
/* Of a connection that was picked up, so much may have passed before. With the largest window it must stay below half of all numbers. */
#define PICKED_UP_SLACK (1u << 29)
_Static_assert(
	(uint64_t)PICKED_UP_SLACK + TCP_ACK_LAG + ((uint64_t)UINT16_MAX << WSCALE_MAX) < INT32_MAX,
	"what is behind is not taken for ahead");

/* A segment in host order. */
struct segment {
	uint32_t seq, ack;
	uint32_t data_end; /* behind the last byte of data */
	uint32_t end;      /* with SYN and FIN, which take a number each */
	uint16_t win;
	uint8_t flags; /* SYN, FIN, RST, ACK */
	const struct rte_tcp_hdr *tcp;
};

/* One side, as it was when the segment came. */
struct side {
	struct session_hot *hot;
	uint8_t bits;
	uint32_t end, edge, win; /* win: scaled */
	uint32_t shift;
};

/* SYNs that passed although a connection stood: ref << 32 | end. Who has lost the connection answers them, and that answer names the
 * SYN. Two that share an entry push each other out: a SYN is sent again. */
#define ASKED_ENTRIES 4096
static _Atomic uint64_t asked[ASKED_ENTRIES];

static const char *const state_names[TCP_STATE_MAX] = {
	[TCP_SYN_SENT] = "syn_sent",
	[TCP_SYN_RECEIVED] = "syn_received",
	[TCP_ESTABLISHED] = "established",
	[TCP_FIN_WAIT] = "fin_wait",
	[TCP_CLOSE_WAIT] = "close_wait",
	[TCP_LAST_ACK] = "last_ack",
	[TCP_TIME_WAIT] = "time_wait",
	[TCP_CLOSED] = "closed",
};

const char *tcp_state_name(enum tcp_state state)
{
	return state_names[state];
}

static enum tcp_state state_ending(uint8_t a, uint8_t b)
{
	uint8_t both = a & b, either = a | b;

	if (both & TCP_FIN)
		return both & TCP_ACKED_FIN ? TCP_TIME_WAIT : TCP_LAST_ACK;
	return either & TCP_ACKED_FIN ? TCP_CLOSE_WAIT : TCP_FIN_WAIT;
}

/* What the two sides have done, in any order of the two. */
static enum tcp_state state_of(uint8_t a, uint8_t b)
{
	uint8_t both = a & b, either = a | b;

	if (either & TCP_RST)
		return TCP_CLOSED;
	if (!(both & TCP_SYN))
		return TCP_SYN_SENT;
	if (either & TCP_FIN)
		return state_ending(a, b);
	return both & TCP_ACKED_SYN ? TCP_ESTABLISHED : TCP_SYN_RECEIVED;
}

static inline uint8_t bits_of(const struct session_hot *hot)
{
	/* Acquire: what the bits speak of was stored before. */
	return atomic_load_explicit(&hot->tcp_bits, memory_order_acquire);
}

enum tcp_state tcp_state_of(uint32_t index)
{
	return state_of(bits_of(&session_hots[0][index]), bits_of(&session_hots[1][index]));
}

bool tcp_is_one_sided(uint32_t index)
{
	return (bits_of(&session_hots[0][index]) | bits_of(&session_hots[1][index])) &
	       TCP_MIDSTREAM;
}

static bool flags_possible(uint8_t flags)
{
	switch (flags) {
	case RTE_TCP_SYN_FLAG:
	case RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG:
	case RTE_TCP_RST_FLAG:
	case RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG:
	case RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG:
	case RTE_TCP_ACK_FLAG:
		return true;
	default:
		return false;
	}
}

static enum drop_reason segment_of(
	struct segment *seg, const struct rte_tcp_hdr *tcp, uint32_t l4_len)
{
	uint32_t header = (uint32_t)(tcp->data_off >> 4) * 4;

	if (header < sizeof(*tcp) || header > l4_len)
		return DROP_MALFORMED;
	seg->tcp = tcp;
	seg->flags = tcp->tcp_flags &
		     (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG);
	seg->seq = rte_be_to_cpu_32(tcp->sent_seq);
	seg->ack = rte_be_to_cpu_32(tcp->recv_ack);
	seg->win = rte_be_to_cpu_16(tcp->rx_win);
	seg->data_end = seg->seq + l4_len - header + !!(seg->flags & RTE_TCP_SYN_FLAG);
	seg->end = seg->data_end + !!(seg->flags & RTE_TCP_FIN_FLAG);
	return flags_possible(seg->flags) ? DROP_NONE : DROP_TCP_STATE;
}

/* The window scale option of a SYN (RFC 7323 2.2), or -1. */
static int wscale_of(const struct rte_tcp_hdr *tcp)
{
	const uint8_t *opt = (const uint8_t *)(tcp + 1);
	const uint8_t *end = (const uint8_t *)tcp + (tcp->data_off >> 4) * 4;

	while (opt < end && opt[0] != 0) {
		if (opt[0] == 1) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return -1;
		if (opt[0] == 3 && opt[1] == 3)
			return RTE_MIN(opt[2], WSCALE_MAX);
		opt += opt[1];
	}
	return -1;
}

static void side_read(struct side *side, struct session_hot *hot)
{
	side->hot = hot;
	side->bits = bits_of(hot);
	side->end = atomic_load_explicit(&hot->tcp_end, memory_order_relaxed);
	side->edge = atomic_load_explicit(&hot->tcp_edge, memory_order_relaxed);
}

/* Scaling holds when both have offered it. */
static void sides_scale(struct side *s, struct side *r)
{
	struct side *const sides[] = {s, r};

	for (unsigned int i = 0; i < 2; i++) {
		struct session_hot *hot = sides[i]->hot;

		sides[i]->shift =
			s->bits & r->bits & TCP_SCALE
				? atomic_load_explicit(&hot->tcp_wscale, memory_order_relaxed)
				: 0;
		sides[i]->win = (uint32_t)atomic_load_explicit(&hot->tcp_win, memory_order_relaxed)
				<< sides[i]->shift;
	}
}

static void side_set_bits(struct side *side, uint8_t bits)
{
	side->bits = bits;
	atomic_store_explicit(&side->hot->tcp_bits, bits, memory_order_release);
}

static void side_set_end(struct side *side, uint32_t end)
{
	side->end = end;
	atomic_store_explicit(&side->hot->tcp_end, end, memory_order_relaxed);
}

static void side_set_edge(struct side *side, uint32_t edge)
{
	side->edge = edge;
	atomic_store_explicit(&side->hot->tcp_edge, edge, memory_order_relaxed);
}

/* A zero window still takes a probe of one byte (RFC 9293 3.8.6.1). */
static inline uint32_t edge_of(const struct segment *seg, uint32_t shift)
{
	return seg->ack + RTE_MAX((uint32_t)seg->win << shift, 1u);
}

/* A side begins with this SYN. The window of a SYN is never scaled (RFC 7323 2.2); kept as if it were, since that is
 * how all later ones are read. */
static void side_open(struct side *s, const struct segment *seg)
{
	int wscale = wscale_of(seg->tcp);
	unsigned int shift = wscale < 0 ? 0 : (unsigned int)wscale;
	uint8_t bits = TCP_SYN;

	atomic_store_explicit(&s->hot->tcp_wscale, (uint8_t)shift, memory_order_relaxed);
	atomic_store_explicit(&s->hot->tcp_win, (uint16_t)((seg->win + (1u << shift) - 1) >> shift),
		memory_order_relaxed);
	side_set_end(s, seg->end);
	if (wscale >= 0)
		bits |= TCP_SCALE;
	if (seg->flags & RTE_TCP_ACK_FLAG) {
		bits |= TCP_ACKED_SYN;
		side_set_edge(s, edge_of(seg, 0));
	}
	side_set_bits(s, bits);
}

/* How far s may send: what r has granted, or before r has acknowledged anything, an initial window. */
static uint32_t limit_of(const struct side *s, const struct side *r)
{
	return r->bits & TCP_ACKED_SYN ? r->edge : s->end + RTE_MAX(r->win, UNSCALED_MAX);
}

static bool ack_fits(const struct side *s, const struct side *r, const struct segment *seg)
{
	uint32_t slack = (s->bits | r->bits) & TCP_PICKED_UP ? PICKED_UP_SLACK : 0;

	if (r->bits & TCP_MIDSTREAM)
		return true; /* nothing known of what it has sent */
	return !tcp_after(seg->ack, r->end + slack) &&
	       !tcp_after(r->end - s->win - TCP_ACK_LAG - slack, seg->ack);
}

static bool in_window(const struct side *s, const struct side *r, const struct segment *seg)
{
	if (!ack_fits(s, r, seg))
		return false;
	if ((s->bits | r->bits) & TCP_MIDSTREAM)
		return true;
	return !tcp_after(seg->data_end, limit_of(s, r)) &&
	       !tcp_after(s->end - RTE_MAX(r->win, 1u), seg->data_end);
}

static enum drop_reason ask(uint32_t ref, const struct segment *syn)
{
	if (session_dir_of(ref)->flags & SESSION_F_NO_REUSE)
		return DROP_STALE;
	atomic_store_explicit(
		&asked[ref % ASKED_ENTRIES], (uint64_t)ref << 32 | syn->end, memory_order_relaxed);
	return DROP_NONE;
}

/* What was asked in an earlier session of that number is not this one's. */
static void forget_asked(uint32_t ref)
{
	for (uint32_t side = 0; side < 2; side++) {
		_Atomic uint64_t *entry = &asked[(ref ^ side) % ASKED_ENTRIES];

		if (atomic_load_explicit(entry, memory_order_relaxed) >> 32 == (ref ^ side))
			atomic_store_explicit(entry, 0, memory_order_relaxed);
	}
}

/* Is it the answer to a SYN that ended there? It need not acknowledge data. */
static bool acks_syn(const struct segment *seg, uint32_t end)
{
	return !tcp_after(seg->ack, end) && !tcp_after(end - SYN_DATA_MAX, seg->ack);
}

/* The other side of `ref` has asked for a new connection, which this agrees to or refuses. Once. */
static bool is_answer(uint32_t ref, const struct segment *seg)
{
	_Atomic uint64_t *entry = &asked[(ref ^ 1) % ASKED_ENTRIES];
	uint64_t syn = atomic_load_explicit(entry, memory_order_relaxed);

	if (syn == 0 || !(seg->flags & RTE_TCP_ACK_FLAG) || syn >> 32 != (ref ^ 1) ||
		!acks_syn(seg, (uint32_t)syn))
		return false;
	atomic_store_explicit(entry, 0, memory_order_relaxed);
	return true;
}

/* SYN. In an open connection it passes and changes nothing: the receiver answers with a challenge, and if the
 * sender has lost its state it will reset (RFC 9293 3.10.7.4). If it is the receiver that has lost it, its answer tells. A receiver that
 * takes no new connections may never answer: another one is asked. */
static enum drop_reason track_syn(
	uint32_t ref, struct side *s, struct side *r, const struct segment *seg)
{
	switch (state_of(s->bits, r->bits)) {
	case TCP_TIME_WAIT:
	case TCP_CLOSED:
		return DROP_STALE;
	case TCP_SYN_SENT: /* sent again, perhaps by a new socket; or simultaneous open */
		side_open(s, seg);
		return DROP_NONE;
	case TCP_SYN_RECEIVED:
		if ((s->bits & TCP_ACKED_SYN) || seg->end != s->end)
			return ask(ref, seg);
		side_open(s, seg);
		return DROP_NONE;
	default:
		return ask(ref, seg);
	}
}

/* s knew of no connection and agrees to r's SYN, of which only the end was kept: its scale is taken for the largest. Nothing else of r is on
 * its way, so its side is nobody's but ours. */
static void open_again(struct side *s, struct side *r, const struct segment *seg)
{
	atomic_store_explicit(&r->hot->tcp_wscale, WSCALE_MAX, memory_order_relaxed);
	atomic_store_explicit(&r->hot->tcp_win, UINT16_MAX, memory_order_relaxed);
	side_set_end(r, seg->ack);
	side_set_bits(r, TCP_SYN | TCP_SCALE | TCP_PICKED_UP);
	side_open(s, seg);
}

static enum drop_reason track_syn_ack(
	uint32_t ref, struct side *s, struct side *r, const struct segment *seg)
{
	enum tcp_state state = state_of(s->bits, r->bits);

	if (!(r->bits & TCP_SYN))
		return DROP_TCP_STATE;
	if ((s->bits & TCP_SYN) && !acks_syn(seg, r->end) && is_answer(ref, seg)) {
		open_again(s, r, seg);
		return DROP_NONE;
	}
	if (state == TCP_SYN_SENT || state == TCP_SYN_RECEIVED) {
		if (!acks_syn(seg, r->end))
			return DROP_TCP_STATE;
		/* Of a SYN cookie another one each time, until one is acknowledged. */
		if (!(r->bits & TCP_ACKED_SYN) || seg->end == s->end)
			side_open(s, seg);
		return DROP_NONE;
	}
	return in_window(s, r, seg) ? DROP_NONE : DROP_TCP_STATE;
}

/* RST of the initiator before an answer, or of the responder that refuses. */
static enum drop_reason track_rst_early(struct side *s, struct side *r, const struct segment *seg)
{
	if (s->bits & TCP_SYN) {
		/* Another number: to the challenge of an older connection; the SYN comes again. */
		if (seg->seq == s->end)
			side_set_bits(s, s->bits | TCP_RST);
		return DROP_NONE;
	}
	if (!(seg->flags & RTE_TCP_ACK_FLAG) || tcp_after(seg->ack, r->end) ||
		!tcp_after(seg->ack, r->end - SYN_DATA_MAX))
		return DROP_TCP_STATE;
	side_set_bits(s, s->bits | TCP_RST);
	return DROP_NONE;
}

/* RST, RFC 5961 3.2: outside the window it is dropped. Inside, it ends the connection where the receiver must believe it: between
 * what the receiver has acknowledged and what the sender has sent. Beyond, it passes, and the receiver asks. */
static enum drop_reason track_rst(
	uint32_t ref, struct side *s, struct side *r, const struct segment *seg)
{
	uint32_t low;

	if (!(s->bits & r->bits & TCP_SYN))
		return track_rst_early(s, r, seg);
	if (is_answer(ref, seg)) { /* knows of no connection, and refuses the new one */
		side_set_bits(s, s->bits | TCP_RST);
		return DROP_NONE;
	}
	if ((s->bits | r->bits) & TCP_MIDSTREAM) {
		if (s->bits & TCP_MIDSTREAM || seg->seq != s->end)
			return DROP_TCP_STATE; /* no window is known to be in */
	} else {
		low = r->bits & TCP_ACKED_SYN ? r->edge - RTE_MAX(r->win, 1u) : s->end - 1;
		if (tcp_after(low, seg->seq) || tcp_after(seg->seq, limit_of(s, r)))
			return DROP_TCP_STATE;
	}
	/* TIME-WAIT is not cut short (RFC 1337). */
	if (!tcp_after(seg->seq, s->end) && state_of(s->bits, r->bits) != TCP_TIME_WAIT)
		side_set_bits(s, s->bits | TCP_RST);
	return DROP_NONE;
}

static void learn(struct side *s, const struct segment *seg)
{
	side_set_end(s, seg->end);
	side_set_edge(s, edge_of(seg, s->shift));
	atomic_store_explicit(&s->hot->tcp_win, seg->win, memory_order_relaxed);
	s->bits &= (uint8_t)~TCP_MIDSTREAM;
}

static void advance(struct side *s, const struct segment *seg)
{
	uint32_t edge = edge_of(seg, s->shift);

	if (tcp_after(seg->end, s->end))
		side_set_end(s, seg->end);
	if (!(s->bits & TCP_ACKED_SYN) || tcp_after(edge, s->edge))
		side_set_edge(s, edge);
	if ((uint32_t)seg->win << s->shift > s->win)
		atomic_store_explicit(&s->hot->tcp_win, seg->win, memory_order_relaxed);
}

/* Data, acknowledgements, FIN. */
static enum drop_reason track_data(struct side *s, struct side *r, const struct segment *seg)
{
	uint8_t before = s->bits, bits;

	if (!(s->bits & TCP_SYN)) /* an older connection's answer to the SYN: it will be reset */
		return seg->end == seg->seq ? DROP_NONE : DROP_TCP_STATE;
	if (!(r->bits & TCP_SYN) || !in_window(s, r, seg))
		return DROP_TCP_STATE;
	if ((s->bits & TCP_FIN) && tcp_after(seg->end, s->end))
		return DROP_TCP_STATE;
	if (s->bits & TCP_MIDSTREAM)
		learn(s, seg);
	else
		advance(s, seg);
	bits = s->bits | TCP_ACKED_SYN;
	if (seg->flags & RTE_TCP_FIN_FLAG)
		bits |= TCP_FIN;
	if ((r->bits & TCP_FIN) && seg->ack == r->end)
		bits |= TCP_ACKED_FIN;
	if (bits != before)
		side_set_bits(s, bits);
	return DROP_NONE;
}

enum drop_reason tcp_track(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len)
{
	struct segment seg;
	struct side s, r;
	enum drop_reason reason = segment_of(&seg, tcp, l4_len);

	if (reason != DROP_NONE)
		return reason;
	side_read(&s, session_hot_of(ref));
	side_read(&r, session_hot_of(ref ^ 1));
	sides_scale(&s, &r);
	if (seg.flags & RTE_TCP_RST_FLAG)
		return track_rst(ref, &s, &r, &seg);
	if (seg.flags == RTE_TCP_SYN_FLAG)
		return track_syn(ref, &s, &r, &seg);
	if (seg.flags & RTE_TCP_SYN_FLAG)
		return track_syn_ack(ref, &s, &r, &seg);
	return track_data(&s, &r, &seg);
}

enum drop_reason tcp_first_ok(const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream)
{
	struct segment seg;
	enum drop_reason reason = segment_of(&seg, tcp, l4_len);

	if (reason != DROP_NONE)
		return reason;
	if (seg.flags == RTE_TCP_SYN_FLAG)
		return DROP_NONE;
	return midstream && !(seg.flags & (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG)) ? DROP_NONE
										 : DROP_NO_SESSION;
}

/* As after a handshake that nobody saw: the largest scale, for the true one is not known. */
static void pick_up(struct side *s, struct side *r, const struct segment *seg)
{
	const uint8_t bits = TCP_SYN | TCP_ACKED_SYN | TCP_SCALE | TCP_PICKED_UP;

	atomic_store_explicit(&s->hot->tcp_wscale, WSCALE_MAX, memory_order_relaxed);
	atomic_store_explicit(&r->hot->tcp_wscale, WSCALE_MAX, memory_order_relaxed);
	s->shift = WSCALE_MAX;
	learn(s, seg);
	side_set_bits(r, bits | TCP_MIDSTREAM);
	side_set_bits(s, bits | (seg->flags & RTE_TCP_FIN_FLAG ? TCP_FIN : 0));
}

void tcp_start(uint32_t ref, const struct rte_tcp_hdr *tcp, uint32_t l4_len, bool midstream)
{
	struct segment seg;
	struct side s, r;

	if (segment_of(&seg, tcp, l4_len) != DROP_NONE)
		return;
	side_read(&s, session_hot_of(ref));
	side_read(&r, session_hot_of(ref ^ 1));
	forget_asked(ref);
	if (seg.flags == RTE_TCP_SYN_FLAG)
		side_open(&s, &seg);
	else if (midstream)
		pick_up(&s, &r, &seg);
}

void tcp_fragmented(uint32_t ref)
{
	struct side s, r;

	side_read(&s, session_hot_of(ref));
	side_read(&r, session_hot_of(ref ^ 1));
	if ((r.bits & TCP_ACKED_SYN) && tcp_after(r.edge, s.end))
		side_set_end(&s, r.edge);
}
