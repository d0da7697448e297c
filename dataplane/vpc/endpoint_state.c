/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `endpoint`: addresses behind other VTEPs. There may be millions, so they are parsed
 * when they are staged (an eager kind), into the record itself, and commit only resolves names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_text.h"
#include "policy/policy_state.h"
#include "underlay/underlay.h"
#include "vpc/claim.h"
#include "vpc/item.h"
#include "vpc/vpc_internal.h"

enum column { VNI = 1, ADDRESS, MAC, VTEP, SUBNET, PORT, GROUPS };

struct change {
	struct endpoint *endpoint; /* NULL: deletion */
	struct ip_addr addr;
	uint32_t vni;
	bool counted;      /* takes room that nothing else has yet */
	uint8_t vtep_size; /* of the VTEP's name in names, with its zero; the subnet's is behind it */
	char names[];
};

static uint32_t n_staged; /* endpoints to come: staged, of addresses that are not there yet */

static void undo(void *staged)
{
	struct change *c = staged;

	n_staged -= c->counted;
	endpoint_free(c->endpoint);
	free(c);
}

static int take_room(struct change *c, struct state_error *err)
{
	const struct vpc *vpc = vpc_by_vni(c->vni);

	if (vpc != NULL && endpoint_get(vpc->index, &c->addr) != NULL)
		return 0;
	if (endpoint_count() + n_staged >= endpoint_capacity()) {
		err->exhausted = true;
		return state_fail(
			err, -ENOSPC, "endpoints: this node has room for %u", endpoint_capacity());
	}
	c->counted = true;
	n_staged++;
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	const json_t *any = item != NULL ? item : old;
	const char *vtep = item_text(any, VTEP), *subnet = item_text(any, SUBNET);
	size_t vtep_size = strlen(vtep) + 1, subnet_size = strlen(subnet) + 1;
	struct change *c = calloc(1, sizeof(*c) + vtep_size + subnet_size);
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	c->vni = (uint32_t)item_uint(any, VNI);
	c->vtep_size = (uint8_t)vtep_size;
	memcpy(c->names, vtep, vtep_size);
	memcpy(c->names + vtep_size, subnet, subnet_size);
	rc = item_addr(any, ADDRESS, &c->addr, err);
	if (rc == 0 && item != NULL) {
		c->endpoint = endpoint_new(PKT_VPC_NONE, &c->addr, item_text(item, PORT));
		if (c->endpoint != NULL) {
			c->endpoint->mac = item_mac(item, MAC);
			c->endpoint->groups = policy_groups_of(json_array_get(item, GROUPS));
		}
		if (c->endpoint == NULL || c->endpoint->groups == NULL)
			rc = item_no_memory(err);
		else
			rc = take_room(c, err);
	}
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;
	const struct vpc *vpc = vpc_by_vni(c->vni);
	const struct vtep *vtep = vtep_by_name(c->names);
	const char *subnet = c->names + c->vtep_size;

	if (c->endpoint == NULL) {
		endpoint_remove(vpc->index, &c->addr, LOC_TUNNEL_BIT);
		claim_adopt(vpc->index, &c->addr);
	} else {
		c->endpoint->vpc_index = vpc->index;
		c->endpoint->subnet = *subnet != '\0' ? subnet_by_name(subnet) : NULL;
		if (vtep != NULL)
			c->endpoint->where = loc_tunnel(vtep->index);
		endpoint_put(c->endpoint);
	}
	n_staged -= c->counted;
	free(c);
}

STATE_KIND(endpoint_kind, .name = "endpoint", .order = 70, .eager = true, .prepare = prepare,
	.commit = commit, .abort = undo);
