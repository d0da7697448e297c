/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a session from another node: refused, or one that is written again as a text that says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), again[RECORD_TEXT_MAX], third[RECORD_TEXT_MAX];
	struct record r, same;

	memcpy(text, data, size);
	text[size] = '\0';
	if (record_parse(text, &r) == NULL) {
		if (record_format(&r, again) >= sizeof(again) || record_parse(again, &same) != NULL)
			abort();
		record_format(&same, third);
		if (strcmp(again, third) != 0)
			abort();
	}
	free(text);
	return 0;
}
