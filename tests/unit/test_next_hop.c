/* SPDX-License-Identifier: Apache-2.0 */
/* neighbour/ and underlay/next_hop: ARP (RFC 826) and neighbour discovery (RFC 4861) frames, and next hops on a clock that the test turns.
 *
 *   us 192.0.2.1/24, 2001:db8::1/64 ── 192.0.2.0/24, 2001:db8::/64 ── next hops; gateway 192.0.2.254, fe80::254
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/checksum.h"
#include "base/ip_text.h"
#include "core/control.h"
#include "core/rpc.h"
#include "neighbour/neighbour_wire.h"
#include "underlay/next_hop.h"
#include "underlay/underlay.h"

/* --- what surrounds the module --- */

static struct vtep vteps[4];
static unsigned int n_listed;              /* of them, what a change of routes goes through */
static struct rte_ether_addr published[4]; /* zero: no next hop */
static unsigned int publications;
static uint8_t sent[NEIGHBOUR_FRAME_MAX];
static unsigned int n_sent, warnings, infos;
static bool ring_full, routed;
static uint32_t now_ms;

struct vtep *vtep_next(struct vtep *previous)
{
	unsigned int i = previous == NULL ? 0 : (unsigned int)(previous - vteps) + 1;

	return i < n_listed ? &vteps[i] : NULL;
}

void vtep_set_next_hop(struct vtep *v, const struct rte_ether_addr *mac)
{
	static const struct rte_ether_addr none;

	published[v->index] = mac != NULL ? *mac : none;
	publications++;
}

int control_send(loc_t out, const void *frame, uint16_t len)
{
	assert_int_equal(out, LOC_NONE);
	assert_in_range(len, 42, NEIGHBOUR_FRAME_MAX);
	if (ring_full)
		return -1;
	memcpy(sent, frame, len);
	n_sent++;
	return 0;
}

void rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...)
{
	(void)name;
	(void)fmt;
	assert_string_equal(kind, "node");
	if (strcmp(severity, "warning") == 0) {
		assert_string_equal(reason, "unreachable");
		warnings++;
	} else {
		assert_string_equal(reason, "reachable");
		infos++;
	}
}

static bool kernel_route(const struct ip_addr *dst, struct ip_addr *hop)
{
	(void)dst;
	assert_true(ip_addr_parse("192.0.2.77", hop));
	return routed;
}

/* --- helpers --- */

static const struct rte_ether_addr own_mac = {{0x02, 0, 0, 0, 0, 0x01}};
static const struct rte_ether_addr mac_a = {{0x02, 0, 0, 0, 0, 0x0a}};
static const struct rte_ether_addr mac_b = {{0x02, 0, 0, 0, 0, 0x0b}};
static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static struct ip_addr ip(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static void start(bool gateways, const json_t *entries)
{
	struct next_hop_config c = {
		.own = {ip("192.0.2.1"), ip("2001:db8::1")},
		.own_mac = own_mac,
		.static_entries = entries,
		.kernel_route = kernel_route,
	};

	assert_true(ip_prefix_parse("192.0.2.0/24", &c.on_link[0]));
	assert_true(ip_prefix_parse("2001:db8::/64", &c.on_link[1]));
	if (gateways) {
		c.gateway[0] = ip("192.0.2.254");
		c.gateway[1] = ip("fe80::254");
	}
	next_hop_start(&c, now_ms);
}

static int set_up(void **state)
{
	(void)state;
	memset(vteps, 0, sizeof(vteps));
	n_listed = 0;
	memset(published, 0, sizeof(published));
	n_sent = warnings = infos = publications = 0;
	ring_full = routed = false;
	now_ms = UINT32_MAX - 5000; /* wraps during the test */
	next_hop_link()->silent[false] = false;
	next_hop_link()->silent[true] = false;
	start(true, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(vteps); i++)
		next_hop_vtep_removed(&vteps[i]);
	return 0;
}

static void add(unsigned int i, const char *address)
{
	vteps[i].index = i;
	vteps[i].addr = ip(address);
	snprintf(vteps[i].name, sizeof(vteps[i].name), "host-%u", i);
	next_hop_vtep_added(&vteps[i], now_ms);
}

static void pass(uint32_t ms)
{
	for (uint32_t done = 0; done < ms; done += NEIGHBOUR_TICK_MS) {
		now_ms += NEIGHBOUR_TICK_MS;
		neighbour_link_tick(next_hop_link(), now_ms);
	}
}

static void assert_hop(unsigned int i, const struct rte_ether_addr *mac)
{
	static const struct rte_ether_addr none;

	assert_memory_equal(&published[i], mac != NULL ? mac : &none, 6);
}

/* An ARP frame from `mac`. */
static void arp(
	uint16_t op, const char *sender, const struct rte_ether_addr *mac, const char *target)
{
	uint8_t f[42] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0,
		(uint8_t)op};
	struct ip_addr s = ip(sender), t = ip(target);

	memcpy(f, op == 1 ? &everybody : &own_mac, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 22, mac, 6);
	memcpy(f + 28, &s.w[3], 4);
	memcpy(f + 32, op == 1 ? (const void *)"\0\0\0\0\0" : &own_mac, 6);
	memcpy(f + 38, &t.w[3], 4);
	neighbour_link_receive(next_hop_link(), f, sizeof(f), now_ms);
}

