// SPDX-License-Identifier: Apache-2.0
#include "lib/reference.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/methods.h"
#include "lib/net.h"
#include "lib/reference_internal.h"

/* ---- Types in words ---- */

static const char *family_prefix(const struct field *field)
{
	return field->family == NET_IPV4 ? "IPv4 " : field->family == NET_IPV6 ? "IPv6 " : "";
}

static void enum_type(const struct field *field, char *text, size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (const struct field_value *v = field->values; v->name && length < size; v++)
		length += (size_t)snprintf(
			text + length, size - length, "%s%s", length ? " | " : "", v->name);
}

static void integer_type(const struct field *field, char *text, size_t size)
{
	if (!field->min && !field->max)
		snprintf(text, size, "integer");
	else if (field->max == INT64_MAX)
		snprintf(text, size, "integer, at least %" PRId64, field->min);
	else
		snprintf(text, size, "integer, %" PRId64 " to %" PRId64, field->min, field->max);
}

static void single_type(const struct field *field, char *text, size_t size)
{
	static const char *const names[] = {
		[FIELD_STRING] = "text",
		[FIELD_NUMBER] = "number",
		[FIELD_BOOLEAN] = "boolean",
		[FIELD_NAME] = "name",
		[FIELD_MAC] = "MAC address",
		[FIELD_PORTS] = "port or port range",
		[FIELD_PROTOCOL] = "tcp | udp | icmp | icmpv6 | any | number",
		[FIELD_IFNAME] = "interface name",
		[FIELD_PATH] = "absolute file name",
		[FIELD_NETNS] = "network namespace",
		[FIELD_ENDPOINT] = "address:port",
		[FIELD_URL_RPC] = "socket or tls://host:port",
		[FIELD_TIME] = "time (RFC 3339)",
		[FIELD_KIND] = "name of a kind",
		[FIELD_OBJECT] = "object",
		[FIELD_MAP] = "object",
		[FIELD_ANY] = "any JSON",
	};

	switch (field->type) {
	case FIELD_ENUM:
		enum_type(field, text, size);
		break;
	case FIELD_INTEGER:
		integer_type(field, text, size);
		break;
	case FIELD_REF:
		snprintf(text, size, "name of a %s", field->ref);
		break;
	case FIELD_ADDRESS:
		snprintf(text, size, "%saddress", family_prefix(field));
		break;
	case FIELD_CIDR:
		snprintf(text, size, "%sCIDR", family_prefix(field));
		break;
	case FIELD_ADDRESS_OR_CIDR:
		snprintf(text, size, "%saddress or CIDR", family_prefix(field));
		break;
	case FIELD_UNION:
		snprintf(text, size, "object, see %s", field->tag);
		break;
	case FIELD_RESOURCE:
		snprintf(text, size, "%s", field->ref ? field->ref : "object of any kind");
		break;
	default:
		snprintf(text, size, "%s", names[field->type]);
	}
}

char *reference_type(const struct field *field, char *text, size_t size)
{
	char single[160];

	single_type(field, single, sizeof(single));
	if (!(field->flags & FIELD_LIST))
		snprintf(text, size, "%s", single);
	else if (field->min_items && field->min_items == field->max_items)
		snprintf(text, size, "list of %u: %s", field->max_items, single);
	else if (field->min_items || field->max_items)
		snprintf(text, size, "list of %u to %u: %s", field->min_items,
			field->max_items ? field->max_items : RESOURCE_LIST_MAX, single);
	else
		snprintf(text, size, "list: %s", single);
	return text;
}

void reference_notes(const struct field *field, bool required, FILE *out)
{
	static const struct {
		unsigned flag;
		const char *text;
	} notes[] = {
		{FIELD_IMMUTABLE, "fixed at creation"},
		{FIELD_READ_ONLY, "read-only"},
		{FIELD_AUTO, "automatic"},
		{FIELD_AUTO_MAYBE, "automatic"},
	};

	if (field->unit)
		fprintf(out, " (%s)", field->unit);
	if (required)
		fprintf(out, "; required");
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (field->flags & notes[i].flag && !(field->flags & FIELD_KEY))
			fprintf(out, "; %s", notes[i].text);
}

const struct reference_error *reference_errors(size_t *count)
{
	static const struct reference_error errors[] = {
#define X(symbol, code, name, help) {code, name, help},
		ERROR_CODES(X)
#undef X
	};

	*count = sizeof(errors) / sizeof(errors[0]);
	return errors;
}

/* ---- Markdown ---- */

/* Text in a table's cell, where a bar would end it. */
static void put_cell(const char *text, FILE *out)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

/* A help text as a sentence begins. */
static void put_capital(const char *help, FILE *out)
{
	fputc(toupper((unsigned char)*help), out);
	put_cell(help + 1, out);
}

static void put_json(const char *text, FILE *out)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	char *pretty = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;

	fprintf(out, "```json\n%s\n```\n\n", pretty ? pretty : text);
	free(pretty);
	json_decref(value);
}

/* Whose fields a table shows: a call's parameters, an object's fields, or (result) what comes back.
 */
struct rows {
	FILE *out;
	const struct method *method; /* or NULL */
	bool result;
};

