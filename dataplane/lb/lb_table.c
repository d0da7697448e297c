/* SPDX-License-Identifier: Apache-2.0 */
/* Balancers by name and by elastic IP, and their listeners. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/prefix_map.h"
#include "core/rcu.h"
#include "lb/lb_internal.h"
#include "session/account.h"

#define EIP_CHAINS 1024u

static struct hash_table balancers;
static struct lb *removed;
static struct lb_eip *_Atomic eip_chains[EIP_CHAINS];
static bool listener_ids[LB_LISTENERS_MAX];

static uint32_t hash_of(const char *name)
{
	uint64_t hash = 0;

	while (*name != '\0')
		hash = hash_mix(hash, (unsigned char)*name++);
	return hash_fold(hash);
}

/*
 * Balancers.
 */

struct lb *lb_by_name(const char *name)
{
	struct hash_node *n =
		balancers.buckets != NULL ? hash_table_find(&balancers, hash_of(name)) : NULL;

	while (n != NULL && strcmp(HASH_OBJECT(n, struct lb, node)->name, name) != 0)
		n = hash_node_same(n);
	return n != NULL ? HASH_OBJECT(n, struct lb, node) : NULL;
}

struct lb *lb_by_eip(const char *eip)
{
	struct lb_eip *e = rcu_ptr_get(eip_chains[hash_of(eip) % EIP_CHAINS]);

	while (e != NULL && strcmp(e->name, eip) != 0)
		e = rcu_ptr_get(e->next);
	return e != NULL ? e->lb : NULL;
}

const char *lb_name(const struct lb *lb)
{
	return lb->name;
}

const char *lb_gateway(const struct lb *lb)
{
	return lb->gateway;
}

uint32_t lb_vni(const struct lb *lb)
{
	return lb->vni;
}

struct lb *lb_new(const char *name)
{
	struct lb *lb = NULL;

	if (balancers.buckets != NULL || hash_table_init(&balancers) == 0)
		lb = calloc(1, sizeof(*lb));
	if (lb == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(lb->name, name, strnlen(name, PORT_NAME_MAX - 1));
	lb->instance = usage_instance();
	lb->account = account_new();
	if (lb->account == ACCOUNT_NONE) {
		free(lb);
		errno = ENOSPC;
		return NULL;
	}
	return lb;
}

void lb_free(struct lb *lb)
{
	if (lb != NULL)
		account_close(lb->account, NULL, NULL);
	free(lb);
}

void lb_put(struct lb *lb)
{
	hash_table_insert(&balancers, &lb->node, hash_of(lb->name));
}

static void eip_unlink(struct lb_eip *eip)
{
	struct lb_eip *_Atomic *at = &eip_chains[hash_of(eip->name) % EIP_CHAINS];

	while (*at != eip)
		at = &(*at)->next;
	rcu_ptr_set(*at, eip->next);
	rcu_defer(free, eip);
}

void lb_eip_set(struct lb *lb, struct lb_eip *eip)
{
	struct lb_eip *_Atomic *head;

	if (eip != NULL) {
		head = &eip_chains[hash_of(eip->name) % EIP_CHAINS];
		eip->lb = lb;
		eip->next = *head;
		rcu_ptr_set(*head, eip);
	}
	if (lb->eip != NULL)
		eip_unlink(lb->eip);
	lb->eip = eip;
}

void lb_remove(struct lb *lb)
{
	hash_table_remove(&balancers, &lb->node);
	lb_usage_ending(lb);
	lb_eip_set(lb, NULL);
	for (struct lb_listener *l = lb->listeners; l != NULL; l = l->next)
		for (struct lb_backend *b = l->backends; b != NULL; b = b->next)
			lb_backend_leave(b);
	lb->removed = true;
	lb->next_removed = removed;
	removed = lb;
}

void lb_each(void (*fn)(struct lb *lb, void *arg), void *arg)
{
	struct hash_node *n = balancers.buckets != NULL ? hash_table_next(&balancers, NULL) : NULL;

	for (struct hash_node *next; n != NULL; n = next) {
		next = hash_table_next(&balancers, n);
		fn(HASH_OBJECT(n, struct lb, node), arg);
	}
}

/*
 * Listeners.
 */

struct lb_listener *lb_listener_find(const struct lb *lb, uint8_t protocol, rte_be16_t port)
{
	struct lb_listener *l = rcu_ptr_get(lb->listeners);

