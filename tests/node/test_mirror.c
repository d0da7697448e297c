/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors in the real graph: copies are what the tenant sent, byte for byte; what happens to them harms nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <rte_tcp.h>

#include "cloud.h"
#include "graph.h"
#include "lib/pcapng.h"
#include "observe/observe.h"

static int setup(void **state)
{
	(void)state;
	graph_port_caps(PORT_CAP_MULTI_SEG);
	graph_items(CLOUD);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	graph_reset();
	return 0;
}

#define MIRROR(sources, direction, filter, sample, snaplen, target, vtep)                          \
	"[[\"mirror\", \"tap\", [" sources "], \"" direction "\", \"" filter "\", " sample         \
	", " snaplen ", " target ", " vtep ", 1]]"
#define TO_B "{\"type\": \"port\", \"port\": \"b\"}"
#define TO_VXLAN "{\"type\": \"vxlan\", \"address\": \"192.0.2.2\", \"vni\": 9000}"
#define TO_ERSPAN(version)                                                                         \
	"{\"type\": \"erspan\", \"address\": \"192.0.2.2\", \"session_id\": 513, \"version\": "    \
	"" version "}"

/* From a to c, over the gateway. */
#define A_TO_C                                                                                     \
	.smac = MAC_A, .dmac = GW, .src = "10.0.1.10", .dst = "10.0.2.10", .sport = 7, .dport = 8
#define A_AT_C                                                                                     \
	.smac = GW, .dmac = MAC_C, .src = "10.0.1.10", .dst = "10.0.2.10", .sport = 7, .dport = 8, \
	.ttl = 63
#define C_TO_A                                                                                     \
	.smac = MAC_C, .dmac = GW, .src = "10.0.2.10", .dst = "10.0.1.10", .sport = 8, .dport = 7

static json_int_t said(const char *member)
{
	json_t *answer = graph_rpc("mirror.status", json_object());
	json_int_t value = json_integer_value(
		json_object_get(json_array_get(json_object_get(answer, "items"), 0), member));

	json_decref(answer);
	return value;
}

/* The oldest frame that the port was given is this. */
static void expect(const char *port, const uint8_t *bytes, uint16_t len)
{
	uint16_t got_len = 0;
	const uint8_t *got = graph_sent(port, &got_len);

	assert_non_null(got);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, bytes, len);
}

static void send_and_expect_copy(const struct frame *f)
{
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect("b", f->bytes, f->len);
}

static void test_what_it_sent(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 300);
	const struct frame *spoofed = FRAME(.smac = MAC_A, .dmac = GW, .src = "10.0.9.9",
		.dst = "10.0.2.10", .sport = 7, .dport = 8);
	const struct frame *back = FRAME(C_TO_A);

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_B, "null"));
	for (int n = 0; n < 3; n++) {
		send_and_expect_copy(f);
		graph_expect_sent("c", FRAME(A_AT_C, .payload = 300));
	}
	/* Dropped ones, too. */
	send_and_expect_copy(spoofed);
	assert_int_equal(graph_dropped(DROP_SPOOFED), 1);
	/* Not what it is given. */
	graph_send("c", back->bytes, back->len);
	graph_run();
	assert_non_null(graph_sent("a", NULL));
	assert_null(graph_sent("b", NULL));
	assert_int_equal(said("packets"), 4);
	assert_int_equal(said("bytes"), 3 * f->len + spoofed->len);
	assert_int_equal(said("lost"), 0);
	assert_int_equal(said("ports"), 1);
}

static void test_what_it_is_given(void **state)
{
	const struct frame *f = FRAME(A_TO_C), *want = FRAME(A_AT_C);

	(void)state;
	graph_items(MIRROR("\"subnet db\"", "ingress", "", "1", "0", TO_B, "null"));
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect("b", want->bytes, want->len);
	expect("c", want->bytes, want->len);
	assert_int_equal(graph_unfetched(), 0);
}

