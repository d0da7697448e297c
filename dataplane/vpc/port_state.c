/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `port`: vNICs on this node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "policy/policy_state.h"
#include "vpc/item.h"
#include "vpc/vnic.h"
#include "vpc/vpc_internal.h"

enum column {
	NAME = 1,
	VNI,
	SUBNET,
	MAC,
	ADDRESSES,
	GROUPS,
	PORT_SECURITY,
	ALLOWED,
	ENABLED,
	RATE,
	ATTACHMENT,
	REVISION
};

struct change {
	struct port *port;
	bool created;
	struct vnic *vnic; /* NULL: deletion */
	struct vnic_port settings;
	uint32_t vni;
	char subnet[PORT_NAME_MAX];
	struct qos_port_change rate;
};

static void undo(void *staged)
{
	struct change *c = staged;

	qos_port_abort(&c->rate);
	vnic_free(c->vnic);
	if (c->created)
		port_free(c->port);
	free(c);
}

static int parse_addresses(const json_t *item, struct vnic *vnic, struct state_error *err)
{
	const json_t *list = json_array_get(item, ADDRESSES), *entry;
	size_t n;

	if (json_array_size(list) > RTE_DIM(vnic->addrs))
		return state_fail(err, -EINVAL, "more than %zu addresses", RTE_DIM(vnic->addrs));
	json_array_foreach (list, n, entry)
		if (!ip_addr_parse(json_string_value(entry), &vnic->addrs[vnic->n_addrs++]))
			return state_fail(
				err, -EINVAL, "`%s` is no address", json_string_value(entry));
	return 0;
}

static int parse(const json_t *item, struct change *c, struct state_error *err)
{
	struct vnic *vnic = c->vnic;
	uint32_t n_allowed;
	int rc;

	if ((rc = item_name(item, SUBNET, c->subnet, err)) != 0 ||
		(rc = parse_addresses(item, vnic, err)) != 0 ||
		(rc = item_prefixes(item, ALLOWED, &vnic->allowed, &n_allowed, err)) != 0)
		return rc;
	if (n_allowed > UINT16_MAX)
		return state_fail(err, -EINVAL, "too many allowed addresses");
	vnic->n_allowed = (uint16_t)n_allowed;
	vnic->revision = item_uint(item, REVISION);
	vnic->attachment = json_deep_copy(json_array_get(item, ATTACHMENT));
	vnic->groups = policy_groups_of(json_array_get(item, GROUPS));
	if (vnic->attachment == NULL || vnic->groups == NULL)
		return item_no_memory(err);
	vnic->policy = policy_of(vnic->groups);
	if (vnic->policy == NULL)
		return item_no_memory(err);
	vnic->policy_epoch = policy_tag(vnic->policy);
	c->vni = (uint32_t)item_uint(item, VNI);
	c->settings.mac = item_mac(item, MAC);
	c->settings.enabled = item_bool(item, ENABLED);
	c->settings.port_security = item_bool(item, PORT_SECURITY);
	return 0;
}

static int find_or_make_port(const json_t *item, struct change *c, struct state_error *err)
{
	char name[PORT_NAME_MAX];
	int rc = item_name(item, NAME, name, err);

	if (rc != 0)
		return rc;
	c->port = port_by_name(name);
	/* The underlay's name could be a tenant's port's. */
	if (c->port != NULL && c->port->role != PORT_TENANT)
		return state_fail(err, -EINVAL, "`%s` is a port of the node itself", name);
	if (c->port != NULL)
		return 0;
	c->port = port_new(name, PORT_TENANT);
	c->created = c->port != NULL;
	err->exhausted = c->port == NULL;
	return c->created ? 0
			  : state_fail(err, -ENOSPC, "ports: no room for another one on this node");
}

static int prepare_rate(const json_t *item, struct change *c, struct state_error *err)
{
	const struct vnic *applied = vnic_of(c->port);
	int rc = qos_port_prepare(&c->rate, json_array_get(item, RATE),
		applied != NULL ? &applied->rate : NULL, c->port->index);

	err->exhausted = rc != 0;
	if (rc != 0)
		return state_fail(err, rc, "rates: no room for another one on this node");
	c->vnic->rate = c->rate.now;
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	if (item == NULL) {
		c->port = port_by_name(item_text(old, NAME));
		if (c->port != NULL && vnic_of(c->port) != NULL)
			c->rate.old = vnic_of(c->port)->rate;
		*staged = c;
		return 0;
	}
	c->vnic = vnic_new();
	rc = c->vnic != NULL ? parse(item, c, err) : item_no_memory(err);
	if (rc == 0)
		rc = find_or_make_port(item, c, err);
	if (rc == 0)
		rc = prepare_rate(item, c, err);
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static bool removed;

static void commit(void *staged)
{
	struct change *c = staged;

	if (c->vnic == NULL) {
		if (c->port != NULL)
			vnic_remove(c->port);
		removed = true;
	} else {
		policy_publish();
		c->vnic->vpc = vpc_by_vni(c->vni);
		c->vnic->subnet = subnet_by_name(c->subnet);
		qos_port_commit(&c->rate);
		vnic_put(c->port, c->vnic, &c->settings);
	}
	qos_port_release(&c->rate); /* their flows have been told to ask again */
	free(c);
}

/* Opening a device takes some tenths of a millisecond. */
STATE_KIND(port_kind, .name = "port", .order = 60, .weight = 200, .prepare = prepare,
	.commit = commit, .abort = undo);

/* Deletions come last: a device that moved from one port to another is free only now. */
static void after_commit(void)
{
	if (removed)
		vnic_retry();
	removed = false;
}

STATE_HOOK(port_hook, .order = 60, .after_commit = after_commit);
