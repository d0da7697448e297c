/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks without sockets: when a back end counts as up, when it is asked, what is a good answer, what nodes tell each
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/health_answer.h"
#include "health/health_rule.h"
#include "health/health_wire.h"

/* --- Up and down --- */

/* '+' and '-' are answers; what is expected after each: u(nknown), U(p), D(own). */
static const struct {
	const char *answers, *states;
	uint16_t rise, fall;
} rules[] = {
	{"+", "U", 3, 3},                 /* the first answer is believed */
	{"--+", "uuU", 3, 3},             /* as long as nothing is known */
	{"---", "uuD", 2, 3},             /* silence takes `fall` */
	{"+---+++", "UUUDDUU", 2, 3},     /* both need theirs in a row */
	{"+--+--+--", "UUUUUUUUU", 2, 3}, /* one that answers now and then stays */
	{"---+-+-++", "uuDDDDDDU", 2, 3}, /* and one that fails now and then does not come back */
	{"-+-+-", "DUDUD", 1, 1},         /* no hysteresis at all */
	{"+"
	 "----------"
	 "+",
		"UUUUUUUUUUDU", 1, 10},
};

static void test_rule(void **state)
{
	static const char letters[] = "uUD";

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct health_rule r = {0};
		enum lb_health before = r.state;

		for (size_t k = 0; rules[i].answers[k] != '\0'; k++) {
			bool changed = health_rule_result(
				&r, rules[i].answers[k] == '+', rules[i].rise, rules[i].fall);

			assert_int_equal(letters[r.state], rules[i].states[k]);
			assert_int_equal(changed, r.state != before);
			before = r.state;
		}
	}
}

/* --- Times --- */

/* A question each interval, whenever the answer came and however late the timer was. */
static void test_times(void **state)
{
	static const uint32_t late_ms[] = {0, 1, 7, 300, 0, 999, 2, 0};
	uint32_t phase = 137, interval = 1000, now = 12 * interval + phase, next;

	(void)state;
	for (size_t i = 0; i < sizeof(late_ms) / sizeof(late_ms[0]); i++) {
		uint32_t start = now + late_ms[i] % 990;

		next = health_next_ms(start, phase, interval, start + 5);
		assert_int_equal(next, now + interval);
		now = next;
	}
	/* What took longer than its interval is followed at once. */
	assert_int_equal(health_next_ms(now, phase, interval, now + 1500), now + 1500);
	/* The first question comes at any time, the second within an interval. */
	for (uint32_t first = interval; first < 2 * interval; first++) {
		next = health_next_ms(first, phase, interval, first);
		assert_in_range(next - first, 1, interval + 2);
		assert_int_equal(next % interval, phase);
	}
	/* The clock wraps. */
	next = health_next_ms(UINT32_MAX - 3, 0, 1000, UINT32_MAX - 1);
	assert_in_range(next - (UINT32_MAX - 3), 1, 1002);
}

/* Of any n questions in an interval, no slice of it gets many more than its share. */
static void test_spread(void **state)
{
	enum { N = 5000, SLICES = 50, INTERVAL = 5000 };
	static unsigned int slices[SLICES];

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t phase = health_phase(1234 + i, INTERVAL);

		assert_in_range(phase, 0, INTERVAL - 1);
		slices[phase / (INTERVAL / SLICES)]++;
	}
	for (unsigned int i = 0; i < SLICES; i++)
		assert_in_range(slices[i], N / SLICES * 9 / 10, N / SLICES * 11 / 10);
}

/* --- Settings --- */

static struct health_settings settings(const char *json)
{
	json_t *object = json_loads(json, 0, NULL);
	struct health_settings s;

	assert_non_null(object);
	assert_int_equal(health_settings_read(object, &s), 0);
	json_decref(object);
	return s;
}