/* Of a VPC a packet is seen when it is sent and when it is given; the copies that the target gets are not looked at again. */
static void test_vpc(void **state)
{
	const struct frame *f = FRAME(A_TO_C), *want = FRAME(A_AT_C);

	(void)state;
	graph_items(MIRROR("\"vpc 100\"", "both", "", "1", "0", TO_B, "null"));
	assert_int_equal(said("ports"), 2); /* not the target */
	graph_send("a", f->bytes, f->len);
	graph_run();
	expect("b", f->bytes, f->len);
	expect("b", want->bytes, want->len);
	expect("c", want->bytes, want->len);
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(said("packets"), 2);
	/* A port that comes later is looked at, too. */
	graph_items("[" PORT("d", "web", "02:aa:00:00:00:04", "10.0.1.12", "fd00:1:0:1::12") "]");
	graph_forget_announcements();
	assert_int_equal(said("ports"), 3);
	graph_delete("[[\"port\", \"d\"]]");
	assert_int_equal(said("ports"), 2);
	graph_discard_sent("b");
}

static void test_filter_sample_snaplen(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 200),
			   *other = FRAME(.smac = MAC_A, .dmac = GW, .src = "10.0.1.10",
				   .dst = "10.0.2.10", .sport = 7, .dport = 9, .payload = 200);
	unsigned int copies = 0;
	uint16_t len;

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "udp dst port 8 and host 10.0.2.10", "3", "60",
		TO_B, "null"));
	for (unsigned int n = 0; n < 30; n++) {
		const uint8_t *copy;

		graph_send("a", f->bytes, f->len);
		graph_send("a", other->bytes, other->len);
		graph_run();
		copy = graph_sent("b", &len);
		if (copy == NULL)
			continue;
		copies++;
		assert_int_equal(len, 60);
		assert_memory_equal(copy, f->bytes, 60);
	}
	assert_int_equal(copies, 10);
	assert_int_equal(said("packets"), 10);
	graph_discard_sent("c");
}

static void test_vxlan(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 1400);
	struct frame want;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_VXLAN, "\"other\""));
	graph_send("a", f->bytes, f->len);
	graph_run();
	frame_vxlan(&want, f, "192.0.2.1", "192.0.2.2", 9000);
	got = graph_sent(GRAPH_UNDERLAY, &len);
	assert_non_null(got);
	assert_null(frame_check(got, len));
	assert_int_equal(len, want.len);
	/* From VXLAN's flags on. */
	assert_memory_equal(got + 42, want.bytes + 42, want.len - 42u);
	assert_memory_equal(got + 26, want.bytes + 26, 8);
	graph_discard_sent("c");
}

static uint32_t word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void check_erspan(uint8_t version, const struct frame *f, uint32_t sequence)
{
	unsigned int header = version == 3 ? 12 : 8;
	uint16_t len;
	const uint8_t *got = graph_sent(GRAPH_UNDERLAY, &len), *erspan = got + 42;

	assert_non_null(got);
	assert_int_equal(got[23], IPPROTO_GRE);
	assert_null(frame_check(got, len));
	assert_int_equal(got[16] << 8 | got[17], len - 14);
	assert_int_equal(word(got + 34), 0x10000000u | (version == 3 ? 0x22eb : 0x88be));
	assert_int_equal(word(got + 38), sequence);
	assert_int_equal(word(erspan), (version - 1u) << 28 | 513);
	if (version == 3)
		assert_int_equal(word(erspan + 8), 0x8000);
	assert_int_equal(len - 42u - header, f->len);
	assert_memory_equal(erspan + header, f->bytes, f->len);
}

static void test_erspan(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 1000);

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_ERSPAN("2"), "\"other\""));
	for (uint32_t n = 0; n < 2; n++) {
		graph_send("a", f->bytes, f->len);
		graph_run();
		check_erspan(2, f, n);
	}
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_ERSPAN("3"), "\"other\""));
	graph_send("a", f->bytes, f->len);
	graph_run();
	check_erspan(3, f, 2);
	assert_int_equal(said("packets"), 3);
	graph_discard_sent("c");
}

