/* SPDX-License-Identifier: Apache-2.0 */
/* drops.list while what the drops were counted to ends: no row's packets are gone at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "core/rcu.h"
#include "graph.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_items("[[\"vpc\", 200, \"brief\", \"default\", 1450, \"" GW
		    "\", [\"10.9.0.0/16\"], [], 1],"
		    "[\"subnet\", \"sub\", 200, \"10.9.1.0/24\", \"10.9.1.1\", null, null, true, "
		    "[], 1],"
		    "[\"endpoint\", 200, \"10.9.1.20\", \"" MAC_R
		    "\", \"other\", \"sub\", \"x\", []]]");
	graph_forget_announcements();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_forget_drops();
	graph_reset();
	return 0;
}

static bool is_name(const json_t *value, const char *name)
{
	return name == NULL ? json_is_null(value)
			    : json_is_string(value) && strcmp(json_string_value(value), name) == 0;
}

/* Packets of the row with that reason, port and VPC (NULL: none). */
static json_int_t listed(const char *reason, const char *port, const char *vpc)
{
	json_t *answer = graph_rpc("drops.list", json_pack("{s:s}", "reason", reason)), *row;
	json_int_t n = 0;
	size_t i;

	json_array_foreach (json_object_get(answer, "items"), i, row)
		if (is_name(json_object_get(row, "port"), port) &&
			is_name(json_object_get(row, "vpc"), vpc))
			n += json_integer_value(json_object_get(row, "packets"));
	json_decref(answer);
	return n;
}

/* Two that nobody has in VPC `brief`, from its tunnel. */
static void lose_two(void)
{
	struct frame outer;

	for (int i = 0; i < 2; i++) {
		frame_vxlan(&outer, FRAME(FROM(MAC_R, "10.9.1.20"), TO(GW, "10.9.1.30")),
			"192.0.2.2", "192.0.2.1", 200);
		graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
	}
	graph_run();
}

#define BRIEF "[[\"endpoint\", 200, \"10.9.1.20\"], [\"subnet\", \"sub\"], [\"vpc\", 200]]"

/* A worker still looks at the old tables: what was counted is its node's already, what it counts meanwhile will be. */
static void test_vpc_that_ends(void **state)
{
	json_int_t before = listed("no_route", NULL, NULL);

	(void)state;
	lose_two();
	assert_int_equal(listed("no_route", NULL, "brief"), 2);
	rcu_worker_online(0);
	graph_delete(BRIEF);
	assert_int_equal(listed("no_route", NULL, "brief"), 0);
	assert_int_equal(listed("no_route", NULL, NULL), before + 2);
	assert_true(rcu_poll() > 0);
	rcu_worker_offline();
	assert_int_equal(rcu_poll(), 0);
	assert_int_equal(listed("no_route", NULL, NULL), before + 2);
}

static void test_port_that_ends(void **state)
{
	const struct frame *spoofed = FRAME(FROM(MAC_A, "10.0.1.99"), TO(GW, "10.0.2.10"));

	(void)state;
	graph_expect_drop("a", spoofed, DROP_SPOOFED);
	assert_int_equal(listed("spoofed", "a", "prod"), 1);
	assert_int_equal(listed("spoofed", NULL, "prod"), 0);
	graph_delete("[[\"port\", \"a\"]]");
	assert_int_equal(listed("spoofed", "a", "prod"), 0);
	assert_int_equal(listed("spoofed", NULL, "prod"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vpc_that_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_that_ends, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
