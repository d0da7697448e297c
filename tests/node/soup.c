/* SPDX-License-Identifier: Apache-2.0 */
#include "soup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "balancer.h"
#include "cloud.h"
#include "graph.h"
#include "port/port.h"
#include "port/vnet_hdr.h"

#define GW3 "02:00:00:00:01:2c"
#define MAC_D "02:aa:00:00:00:04"
#define MAC_P "02:cc:00:00:00:01"
#define MAC_Q "02:cc:00:00:00:02"

/* `prod` (100) with d without port security, its twin (200) with the same addresses, and a peer (300). */
#define TWIN                                                                                       \
	"[\"vpc\", 200, \"twin\", \"mallory\", 1450, \"" GW "\", [\"10.0.0.0/16\"], [], 1],"       \
	"[\"subnet\", \"web2\", 200, \"10.0.1.0/24\", \"10.0.1.1\", null, null, true, [], 1],"
#define TWIN_PORTS                                                                                 \
	PORT_ITEM("a2", "200", "web2", MAC_A, "\"10.0.1.10\"", "\"any\"", "true", "")              \
	"," PORT_ITEM("b2", "200", "web2", MAC_B, "\"10.0.1.11\"", "\"any\"", "true", "")
#define PROD_PEERED                                                                                \
	"[\"vpc\", 100, \"prod\", \"default\", 1450, \"" GW                                        \
	"\", [\"10.0.0.0/16\", \"fd00:1::/48\"], [300], 1]"
#define PEER                                                                                       \
	"[\"vpc\", 300, \"peer\", \"default\", 1400, \"" GW3                                       \
	"\", [\"10.3.0.0/16\", \"fd00:3::/48\"], [100], 1],"                                       \
	"[\"subnet\", \"far\", 300, \"10.3.1.0/24\", \"10.3.1.1\", \"fd00:3:0:1::/64\", "          \
	"\"fd00:3:0:1::1\", true, [], 1]"
#define PORT_P                                                                                     \
	PORT_ITEM("p", "300", "far", MAC_P, "\"10.3.1.10\", \"fd00:3:0:1::10\"", "\"any\"",        \
		"true", "")
#define PORT_D                                                                                     \
	PORT_ITEM("d", "100", "web", MAC_D, "\"10.0.1.13\", \"fd00:1:0:1::13\"", "\"any\"",        \
		"false", "\"198.51.100.0/24\"")
#define PORT_A PORT("a", "web", MAC_A, "10.0.1.10", "fd00:1:0:1::10")
#define PORT_B PORT("b", "web", MAC_B, "10.0.1.11", "fd00:1:0:1::11")
#define ENDPOINT_Q ENDPOINT("300", "10.3.1.20", MAC_Q, "other", "far", "q")

#define SOUP_LISTENER(name, protocol, scheduler, persistence, allow, drain)                        \
	LISTENER(name, protocol, "80", scheduler, persistence, allow, "0", drain, "false", NO_CHECK)
#define SOUP_BALANCER BALANCER("lb", "10.0.1.77")
#define BALANCED                                                                                   \
	"[" BALANCER("lb", "10.0.1.77") "," BALANCER("lb6", "fd00:1:0:1::77") "," SOUP_LISTENER(   \
		"lb", "6", "round_robin", "0", "", "0") "," SOUP_LISTENER("lb", "17",              \
		"source_hash", "0", "", "0") "," SOUP_LISTENER("lb6", "6", "maglev", "0", "",      \
		"0") "," BACKEND("lb", "6", "80", "10.0.1.11", "80", "1") "," BACKEND("lb", "6",   \
		"80", "10.0.2.10", "9999", "2") "," BACKEND("lb", "17", "80", "10.0.1.20", "80",   \
		"1") "," BACKEND("lb", "17", "80", "10.0.1.10", "80", "1") "," BACKEND("lb6", "6", \
		"80", "fd00:1:0:2::10", "80", "1") "]"
