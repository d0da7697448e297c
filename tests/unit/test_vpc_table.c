/* SPDX-License-Identifier: Apache-2.0 */
/* Items become tables: VPCs, subnets, endpoints, routes, peerings, vNICs. */
#include "vpc_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/epoch.h"
#include "core/rcu.h"
#include "core/state.h"
#include "vpc/vpc_internal.h"

static const struct route *route_to(uint32_t vni, const char *addr)
{
	struct ip_addr a = ip(addr);

	return route_get(vpc_by_vni(vni), &a);
}

static struct endpoint *endpoint_of(uint32_t vni, const char *addr)
{
	struct ip_addr a = ip(addr);

	return endpoint_get(vpc_by_vni(vni)->index, &a);
}

static uint32_t value(epoch_slot_t slot)
{
	return epoch_value(slot);
}

static void vpcs_are_found_by_vni_and_index(void **context)
{
	struct vpc *red;

	(void)context;
	fixture_world();
	red = vpc_by_vni(100);
	assert_non_null(red);
	assert_string_equal(red->name, "red");
	assert_int_equal(red->mtu, 1450);
	assert_ptr_equal(vpc_get(red->index), red);
	assert_ptr_not_equal(vpc_by_vni(200), red);
	assert_null(vpc_by_vni(101));
	assert_null(vpc_by_vni(100 + (1 << 12)));
	assert_null(vpc_by_vni(0xffffffff));
	assert_null(vpc_get(0));
	assert_null(vpc_get(0xffffffff));

	uint32_t index = red->index;

	assert_int_equal(fixture_empty(context), 0);
	assert_null(vpc_by_vni(100));
	APPLY("['vpc',100,'red','t',1450,'" RED_GW "',[],[],1]");
	assert_int_not_equal(vpc_by_vni(100)->index, index); /* no session of the old one may fit */
}

static void bad_items_are_refused(void **context)
{
	(void)context;
	APPLY_FAILS("VNI", "['vpc',16777216,'red','t',1450,'" RED_GW "',[],[],1]");
	APPLY_FAILS("MTU", "['vpc',1,'red','t',20,'" RED_GW "',[],[],1]");
	APPLY_FAILS("bad value", "['vpc',1,'red','t',1450,'nonsense',[],[],1]");
	APPLY_FAILS("vpc 9", "['subnet','s',9,'10.0.0.0/24','10.0.0.1',null,null,true,[],1]");
	fixture_world();
	APPLY_FAILS("other family", "['subnet','s',100,'fd00::/64','fd00::1',null,null,true,[],1]");
	APPLY_FAILS("gateway", "['subnet','s',100,'10.0.0.0/24','10.0.1.1',null,null,true,[],1]");
	APPLY_FAILS("next hop", "['route',100,'0.0.0.0/0','r','nowhere',null,null,null,null,1]");
	APPLY_FAILS("needs its address",
		"['route',100,'0.0.0.0/0','r','endpoint',null,null,null,null,1]");
	APPLY_FAILS("vtep", "['endpoint',100,'10.0.1.9','02:00:00:00:00:01','z','web','p',[]]");
	assert_null(subnet_by_name("s"));
}

static void endpoints_are_separate_by_vpc(void **context)
{
	const struct endpoint *red, *blue;

	(void)context;
	fixture_world();
	red = endpoint_of(100, "10.0.1.5");
	blue = endpoint_of(200, "10.0.1.5");
	assert_int_equal(red->where, port("w1"));
	assert_int_equal(blue->where, port("x1"));
	assert_string_equal(red->port_name, "w1");
	assert_ptr_equal(red->subnet, subnet_by_name("web"));
	red = endpoint_of(100, "fd00:0:0:1::6");
	assert_int_equal(red->where, vtep("b"));
	assert_string_equal(red->port_name, "w2");
	assert_null(endpoint_of(200, "fd00:0:0:1::6"));
	assert_null(endpoint_of(100, "10.0.1.7"));
}

