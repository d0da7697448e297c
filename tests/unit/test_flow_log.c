/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log: records as IPFIX messages and as lines. The messages are read by an own small reader of templates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <netinet/in.h>

#include "base/ip_text.h"
#include "flow_log/flow_json.h"
#include "flow_log/ipfix.h"

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static struct flow_record record(const char *src, const char *dst, const char *post)
{
	struct flow_record r = {
		.src = address(src),
		.dst = address(dst),
		.post_src = address(post != NULL ? post : src),
		.post_dst = address(dst),
		.sport = RTE_BE16(40000),
		.dport = RTE_BE16(443),
		.post_sport = RTE_BE16(50000),
		.post_dport = RTE_BE16(443),
		.proto = IPPROTO_TCP,
		.end = FLOW_END_ACTIVE,
		.translated = post != NULL,
		.packets = {3, 2},
		.bytes = {300, 200},
		.start_ms = {1000, 1000},
		.end_ms = {2000, 1500},
		.tcp_flags = {0x12, 0x13},
		.session = 77,
		.vni = {100, 200},
		.port = {5, 0},
		.vpc = "prod",
		.name = {"web", "db"},
	};

	return r;
}

static uint32_t get(const uint8_t *p, unsigned int n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* What a collector knows: of each template its fields. */
struct reader {
	struct {
		uint32_t id[64], size[64];
		unsigned int n, bytes, scopes; /* scope fields: of options */
	} templates[32];
	unsigned int n_records, n_options;
	const uint8_t *last; /* the last data record, of template `last_id` */
	unsigned int last_id;
};

static void read_templates(struct reader *r, const uint8_t *p, const uint8_t *end, bool options)
{
	while (p + 4 <= end) {
		unsigned int t = get(p, 2) - 256, n = get(p + 2, 2);

		assert_true(t < 32);
		memset(&r->templates[t], 0, sizeof(r->templates[t]));
		r->templates[t].n = n;
		p += 4;
		if (options) {
			r->templates[t].scopes = get(p, 2);
			assert_in_range(r->templates[t].scopes, 1, n);
			p += 2;
		}
		for (unsigned int i = 0; i < n; i++) {
			r->templates[t].id[i] = get(p, 2);
			r->templates[t].size[i] = get(p + 2, 2);
			r->templates[t].bytes += get(p + 2, 2);
			p += 4;
			if (r->templates[t].id[i] & 0x8000) {
				assert_int_equal(get(p, 4), 29305);
				p += 4;
			}
		}
	}
	assert_ptr_equal(p, end);
}

static void read_message(struct reader *r, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;

	assert_int_equal(get(p, 2), 10);
	assert_int_equal(get(p + 2, 2), len);
	for (p += 16; p < end;) {
		unsigned int id = get(p, 2), size = get(p + 2, 2);

		assert_true(size >= 4 && p + size <= end);
		if (id == 2 || id == 3) {
			read_templates(r, p + 4, p + size, id == 3);
		} else {
			unsigned int bytes = r->templates[id - 256].bytes;

			assert_true(bytes > 0 && (size - 4) % bytes == 0);
			if (r->templates[id - 256].scopes != 0)
				r->n_options += (size - 4) / bytes;
			else
				r->n_records += (size - 4) / bytes;
			r->last = p + size - bytes;
			r->last_id = id - 256;
		}
		p += size;
	}
}

/* The value of an element in the last record. */
static const uint8_t *element(const struct reader *r, uint32_t id)
{
	const uint8_t *p = r->last;

	for (unsigned int i = 0; i < r->templates[r->last_id].n; i++) {
		if (r->templates[r->last_id].id[i] == id)
			return p;
		p += r->templates[r->last_id].size[i];
	}
	fail_msg("no element %u", id);
	return NULL;
}

static uint8_t buf[65536];

static void tell_templates(struct ipfix_writer *w, struct reader *r)
{
	bool all;

	do {
		ipfix_begin(w, buf, IPFIX_MESSAGE_MAX);
		all = ipfix_add_templates(w);
		read_message(r, buf, ipfix_end(w, 1));
	} while (!all);
}

static void tell(struct ipfix_writer *w, struct reader *r, const struct flow_record *record,
	unsigned int direction)
{
	ipfix_begin(w, buf, IPFIX_MESSAGE_MAX);
	assert_true(ipfix_add(w, record, direction));
	read_message(r, buf, ipfix_end(w, 1));
}

static void test_uniflows(void **state)
{
	struct flow_record f = record("10.0.0.1", "10.0.0.2", NULL);
	struct ipfix_writer w = {.domain = 42};
	struct reader r = {0};

	(void)state;
	tell_templates(&w, &r);
	assert_int_equal(w.sequence, 2); /* options are data records */
	assert_int_equal(r.n_options, 2);
	tell(&w, &r, &f, 0);
	assert_int_equal(get(buf + 8, 4), 2);
	assert_int_equal(get(buf + 12, 4), 42);
	assert_int_equal(get(element(&r, 8), 4), 0x0a000001);
	assert_int_equal(get(element(&r, 11), 2), 443);
	assert_int_equal(get(element(&r, 2) + 4, 4), 3);
	assert_int_equal(get(element(&r, 239), 1), 1);
	tell(&w, &r, &f, 1);
	assert_int_equal(get(buf + 8, 4), 3);
	assert_int_equal(get(element(&r, 8), 4), 0x0a000002);
	assert_int_equal(get(element(&r, 7), 2), 443);
	assert_int_equal(get(element(&r, 1) + 4, 4), 200);
	assert_int_equal(get(element(&r, 239), 1), 2);
	assert_int_equal(get(element(&r, 234), 4), 200);
	assert_int_equal(w.sequence, 4);
}

/* RFC 7014: which flows there are; RFC 7011 section 4.3: what was lost. */
static void test_options(void **state)
{
	struct ipfix_writer w = {
		.domain = 42, .process = 7, .sample = 4, .sent = 1000, .lost = 0x100000002};
	struct reader r = {0};
	uint64_t bits;
	double p = 0.25;

	(void)state;
	tell_templates(&w, &r);
	assert_int_equal(get(element(&r, 144), 4), 7);
	assert_int_equal(get(element(&r, 42) + 4, 4), 1000);
	assert_int_equal(get(element(&r, 166), 4), 1);
	assert_int_equal(get(element(&r, 166) + 4, 4), 2);
	/* The sampling's record is the one before, in a set of its own. */
	r.last -= 4 + 14;
	r.last_id--;
	assert_int_equal(r.templates[r.last_id].scopes, 1);
	assert_int_equal(get(element(&r, 149), 4), 42);
	assert_int_equal(get(element(&r, 390), 2), 4);
	memcpy(&bits, &p, sizeof(bits));
	assert_int_equal(get(element(&r, 311), 4), bits >> 32);
	assert_int_equal(get(element(&r, 311) + 4, 4), bits & UINT32_MAX);
}

static void test_biflow(void **state)
{
	struct flow_record f = record("fd00::1", "fd00::2", NULL);
	struct ipfix_writer w = {.biflow = true};
	struct reader r = {0};

	(void)state;
	tell_templates(&w, &r);
	tell(&w, &r, &f, 0);
	assert_int_equal(get(element(&r, 2) + 4, 4), 3);
	assert_int_equal(get(element(&r, 0x8000 | 2) + 4, 4), 2);
	assert_int_equal(get(element(&r, 0x8000 | 6), 2), 0x13);
	assert_int_equal(flow_record_parts(&f, true), 1);
	f.packets[1] = 0; /* nobody answered: no biflow */
	tell(&w, &r, &f, 0);
	assert_true(r.last_id < 8);
}

static void test_translated(void **state)
{
	struct flow_record f = record("10.0.0.1", "198.51.100.1", "192.0.2.7"),
			   n = record("fd00::1", "64:ff9b::1", "192.0.2.7");
	struct ipfix_writer w = {0};
	struct reader r = {0};

	(void)state;
	tell_templates(&w, &r);
	tell(&w, &r, &f, 0);
	assert_int_equal(get(element(&r, 225), 4), 0xc0000207);
	assert_int_equal(get(element(&r, 227), 2), 50000);
	tell(&w, &r, &f, 1);
	assert_int_equal(get(element(&r, 12), 4), 0xc0000207);
	assert_int_equal(get(element(&r, 226), 4), 0x0a000001);
	/* From IPv6 to IPv4 and back. */
	n.post_dst = address("198.51.100.1");
	tell(&w, &r, &n, 0);
	assert_int_equal(get(element(&r, 27), 2), 0xfd00);
	assert_int_equal(get(element(&r, 226), 4), 0xc6336401);
	tell(&w, &r, &n, 1);
	assert_int_equal(get(element(&r, 8), 4), 0xc6336401);
	assert_int_equal(get(element(&r, 282), 2), 0xfd00);
	n.nat_event = FLOW_NAT64_CREATED;
	tell(&w, &r, &n, 0);
	assert_int_equal(get(element(&r, 230), 1), 6);
	assert_int_equal(get(element(&r, 323) + 4, 4), 1000);
}

/* A message takes as many as fit and not one more; every size of it holds. */
static void test_sizes(void **state)
{
	struct flow_record f[] = {record("10.0.0.1", "10.0.0.2", NULL),
		record("fd00::1", "fd00::2", NULL), record("10.0.0.1", "10.0.0.2", "192.0.2.7")};

	(void)state;
	for (size_t size = 16; size <= IPFIX_MESSAGE_MAX; size++) {
		struct ipfix_writer w = {0};
		struct reader r = {0};
		unsigned int n = 0;
		uint8_t *exact = malloc(size); /* whose end ASan watches */
		size_t len;

		tell_templates(&w, &r);
		ipfix_begin(&w, exact, size);
		while (ipfix_add(&w, &f[n % 3], n % 2))
			n++;
		len = ipfix_end(&w, 1);
		assert_true(len <= size);
		if (len > 0)
			read_message(&r, exact, len);
		assert_int_equal(r.n_records, n);
		assert_int_equal(w.sequence, n + r.n_options);
		free(exact);
	}
}

static void test_icmp(void **state)
{
	struct flow_record f = record("fd00::1", "64:ff9b::1", "192.0.2.7");
	struct flow_tuple t;

	(void)state;
	f.post_dst = address("198.51.100.1");
	f.proto = IPPROTO_ICMPV6;
	f.dport = RTE_BE16(128 << 8);
	flow_record_tuple(&f, 0, &t);
	assert_int_equal(t.dport, 128 << 8);
	assert_int_equal(t.post_dport, 8 << 8);
	assert_int_equal(t.sport, 0);
	flow_record_tuple(&f, 1, &t);
	assert_int_equal(t.dport, 0);
	assert_int_equal(t.post_dport, 129 << 8);
}

static void test_lines(void **state)
{
	const struct flow_json j = {.log = "audit", .node = "host-a"},
			       both = {"audit", "host-a", true};
	struct flow_record f = record("10.0.0.1", "10.0.0.2", "192.0.2.7");
	char text[FLOW_JSON_MAX];
	json_t *line;
	size_t len;

	(void)state;
	len = flow_json_line(&j, &f, 1, text);
	assert_int_equal(text[len - 1], '\n');
	line = json_loadb(text, len, 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "source")), "10.0.0.2");
	assert_string_equal(json_string_value(json_object_get(line, "source_name")), "db");
	assert_string_equal(
		json_string_value(json_object_get(line, "post_nat_destination")), "10.0.0.1");
	assert_int_equal(json_integer_value(json_object_get(line, "bytes")), 200);
	json_decref(line);
	line = json_loadb(text, flow_json_line(&both, &f, 0, text), 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(line, "reverse_packets")), 2);
	json_decref(line);
	f.reason = DROP_POLICY_EGRESS;
	line = json_loadb(text, flow_json_line(&j, &f, 0, text), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "reason")), "policy_egress");
	json_decref(line);
}

/* The longest line that there can be is whole. */
static void test_longest_line(void **state)
{
	const char *name = "a23456789012345678901234567890123456789012345678901234567890123";
	const char *longest = "1111:2222:3333:4444:5555:6666:7777:8888";
	const struct flow_json j = {name, name, true};
	struct flow_record f = record(longest, longest, longest);
	char text[FLOW_JSON_MAX];
	json_t *line;

	(void)state;
	memcpy(f.vpc, name, 64);
	memcpy(f.name[0], name, 64);
	memcpy(f.name[1], name, 64);
	for (unsigned int d = 0; d < 2; d++) {
		f.packets[d] = f.bytes[d] = INT64_MAX;
		f.tcp_flags[d] = 0x17;
	}
	line = json_loadb(text, flow_json_line(&j, &f, 0, text), 0, NULL);
	assert_non_null(line);
	json_decref(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uniflows),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_biflow),
		cmocka_unit_test(test_translated),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_longest_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
