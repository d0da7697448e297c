// SPDX-License-Identifier: Apache-2.0
/*
 * Text made from the descriptions: docs/reference.md, and sections of vpcctl's man page.
 */
#ifndef LIB_REFERENCE_H
#define LIB_REFERENCE_H

#include <stdio.h>

struct field;

/* A field's type in words: "list of CIDR (1..8)", "tcp | udp | …", "name of a vpc". Returns `text`.
 */
char *reference_type(const struct field *field, char *text, size_t size);

/* The reference of kinds, methods and errors in Markdown. */
void reference_markdown(FILE *out);
/* The RESOURCES and ERRORS sections of vpcctl(1) in man(7) macros. */
void reference_man(FILE *out);
/* Text in which no macro or escape of roff hides. */
void reference_roff(const char *text, FILE *out);

#endif