/* A port's link-local address is that of its MAC, wherever it lives, as long as it has another IPv6 address. */
static void link_local_addresses_find_their_port(void **context)
{
	uint32_t red, blue;
	struct ip_addr w1 = ip("fe80::ff:fe00:111"), w2 = ip("fe80::ff:fe00:112"),
		       d1 = ip("fe80::ff:fe00:121"), other = ip("fe80::112");

	(void)context;
	fixture_world();
	red = vpc_by_vni(100)->index;
	blue = vpc_by_vni(200)->index;
	assert_int_equal(endpoint_get(red, &w1)->where, port("w1"));
	assert_int_equal(endpoint_get(red, &w2)->where, vtep("b"));
	assert_null(endpoint_get(red, &d1)); /* IPv4 only */
	assert_null(endpoint_get(red, &other));
	assert_null(endpoint_get(blue, &w2));
	APPLY("['endpoint',100,'fd00:0:0:1::6','02:00:00:00:02:12','c','web','w2',['g']]");
	assert_null(endpoint_get(red, &w2));
	w2 = ip("fe80::ff:fe00:212");
	assert_int_equal(endpoint_get(red, &w2)->where, vtep("c"));
	APPLY("['endpoint',100,'fd00:0:0:1::66','02:00:00:00:02:12','c','web','w2',['g']]",
		"-['endpoint',100,'fd00:0:0:1::6']");
	assert_int_equal(endpoint_get(red, &w2)->where, vtep("c"));
	APPLY("-['endpoint',100,'fd00:0:0:1::66']");
	assert_null(endpoint_get(red, &w2));
}

static void endpoint_changes_bump_only_their_slot(void **context)
{
	epoch_slot_t slot, other;
	uint32_t before, others, vpcs;

	(void)context;
	fixture_world();
	slot = endpoint_of(100, "10.0.1.6")->epoch;
	other = endpoint_of(100, "10.0.2.6")->epoch;
	before = value(slot);
	others = value(other);
	vpcs = value(vpc_by_vni(100)->epoch);

	/* Another port's name only: nothing a session used. A new endpoint: nothing either. */
	APPLY("['endpoint',100,'10.0.1.6','02:00:00:00:01:12','b','web','renamed',['g']]",
		"['endpoint',100,'10.0.1.7','02:00:00:00:01:13','b','web','w3',['g']]");
	assert_int_equal(endpoint_of(100, "10.0.1.6")->epoch, slot);
	assert_int_equal(value(slot), before);
	assert_string_equal(endpoint_of(100, "10.0.1.6")->port_name, "renamed");

	APPLY("['endpoint',100,'10.0.1.6','02:00:00:00:01:12','c','web','renamed',['g']]");
	assert_int_equal(value(slot), ++before);
	APPLY("-['endpoint',100,'10.0.1.6']");
	assert_int_equal(value(slot), ++before);
	assert_int_equal(value(other), others);
	assert_int_equal(value(vpc_by_vni(100)->epoch), vpcs);
}

static void endpoints_have_a_limit(void **context)
{
	char item[128];

	(void)context;
	fixture_world();
	for (unsigned int n = 20; endpoint_count() < endpoint_capacity(); n++) {
		snprintf(item, sizeof(item),
			"['endpoint',100,'10.0.1.%u','02:00:00:00:01:13','b','web','w',[]]", n);
		APPLY(item);
	}
	APPLY_FAILS("room for 64",
		"['endpoint',100,'10.0.1.250','02:00:00:00:01:13','b','web','w',[]]");
	APPLY("['endpoint',100,'10.0.1.20','02:00:00:00:01:14','b','web','w',[]]");
}

