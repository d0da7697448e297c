/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each detector by packets: what it must find, and ordinary work that it must not: a busy web server, health checks, a
 * resolver, a backup. The clock is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "fixture.h"

#define ALL ((1U << SIGHT_DETECTORS) - 1)
#define ON(detector) (1U << (detector))
/* Without what counts contacts, which every test makes. */
#define ORDINARY (ALL & ~ON(SIGHT_FIRST_CONTACT))

/* ---- conversations ---- */

struct ends {
	const char *client, *server;
	uint16_t client_port, server_port;
};

static void tcp(
	struct fixture *f, const struct ends *e, bool answer, uint8_t flags, uint16_t payload)
{
	struct frame_spec spec = {answer ? e->server : e->client, answer ? e->client : e->server, 6,
		answer ? e->server_port : e->client_port, answer ? e->client_port : e->server_port,
		.tcp_flags = flags, .payload_len = payload};
	struct frame_feed feed = f->feed;

	if (answer) {
		f->feed.flags = SIGHT_FEED_ANSWER;
		f->feed.sender = feed.receiver;
		f->feed.receiver = feed.sender;
	}
	fixture_send(f, &spec);
	f->feed = feed;
}

static void begin(struct fixture *f, const struct ends *e)
{
	tcp(f, e, false, SIGHT_SYN, 0);
}

static void shake_hands(struct fixture *f, const struct ends *e)
{
	begin(f, e);
	tcp(f, e, true, SIGHT_SYN | SIGHT_ACK, 0);
	tcp(f, e, false, SIGHT_ACK, 0);
}

static void converse(struct fixture *f, const struct ends *e)
{
	shake_hands(f, e);
	tcp(f, e, false, SIGHT_ACK, 200);
	tcp(f, e, true, SIGHT_ACK, 1200);
	tcp(f, e, false, SIGHT_ACK | SIGHT_FIN, 0);
	tcp(f, e, true, SIGHT_ACK | SIGHT_FIN, 0);
}

static void udp(
	struct fixture *f, const struct ends *e, bool answer, const void *payload, uint16_t len)
{
	struct frame_spec spec = {answer ? e->server : e->client, answer ? e->client : e->server,
		17, answer ? e->server_port : e->client_port,
		answer ? e->client_port : e->server_port, .payload = payload, .payload_len = len};

	f->feed.flags = answer ? SIGHT_FEED_ANSWER : 0;
	fixture_send(f, &spec);
	f->feed.flags = 0;
}

static void ping(struct fixture *f, const char *from, const char *to, bool answer)
{
	bool v6 = strchr(from, ':') != NULL;
	struct frame_spec spec = {answer ? to : from, answer ? from : to, v6 ? 58 : 1,
		.source_port = 42, .icmp_type = v6 ? (answer ? 129 : 128) : (answer ? 0 : 8)};

	fixture_send(f, &spec);
}

static const char *host(unsigned net, unsigned n)
{
	static char text[4][32];
	static unsigned next;
	char *t = text[next++ % 4];

	snprintf(t, sizeof(text[0]), "10.%u.%u.%u", net, n / 250, n % 250 + 1);
	return t;
}

static unsigned question(uint8_t *at, const char *name, uint16_t type)
{
	uint8_t *p = at + 12;

	memset(at, 0, 12);
	at[5] = 1;
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		*p++ = (uint8_t)len;
		memcpy(p, name, len);
		p += len;
		name += len + (name[len] == '.');
	}
	*p++ = 0;
	frame_put16(p, type);
	frame_put16(p + 2, 1);
	return (unsigned)(p + 4 - at);
}

static void ask(struct fixture *f, const char *name, uint16_t type, uint16_t port, bool answered)
{
	struct ends e = {"10.0.0.5", "10.0.0.53", port, 53};
	uint8_t text[512];
	uint16_t len = (uint16_t)question(text, name, type);

	udp(f, &e, false, text, len);
	if (answered) {
		text[2] = 0x80;
		udp(f, &e, true, text, len);
	}
}

