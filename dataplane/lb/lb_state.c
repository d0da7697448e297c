/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `load_balancer`, `listener` and `backend`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/prefix_map.h"
#include "lb/lb_internal.h"
#include "session/account.h"
#include "vpc/item.h"
#include "vpc/vpc.h"

static int no_room(struct state_error *err, const char *what, unsigned int max)
{
	if (errno == ENOMEM)
		return item_no_memory(err);
	err->exhausted = true;
	return state_fail(err, -ENOSPC, "%s: this node has room for %u", what, max);
}

/*
 * Balancers.
 */

enum lb_column { LB_NAME = 1, LB_VNI, LB_ADDRESS, LB_EIP, LB_VTEP, LB_REVISION };

struct lb_change {
	char name[PORT_NAME_MAX], gateway[PORT_NAME_MAX];
	uint32_t vni;
	uint64_t revision;
	struct ip_addr address;
	struct lb *spare;          /* NULL: there is one of this name */
	struct endpoint *endpoint; /* of a private address */
	struct lb_eip *eip;
	bool deletion;
};

static void lb_undo(void *staged)
{
	struct lb_change *c = staged;

	lb_free(c->spare);
	endpoint_free(c->endpoint);
	free(c->eip);
	free(c);
}

static int lb_reserve(struct lb_change *c, const json_t *item, struct state_error *err)
{
	const char *eip = item_text(item, LB_EIP);
	bool has_address = *item_text(item, LB_ADDRESS) != '\0';

	if (has_address == (*eip != '\0'))
		return state_fail(err, -EINVAL, "a load balancer has an address or an elastic IP");
	if (lb_by_name(c->name) == NULL && (c->spare = lb_new(c->name)) == NULL)
		return no_room(err, "accounts of services", ACCOUNTS_MAX - 1);
	if (has_address) {
		c->endpoint = endpoint_new(0, &c->address, c->name);
		return c->endpoint != NULL ? 0 : item_no_memory(err);
	}
	c->eip = calloc(1, sizeof(*c->eip));
	return c->eip != NULL ? item_name(item, LB_EIP, c->eip->name, err) : item_no_memory(err);
}

static int lb_prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct lb_change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, LB_NAME, c->name, err);
	c->deletion = item == NULL;
	if (rc == 0 && item != NULL) {
		c->vni = (uint32_t)item_uint(item, LB_VNI);
		c->revision = item_uint(item, LB_REVISION);
		if ((rc = item_name(item, LB_VTEP, c->gateway, err)) == 0 &&
			(rc = item_addr(item, LB_ADDRESS, &c->address, err)) == 0)
			rc = lb_reserve(c, item, err);
	}
	if (rc != 0)
		lb_undo(c);
	else
		*staged = c;
	return rc;
}

static bool has_address(const struct lb *lb)
{
	return (lb->address.q[0] | lb->address.q[1]) != 0;
}

static void address_remove(struct lb *lb)
{
	if (has_address(lb))
		endpoint_remove(lb->address_vpc, &lb->address, LOC_NONE);
	lb->address = (struct ip_addr){0};
}

/* Takes the endpoint, if there is one. */
static void address_set(struct lb *lb, struct lb_change *c, const struct vpc *vpc)
{
	if (has_address(lb) && (c->endpoint == NULL || lb->address_vpc != vpc->index ||
				       !ip_addr_equal(&lb->address, &c->address)))
		address_remove(lb);
	if (c->endpoint == NULL)
		return;
	lb->address = c->address;
	lb->address_vpc = vpc->index;
	lb->service = lb_service;
	c->endpoint->vpc_index = vpc->index;
	c->endpoint->mac = vpc->gw_mac;
	c->endpoint->service = &lb->service;
	endpoint_put(c->endpoint);
}

static bool same_eip(const struct lb *lb, const struct lb_eip *eip)
{
	return lb->eip != NULL && eip != NULL && strcmp(lb->eip->name, eip->name) == 0;
}

static void eip_set(struct lb *lb, struct lb_eip *eip)
{
	if (same_eip(lb, eip))
		free(eip);
	else
		lb_eip_set(lb, eip);
}

static void tell_all(struct lb *lb)
{
	for (struct lb_listener *l = lb->listeners; l != NULL; l = l->next)
		for (struct lb_backend *b = l->backends; b != NULL; b = b->next)
			lb_tell(b);
}

/* Flows to an address that it had, or to another VPC's back ends. */
static void bump_all(struct lb *lb)
{
	for (struct lb_listener *l = lb->listeners; l != NULL; l = l->next)
		lb_listener_bump(l);
}