static void longest_prefix_wins(void **context)
{
	epoch_slot_t slot;
	uint32_t before;

	(void)context;
	fixture_world();
	slot = vpc_by_vni(100)->epoch;
	before = value(slot);
	assert_int_equal(route_to(100, "10.0.1.77")->kind, ROUTE_SUBNET);
	assert_ptr_equal(route_to(100, "10.0.2.77")->subnet, subnet_by_name("db"));
	assert_ptr_equal(route_to(100, "fd00:0:0:1::9")->subnet, subnet_by_name("web"));
	assert_null(route_to(100, "10.0.3.1"));
	assert_null(route_to(100, "192.0.2.1"));

	APPLY("['route',100,'0.0.0.0/0','out','endpoint','10.0.1.6',null,null,null,1]",
		"['route',100,'172.16.0.0/12','hole','blackhole',null,null,null,null,1]",
		"['route',100,'172.16.5.0/"
		"24','site','vtep','192.0.2.3','02:00:00:00:09:09','c',null,1]",
		"['route',100,'10.0.1.128/25','half','blackhole',null,null,null,null,1]",
		"['route',100,'10.0.2.0/24','same','endpoint','10.0.1.6',null,null,null,1]");
	assert_int_equal(value(slot), before + 1);
	assert_string_equal(route_to(100, "192.0.2.1")->name, "out");
	assert_string_equal(route_to(100, "172.17.0.1")->name, "hole");
	assert_string_equal(route_to(100, "172.16.5.1")->name, "site");
	assert_int_equal(route_to(100, "172.16.5.1")->tunnel, vtep("c"));
	assert_string_equal(route_to(100, "10.0.1.200")->name, "half");
	assert_int_equal(route_to(100, "10.0.2.1")->kind, ROUTE_SUBNET); /* the VPC's own stay */
	assert_null(route_to(100, "2001:db8::1"));
	assert_null(route_to(200, "192.0.2.1"));

	APPLY("['route',100,'10.0.2.0/24','same','blackhole',null,null,null,null,1]",
		"-['route',100,'172.16.5.0/24']");
	assert_int_equal(route_to(100, "10.0.2.1")->kind, ROUTE_BLACKHOLE);
	assert_string_equal(route_to(100, "172.16.5.1")->name, "hole");
}

enum { MANY_ROUTES = 20000 };

/* The n-th of many destinations, in no order. */
static void many_destination(uint32_t n, char text[static 40])
{
	uint32_t a = n * 7919u % MANY_ROUTES;

	if (n % 4 == 0)
		snprintf(text, 40, "2001:db8:%x::/48", a);
	else
		snprintf(text, 40, "172.%u.%u.%u/32", 16 + (a >> 16), a >> 8 & 255, a & 255);
}

static json_t *many_route(uint32_t n, const char *hop, bool deletion)
{
	char destination[40], name[16];

	many_destination(n, destination);
	snprintf(name, sizeof(name), "r%u", n);
	return deletion ? json_pack("[s,i,s]", "route", 100, destination)
			: json_pack("[s,i,s,s,s,s,n,n,n,i]", "route", 100, destination, name, hop,
				  "10.0.1.6", 1);
}

static void apply_many(uint32_t step, const char *hop, bool deletion)
{
	struct state_tx *tx = state_begin();
	struct state_error err;
	uint32_t changed;

	for (uint32_t n = 0; n < MANY_ROUTES; n += step) {
		json_t *item = many_route(n, hop, deletion);

		assert_int_equal(
			deletion ? state_del(tx, item, &err) : state_put(tx, item, &err), 0);
		json_decref(item);
	}
	assert_int_equal(state_commit(tx, 1, &changed, &err), 0);
	assert_int_equal(changed, MANY_ROUTES / step);
}

/* What a batch of routes costs follows their number: one table made again for all of them, no walk over the others for each. Counted,
 * because time says nothing on a busy machine. */
