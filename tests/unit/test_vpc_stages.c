/* SPDX-License-Identifier: Apache-2.0 */
/* The stages `spoof` and `route` on fixture_world(): who may send, where it goes, with which MACs. */
#include "vpc_fixture.h"

#include <stdio.h>
#include <string.h>

#include "core/road.h"
#include "external/external.h"

/* No outside here. */
void external_enter(struct flow *f)
{
	(void)f;
	fail();
}

bool external_leave(struct flow *f, struct external *ext)
{
	(void)ext;
	(void)f;
	fail();
	return false;
}

static struct road_stage *stages;

void road_stage_register(struct road_stage *stage)
{
	struct road_stage **at = &stages;

	while (*at != NULL && (*at)->order <= stage->order)
		at = &(*at)->next;
	stage->next = *at;
	*at = stage;
}

static char steps[2048];

void flow_trace_step(
	struct flow *f, const char *kind, const char *name, int32_t rule, const char *fmt, ...)
{
	size_t used = strlen(steps);
	va_list ap;

	(void)f;
	(void)rule;
	used += (size_t)snprintf(steps + used, sizeof(steps) - used, "%s %s: ", kind, name);
	va_start(ap, fmt);
	used += (size_t)vsnprintf(steps + used, sizeof(steps) - used, fmt, ap);
	va_end(ap);
	snprintf(steps + used, sizeof(steps) - used, "; ");
}

#define W1 "02:00:00:00:01:11"
#define W2 "02:00:00:00:01:12"
#define D1 "02:00:00:00:01:21"
#define D2 "02:00:00:00:01:22"
#define X1 "02:00:00:00:02:11"
#define X2 "02:00:00:00:02:12"
#define G1 "02:00:00:00:03:11"
#define G2 "02:00:00:00:03:12"
#define BLUE_GW "02:00:00:00:02:00"
#define GREEN_GW "02:00:00:00:03:00"
#define OTHER "02:00:00:00:ee:ee"

struct scenario {
	const char *in; /* a port, or a VTEP with "@" */
	uint32_t vni;
	const char *smac, *src, *dmac, *dst;
	enum drop_reason reason;
	const char *object; /* of a drop: "kind name" */
	/* Of what passes: */
	const char *out; /* port or @VTEP */
	uint32_t out_vni;
	bool routed, reply_routed;
	const char *out_smac, *out_dmac, *reply_smac, *reply_dmac;
	uint32_t answers_vni; /* VPC in whose scope answers arrive */
	uint32_t reply_vni;
};

static loc_t location(const char *name)
{
	return name[0] == '@' ? vtep(name + 1) : port(name);
}

static struct flow walk(const struct scenario *s)
{
	struct flow f = {.in = location(s->in),
		.vpc_index = vpc_by_vni(s->vni)->index,
		.src = ip(s->src),
		.dst = ip(s->dst),
		.smac = ether(s->smac),
		.dmac = ether(s->dmac),
		.trace = (struct flow_trace *)steps,
		.out = LOC_NONE};

	f.new_src = f.src;
	f.new_dst = f.dst;
	steps[0] = '\0';
	for (struct road_stage *stage = stages; stage != NULL; stage = stage->next)
		if (!stage->decide(&f))
			break;
	return f;
}

static void assert_mac(const struct rte_ether_addr *mac, const char *want, const char *what)
{
	struct rte_ether_addr w = ether(want);
	char text[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(text, sizeof(text), mac);
	if (!rte_is_same_ether_addr(mac, &w))
		fail_msg("%s is %s instead of %s (%s)", what, text, want, steps);
}

static void check(const struct scenario *s, size_t n)
{
	struct flow f = walk(s);
	char object[128];

	if (f.reason != s->reason)
		fail_msg(
			"scenario %zu: reason %d instead of %d: %s", n, f.reason, s->reason, steps);
	if (s->reason != DROP_NONE) {
		snprintf(object, sizeof(object), "%s %s",
			f.object.kind != NULL ? f.object.kind : "-",
			f.object.name != NULL ? f.object.name : "-");
		if (strcmp(object, s->object) != 0)
			fail_msg("scenario %zu: object %s instead of %s", n, object, s->object);
		return;
	}
	if (f.out != location(s->out) || (f.out & LOC_TUNNEL_BIT && f.out_vni != s->out_vni))
		fail_msg("scenario %zu: out %x vni %u: %s", n, f.out, f.out_vni, steps);
	if (f.routed != s->routed || f.reply_routed != s->reply_routed)
		fail_msg("scenario %zu: routed %d, reply %d: %s", n, f.routed, f.reply_routed,
			steps);
	assert_mac(&f.out_smac, s->out_smac, "out_smac");
	assert_mac(&f.out_dmac, s->out_dmac, "out_dmac");
	assert_mac(&f.reply_smac, s->reply_smac, "reply_smac");
	assert_mac(&f.reply_dmac, s->reply_dmac, "reply_dmac");
	assert_int_equal(f.out_vpc_index, vpc_by_vni(s->answers_vni)->index);
	if (loc_is_tunnel(f.in))
		assert_int_equal(f.reply_vni, s->reply_vni);
	assert_true(f.n_deps >= 2 && f.n_deps <= EPOCH_DEPS);
	assert_true(f.mtu == 1450 || f.mtu == 1400);
}

static void check_all(const struct scenario *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&s[i], i);
}