static void test_settings(void **state)
{
	struct health_settings s = settings("{\"type\": \"http\"}"), t;
	json_t *bad = json_pack("{s:s}", "type", "telepathy");

	(void)state;
	assert_int_equal(s.type, HEALTH_HTTP);
	assert_int_equal(s.interval_ms, 5000);
	assert_int_equal(s.timeout_ms, 2000);
	assert_int_equal(s.rise, 2);
	assert_int_equal(s.fall, 3);
	assert_string_equal(s.path, "/");
	t = settings(
		"{\"type\": \"http\", \"interval_ms\": 1000, \"timeout_ms\": 5000, \"fall\": 1}");
	assert_int_equal(t.timeout_ms, 1000);
	assert_false(health_settings_equal(&s, &t));
	assert_true(health_settings_equal(&s, &s));
	assert_int_equal(settings("{}").type, HEALTH_NONE);
	assert_int_equal(health_settings_read(bad, &s), -EINVAL);
	json_decref(bad);
}

/* --- HTTP --- */

#define TEXT "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nall is well\n"

static const struct {
	const char *expect, *data;
	bool end;
	enum health_verdict verdict;
	const char *reason; /* NULL: any */
} answers[] = {
	{"", "HTTP/1.1 200 OK\r\n", false, HEALTH_GOOD, "HTTP 200"},
	{"", "HTTP/1.0 302 Found\r\n", false, HEALTH_GOOD, "HTTP 302"},
	{"", "HTTP/1.1 503 Busy\r\n", false, HEALTH_BAD, "HTTP 503"},
	{"", "HTTP/1.1 199 \r\n", false, HEALTH_BAD, "HTTP 199"},
	{"", "HTTP/1.1 200\r\n", false, HEALTH_GOOD, "HTTP 200"},
	{"", "", false, HEALTH_MORE, NULL},
	{"", "HTT", false, HEALTH_MORE, NULL},
	{"", "HTTP/1.1 20", false, HEALTH_MORE, NULL},
	{"", "HTTP/1.1 20", true, HEALTH_BAD, "no HTTP answer"},
	{"", "", true, HEALTH_BAD, "closed without an answer"},
	{"", "SSH-2.0-OpenSSH\r\n", false, HEALTH_BAD, "no HTTP answer"},
	{"", "HTTP/1.1 2000 OK\r\n", false, HEALTH_BAD, "no HTTP answer"},
	{"", "HTTP/2.0 200 OK\r\n", false, HEALTH_BAD, "no HTTP answer"},
	{"204", "HTTP/1.1 204 \r\n", false, HEALTH_GOOD, NULL},
	{"204", "HTTP/1.1 200 \r\n", false, HEALTH_BAD, "HTTP 200"},
	{"2xx", "HTTP/1.1 299 \r\n", false, HEALTH_GOOD, NULL},
	{"2xx", "HTTP/1.1 300 \r\n", false, HEALTH_BAD, NULL},
	{"200-204, 401", "HTTP/1.1 401 \r\n", false, HEALTH_GOOD, NULL},
	{"200-204, 401", "HTTP/1.1 205 \r\n", false, HEALTH_BAD, NULL},
	{"5xx", "HTTP/1.1 503 \r\n", false, HEALTH_GOOD, NULL},
	{"well", TEXT, false, HEALTH_GOOD, "HTTP 200"},
	{"ill", TEXT, false, HEALTH_MORE, NULL},
	{"ill", TEXT, true, HEALTH_BAD, "HTTP 200 without the expected text"},
	{"Server", TEXT, true, HEALTH_BAD, NULL}, /* the headers are not the body */
	{"well", "HTTP/1.1 500 \r\n\r\nall is well\n", true, HEALTH_BAD, "HTTP 500"},
	{"20000 leagues", "HTTP/1.1 200 \r\n\r\n20000 leagues", true, HEALTH_GOOD, NULL},
};

static void test_http(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct health_settings s = {.type = HEALTH_HTTP};
		char reason[LB_REASON_MAX] = "";
		enum health_verdict v;

		strcpy(s.expect, answers[i].expect);
		v = health_http_answer(&s, answers[i].data, strlen(answers[i].data), answers[i].end,
			reason, sizeof(reason));
		if (v != answers[i].verdict)
			fail_msg("%zu: expect `%s`: %d", i, answers[i].expect, v);
		if (answers[i].reason != NULL)
			assert_string_equal(reason, answers[i].reason);
	}
}

