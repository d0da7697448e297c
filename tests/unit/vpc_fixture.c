/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/control.h"
#include "core/epoch.h"
#include "core/node.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "core/state.h"
#include "core/worker.h"
#include "external/external.h"
#include "lib/southbound.h"
#include "policy/policy_state.h"
#include "qos/shaper.h"
#include "underlay/underlay.h"

/*
 * The port layer.
 */

#define PORTS 64

static struct port *_Atomic ports[PORTS];
struct port_table port_table = {.ports = ports, .capacity = PORTS};
struct fixture_open fixture_open;
struct node_config node_config = {.node = "test"};

struct port *port_by_name(const char *name)
{
	for (unsigned int n = 0; n < PORTS; n++)
		if (ports[n] != NULL && strcmp(ports[n]->name, name) == 0)
			return ports[n];
	return NULL;
}

struct port *port_next(struct port *previous)
{
	for (unsigned int n = previous != NULL ? previous->index + 1 : 0; n < PORTS; n++)
		if (ports[n] != NULL)
			return ports[n];
	return NULL;
}

struct port *port_new(const char *name, enum port_role role)
{
	unsigned int n = 0;

	while (n < PORTS && ports[n] != NULL)
		n++;
	if (n == PORTS)
		return NULL;
	ports[n] = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(struct port));
	memset(ports[n], 0, sizeof(struct port));
	ports[n]->index = n;
	ports[n]->role = (uint8_t)role;
	snprintf(ports[n]->name, sizeof(ports[n]->name), "%s", name);
	return ports[n];
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

int port_open(struct port *port, const struct port_spec *spec)
{
	struct fixture_open *o = &fixture_open;

	o->opened++;
	copy(o->type, sizeof(o->type), spec->type);
	copy(o->ifname, sizeof(o->ifname), spec->ifname);
	copy(o->address, sizeof(o->address), spec->n_addresses != 0 ? spec->addresses[0] : NULL);
	copy(o->gateway4, sizeof(o->gateway4), spec->gateway4);
	o->n_addresses = spec->n_addresses;
	o->mtu = spec->mtu;
	port->state = o->rc == 0 ? PORT_ACTIVE : PORT_ERROR;
	return o->rc;
}

void port_close(struct port *port)
{
	fixture_open.closed += port->state == PORT_ACTIVE;
	port->state = PORT_DETACHED;
}

void port_free(struct port *port)
{
	port_close(port);
	ports[port->index] = NULL;
	rcu_defer(free, port);
}

/*
 * The rest of the neighbourhood.
 */

static struct vtep vteps[] = {{.index = 0, .name = "b"}, {.index = 1, .name = "c"},
	{.index = 2, .name = "gw", .gateway = true}};

struct vtep *_Atomic vtep_by_index[VTEPS_MAX] = {&vteps[0], &vteps[1], &vteps[2]};

struct vtep *vtep_by_name(const char *name)
{
	for (unsigned int n = 0; n < RTE_DIM(vteps); n++)
		if (strcmp(vteps[n].name, name) == 0)
			return &vteps[n];
	return NULL;
}

void worker_wake_all(void)
{
}

struct external *external_find(const char *name, bool v6)
{
	(void)name;
	(void)v6;
	return NULL;
}

/* Shapers that nobody passes. */
unsigned int worker_count;

int shaper_heaps_init(void)
{
	return 0;
}

/* Drops that nobody counts. */
uint32_t drop_owner_node(void)
{
	return 0;
}

uint32_t drop_owner_vpc(uint32_t vpc_index)
{
	return vpc_index;
}

void drop_pass_on(uint32_t owner, uint32_t heir)
{
	(void)owner;
	(void)heir;
}

uint32_t drop_owner_port(uint32_t port_index)
{
	return port_index;
}

struct fixture_said fixture_said;

int control_send(loc_t out, const void *frame, uint16_t len)
{
	fixture_said.frames++;
	fixture_said.out = out;
	fixture_said.len = len;
	memcpy(fixture_said.frame, frame, len);
	return 0;
}

void rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...)
{
	va_list ap;
	size_t used;

	(void)severity;
	(void)kind;
	fixture_said.events++;
	used = (size_t)snprintf(
		fixture_said.event, sizeof(fixture_said.event), "%s %s ", name, reason);
	va_start(ap, fmt);
	vsnprintf(fixture_said.event + used, sizeof(fixture_said.event) - used, fmt, ap);
	va_end(ap);
}

static int nothing_prepare(
	const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	(void)item;
	(void)old;
	(void)err;
	*staged = NULL;
	return 0;
}

STATE_KIND(vtep_kind, .name = "vtep", .order = 10, .prepare = nothing_prepare);

/*
 * Transactions.
 */

int fixture_start(void **context)
{
	(void)context;
	return epoch_init(4096) != 0 || vpc_init(64) != 0;
}

static int add_deletion(void *arg, const char *text, size_t size)
{
	struct state_tx *tx = arg;
	json_t *item = json_loadb(text, size, 0, NULL);
	struct state_error err;
	size_t n_key = sb_kind_find(json_string_value(json_array_get(item, 0)))->n_key;

	while (json_array_size(item) > n_key + 1)
		json_array_remove(item, json_array_size(item) - 1);
	state_del(tx, item, &err);
	json_decref(item);
	return 0;
}

