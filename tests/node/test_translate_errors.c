/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about translated flows: RFC 5508 sections 4 and 5, RFC 4787 REQ-12, RFC 5382 REQ-10, RFC 4443. Every byte of what comes
 * out is compared, so all checksums are, with those computed from scratch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "outside.h"
#include "session/session.h"

#define ROUTER "192.0.2.77"
#define ROUTER6 "2001:db8:77::1"
#define A(v6) ((v6) ? "fd00:1:0:1::10" : "10.0.1.10")
#define B(v6) ((v6) ? "fd00:1:0:1::11" : "10.0.1.11")
#define THERE(v6) ((v6) ? SERVER6 : SERVER)
#define ICMP_OF(v6) ((v6) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
/* Port unreachable. */
#define UNREACHABLE(v6) .icmp_type = (v6) ? 1 : 3, .icmp_code = (v6) ? 4 : 3

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
	outside_reset();
	return 0;
}

/* A packet of `proto` with any payload; ports, or id and type, as they are where it is seen. */
static const struct frame *packet(struct frame *f, bool v6, uint8_t proto, const char *src,
	const char *dst, uint16_t sport, uint16_t dport, uint8_t ttl)
{
	struct frame_spec s = {FROM(MAC_A, src), TO(GW, dst), .proto = proto, .sport = sport,
		.dport = dport, .icmp_type = v6 ? 128 : 8, .icmp_id = sport, .ttl = ttl, .seq = 1,
		.payload = 80};

	frame_build(f, &s);
	return f;
}
#define PACKET(...) packet(&(struct frame){.len = 0}, __VA_ARGS__)

static void sent(const char *from, const struct frame *f, const char *to)
{
	graph_send(from, f->bytes, f->len);
	graph_run();
	if (graph_sent(to, NULL) == NULL)
		fail_msg("dropped:%s", graph_drop_names());
	assert_int_equal(graph_unfetched(), 0);
}

static const struct frame *error_of(
	const struct frame *quoted, uint16_t bytes, const struct frame_spec *s)
{
	static struct frame errors[8];
	static unsigned int n;

	return frame_icmp_error(&errors[n++ % 8], s, quoted, bytes);
}
#define ERROR(quoted, bytes, ...) error_of(quoted, bytes, &(struct frame_spec){__VA_ARGS__})

#define FROM_OUTSIDE(v6, from, to) FROM(HOP_MAC, from), TO(EXT_MAC, to)
#define TO_A(v6, from) FROM(GW, from), TO(MAC_A, A(v6)), .ttl = 63

/* REQ-4: from the server and from a router on the way, about what a machine sent by SNAT. `bytes` of it are quoted. */
static void about_snat(bool v6, uint8_t proto, uint16_t bytes)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == ICMP_OF(v6);
	uint16_t there = ports ? 1700 : 0;
	const struct frame *out = PACKET(v6, proto, A(v6), THERE(v6), 700, 8, 64);
	const struct frame *seen = PACKET(v6, proto, v6 ? SNAT6 : SNAT, THERE(v6), there, 8, 44);
	const struct frame *mine = PACKET(v6, proto, A(v6), THERE(v6), 700, 8, 44);
	const char *senders[] = {THERE(v6), v6 ? ROUTER6 : ROUTER};

	sent("a", out, EXT);
	for (int i = 0; i < 2; i++)
		graph_expect_pass(EXT,
			ERROR(seen, bytes, FROM_OUTSIDE(v6, senders[i], v6 ? SNAT6 : SNAT),
				UNREACHABLE(v6)),
			"a", ERROR(mine, bytes, TO_A(v6, senders[i]), UNREACHABLE(v6)));
	/* REQ-12: it goes on. */
	sent("a", out, EXT);
}

static void test_from_outside(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_GRE};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint16_t header = v6 ? 40 : 20;

		for (size_t i = 0; i < sizeof(protos); i++) {
			about_snat(v6, protos[i], 128);
			/* As little as RFC 792 demands, and with and without the TCP checksum. */
			about_snat(v6, protos[i], header + 8);
			about_snat(v6, protos[i], header + 16);
			about_snat(v6, protos[i], header + 18);
			about_snat(v6, protos[i], header + 19);
		}
		about_snat(v6, ICMP_OF(v6), 128);
		about_snat(v6, ICMP_OF(v6), header + 8);
	}
	assert_int_equal(session_used(), 8);
}

