// SPDX-License-Identifier: Apache-2.0
/* The members of objects in the order of their descriptions; what is not described follows. */
#include "cli/output.h"

static json_t *ordered(const struct field *field, const json_t *value);

static void take(const struct field *fields, const json_t *in, json_t *out)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		json_t *member = json_object_get(in, field->name);

		if (member)
			json_object_set_new(out, field->name, ordered(field, member));
	}
}

static void take_rest(const json_t *in, json_t *out)
{
	const char *name;
	json_t *member;

	json_object_foreach ((json_t *)in, name, member) {
		if (!json_object_get(out, name))
			json_object_set(out, name, member);
	}
}

static json_t *ordered_object(const struct field *field, const json_t *value)
{
	const struct kind *kind =
		field->type == FIELD_RESOURCE && field->ref ? kind_find(field->ref) : NULL;
	json_t *out;

	if (field->type == FIELD_RESOURCE && !field->ref)
		return output_ordered_resource(value);
	out = json_object();
	if (field->type == FIELD_OBJECT) {
		take(field->fields, value, out);
	} else if (kind) {
		take(kind->fields, value, out);
	} else if (field->type == FIELD_UNION) {
		const char *tag = resource_text(value, field->tag);
		const struct field_variant *v = tag ? field_variant_find(field, tag) : NULL;

		if (tag)
			json_object_set(out, field->tag, json_object_get(value, field->tag));
		if (v)
			take(v->fields, value, out);
	}
	take_rest(value, out);
	return out;
}

static json_t *ordered(const struct field *field, const json_t *value)
{
	json_t *list, *item;
	size_t index;

	if (json_is_object(value))
		return ordered_object(field, value);
	if (!json_is_array(value))
		return json_incref((json_t *)value);
	list = json_array();
	json_array_foreach ((json_t *)value, index, item) {
		json_array_append_new(list, ordered(field, item));
	}
	return list;
}

json_t *output_ordered(const struct field *shape, const json_t *value)
{
	return shape ? ordered(shape, value) : json_incref((json_t *)value);
}

json_t *output_ordered_resource(const json_t *resource)
{
	const char *name = resource_text(resource, "kind");
	const struct kind *kind = name ? kind_find(name) : NULL;
	json_t *out = json_object();

	if (name)
		json_object_set(out, "kind", json_object_get(resource, "kind"));
	if (kind)
		take(kind->fields, resource, out);
	take_rest(resource, out);
	return out;
}