#define SOLICITED 0x40
#define OVERRIDE 0x20

/* An advertisement for `target`, or with flags < 0 a solicitation; `mac` NULL: without the option. */
static uint16_t nd(uint8_t *f, int flags, const char *src, const char *dst, const char *target,
	const struct rte_ether_addr *mac)
{
	struct ip_addr s = ip(src), d = ip(dst), t = ip(target);
	uint16_t size = mac != NULL ? 32 : 24;
	rte_be16_t sum;

	memset(f, 0, NEIGHBOUR_FRAME_MAX);
	memcpy(f + 6, &mac_a, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[14] = 0x60;
	f[19] = (uint8_t)size;
	f[20] = 58;
	f[21] = 255;
	memcpy(f + 22, &s, 16);
	memcpy(f + 38, &d, 16);
	f[54] = flags < 0 ? 135 : 136;
	f[58] = flags < 0 ? 0 : (uint8_t)flags;
	memcpy(f + 62, &t, 16);
	if (mac != NULL) {
		f[78] = flags < 0 ? 1 : 2;
		f[79] = 1;
		memcpy(f + 80, mac, 6);
	}
	sum = checksum_finish(
		checksum_add(checksum_pseudo6(s.bytes, d.bytes, 58, size), f + 54, size));
	memcpy(f + 56, &sum, 2);
	return (uint16_t)(54 + size);
}

static void advertise(int flags, const char *target, const struct rte_ether_addr *mac)
{
	uint8_t f[NEIGHBOUR_FRAME_MAX];
	uint16_t len = nd(f, flags, target, "2001:db8::1", target, mac);

	neighbour_link_receive(next_hop_link(), f, len, now_ms);
}

/* --- frames --- */

/* RFC 826: the fields of a request, byte by byte. */
static void arp_request_bytes(void **state)
{
	static const uint8_t expected[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1,
		0x08, 0x06,                /* Ethernet */
		0, 1, 0x08, 0, 6, 4, 0, 1, /* Ethernet, IPv4, request */
		2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9};

	(void)state;
	add(0, "192.0.2.9");
	assert_int_equal(n_sent, 1);
	assert_memory_equal(sent, expected, sizeof(expected));
}

/* RFC 4861 4.3, 7.2.2: to the solicited-node group (RFC 4291 2.7.1, RFC 2464 7), hop limit 255, with our link-layer address. */
static void solicitation_bytes(void **state)
{
	static const uint8_t ether[] = {
		0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 0x86, 0xdd};
	static const uint8_t group[] = {
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56};
	static const uint8_t option[] = {1, 1, 2, 0, 0, 0, 0, 1};
	struct ip_addr target = ip("2001:db8::12:3456"), own = ip("2001:db8::1");

	(void)state;
	add(0, "2001:db8::12:3456");
	assert_int_equal(n_sent, 1);
	assert_memory_equal(sent, ether, sizeof(ether));
	assert_int_equal(sent[14] >> 4, 6);
	assert_int_equal(sent[18] << 8 | sent[19], 32);
	assert_int_equal(sent[20], 58);
	assert_int_equal(sent[21], 255);
	assert_memory_equal(sent + 22, &own, 16);
	assert_memory_equal(sent + 38, group, 16);
	assert_int_equal(sent[54], 135);
	assert_memory_equal(sent + 62, &target, 16);
	assert_memory_equal(sent + 78, option, sizeof(option));
	assert_int_equal(checksum_fold(checksum_add(
				 checksum_pseudo6(sent + 22, sent + 38, 58, 32), sent + 54, 32)),
		0xffff);
}

/* What RFC 4861 7.1.1 and 7.1.2 order to discard silently. */
static void invalid_nd(void **state)
{
	static const struct {
		const char *what;
		int flags;
		const char *src, *dst;
		bool with_mac;
		unsigned int at; /* of the byte that is made wrong … */
		uint8_t value;
		bool fix; /* … and the checksum made right again */
	} cases[] = {
		{"hop limit below 255", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true,
			21, 254, false},
		{"checksum", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 85, 1,
			false},
		{"code not 0", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 55, 1,
			true},
		{"multicast target", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 62,
			0xff, true},
		{"option of length 0", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 79,
			0, true},
		{"option beyond the packet", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1",
			true, 79, 2, true},
		{"payload beyond the frame", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1",
			true, 19, 40, false},
		{"payload below 24", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 19,
			20, false},
		{"multicast MAC", OVERRIDE | SOLICITED, "2001:db8::9", "2001:db8::1", true, 80,
			0x33, true},
		{"solicited advertisement to a group", OVERRIDE | SOLICITED, "2001:db8::9",
			"ff02::1", true, 0, 0, false},
		{"probe to a unicast address", -1, "::", "2001:db8::1", false, 0, 0, false},
		{"probe with a link-layer address", -1, "::", "ff02::1:ff00:1", true, 0, 0, false},
		{"solicitation from a group", -1, "ff02::2", "2001:db8::1", true, 0, 0, false},
		{"another ICMPv6 type", OVERRIDE, "2001:db8::9", "2001:db8::1", true, 54, 134,
			true},
	};
	struct neighbour_message msg;
	uint8_t f[NEIGHBOUR_FRAME_MAX];
	uint16_t len;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		const char *target = cases[i].flags < 0 ? "2001:db8::1" : "2001:db8::9";
		rte_be16_t sum;

		len = nd(f, cases[i].flags, cases[i].src, cases[i].dst, target,
			cases[i].with_mac ? &mac_a : NULL);
		if (cases[i].at != 0) {
			assert_true(neighbour_parse(f, len, &msg)); /* it is only that byte */
			f[cases[i].at] = cases[i].value;
		}
		if (cases[i].fix) {
			memset(f + 56, 0, 2);
			sum = checksum_finish(checksum_add(
				checksum_pseudo6(f + 22, f + 38, 58, len - 54), f + 54, len - 54));
			memcpy(f + 56, &sum, 2);
		}
		if (neighbour_parse(f, len, &msg))
			fail_msg("accepted: %s", cases[i].what);
	}
	len = nd(f, OVERRIDE, "2001:db8::9", "2001:db8::1", "2001:db8::9", &mac_a);
	for (uint16_t cut = 0; cut < len; cut++)
		assert_false(neighbour_parse(f, cut, &msg));
	assert_true(neighbour_parse(f, len, &msg));
}