static void many_routes_cost_as_much_as_they_are(void **context)
{
	static const struct {
		uint32_t step;
		const char *hop;
		bool deletion;
	} batches[] = {{1, "endpoint", false}, {20, "blackhole", false}, {20, "", true}};
	struct route_work before;

	(void)context;
	fixture_world();
	for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
		before = route_work;
		apply_many(batches[b].step, batches[b].hop, batches[b].deletion);
		assert_int_equal(route_work.rebuilds - before.rebuilds, 1);
		/* Each found once by its hash, twice when the table is filled; some share a bucket. */
		assert_in_range(route_work.looks - before.looks, 1, 4 * MANY_ROUTES);
		if (!batches[b].deletion)
			assert_int_equal(route_to(100, "2001:db8::1")->kind,
				b == 0 ? ROUTE_ENDPOINT : ROUTE_BLACKHOLE);
	}
	assert_null(route_to(100, "2001:db8::1"));
	for (uint32_t n = 1; n < MANY_ROUTES; n += 997) {
		char destination[40], name[16];

		if (n % 20 == 0)
			continue;
		many_destination(n, destination);
		*strchr(destination, '/') = '\0';
		snprintf(name, sizeof(name), "r%u", n);
		assert_string_equal(route_to(100, destination)->name, name);
	}
}

static void peerings_follow_both_vpcs(void **context)
{
	(void)context;
	fixture_world();
	assert_int_equal(route_to(100, "10.9.3.3")->kind, ROUTE_PEERING);
	assert_ptr_equal(route_to(100, "10.9.3.3")->peer, vpc_by_vni(300));
	assert_ptr_equal(route_to(300, "10.0.1.5")->peer, vpc_by_vni(100));
	assert_null(route_to(200, "10.9.3.3"));

	/* A peer's new CIDRs, the end of the peering, a peer that comes after its partner. */
	APPLY("['vpc',300,'green','t',1400,'02:00:00:00:03:00',['10.9.0.0/16','10.8.0.0/"
	      "16'],[100],2]");
	assert_int_equal(route_to(100, "10.8.3.3")->kind, ROUTE_PEERING);
	APPLY("['vpc',300,'green','t',1400,'02:00:00:00:03:00',['10.9.0.0/16'],[],3]",
		"['vpc',100,'red','t',1450,'" RED_GW "',['10.0.0.0/16','fd00::/48'],[400],3]");
	assert_null(route_to(100, "10.9.3.3"));
	assert_null(route_to(300, "10.0.1.5"));
	APPLY("['vpc',400,'late','t',1400,'02:00:00:00:04:00',['10.7.0.0/16'],[100],1]");
	assert_ptr_equal(route_to(100, "10.7.0.1")->peer, vpc_by_vni(400));
	APPLY("-['vpc',400]");
	assert_null(route_to(100, "10.7.0.1"));
}

static void gateways_are_known(void **context)
{
	static const struct {
		const char *addr;
		bool is;
	} table[] = {
		{"10.0.1.1", true},
		{"10.0.2.1", true},
		{"fd00:0:0:1::1", true},
		{"fe80::ff:fe00:100", true}, /* of 02:00:00:00:01:00 */
		{"fe80::ff:fe00:200", false},
		{"10.0.1.5", false},
		{"10.9.0.1", false}, /* the peer's is not ours */
		{"0.0.0.0", false},
	};

	(void)context;
	fixture_world();
	for (size_t n = 0; n < RTE_DIM(table); n++) {
		struct ip_addr a = ip(table[n].addr);

		assert_int_equal(gateway_is(vpc_by_vni(100), &a), table[n].is);
	}
}

static void ports_become_vnics(void **context)
{
	const struct port *w1;
	const struct vnic *vnic;
	struct ip_addr a;

	(void)context;
	fixture_world();
	w1 = port_by_name("w1");
	vnic = vnic_of(w1);
	assert_ptr_equal(vnic->vpc, vpc_by_vni(100));
	assert_int_equal(w1->vpc_index, vpc_by_vni(100)->index);
	assert_int_equal(w1->mtu, 1450);
	assert_int_equal(w1->enabled, 1);
	a = ip("10.0.1.5");
	assert_true(vnic_owns(vnic, &a) && vnic_may_use(vnic, &a));
	a = ip("fe80::ff:fe00:111");
	assert_true(!vnic_owns(vnic, &a) && vnic_may_use(vnic, &a));
	a = ip("10.0.1.6");
	assert_false(vnic_may_use(vnic, &a));
	assert_int_equal(fixture_open.opened, 0);
}

