/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct kind_rules *const all[] = {
	&rules_vpc,
	&rules_subnet,
	&rules_port,
	&rules_node,
	&rules_route,
	&rules_peering,
	&rules_security_group,
	&rules_eip_pool,
	&rules_eip,
	&rules_nat_gateway,
	&rules_load_balancer,
	&rules_mirror,
};

const struct kind_rules *rules_of(const struct kind *kind)
{
	static const struct kind_rules none;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->kind, kind->name) == 0)
			return all[i];
	return &none;
}

static char exhausted_what[32];

bool rules_exhausted(
	struct resource_error *error, const char *path, const char *what, const char *format, ...)
{
	char reason[RESOURCE_REASON_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	snprintf(exhausted_what, sizeof(exhausted_what), "%s", what);
	return resource_fail_code(error, ERROR_EXHAUSTED, path, "%s", reason);
}

static char user_kind[64], user_name[RESOURCE_NAME_MAX + 1];

bool rules_in_use(struct resource_error *error, const char *path, const struct object *user,
	const char *format, ...)
{
	char reason[RESOURCE_REASON_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	snprintf(user_kind, sizeof(user_kind), "%s", user->kind->name);
	snprintf(user_name, sizeof(user_name), "%s", user->name);
	return resource_fail_code(error, ERROR_IN_USE, path, "%s", reason);
}

json_t *rules_in_use_data(void)
{
	return json_pack("{s:[{s:s, s:s}]}", "referrers", "kind", user_kind, "name", user_name);
}

const char *rules_exhausted_what(void)
{
	return exhausted_what;
}

struct object *vpc_of(const struct object *object)
{
	const struct kind *vpc = kind_find("vpc"), *subnet = kind_find("subnet");
	struct object *parent;

	if (object->kind == vpc)
		return (struct object *)object;
	parent = object_target(object, vpc);
	if (parent != NULL)
		return parent;
	parent = object_target(object, subnet);
	return parent != NULL ? object_target(parent, vpc) : NULL;
}
