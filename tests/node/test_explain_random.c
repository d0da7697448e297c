/* SPDX-License-Identifier: Apache-2.0 */
/* explain agrees with the packet's fate: random first packets over a world of everything (explain_world.h), which changes at random, each
 * explained before it is sent through the graph. Verdict, reason, who gets it and the translated header are compared with what
 * happens; the objects that it names with a plain reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <netinet/in.h>

#include "explain_steps.h"
#include "explain_world.h"
#include "nat/nat.h"
#include "nat_cloud.h"
#include "tests/unit/random.h"

#define PICK(list) (list)[random_below(sizeof(list) / sizeof((list)[0]))]

struct asking {
	struct asked a;
	struct frame_spec spec;
	struct frame frame;
};

/* What became of it. */
struct fate {
	const char *to; /* NULL: nobody got it */
	struct nat_seen seen;
	char smac[18], dmac[18];
	uint32_t vni;
};

static const char *const v4s[] = {"10.0.1.1", "10.0.2.1", "10.3.1.1", "10.0.1.100", "10.0.1.77",
	"10.9.9.9", "10.3.1.30", "198.51.100.9", "198.51.100.200", "192.168.1.1", "203.0.113.70",
	"8.8.8.8", "224.0.0.9", "203.0.113.1", "255.255.255.255"};
static const char *const v6s[] = {"fd00:1:0:1::1", "fd00:3:0:1::1", "fd00:1:0:1::100",
	"fd00:1:0:1::77", "2001:db8:9::9", "2001:db8:9:8000::1", "2001:db8::1",
	"64:ff9b::c633:6409", "64:ff9b::7f00:1", "ff05::2", "fe80::1"};
static const char *const outside_v4s[] = {
	"198.51.100.9", "198.51.100.10", "203.0.113.40", "10.0.1.10"};
static const char *const outside_v6s[] = {"2001:db8:9::9", "2001:db8:9:8000::1", "fd00:1:0:1::10"};
static const uint16_t ports[] = {80, 80, 80, 443, 53, 1000, 55, 8080};
static const uint8_t protos[] = {6, 6, 6, 6, 17, 17, 17, 17, 1, 1, IPPROTO_GRE};

/* What a NAT gateway has handed out last. */
static struct {
	char address[64];
	uint16_t port;
	uint8_t protocol;
} handed[8];
static unsigned int handed_n;

static const char *an_eip(bool v6)
{
	const struct world_eip *e;

	do
		e = &PICK(world_eips);
	while (e->v6 != v6);
	return e->address;
}

static const char *somebody(bool v6, unsigned int vni)
{
	const struct machine *m;

	do
		m = &PICK(machines);
	while (vni != 0 && m->vni != vni);
	return v6 ? m->v6 : m->v4;
}

static const char *a_destination(bool v6, unsigned int vni)
{
	switch (random_below(vni == 0 ? 4 : 10)) {
	case 0:
		return v6 ? PICK(v6s) : PICK(v4s);
	case 1:
	case 2:
		return an_eip(v6);
	case 3:
		return vni == 0 ? an_eip(v6) : somebody(v6, 0);
	case 4:
		return v6 ? "fd00:1:0:1::100" : "10.0.1.100";
	case 5:
		return v6 ? "2001:db8:9:1::9" : "8.8.8.8";
	default:
		return somebody(v6, vni);
	}
}

/* The MAC that a kernel would take. */
static const char *next_mac(const struct machine *from, const char *dst)
{
	int m = world_machine(from->vni, dst);

	return m >= 0 && strcmp(machines[m].subnet, from->subnet) == 0 && !random_one_in(8)
		       ? machines[m].mac
		       : from->gw;
}

static void from_machine(struct asking *q, bool v6)
{
	const struct machine *m;

	do
		m = &PICK(machines);
	while (!m->here || (m->vni == 200 && !random_one_in(4)));
	q->a.port = m->name;
	q->a.vni = m->vni;
	q->spec.smac = m->mac;
	q->spec.src = v6 ? m->v6 : m->v4;
	q->spec.dst = a_destination(v6, m->vni);
	q->spec.dmac = next_mac(m, q->spec.dst);
	if (random_one_in(20))
		q->spec.src = somebody(v6, 0);
	if (random_one_in(40))
		q->spec.smac = PICK(machines).mac;
	if (random_one_in(30))
		q->spec.dmac = PICK(machines).mac;
}

