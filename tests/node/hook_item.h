/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_HOOK_ITEM_H
#define TESTS_NODE_HOOK_ITEM_H
/* Items `hook` of programs that are made of instructions. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/hook_random.h"
#include "lib/bytes.h"

struct hook_item {
	const char *name, *scope; /* "\"port a\"" */
	const char *direction, *role;
	const char *mirror; /* NULL: none */
	unsigned int budget, revision;
};

/* The items' JSON, for the caller to free. */
static inline char *hook_item_text(
	const struct hook_item *h, const void *object, size_t object_size)
{
	char *program = base64_text(object, object_size), *text = NULL;
	const char *quote = h->mirror != NULL ? "\"" : "";

	if (asprintf(&text,
		    "[[\"hook\", \"%s\", [%s], \"%s\", \"%s\", \"%s\", \"\", %u, %s%s%s, %u]]",
		    h->name, h->scope, h->direction, h->role, program, h->budget, quote,
		    h->mirror != NULL ? h->mirror : "null", quote, h->revision) < 0)
		abort();
	free(program);
	return text;
}

static inline char *hook_item_of(
	const struct hook_item *h, const struct hook_insn *insns, uint32_t n)
{
	uint8_t *object = malloc(HOOK_OBJECT_HEAD + n * sizeof(*insns));
	char *text = hook_item_text(h, object, hook_object(object, insns, n));

	free(object);
	return text;
}

#endif
