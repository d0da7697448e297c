/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include "mem.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static size_t rules_in(const json_t *json)
{
	return json_array_size(json_object_get(json, "rules"));
}

static const char *tenant_in(const json_t *json)
{
	const char *tenant = resource_text(json, "tenant");

	return tenant != NULL ? tenant : RESOURCE_TENANT_DEFAULT;
}

void quota_count(
	struct model *model, const struct object *object, const json_t *old, const json_t *new)
{
	if (old != NULL) {
		struct tenant_use *use = model_tenant(model, tenant_in(old));

		use->objects[object->kind_index]--;
		use->rules -= rules_in(old);
	}
	if (new != NULL) {
		struct tenant_use *use = model_tenant(model, tenant_in(new));

		use->objects[object->kind_index]++;
		use->rules += rules_in(new);
	}
}

bool quota_check(struct model *model, const struct object *object, const json_t *old,
	struct resource_error *error)
{
	const struct object *tenant = model_get(model, "tenant", object_tenant(object));
	const struct tenant_use *use = model_tenant(model, object_tenant(object));
	const json_t *quotas = tenant != NULL ? json_object_get(tenant->json, "quotas") : NULL;
	json_int_t objects, rules;
	char what[64];

	if (quotas == NULL)
		return true;
	snprintf(what, sizeof(what), "%ss", object->kind->name);
	objects = resource_integer(quotas, what, 0);
	if (old == NULL && objects > 0 && use->objects[object->kind_index] > (size_t)objects)
		return rules_exhausted(error, "", what,
			"tenant `%s` may have %" JSON_INTEGER_FORMAT " %s", tenant->name, objects,
			object->kind->plural);
	rules = resource_integer(quotas, "rules", 0);
	if (rules_in(object->json) > rules_in(old) && rules > 0 && use->rules > (size_t)rules)
		return rules_exhausted(error, "/rules", "rules",
			"tenant `%s` may have %" JSON_INTEGER_FORMAT " rules", tenant->name, rules);
	return true;
}

/* A quota is named by what it counts: rules, or a kind with an s. */
static size_t used(const struct tenant_use *use, const char *what)
{
	const struct kind *kind;
	char name[64];

	if (strcmp(what, "rules") == 0)
		return use->rules;
	KIND_FOREACH(kind)
	{
		snprintf(name, sizeof(name), "%ss", kind->name);
		if (strcmp(name, what) == 0)
			return use->objects[kind_index(kind)];
	}
	return 0;
}

json_t *quota_used(struct model *model, const struct object *tenant)
{
	const struct field *status = field_find(tenant->kind->fields, "status");
	const struct field *all = field_find(status->fields, "used"), *field;
	const struct tenant_use *use = model_tenant(model, tenant->name);
	json_t *shown = mem_json(json_object());

	FIELD_FOREACH(field, all->fields)
	json_object_set_new(shown, field->name, json_integer((json_int_t)used(use, field->name)));
	return shown;
}
