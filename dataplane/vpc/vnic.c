/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/vnic.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "policy/policy_state.h"
#include "vpc/claim.h"
#include "vpc/vpc_internal.h"

bool vnic_owns(const struct vnic *vnic, const struct ip_addr *addr)
{
	for (unsigned int n = 0; n < vnic->n_addrs; n++)
		if (ip_addr_equal(&vnic->addrs[n], addr))
			return true;
	return false;
}

bool vnic_may_use(const struct vnic *vnic, const struct ip_addr *addr)
{
	if (vnic_owns(vnic, addr) || ip_addr_equal(&vnic->link_local, addr))
		return true;
	for (unsigned int n = 0; n < vnic->n_allowed; n++)
		if (ip_prefix_contains(&vnic->allowed[n], addr))
			return true;
	return false;
}

struct vnic *vnic_new(void)
{
	return calloc(1, sizeof(struct vnic));
}

static void free_memory(void *arg)
{
	struct vnic *vnic = arg;

	free(vnic->allowed);
	free(vnic->claimed);
	free(vnic);
}

static void put_references(struct vnic *vnic)
{
	if (vnic->policy != NULL)
		policy_release(vnic->policy);
	if (vnic->groups != NULL)
		group_set_put(vnic->groups, rcu_defer);
	json_decref(vnic->attachment);
}

void vnic_free(struct vnic *vnic)
{
	if (vnic == NULL)
		return;
	put_references(vnic);
	free_memory(vnic);
}

static void retire(struct vnic *vnic)
{
	if (vnic == NULL)
		return;
	put_references(vnic);
	rcu_defer(free_memory, vnic);
}

/*
 * The device.
 */

static bool is_attached(const struct vnic *vnic)
{
	const char *type = json_string_value(json_object_get(vnic->attachment, "type"));

	return type != NULL && strcmp(type, "none") != 0;
}

static const char *text_of(const struct vnic *vnic, const char *key)
{
	return json_string_value(json_object_get(vnic->attachment, key));
}

/* "10.0.0.5/24": the address with its subnet's prefix length. */
static bool with_length(
	const struct subnet *subnet, const struct ip_addr *addr, char *text, size_t size)
{
	bool v4 = ip_addr_is_v4(addr);
	const struct ip_prefix *prefix = v4 ? &subnet->prefix4 : &subnet->prefix6;
	char a[NET_ADDR_TEXT];

	if (prefix->len == IP_PREFIX_NONE)
		return false;
	snprintf(
		text, size, "%s/%u", ip_addr_format(addr, a), prefix->len - (v4 ? IP_V4_BITS : 0u));
	return true;
}

static unsigned int failures;

unsigned int vnic_failures(void)
{
	return failures;
}

/* A port that moves here finds its interface's name taken for some milliseconds, which is nobody's concern: so many tries in a
 * row, about 0.2 s (upkeep.c), have to fail. */
#define TELL_AFTER 5

/* One event for a device that cannot be opened, and one when it can again. */
static void tell_opened(struct port *port, int rc)
{
	if (rc == 0) {
		if (port->open_failures >= TELL_AFTER)
			rpc_event("info", "port", port->name, "port_healed",
				"port %s: its device is open now", port->name);
		port->open_failures = 0;
	} else if (port->open_failures < TELL_AFTER && ++port->open_failures == TELL_AFTER) {
		rpc_event("warning", "port", port->name, "port_error", "port %s: %s", port->name,
			port->reason);
	}
}