/* What does not fit the underlay is cut, and says so. */
static void test_cut(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 1590);
	uint16_t len;
	const uint8_t *got;

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_ERSPAN("2"), "\"other\""));
	graph_send("a", f->bytes, f->len);
	graph_run();
	graph_dropped(DROP_TOO_BIG);
	got = graph_sent(GRAPH_UNDERLAY, &len);
	assert_non_null(got);
	assert_int_equal(len, 1614);
	assert_int_equal(word(got + 42), 0x10000000u | 1u << 10 | 513);
	assert_memory_equal(got + 50, f->bytes, len - 50u);
	graph_discard_sent("a");
}

/* A GSO frame is copied as what goes on the wire. */
static void test_segments(void **state)
{
	const struct frame *f =
		FRAME(A_TO_C, .proto = IPPROTO_TCP, .payload = 3000, .tcp_flags = RTE_TCP_SYN_FLAG);
	struct rte_mbuf *m;
	struct frame partial = *f;
	unsigned int segments = 0, payload = 0;
	const uint8_t *got;
	uint16_t len;

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_B, "null"));
	frame_make_partial(&partial);
	m = graph_mbuf(partial.bytes, partial.len);
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = 20;
	m->tso_segsz = 1000;
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	graph_send_mbuf("a", m);
	graph_run();
	while ((got = graph_sent("b", &len)) != NULL) {
		assert_null(frame_check(got, len));
		assert_memory_equal(got + 54, f->bytes + 54 + payload, len - 54u);
		payload += len - 54u;
		segments++;
	}
	assert_int_equal(segments, 3);
	assert_int_equal(payload, 3000);
	assert_int_equal(said("packets"), 1);
	graph_discard_sent("c");
	graph_forget_drops();
}

/* A target that is not there, or takes nothing, costs copies and nothing else. */
static void test_lost(void **state)
{
	const struct frame *f = FRAME(A_TO_C);

	(void)state;
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_B, "null"));
	graph_delete("[[\"port\", \"b\"]]");
	graph_expect_pass("a", f, "c", FRAME(A_AT_C));
	assert_int_equal(said("lost"), 1);
	/* There again; and then its queue is full. */
	graph_items("[" PORT("b", "web", MAC_B, "10.0.1.11", "fd00:1:0:1::11") "]");
	graph_forget_announcements();
	graph_dropped_any();
	for (unsigned int n = 0; n < 600; n++) {
		graph_send("a", f->bytes, f->len);
		graph_run();
		assert_non_null(graph_sent("c", NULL));
	}
	assert_int_equal(said("packets"), 601);
	/* One of them is dropped now and then, when it is asked whether it takes something again. */
	assert_int_equal(graph_waiting("b") + said("lost"), 601);
	assert_in_range(graph_dropped_any(), 1, (uintmax_t)said("lost") - 1);
	assert_int_equal(graph_port_drops("a"), 0);
	graph_discard_sent("b");
	/* A tunnel without a next hop. */
	graph_items("[[\"vtep\", \"silent\", \"192.0.2.77\", false]]");
	graph_items(MIRROR("\"port a\"", "egress", "", "1", "0", TO_VXLAN, "\"silent\""));
	graph_send("a", f->bytes, f->len);
	graph_run();
	assert_non_null(graph_sent("c", NULL));
	assert_int_equal(said("packets"), 602);
	graph_discard_sent(GRAPH_UNDERLAY);
}

static char *read_file(const char *path, size_t *length)
{
	FILE *f = fopen(path, "r");
	char *data = calloc(1, 1 << 20);

	assert_non_null(data);
	*length = f != NULL ? fread(data, 1, 1 << 20, f) : 0;
	if (f != NULL)
		fclose(f);
	return data;
}

/* How many packets are in it; each is this one. */
static unsigned int packets_in(const char *path, const struct frame *f)
{
	struct pcapng_block block;
	struct pcapng_record r;
	unsigned int n = 0;
	size_t length, offset = 0;
	char name[128], *data = read_file(path, &length);

	while (pcapng_next(data, length, &offset, &block) == 1) {
		if (pcapng_read_interface(&block, name, sizeof(name)))
			assert_string_equal(name, "test/a");
		if (!pcapng_read_packet(&block, &r))
			continue;
		assert_int_equal(r.packet.captured, f->len);
		assert_memory_equal(r.packet.data, f->bytes, f->len);
		assert_int_equal(r.packet.direction, PCAPNG_INBOUND);
		assert_int_equal(r.packet.interface, 0);
		n++;
	}
	free(data);
	return n;
}