/* clang-format off */
static void senders_are_checked(void **context)
{
	static const struct scenario table[] = {
		{"w1", 100, W2, "10.0.1.5", W2, "10.0.1.6", DROP_SPOOFED, "port w1"},
		{"w1", 100, W1, "10.0.1.6", W2, "10.0.1.6", DROP_SPOOFED, "port w1"},
		{"w1", 100, W1, "fd00:0:0:1::6", W2, "fd00:0:0:1::6", DROP_SPOOFED, "port w1"},
		{"w1", 100, W1, "fe80::1", W2, "fd00:0:0:1::6", DROP_SPOOFED, "port w1"},
		{"w1", 100, W1, "192.0.2.1", W2, "10.0.1.6", DROP_SPOOFED, "port w1"},
		{"w1", 200, W1, "10.0.1.5", W2, "10.0.1.6", DROP_STALE, "- -"},
		/* Through the tunnel: only from where it lives, or from a gateway. */
		{"@c", 100, W2, "10.0.1.6", W1, "10.0.1.5", DROP_WRONG_VTEP, "node c"},
		{"@b", 100, W1, "10.0.1.5", W1, "10.0.1.5", DROP_WRONG_VTEP, "node b"},
		{"@b", 100, W2, "10.0.1.77", W1, "10.0.1.5", DROP_WRONG_VTEP, "node b"},
		{"@b", 100, W2, "192.0.2.1", W1, "10.0.1.5", DROP_WRONG_VTEP, "node b"},
		{"@b", 200, W2, "10.0.2.6", X1, "10.0.1.5", DROP_WRONG_VTEP, "node b"},
		{"@c", 100, G2, "10.9.0.6", W1, "10.0.1.5", DROP_WRONG_VTEP, "node c"},
		{"@b", 200, G2, "10.9.0.6", X1, "10.0.1.5", DROP_WRONG_VTEP, "node b"},
	};

	(void)context;
	fixture_world();
	check_all(table, RTE_DIM(table));
}

