// SPDX-License-Identifier: Apache-2.0
/* The resources in files that -f names. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <jansson.h>
#include <stddef.h>

struct files;

/*
 * Reads files ("-": standard input): streams of documents in YAML or JSON, each a resource with its
 * kind, a list of such, or {resources: [...]}. NULL when one cannot be read or has something else in
 * it, said on stderr.
 */
struct files *files_read(const json_t *paths);
void files_free(struct files *files);

/* All of them in their order; borrowed. */
json_t *files_resources(const struct files *files);

/*
 * "FILE:LINE: cidrs[0]" of a pointer into the resources ("/resources/3/cidrs/0"); NULL when it is none
 * of those. malloc()ed.
 */
char *files_where(const struct files *files, const char *pointer);

#endif