#define BALANCED_KEYS                                                                              \
	"[" BACKEND_KEY("lb", "6", "80", "10.0.1.11", "80") "," BACKEND_KEY("lb", "6", "80",       \
		"10.0.2.10",                                                                       \
		"9999") "," BACKEND_KEY("lb", "17", "80", "10.0.1.20", "80") "," BACKEND_KEY("lb", \
		"17", "80", "10.0.1.10", "80") "," BACKEND_KEY("lb6", "6", "80", "fd00:1:0:2::10", \
		"80") ", [\"listener\", \"lb\", 6, 80], [\"listener\", \"lb\", 17, 80], "          \
		      "[\"listener\", \"lb6\", 6, 80], [\"load_balancer\", \"lb\"], "              \
		      "[\"load_balancer\", \"lb6\"]]"

/* What a program may change, at any time; what contradicts the rest is refused as a whole. */
static const struct {
	const char *items, *keys;
} changes[] = {
	{"[" PORT_B "]", "[]"},
	{"[]", "[[\"port\", \"b\"]]"},
	{"[" PORT("n", "web", "02:aa:00:00:00:09", "10.0.1.11", "fd00:1:0:1::11") "]",
		"[[\"port\", \"b\"]]"},
	{"[" PORT_B "]", "[[\"port\", \"n\"]]"},
	{"[" ENDPOINT("100", "10.0.1.11", MAC_B, "other", "web", "b") "]", "[[\"port\", \"b\"]]"},
	{"[" PORT_B "]", "[[\"endpoint\", 100, \"10.0.1.11\"]]"},
	{"[" ENDPOINT("100", "10.0.1.20", MAC_R, "third", "web", "r") "]", "[]"},
	{"[" ENDPOINT("100", "10.0.1.20", MAC_R, "other", "web", "r") "]", "[]"},
	{"[]", "[[\"endpoint\", 100, \"10.0.1.20\"]]"},
	{"[[\"group\", \"any\", 2], [\"rules\", \"any\", 0, []]]", "[]"},
	{"[[\"group\", \"any\", 3], [\"rules\", \"any\", 0, [" RULE_ANY "]]]", "[]"},
	{"[[\"group\", \"any\", 4], [\"rules\", \"any\", 0, [\"i a 1 6 80 443 -1 -1 group any\", "
	 "\"e d 1 17 0 65535 -1 -1 cidr 10.3.0.0/16\"]]]",
		"[]"},
	{"[" CLOUD_VPC "]", "[]"},
	{"[" PROD_PEERED "]", "[]"},
	{"[]", "[[\"port\", \"p\"], [\"endpoint\", 300, \"10.3.1.20\"], [\"subnet\", \"far\"], "
	       "[\"vpc\", 300]]"},
	{"[" PEER "," PORT_P "," ENDPOINT_Q "]", "[]"},
	{"[" ENDPOINT("300", "10.3.1.10", MAC_P, "other", "far", "p") "]", "[[\"port\", \"p\"]]"},
	{"[" PORT_P "]", "[[\"endpoint\", 300, \"10.3.1.10\"]]"},
	{"[[\"route\", 100, \"198.51.100.0/24\", \"out\", \"endpoint\", \"10.0.1.13\", null, null, "
	 "null, 1]]",
		"[]"},
	{"[[\"route\", 100, \"198.51.100.0/24\", \"out\", \"vtep\", \"192.0.2.2\", \"" MAC_R
	 "\", \"other\", null, 1]]",
		"[]"},
	{"[[\"route\", 100, \"198.51.100.0/24\", \"out\", \"blackhole\", null, null, null, null, "
	 "1]]",
		"[]"},
	{"[]", "[[\"route\", 100, \"198.51.100.0/24\"]]"},
	{"[[\"vtep\", \"other\", \"192.0.2.2\", true]]", "[]"},
	{"[[\"vtep\", \"other\", \"192.0.2.3\", false], [\"vtep\", \"third\", \"192.0.2.2\", "
	 "false]]",
		"[]"},
	{"[[\"vtep\", \"other\", \"192.0.2.2\", false], [\"vtep\", \"third\", \"192.0.2.3\", "
	 "false]]",
		"[]"},
	{"[[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.254\", null, null, false, [], 2]]",
		"[]"},
	{"[[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.1\", \"fd00:1:0:1::/64\", "
	 "\"fd00:1:0:1::1\", true, [], 3]]",
		"[]"},
	/* a goes to the twin under its own name, and back */
	{"[" PORT_ITEM("a", "200", "web2", MAC_A, "\"10.0.1.99\"", "\"any\"", "true", "") "]",
		"[]"},
	{"[" PORT_A "]", "[]"},
	{"[" PORT("a", "web", MAC_A, "10.0.1.11", "fd00:1:0:1::11") "," PORT(
		 "b", "web", MAC_B, "10.0.1.10", "fd00:1:0:1::10") "]",
		"[]"},
	{"[" PORT_A "," PORT_B "]", "[]"},
	{"[]", "[[\"port\", \"a2\"], [\"port\", \"b2\"], [\"subnet\", \"web2\"], [\"vpc\", 200]]"},
	{"[" TWIN TWIN_PORTS "]", "[]"},
	{"[[\"port\", \"b\", 100, \"web\", \"" MAC_B
	 "\", [\"10.0.1.11\"], [\"any\"], true, [], false, "
	 "null, {\"type\": \"stub\"}, 2]]",
		"[]"},
	/* rates at both ends, so that packets wait while all else changes; and none again */
	{"[[\"port\", \"a\", 100, \"web\", \"" MAC_A
	 "\", [\"10.0.1.10\", \"fd00:1:0:1::10\"], [\"any\"], true, [], true, "
	 "{\"egress_pps\": 20, \"ingress_mbps\": 1}, {\"type\": \"stub\"}, 3]]",
		"[]"},
	{"[[\"port\", \"b\", 100, \"web\", \"" MAC_B
	 "\", [\"10.0.1.11\", \"fd00:1:0:1::11\"], [\"any\"], true, [], true, "
	 "{\"egress_mbps\": 1, \"ingress_pps\": 30}, {\"type\": \"stub\"}, 3]]",
		"[]"},
	{"[" PORT_A "," PORT_B "]", "[]"},
	{"[[\"share\", 100, 8]]", "[]"},
	{"[]", "[[\"share\", 100]]"},
	/* balancers of both families, whose back ends may be anywhere, or nowhere */
	{BALANCED, "[]"},
	{BALANCED, "[]"},
	{"[" SOUP_BALANCER
	 "," SOUP_LISTENER("lb", "6", "least_connections", "60", "\"10.0.1.0/24\"", "0") "]",
		"[]"},
	{"[" SOUP_BALANCER "," SOUP_LISTENER("lb", "17", "maglev", "0", "", "5") "]", "[]"},
	{"[]", "[" BACKEND_KEY("lb", "6", "80", "10.0.1.11", "80") "]"},
	{"[" SOUP_BALANCER "," BACKEND("lb", "6", "80", "10.0.1.11", "80", "0") "]", "[]"},
	{"[]", BALANCED_KEYS},
};

