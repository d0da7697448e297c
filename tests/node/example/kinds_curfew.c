/* SPDX-License-Identifier: Apache-2.0 */
/* The resource `curfew` as users see it. */
#include "lib/kinds.h"

extern const struct kind kind_curfew; /* in lib/kinds.h */

static const struct field no_status[] = {{}};

static const struct field curfew_fields[] = {
	KIND_IN_VPC("night", "the VPC that is to be quiet"),
	{.name = "reason",
		.type = FIELD_STRING,
		.flags = FIELD_REQUIRED,
		.min = 1,
		.max = 80,
		.help = "why, for those who ask",
		.example = "\"maintenance until 6:00\""},
	KIND_SERVER_FIELDS(no_status),
	{},
};

const struct kind kind_curfew = {
	.name = "curfew",
	.plural = "curfews",
	.help = "Stops all traffic of a VPC.",
	.parent = "vpc",
	.fields = curfew_fields,
	.example = "{\"name\": \"night\", \"vpc\": \"prod\", \"reason\": \"maintenance\"}",
};