static void test_file(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 700);
	char directory[] = "/tmp/vpc-mirror-XXXXXX", path[64], moved[80], item[400];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.pcapng", directory);
	snprintf(moved, sizeof(moved), "%s.1", path);
	snprintf(item, sizeof(item),
		MIRROR("\"port a\"", "egress", "", "1", "0",
			"{\"type\": \"file\", \"path\": \"%s\", \"rotate_mb\": 1, \"keep\": 2}",
			"null"),
		path);
	for (unsigned int life = 0; life < 2; life++) {
		graph_items(item);
		for (unsigned int n = 0; n < 100; n++) {
			graph_send("a", f->bytes, f->len);
			graph_run();
		}
		graph_discard_sent("c");
		/* The first one's file is kept. */
		for (unsigned int n = 0; n < 3000 && packets_in(life == 0 ? path : moved, f) < 100;
			n++)
			usleep(10000);
		for (unsigned int n = 0; n < 3000 && packets_in(path, f) < 100; n++)
			usleep(10000);
		assert_int_equal(packets_in(path, f), 100);
		assert_int_equal(packets_in(moved, f), life == 0 ? 0 : 100);
		graph_delete("[[\"mirror\", \"tap\"]]");
	}
	unlink(path);
	unlink(moved);
	assert_int_equal(rmdir(directory), 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		MIRROR("\"port a\"", "both", "tcp prot 80", "1", "0", TO_B, "null"),
		MIRROR("\"port a\"", "both", "host www.example.com", "1", "0", TO_B, "null"),
		MIRROR("\"a\"", "both", "", "1", "0", TO_B, "null"),
		MIRROR("\"port a\"", "both", "", "1", "0", "{\"type\": \"smoke\"}", "null"),
		MIRROR("\"port a\"", "both", "", "1", "0", TO_VXLAN, "null"),
		MIRROR("\"port a\"", "both", "", "1", "0", TO_ERSPAN("1"), "\"other\""),
		MIRROR("\"port a\"", "both", "", "1", "0",
			"{\"type\": \"file\", \"path\": \"/nowhere/a.pcapng\"}", "null"),
		MIRROR("\"port a\"", "both", "", "1", "0",
			"{\"type\": \"file\", \"path\": \"/etc/passwd\"}", "null"),
	};
	struct stat before, after;

	(void)state;
	assert_int_equal(stat("/etc/passwd", &before), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(graph_try(bad[i], "[]"));
	assert_int_equal(stat("/etc/passwd", &after), 0);
	assert_int_equal(before.st_size, after.st_size);
}

/* The place of one that wrote a file is free when the sight thread has closed it. */
static bool is_taken_soon(const char *item)
{
	for (unsigned int n = 0; n < 3000; n++) {
		if (graph_try(item, "[]"))
			return true;
		usleep(10000);
	}
	return false;
}

/* There is room for so many; each that goes makes room again. */
static void test_many(void **state)
{
	char item[300];

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i <= OBSERVERS_MAX; i++) {
			snprintf(item, sizeof(item),
				"[[\"mirror\", \"tap%u\", [\"port a\"], \"egress\", \"\", 1, "
				"0, " TO_B ", null, 1]]",
				i);
			if (i < OBSERVERS_MAX)
				assert_true(is_taken_soon(item));
			else
				assert_false(graph_try(item, "[]"));
		}
		for (unsigned int i = 0; i < OBSERVERS_MAX; i++) {
			snprintf(item, sizeof(item), "[[\"mirror\", \"tap%u\"]]", i);
			graph_delete(item);
		}
		graph_settle();
	}
}

#define MIRROR_VNI 16777215u
#define MIRROR_IN(port, vteps) "[[\"mirror_in\", \"far\", 16777215, \"" port "\", [" vteps "], 1]]"

