/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from a gateway's address: health checks of another node pass a machine's groups, and nobody can forge them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"

#define MAC_S "02:aa:00:00:00:05"
#define MAC_T "02:aa:00:00:00:06"
#define MAC_P "02:cc:00:00:00:01"
#define GW2 "02:00:00:00:00:c8"

/* `shut` is in no group. `free` may send from anywhere, and so may, as a router of its network, `router`. */
static const char machines[] =
	"[" PORT_ITEM("shut", "100", "web", MAC_S, "\"10.0.1.50\", \"fd00:1:0:1::50\"", "", "true",
		"") "," PORT_ITEM("free", "100", "web", MAC_T, "\"10.0.1.51\", \"fd00:1:0:1::51\"",
		"", "false", "") "," PORT_ITEM("router", "100", "web", MAC_P,
		"\"10.0.1.52\", \"fd00:1:0:1::52\"", "", "true", "\"0.0.0.0/0\", \"::/0\"") "]";

static const char gateway[] = "[[\"vtep\", \"other\", \"192.0.2.2\", true]]";

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	graph_items(machines);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

#define CHECK4                                                                                     \
	FROM(GW, "10.0.1.1"), TO(MAC_S, "10.0.1.50"), .proto = IPPROTO_TCP, .sport = 5000,         \
						      .dport = 80
#define CHECK6                                                                                     \
	FROM(GW, "fd00:1:0:1::1"), TO(MAC_S, "fd00:1:0:1::50"), .proto = IPPROTO_TCP,              \
								.sport = 5000, .dport = 80

static void test_a_gateways_check_passes(void **state)
{
	const uint8_t *got;

	(void)state;
	graph_items(gateway);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(CHECK4), 100), "shut", FRAME(CHECK4));
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(CHECK6), 100), "shut", FRAME(CHECK6));
	/* The answer goes to who asked. */
	graph_send("shut",
		FRAME(FROM(MAC_S, "10.0.1.50"), TO(GW, "10.0.1.1"), .proto = IPPROTO_TCP,
			.sport = 80, .dport = 5000, .tcp_flags = 0x12, .ack = 1)
			->bytes,
		54);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_memory_equal(got + 30, "\xc0\0\x02\x02", 4); /* 192.0.2.2 */
	assert_memory_equal(got + 42, "\x08\0\0\0\0\0\x64\0", 8);
	/* Nobody else of that node passes the groups. */
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(GW, "198.51.100.7"), TO(MAC_S, "10.0.1.50"), .sport = 1,
				  .dport = 80),
			100),
		DROP_POLICY_INGRESS);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(FRAME(FROM(MAC_R, "10.0.1.20"), TO(MAC_S, "10.0.1.50"), .sport = 1,
				  .dport = 80),
			100),
		DROP_POLICY_INGRESS);
}

/* An error from the machine is about what the gateway has sent, and goes there. */
static void test_errors_about_it_return(void **state)
{
	const struct frame *check = FRAME(FROM(GW, "10.0.1.1"), TO(MAC_S, "10.0.1.50"),
		.sport = 5000, .dport = 53, .payload = 11);
	const uint8_t *got;

	(void)state;
	graph_items(gateway);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(check, 100), "shut", check);
	graph_send("shut",
		ICMP_ERROR(check, FROM(MAC_S, "10.0.1.50"), TO(GW, "10.0.1.1"), .icmp_type = 3,
			.icmp_code = 3)
			->bytes,
		14 + 20 + 8 + 39);
	graph_run();
	got = graph_sent(GRAPH_UNDERLAY, NULL);
	assert_non_null(got);
	assert_int_equal(got[50 + 14 + 20], 3);
	/* About nothing that was sent. */
	graph_expect_drop("shut",
		ICMP_ERROR(
			FRAME(FROM(GW, "10.0.1.1"), TO(MAC_S, "10.0.1.50"), .sport = 1, .dport = 2),
			FROM(MAC_S, "10.0.1.50"), TO(GW, "10.0.1.1"), .icmp_type = 3,
			.icmp_code = 3),
		DROP_NO_SESSION);
}

/* A node that is no gateway says nothing in its name, and one that ceases to be one is not believed on. */
static void test_only_gateways(void **state)
{
	(void)state;
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(FRAME(CHECK4), 100), DROP_WRONG_VTEP);
	graph_items(gateway);
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(FRAME(CHECK4), 100), "shut", FRAME(CHECK4));
	graph_items("[[\"vtep\", \"other\", \"192.0.2.2\", false]]");
	graph_expect_drop(GRAPH_UNDERLAY, TUNNELLED(FRAME(CHECK4), 100), DROP_WRONG_VTEP);
}

/* Whatever a port may send from, it is no gateway: not to its neighbour, not beyond its subnet, not to another host. */
static void test_no_port_forges_it(void **state)
{
	static const struct {
		const char *port, *mac;
	} forgers[] = {{"free", MAC_T}, {"router", MAC_P}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *port = forgers[i].port, *mac = forgers[i].mac;

		graph_expect_drop(port,
			FRAME(FROM(mac, "10.0.1.1"), TO(MAC_S, "10.0.1.50"), .sport = 1,
				.dport = 80),
			DROP_SPOOFED);
		graph_expect_drop(port,
			FRAME(FROM(mac, "fd00:1:0:1::1"), TO(MAC_S, "fd00:1:0:1::50"), .sport = 1,
				.dport = 80),
			DROP_SPOOFED);
		graph_expect_drop(port,
			FRAME(FROM(mac, "10.0.2.1"), TO(GW, "10.0.2.10"), .sport = 1, .dport = 80),
			DROP_SPOOFED);
		graph_expect_drop(port,
			FRAME(FROM(mac, "10.0.1.1"), TO(MAC_R, "10.0.1.20"), .sport = 1,
				.dport = 80),
			DROP_SPOOFED);
		/* Another address that is nobody's it may use. */
		graph_send(port,
			FRAME(FROM(mac, "10.0.1.99"), TO(MAC_A, "10.0.1.10"),
				.sport = (uint16_t)(i + 1), .dport = 80)
				->bytes,
			42);
		graph_run();
		assert_non_null(graph_sent("a", NULL));
	}
}

/* Nor is the gateway of one VPC known to the machines of another by a peer's port. */
static void test_not_over_a_peering(void **state)
{
	(void)state;
	graph_items("[[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW
		    "\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [200], 2],"
		    "[\"vpc\", 200, \"peer\", \"default\", 1450, \"" GW2
		    "\", [\"10.2.0.0/16\"], [100], 2],"
		    "[\"subnet\", \"far\", 200, \"10.2.1.0/24\", \"10.2.1.1\", null, null, true, "
		    "[], 1]," PORT_ITEM("x", "200", "far", "02:dd:00:00:00:01", "\"10.2.1.10\"",
			    "\"any\"", "false", "") "]");
	graph_expect_drop("x",
		FRAME(FROM("02:dd:00:00:00:01", "10.0.1.1"), TO(GW2, "10.0.1.50"), .sport = 1,
			.dport = 80),
		DROP_SPOOFED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_gateways_check_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_about_it_return, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_gateways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_port_forges_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_over_a_peering, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