static void field_rows(const struct rows *rows, const struct field *fields, const char *prefix);

static void union_rows(const struct rows *rows, const struct field *field, const char *path)
{
	char name[160];

	for (const struct field_variant *v = field->variants; v->value; v++) {
		fprintf(rows->out, "| `%s.%s: %s` | | | ", path, field->tag, v->value);
		put_capital(v->help, rows->out);
		fprintf(rows->out, " |\n");
		snprintf(name, sizeof(name), "%s.", path);
		field_rows(rows, v->fields, name);
	}
}

/* The rows of what is inside a field. */
static void inner_rows(const struct rows *rows, const struct field *field, const char *path)
{
	struct rows inner = {rows->out, NULL, rows->result || field->flags & FIELD_READ_ONLY};
	char prefix[160];

	snprintf(prefix, sizeof(prefix), "%s.", path);
	if (field->type == FIELD_OBJECT)
		field_rows(&inner, field->fields, prefix);
	else if (field->type == FIELD_UNION)
		union_rows(&inner, field, path);
}

static void field_row(const struct rows *rows, const struct field *field, const char *prefix)
{
	const struct method *method = rows->method;
	bool required = method ? method_requires(method, field) : field->flags & FIELD_REQUIRED;
	bool show_default = field->def && !(method && method->verb == METHOD_UPDATE);
	char type[256], path[128];

	snprintf(path, sizeof(path), "%s%s%s", prefix, field->name,
		field->flags & FIELD_LIST ? "[]" : "");
	fprintf(rows->out, "| `%s%s` | ", prefix, field->name);
	put_cell(reference_type(field, type, sizeof(type)), rows->out);
	if (show_default)
		fprintf(rows->out, " | `%s` | ", field->def);
	else
		fprintf(rows->out, " | | ");
	put_capital(field->help, rows->out);
	reference_notes(field, required && !rows->result, rows->out);
	fprintf(rows->out, " |\n");
	inner_rows(rows, field, path);
}

static void field_rows(const struct rows *rows, const struct field *fields, const char *prefix)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	field_row(rows, field, prefix);
}

static void field_table(
	const struct method *method, const struct field *fields, bool result, FILE *out)
{
	const struct rows rows = {out, method, result};

	fprintf(out, "| field | type | default | meaning |\n|---|---|---|---|\n");
	field_rows(&rows, fields, "");
	fprintf(out, "\n");
}

static void kind_section(const struct kind *kind, FILE *out)
{
	const struct method *method;
	bool first = true;

	fprintf(out, "### %s\n\n%s\n\n", kind->name, kind->help);
	put_json(kind->example, out);
	field_table(NULL, kind->fields, false, out);
	METHOD_FOREACH(method)
	{
		if (method->kind != kind)
			continue;
		fprintf(out, "%s `%s`", first ? "Methods:" : ",", method->name);
		first = false;
	}
	fprintf(out, "\n\n");
}

static void method_section(const struct method *method, FILE *out)
{
	fprintf(out, "### %s\n\n%s\n\n", method->name, method->help);
	if (method->params->type != FIELD_END) {
		fprintf(out, "Parameters:\n\n");
		field_table(method, method->params, false, out);
	}
	if (method->example) {
		fprintf(out, "Example of parameters:\n\n");
		put_json(method->example, out);
	}
	fprintf(out, "Result: %s.\n\n", method->result->help);
	if (method->result->type == FIELD_OBJECT && method->result->fields)
		field_table(NULL, method->result->fields, true, out);
}

static const char markdown_intro[] =
	"# Reference\n"
	"\n"
	"Made from the descriptions that the controller validates with (`make docs`); do not "
	"edit.\n"
	"\n"
	"Every kind has the methods `create`, `get`, `list`, `update` and `delete`:\n"
	"\n"
	"| method | parameters | result |\n"
	"|---|---|---|\n"
	"| `KIND.create` | the object's fields | the object |\n"
	"| `KIND.get` | `name` | the object |\n"
	"| `KIND.list` | a value for any field to filter by, `limit`, `cursor` | `{items, cursor}` "
	"|\n"
	"| `KIND.update` | `name`, the changed fields, `revision` | the object |\n"
	"| `KIND.delete` | `name` or `names` | `{}` |\n"
	"\n"
	"Those that change something also take `wait` and `wait_timeout_ms`. On the command line "
	"they "
	"are\n"
	"`vpcctl KIND VERB [NAME] [--field value …]`, with dashes for underscores.\n"
	"\n";

void reference_markdown(FILE *out)
{
	const struct reference_error *errors;
	const struct method *method;
	const struct kind *kind;
	size_t count;

	fputs(markdown_intro, out);
	fprintf(out, "## Kinds\n\n");
	KIND_FOREACH(kind)
	kind_section(kind, out);
	fprintf(out, "## Methods\n\n");
	METHOD_FOREACH(method)
	if (method->verb == METHOD_GENERAL || method->verb == METHOD_EXTRA)
		method_section(method, out);
	fprintf(out, "## Errors\n\n| code | name | when |\n|---|---|---|\n");
	errors = reference_errors(&count);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "| %d | `%s` | %s |\n", errors[i].code, errors[i].name,
			errors[i].help);
}
