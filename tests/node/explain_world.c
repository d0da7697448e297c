/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_world.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "balancer.h"
#include "cloud.h"
#include "graph.h"
#include "tests/unit/random.h"

#define GW2 "02:00:00:00:00:c8"
#define GW3 "02:00:00:00:01:2c"

const struct machine machines[MACHINES] = {
	{"a", 100, "web", MAC_A, GW, "10.0.1.10", "fd00:1:0:1::10", true, false},
	{"b", 100, "web", MAC_B, GW, "10.0.1.11", "fd00:1:0:1::11", true, false},
	{"c", 100, "db", MAC_C, GW, "10.0.2.10", "fd00:1:0:2::10", true, false},
	{"d", 100, "web", "02:aa:00:00:00:04", GW, "10.0.1.13", "fd00:1:0:1::13", true, true},
	{"a2", 200, "web2", MAC_A, GW2, "10.0.1.10", "fd00:1:0:1::10", true, false},
	{"b2", 200, "web2", MAC_B, GW2, "10.0.1.11", "fd00:1:0:1::11", true, false},
	{"p", 300, "far", "02:cc:00:00:00:11", GW3, "10.3.1.10", "fd00:3:0:1::10", true, false},
	{"r", 100, "web", MAC_R, GW, "10.0.1.20", "fd00:1:0:1::20", false, false},
	{"q", 300, "far", "02:cc:00:00:00:12", GW3, "10.3.1.20", "fd00:3:0:1::20", false, false},
};
uint8_t member[MACHINES];

const struct world_route world_routes[ROUTES] = {
	{"198.51.100.0/24", "wide", 100},
	{"198.51.100.128/25", "narrow", 100},
	{"192.168.0.0/16", "office", 100},
	{"203.0.113.64/26", "shadow", 100},
	{"2001:db8:9::/48", "wide6", 100},
	{"2001:db8:9:8000::/49", "narrow6", 100},
	{"10.3.1.30/32", "hole", 300},
	{"198.51.100.0/24", "theirs", 300},
};
enum hop hops[ROUTES];

const struct world_eip world_eips[EIPS] = {
	{"e50", "203.0.113.50", "nat", NULL, NULL, 0, false},
	{"e51", "203.0.113.51", "nat", NULL, NULL, 0, false},
	{"e60", "203.0.113.60", "port", "b", "10.0.1.11", 100, false},
	{"e61", "203.0.113.61", "port", "r", "10.0.1.20", 100, false},
	{"e62", "203.0.113.62", "port", "p", "10.3.1.10", 300, false},
	{"e70", "203.0.113.20", "lb", NULL, NULL, 0, false},
	{"e80", "203.0.113.30", "none", NULL, NULL, 0, false},
	{"e50-6", "2001:db8::50", "nat", NULL, NULL, 0, true},
	{"e51-6", "2001:db8::51", "nat", NULL, NULL, 0, true},
	{"e60-6", "2001:db8::60", "port", "b", "fd00:1:0:1::11", 100, true},
	{"e61-6", "2001:db8::61", "port", "r", "fd00:1:0:1::20", 100, true},
	{"e62-6", "2001:db8::62", "port", "p", "fd00:3:0:1::10", 300, true},
	{"e70-6", "2001:db8::20", "lb", NULL, NULL, 0, true},
	{"e80-6", "2001:db8::30", "none", NULL, NULL, 0, true},
};
uint8_t eip_denied[EIPS];
bool eip_hole[EIPS];

const struct world_forward world_forwards[FORWARDS] = {
	{"e50", "10.0.1.10", 6, 80, 80, 8080},
	{"e50", "10.0.2.10", 17, 50, 60, 1050},
	{"e50", "10.0.1.20", 6, 443, 443, 443},
	{"e50-6", "fd00:1:0:2::10", 6, 80, 80, 8080},
};

