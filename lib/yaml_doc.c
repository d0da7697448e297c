// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/yaml_doc.h"
#include "lib/yaml_lines.h"
#include "lib/yaml_scalar.h"

#define DEPTH_MAX 64
/* What aliases may add to a stream: a bomb of nested aliases ends here. In values, long strings
 * more. */
#define ALIAS_COST_MAX 100000
#define ALIAS_COST_BYTES 64

struct anchor {
	char *name;
	json_t *value;
};

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t len;
	struct yaml_error *error;
	struct anchor *anchors; /* of this document */
	size_t anchor_count;
	size_t alias_cost;
	unsigned depth;
};

static int fail(struct reader *r, const yaml_mark_t *mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct reader *r, const yaml_mark_t *mark, const char *format, ...)
{
	va_list args;

	r->error->line = (unsigned)mark->line + 1;
	va_start(args, format);
	vsnprintf(r->error->message, sizeof(r->error->message), format, args);
	va_end(args);
	return -EINVAL;
}

static int out_of_memory(struct reader *r)
{
	r->error->line = 0;
	snprintf(r->error->message, sizeof(r->error->message), "out of memory");
	return -ENOMEM;
}

static unsigned line_of_byte(const struct reader *r, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < r->len; i++)
		line += r->text[i] == '\n';
	return line;
}

static int next_event(struct reader *r, yaml_event_t *event)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, event))
		return 0;
	memset(event, 0, sizeof(*event));
	if (p->error == YAML_MEMORY_ERROR)
		return out_of_memory(r);
	fail(r, &p->problem_mark, "%s%s%s", p->problem != NULL ? p->problem : "not readable",
		p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
	/* The reader runs ahead of the parser and knows only a byte. */
	if (p->error == YAML_READER_ERROR)
		r->error->line = line_of_byte(r, p->problem_offset);
	return -EINVAL;
}

static void anchors_clear(struct reader *r)
{
	for (size_t i = 0; i < r->anchor_count; i++) {
		free(r->anchors[i].name);
		json_decref(r->anchors[i].value);
	}
	free(r->anchors);
	r->anchors = NULL;
	r->anchor_count = 0;
}

static struct anchor *anchor_find(struct reader *r, const char *name)
{
	for (size_t i = 0; i < r->anchor_count; i++) {
		if (strcmp(r->anchors[i].name, name) == 0)
			return &r->anchors[i];
	}
	return NULL;
}

/* A later anchor of the same name takes its place, YAML 1.2 section 3.2.2.2. */
static int anchor_set(struct reader *r, const char *name, json_t *value)
{
	struct anchor *a;

	if (name == NULL)
		return 0;
	a = anchor_find(r, name);
	if (a != NULL) {
		json_decref(a->value);
		a->value = json_incref(value);
		return 0;
	}
	a = realloc(r->anchors, (r->anchor_count + 1) * sizeof(*a));
	if (a == NULL)
		return out_of_memory(r);
	r->anchors = a;
	a += r->anchor_count;
	a->name = strdup(name);
	if (a->name == NULL)
		return out_of_memory(r);
	a->value = json_incref(value);
	r->anchor_count++;
	return 0;
}

/* What a copy of the value takes; stops counting above the limit. */
static size_t copy_cost(json_t *value, size_t limit)
{
	size_t cost = 1;
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		cost += json_string_length(value) / ALIAS_COST_BYTES;
	json_array_foreach (value, i, member) {
		if (cost > limit)
			return cost;
		cost += copy_cost(member, limit - cost);
	}
	json_object_foreach (value, key, member) {
		if (cost > limit)
			return cost;
		cost += copy_cost(member, limit - cost);
	}
	return cost;
}

static int read_alias(struct reader *r, const yaml_event_t *event, json_t **value)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *a = anchor_find(r, name);
	size_t cost;

	if (a == NULL)
		return fail(r, &event->start_mark, "unknown alias \"%.64s\"", name);
	cost = copy_cost(a->value, ALIAS_COST_MAX - r->alias_cost);
	if (cost > ALIAS_COST_MAX - r->alias_cost)
		return fail(r, &event->start_mark, "aliases make the document too large");
	r->alias_cost += cost;
	/* A copy: whoever fills in a default changes one place. */
	*value = json_deep_copy(a->value);
	return *value != NULL ? 0 : out_of_memory(r);
}