	while (l != NULL && (l->protocol != protocol || l->port != port))
		l = rcu_ptr_get(l->next);
	return l;
}

struct lb_listener *lb_listener_at(const struct lb *lb, uint8_t protocol, rte_be16_t port)
{
	struct lb_listener *l = lb_listener_find(lb, protocol, port);

	return l != NULL && rcu_ptr_get(l->config) != NULL ? l : NULL;
}

static uint32_t take_listener_id(void)
{
	static uint32_t last;

	for (uint32_t n = 1; n < LB_LISTENERS_MAX; n++) {
		last = last + 1 < LB_LISTENERS_MAX ? last + 1 : 1;
		if (!listener_ids[last]) {
			listener_ids[last] = true;
			return last;
		}
	}
	return 0;
}

struct lb_listener *lb_listener_new(uint8_t protocol, rte_be16_t port)
{
	struct lb_listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	l->protocol = protocol;
	l->port = port;
	l->id = take_listener_id();
	if (l->id == 0) {
		free(l);
		errno = ENOSPC;
		return NULL;
	}
	lb_turns_start(l);
	return l;
}

void lb_config_free(struct lb_config *config)
{
	if (config == NULL)
		return;
	prefix_map_free(config->allow);
	json_decref(config->health_check);
	free(config);
}

void lb_listener_free(struct lb_listener *l)
{
	listener_ids[l->id] = false;
	lb_config_free(l->config);
	free(l->base);
	free(l->choice);
	free(l);
}

void lb_listener_put(struct lb *lb, struct lb_listener *l)
{
	l->lb = lb;
	l->next = lb->listeners;
	rcu_ptr_set(lb->listeners, l);
}

void lb_listener_bump(const struct lb_listener *l)
{
	for (const struct lb_backend *b = l->backends; b != NULL; b = b->next)
		epoch_bump(b->epoch);
}

static void config_free(void *config)
{
	lb_config_free(config);
}

/* Does a session depend on what differs? */
static bool flows_notice(const struct lb_config *a, const struct lb_config *b)
{
	return a == NULL || b == NULL || a->allow != NULL || b->allow != NULL;
}

void lb_listener_configure(struct lb_listener *l, struct lb_config *config)
{
	struct lb_config *old = l->config;
	bool same_check = old != NULL && config != NULL &&
			  json_equal(old->health_check, config->health_check);

	rcu_ptr_set(l->config, config);
	if (flows_notice(old, config))
		lb_listener_bump(l);
	if (!same_check)
		for (struct lb_backend *b = l->backends; b != NULL; b = b->next)
			lb_tell(b);
	if (old != NULL)
		rcu_defer(config_free, old);
	lb_choice_changed(l);
}

static void listener_free(void *l)
{
	lb_listener_free(l);
}

bool lb_listener_reap(struct lb_listener *l)
{
	struct lb_listener *_Atomic *at = &l->lb->listeners;

	if (l->config != NULL || l->backends != NULL)
		return false;
	while (*at != l)
		at = &(*at)->next;
	rcu_ptr_set(*at, l->next);
	lb_choice_forget(l);
	rcu_defer(listener_free, l);
	return true;
}

static void reap_listeners(struct lb *lb)
{
	for (struct lb_listener *l = lb->listeners, *next; l != NULL; l = next) {
		next = l->next;
		lb_listener_reap(l);
	}
}

void lb_table_reap(void)
{
	for (struct lb **at = &removed, *lb; (lb = *at) != NULL;) {
		reap_listeners(lb);
		if (lb->listeners != NULL) {
			at = &lb->next_removed;
			continue;
		}
		*at = lb->next_removed;
		lb_usage_close(lb);
	}
}