static const struct sight_event *last_event(struct fixture *f)
{
	assert_true(f->event_count > 0);
	return &f->events[f->event_count - 1];
}

/* ---- port scan ---- */

static void scan_ports(struct fixture *f, unsigned from, unsigned to, unsigned gap_ms)
{
	for (unsigned port = from; port < to; port++) {
		struct ends e = {"10.0.0.1", "10.0.0.2", 50000, (uint16_t)port};

		begin(f, &e);
		tcp(f, &e, true, SIGHT_RST | SIGHT_ACK, 0);
		fixture_pass(f, gap_ms);
	}
}

static void test_port_scan(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	scan_ports(f, 1, 20, 1);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
	scan_ports(f, 20, 21, 1);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 1);
	assert_true(fixture_is(&last_event(f)->source, "10.0.0.1") &&
		    fixture_is(&last_event(f)->target, "10.0.0.2"));
	assert_int_equal(last_event(f)->port, 7);
	assert_int_equal(last_event(f)->count, 20);
	assert_int_equal(last_event(f)->vni, FIXTURE_VNI);
	assert_false(last_event(f)->slow);
	assert_int_equal(f->event_count, 1);
}

/* A scanner that connects: handshakes, no data. */
static void test_connect_scan(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (uint16_t port = 1; port <= 30; port++) {
		struct ends e = {"10.0.0.1", "10.0.0.2", 50000, port};

		shake_hands(f, &e);
		tcp(f, &e, false, SIGHT_RST | SIGHT_ACK, 0);
	}
	assert_true(fixture_events(f, SIGHT_PORT_SCAN) > 0);
}

/* FIN, NULL and XMAS probes are no flows' beginnings, but refused packets. */
static void test_stealth_scan(void **state)
{
	struct fixture *f = *state;
	static const uint8_t kinds[] = {SIGHT_FIN, 0, SIGHT_FIN | 8 | 32, SIGHT_ACK};

	for (size_t k = 0; k < sizeof(kinds); k++) {
		fixture_reset(f, ORDINARY);
		for (uint16_t port = 1; port <= 30; port++) {
			f->feed.flags = SIGHT_FEED_DENIED | SIGHT_FEED_FIRST;
			tcp(f, &(struct ends){"10.0.0.1", "10.0.0.2", 50000, port}, false, kinds[k],
				0);
		}
		assert_true(fixture_events(f, SIGHT_PORT_SCAN) > 0);
	}
}

static void test_udp_scan(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (uint16_t port = 1; port <= 30; port++)
		udp(f, &(struct ends){"fd00::1", "fd00::2", 50000, port}, false, NULL, 0);
	assert_true(fixture_events(f, SIGHT_PORT_SCAN) > 0);
	assert_true(fixture_is(&f->events[0].source, "fd00::1"));
}

/* A port each 15 s, as nmap -T1: no window holds enough, the long one does. */
static void test_slow_scan(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	scan_ports(f, 1, 40, 15000);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
	scan_ports(f, 40, 41, 15000);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 1);
	assert_true(last_event(f)->slow);
	assert_int_equal(last_event(f)->count, 40);
}

/* One in half a minute: too slow for the long window, which must end. */
static void test_window_ends(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	scan_ports(f, 1, 300, 50000);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
}

/* Passive FTP, RPC and the like: many ports of one host, all of them at work. */
static void test_many_ports_at_work(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (uint16_t i = 0; i < 500; i++) {
		converse(f, &(struct ends){"10.0.0.1", "10.0.0.2", (uint16_t)(40000 + i),
				    (uint16_t)(20000 + i)});
		udp(f, &(struct ends){"10.0.0.1", "10.0.0.2", 7000, (uint16_t)(20000 + i)}, false,
			NULL, 20);
		udp(f, &(struct ends){"10.0.0.1", "10.0.0.2", 7000, (uint16_t)(20000 + i)}, true,
			NULL, 20);
		fixture_pass(f, 10);
	}
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
	assert_int_equal(f->event_count, 0);
}

/* ---- host scan and ICMP sweep ---- */

