/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/live.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_ether.h>

#include "core/node.h"
#include "core/rcu.h"

#define PROBES 16u

/* Of a slot. The control thread goes from IDLE to WAITING and from anything to IDLE; a worker from WAITING by WRITING to ENDED, and from
 * there, a tunnel's end, by WRITING to CHANGED. Two never write at once: a probe is one packet. A slot is armed again when no worker
 * can be at its last probe any more. */
enum live_state { LIVE_IDLE, LIVE_WAITING, LIVE_WRITING, LIVE_ENDED, LIVE_CHANGED };

static struct live_slot {
	_Atomic uint32_t state;
	bool deliver, used;
	uint64_t grace; /* from when it was disarmed */
	uint8_t token[LIVE_TOKEN];
	struct live_fate fate;
} slots[PROBES];

static uint32_t state_of(const struct live_slot *s)
{
	return atomic_load_explicit(&s->state, memory_order_acquire);
}

/* ---- Control thread ---- */

static bool may_be_armed(const struct live_slot *s)
{
	return state_of(s) == LIVE_IDLE && (!s->used || rcu_token_passed(s->grace));
}

int live_arm(const uint8_t token[LIVE_TOKEN], bool deliver)
{
	int free_one = -EBUSY;

	for (unsigned int i = 0; i < PROBES; i++) {
		if (may_be_armed(&slots[i]))
			free_one = (int)i;
		else if (state_of(&slots[i]) != LIVE_IDLE &&
			 memcmp(slots[i].token, token, LIVE_TOKEN) == 0)
			return (int)i;
	}
	if (free_one < 0)
		return free_one;
	memcpy(slots[free_one].token, token, LIVE_TOKEN);
	slots[free_one].deliver = deliver;
	slots[free_one].used = true;
	slots[free_one].fate = (struct live_fate){.end = LIVE_NOTHING};
	atomic_store_explicit(&slots[free_one].state, LIVE_WAITING, memory_order_release);
	observe_watch(OBSERVE_WATCH_PROBES, true);
	return free_one;
}

enum live_end live_look(int handle, struct live_fate *fate)
{
	const struct live_slot *s = &slots[handle];
	uint32_t state = state_of(s);

	*fate = (struct live_fate){.end = LIVE_NOTHING};
	if (state != LIVE_ENDED && state != LIVE_CHANGED)
		return LIVE_NOTHING;
	*fate = s->fate;
	atomic_thread_fence(memory_order_acquire);
	/* Being changed under our eyes: another look will tell. */
	if (atomic_load_explicit(&s->state, memory_order_relaxed) != state)
		*fate = (struct live_fate){.end = LIVE_NOTHING};
	return fate->end;
}

void live_disarm(int handle)
{
	atomic_store_explicit(&slots[handle].state, LIVE_IDLE, memory_order_release);
	slots[handle].grace = rcu_token();
	observe_watch(OBSERVE_WATCH_PROBES, false);
}

/* ---- Workers ---- */

/* Whose probe it is, or an error about; NULL: nobody's. */
static struct live_slot *slot_of(const struct rte_mbuf *m)
{
	uint8_t copy[LIVE_TOKEN];
	const uint8_t *end;

	if (m->pkt_len > LIVE_FRAME_MAX || m->pkt_len < 34 + LIVE_TOKEN)
		return NULL;
	end = rte_pktmbuf_read(m, m->pkt_len - LIVE_TOKEN, LIVE_TOKEN, copy);
	for (unsigned int i = 0; end != NULL && i < PROBES; i++)
		if (state_of(&slots[i]) != LIVE_IDLE &&
			memcmp(slots[i].token, end, LIVE_TOKEN) == 0)
			return &slots[i];
	return NULL;
}

/* Ours are without extension headers, and so is what is made of them. */
static bool is_error(const struct rte_mbuf *m)
{
	uint8_t copy[55];
	const uint8_t *f =
		m->pkt_len >= sizeof(copy) ? rte_pktmbuf_read(m, 0, sizeof(copy), copy) : NULL;

	if (f == NULL)
		return false;
	if (f[12] == 0x08)
		return f[23] == IPPROTO_ICMP && f[34] != 0 && f[34] != 8;
	return f[20] == IPPROTO_ICMPV6 && f[54] < 128;
}

/* The first end counts; only that a tunnel did not take it is later, and more. */
static void note(struct live_slot *s, const struct rte_mbuf *m, const struct live_fate *fate)
{
	uint32_t was = LIVE_WAITING, then = LIVE_ENDED;
	const void *bytes;

	if (state_of(s) == LIVE_ENDED && s->fate.end == LIVE_TUNNEL && fate->end == LIVE_DROPPED) {
		was = LIVE_ENDED;
		then = LIVE_CHANGED;
	}
	if (!atomic_compare_exchange_strong(&s->state, &was, LIVE_WRITING))
		return;
	s->fate = *fate;
	s->fate.len = (uint16_t)m->pkt_len;
	bytes = rte_pktmbuf_read(m, 0, m->pkt_len, s->fate.frame);
	if (bytes != NULL && bytes != s->fate.frame)
		memcpy(s->fate.frame, bytes, m->pkt_len);
	was = LIVE_WRITING;
	atomic_compare_exchange_strong(&s->state, &was, then);
}

bool live_ends_unseen(const struct rte_mbuf *m)
{
	const struct live_slot *s = slot_of(m);

	return s != NULL && (!s->deliver || is_error(m));
}

uint16_t live_absorb(uint32_t port, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct live_slot *s = slot_of(pkts[i]);
		bool error = s != NULL && is_error(pkts[i]);

		if (s != NULL && !error)
			note(s, pkts[i], &(struct live_fate){.end = LIVE_PORT, .port = port});
		if (s == NULL || (s->deliver && !error))
			pkts[kept++] = pkts[i];
		else
			node_consume(pkts[i]);
	}
	return kept;
}

void live_note_tunnelled(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);
		struct live_slot *s = loc_is_tunnel(p->out) ? slot_of(pkts[i]) : NULL;

		if (s != NULL && !is_error(pkts[i]))
			note(s, pkts[i],
				&(struct live_fate){
					.end = LIVE_TUNNEL, .tunnel = p->out, .vni = p->out_vni});
	}
}

void live_note_dropped(struct rte_mbuf *m, enum drop_reason reason)
{
	const struct pkt *p = pkt_of(m);
	bool copy = (p->flags & PKT_F_OBSERVED) && (p->observed & OBSERVE_COPY);
	struct live_slot *s = copy ? NULL : slot_of(m);

	if (s != NULL && !is_error(m))
		note(s, m, &(struct live_fate){.end = LIVE_DROPPED, .reason = reason});
}
