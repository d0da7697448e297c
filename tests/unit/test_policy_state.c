/* SPDX-License-Identifier: Apache-2.0 */
/* Groups and prefix lists of items become what the ports' policies say, and tell sessions so. */
#include "vpc_fixture.h"

#include <netinet/in.h>

#include "core/epoch.h"
#include "policy/policy_state.h"

static bool allows(
	const char *port_name, const char *remote, const char *remote_group, uint16_t dst_port)
{
	const struct vnic *vnic = vnic_of(port_by_name(port_name));
	uint32_t group = remote_group != NULL ? policy_group_id(remote_group) : 0;
	struct policy_query q = {.remote = ip(remote),
		.remote_groups = &group,
		.remote_group_count = remote_group != NULL,
		.direction = POLICY_INGRESS,
		.protocol = IPPROTO_TCP,
		.dst_port = rte_cpu_to_be_16(dst_port)};
	struct policy_verdict verdict;

	return policy_check(vnic->policy, &q, &verdict);
}

#define W1(groups)                                                                                 \
	"['port','w1',100,'web','02:00:00:00:01:11',['10.0.1.5'],[" groups                         \
	"],true,[],true,null,{'type':'none'},2]"
#define RULE(remote) "'i a 1000 6 80 80 -1 -1 " remote "'"

static void rules_of_all_remotes_hold(void **context)
{
	(void)context;
	fixture_world();
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
	APPLY("['prefix_list','l',['198.51.100.0/24','2001:db8::/32'],1]", "['group','g',2]",
		"['rules','g',0,[" RULE("cidr 192.0.2.0/24") "," RULE("group friends") "," RULE(
			"list l") "]]");
	assert_true(allows("w1", "192.0.2.1", NULL, 80));
	assert_false(allows("w1", "192.0.2.1", NULL, 81));
	assert_false(allows("w1", "192.0.3.1", NULL, 80));
	assert_true(allows("w1", "192.0.3.1", "friends", 80)); /* no item of that name is needed */
	assert_true(allows("w1", "198.51.100.9", NULL, 80));
	APPLY("['prefix_list','l',[],2]");
	assert_false(allows("w1", "198.51.100.9", NULL, 80));
	APPLY("['group','g',3]", "['rules','g',0,[" RULE("any") "]]", "-['prefix_list','l']");
	assert_true(allows("w1", "203.0.113.1", NULL, 80));
	assert_int_equal(policy_group_revision(policy_group_id("g")), 3);
	assert_string_equal(policy_group_name(policy_group_id("friends")), "friends");
	assert_string_equal(policy_group_name(99999), "");
}

static void changes_bump_the_policies_slot(void **context)
{
	const struct vnic *w1, *d1;
	uint32_t w1_before, d1_before;

	(void)context;
	fixture_world();
	APPLY("['group','h',1]", W1("'h'"));
	w1 = vnic_of(port_by_name("w1"));
	d1 = vnic_of(port_by_name("d1"));
	w1_before = epoch_value(w1->policy_epoch);
	d1_before = epoch_value(d1->policy_epoch);
	assert_int_not_equal(w1->policy_epoch, d1->policy_epoch);
	APPLY("['group','h',2]", "['rules','h',0,[" RULE("any") "]]");
	assert_int_equal(epoch_value(w1->policy_epoch), w1_before + 1);
	assert_int_equal(epoch_value(d1->policy_epoch), d1_before);
}

static void new_groups_hold_in_the_transaction_that_gives_them(void **context)
{
	struct endpoint *ep;
	uint32_t before;
	struct ip_addr a = ip("10.0.1.5");

	(void)context;
	fixture_world();
	ep = endpoint_get(vpc_by_vni(100)->index, &a);
	before = epoch_value(ep->epoch);
	APPLY("['group','h',1]", "['rules','h',0,[" RULE("any") "]]", W1("'h'"));
	assert_true(allows("w1", "192.0.2.1", NULL, 80));
	ep = endpoint_get(vpc_by_vni(100)->index, &a);
	assert_int_equal(epoch_value(ep->epoch), before + 1); /* its membership is another one */
	APPLY_FAILS("in use by [\"rules\"", "-['group','h']", W1("'g'"));
	APPLY("-['group','h']", "-['rules','h',0]", W1("'g'"));
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
	APPLY_FAILS("in use by [\"port\"", "-['group','g']");
	APPLY("['group','h',1]", W1("'h'")); /* nothing of the old one is left */
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
}