static void lb_apply(struct lb *lb, struct lb_change *c)
{
	const struct vpc *vpc = vpc_by_vni(c->vni);
	bool moved = lb->vni != c->vni || !same_eip(lb, c->eip);

	lb->vni = c->vni;
	lb->revision = c->revision;
	if (strcmp(lb->gateway, c->gateway) != 0)
		tell_all(lb);
	memcpy(lb->gateway, c->gateway, sizeof(lb->gateway));
	address_set(lb, c, vpc);
	eip_set(lb, c->eip);
	if (moved)
		bump_all(lb);
}

static void lb_commit(void *staged)
{
	struct lb_change *c = staged;
	struct lb *lb = lb_by_name(c->name);

	if (c->deletion) {
		address_remove(lb);
		bump_all(lb);
		lb_remove(lb);
	} else if (lb == NULL) {
		lb_put(c->spare);
		lb_apply(c->spare, c);
	} else {
		lb_free(c->spare);
		lb_apply(lb, c);
	}
	free(c);
}

STATE_KIND(balancer_kind, .name = "load_balancer", .order = 110, .prepare = lb_prepare,
	.commit = lb_commit, .abort = lb_undo)

/*
 * Listeners.
 */

enum listener_column {
	LISTENER_LB = 1,
	LISTENER_PROTOCOL,
	LISTENER_PORT,
	LISTENER_SCHEDULER,
	LISTENER_PERSISTENCE,
	LISTENER_ALLOW,
	LISTENER_IDLE,
	LISTENER_DRAIN,
	LISTENER_FAIL_OPEN,
	LISTENER_CHECK
};

struct listener_change {
	char lb[PORT_NAME_MAX];
	uint8_t protocol;
	rte_be16_t port;
	struct lb_listener *spare;
	struct lb_config *config; /* NULL: deletion */
};

static void listener_undo(void *staged)
{
	struct listener_change *c = staged;

	if (c->spare != NULL)
		lb_listener_free(c->spare);
	lb_config_free(c->config);
	free(c);
}

/* Protocol and port of a listener, the columns behind its balancer's name. */
static int parse_listener(
	const json_t *item, uint8_t *protocol, rte_be16_t *port, struct state_error *err)
{
	uint64_t p = item_uint(item, LISTENER_PROTOCOL), n = item_uint(item, LISTENER_PORT);

	if (p > UINT8_MAX || n > UINT16_MAX)
		return state_fail(err, -EINVAL, "no such protocol or port");
	*protocol = (uint8_t)p;
	*port = rte_cpu_to_be_16((uint16_t)n);
	return 0;
}

static int parse_allow(struct lb_config *config, const json_t *item, struct state_error *err)
{
	struct prefix_map_entry *entries;
	struct ip_prefix *prefixes;
	uint32_t n;
	int rc = item_prefixes(item, LISTENER_ALLOW, &prefixes, &n, err);

	if (rc != 0 || n == 0) {
		free(prefixes);
		return rc;
	}
	entries = calloc(n, sizeof(*entries));
	for (uint32_t i = 0; entries != NULL && i < n; i++)
		entries[i].prefix = prefixes[i];
	free(prefixes);
	config->allow = entries != NULL ? prefix_map_new(entries, n) : NULL;
	free(entries);
	return config->allow != NULL ? 0 : item_no_memory(err);
}

static int parse_scheduler(struct lb_config *config, const json_t *item, struct state_error *err)
{
	const char *text = item_text(item, LISTENER_SCHEDULER);

	for (unsigned int s = LB_ROUND_ROBIN; s <= LB_MAGLEV; s++)
		if (strcmp(text, lb_scheduler_name(s)) == 0) {
			config->scheduler = s;
			return 0;
		}
	return state_fail(err, -EINVAL, "unknown scheduler `%s`", text);
}

static int parse_config(struct lb_config *config, const json_t *item, struct state_error *err)
{
	int rc = parse_scheduler(config, item, err);

	if (rc == 0)
		rc = parse_allow(config, item, err);
	config->persistence_s = (uint32_t)item_uint(item, LISTENER_PERSISTENCE);
	config->idle_timeout_s = (uint32_t)item_uint(item, LISTENER_IDLE);
	config->drain_s = (uint32_t)RTE_MIN(item_uint(item, LISTENER_DRAIN), LB_DRAIN_MAX_S);
	config->fail_open = item_bool(item, LISTENER_FAIL_OPEN);
	config->health_check = json_incref(json_array_get(item, LISTENER_CHECK));
	return rc;
}