/* As `other` sends it: routed there, or bridged. */
static void from_tunnel(struct asking *q, bool v6)
{
	const struct machine *m = &machines[MACHINES - 1 - random_below(2)];

	q->a.port = GRAPH_UNDERLAY;
	q->a.vni = m->vni;
	q->spec.src = v6 ? m->v6 : m->v4;
	q->spec.dst = random_one_in(4) ? a_destination(v6, m->vni) : somebody(v6, m->vni);
	q->spec.smac = m->mac;
	q->spec.dmac = next_mac(m, q->spec.dst);
	if (random_one_in(20))
		q->spec.src = somebody(v6, 0);
}

static void from_outside(struct asking *q, bool v6)
{
	unsigned int n = random_below(8);

	q->a.port = EXT;
	q->spec.smac = HOP_MAC;
	q->spec.dmac = EXT_MAC;
	q->spec.src = v6 ? PICK(outside_v6s) : PICK(outside_v4s);
	q->spec.dst = a_destination(v6, 0);
	if (n < handed_n && (strchr(handed[n].address, ':') != NULL) == v6) {
		q->spec.dst = handed[n].address;
		q->spec.dport = handed[n].port;
		q->spec.proto = handed[n].protocol;
	}
}

static void ask_something(struct asking *q)
{
	static uint16_t fresh;
	bool v6 = random_one_in(3);

	*q = (struct asking){.spec = {.ttl = random_one_in(15) ? 1 : 64}};
	switch (random_below(6)) {
	case 0:
		from_outside(q, v6);
		break;
	case 1:
		from_tunnel(q, v6);
		break;
	default:
		from_machine(q, v6);
	}
	if (q->spec.proto == 0)
		q->spec.proto = PICK(protos);
	fresh = (uint16_t)((fresh + 1) % 40000);
	if (q->spec.proto == IPPROTO_ICMP) {
		q->spec.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		q->spec.icmp_type = v6 ? 128 : 8;
		q->spec.icmp_id = (uint16_t)(20000 + fresh);
	} else if (q->spec.proto == IPPROTO_TCP || q->spec.proto == IPPROTO_UDP) {
		q->spec.sport = (uint16_t)(20000 + fresh);
		if (q->spec.dport == 0)
			q->spec.dport = PICK(ports);
	}
	q->spec.payload = 24;
	q->a.src = q->spec.src;
	q->a.dst = q->spec.dst;
	q->a.protocol = q->spec.proto;
	q->a.icmp_type = q->spec.icmp_type;
	q->a.sport = q->spec.icmp_type != 0 ? q->spec.icmp_id : q->spec.sport;
	q->a.dport = q->spec.dport;
	frame_build(&q->frame, &q->spec);
}

static json_t *ingress(const struct asking *q)
{
	if (strcmp(q->a.port, EXT) == 0)
		return json_pack("{s:s}", "external", "internet");
	if (strcmp(q->a.port, GRAPH_UNDERLAY) == 0)
		return json_pack("{s:s, s:i}", "vtep", "other", "vni", (int)q->a.vni);
	return json_pack("{s:s}", "port", q->a.port);
}

static json_t *explain(const struct asking *q)
{
	const struct frame_spec *s = &q->spec;

	return graph_rpc(
		"explain", json_pack("{s:o, s:{s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:i}}", "in",
				   ingress(q), "packet", "source", s->src, "destination", s->dst,
				   "protocol", s->proto, "source_port", q->a.sport, "port",
				   q->a.dport, "smac", s->smac, "dmac", s->dmac, "ttl", s->ttl));
}

static void discard_all(void)
{
	for (unsigned int i = 0; i < MACHINES; i++)
		if (machines[i].here)
			graph_discard_sent(machines[i].name);
	graph_discard_sent(EXT);
	graph_discard_sent(GRAPH_UNDERLAY);
}

static void mac_text(const uint8_t *mac, char out[18])
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
}

#define OUTER 50 /* Ethernet, IPv4, UDP, VXLAN */

/* The frame that was given to `port`, if there is one: at most one is anybody's. */
static void look(const char *port, struct fate *fate)
{
	bool tunnel = strcmp(port, GRAPH_UNDERLAY) == 0;
	uint16_t len;
	const uint8_t *f = graph_sent(port, &len);

	if (f == NULL)
		return;
	if (fate->to != NULL)
		fail_msg("%s and %s got something", fate->to, port);
	if (tunnel) {
		assert_true(len > OUTER + 14 + 20);
		fate->vni = (uint32_t)f[46] << 16 | (uint32_t)f[47] << 8 | f[48];
		f += OUTER;
		len = (uint16_t)(len - OUTER);
	}
	fate->to = port;
	fate->seen = nat_seen_in(f, len);
	mac_text(f, fate->dmac);
	mac_text(f + 6, fate->smac);
	if (graph_waiting(port) != 0)
		fail_msg("%s got more than one frame", port);
}

