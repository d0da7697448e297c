// SPDX-License-Identifier: Apache-2.0
/* Where the values of a YAML document came from; what reads it is in yaml_doc.h. */
#ifndef LIB_YAML_LINES_H
#define LIB_YAML_LINES_H

#include <stddef.h>

/* A tree of the shape of the document; what came by an alias is a leaf. */
struct yaml_lines {
	unsigned line;
	char *key; /* in a mapping */
	size_t count;
	struct yaml_lines *children;
};

/* Adds a child; takes key (malloc()ed or NULL). NULL when out of memory. */
struct yaml_lines *yaml_lines_add(struct yaml_lines *parent, unsigned line, char *key);
/* Frees all below and the key. */
void yaml_lines_clear(struct yaml_lines *lines);

#endif
