/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"

#include "alert_out.h"
#include "claims.h"
#include "controller.h"
#include "emission.h"
#include "gateway.h"
#include "inspection.h"
#include "move.h"
#include "node.h"
#include "response.h"
#include "rules.h"
#include "usage.h"
#include "view.h"
#include "watch.h"

#include <string.h>

/* A peering joins or parts two VPCs: each may matter to the other's nodes now. */
static void touch_peered(struct controller *c, const json_t *peering)
{
	const json_t *vpcs = json_object_get(peering, "vpcs"), *name;
	size_t i;

	json_array_foreach ((json_t *)vpcs, i, name) {
		struct object *vpc = model_get(&c->model, "vpc", json_string_value(name));

		if (vpc == NULL)
			continue;
		NODES_FOREACH(c, node)
		{
			emission_touch_vpc(node, vpc);
			/* Its other peers' lists of peers name those that are here. */
			REFERRERS_FOREACH(vpc, kind_find("peering"), ref)
			emission_touch_on(node, peering_other(ref->from, vpc));
		}
	}
}

/* What is known of a port does not outlive a new attachment. */
static void forget_live(const struct change *ch)
{
	struct port_state *s = ch->object->state;

	if (ch->new == NULL || ch->old == NULL)
		return;
	s->at_ms = 0;
	if (json_equal(json_object_get(ch->old, "node"), json_object_get(ch->new, "node")) &&
		json_equal(json_object_get(ch->old, "attachment"),
			json_object_get(ch->new, "attachment")))
		return;
	json_decref(s->live);
	s->live = NULL;
}

static void follow(struct controller *c, const struct change *ch)
{
	const char *from = resource_text(ch->old, "node"), *to = resource_text(ch->new, "node");

	if (from != NULL && to != NULL && strcmp(from, to) != 0)
		move_begin(c, ch->object->name, from, to);
}

static void touch_port(struct controller *c, const struct change *ch)
{
	static const char *const users[] = {"route", "eip", "load_balancer", "mirror", "hook"};

	follow(c, ch);
	forget_live(ch);
	claims_touch(c, ch->old);
	claims_touch(c, ch->new);
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		REFERRERS_FOREACH(ch->object, kind_find(users[i]), ref)
	emission_touch(c, ref->from);
	response_port_changed(c, ch->object);
}

/* What services made of it: their gateways' address, the ranges of a subnet, the network of a pool. */
static void touch_users(struct controller *c, const struct object *object)
{
	static const char *const users[] = {"eip", "nat_gateway", "load_balancer", "route"};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		REFERRERS_FOREACH(object, kind_find(users[i]), ref)
	emission_touch(c, ref->from);
}

/* Its quota of sessions is an item of each of its VPCs. */
static void touch_tenant(struct controller *c, const char *tenant)
{
	MODEL_FOREACH(&c->model, kind_find("vpc"), vpc)
	if (strcmp(object_tenant(vpc), tenant) == 0)
		emission_touch(c, vpc);
}

static void publish_alert(struct controller *c, const struct change *ch)
{
	json_t *shown;

	response_published(c, ch);
	if (ch->op == CHANGE_DELETE || (ch->op == CHANGE_UPDATE && response_is_active(ch->new)))
		return;
	shown = view_object(c, ch->object);
	if (ch->op == CHANGE_UPDATE)
		json_object_del(shown, "evidence");
	alert_out_tell(c->alert_out, shown);
	json_decref(shown);
}

static void compile(struct controller *c, const struct change *ch)
{
	const char *kind = ch->object->kind->name;

	emission_touch(c, ch->object);
	if (strcmp(kind, "peering") == 0)
		touch_peered(c, ch->new != NULL ? ch->new : ch->old);
	else if (strcmp(kind, "port") == 0)
		touch_port(c, ch);
	else if (strcmp(kind, "tenant") == 0)
		touch_tenant(c, ch->object->name);
	else if (strcmp(kind, "node") == 0)
		node_update(c, ch->object);
	else if (strcmp(kind, "alert") == 0)
		publish_alert(c, ch);
	else if (strcmp(kind, "inspection") == 0 || strcmp(kind, "indicator_list") == 0)
		inspection_touch(c, ch);
	else if (gateway_is_service(ch->object))
		emission_touch_service(c, ch);
	if (strcmp(kind, "node") == 0 || strcmp(kind, "subnet") == 0 ||
		strcmp(kind, "eip_pool") == 0)
		touch_users(c, ch->object);
}

void publish_changes(struct controller *c, const struct txn *txn)
{
	if (txn->count == 0)
		return;
	c->published = txn->revision;
	usage_published(c->usage, txn);
	for (size_t i = 0; i < txn->count; i++) {
		compile(c, &txn->changes[i]);
		watch_tell(c, &txn->changes[i]);
	}
}

void publish_flush(struct controller *c)
{
	emission_flush(c);
}