static void invalid_arp(void **state)
{
	static const struct {
		unsigned int at;
		uint8_t value;
	} wrong[] = {{15, 2}, {16, 0x86}, {18, 8}, {19, 16}, {21, 3}, {22, 0x03}};
	uint8_t f[42] = {[12] = 0x08,
		0x06,
		0,
		1,
		0x08,
		0,
		6,
		4,
		0,
		2,
		2,
		0,
		0,
		0,
		0,
		0x0a,
		192,
		0,
		2,
		9,
		2,
		0,
		0,
		0,
		0,
		1,
		192,
		0,
		2,
		1};
	struct neighbour_message msg;

	(void)state;
	assert_true(neighbour_parse(f, sizeof(f), &msg));
	assert_true(msg.solicited);
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		uint8_t right = f[wrong[i].at];

		f[wrong[i].at] = wrong[i].value;
		assert_false(neighbour_parse(f, sizeof(f), &msg));
		f[wrong[i].at] = right;
	}
	for (uint16_t cut = 0; cut < sizeof(f); cut++)
		assert_false(neighbour_parse(f, cut, &msg));
}

/* --- states --- */

static void answer_makes_ready(void **state)
{
	(void)state;
	add(0, "192.0.2.9");
	add(1, "2001:db8::9");
	assert_hop(0, NULL);
	arp(2, "192.0.2.9", &mac_a, "192.0.2.1");
	assert_hop(0, &mac_a);
	assert_hop(1, NULL);
	advertise(SOLICITED | OVERRIDE, "2001:db8::9", &mac_b);
	assert_hop(1, &mac_b);
	assert_int_equal(warnings + infos, 0);
}