static void bridging_keeps_macs(void **context)
{
	static const struct scenario table[] = {
		/* here, and to another node */
		{"w1", 100, W1, "10.0.1.5", W2, "10.0.1.6", 0, NULL, "@b", 100, false, false, W1, W2, W2, W1, 100},
		{"w1", 100, W1, "fd00:0:0:1::5", W2, "fd00:0:0:1::6", 0, NULL, "@b", 100, false, false, W1, W2, W2, W1, 100},
		{"x1", 200, X1, "10.0.1.5", X2, "10.0.1.6", 0, NULL, "@b", 200, false, false, X1, X2, X2, X1, 200},
		{"@b", 100, W2, "10.0.1.6", W1, "10.0.1.5", 0, NULL, "w1", 0, false, false, W2, W1, W1, W2, 100, 100},
		/* not the owner's MAC, another VPC's owner, nobody's address, another subnet */
		{"w1", 100, W1, "10.0.1.5", OTHER, "10.0.1.6", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", X2, "10.0.1.6", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", W2, "10.0.1.99", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", D1, "10.0.2.5", DROP_NO_ROUTE, "port d1"},
		{"w1", 100, W1, "10.0.1.5", G1, "10.9.0.5", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", W1, "10.0.1.5", DROP_NO_ROUTE, "port w1"},
		{"w1", 100, W1, "10.0.1.5", "ff:ff:ff:ff:ff:ff", "10.0.1.6", DROP_BROADCAST, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", "01:00:5e:00:00:01", "224.0.0.1", DROP_BROADCAST, "vpc red"},
		/* out of a tunnel into none */
		{"@b", 100, W2, "10.0.1.6", D2, "10.0.2.6", DROP_NO_ROUTE, "port d2"},
	};

	(void)context;
	fixture_world();
	check_all(table, RTE_DIM(table));
}

static void routing_once_on_the_source(void **context)
{
	static const struct scenario table[] = {
		/* here: answers come back to the gateway and are routed as well */
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.2.5", 0, NULL, "d1", 0, true, true, RED_GW, D1, RED_GW, W1, 100},
		/* another node: it routes the answers */
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.2.6", 0, NULL, "@c", 100, true, false, RED_GW, D2, RED_GW, W1, 100},
		/* the other side of that: arrives routed, answers are routed here */
		{"@c", 100, RED_GW, "10.0.2.6", W1, "10.0.1.5", 0, NULL, "w1", 0, false, true, RED_GW, W1, RED_GW, D2, 100, 100},
		/* within a subnet by the gateway is allowed */
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.1.6", 0, NULL, "@b", 100, true, false, RED_GW, W2, RED_GW, W1, 100},
		/* a foreign VTEP's port sends to the gateway */
		{"@c", 100, D2, "10.0.2.6", RED_GW, "10.0.1.5", 0, NULL, "w1", 0, true, true, RED_GW, W1, RED_GW, D2, 100, 100},
		{"@c", 100, D2, "10.0.2.6", RED_GW, "10.0.1.6", DROP_NO_ROUTE, "port w2"},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.2.99", DROP_NO_ROUTE, "subnet db"},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.3.1", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "192.0.2.1", DROP_NO_ROUTE, "vpc red"},
		{"w1", 100, W1, "10.0.1.5", BLUE_GW, "10.0.2.5", DROP_NO_ROUTE, "vpc red"},
		/* from outside, by a gateway node */
		{"@gw", 100, RED_GW, "192.0.2.1", W1, "10.0.1.5", 0, NULL, "w1", 0, false, true, RED_GW, W1, RED_GW, RED_GW, 100, 100},
	};

	(void)context;
	fixture_world();
	check_all(table, RTE_DIM(table));
}

static void peerings_reach_the_peer_only(void **context)
{
	static const struct scenario table[] = {
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.9.0.5", 0, NULL, "g1", 0, true, true, GREEN_GW, G1, RED_GW, W1, 300},
		/* carries the destination's VNI; answers arrive with ours */
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.9.0.6", 0, NULL, "@b", 300, true, false, GREEN_GW, G2, RED_GW, W1, 100},
		/* the receiver looks the source up through the peering; answers carry the source's VNI */
		{"@b", 100, RED_GW, "10.9.0.6", W1, "10.0.1.5", 0, NULL, "w1", 0, false, true, RED_GW, W1, GREEN_GW, G2, 100, 300},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.9.0.99", DROP_NO_ROUTE, "subnet green"},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "10.9.7.1", DROP_NO_ROUTE, "vpc green"},
		{"x1", 200, X1, "10.0.1.5", BLUE_GW, "10.9.0.5", DROP_NO_ROUTE, "vpc blue"},
	};

	(void)context;
	fixture_world();
	check_all(table, RTE_DIM(table));
	/* Not transitive: green's other peer and green's own routes are out of red's reach. */
	APPLY("['vpc',400,'far','t',1400,'02:00:00:00:04:00',['10.7.0.0/16'],[300],1]",
	      "['vpc',300,'green','t',1400,'" GREEN_GW "',['10.9.0.0/16','10.6.0.0/16'],[100,400],2]",
	      "['route',300,'10.6.0.0/16','r','endpoint','10.9.0.5',null,null,null,1]");
	check(&(struct scenario){"w1", 100, W1, "10.0.1.5", RED_GW, "10.7.0.1", DROP_NO_ROUTE, "vpc red"}, 100);
	check(&(struct scenario){"w1", 100, W1, "10.0.1.5", RED_GW, "10.6.0.1", DROP_NO_ROUTE, "vpc green"}, 101);
}

static void custom_routes_lead_where_they_say(void **context)
{
	static const struct scenario table[] = {
		{"w1", 100, W1, "10.0.1.5", RED_GW, "172.16.0.1", DROP_BLACKHOLE, "route hole"},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "172.17.0.1", 0, NULL, "d1", 0, true, true, RED_GW, D1, RED_GW, W1, 100},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "172.18.0.1", 0, NULL, "@b", 100, true, false, RED_GW, W2, RED_GW, W1, 100},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "172.19.0.1", 0, NULL, "@c", 100, true, false, RED_GW, OTHER, RED_GW, W1, 100},
		{"w1", 100, W1, "10.0.1.5", RED_GW, "172.20.0.1", DROP_NO_ROUTE, "route gone"},
		/* what another node routed to a next hop that is here, and what is said behind it */
		{"@b", 100, RED_GW, "10.0.1.6", D1, "172.17.0.1", 0, NULL, "d1", 0, false, true, RED_GW, D1, RED_GW, W2, 100, 100},
		{"@b", 100, RED_GW, "172.18.0.1", W1, "10.0.1.5", 0, NULL, "w1", 0, false, true, RED_GW, W1, RED_GW, W2, 100, 100},
		{"@c", 100, RED_GW, "172.18.0.1", W1, "10.0.1.5", DROP_WRONG_VTEP, "node c"},
		{"@c", 100, RED_GW, "172.19.0.1", W1, "10.0.1.5", 0, NULL, "w1", 0, false, true, RED_GW, W1, RED_GW, OTHER, 100, 100},
		/* no way from tunnel to tunnel */
		{"@c", 100, D2, "10.0.2.6", RED_GW, "172.18.0.1", DROP_NO_ROUTE, "port w2"},
		{"@b", 100, W2, "10.0.1.6", RED_GW, "172.19.0.1", DROP_NO_ROUTE, "route site"},
	};

	(void)context;
	fixture_world();
	APPLY("['route',100,'172.16.0.0/16','hole','blackhole',null,null,null,null,1]",
	      "['route',100,'172.17.0.0/16','here','endpoint','10.0.2.5',null,null,null,1]",
	      "['route',100,'172.18.0.0/16','there','endpoint','10.0.1.6',null,null,null,1]",
	      "['route',100,'172.19.0.0/16','site','vtep','192.0.2.3','" OTHER "','c',null,1]",
	      "['route',100,'172.20.0.0/16','gone','endpoint','10.0.1.99',null,null,null,1]");
	check_all(table, RTE_DIM(table));
}
/* clang-format on */

