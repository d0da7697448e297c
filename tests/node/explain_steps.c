/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_steps.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/drop.h"
#include "explain_world.h"
#include "graph.h"
#include "outside.h"

struct step {
	const char *stage, *kind, *name, *decision;
	int rule;
};

static struct step step_of(const json_t *json)
{
	const json_t *object = json_object_get(json, "object"),
		     *rule = json_object_get(object, "rule");
	const char *kind = json_string_value(json_object_get(object, "kind")),
		   *name = json_string_value(json_object_get(object, "name"));

	return (struct step){.stage = json_string_value(json_object_get(json, "stage")),
		.kind = kind != NULL ? kind : "",
		.name = name != NULL ? name : "",
		.decision = json_string_value(json_object_get(json, "decision")),
		.rule = json_is_integer(rule) ? (int)json_integer_value(rule) : -1};
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static const struct world_eip *eip_named(const char *name)
{
	for (unsigned int i = 0; i < EIPS; i++)
		if (is(world_eips[i].name, name))
			return &world_eips[i];
	return NULL;
}

static unsigned int vni_named(const char *name)
{
	return is(name, "prod") ? 100 : is(name, "twin") ? 200 : is(name, "peer") ? 300 : 0;
}

/* ---- What kinds of objects may decide ---- */

static const char *check_subnet(const struct asked *a, const struct step *s)
{
	static const struct {
		const char *name, *v4, *v6;
	} subnets[] = {{"web", "10.0.1.0/24", "fd00:1:0:1::/64"},
		{"db", "10.0.2.0/24", "fd00:1:0:2::/64"},
		{"web2", "10.0.1.0/24", "fd00:1:0:1::/64"},
		{"far", "10.3.1.0/24", "fd00:3:0:1::/64"}};

	for (size_t i = 0; i < sizeof(subnets) / sizeof(subnets[0]); i++)
		if (is(subnets[i].name, s->name))
			return world_covers(subnets[i].v4, a->dst) ||
					       world_covers(subnets[i].v6, a->dst)
				       ? NULL
				       : "the destination is not of that subnet";
	return "there is no such subnet";
}

static const char *check_route(const struct asked *a, const struct step *s)
{
	return world_is_route(a->vni, s->name, a->dst) ||
			       (a->vni == 100 && peered && world_is_route(300, s->name, a->dst))
		       ? NULL
		       : "another route is longer";
}

static bool names_hop(const struct asked *a, int m)
{
	for (unsigned int i = 0; i < ROUTES; i++)
		if (hops[i] == HOP_MACHINE && is(machines[m].name, "d") &&
			world_covers(world_routes[i].prefix, a->dst))
			return true;
	return false;
}

static const char *check_port(const struct asked *a, const struct step *s, const struct told *t)
{
	int m = world_machine_named(s->name);

	if (m < 0)
		return "there is no such port";
	if (is(s->stage, "spoof"))
		return is(s->name, a->port) ? NULL : "not the sender";
	if (is(s->stage, "policy_egress"))
		return is(s->name, a->port) ? NULL : "not the sender's rules";
	return is(machines[m].v4, t->dst) || is(machines[m].v6, t->dst) || names_hop(a, m)
		       ? NULL
		       : "not whom the packet is for";
}

static const char *check_eip(const struct step *s, const struct told *t)
{
	const struct world_eip *e = eip_named(s->name);

	if (e == NULL)
		return "there is no such eip";
	return is(e->address, t->src) || is(e->address, t->dst) ||
			       (e->private_address != NULL && is(e->private_address, t->src))
		       ? NULL
		       : "not that address";
}

static const char *check_balancer(const struct step *s, const struct told *t)
{
	for (unsigned int i = 0; i < BALANCERS; i++)
		if (is(world_balancers[i].name, s->name))
			return is(world_balancers[i].address, t->dst) ||
					       is(world_balancers[i].address, t->service)
				       ? NULL
				       : "not its address";
	return "there is no such balancer";
}

static const char *check_gateway(const struct asked *a, const struct step *s, const struct told *t)
{
	static const char *const sources[] = {"10.0.1.0/24", "10.0.0.0/16", "fd00:1::/48"};
	const struct world_forward *w;

	if (!is(s->name, "nat"))
		return "there is no such NAT gateway";
	if (s->rule < 0)
		return NULL;
	if (is(s->stage, "leave") && strncmp(s->decision, "forwards", 8) != 0)
		return s->rule < 3 && world_covers(sources[s->rule], a->src) &&
				       (s->rule != 1 || !world_covers(sources[0], a->src))
			       ? NULL
			       : "not the rule of that source";
	if (s->rule >= FORWARDS)
		return "there is no such forward";
	w = &world_forwards[s->rule];
	return is(eip_named(w->eip)->address, t->dst) && w->protocol == a->protocol &&
			       t->dport >= w->from && t->dport <= w->last
		       ? NULL
		       : "the forward is not for that port";
}

static const char *check_vpc(const struct asked *a, const struct step *s)
{
	unsigned int vni = vni_named(s->name);

	if (vni == 0)
		return "there is no such VPC";
	return a->vni == 0 || vni == a->vni || vni == 300 || vni == 100 ? NULL : "not that VPC";
}

/* Of the sender's VPC, or of its peer. */
static int machine_of(const struct asked *a, const char *address)
{
	int m = world_machine(a->vni, address);

	return m < 0 && peered ? world_machine(a->vni == 100 ? 300 : 100, address) : m;
}

/* An address that lives elsewhere gives its sender nobody's membership, and a translated one nor. */
static int sender_of(const struct asked *a, const struct told *t)
{
	int m = a->vni != 0 && is(a->src, t->src) ? machine_of(a, a->src) : -1;

	return m >= 0 && is(machines[m].here ? machines[m].name : GRAPH_UNDERLAY, a->port) ? m : -1;
}

static const char *check_rule(
	const struct asked *a, const struct step *s, const struct told *t, bool allow)
{
	bool egress = is(s->stage, "policy_egress");
	int me = world_machine_named(egress ? a->port : t->receiver);
	struct world_packet p = {.remote = egress ? a->dst : t->src,
		.remote_machine = egress ? machine_of(a, a->dst) : sender_of(a, t),
		.protocol = a->protocol,
		.icmp_type = a->icmp_type,
		.port = egress ? a->dport : t->dport};

	if (me < 0)
		return "nobody's rules";
	return world_decides(
		me, egress, &p, is(s->kind, "security_group") ? s->name : NULL, s->rule, allow);
}

/* ---- The way ---- */

/* What a step says about the packet behind it. */
static void follow(const struct step *s, struct told *t)
{
	const char *at;
	char address[64];
	unsigned int port;

	if (is(s->kind, "load_balancer") && strncmp(s->decision, "balanced to itself", 18) == 0)
		snprintf(t->src, sizeof(t->src), "%s", t->service);
	/* A balancer may choose by the client's port. */
	t->by_chance = t->by_chance || (t->example && is(s->kind, "load_balancer"));
	if (is(s->kind, "port") && !is(s->stage, "spoof") && !is(s->stage, "policy_egress"))
		snprintf(t->receiver, sizeof(t->receiver), "%s", s->name);
	at = strstr(s->decision, "source becomes ");
	if (at != NULL && sscanf(at, "source becomes %63s port %u", address, &port) == 2) {
		snprintf(t->src, sizeof(t->src), "%s", address);
		t->sport = (uint16_t)port;
		t->example = strstr(s->decision, "for example") != NULL;
	}
	if (is(s->kind, "eip") && sscanf(s->decision, "1:1 as %63s", address) == 1)
		snprintf(t->src, sizeof(t->src), "%s", address);
	if (is(s->kind, "eip") && sscanf(s->decision, "1:1 to %63s", address) == 1)
		snprintf(t->dst, sizeof(t->dst), "%s", address);
	if (sscanf(s->decision, "inside its source is %63s", address) == 1)
		snprintf(t->src, sizeof(t->src), "%s", address);
	if (sscanf(s->decision, "to IPv4 address %63s", address) == 1)
		snprintf(t->dst, sizeof(t->dst), "%s", address);
	if (sscanf(s->decision, "forwards to %63s port %u", address, &port) == 2 ||
		sscanf(s->decision, "mapped to %63s port %u", address, &port) == 2 ||
		sscanf(s->decision, "back end %*[abcr] %63s port %u", address, &port) == 2) {
		snprintf(t->service, sizeof(t->service), "%s", t->dst); /* as it was sent */
		snprintf(t->dst, sizeof(t->dst), "%s", address);
		t->dport = (uint16_t)port;
	}
}

static const char *check_step(
	const struct asked *a, const struct step *s, const struct told *t, bool allow)
{
	if (is(s->stage, "policy_egress") || is(s->stage, "policy_ingress"))
		return check_rule(a, s, t, allow);
	if (is(s->kind, "subnet"))
		return check_subnet(a, s);
	if (is(s->kind, "route"))
		return check_route(a, s);
	if (is(s->kind, "port"))
		return check_port(a, s, t);
	if (is(s->kind, "eip"))
		return check_eip(s, t);
	if (is(s->kind, "load_balancer"))
		return check_balancer(s, t);
	if (is(s->kind, "nat_gateway"))
		return check_gateway(a, s, t);
	if (is(s->kind, "vpc"))
		return check_vpc(a, s);
	if (is(s->kind, "peering"))
		return peered ? NULL : "there is no peering";
	if (is(s->kind, "node"))
		return is(s->name, "other") || is(s->name, "test") ? NULL : "there is no such node";
	return is(s->kind, "") ? NULL : "there is no such kind";
}

/* Kinds that may refuse a packet for that reason. */
static const char *check_deciding(const char *reason, const struct step *s)
{
	static const char *const kinds[][2] = {
		{"spoofed", "port node vpc"},
		{"wrong_vtep", "node"},
		{"broadcast", "vpc node"},
		{"ttl_expired", "vpc node"},
		{"no_route", "vpc subnet port route eip nat_gateway node"},
		{"blackhole", "route eip"},
		{"policy_egress", "security_group port"},
		{"policy_ingress", "security_group port"},
		{"not_for_us", "node"},
		{"eip_denied", "eip"},
		{"nat_filtered", "eip nat_gateway"},
		{"nat_exhausted", "nat_gateway"},
		{"lb_not_allowed", "load_balancer"},
		{"lb_no_backend", "load_balancer"},
		{"lb_no_listener", "load_balancer eip"},
		{"unsupported", "subnet nat_gateway"},
		{"port_down", "port"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (is(kinds[i][0], reason))
			return s->kind[0] != '\0' && strstr(kinds[i][1], s->kind) != NULL
				       ? NULL
				       : "what decided is not named";
	return "an unexpected reason";
}

const char *explain_check_steps(const struct asked *a, const json_t *said, struct told *t)
{
	const json_t *steps = json_object_get(said, "steps"), *json;
	const char *reason = json_string_value(json_object_get(said, "reason"));
	size_t n = json_array_size(steps), i;
	static char where[256];
	struct step s = {.kind = ""};

	*t = (struct told){.sport = a->sport, .dport = a->dport};
	snprintf(t->src, sizeof(t->src), "%s", a->src);
	snprintf(t->dst, sizeof(t->dst), "%s", a->dst);
	json_array_foreach ((json_t *)steps, i, json) {
		bool last = i + 1 == n;
		struct told was = *t;
		const char *wrong;

		s = step_of(json);
		if (is(s.stage, "policy_ingress") || is(s.kind, "port"))
			follow(&s, t);
		wrong = check_step(
			a, &s, is(s.stage, "policy_ingress") ? t : &was, !(last && reason != NULL));
		follow(&s, t);
		if (wrong != NULL) {
			snprintf(where, sizeof(where), "step %zu, %s of %s %s: %s", i, s.stage,
				s.kind, s.name, wrong);
			return where;
		}
	}
	if (n == 0)
		return "no steps";
	return reason != NULL ? check_deciding(reason, &s) : NULL;
}
