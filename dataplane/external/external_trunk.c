/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces that outside networks are on, and node.yaml's `external`.
 *
 * Frames of an interface go to the networks on it by their VLAN tags. An interface that is not there is tried again every second;
 * one that was made anew, or has another MAC now, is followed.
 *
 * The kernel sees what packet sockets receive. It would forward frames for our addresses, or answer them with errors, where it
 * forwards at all (ip_forward): so they come to a MAC that is not the interface's, which the kernel takes for somebody else's.
 * What XDP or DPDK takes the kernel does not see.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/control.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "external/external_internal.h"
#include "external/external_trunk.h"
#include "lib/log.h"
#include "lib/resource.h"
#include "neighbour/neighbour.h"
#include "port/ifconf.h"

#define RETRY_MS 1000u

static struct external_trunk *trunks[EXTERNALS_MAX];
static unsigned int n_trunks;
static struct event *timer;

const struct external_trunk *external_trunk_of(uint32_t port_index)
{
	unsigned int n = __atomic_load_n(&n_trunks, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < n; i++)
		if (trunks[i]->port->index == port_index)
			return trunks[i];
	return NULL;
}

/* --- the device --- */

/* The kernel sees its frames. */
static bool has_twin(const struct external_trunk *t)
{
	return t->spec.ifname != NULL &&
	       (t->spec.mode == NULL || strcmp(t->spec.mode, "af_packet") == 0);
}

/* Another one of the same uniqueness: locally administered, or another bit of one that is. */
static void other_mac(struct rte_ether_addr *mac)
{
	mac->addr_bytes[0] ^= mac->addr_bytes[0] & 0x02 ? 0x04 : 0x02;
}

/* Of our addresses there; zero: the device's. */
static struct rte_ether_addr wanted_mac(const struct external_trunk *t)
{
	struct rte_ether_addr mac = {{0}};

	if (t->mac_given)
		return t->spec.mac;
	if (has_twin(t) && ifconf_get_mac(t->spec.ifname, &mac) == 0)
		other_mac(&mac);
	return mac;
}

static void follow(struct external_trunk *t)
{
	for (uint32_t i = 0; i < EXTERNALS_MAX && t->networks[i] != NULL; i++)
		external_port_follow(t->networks[i], t->mtu[i]);
}

static void report(struct external_trunk *t, const char *reason)
{
	for (uint32_t i = 0; i < EXTERNALS_MAX && t->networks[i] != NULL; i++)
		port_fail(t->networks[i]->port, 0, "%s", reason);
	for (uint32_t i = 0; !t->reported && i < EXTERNALS_MAX && t->networks[i] != NULL; i++)
		rpc_event("warning", "node", node_config.node, "external_down",
			"network %s of %s: %s", t->networks[i]->name, node_config.node, reason);
	if (!t->reported)
		log_warn("the interface of an outside network can not be opened",
			LOG_STR("interface", t->port->name), LOG_STR("reason", reason));
	t->reported = true;
}

static void open_trunk(struct external_trunk *t)
{
	struct port_spec spec = t->spec;

	spec.mac = wanted_mac(t);
	if (port_open(t->port, &spec) != 0) {
		report(t, t->port->reason);
		return;
	}
	t->open = true;
	t->reported = false;
	t->ifindex = spec.ifname != NULL ? (int)if_nametoindex(spec.ifname) : 0;
	follow(t);
	port_links_look();
}

/* The interface's name is another's now. */
static bool was_replaced(const struct external_trunk *t)
{
	int now = t->spec.ifname != NULL ? (int)if_nametoindex(t->spec.ifname) : 0;

	return now != 0 && now != t->ifindex;
}

static void follow_mac(struct external_trunk *t)
{
	struct rte_ether_addr mac = wanted_mac(t);

	if (t->mac_given || !has_twin(t) || rte_is_zero_ether_addr(&mac) ||
		rte_is_same_ether_addr(&mac, &t->port->mac))
		return;
	t->port->mac = mac;
	follow(t);
	for (uint32_t i = 0; i < EXTERNALS_MAX && t->networks[i] != NULL; i++)
		external_link_changed(t->networks[i]->port);
}

static void look_after(struct external_trunk *t)
{
	if (t->open && was_replaced(t)) {
		port_close(t->port);
		t->open = false;
	}
	if (!t->open)
		open_trunk(t);
	else
		follow_mac(t);
}

/* --- configuration; checked by core/config.c --- */

static const char *text_of(const json_t *entry, const char *member)
{
	return json_string_value(json_object_get(entry, member));
}