/* RFC 1122 2.3.2.1: not more than one request a second; after three the node is reported, and packets bring the pace back. */
static void silence_fails_and_recovers(void **state)
{
	(void)state;
	add(0, "192.0.2.9");
	pass(900);
	assert_int_equal(n_sent, 1);
	pass(1100);
	assert_int_equal(n_sent, 3);
	assert_int_equal(warnings, 0);
	pass(1000);
	assert_int_equal(warnings, 1);
	pass(120000);
	assert_in_range(n_sent, 3 + 120 / 16, 3 + 5 + 120 / 16);
	assert_int_equal(warnings, 1);

	n_sent = 0;
	for (unsigned int i = 0; i < 5; i++) {
		vteps[0].wanted = true;
		pass(1000);
	}
	assert_in_range(n_sent, 4, 5);
	assert_false(vteps[0].wanted);

	arp(2, "192.0.2.9", &mac_a, "192.0.2.1");
	assert_hop(0, &mac_a);
	assert_int_equal(infos, 1);
}

/* RFC 4861 7.3.3: by unicast while the MAC is believed, then everybody; the MAC is used meanwhile. */
static void used_next_hops_stay_fresh(void **state)
{
	(void)state;
	add(0, "192.0.2.9");
	arp(2, "192.0.2.9", &mac_a, "192.0.2.1");
	for (unsigned int minute = 0; minute < 2; minute++) {
		n_sent = 0;
		while (n_sent == 0)
			pass(100);
		assert_memory_equal(sent, &mac_a, 6);
		assert_hop(0, &mac_a);
		arp(2, "192.0.2.9", &mac_a, "192.0.2.1");
		assert_int_equal(publications, 1);
	}
	n_sent = 0;
	while (n_sent < 3)
		pass(100);
	assert_memory_equal(sent, &mac_a, 6);
	pass(1000);
	assert_memory_equal(sent, &everybody, 6);
	assert_hop(0, &mac_a);
	pass(3000);
	assert_hop(0, NULL);
	assert_int_equal(warnings, 1);
	assert_int_equal(n_sent, 6);
}