static int listener_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	struct listener_change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(any, LISTENER_LB, c->lb, err);
	if (rc == 0)
		rc = parse_listener(any, &c->protocol, &c->port, err);
	if (rc == 0 && item != NULL) {
		c->config = calloc(1, sizeof(*c->config));
		rc = c->config != NULL ? parse_config(c->config, item, err) : item_no_memory(err);
	}
	if (rc == 0 && old == NULL && (c->spare = lb_listener_new(c->protocol, c->port)) == NULL)
		rc = no_room(err, "listeners", LB_LISTENERS_MAX - 1);
	if (rc != 0)
		listener_undo(c);
	else
		*staged = c;
	return rc;
}

/* That of the key; takes `spare` when there is none, else frees it. */
static struct lb_listener *listener_or(
	const char *name, uint8_t protocol, rte_be16_t port, struct lb_listener *spare)
{
	struct lb *lb = lb_by_name(name);
	struct lb_listener *l = lb_listener_find(lb, protocol, port);

	if (l == NULL) {
		lb_listener_put(lb, spare);
		return spare;
	}
	if (spare != NULL)
		lb_listener_free(spare);
	return l;
}

static void listener_commit(void *staged)
{
	struct listener_change *c = staged;
	struct lb_listener *l = listener_or(c->lb, c->protocol, c->port, c->spare);

	lb_listener_configure(l, c->config);
	if (c->config == NULL)
		lb_listener_reap(l);
	free(c);
}

STATE_KIND(listener_kind, .name = "listener", .order = 111, .prepare = listener_prepare,
	.commit = listener_commit, .abort = listener_undo)

/*
 * Back ends.
 */

enum backend_column {
	BACKEND_LB = LISTENER_LB,
	BACKEND_PROTOCOL = LISTENER_PROTOCOL,
	BACKEND_PORT = LISTENER_PORT,
	BACKEND_ADDRESS,
	BACKEND_PORT_NUMBER,
	BACKEND_WEIGHT,
	BACKEND_NAME
};

struct backend_change {
	char lb[PORT_NAME_MAX], name[PORT_NAME_MAX];
	uint8_t protocol, weight;
	rte_be16_t port, port_number;
	struct ip_addr addr;
	struct lb_listener *spare_listener; /* should its own not be there */
	struct lb_backend *spare;
	bool deletion;
};

static void backend_undo(void *staged)
{
	struct backend_change *c = staged;

	if (c->spare_listener != NULL)
		lb_listener_free(c->spare_listener);
	if (c->spare != NULL)
		lb_backend_free(c->spare);
	free(c);
}

static int parse_backend(struct backend_change *c, const json_t *any, struct state_error *err)
{
	int rc = item_name(any, BACKEND_LB, c->lb, err);
	uint64_t port_number = item_uint(any, BACKEND_PORT_NUMBER);

	if (rc == 0)
		rc = parse_listener(any, &c->protocol, &c->port, err);
	if (rc == 0)
		rc = item_addr(any, BACKEND_ADDRESS, &c->addr, err);
	if (rc == 0 && (port_number == 0 || port_number > UINT16_MAX))
		return state_fail(err, -EINVAL, "no such port number");
	c->port_number = rte_cpu_to_be_16((uint16_t)port_number);
	return rc;
}

static int reserve_backend(struct backend_change *c, struct state_error *err)
{
	c->spare = lb_backend_new(&c->addr, c->port_number);
	if (c->spare == NULL)
		return no_room(err, "back ends", LB_BACKENDS_MAX - 1);
	c->spare_listener = lb_listener_new(c->protocol, c->port);
	return c->spare_listener != NULL ? 0 : no_room(err, "listeners", LB_LISTENERS_MAX - 1);
}

static int backend_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct backend_change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	c->deletion = item == NULL;
	rc = parse_backend(c, item != NULL ? item : old, err);
	if (rc == 0 && item != NULL) {
		c->weight = (uint8_t)RTE_MIN(item_uint(item, BACKEND_WEIGHT), UINT8_MAX);
		rc = item_name(item, BACKEND_NAME, c->name, err);
	}
	if (rc == 0 && item != NULL)
		rc = reserve_backend(c, err);
	if (rc != 0)
		backend_undo(c);
	else
		*staged = c;
	return rc;
}

static void backend_commit(void *staged)
{
	struct backend_change *c = staged;
	struct lb_listener *l = listener_or(c->lb, c->protocol, c->port, c->spare_listener);
	struct lb_backend *b = lb_backend_of(l, &c->addr, c->port_number);

	if (c->deletion) {
		lb_backend_leave(b);
	} else {
		if (b == NULL)
			lb_backend_put(l, b = c->spare);
		else
			lb_backend_free(c->spare);
		lb_backend_set(b, c->weight, c->name);
	}
	free(c);
}

STATE_KIND(backend_kind, .name = "backend", .order = 112, .eager = true, .prepare = backend_prepare,
	.commit = backend_commit, .abort = backend_undo)

STATE_HOOK(lb_hook, .order = 112, .after_commit = lb_settle)