static void test_host_scan(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 24; n++)
		begin(f, &(struct ends){"10.0.0.1", host(2, n), 40000, 22});
	assert_true(fixture_events(f, SIGHT_HOST_SCAN) > 0);
	assert_int_equal(f->events[0].detector, SIGHT_HOST_SCAN);
	assert_in_range(f->events[0].count, 20, 20);
	assert_int_equal(f->events[0].spread.kind, SIGHT_SPREAD_HOSTS);
	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 24; n++)
		udp(f, &(struct ends){"10.0.0.1", host(2, n), 40000, 161}, false, NULL, 30);
	assert_true(fixture_events(f, SIGHT_HOST_SCAN) > 0);
}

static void test_icmp_sweep(void **state)
{
	struct fixture *f = *state;
	char v6[32];

	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 24; n++)
		ping(f, "10.0.0.1", host(2, n), false);
	assert_true(fixture_events(f, SIGHT_ICMP_SWEEP) > 0);
	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 24; n++) {
		snprintf(v6, sizeof(v6), "fd00::%x", n + 16);
		ping(f, "fd00::1", v6, false);
	}
	assert_true(fixture_events(f, SIGHT_ICMP_SWEEP) > 0);
}

/* A monitor: every ten seconds it pings, and connects to, two hundred hosts that answer. */
static void test_monitor(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned n = 0; n < 200; n++) {
			ping(f, "10.0.0.9", host(3, n), false);
			ping(f, "10.0.0.9", host(3, n), true);
			converse(f, &(struct ends){"10.0.0.9", host(3, n),
					    (uint16_t)(30000 + round), 9100});
		}
		fixture_pass(f, 10000);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* ---- SYN flood ---- */

static void test_syn_flood(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 199; n++)
		begin(f, &(struct ends){"10.0.0.1", "10.0.0.2", (uint16_t)(1024 + n), 80});
	assert_int_equal(fixture_events(f, SIGHT_SYN_FLOOD), 0);
	begin(f, &(struct ends){"10.0.0.1", "10.0.0.2", 999, 80});
	assert_int_equal(fixture_events(f, SIGHT_SYN_FLOOD), 1);
	assert_int_equal(last_event(f)->count, 200);
	assert_int_equal(last_event(f)->target_port, 80);
}

/* From outside by false senders, and one that repeats a single SYN. */
static void test_syn_flood_from_outside(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	f->feed.sender = SIGHT_OUTSIDE;
	for (unsigned n = 0; n < 200; n++)
		begin(f, &(struct ends){host(200, n), "10.0.0.2", (uint16_t)(1024 + n), 443});
	assert_int_equal(fixture_events(f, SIGHT_SYN_FLOOD), 1);
	assert_int_equal(last_event(f)->port, SIGHT_OUTSIDE);
	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 200; n++)
		begin(f, &(struct ends){"10.0.0.1", "10.0.0.2", 20, 443});
	assert_int_equal(fixture_events(f, SIGHT_SYN_FLOOD), 1);
}

