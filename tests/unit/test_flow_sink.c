/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log: records on their way to collectors that are there, silent, or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "flow_log/flow_sink.h"
#include "flow_log/ipfix.h"

#define TEMPLATES_MS 1
#define WAIT_MS 20000

static uint32_t get(const uint8_t *p, unsigned int n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* A socket at 127.0.0.1; its collector's address in `text`. */
static int listen_at(int type, char text[64])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(text, 64, "%s://127.0.0.1:%u", type == SOCK_STREAM ? "tcp" : "udp",
		ntohs(a.sin_port));
	return fd;
}

static struct flow_sink *open_sink(const char *collector, struct flow_tally *tally)
{
	struct flow_sink_config config = {.log = "log",
		.node = "node",
		.collector = collector,
		.domain = 42,
		.templates_ms = TEMPLATES_MS,
		.tally = tally};
	struct flow_sink *sink = flow_sink_open(&config);

	assert_non_null(sink);
	flow_sink_set_sample(sink, 8);
	return sink;
}

static void put(struct flow_sink *sink, unsigned int n)
{
	struct flow_record r = {.src = {.bytes = {[10] = 0xff, 0xff, 10, 0, 0, 1}},
		.dst = {.bytes = {[10] = 0xff, 0xff, 10, 0, 0, 2}},
		.proto = IPPROTO_UDP,
		.packets = {1, 1},
		.bytes = {28, 28}};

	while (n-- > 0)
		flow_sink_put(sink, &r);
}

/* What the messages so far have brought. */
struct seen {
	unsigned int messages, templates, options, records; /* first templates; options' records */
	uint32_t sequence;
	uint32_t bytes[512]; /* of a record, by template */
};

static uint32_t read_template(const uint8_t *p, bool options, uint32_t *bytes)
{
	uint32_t n = get(p + 2, 2), at = options ? 6 : 4;

	for (*bytes = 0; n-- > 0; at += 4) {
		*bytes += get(p + at + 2, 2);
		at += get(p + at, 2) & 0x8000 ? 4 : 0;
	}
	return at;
}

static void read_set(struct seen *s, uint32_t id, const uint8_t *p, uint32_t size)
{
	for (uint32_t at = 0; (id == 2 || id == 3) && at < size;) {
		uint32_t t = get(p + at, 2);

		assert_in_range(t, 256, 511);
		s->templates += t == 256;
		at += read_template(p + at, id == 3, &s->bytes[t]);
		s->bytes[t] |= id == 3 ? 1u << 31 : 0;
		assert_true(at <= size);
	}
	if (id < 256)
		return;
	assert_in_range(id, 256, 511);
	assert_true(s->bytes[id] != 0); /* its template came first */
	assert_int_equal(size % (s->bytes[id] & INT32_MAX), 0);
	if (s->bytes[id] >> 31)
		s->options += size / (s->bytes[id] & INT32_MAX);
	else
		s->records += size / s->bytes[id];
}

static void read_message(struct seen *s, const uint8_t *p, size_t len)
{
	assert_in_range(len, 20, IPFIX_MESSAGE_MAX);
	assert_int_equal(get(p, 2), 10);
	assert_int_equal(get(p + 2, 2), len);
	assert_int_equal(
		get(p + 8, 4), s->options + s->records); /* none is missing, none told twice */
	assert_int_equal(get(p + 12, 4), 42);
	for (size_t at = 16; at < len; at += get(p + at + 2, 2))
		read_set(s, get(p + at, 2), p + at + 4, get(p + at + 2, 2) - 4);
	s->messages++;
}

static void receive(int fd, struct seen *s)
{
	struct pollfd p = {fd, POLLIN, 0};
	uint8_t text[65536];
	ssize_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = recv(fd, text, sizeof(text), 0);
	assert_true(n > 0);
	read_message(s, text, (size_t)n);
}

/* Until templates are due again. */
static void pass_period(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2 * TEMPLATES_MS * 1000000}, NULL);
}

/* RFC 7011: over UDP templates and options come before what needs them, and again and again; sequence numbers count all data records. */
static void test_udp(void **state)
{
	struct flow_tally *tally = flow_tally_new();
	struct flow_sink_figures figures;
	struct seen s = {.messages = 0};
	char text[64];
	int fd = listen_at(SOCK_DGRAM, text);
	struct flow_sink *sink = open_sink(text, tally);

	(void)state;
	for (unsigned int i = 1; i <= 5; i++) {
		pass_period();
		put(sink, 200); /* more than a message takes */
		while (s.records < i * 400)
			receive(fd, &s);
		assert_true(s.templates >= i); /* they are told in each of its periods */
	}
	assert_int_equal(s.records, 2000);
	assert_true(s.options >= 10);
	flow_sink_figures(sink, &figures);
	assert_int_equal(figures.lost, 0);
	flow_sink_close(sink);
	assert_true(flow_sinks_wait());
	flow_tally_put(tally);
	close(fd);
}

