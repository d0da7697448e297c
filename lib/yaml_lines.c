// SPDX-License-Identifier: Apache-2.0
#include "lib/yaml_lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/yaml_doc.h"

void yaml_lines_clear(struct yaml_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		yaml_lines_clear(&lines->children[i]);
	free(lines->children);
	free(lines->key);
	memset(lines, 0, sizeof(*lines));
}

struct yaml_lines *yaml_lines_add(struct yaml_lines *parent, unsigned line, char *key)
{
	struct yaml_lines *child;

	/* The array doubles at each power of two. */
	if ((parent->count & (parent->count - 1)) == 0) {
		size_t capacity = parent->count > 0 ? parent->count * 2 : 1;

		child = realloc(parent->children, capacity * sizeof(*child));
		if (child == NULL) {
			free(key);
			return NULL;
		}
		parent->children = child;
	}
	child = &parent->children[parent->count++];
	*child = (struct yaml_lines){.line = line, .key = key};
	return child;
}

/* Is the token of a JSON pointer, up to '/' or the end, this key? "~1" is '/', "~0" is '~'. */
static bool token_is(const char *token, const char *key)
{
	for (; *token != '\0' && *token != '/'; token++, key++) {
		char c = *token;

		if (c == '~' && (token[1] == '0' || token[1] == '1'))
			c = *++token == '1' ? '/' : '~';
		if (c != *key)
			return false;
	}
	return *key == '\0';
}

static const struct yaml_lines *lines_child(const struct yaml_lines *lines, const char *token)
{
	for (size_t i = 0; i < lines->count; i++) {
		const struct yaml_lines *child = &lines->children[i];

		if (child->key != NULL && token_is(token, child->key))
			return child;
	}
	if (lines->count > 0 && lines->children[0].key == NULL && *token >= '0' && *token <= '9') {
		size_t index = strtoul(token, NULL, 10);

		if (index < lines->count)
			return &lines->children[index];
	}
	return NULL;
}

unsigned yaml_doc_line(const struct yaml_doc *doc, const char *pointer)
{
	const struct yaml_lines *lines = doc->lines;
	const struct yaml_lines *child = lines;

	for (const char *p = strchr(pointer, '/'); p != NULL && child != NULL;
		p = strchr(p + 1, '/')) {
		child = lines_child(lines, p + 1);
		if (child != NULL)
			lines = child;
	}
	return lines != NULL ? lines->line : doc->line;
}

/* One token of a pointer in the way of a path. Returns where it ended. */
static const char *put_token(const char *token, char *dst, size_t size, size_t *len)
{
	size_t n = strcspn(token, "/");
	bool index = n > 0 && strspn(token, "0123456789") == n;
	const char *end = token + n;

	if (index && *len + 1 < size)
		dst[(*len)++] = '[';
	else if (*len > 0 && *len + 1 < size)
		dst[(*len)++] = '.';
	for (; token < end && *len + 1 < size; token++) {
		char c = *token;

		if (c == '~' && token + 1 < end)
			c = *++token == '1' ? '/' : '~';
		dst[(*len)++] = c;
	}
	if (index && *len + 1 < size)
		dst[(*len)++] = ']';
	return end;
}

char *yaml_pointer_path(const char *pointer, char *dst, size_t size)
{
	size_t len = 0;

	while (*pointer == '/')
		pointer = put_token(pointer + 1, dst, size, &len);
	dst[len] = '\0';
	return dst;
}