/* What else is in the error stays: the MTU of a router that can not go on (RFC 1191, RFC 4443 section 3.2). */
static void test_too_big(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct frame *seen =
			PACKET(v6, IPPROTO_UDP, v6 ? SNAT6 : SNAT, THERE(v6), 1700, 8, 60);
		const struct frame *mine = PACKET(v6, IPPROTO_UDP, A(v6), THERE(v6), 700, 8, 60);
		struct frame error, want;
		uint8_t type = v6 ? 2 : 3, code = v6 ? 0 : 4;

		sent("a", PACKET(v6, IPPROTO_UDP, A(v6), THERE(v6), 700, 8, 64), EXT);
		error = *ERROR(seen, 64, FROM_OUTSIDE(v6, v6 ? ROUTER6 : ROUTER, v6 ? SNAT6 : SNAT),
			.icmp_type = type, .icmp_code = code);
		want = *ERROR(mine, 64, TO_A(v6, v6 ? ROUTER6 : ROUTER), .icmp_type = type,
			.icmp_code = code);
		error.bytes[(v6 ? 54 : 34) + 7] = want.bytes[(v6 ? 54 : 34) + 7] = 0x64;
		error.bytes[(v6 ? 54 : 34) + 6] = want.bytes[(v6 ? 54 : 34) + 6] = 5;
		frame_finish(&error);
		frame_finish(&want);
		graph_expect_pass(EXT, &error, "a", &want);
	}
}

/* REQ-5: from inside, about what came in. The machine becomes its outside address; and so does a router of the VPC, which nobody knows
 * outside. */
static void test_from_inside(void **state)
{
	(void)state;
	graph_items("[" PORT_ITEM("a", "100", "web", MAC_A, "\"10.0.1.10\", \"fd00:1:0:1::10\"",
		"\"any\"", "false", "") "]");
	for (int v6 = 0; v6 < 2; v6++) {
		const char *service = v6 ? DNAT6 : DNAT,
			   *router = v6 ? "fd00:1:0:1::99" : "10.0.1.99";
		struct frame in = *PACKET(v6, IPPROTO_UDP, THERE(v6), service, 4000, 80, 64);
		const struct frame *seen =
			PACKET(v6, IPPROTO_UDP, THERE(v6), A(v6), 4000, 8080, 63);
		const struct frame *theirs =
			PACKET(v6, IPPROTO_UDP, THERE(v6), service, 4000, 80, 63);

		memcpy(in.bytes, "\x02\xcc\0\0\0\x01\x02\xcc\0\0\0\x02", 12);
		sent(EXT, &in, "a");
		graph_expect_pass("a",
			ERROR(seen, 90, FROM(MAC_A, A(v6)), TO(GW, THERE(v6)), UNREACHABLE(v6)),
			EXT,
			ERROR(theirs, 90, FROM(EXT_MAC, service), TO(HOP_MAC, THERE(v6)), .ttl = 63,
				UNREACHABLE(v6)));
		graph_expect_pass("a",
			ERROR(seen, 90, FROM(MAC_A, router), TO(GW, THERE(v6)), UNREACHABLE(v6)),
			EXT,
			ERROR(theirs, 90, FROM(EXT_MAC, service), TO(HOP_MAC, THERE(v6)), .ttl = 63,
				UNREACHABLE(v6)));
	}
}

/* REQ-7: and between two machines behind the same gateway, who know each other by their outside addresses only. */
static void test_hairpin(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const char *eip = v6 ? EIP6 : EIP;
		const struct frame *seen =
			PACKET(v6, IPPROTO_UDP, v6 ? SNAT6 : SNAT, B(v6), 1700, 8, 63);
		const struct frame *mine = PACKET(v6, IPPROTO_UDP, A(v6), eip, 700, 8, 63);

		sent("a", PACKET(v6, IPPROTO_UDP, A(v6), eip, 700, 8, 64), "b");
		graph_expect_pass("b",
			ERROR(seen, 64, FROM(MAC_B, B(v6)), TO(GW, v6 ? SNAT6 : SNAT),
				UNREACHABLE(v6)),
			"a", ERROR(mine, 64, TO_A(v6, eip), UNREACHABLE(v6)));
	}
}

/* By a tunnel: from the machine there, from its gateway (which found its packets too big), from nobody else. */
static void test_from_other_node(void **state)
{
	struct frame in = *PACKET(0, IPPROTO_UDP, SERVER, FAR, 9, 10, 64);
	const struct frame *seen = PACKET(0, IPPROTO_UDP, SERVER, "10.0.1.20", 9, 10, 63);
	const struct frame *theirs = PACKET(0, IPPROTO_UDP, SERVER, FAR, 9, 10, 63);
	static const struct {
		const char *from;
		enum drop_reason reason;
	} cases[] = {
		{"10.0.1.20", DROP_NONE}, {"10.0.1.1", DROP_NONE}, {"10.0.1.11", DROP_WRONG_VTEP}};

	(void)state;
	memcpy(in.bytes, "\x02\xcc\0\0\0\x01\x02\xcc\0\0\0\x02", 12);
	sent(EXT, &in, GRAPH_UNDERLAY);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct frame *error = TUNNELLED(
			ERROR(seen, 64, FROM(GW, cases[i].from), TO(GW, SERVER), UNREACHABLE(0)),
			100);

		if (cases[i].reason != DROP_NONE)
			graph_expect_drop(GRAPH_UNDERLAY, error, cases[i].reason);
		else
			graph_expect_pass(GRAPH_UNDERLAY, error, EXT,
				ERROR(theirs, 64, FROM(EXT_MAC, FAR), TO(HOP_MAC, SERVER),
					UNREACHABLE(0)));
	}
}