const struct world_balancer world_balancers[BALANCERS] = {
	{"lb", "10.0.1.100", NULL, false},
	{"lb6", "fd00:1:0:1::100", NULL, true},
	{"plb", "203.0.113.20", "e70", false},
	{"plb6", "2001:db8::20", "e70-6", true},
};
const struct world_target world_targets[TARGETS] = {
	{"10.0.1.11", "fd00:1:0:1::11", "b"},
	{"10.0.2.10", "fd00:1:0:2::10", "c"},
	{"10.0.1.20", "fd00:1:0:1::20", "r"},
	{"10.0.1.10", "fd00:1:0:1::10", "a"},
};
uint8_t balanced[BALANCERS];
bool limited[BALANCERS];

const char *const world_cidrs[CIDRS] = {"10.0.1.0/24", "10.0.0.0/16", "10.3.0.0/16",
	"198.51.100.0/24", "10.0.1.10/32", "fd00:1::/48", "fd00:1:0:1::/64", "2001:db8:9::/48"};
bool peered;

static struct world_rule rules[GROUPS][GROUP_RULES];
static unsigned int rule_count[GROUPS];
static uint8_t listed; /* the prefix list's networks, by bit */

/* ---- Items ---- */

static char text[65536];
static size_t text_len;

static void __attribute__((format(printf, 1, 2))) put(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_len += (size_t)vsnprintf(text + text_len, sizeof(text) - text_len, fmt, args);
	va_end(args);
	assert_true(text_len < sizeof(text));
}

static void begin(void)
{
	text_len = 0;
	put("[");
}

static void apply(void)
{
	if (text[text_len - 1] == ',')
		text_len--;
	put("]");
	graph_items(text);
}

static void put_group_names(uint8_t bits)
{
	bool first = true;

	for (unsigned int g = 0; g < GROUPS; g++)
		if (bits & 1 << g) {
			put("%s\"g%u\"", first ? "" : ", ", g);
			first = false;
		}
}

static void put_machine(unsigned int i)
{
	const struct machine *m = &machines[i];
	const char *const addresses[] = {m->v4, m->v6};

	if (m->here) {
		put("[\"port\", \"%s\", %u, \"%s\", \"%s\", [\"%s\", \"%s\"], [", m->name, m->vni,
			m->subnet, m->mac, m->v4, m->v6);
		put_group_names(member[i]);
		put("], %s, [%s], true, null, {\"type\": \"stub\"}, 1],",
			m->loose ? "false" : "true", m->loose ? "\"198.51.100.0/24\"" : "");
		return;
	}
	for (unsigned int k = 0; k < 2; k++) {
		put("[\"endpoint\", %u, \"%s\", \"%s\", \"other\", \"%s\", \"%s\", [", m->vni,
			addresses[k], m->mac, m->subnet, m->name);
		put_group_names(member[i]);
		put("]],");
	}
}

static const char *remote_text(const struct world_rule *r)
{
	static char out[64];

	switch (r->remote) {
	case REMOTE_ANY:
		return "any";
	case REMOTE_CIDR:
		snprintf(out, sizeof(out), "cidr %s", world_cidrs[r->which]);
		break;
	case REMOTE_GROUP:
		snprintf(out, sizeof(out), "group g%u", r->which);
		break;
	case REMOTE_LIST:
		return "list friends";
	}
	return out;
}

static void put_group(unsigned int g)
{
	put("[\"group\", \"g%u\", 1], [\"rules\", \"g%u\", 0, [", g, g);
	for (unsigned int i = 0; i < rule_count[g]; i++) {
		const struct world_rule *r = &rules[g][i];

		put("%s\"%c %c %u %d %u %u %d -1 %s\"", i ? ", " : "", r->egress ? 'e' : 'i',
			r->allow ? 'a' : 'd', r->priority, r->protocol, r->from, r->to,
			r->icmp_type, remote_text(r));
	}
	put("]],");
}

static void put_list(void)
{
	bool first = true;

	put("[\"prefix_list\", \"friends\", [");
	for (unsigned int i = 0; i < CIDRS; i++)
		if (listed & 1 << i) {
			put("%s\"%s\"", first ? "" : ", ", world_cidrs[i]);
			first = false;
		}
	put("], 1],");
}

