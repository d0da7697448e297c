/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CO-RE: what the programs ask of the kernel's types is answered by whichever kernel's BTF is at hand: this one's, one
 * that has none of it, and the one in the file VPC_KERNEL_BTF (test_inspectd.py gives Debian's cloud kernel's).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <errno.h>

#include "inspect.skel.h"

static struct {
	unsigned resolved[2]; /* relocations that became 0, 1 */
	char last_words[1024];
} seen;

/* "… relo #0: patched insn #12 (LDIMM64) imm64 0 -> 1" */
static int watch(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[1024];
	const char *arrow;

	vsnprintf(text, sizeof(text), format, args);
	arrow = strstr(text, " -> ");
	if (level == LIBBPF_DEBUG && strstr(text, "patched insn") != NULL && arrow != NULL)
		seen.resolved[atoi(arrow + 4) != 0]++;
	if (level == LIBBPF_WARN)
		memcpy(seen.last_words, text, sizeof(text));
	return 0;
}

static void load_for(const char *btf_path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf_path);
	struct inspect_bpf *skeleton = inspect_bpf__open_opts(&opts);
	struct bpf_map *map;
	int rc;

	memset(&seen, 0, sizeof(seen));
	assert_non_null(skeleton);
	bpf_object__for_each_map(map, skeleton->obj) bpf_map__set_pin_path(map, NULL);
	rc = inspect_bpf__load(skeleton);
	inspect_bpf__destroy(skeleton);
	if (rc == -EPERM || rc == -ENOSYS) {
		fprintf(stderr, "programs cannot be loaded here: %s\n", strerror(-rc));
		exit(77);
	}
	if (rc < 0)
		fail_msg("%s", seen.last_words);
}

/* It lends the coarse clock since 5.11. */
static void test_this_kernel(void **state)
{
	(void)state;
	load_for(NULL);
	assert_true(seen.resolved[1] > 0);
	assert_int_equal(seen.resolved[0], 0);
}

/* An enum of that name with nothing we ask for in it: the programs do without. */
static void test_kernel_without(void **state)
{
	char path[] = "/tmp/vpct-btf-XXXXXX";
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t size;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && btf != NULL);
	assert_true(btf__add_enum(btf, "bpf_func_id", 4) > 0);
	assert_int_equal(btf__add_enum_value(btf, "BPF_FUNC_unspec", 0), 0);
	data = btf__raw_data(btf, &size);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	load_for(path);
	unlink(path);
	btf__free(btf);
	assert_true(seen.resolved[0] > 0);
	assert_int_equal(seen.resolved[1], 0);
}

static void test_given_kernel(void **state)
{
	(void)state;
	load_for(getenv("VPC_KERNEL_BTF"));
	assert_true(seen.resolved[1] > 0);
	assert_int_equal(seen.resolved[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_kernel),
		cmocka_unit_test(test_kernel_without),
	};
	const struct CMUnitTest given[] = {cmocka_unit_test(test_given_kernel)};

	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
		fprintf(stderr, "this kernel has no BTF of itself\n");
		return 77;
	}
	libbpf_set_print(watch);
	if (getenv("VPC_KERNEL_BTF") != NULL)
		return cmocka_run_group_tests(given, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