#define W1_ITEM(security, allowed, enabled)                                                        \
	"['port','w1',100,'web','" W1 "',['10.0.1.5','fd00:0:0:1::5'],['g']," security             \
	",[" allowed "]," enabled ",null,{'type':'none'},2]"

static void port_security_has_exceptions(void **context)
{
	struct scenario s = {
		"w1", 100, OTHER, "192.0.2.1", RED_GW, "10.0.2.5", .object = "port w1"};

	(void)context;
	fixture_world();
	s.reason = DROP_SPOOFED;
	check(&s, 0);
	APPLY(W1_ITEM("false", "", "true"));
	assert_int_equal(walk(&s).reason, DROP_NONE);
	assert_null(walk(&s).src_ep);
	s.src = "10.0.1.6"; /* w2's address does not bring w2's membership */
	assert_null(walk(&s).src_ep);
	s.src = "10.0.1.5";
	assert_non_null(walk(&s).src_ep);

	APPLY(W1_ITEM("true", "'192.0.2.0/24','fd00:9::/64'", "true"));
	s.smac = W1;
	s.src = "192.0.2.1";
	assert_int_equal(walk(&s).reason, DROP_NONE);
	s.src = "192.0.3.1";
	check(&s, 1);
	APPLY(W1_ITEM("true", "", "false"));
	s.reason = DROP_PORT_DOWN;
	check(&s, 2);
}

static void steps_tell_the_story(void **context)
{
	struct scenario s = {"w1", 100, W1, "10.0.1.5", RED_GW, "10.0.2.6"};

	(void)context;
	fixture_world();
	walk(&s);
	assert_string_equal(steps,
		"port w1: source 10.0.1.5 accepted; subnet db: 10.0.2.0/24 matches; "
		"port d2: routed to it, on another node; ");
	s.dst = "192.0.2.1";
	walk(&s);
	assert_string_equal(
		steps, "port w1: source 10.0.1.5 accepted; vpc red: no route leads to 192.0.2.1; ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(senders_are_checked, fixture_empty),
		cmocka_unit_test_setup(bridging_keeps_macs, fixture_empty),
		cmocka_unit_test_setup(routing_once_on_the_source, fixture_empty),
		cmocka_unit_test_setup(peerings_reach_the_peer_only, fixture_empty),
		cmocka_unit_test_setup(custom_routes_lead_where_they_say, fixture_empty),
		cmocka_unit_test_setup(port_security_has_exceptions, fixture_empty),
		cmocka_unit_test_setup(steps_tell_the_story, fixture_empty),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_empty);
}
