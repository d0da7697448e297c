/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a back end for a new connection. What it chooses from may be older than what is known of the back ends, so each is
 * asked whether it takes connections; if not, the next one is. */
#include <netinet/in.h>

#include "core/rcu.h"
#include "lb/lb_internal.h"
#include "lb/maglev.h"
#include "lb/persist.h"

#define TRIES 256u    /* entries that are passed over at most */
#define COMPARED 256u /* back ends whose connections are compared for a new one */

bool lb_backend_takes(const struct lb_backend *b)
{
	return !b->leaving && b->weight != 0 &&
	       (b->health != LB_HEALTH_DOWN || b->listener->failed_open);
}

bool lb_backend_keeps(const struct lb_backend *b, uint8_t protocol, bool answered)
{
	if (b->drained)
		return false;
	return b->health != LB_HEALTH_DOWN || b->listener->failed_open ||
	       (protocol == IPPROTO_TCP && answered);
}

/* An id may be another listener's by now. */
static struct lb_backend *entry(const struct lb_listener *l, uint16_t id)
{
	struct lb_backend *b = lb_backend_get(id);

	return b != NULL && b->listener == l && lb_backend_takes(b) ? b : NULL;
}

static uint32_t fewer(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The first that takes it, from `at` on. */
static struct lb_backend *from(
	const struct lb_listener *l, const struct lb_choice *choice, uint32_t at, uint32_t *found)
{
	for (uint32_t tries = fewer(choice->n, TRIES); tries > 0; tries--) {
		struct lb_backend *b = entry(l, choice->ids[at]);

		if (b != NULL) {
			*found = at;
			return b;
		}
		at = at + 1 < choice->n ? at + 1 : 0;
	}
	return NULL;
}

static void take_turn(const struct lb_listener *l, const struct lb_client *client, uint32_t next)
{
	if (!client->dry)
		atomic_store_explicit(lb_turn_of(l), next, memory_order_relaxed);
}

static struct lb_backend *by_turn(
	const struct lb_listener *l, const struct lb_choice *choice, const struct lb_client *client)
{
	uint32_t at = atomic_load_explicit(lb_turn_of(l), memory_order_relaxed) % choice->n;
	struct lb_backend *b = from(l, choice, at, &at);

	if (b != NULL)
		take_turn(l, client, at + 1);
	return b;
}

/* Has a less for its weight than b, with one more each? */
static bool is_idler(uint32_t open_a, uint8_t weight_a, uint32_t open_b, uint8_t weight_b)
{
	return ((uint64_t)open_a + 1) * weight_b < ((uint64_t)open_b + 1) * weight_a;
}

/* Among equals they take turns. */
static struct lb_backend *by_connections(
	const struct lb_listener *l, const struct lb_choice *choice, const struct lb_client *client)
{
	uint32_t at = atomic_load_explicit(lb_turn_of(l), memory_order_relaxed) % choice->n;
	struct lb_backend *best = NULL;
	uint32_t best_open = 0;

	take_turn(l, client, at + 1);
	for (uint32_t n = fewer(choice->n, COMPARED); n > 0; n--) {
		struct lb_backend *b = entry(l, choice->ids[at]);
		uint32_t open = b != NULL ? lb_connections_of(b->id) : 0;

		if (b != NULL &&
			(best == NULL || is_idler(open, b->weight, best_open, best->weight))) {
			best = b;
			best_open = open;
		}
		at = at + 1 < choice->n ? at + 1 : 0;
	}
	return best;
}

/* Equal on all nodes and after every start, so that a table made again serves connections that are older. */
static uint32_t hash_of(
	const struct lb_listener *l, const struct lb_client *client, bool address_only)
{
	uint64_t hash = hash_mix((uint64_t)l->protocol << 16 | l->port, client->vip.q[0]);

	hash = hash_mix(hash_mix(hash, client->vip.q[1]), client->addr.q[0]);
	hash = hash_mix(hash, client->addr.q[1]);
	if (client->tries != 0)
		hash = hash_mix(hash, client->tries);
	return hash_fold(hash_mix(hash, address_only ? 0 : 1 + (uint64_t)client->port));
}

static struct lb_backend *by_hash(
	const struct lb_listener *l, const struct lb_choice *choice, uint32_t hash)
{
	uint32_t at = choice->bits != 0 ? maglev_slot(hash, choice->bits) : hash % choice->n;

	return from(l, choice, at, &at);
}

static struct lb_backend *by_scheduler(
	struct lb_listener *l, enum lb_scheduler scheduler, const struct lb_client *client)
{
	const struct lb_choice *choice = rcu_ptr_get(l->choice);

	if (choice == NULL || choice->n == 0)
		return NULL;
	switch (scheduler) {
	case LB_ROUND_ROBIN:
	case LB_WEIGHTED_ROUND_ROBIN:
		break;
	case LB_LEAST_CONNECTIONS:
		return by_connections(l, choice, client);
	case LB_SOURCE_HASH:
	case LB_MAGLEV:
		return by_hash(l, choice, hash_of(l, client, scheduler == LB_SOURCE_HASH));
	}
	return by_turn(l, choice, client);
}

struct lb_backend *lb_pick(struct lb_listener *l, const struct lb_client *client)
{
	const struct lb_config *config = rcu_ptr_get(l->config);
	struct lb_backend *b = NULL;
	bool persists;

	if (config == NULL)
		return NULL;
	/* Who can not have its own this once comes back to it. */
	persists = config->persistence_s != 0 && client->tries == 0;
	if (persists)
		b = entry(l, lb_persist_find(
				     l->id, &client->addr, config->persistence_s, client->now_ms));
	if (b == NULL)
		b = by_scheduler(l, config->scheduler, client);
	if (b != NULL && persists && !client->dry)
		lb_persist_note(l->id, &client->addr, (uint16_t)b->id, client->now_ms);
	return b;
}
