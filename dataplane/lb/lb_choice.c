/* SPDX-License-Identifier: Apache-2.0 */
/* Among whom a listener's new connections are chosen: a round of turns, a list, or a Maglev table.
 *
 * A Maglev table is made in two steps. The *base* is led (maglev.h) from one set of configured back ends to the next, whether they are
 * up or not. In a copy of it the slots of those that are not used at the moment are given to the others. So a back end that
 * fails and returns finds its flows where they were, and nobody else's are moved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "lb/lb_internal.h"
#include "lb/maglev.h"
#include "lb/order.h"

static struct lb_listener *dirty, **dirty_end = &dirty;

/* The table that is being made, the first of the queue's. */
static struct {
	struct lb_listener *listener; /* NULL: none */
	struct lb_choice *choice;     /* NULL: still at the base */
	struct maglev_build build;
} work;

static void queue(struct lb_listener *l)
{
	if (l->dirty)
		return;
	l->dirty = true;
	l->next_dirty = NULL;
	*dirty_end = l;
	dirty_end = &l->next_dirty;
}

static void unqueue(struct lb_listener *l)
{
	struct lb_listener **at = &dirty;

	if (!l->dirty)
		return;
	while (*at != l)
		at = &(*at)->next_dirty;
	*at = l->next_dirty;
	if (dirty_end == &l->next_dirty)
		dirty_end = at;
	l->dirty = false;
}

/*
 * Who takes part.
 */

static bool is_member(const struct lb_backend *b)
{
	return !b->leaving && b->weight != 0;
}

/* The best that any of its members is; DOWN also without members. */
static enum lb_health best_health(const struct lb_listener *l)
{
	enum lb_health best = LB_HEALTH_DOWN;

	for (const struct lb_backend *b = l->backends; b != NULL; b = b->next)
		if (is_member(b) && b->health == LB_HEALTH_UP)
			return LB_HEALTH_UP;
		else if (is_member(b) && b->health == LB_HEALTH_UNKNOWN)
			best = LB_HEALTH_UNKNOWN;
	return best;
}

/* Those that are up; before that is known of any, those of which nothing is known; all, if it fails open. */
static bool is_used(const struct lb_backend *b, enum lb_health best)
{
	return is_member(b) && (b->health == best || b->listener->failed_open);
}

/* Connections to those that are down go on only as long as all are. */
void lb_choice_judge(struct lb_listener *l)
{
	const struct lb_config *config = l->config;
	bool open = config != NULL && config->fail_open && best_health(l) == LB_HEALTH_DOWN;
	bool was_open = l->failed_open;

	atomic_store_explicit(&l->failed_open, open, memory_order_release);
	for (const struct lb_backend *b = l->backends; was_open && !open && b != NULL; b = b->next)
		if (b->health == LB_HEALTH_DOWN)
			epoch_bump(b->epoch);
}

static uint64_t hash_of(const struct lb_backend *b)
{
	uint64_t hash = hash_mix(hash_mix(0, b->addr.q[0]), b->addr.q[1]);

	hash = hash_mix(hash, b->port_number);
	return (uint64_t)hash_fold(hash) << 32 | hash_fold(hash_mix(hash, 1));
}

