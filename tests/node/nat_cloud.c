/* SPDX-License-Identifier: Apache-2.0 */
#include "nat_cloud.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "core/rcu.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "nat/nat.h"
#include "nat/nat_table.h"
#include "session/session.h"

static uint32_t now_ms;
static unsigned int events;
char nat_event_text[256];

/* In place of the real one (linked with --wrap). */
void __wrap_rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...);
void __wrap_rpc_event(const char *severity, const char *kind, const char *name, const char *reason,
	const char *fmt, ...)
{
	va_list args;

	(void)severity;
	if (strcmp(reason, "nat_exhausted") != 0)
		return;
	assert_string_equal(kind, "nat_gateway");
	assert_string_equal(name, "nat");
	events++;
	va_start(args, fmt);
	vsnprintf(nat_event_text, sizeof(nat_event_text), fmt, args);
	va_end(args);
}

unsigned int nat_events(void)
{
	unsigned int n = events;

	events = 0;
	return n;
}

int nat_start(void **state)
{
	(void)state;
	graph_start();
	outside_network(0);
	return 0;
}

int nat_setup(void **state)
{
	(void)state;
	graph_items(CLOUD);
	nat_events();
	return 0;
}

/* Nothing is left of what flows held. */
int nat_teardown(void **state)
{
	(void)state;
	graph_run();
	graph_discard_sent(EXT);
	graph_discard_sent("a");
	graph_discard_sent("b");
	graph_reset();
	for (int i = 0; i < 4; i++)
		nat_pass(1000);
	assert_int_equal(nat_table_used(), 0);
	return 0;
}

static const char *otherwise(const char *text, const char *fallback)
{
	return text != NULL ? text : fallback;
}

static const char *flag(bool set)
{
	return set ? "true" : "false";
}

void nat_gateway(const struct nat_spec *s)
{
	static char items[65536];
	const char *eips = otherwise(s->addresses, "\"e50\", \"e50-6\"");
	unsigned int rest = s->quarantine_s == 0             ? 120
			    : s->quarantine_s == NAT_NO_REST ? 0
							     : s->quarantine_s;

	snprintf(items, sizeof(items),
		"[" NAT_EIP("e50", E50) "," NAT_EIP("e51", E51) "," NAT_EIP("e52", E52) "," NAT_EIP(
			"e50-6", E50_6) ","
					"[\"nat_gateway\", \"nat\", 100, null, \"%s\", \"%s\", %u, "
					"%s, %u, %u, %u, \"%s\", "
					"{\"tcp_established_s\": %u, \"tcp_transitory_s\": 240, "
					"\"udp_s\": 300, \"icmp_s\": 60}, 1],"
					"[\"snat\", \"nat\", 0, \"10.0.0.0/16\", [%s], false],"
					"[\"snat\", \"nat\", 1, \"fd00:1::/48\", [%s], %s]%s]",
		s->dependent ? "endpoint_dependent" : "endpoint_independent",
		otherwise(s->filtering, "address_and_port"), s->block, flag(!s->no_hairpin),
		s->per_port, s->per_vpc, rest, otherwise(s->log, "none"),
		s->established_s != 0 ? s->established_s : 7440, eips, eips, flag(s->nat64),
		otherwise(s->dnat, ""));
	graph_items(items);
	nat_turn(now_ms += 100);
}

void nat_pass(uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++) {
		now_ms += 1000;
		nat_turn(now_ms);
	}
	graph_pass_time(seconds * 1000);
	graph_run();
	nat_turn(now_ms += 100);
	graph_run();
}

void nat_tick(void)
{
	nat_turn(now_ms += 1);
	rcu_poll();
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

struct nat_seen nat_seen_in(const uint8_t *f, uint16_t len)
{
	struct nat_seen s = {.there = true};
	const uint8_t *ip = f + 14;
	const char *wrong = frame_check(f, len);

	if (wrong != NULL)
		fail_msg("%s is wrong", wrong);
	s.len = (uint16_t)(len - 14);
	if (ip[0] >> 4 == 4) {
		inet_ntop(AF_INET, ip + 12, s.src, sizeof(s.src));
		inet_ntop(AF_INET, ip + 16, s.dst, sizeof(s.dst));
		s.proto = ip[9];
		s.ttl = ip[8];
		s.l4 = ip + 20;
	} else {
		inet_ntop(AF_INET6, ip + 8, s.src, sizeof(s.src));
		inet_ntop(AF_INET6, ip + 24, s.dst, sizeof(s.dst));
		s.proto = ip[6];
		s.ttl = ip[7];
		s.l4 = ip + 40;
	}
	if (s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6) {
		s.icmp_type = s.l4[0];
		s.icmp_code = s.l4[1];
		s.sport = s.dport = be16(s.l4 + 4);
	} else {
		s.sport = be16(s.l4);
		s.dport = be16(s.l4 + 2);
	}
	return s;
}

struct nat_seen nat_seen(const char *port)
{
	uint16_t len;
	const uint8_t *f = graph_sent(port, &len);

	return f != NULL ? nat_seen_in(f, len) : (struct nat_seen){.there = false};
}

struct nat_seen nat_through(const char *port, const struct frame *f, const char *to)
{
	struct nat_seen s;

	graph_send(port, f->bytes, f->len);
	graph_run();
	s = nat_seen(to);
	if (!s.there)
		fail_msg("nothing left %s: %s", to, graph_drop_names());
	assert_int_equal(graph_unfetched(), 0);
	return s;
}

void nat_dropped(const char *port, const struct frame *f, enum drop_reason reason)
{
	graph_expect_drop(port, f, reason);
}

uint16_t nat_port_of(uint8_t proto, uint16_t sport, const char *dst, uint16_t dport)
{
	struct nat_seen s = nat_through(
		"a", FROM_A(.proto = proto, .dst = dst, .sport = sport, .dport = dport), EXT);

	assert_string_equal(s.dst, dst);
	assert_int_equal(s.dport, dport);
	assert_int_equal(s.ttl, 63);
	return s.sport;
}

bool nat_lets_in(const char *src, uint16_t sport, uint16_t port)
{
	const struct frame *f = FROM_OUTSIDE(.src = src, .sport = sport, .dport = port);
	struct nat_seen s;

	graph_send(EXT, f->bytes, f->len);
	graph_run();
	s = nat_seen("a");
	if (s.there) {
		assert_string_equal(s.dst, A4);
		assert_string_equal(s.src, src);
		return true;
	}
	graph_expect_dropped(DROP_NAT_FILTERED, 1);
	return false;
}

long nat_figure(const char *address, const char *protocol, const char *figure)
{
	json_t *answer = graph_rpc("nat.status", json_object()), *item, *one;
	long value = -1;
	size_t i, k;

	json_array_foreach (json_object_get(answer, "items"), i, item) {
		if (address == NULL)
			value = (long)json_integer_value(json_object_get(item, figure));
		json_array_foreach (json_object_get(item, "addresses"), k, one)
			if (address != NULL &&
				strcmp(json_string_value(json_object_get(one, "address")),
					address) == 0 &&
				strcmp(json_string_value(json_object_get(one, "protocol")),
					protocol) == 0)
				value = (long)json_integer_value(json_object_get(one, figure));
	}
	json_decref(answer);
	return value;
}