/* REQ-3: a wrong checksum, outside or in the quoted header, is not made right. */
static void test_wrong_checksums(void **state)
{
	const struct frame *seen = PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60);
	struct frame error = *ERROR(seen, 64, FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)), bad;

	(void)state;
	sent("a", PACKET(0, IPPROTO_UDP, A(0), SERVER, 700, 8, 64), EXT);
	bad = error;
	bad.bytes[36] ^= 1;
	graph_expect_drop(EXT, &bad, DROP_BAD_CHECKSUM);
	bad = error;
	bad.bytes[42 + 10] ^= 1;
	frame_finish(&bad);
	graph_expect_drop(EXT, &bad, DROP_BAD_CHECKSUM);
	/* That of the quoted packet's own protocol is nobody's business (REQ-3 d). */
	bad = error;
	bad.bytes[42 + 26] ^= 1;
	frame_finish(&bad);
	sent(EXT, &bad, "a");
	for (int at = 0; at < 64; at++) { /* IPv6: all of it is covered */
		struct frame six = *ERROR(PACKET(1, IPPROTO_UDP, SNAT6, SERVER6, 1700, 8, 60), 64,
			FROM_OUTSIDE(1, ROUTER6, SNAT6), UNREACHABLE(1));

		sent("a", PACKET(1, IPPROTO_UDP, A(1), SERVER6, 700, 8, 64), EXT);
		six.bytes[54 + 8 + at] ^= 1;
		graph_send(EXT, six.bytes, six.len);
		graph_run();
		assert_int_equal(graph_unfetched(), 0);
	}
	assert_true(graph_dropped_any() == 64);
	graph_forget_drops();
}

/* About flows that are not, of whatever protocol; from where nobody can be. */
static void test_unrelated(void **state)
{
	(void)state;
	sent("a", PACKET(0, IPPROTO_UDP, A(0), SERVER, 700, 8, 64), EXT);
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1701, 8, 60), 64,
			FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)),
		DROP_NO_SESSION);
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_GRE, SNAT, SERVER, 0, 0, 60), 64,
			FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)),
		DROP_NO_SESSION);
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_IPIP, SNAT, SERVER, 0, 0, 60), 64,
			FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)),
		DROP_NO_SESSION);
	/* To somebody else than who sent what it quotes. */
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60), 64,
			FROM_OUTSIDE(0, ROUTER, EIP), UNREACHABLE(0)),
		DROP_NO_SESSION);
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60), 64,
			FROM_OUTSIDE(0, "224.0.0.1", SNAT), UNREACHABLE(0)),
		DROP_SPOOFED);
	/* Cut short before the ports. */
	graph_expect_drop(EXT,
		ERROR(PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60), 27,
			FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)),
		DROP_NO_SESSION);
}

/* REQ-3 c: options in the quoted header. */
static void test_quoted_options(void **state)
{
	struct frame seen = *PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60);
	struct frame mine = *PACKET(0, IPPROTO_UDP, A(0), SERVER, 700, 8, 60);
	struct frame *both[] = {&seen, &mine};

	(void)state;
	sent("a", PACKET(0, IPPROTO_UDP, A(0), SERVER, 700, 8, 64), EXT);
	for (int i = 0; i < 2; i++) {
		struct frame *f = both[i];
		uint32_t sum = 0;

		memmove(f->bytes + 42, f->bytes + 34, f->len - 34u);
		memcpy(f->bytes + 34, "\x01\x01\x01\x01\x94\x04\0\0", 8);
		f->len = (uint16_t)(f->len + 8);
		f->bytes[14] = 0x47;
		f->bytes[17] = (uint8_t)(f->bytes[17] + 8);
		memset(f->bytes + 24, 0, 2);
		for (int at = 14; at < 42; at += 2)
			sum += (uint32_t)f->bytes[at] << 8 | f->bytes[at + 1];
		sum = ~((sum & 0xffff) + (sum >> 16));
		f->bytes[24] = (uint8_t)(sum >> 8);
		f->bytes[25] = (uint8_t)sum;
	}
	graph_expect_pass(EXT, ERROR(&seen, 64, FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)), "a",
		ERROR(&mine, 64, TO_A(0, ROUTER), UNREACHABLE(0)));
}

/* RFC 5508 REQ-6: no timer is refreshed by an error. */
static void test_no_refresh(void **state)
{
	const struct frame *seen = PACKET(0, IPPROTO_UDP, SNAT, SERVER, 1700, 8, 60);

	(void)state;
	graph_stop_clock(true);
	sent("a", PACKET(0, IPPROTO_UDP, A(0), SERVER, 700, 8, 64), EXT);
	for (int i = 0; i < 2; i++) {
		graph_pass_time(29000);
		sent(EXT, ERROR(seen, 64, FROM_OUTSIDE(0, ROUTER, SNAT), UNREACHABLE(0)), "a");
	}
	graph_pass_time(3000);
	graph_stop_clock(false);
	assert_int_equal(session_used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_big, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hairpin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_other_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_checksums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unrelated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quoted_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_refresh, setup, teardown),
	};

	graph_start();
	outside_start(0);
	return cmocka_run_group_tests_name("translate_errors", tests, NULL, NULL);
}
