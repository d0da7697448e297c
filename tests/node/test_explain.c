/* SPDX-License-Identifier: Apache-2.0 */
/* What explain says of a packet is what becomes of it: random first packets over a changing cloud, each explained before it is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <netinet/in.h>

#include "cloud.h"
#include "graph.h"
#include "soup.h"
#include "tests/unit/random.h"

/* Names, VPCs, addresses that mean something, and some that do not. */
static const struct {
	const char *port, *mac, *gw, *v4, *v6;
} senders[] = {
	{"a", MAC_A, GW, "10.0.1.10", "fd00:1:0:1::10"},
	{"b", MAC_B, GW, "10.0.1.11", "fd00:1:0:1::11"},
	{"c", MAC_C, GW, "10.0.2.10", "fd00:1:0:2::10"},
	{"d", "02:aa:00:00:00:04", GW, "10.0.1.13", "fd00:1:0:1::13"},
	{"a2", MAC_A, GW, "10.0.1.10", "fd00:1:0:1::10"},
	{"b2", MAC_B, GW, "10.0.1.11", "fd00:1:0:1::11"},
	{"p", "02:cc:00:00:00:01", "02:00:00:00:01:2c", "10.3.1.10", "fd00:3:0:1::10"},
};
static const char *const v4s[] = {"10.0.1.10", "10.0.1.11", "10.0.1.13", "10.0.1.20", "10.0.2.10",
	"10.3.1.10", "10.3.1.20", "10.0.1.77", "198.51.100.1", "203.0.113.1", "224.0.0.9",
	"255.255.255.255"};
static const char *const v6s[] = {"fd00:1:0:1::10", "fd00:1:0:1::11", "fd00:1:0:2::10",
	"fd00:1:0:1::20", "fd00:3:0:1::10", "fd00:1:0:1::77", "2001:db8::1", "ff05::2", "fe80::1"};
static const char *const macs[] = {MAC_A, MAC_B, MAC_C, MAC_R, GW, "02:cc:00:00:00:01",
	"02:cc:00:00:00:02", "02:00:00:00:01:2c", "01:00:5e:00:00:09", "02:ab:cd:00:00:00"};
static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, 47};

#define PICK(list) (list)[random_below(sizeof(list) / sizeof((list)[0]))]

static unsigned int forwarded, dropped[DROP_MAX];

static struct frame_spec random_packet(unsigned int sender)
{
	static uint16_t fresh;
	bool v6 = random_one_in(3);
	struct frame_spec s = {.smac = senders[sender].mac, .ttl = 64};

	s.src = v6 ? senders[sender].v6 : senders[sender].v4;
	s.dst = v6 ? PICK(v6s) : PICK(v4s);
	s.dmac = random_one_in(2) ? senders[sender].gw : PICK(macs);
	if (random_one_in(10))
		s.src = v6 ? PICK(v6s) : PICK(v4s);
	if (random_one_in(12))
		s.smac = PICK(macs);
	if (random_one_in(12))
		s.ttl = 1;
	s.proto = PICK(protos);
	if (s.proto != 47) {
		s.sport = (uint16_t)(10000 + fresh++ % 50000);
		s.dport = random_one_in(2) ? 80 : 9999;
	}
	return s;
}

static json_t *explain(const char *port, const struct frame_spec *s)
{
	return graph_rpc(
		"explain", json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:i}}", "in",
				   "port", port, "packet", "source", s->src, "destination", s->dst,
				   "protocol", s->proto, "source_port", s->sport, "port", s->dport,
				   "smac", s->smac, "dmac", s->dmac, "ttl", s->ttl));
}

/* Who was given a frame; NULL: nobody. A gateway's own error to the sender is none. */
static const char *receiver(const char *sender, bool error)
{
	static const char *const all[] = {"a", "b", "c", "d", "a2", "b2", "p", "n", GRAPH_UNDERLAY};
	const char *who = NULL;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		unsigned int n = graph_waiting(all[i]);

		graph_discard_sent(all[i]);
		if (n != 0 && !(error && strcmp(all[i], sender) == 0))
			who = all[i];
	}
	return who;
}

