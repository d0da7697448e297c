// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml_out.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "cli/text.h"
#include "lib/net.h"

/* ---- Scalars ---- */

/* Words that YAML 1.1 or 1.2 takes for something else than text. */
static bool is_reserved(const char *text)
{
	static const char *const words[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(words[i], text))
			return true;
	return false;
}

/* May it stand without quotes? What the syntax forbids besides, libyaml knows. */
static bool is_plain(const char *text)
{
	struct net_addr address;

	if (isalpha((unsigned char)*text) || (unsigned char)*text >= 0x80 || *text == '/')
		return !is_reserved(text);
	if (!isdigit((unsigned char)*text))
		return false;
	return strchr(text, '/') || (strchr(text, '.') && net_addr_parse(text, &address));
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
	if (!made || !yaml_emitter_emit(emitter, event)) {
		fprintf(stderr, "vpcctl: %s\n",
			emitter->problem ? emitter->problem : "out of memory");
		exit(1);
	}
}

static void emit_text(yaml_emitter_t *emitter, const char *text, bool plain)
{
	const bool lines = strchr(text, '\n');
	yaml_event_t event;

	emit(emitter, &event,
		yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)text,
			(int)strlen(text), plain, true,
			plain   ? YAML_PLAIN_SCALAR_STYLE
			: lines ? YAML_LITERAL_SCALAR_STYLE
				: YAML_DOUBLE_QUOTED_SCALAR_STYLE));
}

static void emit_scalar(yaml_emitter_t *emitter, const json_t *value)
{
	char number[64] = "null";

	if (json_is_string(value)) {
		const char *text = json_string_value(value);

		emit_text(emitter, text, is_plain(text));
		return;
	}
	if (json_is_integer(value))
		snprintf(
			number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(number, sizeof(number), "%.15g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(number, sizeof(number), "%s", json_is_true(value) ? "true" : "false");
	emit_text(emitter, number, true);
}

/* ---- Values ---- */

static void emit_value(yaml_emitter_t *emitter, const json_t *value);

static void emit_list(yaml_emitter_t *emitter, const json_t *list)
{
	const yaml_sequence_style_t style =
		json_array_size(list) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
	yaml_event_t event;
	json_t *item;
	size_t index;

	emit(emitter, &event,
		yaml_sequence_start_event_initialize(&event, NULL, NULL, true, style));
	json_array_foreach ((json_t *)list, index, item) {
		emit_value(emitter, item);
	}
	emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_object(yaml_emitter_t *emitter, const json_t *object)
{
	const yaml_mapping_style_t style =
		json_object_size(object) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
	yaml_event_t event;
	const char *name;
	json_t *member;

	emit(emitter, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, true, style));
	json_object_foreach ((json_t *)object, name, member) {
		emit_text(emitter, name, is_plain(name));
		emit_value(emitter, member);
	}
	emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_value(yaml_emitter_t *emitter, const json_t *value)
{
	if (json_is_object(value))
		emit_object(emitter, value);
	else if (json_is_array(value))
		emit_list(emitter, value);
	else
		emit_scalar(emitter, value);
}

void yaml_out(FILE *out, const json_t *const *documents, size_t count, bool marked)
{
	yaml_emitter_t emitter;
	yaml_event_t event;

	if (!yaml_emitter_initialize(&emitter))
		must(NULL);
	yaml_emitter_set_output_file(&emitter, out);
	yaml_emitter_set_unicode(&emitter, true);
	yaml_emitter_set_width(&emitter, -1);
	emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	for (size_t i = 0; i < count; i++) {
		emit(&emitter, &event,
			yaml_document_start_event_initialize(
				&event, NULL, NULL, NULL, count == 1 && !marked));
		emit_value(&emitter, documents[i]);
		emit(&emitter, &event, yaml_document_end_event_initialize(&event, true));
	}
	emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
	yaml_emitter_flush(&emitter);
	yaml_emitter_delete(&emitter);
}

char *yaml_out_text(const json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *out = must(open_memstream(&text, &size));

	yaml_out(out, &value, 1, false);
	fclose(out);
	return must(text);
}
