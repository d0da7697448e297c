// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli/cli.h"

static char *translate(const char *name, char *dst, size_t size, char from, char to)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++)
		dst[i] = name[i] == from ? to : name[i];
	dst[i] = '\0';
	return dst;
}

char *text_dashes(const char *name, char *dst, size_t size)
{
	return translate(name, dst, size, '_', '-');
}

char *text_underscores(const char *name, char *dst, size_t size)
{
	return translate(name, dst, size, '-', '_');
}

void text_init(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8"))
		setlocale(LC_CTYPE, "C.UTF-8");
}

size_t text_width(const char *text)
{
	mbstate_t state = {0};
	size_t width = 0;

	while (*text) {
		wchar_t c;
		size_t length = mbrtowc(&c, text, strlen(text), &state);
		int columns;

		if (length == (size_t)-1 || length == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			length = 1;
			c = L'?';
		}
		columns = wcwidth(c);
		width += columns > 0 ? (size_t)columns : 0;
		text += length;
	}
	return width;
}

void text_wrap(FILE *out, const char *text, size_t indent, size_t width)
{
	size_t column = indent;

	while (*text) {
		size_t length = strcspn(text, " \n");

		if (column > indent && column + 1 + length > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, length, out);
		column += length;
		text += length;
		text += strspn(text, " \n");
	}
	fputc('\n', out);
}

int cli_fail(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("vpcctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

void *must(void *memory)
{
	if (!memory) {
		fputs("vpcctl: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

char *text_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return must(text);
}