static const char *const ports[] = {
	"a", "b", "c", "d", "a2", "b2", "p", "n", GRAPH_UNDERLAY, GRAPH_UNDERLAY};

/* Frames that mean something to this cloud; programs bend them. */
static const struct frame_spec specs[] = {
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 7, .dport = 80},
	{FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .sport = 7, .dport = 80},
	{FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 7,
		.dport = 80, .seq = 100, .mss = 1460},
	{FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,
		.dport = 7, .seq = 500, .ack = 101, .tcp_flags = 0x12},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 7,
		.dport = 80, .seq = 101, .ack = 501, .tcp_flags = 0x18, .payload = 200},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_TCP, .sport = 7,
		.dport = 80, .seq = 101, .ack = 501, .tcp_flags = 0x10, .payload = 4000},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .proto = IPPROTO_TCP, .sport = 7,
		.dport = 80, .seq = 100, .tcp_flags = 0x02},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_R, "10.0.1.20"), .sport = 9, .dport = 9, .payload = 4000},
	{FROM(MAC_R, "10.0.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 9, .dport = 9},
	{FROM(GW, "10.0.1.20"), TO(MAC_C, "10.0.2.10"), .sport = 9, .dport = 9},
	{FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.20"), .sport = 9, .dport = 9},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.3.1.10"), .sport = 7, .dport = 80},
	{FROM(MAC_P, "10.3.1.10"), TO(GW3, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.3.1.20"), .sport = 7, .dport = 80},
	{FROM(GW, "10.3.1.20"), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(GW, "10.3.1.10"), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(MAC_D, "198.51.100.1"), TO(GW, "10.0.1.10"), .sport = 1, .dport = 2},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "198.51.100.1"), .sport = 2, .dport = 1},
	{FROM(MAC_D, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .sport = 80, .dport = 7},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = IPPROTO_ICMP, .icmp_type = 8,
		.icmp_id = 7, .payload = 30},
	{FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_ICMP, .icmp_type = 0,
		.icmp_id = 7, .payload = 30},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.1"), .proto = IPPROTO_ICMP, .icmp_type = 8,
		.payload = 10},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.2.10"), .ttl = 1},
	{FROM(MAC_A, "10.0.1.10"), TO("ff:ff:ff:ff:ff:ff", "255.255.255.255"), .sport = 68,
		.dport = 67, .payload = 260},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2, .payload = 40,
		.ip_id = 5, .fragment = 0x2000},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .sport = 1, .dport = 2, .payload = 40,
		.ip_id = 5, .fragment = 0x0006},
	{FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "fd00:1:0:1::11"), .sport = 7, .dport = 80},
	{FROM(MAC_B, "fd00:1:0:1::11"), TO(MAC_A, "fd00:1:0:1::10"), .sport = 80, .dport = 7},
	{FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fd00:1:0:2::10"), .proto = IPPROTO_TCP, .sport = 7,
		.dport = 80, .payload = 3000, .tcp_flags = 0x02},
	{FROM(MAC_A, "fd00:1:0:1::10"), TO(MAC_B, "fd00:1:0:1::11"), .proto = IPPROTO_ICMPV6,
		.icmp_type = 128, .icmp_id = 3},
	{FROM(MAC_A, "fd00:1:0:1::10"), TO("33:33:ff:00:00:01", "ff02::1:ff00:1"),
		.proto = IPPROTO_ICMPV6, .icmp_type = 135, .ttl = 255, .payload = 24},
	{FROM(MAC_A, "fe80::aa:ff:fe00:1"), TO("33:33:00:00:00:02", "ff02::2"),
		.proto = IPPROTO_ICMPV6, .icmp_type = 133, .ttl = 255},
	{FROM(MAC_A, "10.0.1.10"), TO(MAC_B, "10.0.1.11"), .proto = 47, .payload = 40},
	/* to balancers, and what their back ends answer */
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.77"), .proto = IPPROTO_TCP, .sport = 21,
		.dport = 80},
	{FROM(MAC_B, "10.0.1.11"), TO(MAC_A, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 80,
		.dport = 21, .tcp_flags = 0x12, .ack = 1},
	{FROM(MAC_C, "10.0.2.10"), TO(GW, "10.0.1.10"), .proto = IPPROTO_TCP, .sport = 9999,
		.dport = 21, .tcp_flags = 0x12, .ack = 1},
	{FROM(MAC_B, "10.0.1.11"), TO(GW, "10.0.1.77"), .proto = IPPROTO_TCP, .sport = 22,
		.dport = 80},
	{FROM(MAC_A, "10.0.1.10"), TO(GW, "10.0.1.77"), .sport = 23, .dport = 80},
	{FROM(MAC_P, "10.3.1.10"), TO(GW3, "10.0.1.77"), .sport = 23, .dport = 80},
	{FROM(MAC_A, "fd00:1:0:1::10"), TO(GW, "fd00:1:0:1::77"), .proto = IPPROTO_TCP, .sport = 24,
		.dport = 80},
};
#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