static const char *device_of(const json_t *entry)
{
	const char *ifname = text_of(entry, "ifname");

	return ifname != NULL ? ifname : text_of(entry, "device");
}

/* Tenants' ports have no slash in their names. */
static void port_name(char name[PORT_NAME_MAX], const char *kind, const char *of)
{
	snprintf(name, PORT_NAME_MAX, "%s/%s", kind, of);
}

static struct external_trunk *trunk_new(const json_t *entry)
{
	struct external_trunk *t = calloc(1, sizeof(*t));
	char name[PORT_NAME_MAX];

	port_name(name, "interface", device_of(entry));
	if (t == NULL || n_trunks == EXTERNALS_MAX ||
		(t->port = port_new(name, PORT_EXTERNAL)) == NULL) {
		free(t);
		return NULL;
	}
	t->spec = (struct port_spec){
		.type = text_of(entry, "device") != NULL ? "device" : "netdev",
		.ifname = text_of(entry, "ifname"),
		.mode = text_of(entry, "device") != NULL ? NULL : text_of(entry, "mode"),
		.devargs = text_of(entry, "device"),
	};
	trunks[n_trunks] = t;
	__atomic_store_n(&n_trunks, n_trunks + 1, __ATOMIC_RELEASE);
	return t;
}

static struct external_trunk *trunk_get(const json_t *entry)
{
	char name[PORT_NAME_MAX];

	port_name(name, "interface", device_of(entry));
	for (unsigned int i = 0; i < n_trunks; i++)
		if (strcmp(trunks[i]->port->name, name) == 0)
			return trunks[i];
	return trunk_new(entry);
}

/* Both entries of a network, and what they say together. */
struct given {
	const json_t *entries[2]; /* the second may be NULL */
	struct external_family family[2];
	json_int_t vlan;
	uint16_t mtu;
};

static const json_t *other_entry(const json_t *config, size_t first)
{
	const char *name = text_of(json_array_get(config, first), "name");

	for (size_t i = first + 1; i < json_array_size(config); i++)
		if (strcmp(text_of(json_array_get(config, i), "name"), name) == 0)
			return json_array_get(config, i);
	return NULL;
}

static struct given gather(const json_t *config, size_t first)
{
	struct given g = {.entries = {json_array_get(config, first), other_entry(config, first)}};

	for (unsigned int i = 0; i < 2 && g.entries[i] != NULL; i++) {
		struct external_family f = {.prefix.len = 0};

		ip_interface_parse(text_of(g.entries[i], "address"), &f.address, &f.prefix);
		g.family[!ip_addr_is_v4(&f.address)] = f;
		g.vlan = RTE_MAX(g.vlan, resource_integer(g.entries[i], "vlan", 0));
		g.mtu = (uint16_t)RTE_MAX(
			(json_int_t)g.mtu, resource_integer(g.entries[i], "mtu", 0));
	}
	return g;
}

static int add_gateways(struct external *ext, const json_t *entry)
{
	const json_t *text;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(entry, "gateway"), i, text) {
		struct ip_addr a;

		if (rc == 0 && ip_addr_parse(json_string_value(text), &a))
			rc = external_gateway_add(ext, &a);
	}
	return rc;
}

/* What the entries say of the interface. */
static void configure_trunk(struct external_trunk *t, const struct given *g)
{
	for (unsigned int i = 0; i < 2 && g->entries[i] != NULL; i++) {
		const char *mac = text_of(g->entries[i], "mac");

		if (mac != NULL && rte_ether_unformat_addr(mac, &t->spec.mac) == 0)
			t->mac_given = true;
	}
	t->spec.mtu = RTE_MAX(t->spec.mtu, g->mtu);
}

static json_t *all_neighbours; /* arrays of both families' entries, kept */

static const json_t *neighbours_of(const struct given *g)
{
	json_t *list = json_array();

	if (all_neighbours == NULL)
		all_neighbours = json_array();
	for (unsigned int i = 0; i < 2 && g->entries[i] != NULL; i++)
		json_array_extend(list, json_object_get(g->entries[i], "neighbours"));
	json_array_append_new(all_neighbours, list);
	return list;
}

static int fail(const char *name, int error)
{
	log_error("the outside network can not be made", LOG_STR("name", name), LOG_ERRNO(-error));
	return error;
}