static void shared_gateway(void **state)
{
	(void)state;
	add(0, "198.51.100.1");
	add(1, "198.51.100.2");
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[41], 254);
	arp(2, "192.0.2.254", &mac_a, "192.0.2.1");
	assert_hop(0, &mac_a);
	assert_hop(1, &mac_a);
	add(2, "203.0.113.1"); /* ready at once */
	assert_hop(2, &mac_a);
	next_hop_vtep_removed(&vteps[0]);
	arp(1, "192.0.2.254", &mac_b, "192.0.2.254");
	assert_hop(0, &mac_a);
	assert_hop(1, &mac_b);
	assert_hop(2, &mac_b);
	pass(60000);
	assert_int_equal(warnings, 2);
	add(3, "2001:db8:1::1");
	assert_int_equal(sent[12], 0x86);
	assert_int_equal(sent[62], 0xfe);
}

/* A next hop that moves says so; and one that does not say so is found by asking. */
static void mac_change(void **state)
{
	(void)state;
	add(0, "192.0.2.9");
	arp(2, "192.0.2.9", &mac_a, "192.0.2.1");
	n_sent = 0;
	arp(1, "192.0.2.9", &mac_b, "192.0.2.9"); /* gratuitous, RFC 5227 3 */
	assert_hop(0, &mac_b);
	pass(100); /* not confirmed: asked at once */
	assert_int_equal(n_sent, 1);
	assert_memory_equal(sent, &mac_b, 6);
	arp(2, "192.0.2.9", &mac_b, "192.0.2.1");
	n_sent = 0;
	pass(9000);
	assert_int_equal(n_sent, 0);
}

/* RFC 4861 7.2.5. */
static void advertisement_flags(void **state)
{
	(void)state;
	add(0, "2001:db8::9");
	advertise(SOLICITED | OVERRIDE, "2001:db8::9", NULL); /* no address: nothing to learn */
	assert_hop(0, NULL);
	advertise(SOLICITED, "2001:db8::9", &mac_a); /* first one: O does not matter */
	assert_hop(0, &mac_a);
	n_sent = 0;
	advertise(SOLICITED, "2001:db8::9", &mac_b); /* another one without O: doubt */
	assert_hop(0, &mac_a);
	pass(100);
	assert_int_equal(n_sent, 1);
	advertise(SOLICITED, "2001:db8::9", NULL); /* confirms without naming it */
	n_sent = 0;
	pass(9000);
	assert_int_equal(n_sent, 0);
	advertise(
		OVERRIDE, "2001:db8::9", &mac_b); /* unsolicited, overrides, has to be confirmed */
	assert_hop(0, &mac_b);
	pass(100);
	assert_int_equal(n_sent, 1);
}

static void learns_nothing_from_strangers(void **state)
{
	uint8_t f[NEIGHBOUR_FRAME_MAX];

	(void)state;
	add(0, "192.0.2.9");
	n_sent = 0;
	arp(2, "192.0.2.66", &mac_b, "192.0.2.1");
	arp(1, "192.0.2.66", &mac_b, "192.0.2.66");
	neighbour_link_receive(next_hop_link(), f,
		nd(f, OVERRIDE, "2001:db8::66", "ff02::1", "2001:db8::66", &mac_b), now_ms);
	arp(2, "192.0.2.1", &mac_b,
		"192.0.2.1"); /* somebody takes our address: told, not followed */
	assert_hop(0, NULL);
	add(1, "192.0.2.66"); /* not known from before */
	assert_hop(1, NULL);
	assert_int_equal(n_sent, 1);
}

/* --- answers --- */

