/* SPDX-License-Identifier: Apache-2.0 */
#include "core/drop.h"

#include <string.h>

static const struct {
	const char *name, *help;
} reasons[] = {
#define X(id, text, about) [DROP_##id] = {text, about},
	DROP_REASONS(X)
#undef X
};

const char *drop_reason_name(enum drop_reason reason)
{
	return reason < DROP_MAX ? reasons[reason].name : "unknown";
}

const char *drop_reason_help(enum drop_reason reason)
{
	return reason < DROP_MAX ? reasons[reason].help : "";
}

enum drop_reason drop_reason_by_name(const char *name)
{
	for (unsigned int i = 0; i < DROP_MAX; i++)
		if (strcmp(reasons[i].name, name) == 0)
			return (enum drop_reason)i;
	return DROP_MAX;
}