/* The frame comes in a tunnel from there. */
static void arrive(const struct frame *inner, const char *from, uint32_t vni)
{
	struct frame f;

	frame_vxlan(&f, inner, from, "192.0.2.1", vni);
	graph_send(GRAPH_UNDERLAY, f.bytes, f.len);
	graph_run();
}

static json_int_t sessions(void)
{
	json_t *answer = graph_rpc("session.list", json_object());
	json_int_t n = (json_int_t)json_array_size(json_object_get(answer, "items"));

	json_decref(answer);
	return n;
}

/* Copies of another node's ports: to the target as they are, whatever they are, and to nobody else. */
static void test_from_another_node(void **state)
{
	const struct frame *const copies[] = {
		FRAME(A_TO_C, .payload = 300),
		FRAME(C_TO_A, .proto = IPPROTO_TCP, .mss = 1460),
		/* Of somebody who is nobody here, with our own addresses, cut short. */
		FRAME(.smac = "02:ee:00:00:00:01", .dmac = GW, .src = "172.16.0.1",
			.dst = "10.0.1.10", .ttl = 1, .tos = 3),
		FRAME(.smac = MAC_A, .dmac = "ff:ff:ff:ff:ff:ff", .src = "fd00:1:0:1::10",
			.dst = "ff02::1"),
	};
	struct frame cut = *copies[0];

	(void)state;
	graph_items(MIRROR_IN("b", "\"other\""));
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		arrive(copies[i], "192.0.2.2", MIRROR_VNI);
		expect("b", copies[i]->bytes, copies[i]->len);
	}
	for (uint16_t len = 1; len < copies[0]->len; len = (uint16_t)(len + 17)) {
		cut.len = len;
		arrive(&cut, "192.0.2.2", MIRROR_VNI);
		expect("b", cut.bytes, len);
	}
	assert_int_equal(graph_unfetched(), 0);
	assert_int_equal(graph_dropped_any(), 0);
	assert_int_equal(sessions(), 0);
	assert_int_equal(said("packets"), 0);
	assert_int_equal(said("lost"), 0);
	/* What they said of addresses was not heard: MAC_A is where it was. */
	graph_expect_pass("a", FRAME(A_TO_C), "c", FRAME(A_AT_C));
}

/* Who is no node with sources of the mirror puts nothing into a port; and a mirror's VNI is for its target alone. */
static void test_forged(void **state)
{
	const struct frame *f = FRAME(A_TO_C, .payload = 100);
	struct frame inner;

	(void)state;
	graph_items("[[\"vtep\", \"third\", \"192.0.2.3\", false]]");
	graph_items(MIRROR_IN("b", "\"other\""));
	arrive(f, "192.0.2.3", MIRROR_VNI);
	graph_expect_dropped(DROP_WRONG_VTEP, 1);
	graph_items("[[\"foreign\", \"third\"]]");
	arrive(f, "192.0.2.3", MIRROR_VNI);
	graph_expect_dropped(DROP_WRONG_VTEP, 1);
	graph_items(MIRROR_IN("b", "\"other\", \"third\""));
	arrive(f, "192.0.2.99", MIRROR_VNI);
	graph_expect_dropped(DROP_UNKNOWN_VTEP, 1);
	arrive(f, "192.0.2.2", MIRROR_VNI - 1);
	graph_expect_dropped(DROP_UNKNOWN_VNI, 1);
	arrive(f, "192.0.2.2", MIRROR_VNI - 256);
	graph_expect_dropped(DROP_UNKNOWN_VNI, 1);
	arrive(f, "192.0.2.3", MIRROR_VNI);
	expect("b", f->bytes, f->len);
	/* A tenant's own VXLAN is a packet as others are. */
	frame_vxlan(&inner, f, "10.0.1.10", "192.0.2.1", MIRROR_VNI);
	memcpy(inner.bytes, FRAME(A_TO_C)->bytes, 12);
	graph_expect_drop("a", &inner, DROP_NO_ROUTE);
	/* From a tunnel of the VPC, too. */
	arrive(&inner, "192.0.2.2", 100);
	assert_null(graph_sent("b", NULL));
	graph_forget_drops();
	/* Who sent no more, and no more such a mirror. */
	graph_items(MIRROR_IN("b", "\"third\""));
	arrive(f, "192.0.2.2", MIRROR_VNI);
	graph_expect_dropped(DROP_WRONG_VTEP, 1);
	graph_delete("[[\"mirror_in\", \"far\"]]");
	arrive(f, "192.0.2.3", MIRROR_VNI);
	graph_expect_dropped(DROP_UNKNOWN_VNI, 1);
	/* A VPC's VNI is the VPC's. */
	graph_items("[[\"mirror_in\", \"far\", 100, \"b\", [\"other\"], 1]]");
	arrive(f, "192.0.2.2", 100);
	assert_null(graph_sent("b", NULL));
	graph_forget_drops();
	assert_false(graph_try("[[\"mirror_in\", \"bad\", 0, \"b\", [], 1]]", "[]"));
	assert_false(graph_try("[[\"mirror_in\", \"bad\", 16777216, \"b\", [], 1]]", "[]"));
	/* Nor the underlay. */
	graph_items(MIRROR_IN(GRAPH_UNDERLAY, "\"other\""));
	arrive(f, "192.0.2.2", MIRROR_VNI);
	graph_expect_dropped(DROP_PORT_DOWN, 1);
}