/* Thousands of clients of a web server, some of them slow, some that never come back. */
static void test_busy_web_server(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	f->feed.sender = SIGHT_OUTSIDE;
	for (unsigned n = 0; n < 5000; n++) {
		struct ends e = {
			host(100 + n / 1000, n % 1000), "10.0.0.2", (uint16_t)(1024 + n), 443};

		if (n % 50 == 0)
			begin(f, &e);
		else
			converse(f, &e);
		fixture_pass(f, 1);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* The same behind one proxy inside the VPC, which keeps 64 handshakes under way at any time. */
static void test_busy_proxy(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned n = 0; n < 3000; n++) {
		begin(f, &(struct ends){"10.0.0.7", "10.0.0.2", (uint16_t)(1024 + n), 8080});
		if (n >= 64) {
			struct ends e = {"10.0.0.7", "10.0.0.2", (uint16_t)(1024 + n - 64), 8080};

			tcp(f, &e, true, SIGHT_SYN | SIGHT_ACK, 0);
			tcp(f, &e, false, SIGHT_ACK, 0);
			tcp(f, &e, false, SIGHT_ACK, 100);
			tcp(f, &e, true, SIGHT_ACK, 1000);
		}
		fixture_pass(f, 1);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* A load balancer's checks: every two seconds, to the instant, of fifty back ends; two are down. */
static void test_health_checks(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned n = 0; n < 50; n++) {
			struct ends e = {"10.0.0.4", host(5, n), (uint16_t)(20000 + round), 8080};

			if (n < 2) {
				begin(f, &e);
				tcp(f, &e, true, SIGHT_RST | SIGHT_ACK, 0);
			} else if (n % 2) {
				converse(f, &e);
			} else { /* only connects */
				shake_hands(f, &e);
				tcp(f, &e, false, SIGHT_RST | SIGHT_ACK, 0);
			}
		}
		fixture_pass(f, 2000);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* ---- first contact ---- */

static void learn(struct fixture *f, unsigned seconds)
{
	struct sight_vpc vpc = fixture_vpc(f);

	vpc.learn_until_ns = f->state->clock_ns + seconds * 1000000000ULL;
	fixture_set_vpc(f, &vpc);
}

static void test_first_contact(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ON(SIGHT_FIRST_CONTACT));
	learn(f, 60);
	for (unsigned n = 0; n < 20; n++)
		converse(f, &(struct ends){"10.0.0.1", host(6, n), 40000, 443});
	fixture_pass(f, 61000);
	/* What was learnt, its answers, and the world outside are nothing new. */
	for (unsigned n = 0; n < 20; n++)
		converse(f, &(struct ends){"10.0.0.1", host(6, n), 40001, 22});
	converse(f, &(struct ends){"10.0.0.1", "198.51.100.1", 40000, 443});
	converse(f, &(struct ends){"198.51.100.1", "10.0.0.1", 40000, 443});
	assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 0);
	/* The learnt server calls its client: that is new. */
	begin(f, &(struct ends){host(6, 3), "10.0.0.1", 40000, 22});
	assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 1);
	assert_true(fixture_is(&last_event(f)->target, "10.0.0.1"));
	fixture_pass(f, 1000);
	begin(f, &(struct ends){host(6, 3), "10.0.0.1", 40001, 22});
	assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 1);
	/* Several in one moment are told each, a crowd is not. */
	fixture_pass(f, 61000);
	for (unsigned n = 0; n < 30; n++) {
		begin(f, &(struct ends){"10.0.0.2", host(7, n), 40000, 22});
		if (n < 10)
			assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 2 + n);
	}
	assert_in_range(fixture_events(f, SIGHT_FIRST_CONTACT), 1 + 10, 1 + 20);
}

/* Without learning each is told at once, and again when the window has gone by in silence. */
static void test_first_contact_again(void **state)
{
	struct sight_vpc vpc;
	struct fixture *f = *state;

	fixture_reset(f, ON(SIGHT_FIRST_CONTACT));
	vpc = fixture_vpc(f);
	vpc.rules[SIGHT_FIRST_CONTACT].window_s = 600;
	fixture_set_vpc(f, &vpc);
	for (unsigned n = 0; n < 3; n++) {
		begin(f, &(struct ends){"10.0.0.1", "10.0.0.2", (uint16_t)(40000 + n), 443});
		assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 1);
		fixture_pass(f, 599000);
	}
	fixture_pass(f, 2000);
	begin(f, &(struct ends){"10.0.0.1", "10.0.0.2", 40009, 443});
	assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 2);
	/* Who is in the middle of a connection when inspection begins is no news, nor what else he asks there. */
	tcp(f, &(struct ends){"10.0.0.3", "10.0.0.2", 40000, 443}, false, SIGHT_ACK, 100);
	begin(f, &(struct ends){"10.0.0.3", "10.0.0.2", 40001, 443});
	assert_int_equal(fixture_events(f, SIGHT_FIRST_CONTACT), 2);
}

/* ---- indicators ---- */

