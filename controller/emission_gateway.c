/* SPDX-License-Identifier: Apache-2.0 */
/* What gateway services are to a node: to their gateway, and to nodes whose machines use them. */
#include "controller.h"
#include "emission.h"
#include "gateway.h"
#include "lib/kinds.h"
#include "mem.h"
#include "rules.h"
#include "txn.h"

#include <stdio.h>
#include <string.h>

static void add(json_t *out, json_t *item)
{
	json_array_append_new(out, mem_json(item));
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_int_t revision_of(const struct object *object)
{
	return (json_int_t)object_revision(object);
}

static bool is_here(const struct node *node, const struct object *service)
{
	return gateway_of(service) == node->object;
}

/* How the node reaches the service's gateway: *vtep is its name, NULL when the node is it. False: not at all. */
static bool way_to(const struct node *node, const struct object *service, const char **vtep)
{
	const struct object *gateway = gateway_of(service);

	*vtep = NULL;
	if (gateway == NULL || gateway == node->object)
		return gateway != NULL;
	*vtep = gateway->name;
	return object_text(gateway, "vtep") != NULL;
}

/* ---- EIPs ---- */

static const char *use_of(const struct object *eip, const struct object *user)
{
	if (user == NULL)
		return "none";
	if (user == object_target(eip, kind_find("port")))
		return "port";
	return strcmp(user->kind->name, "nat_gateway") == 0 ? "nat" : "lb";
}

static void eip_items(const struct node *node, const struct object *eip, json_t *out)
{
	const struct object *user = eip_user(eip), *port = NULL;
	const char *use = use_of(eip, user), *external = eip_external(eip), *vtep;

	if (strcmp(use, "port") == 0)
		port = user;
	if (!is_here(node, eip) &&
		(port == NULL || object_target(port, kind_find("node")) != node->object))
		return;
	if (!way_to(node, eip, &vtep))
		return;
	add(out, json_pack("[s, s, s, O, o, s, o, o, o, O, O, O, O, I]", "eip", eip->name,
			 external != NULL ? external : "", json_object_get(eip->json, "address"),
			 text_or_null(vtep), use,
			 port != NULL ? json_integer(vpc_vni(vpc_of(port))) : json_null(),
			 text_or_null(eip_private_address(eip)),
			 text_or_null(port != NULL ? port->name : NULL),
			 json_object_get(eip->json, "bandwidth_mbps"),
			 json_object_get(eip->json, "new_per_s"),
			 json_object_get(eip->json, "deny_cidrs"),
			 json_object_get(eip->json, "blackhole"), revision_of(eip)));
}

/* ---- NAT gateways ---- */

static void nat_item(
	const struct object *nat, const struct object *vpc, const char *vtep, json_t *out)
{
	const json_t *json = nat->json, *limits = json_object_get(json, "limits");

	add(out, json_pack("[s, s, I, o, O, O, O, O, O, O, O, O, O, I]", "nat_gateway", nat->name,
			 (json_int_t)vpc_vni(vpc), text_or_null(vtep),
			 json_object_get(json, "mapping"), json_object_get(json, "filtering"),
			 json_object_get(json, "port_block"), json_object_get(json, "hairpin"),
			 json_object_get(limits, "per_port"), json_object_get(limits, "per_vpc"),
			 json_object_get(json, "quarantine_s"), json_object_get(json, "log"),
			 json_object_get(json, "timeouts"), revision_of(nat)));
}

/* Those of the entry's EIPs that sources of the family are translated to. */
static json_t *eips_for(const struct model *model, const struct object *nat, const json_t *snat,
	enum net_family family)
{
	const json_t *names = json_object_get(snat, "eips");
	bool nat64 = family == NET_IPV6 && resource_boolean(snat, "nat64", false);
	json_t *list = mem_json(json_array()), *name;
	size_t i;

	if (json_array_size(names) == 0)
		names = json_object_get(nat->json, "eips");
	json_array_foreach ((json_t *)names, i, name) {
		enum net_family own = eip_family(model_get(model, "eip", json_string_value(name)));

		if (own == family || nat64)
			json_array_append(list, name);
	}
	return list;
}

struct snat_maker {
	const struct node *node;
	const struct object *nat;
	json_t *out;
	json_int_t index;
};

static void snat_item(
	struct snat_maker *m, const json_t *snat, const char *source, enum net_family family)
{
	bool nat64 = family == NET_IPV6 && resource_boolean(snat, "nat64", false);
	json_t *eips = eips_for(&m->node->c->model, m->nat, snat, family);

	/* A subnet's range of a family that there is no EIP of. */
	if (json_array_size(eips) == 0) {
		json_decref(eips);
		return;
	}
	if (!is_here(m->node, m->nat))
		json_array_clear(eips);
	add(m->out, json_pack("[s, s, I, s, o, b]", "snat", m->nat->name, m->index++, source, eips,
			    nat64));
}

static void snat_of_subnet(struct snat_maker *m, const json_t *snat, const struct object *subnet)
{
	static const enum net_family families[] = {NET_IPV4, NET_IPV6};
	char text[NET_PREFIX_TEXT];
	struct net_prefix range;

	for (size_t i = 0; i < 2; i++)
		if (subnet_range(subnet->json, families[i], &range, NULL))
			snat_item(m, snat, net_prefix_format(&range, text), families[i]);
}

static void snat_items(const struct node *node, const struct object *nat, json_t *out)
{
	struct snat_maker m = {.node = node, .nat = nat, .out = out};
	json_t *snat;
	size_t i;

	json_array_foreach (json_object_get(nat->json, "snat"), i, snat) {
		const char *source = resource_text(snat, "source");

		if (source != NULL)
			snat_item(&m, snat, source,
				strchr(source, ':') != NULL ? NET_IPV6 : NET_IPV4);
		else
			snat_of_subnet(&m, snat,
				model_get(
					&node->c->model, "subnet", resource_text(snat, "subnet")));
	}
}

static int transport_number(const json_t *json)
{
	return strcmp(resource_text(json, "protocol"), "tcp") == 0 ? 6 : 17;
}

static void dnat_items(const struct object *nat, json_t *out)
{
	json_t *dnat;
	size_t i;

	json_array_foreach (json_object_get(nat->json, "dnat"), i, dnat) {
		struct net_ports ports;

		net_ports_parse(resource_text(dnat, "port"), &ports);
		add(out, json_pack("[s, s, I, O, i, i, i, O, I]", "dnat", nat->name, (json_int_t)i,
				 json_object_get(dnat, "eip"), transport_number(dnat), ports.first,
				 ports.last, json_object_get(dnat, "to_address"),
				 resource_integer(dnat, "to_port", ports.first)));
	}
}

static void nat_items(const struct node *node, const struct object *nat, json_t *out)
{
	const struct object *vpc = vpc_of(nat);
	bool here = is_here(node, nat);
	const char *vtep;

	if ((!here && !emission_vpc_is_relevant(node, vpc)) || !way_to(node, nat, &vtep))
		return;
	nat_item(nat, vpc, vtep, out);
	snat_items(node, nat, out);
	if (here)
		dnat_items(nat, out);
}

/* ---- Load balancers ---- */

static void backend_items(
	const struct node *node, const struct object *balancer, const json_t *listener, json_t *out)
{
	enum net_family family = balancer_family(balancer);
	json_t *backend;
	size_t i;

	json_array_foreach (json_object_get(listener, "backends"), i, backend) {
		const char *address = backend_address(&node->c->model, backend, family);
		const char *port = resource_text(backend, "port");

		if (address != NULL)
			add(out, json_pack("[s, s, i, O, s, O, O, s]", "backend", balancer->name,
					 transport_number(listener),
					 json_object_get(listener, "port"), address,
					 json_object_get(backend, "port_number"),
					 json_object_get(backend, "weight"),
					 port != NULL ? port : ""));
	}
}

static void listener_items(const struct node *node, const struct object *balancer, json_t *out)
{
	json_t *l;
	size_t i;

	json_array_foreach (json_object_get(balancer->json, "listeners"), i, l) {
		add(out, json_pack("[s, s, i, O, O, O, O, O, O, O, O]", "listener", balancer->name,
				 transport_number(l), json_object_get(l, "port"),
				 json_object_get(l, "scheduler"),
				 json_object_get(l, "persistence_s"),
				 json_object_get(l, "allow_cidrs"),
				 json_object_get(l, "idle_timeout_s"),
				 json_object_get(l, "drain_s"), json_object_get(l, "fail_open"),
				 json_object_get(l, "health_check")));
		backend_items(node, balancer, l, out);
	}
}

/* A private virtual address is served where its clients are, a public one where its EIP is. */
static void balancer_items(const struct node *node, const struct object *balancer, json_t *out)
{
	const struct object *vpc = vpc_of(balancer),
			    *eip = object_target(balancer, kind_find("eip"));
	bool here = is_here(node, balancer);
	const char *vtep;

	if (!here && (eip != NULL || !emission_vpc_is_relevant(node, vpc)))
		return;
	if (!way_to(node, balancer, &vtep))
		return;
	add(out, json_pack("[s, s, I, o, o, o, I]", "load_balancer", balancer->name,
			 (json_int_t)vpc_vni(vpc), text_or_null(object_text(balancer, "address")),
			 text_or_null(eip != NULL ? eip->name : NULL), text_or_null(vtep),
			 revision_of(balancer)));
	listener_items(node, balancer, out);
}

/* ---- Together ---- */

void emission_gateway_items(const struct node *node, const struct object *object, json_t *out)
{
	static const struct {
		const char *kind;
		void (*items)(const struct node *, const struct object *, json_t *);
	} makers[] = {
		{"eip", eip_items},
		{"nat_gateway", nat_items},
		{"load_balancer", balancer_items},
	};

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcmp(makers[i].kind, object->kind->name) == 0)
			makers[i].items(node, object, out);
}

bool emission_way_to(const struct node *node, const struct object *service, const char **vtep)
{
	return way_to(node, service, vtep);
}

void emission_touch_service(struct controller *c, const struct change *ch)
{
	static const char *const parts[] = {"eip", "node"};
	const json_t *versions[] = {ch->old, ch->new};

	for (size_t v = 0; v < 2; v++) {
		const json_t *eips = json_object_get(versions[v], "eips"), *name;
		size_t i;

		/* Whether a node is a gateway is told with its VTEP; an EIP's item says what it serves. */
		for (size_t p = 0; p < 2; p++)
			emission_touch(c, model_get(&c->model, parts[p],
						  resource_text(versions[v], parts[p])));
		json_array_foreach ((json_t *)eips, i, name)
			emission_touch(c, model_get(&c->model, "eip", json_string_value(name)));
	}
	/* Routes to it say where it is; of an EIP, its user does not change. */
	REFERRERS_FOREACH(ch->object, kind_find("route"), ref)
	emission_touch(c, ref->from);
}