/* Byte by byte the verdict is the same, and comes once. */
static void test_http_pieces(void **state)
{
	struct health_settings s = {.type = HEALTH_HTTP, .expect = "is well"};
	char reason[LB_REASON_MAX];

	(void)state;
	for (size_t n = 0; n < sizeof(TEXT) - 2; n++) {
		enum health_verdict v =
			health_http_answer(&s, TEXT, n, false, reason, sizeof(reason));

		assert_int_equal(v, n < strlen(TEXT) - 1 ? HEALTH_MORE : HEALTH_GOOD);
	}
}

static void test_request(void **state)
{
	struct health_settings s = {.path = "/ready?x=1"};
	char out[512];
	size_t n;

	(void)state;
	n = health_http_request(&s, "[fd00::5]:80", out, sizeof(out));
	assert_int_equal(n, strlen(out));
	assert_memory_equal(out, "GET /ready?x=1 HTTP/1.0\r\nHost: [fd00::5]:80\r\n", 45);
	assert_memory_equal(out + n - 4, "\r\n\r\n", 4);
	assert_int_equal(health_http_request(&s, "h", out, 20), 0);
}

/* --- Between nodes --- */

static struct health_entry entry(unsigned int i)
{
	struct health_entry e = {.port = RTE_BE16(80), .protocol = 6, .number = 1000 + i};

	snprintf(e.balancer, sizeof(e.balancer), "balancer-%u", i);
	e.port_number = rte_cpu_to_be_16((uint16_t)(8000 + i));
	e.state = (uint8_t)(i % 3);
	e.addr = ip_addr_from_v4(rte_cpu_to_be_32(0x0a000000 + i));
	if (i % 2)
		e.addr.bytes[0] = 0xfd;
	return e;
}

static void test_wire(void **state)
{
	struct health_head head = {HEALTH_CHANGES, 0x1122334455667788, 5, 6}, got;
	struct health_frame f;
	struct health_reader r;
	struct health_entry e, want;
	unsigned int n = 0;

	(void)state;
	health_frame_begin(&f, &head);
	for (want = entry(0); health_frame_add(&f, &want); want = entry(++n))
		continue;
	health_frame_set_to(&f, 77);
	assert_true(n > 15);
	assert_true(f.len <= HEALTH_FRAME_MAX);
	assert_true(health_frame_open(f.bytes, f.len, &got, &r));
	assert_int_equal(got.type, HEALTH_CHANGES);
	assert_true(got.instance == head.instance);
	assert_int_equal(got.from, 5);
	assert_int_equal(got.to, 77);
	for (unsigned int i = 0; i < n; i++) {
		want = entry(i);
		assert_true(health_frame_next(&r, &e));
		assert_memory_equal(&e, &want, sizeof(e));
	}
	assert_false(health_frame_next(&r, &e));
}

/* Cut anywhere, and with any byte changed, it is read without reading beyond its end. */
static void test_wire_malformed(void **state)
{
	struct health_head head = {HEALTH_TELL, 1, 0, 0}, got;
	struct health_frame f;
	struct health_reader r;
	struct health_entry e = entry(1);

	(void)state;
	health_frame_begin(&f, &head);
	health_frame_add(&f, &e);
	health_frame_add(&f, &e);
	for (size_t n = 0; n <= f.len; n++) {
		uint8_t *copy = malloc(n + 1); /* sanitizers see what lies behind */
		unsigned int whole = 0;

		memcpy(copy, f.bytes, n);
		if (health_frame_open(copy, n, &got, &r))
			while (health_frame_next(&r, &e))
				whole++;
		assert_int_equal(whole, n == f.len ? 2 : n >= f.len - (f.len - 46u) / 2 ? 1 : 0);
		free(copy);
	}
	for (size_t i = 0; i < f.len; i++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			f.bytes[i] ^= (uint8_t)(1u << bit);
			if (health_frame_open(f.bytes, f.len, &got, &r))
				while (health_frame_next(&r, &e))
					assert_true(e.balancer[PORT_NAME_MAX - 1] == '\0' &&
						    e.state <= LB_HEALTH_DOWN);
			f.bytes[i] ^= (uint8_t)(1u << bit);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_http_pieces),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_wire_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