static void compare(const char *port, const struct frame_spec *s, const json_t *said)
{
	const char *reason = json_string_value(json_object_get(said, "reason"));
	const json_t *out = json_object_get(said, "out");
	const char *to = json_string_value(json_object_get(out, "port")), *got;
	enum drop_reason r = reason != NULL ? drop_reason_by_name(reason) : DROP_NONE;
	char what[256];

	snprintf(what, sizeof(what), "%s: %s > %s, %s > %s, protocol %u, port %u, ttl %u", port,
		s->smac, s->dmac, s->src, s->dst, s->proto, s->dport, s->ttl);
	got = receiver(port, r == DROP_TTL_EXPIRED || r == DROP_NO_ROUTE);
	if (json_is_object(json_object_get(out, "vtep")) || json_object_get(out, "vtep") != NULL)
		to = GRAPH_UNDERLAY;
	if (r == DROP_NONE && (got == NULL || strcmp(got, to) != 0))
		fail_msg("%s\nexplained to %s, went to %s, dropped:%s", what, to,
			got != NULL ? got : "nobody", graph_drop_names());
	if (r != DROP_NONE && (got != NULL || graph_dropped(r) != 1))
		fail_msg("%s\nexplained %s, went to %s, dropped:%s", what, reason,
			got != NULL ? got : "nobody", graph_drop_names());
	forwarded += r == DROP_NONE;
	dropped[r]++;
	graph_forget_drops();
}

static void test_random_packets(void **state)
{
	uint32_t rounds = test_size(4000, 200000);

	(void)state;
	random_start();
	soup_items();
	for (uint32_t n = 0; n < rounds; n++) {
		unsigned int sender = random_below(sizeof(senders) / sizeof(senders[0]));
		struct frame_spec s = random_packet(sender);
		struct rte_mbuf *m;
		struct frame f;
		json_t *said;

		if (random_one_in(10))
			soup_change(random_below(1000));
		graph_forget_announcements();
		graph_pass_time(10000000); /* each is the first packet of its flow */
		frame_build(&f, &s);
		m = graph_mbuf(f.bytes, f.len);
		if (!graph_try_send_mbuf(senders[sender].port, m)) { /* it is gone just now */
			rte_pktmbuf_free(m);
			continue;
		}
		said = explain(senders[sender].port, &s);
		graph_run();
		compare(senders[sender].port, &s, said);
		json_decref(said);
	}
	/* The dice have shown all sides. */
	assert_true(forwarded > rounds / 20);
	assert_true(dropped[DROP_NO_ROUTE] && dropped[DROP_SPOOFED] && dropped[DROP_BROADCAST] &&
		    dropped[DROP_TTL_EXPIRED] && dropped[DROP_POLICY_INGRESS]);
	graph_reset();
}

#define SILENT(name, mac, address, enabled, attachment)                                            \
	"[[\"port\", \"" name "\", 100, \"web\", \"" mac "\", [\"" address                         \
	"\"], [\"any\"], true, [], " enabled ", null, {\"type\": \"" attachment "\"}, 1]]"

/* A port that neither gives nor takes frames: its name and the reason are in the last step. */
static void test_ports_that_carry_nothing(void **state)
{
	static const struct {
		const char *items, *port, *says;
	} cases[] = {
		{SILENT("a", MAC_A, "10.0.1.10", "true", "none"), "a", "the port is detached"},
		{SILENT("b", MAC_B, "10.0.1.11", "true", "none"), "b", "the port is detached"},
		{SILENT("a", MAC_A, "10.0.1.10", "false", "stub"), "a", "the port is disabled"},
		{SILENT("b", MAC_B, "10.0.1.11", "false", "stub"), "b", "the port is disabled"},
	};
	const struct frame_spec s = {FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"),
		.proto = IPPROTO_TCP, .sport = 1, .dport = 80, .ttl = 64};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const json_t *steps, *last;
		json_t *said;

		graph_items(CLOUD);
		said = explain("a", &s);
		assert_string_equal(json_string_value(json_object_get(said, "verdict")), "forward");
		json_decref(said);
		graph_items(cases[i].items);
		said = explain("a", &s);
		assert_string_equal(json_string_value(json_object_get(said, "verdict")), "drop");
		assert_string_equal(
			json_string_value(json_object_get(said, "reason")), "port_down");
		steps = json_object_get(said, "steps");
		last = json_array_get(steps, json_array_size(steps) - 1);
		assert_string_equal(
			json_string_value(json_object_get(last, "decision")), cases[i].says);
		assert_string_equal(
			json_string_value(json_object_get(json_object_get(last, "object"), "name")),
			cases[i].port);
		json_decref(said);
		graph_reset();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_packets),
		cmocka_unit_test(test_ports_that_carry_nothing),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