enum kind { KIND_FRAME, KIND_ARP, KIND_ICMP_ERROR, KIND_EXTENDED, KIND_RAW, KIND_MAX };
/* Of 32 steps; the others send. */
enum step { STEP_RUN, STEP_RUN2, STEP_RUN3, STEP_TIME, STEP_CHANGE, STEP_RESTORE, STEP_MAX = 32 };

/* All that the changes may have taken away. */
static const char everything[] =
	"[" CLOUD_ITEMS ",[\"vtep\", \"third\", \"192.0.2.3\", false]," PROD_PEERED
	"," TWIN TWIN_PORTS "," PEER "," PORT_P "," ENDPOINT_Q "," PORT_D "]";

struct reader {
	const uint8_t *at;
	size_t left;
};

static uint8_t byte(struct reader *r)
{
	if (r->left == 0)
		return 0;
	r->left--;
	return *r->at++;
}

static void arp(struct frame *f, struct reader *r)
{
	static const uint8_t request[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0xaa, 0, 0, 0, 1,
		8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0xaa, 0, 0, 0, 1, 10, 0, 1, 10, 0, 0, 0, 0, 0, 0,
		10, 0, 1, 1};

	memcpy(f->bytes, request, sizeof(request));
	f->bytes[41] = byte(r);
	f->len = sizeof(request);
}