static void wait_for_reason(struct flow_sink *sink)
{
	struct flow_sink_figures figures;

	for (unsigned int i = 0; i < WAIT_MS / 10; i++) {
		flow_sink_figures(sink, &figures);
		if (figures.reason[0] != '\0')
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("no reason");
}

static void wait_for_lost(struct flow_sink *of, uint64_t lost)
{
	struct flow_sink_figures figures;

	for (unsigned int i = 0; i < WAIT_MS / 10; i++) {
		flow_sink_figures(of, &figures);
		if (figures.lost == lost)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("%llu lost", (unsigned long long)figures.lost);
}

/* Nobody waits for who is away: neither one that refuses, nor one that does not answer; what waited for them is counted, in the log's tally,
 * whose next sink is there already. */
static void test_away(void **state)
{
	char refusing[64], silent[64], there[64];
	int fd = listen_at(SOCK_STREAM, refusing), mute = listen_at(SOCK_STREAM, silent);
	int good = listen_at(SOCK_STREAM, there), fill[4];
	struct flow_sink *away[2], *next[2];
	struct flow_tally *tally[2];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	(void)state;
	close(fd);
	/* A full backlog answers no SYN. */
	assert_int_equal(listen(mute, 0), 0);
	assert_int_equal(getsockname(mute, (struct sockaddr *)&a, &len), 0);
	for (unsigned int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	for (unsigned int i = 0; i < 2; i++) {
		tally[i] = flow_tally_new();
		away[i] = open_sink(i == 0 ? refusing : silent, tally[i]);
		next[i] = open_sink(there, tally[i]);
		put(away[i], 100);
	}
	for (unsigned int i = 0; i < 2; i++) {
		wait_for_reason(away[i]);
		flow_sink_close(away[i]);
	}
	assert_true(flow_sinks_wait()); /* not FLOW_SINK_LINGER_MS */
	for (unsigned int i = 0; i < 2; i++) {
		wait_for_lost(next[i], 200);
		flow_sink_close(next[i]);
		flow_tally_put(tally[i]);
	}
	assert_true(flow_sinks_wait());
	for (unsigned int i = 0; i < 4; i++)
		close(fill[i]);
	close(mute);
	close(good);
}

/* What a collector that is there has not got yet at the end, it gets. */
static void test_end(void **state)
{
	struct flow_tally *tally = flow_tally_new();
	struct seen s = {.messages = 0};
	static uint8_t text[1 << 20];
	size_t len = 0, at = 0;
	ssize_t n;
	char where[64];
	int fd = listen_at(SOCK_STREAM, where), stream;
	struct flow_sink *sink = open_sink(where, tally);

	(void)state;
	stream = accept(fd, NULL, NULL);
	assert_true(stream >= 0);
	put(sink, 2000);
	flow_sink_close(sink);
	while ((n = recv(stream, text + len, sizeof(text) - len, 0)) > 0)
		len += (size_t)n;
	for (; at < len; at += get(text + at + 2, 2))
		read_message(&s, text + at, get(text + at + 2, 2));
	assert_int_equal(s.records, 4000);
	assert_int_equal(s.templates, 1); /* once a connection */
	assert_true(flow_sinks_wait());
	flow_tally_put(tally);
	close(stream);
	close(fd);
}

static void wait_for_reason_to_go(struct flow_sink *sink)
{
	struct flow_sink_figures figures;

	for (unsigned int i = 0; i < WAIT_MS / 10; i++) {
		flow_sink_figures(sink, &figures);
		if (figures.reason[0] == '\0')
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("still: %s", figures.reason);
}

/* A file that can not be made is told of before there is any record, and so is that it can be by now. */
static void test_file(void **state)
{
	char top[] = "/tmp/vpc-flow-sink.XXXXXX", directory[64], path[80], collector[96];
	struct flow_tally *tally = flow_tally_new();
	struct flow_sink_figures figures;
	struct flow_sink *sink;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(directory, sizeof(directory), "%s/later", top);
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(collector, sizeof(collector), "file:%s", path);
	sink = open_sink(collector, tally);
	wait_for_reason(sink);
	flow_sink_figures(sink, &figures);
	assert_non_null(strstr(figures.reason, "No such file"));
	assert_int_equal(mkdir(directory, 0700), 0);
	wait_for_reason_to_go(sink);
	put(sink, 1);
	flow_sink_close(sink);
	assert_true(flow_sinks_wait());
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 0);
	flow_tally_put(tally);
	unlink(path);
	rmdir(directory);
	rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