static void answers_arp(void **state)
{
	static const uint8_t expected[42] = {2, 0, 0, 0, 0, 0x0b, 2, 0, 0, 0, 0, 1, 0x08, 0x06, 0,
		1, 0x08, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 2, 0, 0, 0, 0, 0x0b, 192, 0,
		2, 66};

	(void)state;
	arp(1, "192.0.2.66", &mac_b, "192.0.2.1");
	assert_int_equal(n_sent, 1);
	assert_memory_equal(sent, expected, sizeof(expected));
	arp(1, "0.0.0.0", &mac_b, "192.0.2.1"); /* a probe for it (RFC 5227 2.1.1): defended */
	assert_int_equal(n_sent, 2);
	arp(1, "192.0.2.66", &mac_b, "192.0.2.2");
	assert_int_equal(n_sent, 2);
	next_hop_link()->silent[false] = true;
	arp(1, "192.0.2.66", &mac_b, "192.0.2.1");
	assert_int_equal(n_sent, 2);
}

static void answers_solicitations(void **state)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	uint8_t f[NEIGHBOUR_FRAME_MAX];
	struct ip_addr asker = ip("2001:db8::66");

	(void)state;
	neighbour_link_receive(next_hop_link(), f,
		nd(f, -1, "2001:db8::66", "ff02::1:ff00:1", "2001:db8::1", &mac_b), now_ms);
	assert_int_equal(n_sent, 1);
	assert_memory_equal(sent, &mac_b, 6);
	assert_memory_equal(sent + 38, &asker, 16);
	assert_int_equal(sent[54], 136);
	assert_int_equal(sent[58], SOLICITED | OVERRIDE); /* RFC 4861 7.2.4 */
	assert_int_equal(sent[78], 2);
	assert_memory_equal(sent + 80, &own_mac, 6);
	/* Duplicate address detection (RFC 4862 5.4.3): to all nodes, not "solicited". */
	neighbour_link_receive(
		next_hop_link(), f, nd(f, -1, "::", "ff02::1:ff00:1", "2001:db8::1", NULL), now_ms);
	assert_int_equal(n_sent, 2);
	assert_memory_equal(sent + 38, all_nodes, 16);
	assert_int_equal(sent[58], OVERRIDE);
	assert_int_equal(sent[0], 0x33);
	next_hop_link()->silent[true] = true;
	neighbour_link_receive(next_hop_link(), f,
		nd(f, -1, "2001:db8::66", "ff02::1:ff00:1", "2001:db8::1", &mac_b), now_ms);
	assert_int_equal(n_sent, 2);
}

/* RFC 5227 2.3: a request with our address as sender and target. RFC 4861 7.2.6: to all nodes, O set, S not. */
static void announces(void **state)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	struct ip_addr own4 = ip("192.0.2.1"), own6 = ip("2001:db8::1");
	uint8_t f[NEIGHBOUR_FRAME_MAX];
	struct neighbour_message msg;

	(void)state;
	assert_int_equal(neighbour_write_announcement(f, &own4, &own_mac), 42);
	assert_memory_equal(f, &everybody, 6);
	assert_int_equal(f[21], 1);
	assert_memory_equal(f + 28, &own4.w[3], 4);
	assert_memory_equal(f + 38, &own4.w[3], 4);
	assert_true(neighbour_parse(f, neighbour_write_announcement(f, &own6, &own_mac), &msg));
	assert_memory_equal(f + 38, all_nodes, 16);
	assert_true(!msg.request && msg.override && !msg.solicited && msg.has_mac);
	assert_true(ip_addr_equal(&msg.subject, &own6));
	/* A few times, both addresses. */
	neighbour_link_announce(next_hop_link(), now_ms);
	pass(100);
	assert_int_equal(n_sent, 2);
	pass(900);
	assert_int_equal(n_sent, 2);
	pass(60000);
	assert_int_equal(n_sent, 6);
}

/* --- configuration and kernel --- */

static void static_entries(void **state)
{
	json_t *entries =
		json_pack("[{s:s, s:s}]", "address", "192.0.2.9", "mac", "02:00:00:00:00:0a");

	(void)state;
	start(true, entries);
	add(0, "192.0.2.9");
	assert_hop(0, &mac_a);
	arp(1, "192.0.2.9", &mac_b, "192.0.2.9");
	neighbour_told(next_hop_link(), &vteps[0].addr, &mac_b, NEIGHBOUR_TRUST_FIXED, now_ms);
	pass(60000);
	assert_hop(0, &mac_a);
	assert_int_equal(n_sent, 0);
	next_hop_vtep_removed(&vteps[0]);
	json_decref(entries);
	start(true, NULL);
}