static void raw(struct frame *f, struct reader *r)
{
	f->len = byte(r);
	for (uint16_t i = 0; i < f->len; i++)
		f->bytes[i] = byte(r);
	if (f->len == 0)
		f->len = 1;
}

static void icmp_error(struct frame *f, const struct frame_spec *s, struct reader *r)
{
	struct frame quoted;
	struct frame_spec e = *s;

	frame_build(&quoted, s);
	e.src = s->dst;
	e.dst = s->src;
	e.smac = s->dmac;
	e.dmac = s->smac;
	e.fragment = 0;
	e.icmp_type = byte(r);
	e.icmp_code = 0;
	frame_icmp_error(f, &e, &quoted, 64);
}

static void extended(struct frame *f, const struct frame_spec *s, struct reader *r)
{
	static const uint8_t headers[] = {0, 43, 44, 51, 60};
	struct frame plain;
	uint8_t header = headers[byte(r) % sizeof(headers)], rest[7];

	for (size_t i = 0; i < sizeof(rest); i++)
		rest[i] = byte(r);
	frame_build(&plain, s);
	frame_extended(f, &plain, header, rest);
}

/* A frame as the program wants it: a known one, bent at some places. */
static const struct frame_spec *cook(struct frame *f, struct reader *r)
{
	unsigned int kind = byte(r) % (4 * KIND_MAX), bends;
	const struct frame_spec *s = &specs[byte(r) % N_SPECS];
	bool v6 = s->src != NULL && strchr(s->src, ':') != NULL;

	switch (kind) {
	case KIND_ARP:
		arp(f, r);
		break;
	case KIND_ICMP_ERROR:
		icmp_error(f, s, r);
		break;
	case KIND_EXTENDED:
		if (v6)
			extended(f, s, r);
		else
			frame_build(f, s);
		break;
	case KIND_RAW:
		raw(f, r);
		break;
	default:
		frame_build(f, s);
	}
	bends = byte(r);
	for (bends = bends < 192 ? 0 : bends & 3; bends > 0; bends--) {
		uint32_t at = byte(r);

		f->bytes[at < 64 ? at : at % f->len] = byte(r);
		if (at == 255)
			f->len = (uint16_t)(1 + byte(r) % f->len);
		if (at == 254) /* an IPv4 header that is right all the same */
			frame_fix_ipv4(f);
	}
	return s;
}

/* Who sends such a frame. */
static const char *sender_of(const struct frame_spec *s)
{
	static const char *const owners[][2] = {
		{MAC_A, "a"}, {MAC_B, "b"}, {MAC_C, "c"}, {MAC_D, "d"}, {MAC_P, "p"}};

	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
		if (strcmp(owners[i][0], s->smac) == 0)
			return owners[i][1];
	return GRAPH_UNDERLAY;
}

/* As a TAP would: what its header asks for, in two pieces perhaps. */
static void offload(struct rte_mbuf **m, struct reader *r)
{
	struct vnet_hdr hdr = {.flags = VNET_F_NEEDS_CSUM};
	uint8_t what = byte(r);
	static const uint8_t gso[] = {0, 1, 4, 5};

	if (what < 160)
		return;
	hdr.gso_type = gso[what & 3];
	hdr.csum_start = what & 4 ? 54 : 34;
	hdr.csum_offset = what & 8 ? 6 : 16;
	if (what & 16) {
		hdr.csum_start = byte(r);
		hdr.csum_offset = byte(r);
		hdr.flags = byte(r);
		hdr.gso_type = byte(r);
	}
	hdr.gso_size = (uint16_t)(byte(r) << (what & 32 ? 4 : 0));
	if (vnet_hdr_to_mbuf(&hdr, *m))
		return;
	rte_pktmbuf_free(*m);
	*m = NULL;
}