static void put_vpcs(void)
{
	put("[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW
	    "\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [%s], 1],"
	    "[\"vpc\", 300, \"peer\", \"default\", 1400, \"" GW3
	    "\", [\"10.3.0.0/16\", \"fd00:3::/48\"], [%s], 1],",
		peered ? "300" : "", peered ? "100" : "");
}

static void put_route(unsigned int i)
{
	const struct world_route *r = &world_routes[i];
	bool v6 = strchr(r->prefix, ':') != NULL;

	put("[\"route\", %u, \"%s\", \"%s\", ", r->vni, r->prefix, r->name);
	switch (hops[i]) {
	case HOP_MACHINE:
		put("\"endpoint\", \"%s\", null, null, null, 1],",
			v6 ? "fd00:1:0:1::13" : "10.0.1.13");
		break;
	case HOP_NOBODY:
		put("\"endpoint\", \"%s\", null, null, null, 1],",
			v6 ? "fd00:1:0:1::99" : "10.0.1.99");
		break;
	case HOP_VTEP:
		put("\"vtep\", \"192.0.2.2\", \"" MAC_R "\", \"other\", null, 1],");
		break;
	case HOP_NAT:
		put("\"nat_gateway\", null, null, null, \"nat\", 1],");
		break;
	case HOP_OUT:
		put("\"external\", null, null, null, \"internet\", 1],");
		break;
	default:
		put("\"blackhole\", null, null, null, null, 1],");
	}
}

static void put_eip(unsigned int i)
{
	const struct world_eip *e = &world_eips[i];
	bool first = true;

	put("[\"eip\", \"%s\", \"internet\", \"%s\", null, \"%s\", ", e->name, e->address, e->use);
	if (e->private_address != NULL)
		put("%u, \"%s\", \"%s\", ", e->vni, e->private_address, e->machine);
	else
		put("null, null, null, ");
	put("0, 0, [");
	for (unsigned int c = 0; c < CIDRS; c++)
		if (eip_denied[i] & 1 << c) {
			put("%s\"%s\"", first ? "" : ", ", world_cidrs[c]);
			first = false;
		}
	put("], %s, 1],", eip_hole[i] ? "true" : "false");
}

static void put_nat(void)
{
	static const char *const filters[] = {
		"address_and_port", "address", "endpoint_independent"};

	put("[\"nat_gateway\", \"nat\", 100, null, \"%s\", \"%s\", 0, %s, 0, 0, 120, \"none\", "
	    "{\"tcp_established_s\": 7440, \"tcp_transitory_s\": 240, \"udp_s\": 300, \"icmp_s\": "
	    "60}, 1],"
	    "[\"snat\", \"nat\", 0, \"10.0.1.0/24\", [\"e50\", \"e50-6\"], false],"
	    "[\"snat\", \"nat\", 1, \"10.0.0.0/16\", [\"e50\", \"e51\"], false],"
	    "[\"snat\", \"nat\", 2, \"fd00:1::/48\", [\"e50\", \"e50-6\", \"e51-6\"], true],",
		random_one_in(3) ? "endpoint_dependent" : "endpoint_independent",
		filters[random_below(3)], random_one_in(4) ? "false" : "true");
	for (unsigned int i = 0; i < FORWARDS; i++) {
		const struct world_forward *w = &world_forwards[i];

		put("[\"dnat\", \"nat\", %u, \"%s\", %u, %u, %u, \"%s\", %u],", i, w->eip,
			w->protocol, w->from, w->last, w->to, w->to_port);
	}
}

