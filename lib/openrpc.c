// SPDX-License-Identifier: Apache-2.0
#include "lib/openrpc.h"

#include <string.h>

#include "lib/methods.h"
#include "lib/openrpc_internal.h"

static const struct {
	const char *name, *help;
	int code;
} errors[] = {
#define X(symbol, code, name, help) {name, help, code},
	ERROR_CODES(X)
#undef X
};

#define ERRORS_COUNT (sizeof(errors) / sizeof(errors[0]))

static json_t *errors_components(void)
{
	json_t *components = json_object();

	for (size_t i = 0; i < ERRORS_COUNT; i++)
		json_object_set_new(components, errors[i].name,
			json_pack("{s:i, s:s}", "code", errors[i].code, "message", errors[i].help));
	return components;
}

/* The errors that a method of ours answers: reads change nothing, so nothing can be in their way.
 */
static json_t *method_errors(const struct method *method)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ERRORS_COUNT; i++) {
		int code = errors[i].code;
		bool read = code == ERROR_INVALID_PARAMS || code == ERROR_INVALID ||
			    code == ERROR_NOT_FOUND || code == ERROR_UNAVAILABLE ||
			    code == ERROR_DENIED;

		if (read || (method->flags & METHOD_WRITES && code > 0))
			json_array_append_new(list,
				json_pack("{s:o}", "$ref",
					json_sprintf("#/components/errors/%s", errors[i].name)));
	}
	return list;
}

static json_t *kinds_schemas(void)
{
	json_t *schemas = json_object(), *any = json_array();
	const struct kind *kind;

	KIND_FOREACH(kind)
	{
		json_t *object = openrpc_schema_members(kind->fields, true);
		json_t *resource = openrpc_schema_resource(kind);
		json_t *name = json_sprintf("%s_resource", kind->name);

		json_object_set_new(object, "description", json_string(kind->help));
		json_object_set_new(resource, "description", json_string(kind->help));
		json_object_set_new(schemas, kind->name, object);
		json_object_set_new(schemas, json_string_value(name), resource);
		json_array_append_new(any,
			json_pack("{s:o}", "$ref",
				json_sprintf("#/components/schemas/%s", json_string_value(name))));
		json_decref(name);
	}
	json_object_set_new(schemas, "resource", json_pack("{s:o}", "oneOf", any));
	return schemas;
}

static json_t *param_descriptor(const struct method *method, const struct field *field)
{
	json_t *schema = openrpc_schema_input(field);
	bool required = method_requires(method, field);

	if (method->verb == METHOD_UPDATE) {
		json_object_del(schema, "default");
		if (!(field->flags & (FIELD_REQUIRED | FIELD_KEY)))
			schema = json_pack("{s:[o, {s:s}]}", "anyOf", schema, "type", "null");
	}
	return json_pack("{s:s, s:s, s:b, s:o}", "name", field->name, "description", field->help,
		"required", required, "schema", schema);
}

/* Is the member a parameter? An update takes `revision`, and no field that cannot change. */
static bool is_param(const struct method *method, const struct field *field)
{
	bool update = method->verb == METHOD_UPDATE;

	if (field->flags & FIELD_READ_ONLY)
		return update && field->flags & FIELD_GUARD;
	return !update || !(field->flags & FIELD_IMMUTABLE) || field->flags & FIELD_KEY;
}

/* Required ones first, as the specification wants. */
static json_t *method_params(const struct method *method)
{
	json_t *params = json_array();
	const struct field *field;

	for (int optional = 0; optional < 2; optional++)
		FIELD_FOREACH(field, method->params)
	if (is_param(method, field) && method_requires(method, field) != optional)
		json_array_append_new(params, param_descriptor(method, field));
	return params;
}

static json_t *method_object(const struct method *method)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:s, s:o}, s:o}", "name",
		method->name, "summary", method->help, "paramStructure", "by-name", "params",
		method_params(method), "result", "name", "result", "description",
		method->result->help, "schema", openrpc_schema_result(method->result), "errors",
		method_errors(method));
	const char *tag = method->kind ? method->kind->name : "general";
	json_t *example = method->example ? json_loads(method->example, 0, NULL) : NULL;

	json_object_set_new(object, "tags", json_pack("[{s:s}]", "name", tag));
	if (example)
		json_object_set_new(object, "x-example-params", example);
	return object;
}

/* OpenRPC 1.2.6 knows no notifications from the server: an extension describes ours. */
static json_t *notifications(void)
{
	json_t *schema = json_pack("{s:s, s:[s, s, s, s], s:b, s:{s:{s:[s, s, s]}, s:{s:s}, "
				   "s:{s:s}, s:{s:s}}}",
		"type", "object", "required", "op", "kind", "object", "revision",
		"additionalProperties", 0, "properties", "op", "enum", "create", "update", "delete",
		"kind", "type", "string", "object", "type", "object", "revision", "type",
		"integer");

	return json_pack("[{s:s, s:s, s:o}]", "name", "event", "summary",
		"after watch: a change, the object as it is now (deleted: as it was)", "schema",
		schema);
}

json_t *openrpc_document(void)
{
	json_t *methods = json_array();
	const struct method *method;

	METHOD_FOREACH(method)
	json_array_append_new(methods, method_object(method));
	return json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:o, s:{s:o, s:o}, s:o}", "openrpc",
		"1.2.6", "info", "title", "vpc-controller", "version", VPC_VERSION, "description",
		"Virtual private clouds: the desired network, and what became of it.", "license",
		"name", "Apache-2.0", "methods", methods, "components", "schemas", kinds_schemas(),
		"errors", errors_components(), "x-notifications", notifications());
}