static void wrap(struct frame *f, struct reader *r)
{
	static const uint32_t vnis[] = {100, 200, 300, 400};
	struct frame outer;
	uint8_t how = byte(r);

	if (f->len > 8000)
		return;
	frame_vxlan(&outer, f,
		how == 0x7f ? "192.0.2.9"
		: how & 128 ? "192.0.2.3"
			    : "192.0.2.2",
		"192.0.2.1", how & 12 ? 100 : vnis[how & 3]);
	if ((how & 0x70) == 0x70)
		outer.bytes[byte(r)] ^= byte(r);
	*f = outer;
}

static const char *frame_of(struct reader *r, struct frame *f)
{
	const struct frame_spec *s = cook(f, r);
	uint8_t from = byte(r);
	const char *port =
		from & 3 ? sender_of(s) : ports[from % (sizeof(ports) / sizeof(ports[0]))];

	if (strcmp(port, GRAPH_UNDERLAY) == 0)
		wrap(f, r);
	return port;
}

const char *soup_frame(const uint8_t *random, size_t size, struct frame *f)
{
	struct reader r = {random, size};

	return frame_of(&r, f);
}

static void send_one(struct reader *r)
{
	struct frame f = {.len = 0};
	const char *port = frame_of(r, &f);
	struct rte_mbuf *m = graph_mbuf(f.bytes, f.len);

	if (strcmp(port, GRAPH_UNDERLAY) != 0)
		offload(&m, r);
	if (m != NULL && !graph_try_send_mbuf(port, m))
		rte_pktmbuf_free(m);
}

static void drain(void)
{
	graph_run();
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		graph_discard_sent(ports[i]);
}

static void play(struct reader *r)
{
	uint8_t arg;

	switch (byte(r) % STEP_MAX) {
	case STEP_RUN:
	case STEP_RUN2:
	case STEP_RUN3:
		drain();
		break;
	case STEP_CHANGE:
		arg = byte(r) % (sizeof(changes) / sizeof(changes[0]));
		graph_try(changes[arg].items, changes[arg].keys);
		break;
	case STEP_RESTORE:
		graph_try("[]", "[[\"port\", \"n\"]]");
		graph_try(everything, "[]");
		break;
	case STEP_TIME:
		graph_pass_time((uint32_t)byte(r) * byte(r));
		break;
	default:
		send_one(r);
	}
}

void soup_change(uint32_t n)
{
	n %= 4 * (sizeof(changes) / sizeof(changes[0]));
	if (n < sizeof(changes) / sizeof(changes[0])) {
		graph_try(changes[n].items, changes[n].keys);
		return;
	}
	/* Else most of it would soon be gone. */
	graph_try("[]", "[[\"port\", \"n\"]]");
	graph_try(everything, "[]");
}

void soup_check_changes(void)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		graph_items(everything);
		graph_both(changes[i].items, changes[i].keys);
		graph_reset();
	}
}

void soup_items(void)
{
	graph_port_caps(PORT_CAP_MULTI_SEG | PORT_CAP_CSUM | PORT_CAP_TSO4 | PORT_CAP_TSO6);
	graph_items(
		"[" CLOUD_VPC ",[\"subnet\", \"web\", 100, \"10.0.1.0/24\", \"10.0.1.1\", null, "
		"null, true, [], 1], [\"group\", \"any\", 1], [\"rules\", \"any\", 0, []]," PORT_D
		"]");
	graph_port_caps(PORT_CAP_MULTI_SEG);
	graph_items(everything);
}

void soup_play(const uint8_t *program, size_t size)
{
	struct reader r = {program, size};
	unsigned int steps = 0;

	soup_items();
	while (r.left > 0) {
		play(&r);
		if (++steps % 16 == 0)
			drain();
	}
	drain();
	graph_reset();
}
