/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/next_hop.h"

#include <stdlib.h>

#include "base/ip_text.h"
#include "core/rpc.h"
#include "lib/log.h"
#include "underlay/underlay.h"

struct hop {
	struct neighbour neighbour; /* first */
	struct vtep *vteps;         /* behind it, linked by next_behind */
};

static struct next_hop_config config;
static struct neighbour_link underlay_link;
static bool started;

static struct hop *hop_of(const struct neighbour *n)
{
	return (struct hop *)(uintptr_t)n;
}

static bool is_given(const struct ip_addr *a)
{
	return (a->q[0] | a->q[1]) != 0;
}

static void report_unreachable(struct vtep *v, const struct hop *h)
{
	char node[NET_ADDR_TEXT], hop[NET_ADDR_TEXT];

	if (v->reported)
		return;
	v->reported = true;
	ip_addr_format(&v->addr, node);
	if (h == NULL)
		rpc_event("warning", "node", v->name, "unreachable",
			"node %s is unreachable: no route on the underlay to %s", v->name, node);
	else
		rpc_event("warning", "node", v->name, "unreachable",
			"node %s (%s) is unreachable: next hop %s does not answer", v->name, node,
			ip_addr_format(&h->neighbour.addr, hop));
}

static void report_reachable(struct vtep *v, const struct hop *h)
{
	char node[NET_ADDR_TEXT], hop[NET_ADDR_TEXT];

	if (!v->reported)
		return;
	v->reported = false;
	rpc_event("info", "node", v->name, "reachable",
		"node %s (%s) is reachable again by next hop %s", v->name,
		ip_addr_format(&v->addr, node), ip_addr_format(&h->neighbour.addr, hop));
}

/* What the packet path is told. */
static void publish(struct neighbour *n, bool known)
{
	for (struct vtep *v = hop_of(n)->vteps; v != NULL; v = v->next_behind)
		vtep_set_next_hop(v, known ? &n->mac : NULL);
}

static void lost(struct neighbour *n)
{
	for (struct vtep *v = hop_of(n)->vteps; v != NULL; v = v->next_behind)
		report_unreachable(v, hop_of(n));
}

static void found(struct neighbour *n)
{
	for (struct vtep *v = hop_of(n)->vteps; v != NULL; v = v->next_behind)
		report_reachable(v, hop_of(n));
}

static bool wanted(const struct neighbour *n)
{
	for (const struct vtep *v = hop_of(n)->vteps; v != NULL; v = v->next_behind)
		if (atomic_load_explicit(&v->wanted, memory_order_relaxed))
			return true;
	return false;
}

static void asked(struct neighbour *n)
{
	for (struct vtep *v = hop_of(n)->vteps; v != NULL; v = v->next_behind)
		atomic_store_explicit(&v->wanted, false, memory_order_relaxed);
}

static const struct neighbour_ops ops = {
	.publish = publish, .lost = lost, .found = found, .wanted = wanted, .asked = asked};

/* Whom to hand packets for `dst` to. False: nobody is known. */
static bool next_hop_of(const struct ip_addr *dst, struct ip_addr *hop)
{
	bool v6 = !ip_addr_is_v4(dst);

	*hop = *dst;
	if (!is_given(&config.own[v6]))
		return false;
	if (ip_prefix_contains(&config.on_link[v6], dst) || (v6 && ip_addr_is_link_local(dst)))
		return true;
	if (is_given(&config.gateway[v6])) {
		*hop = config.gateway[v6];
		return true;
	}
	/* A next hop of the other family (RFC 8950) is asked for from our address of that family. */
	return config.kernel_route != NULL && config.kernel_route(dst, hop) &&
	       is_given(&config.own[!ip_addr_is_v4(hop)]);
}

static struct hop *hop_get(const struct ip_addr *addr, uint32_t now_ms)
{
	struct neighbour *n = neighbour_find(&underlay_link, addr);
	struct hop *h;

	if (n != NULL)
		return hop_of(n);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->neighbour.addr = *addr;
	h->neighbour.pace = &neighbour_pace_usual;
	neighbour_add(&underlay_link, &h->neighbour, now_ms);
	return h;
}

void next_hop_vtep_added(struct vtep *vtep, uint32_t now_ms)
{
	struct ip_addr addr;
	struct hop *h;

	if (!started || neighbour_is_own(&underlay_link, &vtep->addr))
		return;
	if (!next_hop_of(&vtep->addr, &addr)) {
		report_unreachable(vtep, NULL);
		return;
	}
	h = hop_get(&addr, now_ms);
	if (h == NULL) {
		log_error("no memory for a next hop", LOG_STR("node", vtep->name));
		return;
	}
	vtep->hop = h;
	vtep->next_behind = h->vteps;
	h->vteps = vtep;
	if (neighbour_has_mac(&h->neighbour)) {
		vtep_set_next_hop(vtep, &h->neighbour.mac);
		report_reachable(vtep, h);
	} else if (h->neighbour.state == NEIGHBOUR_FAILED) {
		report_unreachable(vtep, h);
	}
}

void next_hop_vtep_removed(struct vtep *vtep)
{
	struct hop *h = vtep->hop;
	struct vtep **at;

	if (h == NULL)
		return;
	for (at = &h->vteps; *at != vtep; at = &(*at)->next_behind)
		;
	*at = vtep->next_behind;
	vtep->hop = NULL;
	vtep->next_behind = NULL;
	if (h->vteps == NULL) {
		neighbour_remove(&underlay_link, &h->neighbour);
		free(h);
	}
}

void next_hop_reroute(uint32_t now_ms)
{
	for (struct vtep *v = vtep_next(NULL); v != NULL; v = vtep_next(v)) {
		struct ip_addr addr;
		bool found_one = next_hop_of(&v->addr, &addr);

		if (found_one == (v->hop != NULL) &&
			(!found_one || ip_addr_equal(&v->hop->neighbour.addr, &addr)))
			continue;
		next_hop_vtep_removed(v);
		next_hop_vtep_added(v, now_ms);
		if (v->hop == NULL || !neighbour_has_mac(&v->hop->neighbour))
			vtep_set_next_hop(v, NULL);
	}
}

struct neighbour_link *next_hop_link(void)
{
	return &underlay_link;
}

void next_hop_start(const struct next_hop_config *given, uint32_t now_ms)
{
	config = *given;
	underlay_link.name = "the underlay";
	memcpy(underlay_link.own, given->own, sizeof(underlay_link.own));
	underlay_link.own_mac = given->own_mac;
	underlay_link.out = LOC_NONE;
	underlay_link.static_entries = given->static_entries;
	underlay_link.ops = &ops;
	started = true;
	for (struct vtep *v = vtep_next(NULL); v != NULL; v = vtep_next(v))
		next_hop_vtep_added(v, now_ms);
}