static void list_of(
	struct fixture *f, uint32_t vni, const char *address, uint32_t bits, uint32_t value)
{
	struct sight_prefix_key key = {.prefix_bits = 32 + bits,
		.vni = htonl(vni),
		.address = {.b = {[10] = 0xff, [11] = 0xff}}};

	if (strchr(address, ':') != NULL)
		assert_int_equal(inet_pton(AF_INET6, address, key.address.b), 1);
	else
		assert_int_equal(inet_pton(AF_INET, address, key.address.b + 12), 1);
	assert_int_equal(
		bpf_map_update_elem(fixture_map(f, "indicators"), &key, &value, BPF_ANY), 0);
	f->state->indicators++;
}

static void list(struct fixture *f, const char *address, uint32_t bits, uint32_t value)
{
	list_of(f, FIXTURE_VNI, address, bits, value);
}

static void test_indicator(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ON(SIGHT_INDICATOR));
	list_of(f, FIXTURE_VNI + 1, "203.0.114.0", 96 + 24, 2); /* another VPC's */
	list_of(f, 0, "203.0.114.0", 96 + 24, 2);
	list(f, "203.0.113.0", 96 + 24, 3);
	list(f, "2001:db8:bad::", 48, 4);
	begin(f, &(struct ends){"10.0.0.1", "203.0.114.1", 40000, 443});
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 0);
	begin(f, &(struct ends){"10.0.0.1", "203.0.113.200", 40000, 443});
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 1);
	assert_int_equal(last_event(f)->list, 3);
	assert_int_equal(last_event(f)->port, 7);
	/* Once a flow. */
	tcp(f, &(struct ends){"10.0.0.1", "203.0.113.200", 40000, 443}, true, SIGHT_SYN | SIGHT_ACK,
		0);
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 1);
	/* It calls us: the listed side is the target all the same. */
	f->feed.sender = SIGHT_OUTSIDE;
	begin(f, &(struct ends){"2001:db8:bad::9", "fd00::1", 40000, 22});
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 2);
	assert_true(fixture_is(&last_event(f)->source, "fd00::1"));
	assert_true(fixture_is(&last_event(f)->target, "2001:db8:bad::9"));
	assert_int_equal(last_event(f)->port, 8);
	/* A running flow, when its end is listed later. */
	f->feed.sender = 7;
	shake_hands(f, &(struct ends){"10.0.0.1", "192.0.2.9", 40000, 443});
	list(f, "192.0.2.9", 128, 5);
	tcp(f, &(struct ends){"10.0.0.1", "192.0.2.9", 40000, 443}, false, SIGHT_ACK, 10);
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 3);
	assert_int_equal(last_event(f)->list, 5);
}

/* ---- beacon ---- */

/* `gap(i)` ms between calls; each a whole conversation. Returns the alerts. */
static unsigned call_home(
	struct fixture *f, const char *home, unsigned calls, unsigned (*gap)(unsigned))
{
	for (unsigned i = 0; i < calls; i++) {
		converse(f, &(struct ends){"10.0.0.1", home, (uint16_t)(30000 + i), 443});
		fixture_pass(f, gap(i));
	}
	return fixture_events(f, SIGHT_BEACON);
}

static uint32_t noise(unsigned i)
{
	uint32_t h = i * 2654435761U;

	h ^= h >> 15;
	h *= 2246822519U;
	return h ^ h >> 13;
}

static unsigned even(unsigned i)
{
	(void)i;
	return 60000;
}

static unsigned jittered(unsigned i) /* +- 20 % */
{
	return 48000 + noise(i) % 24000;
}

static unsigned human(unsigned i) /* from now and then to long pauses */
{
	return 500 + noise(i) % 1000 * (noise(i + 1000) % 100);
}

static unsigned busy(unsigned i) /* a client at work */
{
	return noise(i) % 40;
}

static unsigned rare(unsigned i) /* more than a window apart */
{
	(void)i;
	return 3700000;
}

