/* SPDX-License-Identifier: Apache-2.0 */
#include "forward/denied.h"

#include "core/worker.h"

#define ENTRIES 1024u

/* Addresses of IPv6 are folds here. Whose do not differ in them are the same sender's, so it can only refuse itself something. */
static struct entry {
	struct session_key key;
	loc_t in, out;
	uint32_t change, noted_ms;
	struct rte_ether_addr smac, dmac;
	uint8_t reason; /* DROP_NONE: empty */
} __rte_cache_aligned entries[WORKER_MAX][ENTRIES];

static struct entry *entry_of(uint32_t hash)
{
	return &entries[worker_self->id][hash % ENTRIES];
}

enum drop_reason denied_find(
	const struct flow *f, const struct session_key *key, uint32_t hash, loc_t *out)
{
	const struct entry *e = entry_of(hash);

	if (e->reason == DROP_NONE || worker_self->now_ms - e->noted_ms >= DENIED_MS ||
		e->in != f->in || !session_key_equal(&e->key, key) || e->change != epoch_change() ||
		!rte_is_same_ether_addr(&e->smac, &f->smac) ||
		!rte_is_same_ether_addr(&e->dmac, &f->dmac))
		return DROP_NONE;
	*out = e->out;
	return (enum drop_reason)e->reason;
}

void denied_note(
	const struct flow *f, const struct session_key *key, uint32_t hash, uint32_t change)
{
	if (f->reason != DROP_POLICY_EGRESS && f->reason != DROP_POLICY_INGRESS)
		return;
	*entry_of(hash) = (struct entry){.key = *key,
		.in = f->in,
		.out = f->out,
		.change = change,
		.noted_ms = worker_self->now_ms,
		.smac = f->smac,
		.dmac = f->dmac,
		.reason = (uint8_t)f->reason};
}