static int network_new(struct external_trunk *t, const struct given *g)
{
	const char *name = text_of(g->entries[0], "name");
	struct port_spec spec = {
		.type = "external", .ifname = t->port->name, .id = (uint32_t)g->vlan};
	char full_name[PORT_NAME_MAX];
	struct external *ext = NULL;
	struct port *port;
	uint32_t at = 0;
	int rc = 0;

	port_name(full_name, "external", name);
	port = port_new(full_name, PORT_EXTERNAL);
	if (port == NULL || port_open(port, &spec) != 0 ||
		(ext = external_new(name, port, &g->family[0], &g->family[1])) == NULL)
		return fail(name, -errno);
	external_hops_static(ext, neighbours_of(g));
	for (unsigned int i = 0; rc == 0 && i < 2 && g->entries[i] != NULL; i++)
		rc = add_gateways(ext, g->entries[i]);
	if (rc != 0)
		return fail(name, rc);
	while (t->networks[at] != NULL)
		at++;
	t->mtu[at] = g->mtu;
	rcu_ptr_set(t->networks[at], ext);
	t->by_vlan[g->vlan] = (uint8_t)(at + 1);
	return 0;
}

static int configure(const json_t *config)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (config, i, entry) {
		struct given g = gather(config, i);
		struct external_trunk *t;
		int rc;

		if (external_find(text_of(entry, "name"), false) != NULL ||
			external_find(text_of(entry, "name"), true) != NULL)
			continue; /* with the entry of the other family */
		t = trunk_get(entry);
		if (t == NULL)
			return fail(text_of(entry, "name"), -errno);
		configure_trunk(t, &g);
		rc = network_new(t, &g);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- control thread's part of the day --- */

static uint32_t turned_ms;

uint32_t external_now_ms(void)
{
	uint32_t now_ms = clock_ms();

	return (int32_t)(now_ms - turned_ms) > 0 ? now_ms : turned_ms;
}

static struct external *of_location(loc_t in)
{
	const struct port *port = loc_is_port(in) ? port_get(loc_index(in)) : NULL;

	return port != NULL ? external_of_port(port) : NULL;
}

static void receive(const uint8_t *frame, uint16_t len, loc_t in)
{
	struct external *ext = of_location(in);

	if (ext != NULL)
		external_hops_receive(ext, frame, len, external_now_ms());
}

static void want(const uint8_t *bytes, uint16_t len, loc_t in)
{
	struct external *ext = of_location(in);
	struct ip_addr addr;

	if (ext == NULL || len != sizeof(addr))
		return;
	memcpy(&addr, bytes, sizeof(addr));
	external_hop_want(ext, &addr, external_now_ms());
}

void external_turn(uint32_t now_ms)
{
	static uint32_t looked_ms;
	struct external *ext;

	turned_ms = now_ms;
	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		external_hops_tick(ext, now_ms);
	external_announce_tick(now_ms);
	external_wait_tick();
	if (now_ms - looked_ms < RETRY_MS)
		return;
	looked_ms = now_ms;
	for (unsigned int i = 0; i < n_trunks; i++)
		look_after(trunks[i]);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	external_turn(clock_ms());
}

void external_link_changed(struct port *port)
{
	struct external *ext = external_of_port(port);
	bool up = port->state == PORT_ACTIVE;

	if (ext == NULL)
		return;
	rpc_event(up ? "info" : "warning", "node", node_config.node,
		up ? "external_up" : "external_down", "network %s of %s: %s", ext->name,
		node_config.node, up ? "carries traffic" : port->reason);
	if (!up)
		return;
	external_hops_start(ext, external_now_ms());
	external_announce_all(ext);
}

static void service_appeared(const struct endpoint *endpoint)
{
	const struct vpc *scope = vpc_get(endpoint->vpc_index);

	if (scope != NULL && scope->external != NULL)
		external_announce(scope->external, &endpoint->addr);
}

static int start_timer(struct event_base *base)
{
	struct timeval period = {0, NEIGHBOUR_TICK_MS * 1000};

	timer = event_new(base, -1, EV_PERSIST, tick, NULL);
	return timer != NULL && event_add(timer, &period) == 0 ? 0 : -ENOMEM;
}

int external_start(const json_t *config, struct event_base *base)
{
	int rc = configure(config);

	endpoint_on_service(service_appeared);
	control_receiver_set(CONTROL_EXTERNAL, receive);
	control_receiver_set(CONTROL_EXTERNAL_HOP, want);
	for (unsigned int i = 0; rc == 0 && i < n_trunks; i++)
		look_after(trunks[i]);
	return rc != 0 || n_trunks == 0 || base == NULL ? rc : start_timer(base);
}

void external_stop(void)
{
	if (timer != NULL)
		event_free(timer);
}
