/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `subnet`. */
#include <errno.h>
#include <stdlib.h>

#include "base/ip_text.h"
#include "vpc/item.h"
#include "vpc/vpc_internal.h"

enum column { NAME = 1, VNI, CIDR, GATEWAY, CIDR6, GATEWAY6, DHCP, DNS, REVISION };

struct change {
	uint32_t vni;
	struct subnet *subnet;    /* NULL: deletion */
	char name[PORT_NAME_MAX]; /* of a deletion */
};

static void undo(void *staged)
{
	struct change *c = staged;

	free(c->subnet);
	free(c);
}

/* A prefix of the column's family with a gateway inside, or neither. */
static int parse_family(const json_t *item, unsigned int column, bool v4, struct ip_prefix *prefix,
	struct ip_addr *gateway, struct state_error *err)
{
	int rc = item_prefix(item, column, prefix, err);

	if (rc == 0)
		rc = item_addr(item, column + 1, gateway, err);
	if (rc != 0 || prefix->len == IP_PREFIX_NONE)
		return rc;
	if (ip_prefix_is_v4(prefix) != v4)
		return state_fail(err, -EINVAL, "the prefix is of the other family");
	if (!ip_prefix_contains(prefix, gateway))
		return state_fail(err, -EINVAL, "the gateway is not inside the prefix");
	return 0;
}

static int parse(const json_t *item, struct subnet *s, struct state_error *err)
{
	const json_t *dns = json_array_get(item, DNS), *entry;
	size_t n;
	int rc;

	if ((rc = item_name(item, NAME, s->name, err)) != 0 ||
		(rc = parse_family(item, CIDR, true, &s->prefix4, &s->gateway4, err)) != 0 ||
		(rc = parse_family(item, CIDR6, false, &s->prefix6, &s->gateway6, err)) != 0)
		return rc;
	s->dhcp = item_bool(item, DHCP);
	s->revision = item_uint(item, REVISION);
	json_array_foreach (dns, n, entry) {
		if (n == RTE_DIM(s->dns))
			break;
		if (!ip_addr_parse(json_string_value(entry), &s->dns[s->n_dns++]))
			return state_fail(
				err, -EINVAL, "`%s` is no address", json_string_value(entry));
	}
	return 0;
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	*staged = c;
	if (item == NULL)
		return item_name(old, NAME, c->name, err);
	c->vni = (uint32_t)item_uint(item, VNI);
	c->subnet = calloc(1, sizeof(*c->subnet));
	rc = c->subnet != NULL ? parse(item, c->subnet, err) : item_no_memory(err);
	if (rc != 0)
		undo(c);
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;

	if (c->subnet == NULL) {
		subnet_remove(c->name);
	} else {
		c->subnet->vpc = vpc_by_vni(c->vni);
		subnet_put(c->subnet);
	}
	free(c);
}

STATE_KIND(subnet_kind, .name = "subnet", .order = 30, .prepare = prepare, .commit = commit,
	.abort = undo);