#define W1(addrs, allowed, attachment)                                                             \
	"['port','w1',100,'web','02:00:00:00:01:11',[" addrs "],['g'],true,[" allowed              \
	"],true,null," attachment ",2]"
#define TAP "{'type':'tap','ifname':'tap1','configure':true}"

static void attachments_open_and_close_the_device(void **context)
{
	(void)context;
	fixture_world();
	APPLY(W1("'10.0.1.5','fd00:0:0:1::5'", "", TAP));
	assert_int_equal(fixture_open.opened, 1);
	assert_string_equal(fixture_open.type, "tap");
	assert_string_equal(fixture_open.ifname, "tap1");
	assert_string_equal(fixture_open.address, "10.0.1.5/24");
	assert_string_equal(fixture_open.gateway4, "10.0.1.1");
	assert_int_equal(fixture_open.n_addresses, 2);
	assert_int_equal(fixture_open.mtu, 1450);

	APPLY(W1("'10.0.1.5','fd00:0:0:1::5'", "'10.0.1.99'", TAP)); /* nothing of the device */
	assert_int_equal(fixture_open.opened, 1);
	APPLY(W1("'10.0.1.8'", "", TAP));
	assert_int_equal(fixture_open.opened, 2);
	assert_int_equal(fixture_open.closed, 1);
	assert_null(endpoint_of(100, "10.0.1.5"));
	assert_null(endpoint_of(100, "10.0.1.99"));
	assert_int_equal(endpoint_of(100, "10.0.1.8")->where, port("w1"));
	APPLY(W1("'10.0.1.8'", "", "{'type':'none'}"));
	assert_int_equal(fixture_open.closed, 2);
	assert_int_equal(fixture_open.opened, 2);
}

static void device_that_fails_is_no_error_and_tried_again(void **context)
{
	(void)context;
	fixture_world();
	fixture_open.rc = -16;
	APPLY(W1("'10.0.1.5'", "", TAP));
	assert_int_equal(port_by_name("w1")->state, PORT_ERROR);
	assert_int_equal(vnic_retry(), 1);
	fixture_open.rc = 0;
	assert_int_equal(vnic_retry(), 0);
	assert_int_equal(port_by_name("w1")->state, PORT_ACTIVE);
	assert_int_equal(fixture_open.opened, 3);
}

static void ports_and_endpoints_change_places(void **context)
{
	(void)context;
	fixture_world();
	/* w1 moves to node c: deletions come after puts, and do not take what is not theirs. */
	APPLY("-['port','w1']",
		"['endpoint',100,'10.0.1.5','02:00:00:00:01:11','c','web','w1',['g']]");
	assert_int_equal(endpoint_of(100, "10.0.1.5")->where, vtep("c"));
	assert_null(endpoint_of(100, "fd00:0:0:1::5"));
	APPLY("-['endpoint',100,'10.0.1.5']", W1("'10.0.1.5'", "", "{'type':'none'}"));
	assert_int_equal(endpoint_of(100, "10.0.1.5")->where, port("w1"));
}

static void subnet_changes_reach_everybody(void **context)
{
	const struct subnet *web;

	(void)context;
	fixture_world();
	APPLY("['subnet','web',100,'10.0.1.0/24','10.0.1.254','fd00:0:0:1::/"
	      "64','fd00:0:0:1::1',false,"
	      "['10.0.0.2','fd00::2'],2]");
	web = subnet_by_name("web");
	assert_int_equal(web->n_dns, 2);
	assert_false(web->dhcp);
	assert_ptr_equal(endpoint_of(100, "10.0.1.6")->subnet, web);
	assert_ptr_equal(vnic_of(port_by_name("w1"))->subnet, web);
	assert_ptr_equal(route_to(100, "10.0.1.6")->subnet, web);
}