/* The target is a source of other mirrors: what it is given as copies is not copied again. */
static void test_no_mirror_of_a_mirror(void **state)
{
	const struct frame *f = FRAME(A_TO_C),
			   *own = FRAME(.smac = MAC_B, .dmac = GW, .src = "10.0.1.11",
				   .dst = "10.0.2.10", .sport = 7, .dport = 8);

	(void)state;
	graph_items(MIRROR_IN("b", "\"other\""));
	graph_items(MIRROR("\"port b\"", "both", "", "1", "0", TO_VXLAN, "\"other\""));
	arrive(f, "192.0.2.2", MIRROR_VNI);
	expect("b", f->bytes, f->len);
	assert_int_equal(graph_unfetched(), 0);
	graph_send("b", own->bytes, own->len);
	graph_run();
	assert_non_null(graph_sent(GRAPH_UNDERLAY, NULL));
	assert_non_null(graph_sent("c", NULL));
	assert_int_equal(graph_unfetched(), 0);
}

/* A target that is away, comes, is full: copies are lost and counted to the mirror, with both its ends here, too. */
static void test_lost_at_the_far_end(void **state)
{
	const struct frame *f = FRAME(A_TO_C);
	json_int_t lost;

	(void)state;
	graph_items(MIRROR_IN("d", "\"other\""));
	arrive(f, "192.0.2.2", MIRROR_VNI);
	graph_expect_dropped(DROP_PORT_DOWN, 1);
	assert_int_equal(said("lost"), 1);
	graph_items("[" PORT("d", "web", "02:aa:00:00:00:04", "10.0.1.12", "fd00:1:0:1::12") "]");
	graph_forget_announcements();
	graph_forget_drops();
	for (unsigned int n = 0; n < 600; n++)
		arrive(f, "192.0.2.2", MIRROR_VNI);
	lost = (json_int_t)graph_dropped_any();
	assert_true(lost > 0);
	assert_int_equal(said("lost"), 1 + lost);
	assert_int_equal(graph_waiting("d") + lost, 600);
	graph_discard_sent("d");
	/* Another revision of it has lost what the one before had. */
	graph_items(MIRROR_IN("b", "\"other\""));
	assert_int_equal(said("lost"), 1 + lost);
	graph_items(
		"[[\"mirror\", \"far\", [\"port a\"], \"egress\", \"\", 1, 0, " TO_B ", null, 1]]");
	graph_send("a", f->bytes, f->len);
	graph_run();
	arrive(f, "192.0.2.2", MIRROR_VNI);
	expect("b", f->bytes, f->len);
	expect("b", f->bytes, f->len);
	assert_int_equal(said("packets"), 1);
	assert_int_equal(said("lost"), 1 + lost);
	graph_discard_sent("c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_another_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_mirror_of_a_mirror, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_at_the_far_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_it_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_it_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vpc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_sample_snaplen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vxlan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erspan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	graph_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
