/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors pass with the flow that they are about, and with nothing else (RFC 5927, RFC 4443 2.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "session/session.h"

static int setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

#define B_TO_A FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10")
#define B6_TO_A6 FROM(MAC_B, "fd00:1:0:1::11"), TO(MAC_A, "fd00:1:0:1::10")
#define PORT_UNREACHABLE .icmp_type = 3, .icmp_code = 3

static const struct frame *open_flow(struct frame *f)
{
	*f = *FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1000, .dport = 53,
		.payload = 12);
	graph_expect_pass("a", f, "b", f);
	return f;
}

static void test_error_passes(void **state)
{
	const struct frame *asked, *error;
	struct frame f;

	(void)state;
	graph_items("[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, [\"i a 1000 17 53 53 -1 -1 "
		    "any\"]]]"); /* a rule for the flow, none for ICMP */
	asked = open_flow(&f);
	error = ICMP_ERROR(asked, B_TO_A, PORT_UNREACHABLE);
	graph_expect_pass("b", error, "a", error);
	/* It neither makes nor ends a session. */
	assert_int_equal(session_used(), 1);
	graph_expect_pass("a", asked, "b", asked);
	/* Of the least length that has the ports (RFC 792). */
	error = frame_icmp_error(&(struct frame){.len = 0},
		&(struct frame_spec){B_TO_A, PORT_UNREACHABLE}, asked, 28);
	graph_expect_pass("b", error, "a", error);
	graph_expect_drop("b",
		frame_icmp_error(&(struct frame){.len = 0},
			&(struct frame_spec){B_TO_A, PORT_UNREACHABLE}, asked, 27),
		DROP_NO_SESSION);
}

static void test_error_passes_v6(void **state)
{
	const struct frame *asked = FRAME(FROM(MAC_A, "fd00:1:0:1::10"),
		TO(MAC_B, "fd00:1:0:1::11"), .sport = 1000, .dport = 53);
	const struct frame *error = ICMP_ERROR(asked, B6_TO_A6, .icmp_type = 1, .icmp_code = 4);

	(void)state;
	graph_expect_drop("b", error, DROP_NO_SESSION);
	graph_expect_pass("a", asked, "b", asked);
	graph_expect_pass("b", error, "a", error);
}

static void test_routed_error(void **state)
{
	const struct frame *asked =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 7, .dport = 8);
	const struct frame *arrives = FRAME(
		FROM(GW, "10.0.1.10"), TO(MAC_C, "10.0.2.10"), .sport = 7, .dport = 8, .ttl = 63);

	(void)state;
	graph_expect_pass("a", asked, "c", arrives);
	graph_expect_pass("c",
		ICMP_ERROR(
			arrives, FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), PORT_UNREACHABLE),
		"a",
		ICMP_ERROR(arrives, FROM(GW, "10.0.2.10"), TO(MAC_A, "10.0.1.10"), PORT_UNREACHABLE,
			.ttl = 63));
}

/* About a flow that is not, or that is not the sender's. */
static void test_unrelated(void **state)
{
	const struct frame *asked;
	struct frame f;

	(void)state;
	asked = open_flow(&f);
	/* Nobody's flow. */
	graph_expect_drop("b",
		ICMP_ERROR(FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1001,
				   .dport = 53),
			B_TO_A, PORT_UNREACHABLE),
		DROP_NO_SESSION);
	/* c about the flow of a and b, with its own address: it is no end of it. */
	graph_expect_drop("c",
		ICMP_ERROR(asked, FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), PORT_UNREACHABLE),
		DROP_SPOOFED);
	/* b under another's name. */
	graph_expect_drop("b",
		ICMP_ERROR(
			asked, FROM(MAC_B, "10.0.1.12"), TO(MAC_A, "10.0.1.10"), PORT_UNREACHABLE),
		DROP_SPOOFED);
	/* To somebody else than who sent the quoted packet: would be carried to a past all rules. */
	graph_expect_drop("b",
		ICMP_ERROR(
			asked, FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.9.9"), PORT_UNREACHABLE),
		DROP_NO_SESSION);
	graph_expect_pass("a", asked, "b", asked);
}

/* From the underlay the source must live behind that VTEP, as with any other packet. */
static void test_from_a_tunnel(void **state)
{
	const struct frame *asked =
		FRAME(FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 7, .dport = 8);
	const struct frame *error = ICMP_ERROR(
		asked, FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), PORT_UNREACHABLE);
	const struct frame *gateways = ICMP_ERROR(asked, FROM(GW, "10.0.1.1"),
		TO(MAC_A, "10.0.1.10"), .icmp_type = 3, .icmp_code = 4);

	(void)state;
	graph_send("a", asked->bytes, asked->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(error, 100), "a", error);
	/* The other node's gateway answers for ours. */
	graph_expect_pass(GRAPH_UNDERLAY, TUNNELLED(gateways, 100), "a", gateways);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(ICMP_ERROR(asked, FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"),
				  PORT_UNREACHABLE),
			100),
		DROP_WRONG_VTEP);
	graph_expect_drop(GRAPH_UNDERLAY,
		TUNNELLED(ICMP_ERROR(asked, FROM(MAC_R, "198.51.100.1"), TO(MAC_A, "10.0.1.10"),
				  PORT_UNREACHABLE),
			100),
		DROP_WRONG_VTEP);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_error_passes),
		T(test_error_passes_v6),
		T(test_routed_error),
		T(test_unrelated),
		T(test_from_a_tunnel),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