static bool is_tag(const yaml_char_t *tag, const char *name)
{
	return tag == NULL || strcmp((const char *)tag, "!") == 0 ||
	       strcmp((const char *)tag, name) == 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **value)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (!is_tag(event->data.scalar.tag, YAML_STR_TAG))
		return fail(r, &event->start_mark, "tag %.64s is not supported",
			event->data.scalar.tag);
	if (memchr(text, '\0', len) != NULL)
		return fail(r, &event->start_mark, "a string must not contain a NUL byte");
	if (event->data.scalar.plain_implicit &&
		event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		*value = yaml_scalar_plain(text);
	else
		*value = json_stringn(text, len);
	if (*value == NULL)
		return fail(r, &event->start_mark, "number out of range: %.64s", text);
	return 0;
}

static int read_value(
	struct reader *r, yaml_event_t *event, struct yaml_lines *lines, json_t **value);

static int read_sequence(struct reader *r, struct yaml_lines *lines, json_t *array)
{
	for (;;) {
		struct yaml_lines *child;
		yaml_event_t event;
		json_t *value = NULL;
		int error = next_event(r, &event);

		if (error < 0)
			return error;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		child = yaml_lines_add(lines, (unsigned)event.start_mark.line + 1, NULL);
		error = child != NULL ? read_value(r, &event, child, &value) : out_of_memory(r);
		yaml_event_delete(&event);
		if (error == 0 && json_array_append_new(array, value) < 0)
			error = out_of_memory(r);
		if (error < 0)
			return error;
	}
}

/* The key's text, malloc()ed; its event is consumed. */
static int read_key(struct reader *r, yaml_event_t *event, const json_t *object, char **key)
{
	const char *text = (const char *)event->data.scalar.value;
	int error = 0;

	*key = NULL;
	if (event->type != YAML_SCALAR_EVENT)
		error = fail(r, &event->start_mark, "a key must be a plain or quoted string");
	else if (strlen(text) != event->data.scalar.length)
		error = fail(r, &event->start_mark, "a key must not contain a NUL byte");
	else if (json_object_get(object, text) != NULL)
		error = fail(r, &event->start_mark, "duplicate key \"%.128s\"", text);
	else if ((*key = strdup(text)) == NULL)
		error = out_of_memory(r);
	yaml_event_delete(event);
	return error;
}

static int read_pair(
	struct reader *r, yaml_event_t *event, struct yaml_lines *lines, json_t *object)
{
	unsigned line = (unsigned)event->start_mark.line + 1;
	struct yaml_lines *child;
	json_t *value = NULL;
	char *key;
	int error = read_key(r, event, object, &key);

	if (error < 0)
		return error;
	child = yaml_lines_add(lines, line, key);
	if (child == NULL)
		return out_of_memory(r);
	error = next_event(r, event);
	if (error < 0)
		return error;
	error = read_value(r, event, child, &value);
	yaml_event_delete(event);
	if (error == 0 && json_object_set_new(object, key, value) < 0)
		error = out_of_memory(r);
	return error;
}

static int read_mapping(struct reader *r, struct yaml_lines *lines, json_t *object)
{
	for (;;) {
		yaml_event_t event;
		int error = next_event(r, &event);

		if (error < 0)
			return error;
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		error = read_pair(r, &event, lines, object);
		if (error < 0)
			return error;
	}
}

static int read_collection(
	struct reader *r, const yaml_event_t *event, struct yaml_lines *lines, json_t **value)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag =
		mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	int error;

	if (!is_tag(tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG))
		return fail(r, &event->start_mark, "tag %.64s is not supported", tag);
	if (r->depth == DEPTH_MAX)
		return fail(r, &event->start_mark, "nested deeper than %u levels", DEPTH_MAX);
	*value = mapping ? json_object() : json_array();
	if (*value == NULL)
		return out_of_memory(r);
	r->depth++;
	error = mapping ? read_mapping(r, lines, *value) : read_sequence(r, lines, *value);
	r->depth--;
	return error;
}

