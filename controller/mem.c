/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include "lib/log.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (p == NULL) {
		log_error("out of memory");
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return must(malloc(size != 0 ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
	return must(calloc(count != 0 ? count : 1, size));
}

void *mem_realloc(void *old, size_t size)
{
	return must(realloc(old, size));
}

char *mem_strdup(const char *text)
{
	return must(strdup(text));
}

char *mem_printf(const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	return must(n < 0 ? NULL : text);
}

json_t *mem_json(json_t *value)
{
	return must(value);
}

/* It costs some milliseconds, which only a large heap is worth. */
#define TRIM_FROM 10000

void mem_trim(size_t objects)
{
	if (objects >= TRIM_FROM)
		malloc_trim(0);
}
