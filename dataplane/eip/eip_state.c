/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `eip`. An address whose network is not on this node is accepted: the next start may bring it. eip.status says so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pkt.h"
#include "eip/eip_record.h"
#include "underlay/underlay.h"
#include "vpc/item.h"

enum column {
	NAME = 1,
	EXTERNAL,
	ADDRESS,
	VTEP,
	USE,
	VNI,
	PRIVATE_ADDRESS,
	PORT,
	BANDWIDTH_MBPS,
	NEW_PER_S,
	DENY_CIDRS,
	BLACKHOLE,
	REVISION
};

#define BYTES_PER_MBIT 125000u

struct change {
	char name[PORT_NAME_MAX];
	struct eip_record *record; /* NULL: deletion */
	struct endpoint *endpoint; /* NULL: the gateway is another node */
	struct eip_life *made;     /* for the record; NULL: it goes on with the applied one's */
	uint32_t vni;              /* 0: serves nothing */
	char vtep[PORT_NAME_MAX];
};

static void undo(void *staged)
{
	struct change *c = staged;

	if (c->made != NULL)
		eip_life_free(c->made);
	endpoint_free(c->endpoint);
	eip_record_free(c->record);
	free(c);
}

static int parse_denied(const json_t *item, struct eip_record *r, struct state_error *err)
{
	struct prefix_map_entry *entries = NULL;
	struct ip_prefix *prefixes;
	uint32_t n;
	int rc = item_prefixes(item, DENY_CIDRS, &prefixes, &n, err);

	if (rc != 0 || n == 0)
		return rc;
	entries = calloc(n, sizeof(*entries));
	for (uint32_t i = 0; entries != NULL && i < n; i++)
		entries[i].prefix = prefixes[i];
	if (entries != NULL)
		r->denied = prefix_map_new(entries, n);
	free(entries);
	free(prefixes);
	return r->denied != NULL ? 0 : item_no_memory(err);
}

static int parse_use(const json_t *item, struct eip_record *r, struct state_error *err)
{
	const char *use = item_text(item, USE);
	int rc = item_addr(item, PRIVATE_ADDRESS, &r->private_address, err);

	if (rc != 0)
		return rc;
	r->bound = strcmp(use, "port") == 0;
	r->use = eip_use_find(use);
	if (!r->bound)
		return 0;
	if (*item_text(item, PRIVATE_ADDRESS) == '\0' || item_uint(item, VNI) == 0)
		return state_fail(err, -EINVAL, "use `port` wants vni and private_address");
	if (ip_addr_is_v4(&r->private_address) != ip_addr_is_v4(&r->eip.address))
		return state_fail(err, -EINVAL, "address and private_address are of two families");
	return 0;
}

static int parse(const json_t *item, struct change *c, struct state_error *err)
{
	struct eip_record *r = c->record;
	int rc;

	if ((rc = item_name(item, NAME, r->eip.name, err)) != 0 ||
		(rc = item_name(item, EXTERNAL, r->network, err)) != 0 ||
		(rc = item_name(item, PORT, r->port, err)) != 0 ||
		(rc = item_name(item, VTEP, c->vtep, err)) != 0 ||
		(rc = item_addr(item, ADDRESS, &r->eip.address, err)) != 0 ||
		(rc = parse_use(item, r, err)) != 0 || (rc = parse_denied(item, r, err)) != 0)
		return rc;
	c->vni = (uint32_t)item_uint(item, VNI);
	r->rate.bytes_per_s = item_uint(item, BANDWIDTH_MBPS) * BYTES_PER_MBIT;
	r->new_per_s = (uint32_t)item_uint(item, NEW_PER_S);
	r->blackhole = item_bool(item, BLACKHOLE);
	r->revision = item_uint(item, REVISION);
	r->service = (struct flow_service){EIP_KIND, eip_arrive};
	return 0;
}

/* What the address needs here, and what the applied record of its name does not have already. */
static int allocate(struct change *c, struct state_error *err)
{
	const struct eip_record *applied = eip_record_by_name(c->name);
	bool here = c->vtep[0] == '\0';

	if (here) {
		c->endpoint = endpoint_new(PKT_VPC_NONE, &c->record->eip.address, c->name);
		if (c->endpoint == NULL)
			return item_no_memory(err);
	}
	if (applied != NULL && applied->life->here == here) {
		c->record->life = applied->life;
	} else {
		c->made = eip_life_new(c->name, here);
		err->exhausted = c->made == NULL;
		if (c->made == NULL)
			return state_fail(
				err, -errno, "elastic IPs: no room for another one on this node");
		c->record->life = c->made;
	}
	if (qos_rate_limits(&c->record->rate))
		c->record->eip.rate = c->record->life->meter;
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, NAME, c->name, err);
	if (rc == 0 && item != NULL) {
		c->record = calloc(1, sizeof(*c->record));
		rc = c->record != NULL ? parse(item, c, err) : item_no_memory(err);
		if (rc == 0)
			rc = allocate(c, err);
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
	struct eip_record *r = c->record;
	const struct vtep *vtep = c->vtep[0] != '\0' ? vtep_by_name(c->vtep) : NULL;
	const struct vpc *vpc = c->vni != 0 ? vpc_by_vni(c->vni) : NULL;

	if (r == NULL) {
		eip_record_remove(eip_record_by_name(c->name));
	} else {
		r->gateway = vtep != NULL ? loc_tunnel(vtep->index) : LOC_NONE;
		r->vpc_index = vpc != NULL ? vpc->index : PKT_VPC_NONE;
		r->bound = r->bound && vpc != NULL;
		eip_record_put(r, c->endpoint);
	}
	free(c);
}

/* Behind ports and endpoints (60, 70), which flows to an address end at; before what serves by one. */
STATE_KIND(
	eip_kind, .name = "eip", .order = 75, .prepare = prepare, .commit = commit, .abort = undo);
