// SPDX-License-Identifier: Apache-2.0
/*
 * JSON Schema (draft 7) of fields. What a call accepts is wider than what a result holds: a result
 * is canonical and whole.
 */
#include <string.h>

#include "lib/net.h"
#include "lib/openrpc_internal.h"

enum side { INPUT, RESULT };

static json_t *field_schema(const struct field *field, enum side side);

static json_t *text_pattern(const char *pattern)
{
	return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *any_of(json_t *one, json_t *other)
{
	return json_pack("{s:[o, o]}", "anyOf", one, other);
}

static json_t *string_schema(const struct field *field, enum side side)
{
	json_t *schema = json_pack("{s:s}", "type", "string");

	if (side == INPUT) {
		if (field->min)
			json_object_set_new(schema, "minLength", json_integer(field->min));
		json_object_set_new(
			schema, "maxLength", json_integer(field->max ? field->max : 1024));
	}
	return schema;
}

static json_t *integer_schema(const struct field *field)
{
	json_t *schema = json_pack("{s:s}", "type", "integer");

	if (field->min || field->max) {
		json_object_set_new(schema, "minimum", json_integer(field->min));
		if (field->max != INT64_MAX)
			json_object_set_new(schema, "maximum", json_integer(field->max));
	}
	return schema;
}

static json_t *enum_schema(const struct field *field)
{
	json_t *names = json_array();

	for (const struct field_value *v = field->values; v->name; v++)
		json_array_append_new(names, json_string(v->name));
	return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static json_t *kind_schema(void)
{
	json_t *names = json_array();
	const struct kind *kind;

	KIND_FOREACH(kind)
	json_array_append_new(names, json_string(kind->name));
	return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static json_t *address_schema(const struct field *field)
{
	json_t *ipv4 = json_pack("{s:s, s:s}", "type", "string", "format", "ipv4");
	json_t *ipv6 = json_pack("{s:s, s:s}", "type", "string", "format", "ipv6");

	if (field->family == NET_NONE)
		return any_of(ipv4, ipv6);
	json_decref(field->family == NET_IPV4 ? ipv6 : ipv4);
	return field->family == NET_IPV4 ? ipv4 : ipv6;
}

static json_t *ports_schema(enum side side)
{
	json_t *text = text_pattern("^[0-9]{1,5}(-[0-9]{1,5})?$");

	if (side == RESULT)
		return text;
	return any_of(text,
		json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum", 65535));
}

static json_t *protocol_schema(enum side side)
{
	json_t *number =
		json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum", 255);

	return any_of(text_pattern(side == RESULT ? "^(tcp|udp|icmp|icmpv6|any)$"
						  : "^(tcp|udp|icmp|icmpv6|any|[0-9]{1,3})$"),
		number);
}

static json_t *time_schema(enum side side)
{
	json_t *text = json_pack("{s:s, s:s}", "type", "string", "format", "date-time");

	return side == RESULT ? text : any_of(text, json_pack("{s:s}", "type", "integer"));
}

/* Is the member in every result? */
static bool always_there(const struct field *field)
{
	return field->def ||
	       field->flags & (FIELD_REQUIRED | FIELD_KEY | FIELD_AUTO | FIELD_READ_ONLY);
}

/* Adds the members of a table to an object's schema. */
static void add_members(json_t *schema, const struct field *fields, enum side side)
{
	json_t *properties = json_object_get(schema, "properties");
	json_t *required = json_object_get(schema, "required");
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		if (side == INPUT && field->flags & FIELD_READ_ONLY)
			continue;
		json_object_set_new(properties, field->name, field_schema(field, side));
		if (side == RESULT ? always_there(field)
				   : !!(field->flags & (FIELD_REQUIRED | FIELD_KEY)))
			json_array_append_new(required, json_string(field->name));
	}
}

static json_t *closed_object(void)
{
	return json_pack("{s:s, s:{}, s:[], s:b}", "type", "object", "properties", "required",
		"additionalProperties", 0);
}

json_t *openrpc_schema_members(const struct field *fields, bool result)
{
	json_t *schema = closed_object();

	add_members(schema, fields, result ? RESULT : INPUT);
	return schema;
}

/* An object with a constant member: {"type": "tap", …}, {"kind": "vpc", …}. */
static json_t *tagged_object(const char *tag, const char *value)
{
	json_t *schema = closed_object();

	json_object_set_new(
		json_object_get(schema, "properties"), tag, json_pack("{s:s}", "const", value));
	json_array_append_new(json_object_get(schema, "required"), json_string(tag));
	return schema;
}

static json_t *union_schema(const struct field *field, enum side side)
{
	json_t *choices = json_array();

	for (const struct field_variant *v = field->variants; v->value; v++) {
		json_t *schema = tagged_object(field->tag, v->value);

		add_members(schema, v->fields, side);
		json_object_set_new(schema, "description", json_string(v->help));
		json_array_append_new(choices, schema);
	}
	return json_pack("{s:o}", "oneOf", choices);
}

json_t *openrpc_schema_resource(const struct kind *kind)
{
	json_t *schema = tagged_object("kind", kind->name);
	json_t *properties = json_object_get(schema, "properties");
	const struct field *field;

	add_members(schema, kind->fields, INPUT);
	FIELD_FOREACH(field, kind->fields)
	if (field->flags & FIELD_READ_ONLY)
		json_object_set_new(
			properties, field->name, json_pack("{s:s}", "description", "ignored"));
	return schema;
}

static json_t *resource_schema(const struct field *field)
{
	return json_pack("{s:o}", "$ref",
		json_sprintf("#/components/schemas/%s", field->ref ? field->ref : "resource"));
}

static json_t *single_schema(const struct field *field, enum side side)
{
	switch (field->type) {
	case FIELD_STRING:
		return string_schema(field, side);
	case FIELD_INTEGER:
		return integer_schema(field);
	case FIELD_NUMBER:
		return json_pack("{s:s}", "type", "number");
	case FIELD_BOOLEAN:
		return json_pack("{s:s}", "type", "boolean");
	case FIELD_ENUM:
		return enum_schema(field);
	case FIELD_KIND:
		return kind_schema();
	case FIELD_NAME:
	case FIELD_REF:
		return text_pattern(RESOURCE_NAME_PATTERN);
	case FIELD_ADDRESS:
		return address_schema(field);
	case FIELD_CIDR:
		return text_pattern("^[0-9A-Fa-f:.]+/[0-9]{1,3}$");
	case FIELD_ADDRESS_OR_CIDR:
		return text_pattern("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$");
	case FIELD_MAC:
		return text_pattern(side == RESULT ? "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"
						   : "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$");
	case FIELD_PORTS:
		return ports_schema(side);
	case FIELD_PROTOCOL:
		return protocol_schema(side);
	case FIELD_IFNAME:
		return text_pattern("^[^/:%\\s]{1,15}$");
	case FIELD_PATH:
		return text_pattern("^/.");
	case FIELD_NETNS:
	case FIELD_ENDPOINT:
		return text_pattern("^.+$");
	case FIELD_URL_RPC:
		return text_pattern("^(/|tls://).");
	case FIELD_TIME:
		return time_schema(side);
	case FIELD_OBJECT:
		return openrpc_schema_members(field->fields, side == RESULT);
	case FIELD_UNION:
		return union_schema(field, side);
	case FIELD_RESOURCE:
		return resource_schema(field);
	case FIELD_MAP:
		return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
			field_schema(field->fields, side));
	case FIELD_ANY:
	case FIELD_END:
		break;
	}
	return json_object();
}

static json_t *list_schema(const struct field *field, enum side side)
{
	json_t *schema =
		json_pack("{s:s, s:o}", "type", "array", "items", single_schema(field, side));
	uint32_t max = field->max_items ? field->max_items : RESOURCE_LIST_MAX;

	if (field->min_items)
		json_object_set_new(schema, "minItems", json_integer(field->min_items));
	if (side == INPUT)
		json_object_set_new(schema, "maxItems", json_integer(max));
	if (field->flags & FIELD_SET)
		json_object_set_new(schema, "uniqueItems", json_true());
	return schema;
}

/* Help, default and example, where the schema is no reference (beside one they would be ignored).
 */
static void annotate(json_t *schema, const struct field *field, enum side side)
{
	json_t *example = NULL;

	if (json_object_get(schema, "$ref"))
		return;
	if (field->unit)
		json_object_set_new(
			schema, "description", json_sprintf("%s (%s)", field->help, field->unit));
	else if (field->help)
		json_object_set_new(schema, "description", json_string(field->help));
	if (side == RESULT)
		return;
	if (field->def)
		json_object_set_new(schema, "default", field_default(field));
	if (field->example)
		example = json_loads(field->example, JSON_DECODE_ANY, NULL);
	if (example)
		json_object_set_new(schema, "examples", json_pack("[o]", example));
}

static json_t *field_schema(const struct field *field, enum side side)
{
	json_t *schema =
		field->flags & FIELD_LIST ? list_schema(field, side) : single_schema(field, side);

	if (field->flags & FIELD_NULLABLE)
		schema = any_of(schema, json_pack("{s:s}", "type", "null"));
	annotate(schema, field, side);
	return schema;
}

json_t *openrpc_schema_input(const struct field *field)
{
	return field_schema(field, INPUT);
}

json_t *openrpc_schema_result(const struct field *field)
{
	return field_schema(field, RESULT);
}