static void test_beacon(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	assert_int_equal(call_home(f, "198.51.100.7", 9, even), 0);
	assert_int_equal(call_home(f, "198.51.100.7", 1, even), 1);
	assert_int_equal(last_event(f)->count, 10);
	assert_true(fixture_is(&last_event(f)->target, "198.51.100.7"));
	fixture_reset(f, ORDINARY);
	assert_true(call_home(f, "198.51.100.7", 40, jittered) > 0);
	assert_int_equal(fixture_events(f, SIGHT_BEACON), f->event_count);
}

static void test_no_beacon(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	assert_int_equal(call_home(f, "198.51.100.7", 300, human), 0);
	assert_int_equal(call_home(f, "198.51.100.8", 3000, busy), 0);
	assert_int_equal(call_home(f, "198.51.100.9", 40, rare), 0);
	assert_int_equal(
		call_home(f, "10.0.0.9", 100, even), 0); /* inside: a health check, a scraper */
	assert_int_equal(f->event_count, 0);
}

/* What is inside is what the VPC's prefixes say, when it has said them. */
static void test_inside_by_prefixes(void **state)
{
	struct fixture *f = *state;
	struct sight_prefix_key key = {.prefix_bits = 32 + 96 + 8,
		.vni = htonl(FIXTURE_VNI),
		.address = {.b = {[10] = 0xff, [11] = 0xff, [12] = 10}}};
	const uint32_t there = 1;
	struct sight_vpc vpc;

	fixture_reset(f, ORDINARY);
	vpc = fixture_vpc(f);
	vpc.has_prefixes = 1;
	fixture_set_vpc(f, &vpc);
	assert_int_equal(bpf_map_update_elem(fixture_map(f, "prefixes"), &key, &there, BPF_ANY), 0);
	assert_int_equal(call_home(f, "10.99.0.9", 20, even), 0);
	assert_true(call_home(f, "192.168.0.9", 20, even) > 0);
	/* Another VPC's prefix is not ours. */
	fixture_reset(f, ORDINARY);
	fixture_set_vpc(f, &vpc);
	key.vni = htonl(FIXTURE_VNI + 1);
	assert_int_equal(bpf_map_update_elem(fixture_map(f, "prefixes"), &key, &there, BPF_ANY), 0);
	f->event_count = 0;
	assert_int_equal(call_home(f, "192.168.0.9", 20, even), 0);
}

/* ---- volume ---- */

static void send_bulk(struct fixture *f, const struct ends *e, bool answer, unsigned mib)
{
	struct frame_spec spec = {answer ? e->server : e->client, answer ? e->client : e->server, 6,
		answer ? e->server_port : e->client_port, answer ? e->client_port : e->server_port,
		.tcp_flags = SIGHT_ACK, .payload_len = 64};
	struct frame frame;

	f->state->sample = 1024;
	for (unsigned sent = 0; sent < mib; sent++) {
		frame_make(&frame, &spec);
		frame_put16(frame.bytes + 16, 1024); /* cut: IP says more than is there */
		frame_feed(&frame,
			&(struct frame_feed){FIXTURE_VNI, 7, SIGHT_OUTSIDE,
				(uint16_t)(SIGHT_FEED_SAMPLED | (answer ? SIGHT_FEED_ANSWER : 0))});
		fixture_run(f, FEED_XDP, &frame);
	}
}

static void test_volume(void **state)
{
	struct fixture *f = *state;
	const struct ends out = {"10.0.0.1", "198.51.100.7", 40000, 443};

	fixture_reset(f, ORDINARY);
	shake_hands(f, &out);
	send_bulk(f, &out, false, 1020);
	assert_int_equal(fixture_events(f, SIGHT_VOLUME), 0);
	send_bulk(f, &out, false, 10);
	assert_int_equal(fixture_events(f, SIGHT_VOLUME), 1);
	assert_in_range(last_event(f)->count, 1024, 1030);
}

