// SPDX-License-Identifier: Apache-2.0
/*
 * A daemon's configuration file: YAML (so JSON too) with one top-level mapping, its mistakes
 * reported as `FILE:LINE: path.to.key: what is wrong`. On any of them the program exits with
 * CONFIG_EXIT.
 */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <stdbool.h>

#include "lib/resource.h"
#include "lib/yaml_doc.h"

#define CONFIG_EXIT 2

struct config {
	const char *path;      /* borrowed; NULL: no file, root is empty */
	json_t *root;          /* an object; own reference */
	struct yaml_doc *docs; /* owned */
	size_t doc_count;
	unsigned errors; /* mistakes reported so far */
};

/*
 * Loads a file; a NULL path and an empty file give an empty object. 0, or -errno after having said
 * on stderr what is wrong.
 */
int config_load(struct config *config, const char *path);

/*
 * Checks the root against a table of fields (resource.h) and puts the canonical form with all
 * defaults in its place. 0, or -EINVAL after having reported the first mistake.
 */
int config_check(struct config *config, const struct field *fields);

void config_free(struct config *config);

/* Reports a mistake at a JSON pointer on stderr and counts it. Returns -EINVAL. */
int config_error(struct config *config, const char *pointer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
