/* SPDX-License-Identifier: Apache-2.0 */
#include "claims.h"

#include "controller.h"
#include "emission.h"
#include "mem.h"
#include "rules.h"

#include <stdlib.h>
#include <string.h>

struct claim {
	char *key; /* VPC, address */
	char *port;
};

/* One controller a process. */
static struct strmap claims;

static char *key_of(const struct object *port, const char *address)
{
	return mem_printf("%s\x1f%s", vpc_of(port)->name, address);
}

static bool lists_as(const struct object *port, const char *field, const char *address)
{
	json_t *list = json_object_get(port->json, field), *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		if (strcmp(json_string_value(entry), address) == 0)
			return true;
	return false;
}

static bool lists(const struct object *port, const char *address)
{
	return lists_as(port, "allowed_addresses", address);
}

static bool is_candidate(const struct object *port, const struct object *vpc, const char *address)
{
	return port->present && vpc_of(port) == vpc && lists(port, address);
}

static const struct object *claimant(
	struct controller *c, const struct object *port, const char *address)
{
	char *key = key_of(port, address);
	const struct claim *claim = strmap_get(&claims, key);
	const struct object *by = claim != NULL ? model_get(&c->model, "port", claim->port) : NULL;

	free(key);
	return by != NULL && is_candidate(by, vpc_of(port), address) ? by : NULL;
}

#define PORTS_OF_VPC_FOREACH(vpc, port_ref)                                                        \
	REFERRERS_FOREACH(vpc, kind_find("subnet"), subnet_ref)                                    \
	REFERRERS_FOREACH(subnet_ref->from, kind_find("port"), port_ref)

/* NULL: it is a port's own address, and nobody else's whatever is allowed. */
static const struct object *first_by_name(const struct object *port, const char *address)
{
	const struct object *vpc = vpc_of(port), *first = port;

	PORTS_OF_VPC_FOREACH(vpc, ref)
	{
		if (lists_as(ref->from, "addresses", address))
			return NULL;
		if (strcmp(ref->from->name, first->name) < 0 &&
			is_candidate(ref->from, vpc, address))
			first = ref->from;
	}
	return first;
}

bool claims_port_has(struct controller *c, const struct object *port, const char *address)
{
	const struct object *by = first_by_name(port, address);

	if (by != NULL && claimant(c, port, address) != NULL)
		by = claimant(c, port, address);
	return by == port;
}

void claims_touch(struct controller *c, const json_t *port)
{
	const json_t *list = json_object_get(port, "allowed_addresses"), *entry;
	const char *subnet = json_string_value(json_object_get(port, "subnet"));
	const struct object *vpc = NULL;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	if (model_get(&c->model, "subnet", subnet) != NULL)
		vpc = vpc_of(model_get(&c->model, "subnet", subnet));
	if (vpc == NULL)
		return;
	json_array_foreach ((json_t *)list, i, entry) {
		PORTS_OF_VPC_FOREACH(vpc, ref)
		{
			if (lists(ref->from, json_string_value(entry)))
				emission_touch(c, ref->from);
		}
	}
}

static void remember(const struct object *port, const char *address)
{
	char *key = key_of(port, address);
	struct claim *claim = strmap_get(&claims, key);

	if (claim == NULL) {
		claim = mem_calloc(1, sizeof(*claim));
		claim->key = key;
		strmap_put(&claims, claim->key, claim);
	} else {
		free(key);
		free(claim->port);
	}
	claim->port = mem_strdup(port->name);
}

void claims_heard(struct node *node, const char *name, const char *address)
{
	struct object *port = model_get(&node->c->model, "port", name);

	if (port == NULL || !port->present || !lists(port, address) ||
		object_target(port, kind_find("node")) != node->object)
		return;
	if (claimant(node->c, port, address) == port)
		return;
	remember(port, address);
	claims_touch(node->c, port->json);
	emission_flush(node->c);
}
