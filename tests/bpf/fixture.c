/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "inspect.skel.h"

#define START_NS (1000 * 1000000000ULL)

static const struct sight_rule defaults[SIGHT_DETECTORS] = {
#define X(symbol, name, threshold, window) [symbol] = {threshold, window},
	SIGHT_DETECTORS_X(X)
#undef X
};

static char last_words[2048];

static int keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN)
		vsnprintf(last_words, sizeof(last_words), format, args);
	return 0;
}

int fixture_map(struct fixture *f, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(f->skeleton->obj, name);

	assert_true(fd >= 0);
	return fd;
}

static void *mapped(struct fixture *f, const char *name, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fixture_map(f, name), 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int take_event(void *arg, void *data, size_t size)
{
	struct fixture *f = arg;

	assert_int_equal(size, sizeof(struct sight_event));
	if (f->event_count < FIXTURE_EVENTS)
		memcpy(&f->events[f->event_count++], data, size);
	return 0;
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct bpf_map *map;
	int rc;

	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
		fprintf(stderr, "this kernel has no BTF of itself\n");
		exit(77);
	}
	libbpf_set_print(keep_words);
	f->skeleton = inspect_bpf__open();
	assert_non_null(f->skeleton);
	bpf_object__for_each_map(map, f->skeleton->obj) bpf_map__set_pin_path(map, NULL);
	f->skeleton->rodata->clock_is_set = true;
	rc = inspect_bpf__load(f->skeleton);
	if (rc == -EPERM || rc == -ENOSYS) {
		fprintf(stderr, "programs cannot be loaded here: %s\n", strerror(-rc));
		exit(77);
	}
	if (rc < 0)
		fprintf(stderr, "%s\n", last_words);
	assert_int_equal(rc, 0);
	f->state = mapped(f, "state", sizeof(*f->state));
	f->records = mapped(f, "records", sizeof(struct sight_record) * SIGHT_RECORDS);
	f->ring = ring_buffer__new(fixture_map(f, "events"), take_event, f, NULL);
	assert_non_null(f->ring);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	munmap(f->state, sizeof(*f->state));
	munmap(f->records, sizeof(struct sight_record) * SIGHT_RECORDS);
	ring_buffer__free(f->ring);
	inspect_bpf__destroy(f->skeleton);
	free(f);
	return 0;
}

static void empty(int fd)
{
	uint8_t key[128];

	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

void fixture_set_vpc(struct fixture *f, const struct sight_vpc *vpc)
{
	uint32_t vni = FIXTURE_VNI;

	assert_int_equal(bpf_map_update_elem(fixture_map(f, "vpcs"), &vni, vpc, BPF_ANY), 0);
}

struct sight_vpc fixture_vpc(struct fixture *f)
{
	uint32_t vni = FIXTURE_VNI;
	struct sight_vpc vpc;

	assert_int_equal(bpf_map_lookup_elem(fixture_map(f, "vpcs"), &vni, &vpc), 0);
	return vpc;
}

void fixture_rule(struct fixture *f, unsigned detector, unsigned threshold, unsigned window_s)
{
	struct sight_vpc vpc = fixture_vpc(f);

	vpc.rules[detector] = (struct sight_rule){threshold, window_s};
	fixture_set_vpc(f, &vpc);
}

void fixture_set_interface(
	struct fixture *f, uint32_t ifindex, const struct sight_interface *interface)
{
	assert_int_equal(
		bpf_map_update_elem(fixture_map(f, "interfaces"), &ifindex, interface, BPF_ANY), 0);
}

static void zero_counters(struct fixture *f)
{
	uint64_t zeros[1024] = {0};

	assert_true(libbpf_num_possible_cpus() <= 1024);
	for (uint32_t i = 0; i < SIGHT_COUNTERS; i++)
		assert_int_equal(
			bpf_map_update_elem(fixture_map(f, "counters"), &i, zeros, BPF_ANY), 0);
}

void fixture_reset(struct fixture *f, unsigned detectors)
{
	static const char *const tables[] = {"vpcs", "interfaces", "flows", "spreads", "floods",
		"contacts", "beacons", "volumes", "indicators", "prefixes"};
	struct sight_vpc vpc = {0};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		empty(fixture_map(f, tables[i]));
	zero_counters(f);
	memset(f->state, 0, sizeof(*f->state));
	f->state->clock_ns = START_NS;
	ring_buffer__consume(f->ring);
	f->event_count = 0;
	f->feed = (struct frame_feed){.vni = FIXTURE_VNI, .sender = 7, .receiver = 8};
	for (unsigned i = 0; i < SIGHT_DETECTORS; i++)
		if (detectors & 1U << i)
			vpc.rules[i] = defaults[i];
	fixture_set_vpc(f, &vpc);
}

static int program_of(struct fixture *f, enum fixture_entry entry)
{
	struct bpf_program *programs[] = {f->skeleton->progs.feed_xdp, f->skeleton->progs.feed_tc,
		f->skeleton->progs.port_xdp, f->skeleton->progs.port_tc_in,
		f->skeleton->progs.port_tc_out};

	return bpf_program__fd(programs[entry]);
}

int fixture_run(struct fixture *f, enum fixture_entry entry, const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes,
		.data_size_in = (uint32_t)frame->len, .repeat = 1);
	int rc = bpf_prog_test_run_opts(program_of(f, entry), &opts);

	if (rc < 0)
		fail_msg("run of %zu bytes by %d: %s", frame->len, entry, strerror(-rc));
	return (int)opts.retval;
}

void fixture_send(struct fixture *f, const struct frame_spec *spec)
{
	struct frame frame;

	frame_make(&frame, spec);
	frame_feed(&frame, &f->feed);
	assert_int_equal(fixture_run(f, FEED_XDP, &frame), XDP_DROP);
}

void fixture_pass(struct fixture *f, unsigned ms)
{
	f->state->clock_ns += ms * 1000000ULL;
}

const struct sight_record *fixture_last(struct fixture *f)
{
	assert_true(f->state->cursor > 0);
	return &f->records[(f->state->cursor - 1) % SIGHT_RECORDS];
}

uint64_t fixture_counter(struct fixture *f, enum sight_counter counter)
{
	uint64_t values[1024], sum = 0;
	uint32_t key = counter;

	assert_int_equal(bpf_map_lookup_elem(fixture_map(f, "counters"), &key, values), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i];
	return sum;
}

unsigned fixture_events(struct fixture *f, unsigned detector)
{
	unsigned n = 0;

	ring_buffer__consume(f->ring);
	for (unsigned i = 0; i < f->event_count; i++)
		n += f->events[i].detector == detector;
	return n;
}

bool fixture_is(const union sight_addr *address, const char *text)
{
	union sight_addr expected = {.b = {[10] = 0xff, [11] = 0xff}};

	if (strchr(text, ':') != NULL)
		assert_int_equal(inet_pton(AF_INET6, text, expected.b), 1);
	else
		assert_int_equal(inet_pton(AF_INET, text, expected.b + 12), 1);
	return memcmp(expected.b, address->b, 16) == 0;
}