static void put_balancer(unsigned int i)
{
	static const char *const schedulers[] = {"round_robin", "weighted_round_robin",
		"least_connections", "source_hash", "maglev"};
	const struct world_balancer *b = &world_balancers[i];

	if (b->eip != NULL)
		put("[\"load_balancer\", \"%s\", 100, null, \"%s\", null, 1],", b->name, b->eip);
	else
		put("[\"load_balancer\", \"%s\", 100, \"%s\", null, null, 1],", b->name,
			b->address);
	for (unsigned int k = 0; k < 2; k++)
		put("[\"listener\", \"%s\", %u, 80, \"%s\", %u, [%s], 0, 0, false, " NO_CHECK "],",
			b->name, k ? 6u : 17u, schedulers[random_below(5)],
			random_one_in(3) ? 60u : 0u,
			!limited[i] ? ""
			: b->v6     ? "\"2001:db8:9::/48\""
				    : "\"10.0.1.0/24\"");
	for (unsigned int t = 0; t < TARGETS; t++)
		for (unsigned int k = 0; k < 2 && (balanced[i] & 1 << t); k++)
			put("[\"backend\", \"%s\", %u, 80, \"%s\", %d, %u, \"%s\"],", b->name,
				k ? 6u : 17u, b->v6 ? world_targets[t].v6 : world_targets[t].v4,
				TARGET_PORT, 1 + random_below(3), world_targets[t].name);
}

/* ---- Changes ---- */

static struct world_rule random_rule(void)
{
	static const int protocols[] = {-1, -1, 6, 6, 17, 17, 1, 58, 47};
	static const uint16_t ports[] = {80, 443, 1000, 8080, 65535};
	struct world_rule r = {.egress = random_one_in(4),
		.allow = !random_one_in(7),
		.priority = (uint16_t)(100 * (1 + random_below(3))),
		.protocol = protocols[random_below(9)],
		.icmp_type = -1,
		.to = 65535,
		.remote = random_one_in(3) ? REMOTE_ANY : (enum remote)random_below(4)};

	r.which = random_below(r.remote == REMOTE_GROUP ? GROUPS : CIDRS);
	if ((r.protocol == 6 || r.protocol == 17) && random_one_in(2)) {
		r.to = ports[random_below(5)];
		r.from = random_one_in(2) ? 0 : r.to;
	}
	if (r.protocol == 1 && random_one_in(2))
		r.icmp_type = random_one_in(2) ? 8 : 0;
	return r;
}

static void change_group(unsigned int g)
{
	rule_count[g] = random_below(GROUP_RULES);
	for (unsigned int i = 0; i < rule_count[g]; i++)
		rules[g][i] = random_rule();
	if (rule_count[g] < GROUP_RULES && !random_one_in(8))
		rules[g][rule_count[g]++] = (struct world_rule){.allow = true,
			.priority = 300,
			.protocol = -1,
			.icmp_type = -1,
			.to = 65535};
	put_group(g);
}

static void change_member(unsigned int m)
{
	member[m] =
		(uint8_t)(random_one_in(8) ? random_below(1 << GROUPS)
					   : random_below(1 << GROUPS) | 1 << random_below(GROUPS));
	put_machine(m);
}

static void change_route(unsigned int i)
{
	static char key[96];
	bool foreign = world_routes[i].vni != 100;

	hops[i] = foreign ? (random_one_in(2) ? HOP_BLACKHOLE : HOP_NONE)
			  : (enum hop)random_below(HOPS);
	snprintf(key, sizeof(key), "[[\"route\", %u, \"%s\"]]", world_routes[i].vni,
		world_routes[i].prefix);
	if (hops[i] == HOP_NONE) {
		hops[i] = HOP_BLACKHOLE; /* so that there is something to delete */
		put_route(i);
		apply();
		hops[i] = HOP_NONE;
		graph_delete(key);
		begin();
		return;
	}
	put_route(i);
}

static void change_eip(unsigned int i)
{
	eip_denied[i] = random_one_in(2) ? (uint8_t)(1 << random_below(CIDRS)) : 0;
	eip_hole[i] = random_one_in(6);
	put_eip(i);
	/* Of two addresses that a flow may leave by one is drawn for it: what becomes of it must not depend on which. */
	if (strcmp(world_eips[i].use, "nat") == 0) {
		unsigned int twin = i % 7 == 0 ? i + 1 : i - 1;

		eip_denied[twin] = eip_denied[i];
		eip_hole[twin] = eip_hole[i];
		put_eip(twin);
	}
}