static void failing_transaction_leaves_no_trace(void **context)
{
	uint32_t count;

	(void)context;
	fixture_world();
	count = endpoint_count();
	APPLY_FAILS("too long", "['vpc',500,'new','t',1450,'" RED_GW "',['10.5.0.0/16'],[],1]",
		"['subnet','n1',500,'10.5.0.0/24','10.5.0.1',null,null,true,[],1]",
		"['port','n1p',500,'n1','02:00:00:00:05:01',['10.5.0.5'],['g'],true,[],true,"
		"null," TAP ",1]",
		"['endpoint',500,'10.5.0.6','02:00:00:00:05:02','b','n1','p',[]]",
		"['route',500,'0.0.0.0/0','"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"','blackhole',null,null,null,null,1]");
	assert_null(vpc_by_vni(500));
	assert_null(subnet_by_name("n1"));
	assert_null(port_by_name("n1p"));
	assert_int_equal(endpoint_count(), count);
	assert_int_equal(fixture_open.opened, 0);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* `test_vpc_table N`: N endpoints in transactions as the socket brings them, and their removal. */
static int measure(uint32_t n)
{
	double start, parse = 0, stage = 0, t0, t1;
	struct state_tx *tx;
	struct state_error err;
	uint32_t changed;
	char text[160];

	epoch_init(2 * n + 4096);
	vpc_init(n + 64);
	fixture_world();
	tx = state_begin();
	for (uint32_t i = 0; i < n; i++) {
		json_t *item;

		snprintf(text, sizeof(text),
			"[\"endpoint\",100,\"10.%u.%u.%u\",\"02:00:01:%02x:%02x:%02x\",\"b\","
			"\"web\","
			"\"port-%u\",[\"g\"]]",
			16 + (i >> 16), i >> 8 & 255, i & 255, i >> 16, i >> 8 & 255, i & 255, i);
		t0 = now_s();
		item = json_loads(text, 0, NULL);
		t1 = now_s();
		if (state_put(tx, item, &err) != 0)
			return 1;
		json_decref(item);
		stage += now_s() - t1;
		parse += t1 - t0;
	}
	start = now_s();
	if (state_commit(tx, 1, &changed, &err) != 0)
		return 1;
	t0 = now_s();
	printf("%u endpoints: parse %.2f s, stage %.2f s, commit %.2f s\n", changed, parse, stage,
		t0 - start);
	if (fixture_empty(NULL) != 0)
		return 1;
	printf("removed in %.2f s\n", now_s() - t0);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(vpcs_are_found_by_vni_and_index, fixture_empty),
		cmocka_unit_test_setup(bad_items_are_refused, fixture_empty),
		cmocka_unit_test_setup(endpoints_are_separate_by_vpc, fixture_empty),
		cmocka_unit_test_setup(link_local_addresses_find_their_port, fixture_empty),
		cmocka_unit_test_setup(endpoint_changes_bump_only_their_slot, fixture_empty),
		cmocka_unit_test_setup(endpoints_have_a_limit, fixture_empty),
		cmocka_unit_test_setup(longest_prefix_wins, fixture_empty),
		cmocka_unit_test_setup(many_routes_cost_as_much_as_they_are, fixture_empty),
		cmocka_unit_test_setup(peerings_follow_both_vpcs, fixture_empty),
		cmocka_unit_test_setup(gateways_are_known, fixture_empty),
		cmocka_unit_test_setup(ports_become_vnics, fixture_empty),
		cmocka_unit_test_setup(attachments_open_and_close_the_device, fixture_empty),
		cmocka_unit_test_setup(
			device_that_fails_is_no_error_and_tried_again, fixture_empty),
		cmocka_unit_test_setup(ports_and_endpoints_change_places, fixture_empty),
		cmocka_unit_test_setup(subnet_changes_reach_everybody, fixture_empty),
		cmocka_unit_test_setup(failing_transaction_leaves_no_trace, fixture_empty),
	};

	if (argc > 1)
		return measure((uint32_t)atoi(argv[1]));
	return cmocka_run_group_tests(tests, fixture_start, fixture_empty);
}
