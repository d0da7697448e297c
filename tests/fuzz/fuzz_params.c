// SPDX-License-Identifier: Apache-2.0
/*
 * "METHOD JSON": params of every method. What is accepted must be accepted again in its canonical form, and
 * not change any more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct method *method, const json_t *params)
{
	struct resource_error error;
	json_t *once, *twice;

	if (!method_validate(method, params, &once, NULL, &error)) {
		if (error.reason[0] == '\0' || strlen(error.path) >= RESOURCE_PATH_MAX)
			abort();
		return;
	}
	/* An update's canonical form may have null in it, which stays null. */
	if (!method_validate(method, once, &twice, NULL, &error) || !json_equal(once, twice))
		abort();
	json_decref(once);
	json_decref(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *space = memchr(data, ' ', size);
	const struct method *method;
	json_t *params;
	char name[64];

	if (!space || (size_t)(space - data) >= sizeof(name))
		return 0;
	memcpy(name, data, (size_t)(space - data));
	name[space - data] = '\0';
	method = method_find(name);
	params = json_loadb(
		(const char *)space, size - (size_t)(space - data), JSON_DECODE_ANY, NULL);
	if (method && params)
		check(method, params);
	json_decref(params);
	return 0;
}