static void change_balancer(unsigned int i)
{
	char keys[2048] = "[";
	size_t at = 1;

	for (unsigned int t = 0; t < TARGETS; t++)
		for (unsigned int k = 0; k < 2 && (balanced[i] & 1 << t); k++)
			at += (size_t)snprintf(keys + at, sizeof(keys) - at,
				"%s[\"backend\", \"%s\", %u, 80, \"%s\", %d]", at > 1 ? ", " : "",
				world_balancers[i].name, k ? 6u : 17u,
				world_balancers[i].v6 ? world_targets[t].v6 : world_targets[t].v4,
				TARGET_PORT);
	snprintf(keys + at, sizeof(keys) - at, "]");
	if (at > 1)
		graph_delete(keys);
	balanced[i] = (uint8_t)(random_one_in(4) ? 0 : random_below(1 << TARGETS));
	limited[i] = random_one_in(4);
	put_balancer(i);
}

void world_change(void)
{
	begin();
	switch (random_below(8)) {
	case 0:
	case 1:
		change_group(random_below(GROUPS));
		break;
	case 2:
		change_member(random_below(MACHINES));
		break;
	case 3:
		listed = (uint8_t)random_below(1 << CIDRS);
		put_list();
		break;
	case 4:
		change_route(random_below(ROUTES));
		break;
	case 5:
		change_eip(random_below(EIPS));
		break;
	case 6:
		peered = !random_one_in(3);
		put_vpcs();
		if (random_one_in(2))
			put_nat();
		break;
	case 7:
		change_balancer(random_below(BALANCERS));
		break;
	}
	if (text_len > 1)
		apply();
}

void world_begin(void)
{
	random_start(); /* each file has its own */
	begin();
	put("[\"vtep\", \"other\", \"192.0.2.2\", false],"
	    "[\"vpc\", 200, \"twin\", \"mallory\", 1450, \"" GW2
	    "\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [], 1],"
	    "[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.1\", \"fd00:1:0:1::/64\", "
	    "\"fd00:1:0:1::1\", true, [], 1],"
	    "[\"subnet\", \"db\", 100, \"10.0.2.0/24\", \"10.0.2.1\", \"fd00:1:0:2::/64\", "
	    "\"fd00:1:0:2::1\", true, [], 1],"
	    "[\"subnet\", \"web2\", 200, \"10.0.1.0/24\", \"10.0.1.1\", \"fd00:1:0:1::/64\", "
	    "\"fd00:1:0:1::1\", true, [], 1],"
	    "[\"subnet\", \"far\", 300, \"10.3.1.0/24\", \"10.3.1.1\", \"fd00:3:0:1::/64\", "
	    "\"fd00:3:0:1::1\", true, [], 1],");
	peered = true;
	put_vpcs();
	put_list();
	for (unsigned int g = 0; g < GROUPS; g++)
		change_group(g);
	for (unsigned int m = 0; m < MACHINES; m++)
		change_member(m);
	for (unsigned int i = 0; i < EIPS; i++)
		put_eip(i);
	put_nat();
	for (unsigned int i = 0; i < ROUTES; i++) {
		hops[i] = i < 6 ? (enum hop)(1 + random_below(HOPS - 1)) : HOP_BLACKHOLE;
		put_route(i);
	}
	for (unsigned int i = 0; i < BALANCERS; i++) {
		balanced[i] = (uint8_t)(1 + random_below((1 << TARGETS) - 1));
		put_balancer(i);
	}
	apply();
}

/* ---- The reference ---- */

