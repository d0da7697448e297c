/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as node.yaml, as controller.yaml and as a file of resources. What is refused is refused in words; what is accepted
 * is accepted again in its canonical form, and is the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/files.h"
#include "controller/config.h"
#include "core/config.h"
#include "lib/log.h"
#include "lib/resource.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file of this process; the name is that of its descriptor. */
struct file {
	int fd;
	char path[32];
};

static struct file file_with(const void *text, size_t size)
{
	struct file f = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};

	if (f.fd < 0 || write(f.fd, text, size) != (ssize_t)size)
		abort();
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

static struct file file_of(const json_t *json)
{
	char *text = json_dumps(json, 0);
	struct file f = file_with(text, strlen(text));

	free(text);
	return f;
}

static void try_node(const char *path)
{
	struct node_config once, twice;
	struct file again;

	if (node_config_load(&once, path) != 0)
		return;
	again = file_of(once.root);
	if (node_config_load(&twice, again.path) != 0 || !json_equal(once.root, twice.root))
		abort();
	close(again.fd);
	node_config_free(&once);
	node_config_free(&twice);
}

static void try_controller(const char *path)
{
	struct controller_config c;

	/* What was taken before the mistake is freed, too. */
	if (controller_config_load(&c, path) == 0 && (c.listen == NULL || c.store == NULL))
		abort();
	controller_config_free(&c);
}

static void try_resources(const char *path)
{
	json_t *paths = json_pack("[s]", path);
	struct files *files = files_read(paths);
	json_t *resource;
	size_t i;

	json_decref(paths);
	if (files == NULL)
		return;
	json_array_foreach (files_resources(files), i, resource) {
		const char *kind = resource_text(resource, "kind");
		char pointer[64];

		snprintf(pointer, sizeof(pointer), "/resources/%zu/name", i);
		free(files_where(files, pointer));
		if (!json_is_object(resource) || kind == NULL)
			abort();
	}
	files_free(files);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	/* libFuzzer writes to the descriptor, they to the stream. */
	stderr = fopen("/dev/null", "w");
	return stderr != NULL ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file f = file_with(data, size);

	try_node(f.path);
	try_controller(f.path);
	try_resources(f.path);
	close(f.fd);
	return 0;
}