int fixture_empty(void **context)
{
	struct state_tx *tx = state_begin();
	struct state_error err;
	uint32_t changed;

	(void)context;
	state_each(add_deletion, tx);
	if (state_commit(tx, 0, &changed, &err) != 0)
		return -1;
	rcu_synchronize();
	fixture_open = (struct fixture_open){0};
	fixture_said = (struct fixture_said){0};
	return endpoint_count() != 0;
}

static int try_apply(const char *const items[], size_t n, struct state_error *err)
{
	struct state_tx *tx = state_begin();
	uint32_t changed;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		bool del = items[i][0] == '-';
		char *text = strdup(items[i] + del);
		json_t *item;

		for (char *c = text; *c != '\0'; c++)
			if (*c == '\'')
				*c = '"';
		item = json_loads(text, 0, NULL);
		rc = item == NULL ? state_fail(err, -EINVAL, "no JSON: %s", text)
		     : del        ? state_del(tx, item, err)
				  : state_put(tx, item, err);
		json_decref(item);
		free(text);
	}
	if (rc == 0)
		return state_commit(tx, 1, &changed, err);
	state_abort(tx);
	return rc;
}

void fixture_apply(const char *const items[], size_t n)
{
	struct state_error err = {0};

	if (try_apply(items, n, &err) != 0)
		fail_msg(
			"%s: %s", err.reason, json_dumps(err.item, JSON_COMPACT | JSON_ENCODE_ANY));
}

void fixture_apply_fails(const char *reason, const char *const items[], size_t n)
{
	struct state_error err = {0};

	if (try_apply(items, n, &err) == 0)
		fail_msg("no error");
	if (strstr(err.reason, reason) == NULL)
		fail_msg("`%s` is not in `%s`", reason, err.reason);
	json_decref(err.item);
}

struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	if (!ip_addr_parse(text, &addr))
		fail_msg("%s", text);
	return addr;
}

struct rte_ether_addr ether(const char *text)
{
	struct rte_ether_addr mac;
	struct net_mac parsed;

	if (!net_mac_parse(text, &parsed))
		fail_msg("%s", text);
	memcpy(&mac, parsed.bytes, sizeof(mac));
	return mac;
}

loc_t vtep(const char *name)
{
	return loc_tunnel(vtep_by_name(name)->index);
}

loc_t port(const char *name)
{
	const struct port *p = port_by_name(name);

	return p != NULL ? loc_port(p->index) : LOC_NONE;
}

#define PORT(name, vni, subnet, mac, addrs)                                                        \
	"['port','" name "'," vni ",'" subnet "','" mac "',[" addrs                                \
	"],['g'],true,[],true,null,{'type':'none'},1]"
#define ENDPOINT(vni, addr, mac, vtep, subnet, port)                                               \
	"['endpoint'," vni ",'" addr "','" mac "','" vtep "','" subnet "','" port "',['g']]"

void fixture_world(void)
{
	APPLY("['vtep','b','192.0.2.2',false]", "['vtep','c','192.0.2.3',false]",
		"['vtep','gw','192.0.2.9',true]", "['group','g',1]",
		"['vpc',100,'red','t',1450,'" RED_GW "',['10.0.0.0/16','fd00::/48'],[300],1]",
		"['vpc',200,'blue','t',1450,'02:00:00:00:02:00',['10.0.0.0/16'],[],1]",
		"['vpc',300,'green','t',1400,'02:00:00:00:03:00',['10.9.0.0/16'],[100],1]",
		"['subnet','web',100,'10.0.1.0/24','10.0.1.1','fd00:0:0:1::/"
		"64','fd00:0:0:1::1',true,[],1]",
		"['subnet','db',100,'10.0.2.0/24','10.0.2.1',null,null,true,[],1]",
		"['subnet','blue',200,'10.0.1.0/24','10.0.1.1',null,null,true,[],1]",
		"['subnet','green',300,'10.9.0.0/24','10.9.0.1',null,null,true,[],1]",
		PORT("w1", "100", "web", "02:00:00:00:01:11", "'10.0.1.5','fd00:0:0:1::5'"),
		PORT("d1", "100", "db", "02:00:00:00:01:21", "'10.0.2.5'"),
		PORT("x1", "200", "blue", "02:00:00:00:02:11", "'10.0.1.5'"),
		PORT("g1", "300", "green", "02:00:00:00:03:11", "'10.9.0.5'"),
		ENDPOINT("100", "10.0.1.6", "02:00:00:00:01:12", "b", "web", "w2"),
		ENDPOINT("100", "fd00:0:0:1::6", "02:00:00:00:01:12", "b", "web", "w2"),
		ENDPOINT("100", "10.0.2.6", "02:00:00:00:01:22", "c", "db", "d2"),
		ENDPOINT("200", "10.0.1.6", "02:00:00:00:02:12", "b", "blue", "x2"),
		ENDPOINT("300", "10.9.0.6", "02:00:00:00:03:12", "b", "green", "g2"));
}
