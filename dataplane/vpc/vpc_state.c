/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `vpc`, and the end of every transaction for what vpc/ owns. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rcu.h"
#include "core/worker.h"
#include "vpc/item.h"
#include "vpc/vpc_internal.h"

uint64_t vpc_networks_changed = 1;

enum column { VNI = 1, NAME, TENANT, MTU, GATEWAY_MAC, CIDRS, PEERS, REVISION };

struct change {
	struct vpc *vpc; /* new, or the one there is */
	bool created, deleted;
	struct vpc values; /* what a put writes into it */
};

static void change_free(struct change *c)
{
	free(c->values.cidrs);
	free(c->values.peers);
	free(c);
}

static int parse(const json_t *item, struct vpc *v, struct state_error *err)
{
	const json_t *peers = json_array_get(item, PEERS), *peer;
	uint64_t mtu = item_uint(item, MTU);
	size_t n;
	int rc;

	if (item_uint(item, VNI) == 0 || item_uint(item, VNI) >> 24 != 0)
		return state_fail(err, -EINVAL, "a VNI is 1 .. 16777215");
	if (mtu < 68 || mtu > 65535 - 100)
		return state_fail(err, -EINVAL, "an MTU of %llu", (unsigned long long)mtu);
	if ((rc = item_name(item, NAME, v->name, err)) != 0 ||
		(rc = item_name(item, TENANT, v->tenant, err)) != 0 ||
		(rc = item_prefixes(item, CIDRS, &v->cidrs, &v->n_cidrs, err)) != 0)
		return rc;
	v->mtu = (uint16_t)mtu;
	v->gw_mac = item_mac(item, GATEWAY_MAC);
	v->revision = item_uint(item, REVISION);
	v->peers = calloc(json_array_size(peers) + 1, sizeof(*v->peers));
	if (v->peers == NULL)
		return item_no_memory(err);
	json_array_foreach (peers, n, peer)
		v->peers[v->n_peers++] = (uint32_t)json_integer_value(peer);
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL)
		return item_no_memory(err);
	c->deleted = item == NULL;
	if (item != NULL)
		rc = parse(item, &c->values, err);
	if (rc == 0 && old != NULL) {
		c->vpc = vpc_by_vni((uint32_t)item_uint(old, VNI));
	} else if (rc == 0) {
		c->created = true;
		c->vpc = vpc_new((uint32_t)item_uint(item, VNI));
		err->exhausted = c->vpc == NULL;
		if (c->vpc == NULL)
			rc = state_fail(err, -ENOSPC, "no room for another VPC on this node");
	}
	if (rc != 0)
		change_free(c);
	else
		*staged = c;
	return rc;
}

/* The VPCs on the other side of peerings have this one's CIDRs among their routes. */
static void peers_dirty(const struct vpc *vpc)
{
	for (uint32_t p = 0; p < vpc->n_peers; p++) {
		struct vpc *peer = vpc_by_vni(vpc->peers[p]);

		if (peer != NULL)
			vpc_dirty(peer);
	}
}

static void write(struct vpc *vpc, struct vpc *values)
{
	struct ip_prefix *cidrs = vpc->cidrs;
	uint32_t *peers = vpc->peers;

	memcpy(vpc->name, values->name, sizeof(vpc->name));
	memcpy(vpc->tenant, values->tenant, sizeof(vpc->tenant));
	vpc->gw_mac = values->gw_mac;
	vpc->gw_link_local = ip_link_local_of(&values->gw_mac);
	vpc->mtu = values->mtu;
	vpc->revision = values->revision;
	vpc->cidrs = values->cidrs;
	vpc->n_cidrs = values->n_cidrs;
	vpc->peers = values->peers;
	vpc->n_peers = values->n_peers;
	values->cidrs = cidrs;
	values->peers = peers;
}

static void commit(void *staged)
{
	struct change *c = staged;

	vpc_networks_changed++;
	peers_dirty(c->vpc);
	if (c->deleted) {
		vpc_retire(c->vpc);
	} else {
		write(c->vpc, &c->values);
		peers_dirty(c->vpc);
		if (c->created)
			vpc_put(c->vpc);
		vpc_dirty(c->vpc);
	}
	change_free(c);
}

static void undo(void *staged)
{
	struct change *c = staged;

	if (c->created)
		vpc_drop(c->vpc);
	change_free(c);
}

STATE_KIND(
	vpc_kind, .name = "vpc", .order = 20, .prepare = prepare, .commit = commit, .abort = undo);

static void after_commit(void)
{
	vpc_settle();
	worker_wake_all();
}

STATE_HOOK(vpc_hook, .order = 20, .after_commit = after_commit);