static void kernel_neighbours(void **state)
{
	(void)state;
	add(0, "192.0.2.9");
	n_sent = 0;
	neighbour_told(next_hop_link(), &vteps[0].addr, &mac_a, NEIGHBOUR_TRUST_HINT, now_ms);
	assert_hop(0, &mac_a);
	pass(100); /* a hint has to be confirmed */
	assert_int_equal(n_sent, 1);
	neighbour_told(next_hop_link(), &vteps[0].addr, &mac_b, NEIGHBOUR_TRUST_HINT,
		now_ms); /* older than what we have */
	assert_hop(0, &mac_a);
	neighbour_told(next_hop_link(), &vteps[0].addr, &mac_b, NEIGHBOUR_TRUST_FIXED, now_ms);
	assert_hop(0, &mac_b);
	n_sent = 0;
	pass(60000);
	arp(1, "192.0.2.9", &mac_a, "192.0.2.9");
	assert_hop(0, &mac_b);
	assert_int_equal(n_sent, 0);
	neighbour_told_begin(next_hop_link()); /* told again: stays fixed */
	neighbour_told(next_hop_link(), &vteps[0].addr, &mac_b, NEIGHBOUR_TRUST_FIXED, now_ms);
	neighbour_told_end(next_hop_link(), now_ms);
	pass(1000);
	assert_int_equal(n_sent, 0);
	neighbour_told_begin(next_hop_link()); /* not told again */
	neighbour_told_end(next_hop_link(), now_ms);
	pass(100);
	assert_int_equal(n_sent, 1);
	assert_hop(0, &mac_b);
}

static void kernel_routes(void **state)
{
	struct ip_addr hop = ip("192.0.2.77");

	(void)state;
	start(false, NULL);
	add(0, "198.51.100.1");
	assert_int_equal(warnings, 1); /* no route */
	assert_int_equal(n_sent, 0);
	routed = true;
	add(1, "198.51.100.2");
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[41], 77);
	neighbour_told(next_hop_link(), &hop, &mac_a, NEIGHBOUR_TRUST_CONFIRMED, now_ms);
	assert_hop(1, &mac_a);
	n_listed = 2;
	next_hop_reroute(now_ms); /* there is one now */
	assert_hop(0, &mac_a);
	assert_int_equal(infos, 1);
	routed = false;
	next_hop_reroute(now_ms);
	assert_hop(0, NULL);
	assert_hop(1, NULL);
	assert_int_equal(warnings, 3);
	start(true, NULL);
}

/* Nothing is lost when more next hops are asked for than the ring to the workers holds. */
static void full_ring(void **state)
{
	(void)state;
	ring_full = true;
	add(0, "192.0.2.9");
	pass(10000);
	assert_int_equal(warnings, 0); /* nobody was asked yet */
	ring_full = false;
	pass(100);
	assert_int_equal(n_sent, 1);
	pass(3000);
	assert_int_equal(warnings, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arp_request_bytes),
		TEST(solicitation_bytes),
		TEST(invalid_nd),
		TEST(invalid_arp),
		TEST(answer_makes_ready),
		TEST(silence_fails_and_recovers),
		TEST(used_next_hops_stay_fresh),
		TEST(shared_gateway),
		TEST(mac_change),
		TEST(advertisement_flags),
		TEST(learns_nothing_from_strangers),
		TEST(answers_arp),
		TEST(answers_solicitations),
		TEST(announces),
		TEST(static_entries),
		TEST(kernel_neighbours),
		TEST(kernel_routes),
		TEST(full_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