static void failed_transactions_change_no_policy(void **context)
{
	(void)context;
	fixture_world();
	APPLY_FAILS("VNI", "['group','g',2]", "['rules','g',0,[" RULE("any") "]]",
		"['vpc',16777216,'x','t',1450,'" RED_GW "',[],[],1]");
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
	APPLY_FAILS("next hop", "['group','g',2]", "['rules','g',0,[" RULE("any") "]]", W1("'g'"),
		"['route',100,'0.0.0.0/0','r','nowhere',null,null,null,null,1]");
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
	APPLY("['group','other',1]");
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
	APPLY_FAILS("bad value", "['rules','g',0,['i a 1000 6 80 80 -1 -1 cidr 10.0.0.0/33']]");
	APPLY_FAILS("rule 1 of the part: an ICMP code",
		"['rules','g',0,[" RULE("any") ",'i a 1000 1 0 65535 -1 3 any']]");
	APPLY_FAILS("refers to group `nobody`", "['rules','nobody',0,[" RULE("any") "]]");
	assert_false(allows("w1", "192.0.2.1", NULL, 80));
}

/* Which rule of the whole list decides about a packet to this port; -1: none does. */
static int deciding(uint16_t dst_port)
{
	struct policy_query q = {.remote = ip("192.0.2.1"),
		.direction = POLICY_INGRESS,
		.protocol = IPPROTO_TCP,
		.dst_port = rte_cpu_to_be_16(dst_port)};
	struct policy_verdict verdict;

	return policy_check(vnic_of(port_by_name("w1"))->policy, &q, &verdict) ? (int)verdict.rule
									       : -1;
}

#define TO(port) "'i a 1000 6 " port " " port " -1 -1 any'"

static void expect_deciding(const int expected[6])
{
	for (int i = 0; i < 6; i++)
		assert_int_equal(deciding((uint16_t)(1 + i)), expected[i]);
}

static void parts_are_one_list(void **context)
{
	(void)context;
	fixture_world();
	APPLY("['rules','g',30,[" TO("5") "]]", "['rules','g',10,[" TO("1") "," TO("2") "]]",
		"['rules','g',20,[" TO("3") "," TO("4") "]]");
	expect_deciding((int[]){0, 1, 2, 3, 4, -1});
	APPLY("['rules','g',20,[" TO("6") "]]"); /* what follows moves up */
	expect_deciding((int[]){0, 1, -1, -1, 3, 2});
	APPLY("['rules','g',15,[" TO("3") "]]", "-['rules','g',10]");
	expect_deciding((int[]){-1, -1, 0, -1, 2, 1});
	APPLY("['rules','g',30,[]]", "['rules','g',4611686018427387904,[" TO("1") "]]");
	expect_deciding((int[]){2, -1, 0, -1, -1, 1});
	APPLY("-['rules','g',30]", "-['rules','g',20]", "-['rules','g',15]",
		"-['rules','g',4611686018427387904]");
	expect_deciding((int[]){-1, -1, -1, -1, -1, -1});
	APPLY("['rules','g',1,[" TO("2") "]]");
	expect_deciding((int[]){-1, 0, -1, -1, -1, -1});
}

static void aborted_parts_leave_nothing(void **context)
{
	(void)context;
	fixture_world();
	APPLY("['rules','g',10,[" TO("1") "]]", "['rules','g',20,[" TO("2") "]]");
	/* While the parts are prepared, and after it. */
	APPLY_FAILS("ICMP code", "['rules','g',10,[" TO("3") "]]",
		"['rules','g',15,['i a 1000 1 0 65535 -1 3 any']]");
	APPLY_FAILS("next hop", "['rules','g',10,[" TO("4") "]]", "-['rules','g',20]",
		"['rules','g',5,[" TO("5") "]]",
		"['route',100,'0.0.0.0/0','r','nowhere',null,null,null,null,1]");
	expect_deciding((int[]){0, 1, -1, -1, -1, -1});
	APPLY("['rules','g',30,[" TO("3") "]]");
	expect_deciding((int[]){0, 1, 2, -1, -1, -1});
}

static void a_part_has_its_limit(void **context)
{
	char item[8192];
	size_t used;

	(void)context;
	fixture_world();
	for (int n = 128; n <= 129; n++) {
		used = (size_t)snprintf(item, sizeof(item), "['rules','g',1,[");
		for (int i = 1; i <= n; i++)
			used += (size_t)snprintf(item + used, sizeof(item) - used,
				"%s'i a 1000 6 %d %d -1 -1 any'", i > 1 ? "," : "", i, i);
		snprintf(item + used, sizeof(item) - used, "]]");
		if (n == 128)
			APPLY(item);
		else
			APPLY_FAILS("at most 128 rules", item);
	}
	assert_int_equal(deciding(128), 127);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rules_of_all_remotes_hold, fixture_empty),
		cmocka_unit_test_setup(changes_bump_the_policies_slot, fixture_empty),
		cmocka_unit_test_setup(
			new_groups_hold_in_the_transaction_that_gives_them, fixture_empty),
		cmocka_unit_test_setup(parts_are_one_list, fixture_empty),
		cmocka_unit_test_setup(aborted_parts_leave_nothing, fixture_empty),
		cmocka_unit_test_setup(a_part_has_its_limit, fixture_empty),
		cmocka_unit_test_setup(failed_transactions_change_no_policy, fixture_empty),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_empty);
}
