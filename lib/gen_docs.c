// SPDX-License-Identifier: Apache-2.0
/* gen-docs markdown|man|openrpc: prints what is made from the descriptions. Run by the build. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/openrpc.h"
#include "lib/reference.h"

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "markdown")) {
		reference_markdown(stdout);
	} else if (!strcmp(what, "man")) {
		reference_man(stdout);
	} else if (!strcmp(what, "openrpc")) {
		json_t *document = openrpc_document();

		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	} else {
		fprintf(stderr, "usage: gen-docs markdown|man|openrpc\n");
		return 2;
	}
	return fflush(stdout) ? 1 : 0;
}