static int open_device(struct vnic *vnic)
{
	char owner[160];
	char text[RTE_DIM(vnic->addrs)][NET_PREFIX_TEXT], gw4[NET_ADDR_TEXT], gw6[NET_ADDR_TEXT];
	const char *addresses[RTE_DIM(vnic->addrs)];
	const struct subnet *subnet = vnic->subnet;
	struct port_spec spec = {
		.type = text_of(vnic, "type"),
		.ifname = text_of(vnic, "ifname"),
		.netns = text_of(vnic, "netns"),
		.configure = json_is_true(json_object_get(vnic->attachment, "configure")),
		.mode = text_of(vnic, "mode"),
		.devargs = text_of(vnic, "devargs"),
		.socket = text_of(vnic, "socket"),
		.id = (uint32_t)json_integer_value(json_object_get(vnic->attachment, "id")),
		.role = text_of(vnic, "role"),
		.queues = (uint32_t)json_integer_value(json_object_get(vnic->attachment, "queues")),
		.mtu = vnic->vpc->mtu,
		.mac = vnic->port->mac,
		.addresses = addresses,
		.owner = owner,
		.vni = vnic->vpc->vni,
	};
	int rc;

	snprintf(owner, sizeof(owner), "vpc %s %s", node_config.node, vnic->port->name);

	for (unsigned int n = 0; subnet != NULL && n < vnic->n_addrs; n++)
		if (with_length(subnet, &vnic->addrs[n], text[spec.n_addresses], sizeof(text[0]))) {
			addresses[spec.n_addresses] = text[spec.n_addresses];
			spec.n_addresses++;
		}
	if (subnet != NULL && subnet->prefix4.len != IP_PREFIX_NONE)
		spec.gateway4 = ip_addr_format(&subnet->gateway4, gw4);
	if (subnet != NULL && subnet->prefix6.len != IP_PREFIX_NONE)
		spec.gateway6 = ip_addr_format(&subnet->gateway6, gw6);
	rc = port_open(vnic->port, &spec);
	failures += rc != 0;
	tell_opened(vnic->port, rc);
	return rc;
}

/* Does the device look the same from the tenant's side? */
static bool same_device(const struct vnic *a, const struct vnic *b)
{
	if (!json_equal(a->attachment, b->attachment))
		return false;
	if (!json_is_true(json_object_get(a->attachment, "configure")))
		return true;
	return a->n_addrs == b->n_addrs &&
	       memcmp(a->addrs, b->addrs, a->n_addrs * sizeof(a->addrs[0])) == 0;
}

unsigned int vnic_retry(void)
{
	unsigned int failed = 0;

	for (struct port *port = port_next(NULL); port != NULL; port = port_next(port)) {
		struct vnic *vnic = port->role == PORT_TENANT ? vnic_of(port) : NULL;

		if (vnic != NULL && port->state == PORT_ERROR && is_attached(vnic))
			failed += open_device(vnic) != 0;
	}
	return failed;
}

/*
 * The record.
 */

void vnic_put_endpoint(const struct vnic *vnic, const struct ip_addr *addr)
{
	const struct port *port = vnic->port;
	struct endpoint *e = endpoint_new(vnic->vpc->index, addr, port->name);

	if (e == NULL)
		return; /* not reachable, which a later put of the port mends */
	e->mac = port->mac;
	e->where = loc_port(port->index);
	e->subnet = vnic->subnet;
	e->groups = group_set_ref(vnic->groups);
	endpoint_put(e);
}

/* An allowed single address that nobody owns lives behind the first port that may use it. */
static bool is_free(const struct vnic *vnic, const struct ip_prefix *allowed)
{
	const struct endpoint *e =
		allowed->len == 128 ? endpoint_get(vnic->vpc->index, &allowed->addr) : NULL;

	return allowed->len == 128 && (e == NULL || e->where == loc_port(vnic->port->index));
}

static void put_endpoints(const struct vnic *vnic)
{
	for (unsigned int n = 0; n < vnic->n_addrs; n++)
		vnic_put_endpoint(vnic, &vnic->addrs[n]);
	for (unsigned int n = 0; n < vnic->n_allowed; n++)
		if (!vnic_owns(vnic, &vnic->allowed[n].addr) && is_free(vnic, &vnic->allowed[n]))
			vnic_put_endpoint(vnic, &vnic->allowed[n].addr);
}

static struct vnic *sharing;

struct vnic *vnic_next_sharing(const struct vnic *previous)
{
	return previous != NULL ? previous->next_sharing : sharing;
}

bool vnic_shares(const struct vnic *vnic, uint32_t vpc_index, const struct ip_addr *addr)
{
	if (vnic->vpc->index != vpc_index)
		return false;
	for (unsigned int n = 0; n < vnic->n_allowed; n++)
		if (vnic->allowed[n].len == 128 && ip_addr_equal(&vnic->allowed[n].addr, addr))
			return true;
	return false;
}

static bool has_claimed(const struct vnic *vnic, const struct ip_addr *addr)
{
	for (uint32_t n = 0; n < vnic->n_claimed; n++)
		if (ip_addr_equal(&vnic->claimed[n], addr))
			return true;
	return false;
}

void vnic_claim(struct vnic *vnic, const struct ip_addr *addr)
{
	if (!vnic_shares(vnic, vnic->vpc->index, addr) && !has_claimed(vnic, addr)) {
		if (vnic->claimed == NULL)
			vnic->claimed = calloc(VNIC_CLAIMS_MAX, sizeof(*vnic->claimed));
		if (vnic->claimed == NULL || vnic->n_claimed == VNIC_CLAIMS_MAX ||
			endpoint_count() >= endpoint_capacity())
			return;
		vnic->claimed[vnic->n_claimed++] = *addr;
	}
	vnic_put_endpoint(vnic, addr);
}

