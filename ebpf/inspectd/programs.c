/* SPDX-License-Identifier: Apache-2.0 */
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "inspect.skel.h"
#include "lib/log.h"

#define BPF_FS 0xcafe4a11
#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

uint64_t programs_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

int programs_map(const struct programs *p, const char *name)
{
	return bpf_object__find_map_fd_by_name(p->object, name);
}

int programs_program(const struct programs *p, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(p->object, name);

	return program != NULL ? bpf_program__fd(program) : -ENOENT;
}

uint64_t programs_counter(const struct programs *p, enum sight_counter counter)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t key = counter;
	uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint64_t sum = 0;

	if (values != NULL && bpf_map_lookup_elem(programs_map(p, "counters"), &key, values) == 0)
		for (int i = 0; i < cpus; i++)
			sum += values[i];
	free(values);
	return sum;
}

/* ---- libbpf's words ---- */

/* The verifier's log is long, its end says why. */
#define WORDS 4096

static int take_words(enum libbpf_print_level level, const char *format, va_list args)
{
	static char text[1 << 16]; /* one thread */
	char *end;
	size_t len;

	if (level == LIBBPF_DEBUG || (level == LIBBPF_INFO && !log_enabled(LOG_LEVEL_DEBUG)))
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	len = strlen(text);
	for (end = text + len; end > text && end[-1] == '\n'; end--)
		end[-1] = '\0';
	end = strlen(text) > WORDS ? text + strlen(text) - WORDS : text;
	if (level == LIBBPF_WARN)
		log_warn("libbpf", LOG_STR("text", end));
	else
		log_debug("libbpf", LOG_STR("text", end));
	return 0;
}

/* ---- what this kernel must have ---- */

static const struct {
	enum bpf_map_type type;
	const char *what, *since;
} map_types[] = {
	{BPF_MAP_TYPE_LRU_HASH, "LRU hash maps", "4.10"},
	{BPF_MAP_TYPE_LPM_TRIE, "longest-prefix maps", "4.11"},
	{BPF_MAP_TYPE_RINGBUF, "ring buffers", "5.8"},
};

static const struct {
	enum bpf_prog_type type;
	enum bpf_func_id helper;
	const char *what, *since;
} helpers[] = {
	{BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes, "bpf_xdp_load_bytes()", "5.18"},
	{BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_skb_load_bytes, "bpf_skb_load_bytes()", "4.5"},
};

static void lacks(const char *what, const char *since)
{
	log_error("this kernel lacks a feature that inspection needs", LOG_STR("what", what),
		LOG_STR("since_linux", since));
}

/* After a failure: says what is missing, of all that could be. */
static void say_what_is_missing(void)
{
	for (size_t i = 0; i < sizeof(map_types) / sizeof(map_types[0]); i++)
		if (libbpf_probe_bpf_map_type(map_types[i].type, NULL) == 0)
			lacks(map_types[i].what, map_types[i].since);
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (libbpf_probe_bpf_helper(helpers[i].type, helpers[i].helper, NULL) == 0)
			lacks(helpers[i].what, helpers[i].since);
	if (access(KERNEL_BTF, R_OK) != 0)
		lacks("BTF of itself (CONFIG_DEBUG_INFO_BTF), " KERNEL_BTF, "5.4");
}

/* ---- pins ---- */

static int make_directory(const char *path)
{
	struct statfs fs;
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (mkdir(path, 0700) < 0 && errno == ENOENT && slash != parent) {
		*slash = '\0';
		if (mkdir(parent, 0700) == 0)
			mkdir(path, 0700);
	}
	if (statfs(path, &fs) < 0) {
		log_error("the directory for pinned maps cannot be made", LOG_STR("path", path),
			LOG_ERRNO(errno));
		return -errno;
	}
	if ((unsigned long)fs.f_type != BPF_FS) {
		log_error("the directory for pinned maps is on no BPF file system: mount -t bpf "
			  "bpf /sys/fs/bpf",
			LOG_STR("path", path));
		return -ENOTSUP;
	}
	return 0;
}