static void test_no_volume(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	/* A server that sends to who asked; a download with its acknowledgements; a backup inside. */
	send_bulk(f, &(struct ends){"198.51.100.7", "10.0.0.1", 40000, 443}, true, 3000);
	send_bulk(f, &(struct ends){"10.0.0.2", "198.51.100.7", 40000, 443}, true, 2500);
	send_bulk(f, &(struct ends){"10.0.0.2", "198.51.100.7", 40000, 443}, false, 1100);
	send_bulk(f, &(struct ends){"10.0.0.3", "10.0.0.200", 40000, 873}, false, 4000);
	/* A nightly backup outside that has grown from below the threshold. */
	for (unsigned night = 0; night < 5; night++) {
		send_bulk(f,
			&(struct ends){"10.0.0.4", "198.51.100.8", (uint16_t)(40000 + night), 22},
			false, 600 + 200 * night);
		fixture_pass(f, 24 * 3600 * 1000);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* ---- DNS ---- */

static void test_dns_tunnel(void **state)
{
	struct fixture *f = *state;
	char name[256];

	fixture_reset(f, ORDINARY);
	for (uint16_t i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "%04xmzxw6ytboi4dcmrtgu2dknjvgyzq.t.example.org",
			i * 7919);
		ask(f, name, 1, (uint16_t)(2000 + i), true);
	}
	assert_true(fixture_events(f, SIGHT_DNS_TUNNEL) > 0);
	assert_true(fixture_is(&f->events[0].source, "10.0.0.5") &&
		    fixture_is(&f->events[0].target, "10.0.0.53"));
	/* Shorter names whose answers carry text. */
	fixture_reset(f, ORDINARY);
	for (uint16_t i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "%04xmzxw6ytboi4d.t.example.org", i * 7919);
		ask(f, name, 16, (uint16_t)(2000 + i), true);
	}
	assert_true(fixture_events(f, SIGHT_DNS_TUNNEL) > 0);
	assert_int_equal(fixture_events(f, SIGHT_DNS_TUNNEL), f->event_count);
}

/* The longest names, whole and cut by the feed. */
static void test_dns_cut_names(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint8_t text[512];
	char name[256];

	for (unsigned cut = 0; cut < 2; cut++) {
		fixture_reset(f, ORDINARY);
		for (unsigned i = 0; i < 60; i++) {
			struct frame_spec spec = {"10.0.0.5", "10.0.0.53", 17, (uint16_t)(2000 + i),
				53, .payload = text};

			snprintf(name, sizeof(name), "%05u%055u.%060u.%060u.t.example", i, 0, 0, 0);
			spec.payload_len = (uint16_t)question(text, name, 1);
			frame_make(&frame, &spec);
			if (cut)
				frame.len = 128;
			frame_feed(&frame, &f->feed);
			fixture_run(f, FEED_XDP, &frame);
		}
		assert_true(fixture_events(f, SIGHT_DNS_TUNNEL) > 0);
	}
}