/* On failure *value is NULL. */
static int read_value(
	struct reader *r, yaml_event_t *event, struct yaml_lines *lines, json_t **value)
{
	const yaml_char_t *anchor = NULL;
	int error;

	*value = NULL;
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		error = read_alias(r, event, value);
		break;
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		error = read_scalar(r, event, value);
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		error = read_collection(r, event, lines, value);
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		error = read_collection(r, event, lines, value);
		break;
	default:
		error = fail(r, &event->start_mark, "a value is missing");
		break;
	}
	if (error == 0)
		error = anchor_set(r, (const char *)anchor, *value);
	if (error < 0) {
		json_decref(*value);
		*value = NULL;
	}
	return error;
}

static void doc_clear(struct yaml_doc *doc)
{
	json_decref(doc->root);
	if (doc->lines != NULL)
		yaml_lines_clear(doc->lines);
	free(doc->lines);
	memset(doc, 0, sizeof(*doc));
}

/* After the document's start event, up to and with its end event. */
static int read_document(struct reader *r, struct yaml_doc *doc)
{
	yaml_event_t event;
	int error = next_event(r, &event);

	if (error < 0)
		return error;
	doc->line = (unsigned)event.start_mark.line + 1;
	doc->lines = calloc(1, sizeof(*doc->lines));
	if (doc->lines != NULL) {
		doc->lines->line = doc->line;
		error = read_value(r, &event, doc->lines, &doc->root);
	} else {
		error = out_of_memory(r);
	}
	yaml_event_delete(&event);
	anchors_clear(r);
	if (error < 0)
		return error;
	error = next_event(r, &event);
	yaml_event_delete(&event);
	return error;
}

static int append_document(struct reader *r, struct yaml_doc **docs, size_t *count)
{
	struct yaml_doc *more = realloc(*docs, (*count + 1) * sizeof(*more));
	struct yaml_doc *doc;
	int error;

	if (more == NULL)
		return out_of_memory(r);
	*docs = more;
	doc = &more[*count];
	memset(doc, 0, sizeof(*doc));
	error = read_document(r, doc);
	if (error < 0 || json_is_null(doc->root))
		doc_clear(doc);
	else
		(*count)++;
	return error;
}

/*
 * JSON writes characters beyond the first plane as two escapes, which libyaml does not know. Such a
 * text is read as JSON; its values then all come from line 1.
 */
static bool read_json(struct reader *r, struct yaml_doc **docs, size_t *count)
{
	static const char surrogate[] = "found invalid Unicode character escape code";
	const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
	json_t *root;

	if (r->parser.problem == NULL || strcmp(r->parser.problem, surrogate) != 0)
		return false;
	root = json_loadb(r->text, r->len, flags, NULL);
	if (root == NULL)
		return false;
	yaml_docs_free(*docs, *count);
	*count = 0;
	*docs = calloc(1, sizeof(**docs));
	if (*docs == NULL) {
		json_decref(root);
		return false;
	}
	**docs = (struct yaml_doc){.root = root, .line = 1};
	*count = 1;
	return true;
}

int yaml_docs_parse(const char *text, size_t len, struct yaml_doc **docs, size_t *count,
	struct yaml_error *error)
{
	struct reader r = {.error = error, .text = text, .len = len};
	bool more = true;
	int status = 0;

	*docs = NULL;
	*count = 0;
	if (!yaml_parser_initialize(&r.parser))
		return out_of_memory(&r);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	while (status == 0 && more) {
		yaml_event_t event;

		status = next_event(&r, &event);
		if (status == 0 && event.type == YAML_DOCUMENT_START_EVENT)
			status = append_document(&r, docs, count);
		more = event.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	if (status < 0 && read_json(&r, docs, count))
		status = 0;
	yaml_parser_delete(&r.parser);
	anchors_clear(&r);
	if (status < 0) {
		yaml_docs_free(*docs, *count);
		*docs = NULL;
		*count = 0;
	}
	return status;
}

void yaml_docs_free(struct yaml_doc *docs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		doc_clear(&docs[i]);
	free(docs);
}