/* What the old record has claimed: the new one goes on with what it still may use, if nobody else has it by now. */
static void inherit_claims(struct vnic *old, struct vnic *now)
{
	for (uint32_t n = 0; n < old->n_claimed; n++) {
		const struct ip_addr *addr = &old->claimed[n];
		const struct endpoint *e = endpoint_get(old->vpc->index, addr);

		if (e == NULL || e->where != loc_port(old->port->index))
			continue;
		if (now != NULL && now->vpc == old->vpc && vnic_may_use(now, addr))
			vnic_claim(now, addr);
		else
			endpoint_remove(old->vpc->index, addr, loc_port(old->port->index));
	}
}

static void list_sharing(struct vnic *vnic)
{
	for (unsigned int n = 0; n < vnic->n_allowed; n++) {
		if (vnic->allowed[n].len != 128)
			continue;
		vnic->next_sharing = sharing;
		sharing = vnic;
		return;
	}
}

static void unlist_sharing(const struct vnic *vnic)
{
	struct vnic **at = &sharing;

	while (*at != NULL && *at != vnic)
		at = &(*at)->next_sharing;
	if (*at != NULL)
		*at = vnic->next_sharing;
}

static void remove_endpoint(
	const struct vnic *old, const struct vnic *now, const struct ip_addr *addr)
{
	if (now != NULL && now->vpc == old->vpc && vnic_may_use(now, addr))
		return;
	endpoint_remove(old->vpc->index, addr, loc_port(old->port->index));
	claim_adopt(old->vpc->index, addr);
}

/* Of what the old record brought and the new one (or NULL) does not. */
static void remove_endpoints(const struct vnic *old, const struct vnic *now)
{
	for (unsigned int n = 0; n < old->n_addrs; n++)
		remove_endpoint(old, now, &old->addrs[n]);
	for (unsigned int n = 0; n < old->n_allowed; n++)
		if (old->allowed[n].len == 128)
			remove_endpoint(old, now, &old->allowed[n].addr);
}

void vnic_put(struct port *port, struct vnic *vnic, const struct vnic_port *settings)
{
	struct vnic *old = vnic_of(port);
	/* Into another VPC no frame of the old one follows. */
	bool reopen = old == NULL || old->vpc != vnic->vpc || !same_device(old, vnic) ||
		      port->mtu != vnic->vpc->mtu ||
		      !rte_is_same_ether_addr(&port->mac, &settings->mac);

	if (old != NULL && reopen)
		port_close(port);
	vnic->port = port;
	vnic->link_local = ip_link_local_of(&settings->mac);
	vnic->epoch = old != NULL ? old->epoch : epoch_take();
	port->revision = vnic->revision;
	port->mac = settings->mac;
	port->gw_mac = vnic->vpc->gw_mac;
	port->mtu = vnic->vpc->mtu;
	port->port_security = settings->port_security;
	port->vpc_index = vnic->vpc->index;
	__atomic_store_n(&port->vnic, vnic, __ATOMIC_RELEASE);
	port->enabled = settings->enabled;
	list_sharing(vnic);
	put_endpoints(vnic);
	if (old != NULL) {
		unlist_sharing(old);
		remove_endpoints(old, vnic);
		inherit_claims(old, vnic);
		epoch_bump(vnic->epoch);
	}
	retire(old);
	if (!is_attached(vnic))
		port->open_failures = 0;
	else if (reopen)
		open_device(vnic); /* failed: the port's state and reason say so */
}

static void (*on_removal)(const struct vnic *vnic);

void vnic_on_removal(void (*fn)(const struct vnic *vnic))
{
	on_removal = fn;
}

void vnic_remove(struct port *port)
{
	struct vnic *old = vnic_of(port);

	port->enabled = 0;
	if (old != NULL) {
		if (on_removal != NULL)
			on_removal(old);
		__atomic_store_n(&port->vnic, NULL, __ATOMIC_RELEASE);
		unlist_sharing(old);
		remove_endpoints(old, NULL);
		inherit_claims(old, NULL);
		if (old->epoch != EPOCH_NO_SLOT)
			epoch_free(old->epoch);
	}
	port_free(port);
	retire(old);
}