/* A pinned map of another shape (its size was configured anew) makes room for one of ours. */
static void retire(const struct bpf_map *map, const char *path)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);
	bool same;

	if (fd < 0)
		return;
	same = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
	close(fd);
	if (same)
		return;
	log_info(
		"a table is made anew: its size has changed", LOG_STR("table", bpf_map__name(map)));
	unlink(path);
}

static void size_tables(struct bpf_object *object, const struct inspectd_config *c)
{
	const struct {
		const char *name;
		uint32_t entries;
	} sizes[] = {{"flows", c->flows}, {"beacons", c->flows}, {"spreads", c->sources},
		{"floods", c->sources}, {"volumes", c->sources}, {"contacts", c->contacts},
		{"events", c->events_bytes}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, sizes[i].name);

		if (map != NULL)
			bpf_map__set_max_entries(map, sizes[i].entries);
	}
}

/* ---- loading ---- */

static int open_object(struct programs *p, const struct inspectd_config *c, const char *pin)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "inspect", .pin_root_path = pin);
	const void *bytes;
	size_t size;

	if (c->object != NULL) {
		p->object = bpf_object__open_file(c->object, &opts);
	} else {
		bytes = inspect_bpf__elf_bytes(&size);
		p->object = bpf_object__open_mem(bytes, size, &opts);
	}
	if (p->object != NULL)
		return 0;
	log_error("the programs cannot be read", LOG_STR("object", c->object), LOG_ERRNO(errno));
	return -errno;
}

static int load_object(struct programs *p)
{
	struct bpf_map *map;
	int rc;

	bpf_object__for_each_map(map, p->object) if (bpf_map__pin_path(map) != NULL)
		retire(map, bpf_map__pin_path(map));
	rc = bpf_object__load(p->object);
	if (rc == -EPERM)
		log_error("programs may not be loaded: this needs CAP_BPF and CAP_NET_ADMIN",
			LOG_ERRNO(rc));
	else if (rc == -EACCES)
		log_error("the kernel's verifier refuses the programs, as it does without "
			  "CAP_PERFMON",
			LOG_ERRNO(rc));
	else if (rc < 0) {
		log_error("this kernel does not load the programs", LOG_ERRNO(rc));
		say_what_is_missing();
	}
	return rc;
}

static int map_memory(struct programs *p)
{
	void *state = mmap(NULL, sizeof(*p->state), PROT_READ | PROT_WRITE, MAP_SHARED,
		programs_map(p, "state"), 0);
	void *records = mmap(NULL, sizeof(*p->records) * SIGHT_RECORDS, PROT_READ, MAP_SHARED,
		programs_map(p, "records"), 0);

	p->state = state != MAP_FAILED ? state : NULL;
	p->records = records != MAP_FAILED ? records : NULL;
	if (p->state != NULL && p->records != NULL)
		return 0;
	log_error("a table cannot be mapped", LOG_ERRNO(errno));
	return -ENOMEM;
}

int programs_load(struct programs *p, const struct inspectd_config *config)
{
	int rc;

	*p = (struct programs){0};
	libbpf_set_print(take_words);
	/* Tables of another form stay where they are, and are forgotten with the next boot. */
	snprintf(p->pin, sizeof(p->pin), "%s/%d", config->pin, SIGHT_ABI);
	rc = make_directory(p->pin);
	if (rc == 0)
		rc = open_object(p, config, p->pin);
	if (rc == 0) {
		size_tables(p->object, config);
		rc = load_object(p);
	}
	if (rc == 0)
		rc = map_memory(p);
	if (rc < 0)
		programs_unload(p);
	return rc;
}

void programs_unload(struct programs *p)
{
	if (p->state != NULL)
		munmap((void *)p->state, sizeof(*p->state));
	if (p->records != NULL)
		munmap((void *)p->records, sizeof(*p->records) * SIGHT_RECORDS);
	bpf_object__close(p->object);
	*p = (struct programs){0};
}