/* A resolver of a large office: thousands of names of hundreds of domains, some long; reverse names; no answer at times. */
static void test_resolver(void **state)
{
	struct fixture *f = *state;
	char name[256];

	fixture_reset(f, ORDINARY);
	for (unsigned i = 0; i < 4000; i++) {
		unsigned domain = i % 300;
		struct ends upstream = {
			"10.0.0.53", host(150 + i % 4, i % 900), (uint16_t)(10000 + i), 53};
		uint8_t text[512];
		uint16_t len;

		if (i % 10 == 0)
			snprintf(name, sizeof(name),
				"%u.%u.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", i % 16,
				i / 16 % 16);
		else if (i % 7 == 0)
			snprintf(name, sizeof(name),
				"e%u.static-assets-of-a-content-network.cdn%u.net", domain, domain);
		else
			snprintf(name, sizeof(name), "www%u.domain%u.com", i % 5, domain);
		len = (uint16_t)question(text, name, 1);
		udp(f, &upstream, false, text, len);
		if (i % 20 != 0)
			udp(f, &upstream, true, text, len);
		ask(f, name, 1, (uint16_t)(10000 + i), true);
		fixture_pass(f, 5);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* A backup job: each night it connects to forty machines inside and takes much from each. */
static void test_backup(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, ORDINARY);
	for (unsigned night = 0; night < 3; night++) {
		for (unsigned n = 0; n < 40; n++) {
			struct ends e = {"10.0.0.200", host(8, n), (uint16_t)(40000 + night), 22};

			converse(f, &e);
			send_bulk(f, &e, true, 60);
		}
		fixture_pass(f, 24 * 3600 * 1000);
	}
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
}

/* ---- thresholds, and detectors that are off ---- */

static void test_thresholds(void **state)
{
	struct fixture *f = *state;

	fixture_reset(f, 0);
	scan_ports(f, 1, 200, 1);
	assert_int_equal(fixture_events(f, 0) + f->event_count, 0);
	fixture_reset(f, 0);
	fixture_rule(f, SIGHT_PORT_SCAN, 3, 60);
	scan_ports(f, 1, 3, 1);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
	scan_ports(f, 3, 4, 1);
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 1);
	/* A shorter window forgets sooner. */
	fixture_reset(f, 0);
	fixture_rule(f, SIGHT_PORT_SCAN, 20, 1);
	scan_ports(f, 1, 35, 300); /* fewer than make a slow scan */
	assert_int_equal(fixture_events(f, SIGHT_PORT_SCAN), 0);
}

/* A ring that nobody empties: events are counted as lost, told again later, and samples are left out. */
static void test_full_ring(void **state)
{
	struct fixture *f = *state;
	unsigned total = 4000;

	fixture_reset(f, ON(SIGHT_INDICATOR));
	list(f, "203.0.113.0", 96 + 24, 1);
	for (unsigned n = 0; n < total; n++) {
		begin(f, &(struct ends){host(9, n), "203.0.113.1", (uint16_t)n, 443});
		fixture_pass(f, 1);
	}
	assert_true(fixture_counter(f, SIGHT_COUNT_LOST) > 0);
	assert_int_equal(
		fixture_counter(f, SIGHT_COUNT_LOST) + fixture_counter(f, SIGHT_COUNT_EVENTS),
		total);
	assert_in_range(f->state->shift, 1, SIGHT_SHIFT_MAX);
	for (unsigned n = 0; n < 100; n++)
		send_bulk(f, &(struct ends){"10.0.0.1", "10.0.0.2", 1, 2}, false, 10);
	assert_in_range(fixture_counter(f, SIGHT_COUNT_SKIPPED), 100, 1000);
	/* What begins is never left out. */
	f->state->shift = SIGHT_SHIFT_MAX;
	fixture_events(f, 0);
	f->event_count = 0;
	begin(f, &(struct ends){"10.77.0.1", "203.0.113.1", 1, 443});
	assert_int_equal(fixture_events(f, SIGHT_INDICATOR), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_scan),
		cmocka_unit_test(test_connect_scan),
		cmocka_unit_test(test_stealth_scan),
		cmocka_unit_test(test_udp_scan),
		cmocka_unit_test(test_slow_scan),
		cmocka_unit_test(test_window_ends),
		cmocka_unit_test(test_many_ports_at_work),
		cmocka_unit_test(test_host_scan),
		cmocka_unit_test(test_icmp_sweep),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_syn_flood),
		cmocka_unit_test(test_syn_flood_from_outside),
		cmocka_unit_test(test_busy_web_server),
		cmocka_unit_test(test_busy_proxy),
		cmocka_unit_test(test_health_checks),
		cmocka_unit_test(test_first_contact),
		cmocka_unit_test(test_first_contact_again),
		cmocka_unit_test(test_indicator),
		cmocka_unit_test(test_beacon),
		cmocka_unit_test(test_no_beacon),
		cmocka_unit_test(test_inside_by_prefixes),
		cmocka_unit_test(test_volume),
		cmocka_unit_test(test_no_volume),
		cmocka_unit_test(test_dns_tunnel),
		cmocka_unit_test(test_dns_cut_names),
		cmocka_unit_test(test_resolver),
		cmocka_unit_test(test_backup),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_full_ring),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
