// SPDX-License-Identifier: Apache-2.0
/* The same in man(7) macros. */
#include "lib/reference.h"
#include "lib/reference_internal.h"

void reference_roff(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void man_fields(const struct field *fields, const char *prefix, bool result, FILE *out);

static void man_union(const struct field *field, const char *path, bool result, FILE *out)
{
	char name[160];

	for (const struct field_variant *v = field->variants; v->value; v++) {
		fprintf(out, ".TP\n.B ");
		snprintf(name, sizeof(name), "%s.%s: %s", path, field->tag, v->value);
		reference_roff(name, out);
		fputc('\n', out);
		reference_roff(v->help, out);
		fputc('\n', out);
		snprintf(name, sizeof(name), "%s.", path);
		man_fields(v->fields, name, result, out);
	}
}

static void man_field(const struct field *field, const char *prefix, bool result, FILE *out)
{
	char type[256], path[128], name[160];

	snprintf(path, sizeof(path), "%s%s%s", prefix, field->name,
		field->flags & FIELD_LIST ? "[]" : "");
	snprintf(name, sizeof(name), "%s%s", prefix, field->name);
	fprintf(out, ".TP\n\\fB");
	reference_roff(name, out);
	fprintf(out, "\\fR \\fI");
	reference_roff(reference_type(field, type, sizeof(type)), out);
	fprintf(out, "\\fR\n");
	reference_roff(field->help, out);
	result = result || field->flags & FIELD_READ_ONLY;
	reference_notes(field, field->flags & FIELD_REQUIRED && !result, out);
	if (field->def) {
		fprintf(out, "; default ");
		reference_roff(field->def, out);
	}
	fputc('\n', out);
	snprintf(name, sizeof(name), "%s.", path);
	if (field->type == FIELD_OBJECT)
		man_fields(field->fields, name, result, out);
	else if (field->type == FIELD_UNION)
		man_union(field, path, result, out);
}

static void man_fields(const struct field *fields, const char *prefix, bool result, FILE *out)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	man_field(field, prefix, result, out);
}

void reference_man(FILE *out)
{
	const struct reference_error *errors;
	const struct kind *kind;
	size_t count;

	fprintf(out, ".SH RESOURCES\n");
	KIND_FOREACH(kind)
	{
		fprintf(out, ".SS %s\n", kind->name);
		reference_roff(kind->help, out);
		fputc('\n', out);
		man_fields(kind->fields, "", false, out);
	}
	fprintf(out, ".SH ERRORS\n");
	errors = reference_errors(&count);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, ".TP\n\\fB");
		reference_roff(errors[i].name, out);
		fprintf(out, "\\fR (%d)\n", errors[i].code);
		reference_roff(errors[i].help, out);
		fputc('\n', out);
	}
}