static struct fate send_it(const struct asking *q)
{
	struct frame outer;
	struct fate fate = {.to = NULL};

	if (strcmp(q->a.port, GRAPH_UNDERLAY) == 0) {
		frame_tunnelled(&outer, &q->frame, q->a.vni);
		graph_send(GRAPH_UNDERLAY, outer.bytes, outer.len);
	} else {
		graph_send(q->a.port, q->frame.bytes, q->frame.len);
	}
	graph_run();
	for (unsigned int i = 0; i < MACHINES; i++)
		if (machines[i].here)
			look(machines[i].name, &fate);
	look(EXT, &fate);
	look(GRAPH_UNDERLAY, &fate);
	return fate;
}

/* ---- Comparing ---- */

static char what[1024];
static const json_t *said_now;

static void __attribute__((noreturn, format(printf, 1, 2))) disagree(const char *fmt, ...)
{
	char *said = json_dumps(said_now, JSON_COMPACT), text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "%s\n%s\n", what, said);
	fail_msg("%s; dropped:%s", text, graph_drop_names());
	abort();
}

static void expect_text(const char *name, const json_t *after, const char *got)
{
	const char *said = json_string_value(json_object_get(after, name));

	if (said == NULL || strcmp(said, got) != 0)
		disagree("%s explained as %s, was %s", name, said != NULL ? said : "nothing", got);
}

static void expect_number(const char *name, const json_t *after, unsigned int got)
{
	const json_t *said = json_object_get(after, name);

	if (!json_is_integer(said) || json_integer_value(said) != (json_int_t)got)
		disagree("%s explained as %lld, was %u", name, (long long)json_integer_value(said),
			got);
}

static void compare_header(const struct fate *fate, const struct told *told)
{
	const json_t *after = json_object_get(json_object_get(said_now, "packet"), "after");
	bool has_ports = fate->seen.proto == IPPROTO_TCP || fate->seen.proto == IPPROTO_UDP;

	expect_text("destination", after, fate->seen.dst);
	expect_text("smac", after, fate->smac);
	expect_text("dmac", after, fate->dmac);
	expect_number("protocol", after, fate->seen.proto);
	expect_number("ttl", after, fate->seen.ttl);
	if (has_ports)
		expect_number("port", after, fate->seen.dport);
	/* A port, and of several addresses one, are drawn for the packet itself: "for example". */
	if (!told->example) {
		expect_text("source", after, fate->seen.src);
		if (has_ports)
			expect_number("source_port", after, fate->seen.sport);
		if (strcmp(told->src, fate->seen.src) != 0)
			disagree("steps say source %s, was %s", told->src, fate->seen.src);
	}
	if (strcmp(told->dst, fate->seen.dst) != 0)
		disagree("steps say destination %s, was %s", told->dst, fate->seen.dst);
	if (has_ports && told->dport != fate->seen.dport)
		disagree("steps say port %u, was %u", told->dport, fate->seen.dport);
}

static void note_handed(const struct fate *fate)
{
	unsigned int n = handed_n < 8 ? handed_n++ : random_below(8);

	snprintf(handed[n].address, sizeof(handed[n].address), "%s", fate->seen.src);
	handed[n].port = fate->seen.sport;
	handed[n].protocol = fate->seen.proto;
}

static unsigned int forwarded, translated, answered, chance, dropped[DROP_MAX];

