// SPDX-License-Identifier: Apache-2.0
/*
 * YAML text to JSON values, with the line each value came from.
 *
 * Scalars follow YAML 1.2's core schema where it is unambiguous: quoted ones are strings; null, ~
 * and nothing are null; true and false are booleans; decimal integers, 0x and 0o, and decimal
 * fractions are numbers; everything else is a string: yes, on, 1:2, 02:00:00:00:00:01, 10.0.0.0/16,
 * 007. Refused: duplicate keys, keys that are no scalars, tags of other types, more than 64 levels,
 * and documents that grow beyond a million values by aliases.
 */
#ifndef LIB_YAML_DOC_H
#define LIB_YAML_DOC_H

#include <jansson.h>
#include <stddef.h>

struct yaml_lines;

struct yaml_doc {
	json_t *root;             /* owned; JSON null for an empty document */
	struct yaml_lines *lines; /* owned */
	unsigned line;            /* where the document starts */
};

struct yaml_error {
	unsigned line; /* 1-based; 0: none known */
	char message[256];
};

/*
 * Parses a stream of documents into a malloc()ed array; empty documents are left out. 0 with *docs
 * and *count, or -EINVAL / -ENOMEM with *error. Free with yaml_docs_free().
 */
int yaml_docs_parse(const char *text, size_t len, struct yaml_doc **docs, size_t *count,
	struct yaml_error *error);
void yaml_docs_free(struct yaml_doc *docs, size_t count);

/*
 * Line of the value at a JSON pointer (RFC 6901; "" is the root): that of its key in a mapping. Of
 * the nearest existing ancestor when there is no such value.
 */
unsigned yaml_doc_line(const struct yaml_doc *doc, const char *pointer);

/* "path.to.key[2]" of a JSON pointer, for people. Returns dst. */
char *yaml_pointer_path(const char *pointer, char *dst, size_t size);

/* The whole file (path "-": standard input), malloc()ed and terminated; at most 256 MiB. 0, -errno.
 */
int yaml_read_file(const char *path, char **text, size_t *len);

#endif
