/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `nat_gateway`, `snat` and `dnat`. What they say is kept here as text; at the end of a transaction the rules of
 * gateways that have changed are made anew, and those whose elastic IPs have. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "core/config.h"
#include "lib/log.h"
#include "nat/nat_gateway.h"
#include "nat/nat_log.h"
#include "nat/nat_rules.h"
#include "nat/nat_table.h"
#include "session/session.h"
#include "vpc/item.h"

enum gateway_column {
	NAME = 1,
	VNI,
	VTEP,
	MAPPING,
	FILTERING,
	PORT_BLOCK,
	HAIRPIN,
	PER_PORT,
	PER_VPC,
	QUARANTINE,
	LOG,
	TIMEOUTS,
	REVISION
};
enum snat_column { SNAT_GATEWAY = 1, SNAT_INDEX, SOURCE, SNAT_EIPS, NAT64 };
enum dnat_column {
	DNAT_GATEWAY = 1,
	DNAT_INDEX,
	DNAT_EIP,
	PROTOCOL,
	PORT_FROM,
	PORT_TO,
	TO_ADDRESS,
	TO_PORT
};

/* A mapping, what filters it, what is logged of it: a session at most. */
#define RECORDS_A_SESSION 4u

static struct nat_item_gateway *items;

struct nat_item_gateway *nat_items(void)
{
	return items;
}

static struct nat_item_gateway *find(const char *name)
{
	struct nat_item_gateway *g = items;

	while (g != NULL && strcmp(g->name, name) != 0)
		g = g->next;
	return g;
}

/*
 * nat_gateway
 */
static void free_gateway_item(void *staged)
{
	struct nat_item_gateway *g = staged;

	if (g->gw != NULL)
		nat_gateway_drop(g->gw);
	free(g);
}

static int enum_of(
	const json_t *item, unsigned int column, const char *const *names, struct state_error *err)
{
	const char *text = item_text(item, column);

	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return state_fail(err, -EINVAL, "`%s` is unknown", text);
}

static uint32_t timeout_of(const json_t *item, const char *key, uint32_t otherwise)
{
	const json_t *value = json_object_get(json_array_get(item, TIMEOUTS), key);

	return value != NULL ? (uint32_t)json_integer_value(value) : otherwise;
}

static int parse_gateway(const json_t *item, struct nat_item_gateway *g, struct state_error *err)
{
	static const char *const mappings[] = {"endpoint_independent", "endpoint_dependent", NULL};
	static const char *const filters[] = {
		"address_and_port", "address", "endpoint_independent", NULL};
	static const char *const logs[] = {"none", "block", "session", NULL};
	int mapping = enum_of(item, MAPPING, mappings, err),
	    filtering = enum_of(item, FILTERING, filters, err), log = enum_of(item, LOG, logs, err);

	if (mapping < 0 || filtering < 0 || log < 0)
		return -EINVAL;
	g->form = (struct nat_rules){
		.dependent = mapping != 0,
		.filtering = (enum nat_filtering)filtering,
		.log = (enum nat_logging)log,
		.hairpin = item_bool(item, HAIRPIN),
		.per_port = (uint32_t)item_uint(item, PER_PORT),
		.per_vpc = (uint32_t)item_uint(item, PER_VPC),
		.quarantine_s = RTE_MIN((uint32_t)item_uint(item, QUARANTINE), 1u << 20),
		.revision = item_uint(item, REVISION),
		.block = (uint32_t)RTE_MIN(item_uint(item, PORT_BLOCK), (uint64_t)NAT_PORTS),
		.timeouts = {timeout_of(item, "tcp_established_s", 7440),
			timeout_of(item, "tcp_transitory_s", 240), timeout_of(item, "udp_s", 300),
			timeout_of(item, "icmp_s", 60)},
	};
	g->vni = (uint32_t)item_uint(item, VNI);
	return item_name(item, VTEP, g->vtep, err);
}

/* Tables that only gateways need. */
static int tables(const struct nat_item_gateway *g, struct state_error *err)
{
	if (nat_table_init(RECORDS_A_SESSION * session_capacity()) != 0 ||
		(g->form.log != NAT_LOG_NONE && nat_log_init() != 0))
		return item_no_memory(err);
	return 0;
}

static int gateway_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct nat_item_gateway *g = calloc(1, sizeof(*g)), *now;
	int rc;

	if (g == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, NAME, g->name, err);
	if (rc == 0 && item != NULL)
		rc = parse_gateway(item, g, err);
	if (rc == 0 && item != NULL)
		rc = tables(g, err);
	now = find(g->name);
	if (rc == 0 && item != NULL && (now == NULL || now->vni != g->vni) &&
		(g->gw = nat_gateway_new(g->name, g->vni)) == NULL)
		rc = errno == ENOSPC
			     ? state_fail(err, -ENOSPC, "there is no room for more NAT gateways")
			     : item_no_memory(err);
	g->deleted = item == NULL;
	if (rc != 0)
		free_gateway_item(g);
	else
		*staged = g;
	return rc;
}

static void free_rules_of(struct nat_item_gateway *g)
{
	while (g->snat != NULL) {
		struct nat_item_snat *s = g->snat;

		g->snat = s->next;
		free(s);
	}
	while (g->dnat != NULL) {
		struct nat_item_dnat *d = g->dnat;

		g->dnat = d->next;
		free(d);
	}
}

static void remove_gateway(const char *name)
{
	struct nat_item_gateway **at = &items, *g;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	g = *at;
	if (g == NULL)
		return;
	*at = g->next;
	nat_rules_retire(g->gw);
	free_rules_of(g);
	free(g);
}