static int compare_hash(const void *pa, const void *pb)
{
	const struct maglev_member *a = pa, *b = pb;

	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* Members, or those of them that are used, in an order that does not depend on when they came. malloc'd; NULL: no memory. */
static struct maglev_member *gather(const struct lb_listener *l, bool used_only, uint32_t *n)
{
	enum lb_health best = best_health(l);
	struct maglev_member *members;

	*n = 0;
	for (const struct lb_backend *b = l->backends; b != NULL; b = b->next)
		*n += used_only ? is_used(b, best) : is_member(b);
	members = malloc((*n + 1) * sizeof(*members));
	if (members == NULL)
		return NULL;
	*n = 0;
	for (const struct lb_backend *b = l->backends; b != NULL; b = b->next)
		if (used_only ? is_used(b, best) : is_member(b))
			members[(*n)++] = (struct maglev_member){
				.hash = hash_of(b), .id = (uint16_t)b->id, .weight = b->weight};
	qsort(members, *n, sizeof(*members), compare_hash);
	return members;
}

/*
 * Turns and lists.
 */

static void publish(struct lb_listener *l, struct lb_choice *choice)
{
	struct lb_choice *old = l->choice;

	rcu_ptr_set(l->choice, choice);
	if (old != NULL)
		rcu_defer(free, old);
}

static struct lb_choice *choice_new(unsigned int bits, uint32_t n)
{
	struct lb_choice *choice = malloc(sizeof(*choice) + n * sizeof(choice->ids[0]));

	if (choice != NULL) {
		choice->bits = bits;
		choice->n = n;
	}
	return choice;
}

static struct lb_choice *list_of(const struct maglev_member *members, uint32_t n)
{
	struct lb_choice *choice = choice_new(0, n);

	for (uint32_t i = 0; choice != NULL && i < n; i++)
		choice->ids[i] = members[i].id;
	return choice;
}

static struct lb_choice *round_of(const struct maglev_member *members, uint32_t n)
{
	uint8_t *weights = malloc(n);
	uint16_t *ids = malloc(n * sizeof(*ids));
	struct lb_choice *choice = NULL;

	for (uint32_t i = 0; weights != NULL && ids != NULL && i < n; i++) {
		weights[i] = members[i].weight;
		ids[i] = members[i].id;
	}
	if (weights != NULL && ids != NULL)
		choice = choice_new(0, lb_order_length(weights, n));
	if (choice != NULL && lb_order_make(choice->ids, choice->n, ids, weights, n) != 0) {
		free(choice);
		choice = NULL;
	}
	free(ids);
	free(weights);
	return choice;
}

/* At once; 0 entries when there is nobody. -ENOMEM: the old one stays. */
static int make_list(struct lb_listener *l, bool by_weight)
{
	struct lb_choice *choice = NULL;
	struct maglev_member *members;
	uint32_t n;

	members = gather(l, true, &n);
	if (members != NULL)
		choice = by_weight && n != 0 ? round_of(members, n) : list_of(members, n);
	free(members);
	if (choice == NULL)
		return -ENOMEM;
	publish(l, choice);
	return 0;
}

/*
 * Maglev tables.
 */

/* Room for `n` members in the base, every flow where it was. */
static int grow_base(struct lb_listener *l, uint32_t n)
{
	unsigned int bits = maglev_bits(n);

	if (l->base == NULL) {
		l->base = calloc(1u << bits, sizeof(*l->base));
		l->base_bits = bits;
		return l->base != NULL ? 0 : -ENOMEM;
	}
	while (l->base_bits < bits) {
		uint16_t *twice = malloc(sizeof(*twice) << (l->base_bits + 1));

		if (twice == NULL)
			return -ENOMEM;
		maglev_double(twice, l->base, l->base_bits);
		free(l->base);
		l->base = twice;
		l->base_bits++;
	}
	return 0;
}

/* Nobody: what comes later has no past to keep. */
static int empty_base(struct lb_listener *l)
{
	free(l->base);
	l->base = NULL;
	return make_list(l, false);
}

/* Begins with its base. 1: there is work to do; 0: none; -ENOMEM. */
static int begin(struct lb_listener *l)
{
	uint32_t n;
	struct maglev_member *members = gather(l, false, &n);
	int rc;

	if (members == NULL)
		return -ENOMEM;
	if (n == 0) {
		free(members);
		return empty_base(l);
	}
	rc = grow_base(l, n);
	if (rc == 0)
		rc = maglev_begin(&work.build, l->base, l->base_bits, members, n);
	free(members);
	if (rc != 0)
		return rc;
	work.listener = l;
	work.choice = NULL;
	return 1;
}

static void stop(void)
{
	maglev_end(&work.build);
	free(work.choice);
	work.choice = NULL;
	work.listener = NULL;
}

/* The base is made: on with the copy. 1: there is work to do; 0: nobody is used; -ENOMEM. */
static int begin_copy(struct lb_listener *l)
{
	uint32_t n;
	struct maglev_member *members = gather(l, true, &n);
	int rc = -ENOMEM;

	maglev_end(&work.build);
	if (members != NULL && n == 0) {
		free(members);
		stop();
		return make_list(l, false);
	}
	if (members != NULL)
		work.choice = choice_new(l->base_bits, 1u << l->base_bits);
	if (work.choice != NULL) {
		memcpy(work.choice->ids, l->base, sizeof(*l->base) << l->base_bits);
		rc = maglev_begin(&work.build, work.choice->ids, l->base_bits, members, n);
	}
	free(members);
	if (rc != 0) {
		stop();
		return rc;
	}
	return 1;
}

/* As far as the budget goes. 1: there is more; 0: its choice is made; -ENOMEM. */
static int step(struct lb_listener *l, uint32_t *budget)
{
	int rc;

	for (;;) {
		uint32_t slots = 1u << l->base_bits;

		if (!maglev_step(&work.build, *budget)) {
			*budget = 0;
			return 1;
		}
		*budget -= *budget < slots ? *budget : slots;
		if (work.choice != NULL)
			break;
		rc = begin_copy(l);
		if (rc <= 0)
			return rc;
	}
	publish(l, work.choice);
	work.choice = NULL;
	stop();
	return 0;
}

/*
 * The queue.
 */

static bool wants_table(const struct lb_config *config)
{
	return config->scheduler == LB_SOURCE_HASH || config->scheduler == LB_MAGLEV;
}

#define ENTRY_COST 8u /* of a turn, in slots that are looked at */

static void spend(uint32_t *budget, uint32_t cost)
{
	*budget -= *budget < cost ? *budget : cost;
}

/* 1: the budget is at its end; 0: done; -ENOMEM: later. */
static int make(struct lb_listener *l, uint32_t *budget)
{
	const struct lb_config *config = l->config;
	int rc;

	lb_choice_judge(l);
	if (config == NULL)
		return 0;
	if (!wants_table(config)) {
		rc = make_list(l, config->scheduler == LB_WEIGHTED_ROUND_ROBIN);
		if (rc == 0)
			spend(budget, 16 + l->choice->n * ENTRY_COST);
		return rc;
	}
	/* Until the table is made connections are chosen from a list. */
	if (l->choice == NULL && (rc = make_list(l, false)) != 0)
		return rc;
	rc = begin(l);
	return rc == 1 ? step(l, budget) : rc;
}

bool lb_choice_work(uint32_t budget)
{
	int rc = 0;

	if (work.listener != NULL)
		rc = step(work.listener, &budget);
	while (rc == 0 && dirty != NULL && budget != 0) {
		struct lb_listener *l = dirty;

		unqueue(l);
		rc = make(l, &budget);
		if (rc < 0)
			queue(l); /* no memory: in a later turn */
	}
	return work.listener == NULL && dirty == NULL;
}

void lb_choice_changed(struct lb_listener *l)
{
	queue(l);
}

void lb_choice_forget(struct lb_listener *l)
{
	unqueue(l);
	if (work.listener == l)
		stop();
}