bool world_covers(const char *prefix, const char *address)
{
	char network[64];
	uint8_t p[16], a[16];
	const char *slash = strchr(prefix, '/');
	int len = atoi(slash + 1), family = strchr(prefix, ':') != NULL ? AF_INET6 : AF_INET;

	if ((strchr(address, ':') != NULL) != (family == AF_INET6))
		return false;
	snprintf(network, sizeof(network), "%.*s", (int)(slash - prefix), prefix);
	assert_int_equal(inet_pton(family, network, p), 1);
	assert_int_equal(inet_pton(family, address, a), 1);
	for (int bit = 0; bit < len; bit++)
		if ((p[bit / 8] ^ a[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

int world_machine(unsigned int vni, const char *address)
{
	for (int i = 0; i < MACHINES; i++)
		if (machines[i].vni == vni && (strcmp(machines[i].v4, address) == 0 ||
						      strcmp(machines[i].v6, address) == 0))
			return i;
	return -1;
}

int world_machine_named(const char *name)
{
	for (int i = 0; i < MACHINES; i++)
		if (strcmp(machines[i].name, name) == 0)
			return i;
	return -1;
}

static bool matches_remote(const struct world_rule *r, const struct world_packet *p)
{
	switch (r->remote) {
	case REMOTE_ANY:
		break;
	case REMOTE_CIDR:
		return world_covers(world_cidrs[r->which], p->remote);
	case REMOTE_GROUP:
		return p->remote_machine >= 0 && (member[p->remote_machine] & 1 << r->which);
	case REMOTE_LIST:
		for (unsigned int i = 0; i < CIDRS; i++)
			if ((listed & 1 << i) && world_covers(world_cidrs[i], p->remote))
				return true;
		return false;
	}
	return true;
}

static bool matches(const struct world_rule *r, bool egress, const struct world_packet *p)
{
	bool v6 = strchr(p->remote, ':') != NULL;

	if (r->egress != egress || (r->protocol >= 0 && r->protocol != p->protocol) ||
		!matches_remote(r, p))
		return false;
	if (r->protocol == 6 || r->protocol == 17)
		return p->port >= r->from && p->port <= r->to;
	if ((r->protocol == 1 && v6) || (r->protocol == 58 && !v6))
		return false;
	return r->icmp_type < 0 || r->icmp_type == p->icmp_type;
}

/* The lowest priority number first, deny before allow. */
static unsigned int rank(const struct world_rule *r)
{
	return r->priority * 2u + r->allow;
}

const char *world_decides(
	int m, bool egress, const struct world_packet *p, const char *group, int rule, bool allow)
{
	unsigned int best = UINT32_MAX, g = group != NULL ? (unsigned int)(group[1] - '0') : 0;

	for (unsigned int k = 0; k < GROUPS; k++)
		for (unsigned int i = 0; (member[m] & 1 << k) && i < rule_count[k]; i++)
			if (matches(&rules[k][i], egress, p) && rank(&rules[k][i]) < best)
				best = rank(&rules[k][i]);
	if (group == NULL)
		return best != UINT32_MAX ? "a rule matches"
		       : allow != egress  ? "not the default"
					  : NULL;
	if (group[0] != 'g' || g >= GROUPS || !(member[m] & 1 << g) || rule < 0 ||
		(unsigned int)rule >= rule_count[g])
		return "the port has no such rule";
	if (!matches(&rules[g][rule], egress, p))
		return "the rule does not match";
	if (rank(&rules[g][rule]) != best)
		return "another rule comes first";
	for (int i = 0; i < rule; i++)
		if (matches(&rules[g][i], egress, p) && rank(&rules[g][i]) == best)
			return "an earlier rule is equal";
	return rules[g][rule].allow == allow ? NULL : "the rule says otherwise";
}

static int prefix_len(const char *prefix)
{
	return atoi(strchr(prefix, '/') + 1);
}

bool world_is_route(unsigned int vni, const char *name, const char *address)
{
	const struct world_route *best = NULL;

	for (unsigned int i = 0; i < ROUTES; i++) {
		const struct world_route *r = &world_routes[i];

		if (hops[i] != HOP_NONE && r->vni == vni && world_covers(r->prefix, address) &&
			(best == NULL || prefix_len(r->prefix) > prefix_len(best->prefix)))
			best = r;
	}
	return best != NULL && strcmp(best->name, name) == 0;
}