static void gateway_commit(void *staged)
{
	struct nat_item_gateway *g = staged, *now = find(g->name);

	if (g->deleted) {
		remove_gateway(g->name);
		free(g);
		return;
	}
	if (now == NULL) {
		g->next = items;
		g->dirty = true;
		items = g;
		return;
	}
	now->form = g->form;
	memcpy(now->vtep, g->vtep, sizeof(now->vtep));
	if (g->gw != NULL) {
		nat_rules_retire(now->gw);
		now->gw = g->gw;
		now->vni = g->vni;
	}
	now->dirty = true;
	free(g);
}

STATE_KIND(gateway_kind, .name = "nat_gateway", .order = 90, .prepare = gateway_prepare,
	.commit = gateway_commit, .abort = free_gateway_item);

/*
 * snat
 */
static int read_eips(const json_t *item, struct nat_item_snat **s, struct state_error *err)
{
	const json_t *list = json_array_get(item, SNAT_EIPS), *name;
	size_t n = json_array_size(list), i;
	struct nat_item_snat *larger = realloc(*s, sizeof(**s) + n * sizeof((*s)->eips[0]));

	if (larger == NULL)
		return item_no_memory(err);
	*s = larger;
	larger->n_eips = (uint32_t)n;
	json_array_foreach (list, i, name) {
		if (json_string_length(name) >= PORT_NAME_MAX)
			return state_fail(err, -EINVAL, "the name of an elastic IP is too long");
		memcpy(larger->eips[i], json_string_value(name), json_string_length(name) + 1);
	}
	return 0;
}

static int snat_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *key = item != NULL ? item : old;
	struct nat_item_snat *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return item_no_memory(err);
	rc = item_name(key, SNAT_GATEWAY, s->gateway, err);
	s->index = (uint32_t)item_uint(key, SNAT_INDEX);
	s->deleted = item == NULL;
	if (rc == 0 && item != NULL) {
		s->nat64 = item_bool(item, NAT64);
		rc = item_prefix(item, SOURCE, &s->source, err);
	}
	if (rc == 0 && item != NULL)
		rc = read_eips(item, &s, err);
	if (rc != 0)
		free(s);
	else
		*staged = s;
	return rc;
}

static void snat_commit(void *staged)
{
	struct nat_item_snat *s = staged, **at, *old;
	struct nat_item_gateway *g = find(s->gateway);

	if (g == NULL) {
		free(s);
		return;
	}
	for (at = &g->snat; *at != NULL && (*at)->index < s->index;)
		at = &(*at)->next;
	old = *at;
	if (old != NULL && old->index == s->index) {
		*at = old->next;
		free(old);
	}
	g->dirty = true;
	if (s->deleted) {
		free(s);
		return;
	}
	s->next = *at;
	*at = s;
}

STATE_KIND(snat_kind, .name = "snat", .order = 91, .prepare = snat_prepare, .commit = snat_commit,
	.abort = free);

/*
 * dnat
 */
static int parse_dnat(const json_t *item, struct nat_item_dnat *d, struct state_error *err)
{
	uint64_t proto = item_uint(item, PROTOCOL), from = item_uint(item, PORT_FROM),
		 to = item_uint(item, PORT_TO), inside = item_uint(item, TO_PORT);

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return state_fail(err, -EINVAL, "only TCP and UDP have ports to forward");
	if (from == 0 || from > to || to >= NAT_PORTS || inside == 0 ||
		inside + (to - from) >= NAT_PORTS)
		return state_fail(err, -EINVAL, "ports must be 1 to 65535, in order");
	d->space = proto == IPPROTO_TCP ? NAT_TCP : NAT_UDP;
	d->from = (uint16_t)from;
	d->to = (uint16_t)to;
	d->to_port = (uint16_t)inside;
	return item_addr(item, TO_ADDRESS, &d->to_address, err);
}

static int dnat_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *key = item != NULL ? item : old;
	struct nat_item_dnat *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return item_no_memory(err);
	rc = item_name(key, DNAT_GATEWAY, d->gateway, err);
	d->index = (uint32_t)item_uint(key, DNAT_INDEX);
	d->deleted = item == NULL;
	if (rc == 0 && item != NULL)
		rc = item_name(item, DNAT_EIP, d->eip, err);
	if (rc == 0 && item != NULL)
		rc = parse_dnat(item, d, err);
	if (rc != 0)
		free(d);
	else
		*staged = d;
	return rc;
}

static void dnat_commit(void *staged)
{
	struct nat_item_dnat *d = staged, **at, *old;
	struct nat_item_gateway *g = find(d->gateway);

	if (g == NULL) {
		free(d);
		return;
	}
	for (at = &g->dnat; *at != NULL && (*at)->index < d->index;)
		at = &(*at)->next;
	old = *at;
	if (old != NULL && old->index == d->index) {
		*at = old->next;
		free(old);
	}
	g->dirty = true;
	if (d->deleted) {
		free(d);
		return;
	}
	d->next = *at;
	*at = d;
}

STATE_KIND(dnat_kind, .name = "dnat", .order = 92, .prepare = dnat_prepare, .commit = dnat_commit,
	.abort = free);

static void after_commit(void)
{
	for (struct nat_item_gateway *g = items; g != NULL; g = g->next)
		if (g->dirty || nat_rules_stale(g))
			nat_rules_make(g);
}

STATE_HOOK(nat_hook, .order = 90, .after_commit = after_commit);