static void compare_forwarded(
	const struct asking *q, const struct fate *fate, const struct told *told)
{
	const json_t *out = json_object_get(said_now, "out");
	const char *to = json_string_value(json_object_get(out, "port"));
	bool has_ports = q->a.protocol == IPPROTO_TCP || q->a.protocol == IPPROTO_UDP;

	if (json_object_get(out, "gateway") != NULL || json_object_get(out, "node") != NULL) {
		if (fate->to == NULL || strcmp(fate->to, q->a.port) != 0 ||
			strcmp(fate->seen.src, q->a.dst) != 0)
			disagree("explained as the gateway's, answered to %s",
				fate->to != NULL ? fate->to : "nobody");
		answered++;
		return;
	}
	if (json_object_get(out, "vtep") != NULL) {
		to = GRAPH_UNDERLAY;
		expect_number("vni", out, fate->vni);
	} else if (json_object_get(out, "external") != NULL) {
		to = EXT;
	}
	if (fate->to == NULL || strcmp(fate->to, to) != 0)
		disagree("explained to %s, went to %s", to, fate->to != NULL ? fate->to : "nobody");
	compare_header(fate, told);
	forwarded++;
	translated +=
		strcmp(fate->seen.src, q->a.src) != 0 || strcmp(fate->seen.dst, q->a.dst) != 0;
	if (has_ports && strcmp(fate->to, EXT) == 0 && fate->seen.sport != q->a.sport)
		note_handed(fate);
}

/* The gateway's own error to who has sent it is nobody's packet. */
static bool is_error(const struct asking *q, const struct fate *fate)
{
	return fate->to != NULL && strcmp(fate->to, q->a.port) == 0 &&
	       (fate->seen.proto == IPPROTO_ICMP || fate->seen.proto == IPPROTO_ICMPV6) &&
	       strcmp(fate->seen.dst, q->a.src) == 0;
}

static void compare(const struct asking *q, const struct fate *fate)
{
	const char *reason = json_string_value(json_object_get(said_now, "reason")), *wrong;
	enum drop_reason r = reason != NULL ? drop_reason_by_name(reason) : DROP_NONE;
	struct told told;

	wrong = explain_check_steps(&q->a, said_now, &told);
	if (told.by_chance) {
		chance++;
	} else if (r == DROP_NONE) {
		compare_forwarded(q, fate, &told);
	} else if ((fate->to != NULL && !is_error(q, fate)) || graph_dropped(r) != 1) {
		disagree(
			"explained %s, went to %s", reason, fate->to != NULL ? fate->to : "nobody");
	}
	if (wrong != NULL)
		disagree("%s", wrong);
	dropped[r]++;
	graph_forget_drops();
}

/* Sessions and mappings end; those that are not asked for again, too. */
static void pass_time(uint32_t ms)
{
	static uint32_t nat_ms;

	nat_turn(nat_ms += ms);
	graph_pass_time(ms);
	graph_run();
	nat_turn(nat_ms += 100);
}

static void one_case(unsigned int n)
{
	struct asking q;
	struct fate fate;
	json_t *said;

	for (uint32_t changes = random_below(3); changes > 0; changes--)
		world_change();
	ask_something(&q);
	/* A protocol without ports has no other way to begin a new flow between the same ends. */
	pass_time(n % 16 == 0 || q.a.protocol == IPPROTO_GRE ? 10000000 : 1500);
	discard_all();
	graph_forget_drops();
	snprintf(what, sizeof(what),
		"case %u: %s: %s > %s, %s > %s, protocol %u, ports %u > %u, ttl %u", n, q.a.port,
		q.spec.smac, q.spec.dmac, q.a.src, q.a.dst, q.a.protocol, q.a.sport, q.a.dport,
		q.spec.ttl);
	said = explain(&q);
	said_now = said;
	fate = send_it(&q);
	compare(&q, &fate);
	json_decref(said);
}

static void test_fates(void **state)
{
	uint32_t cases = test_size(10000, 100000);

	(void)state;
	random_start();
	world_begin();
	for (uint32_t n = 0; n < cases; n++)
		one_case(n);
	printf("%u forwarded, %u of them translated, %u answered by gateways, %u left to chance;",
		forwarded, translated, answered, chance);
	for (unsigned int r = 1; r < DROP_MAX; r++)
		if (dropped[r] != 0)
			printf(" %u %s", dropped[r], drop_reason_name((enum drop_reason)r));
	printf("\n");
	/* The dice have shown all sides. */
	assert_true(chance < cases / 50);
	assert_true(forwarded > cases / 8 && translated > cases / 20);
	assert_true(dropped[DROP_NO_ROUTE] && dropped[DROP_SPOOFED] && dropped[DROP_TTL_EXPIRED] &&
		    dropped[DROP_LB_NO_LISTENER] && dropped[DROP_POLICY_INGRESS] &&
		    dropped[DROP_POLICY_EGRESS] && dropped[DROP_BLACKHOLE] &&
		    dropped[DROP_NAT_FILTERED]);
	discard_all();
	graph_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fates)};

	return cmocka_run_group_tests(tests, nat_start, NULL);
}
